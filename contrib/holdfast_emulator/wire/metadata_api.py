"""Everything about metadata that the Web API answers, in one place for the router.

Invariant: each resource is answered by one part; reading never changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.wire.calls import Call, Reply
from holdfast_emulator.wire.csdl import Csdl
from holdfast_emulator.wire.definition_writes import DefinitionWrites
from holdfast_emulator.wire.definitions import Definitions
from holdfast_emulator.wire.metadata_changes import MetadataChanges
from holdfast_emulator.wire.operations import Operation
from holdfast_emulator.wire.option_actions import OptionActions
from holdfast_emulator.wire.urls import Segment

_Act: TypeAlias = Callable[[Call, Sequence[Segment]], Reply]


@dataclass(slots=True)
class MetadataApi:
    """The metadata of one organisation behind the Web API.

    :param known: returns the operations that ``$metadata`` declares
    """

    dataverse: Dataverse
    known: Callable[[], Iterable[Operation]]
    _csdl: Csdl = field(init=False)

    def __post_init__(self) -> None:
        self._csdl = Csdl(self.dataverse.metadata)

    def resources(self) -> Mapping[str, Mapping[str, _Act]]:
        """Return what is answered, by resource and method."""
        asked = Definitions(self.dataverse.metadata)
        found: dict[str, dict[str, _Act]] = {
            "$metadata": {"GET": self._document},
            "EntityDefinitions": {"GET": asked.tables},
            "RelationshipDefinitions": {"GET": asked.relationships},
            "GlobalOptionSetDefinitions": {"GET": asked.option_sets},
        }
        for part in (DefinitionWrites(self.dataverse), OptionActions(self.dataverse)):
            for name, methods in part.resources().items():
                found.setdefault(name, {}).update(methods)
        return found

    def operations(self) -> Iterator[Operation]:
        """Yield the functions."""
        yield MetadataChanges(self.dataverse).operation()

    def _document(self, call: Call, path: Sequence[Segment]) -> Reply:
        return self._csdl.answer(call, tuple(path), self.known())
