"""A stranger's plugins for the tests of the command: drivers in memory that a profile can name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, ClassVar

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict

from holdfast import hookimpl
from holdfast.contracts import Context, Resolver
from holdfast.hookspecs import CommandLine
from holdfast.model import Conflict, Defer, Page, Resolution, Scope
from holdfast.testing import MemoryDisk, MemoryServer, MemoryStorage, MemoryTransport

SERVERS: dict[str, MemoryServer] = {}
DISKS: dict[str, MemoryDisk] = {}


class Named(BaseModel):
    """What a TOML file can say of an object in this process: its name."""

    model_config = ConfigDict(extra="forbid")

    name: str
    user: str = "user-1"


class PlantedStorage(MemoryStorage):
    """Memory on a disk that outlives the command."""

    name = "planted"
    Settings: ClassVar[type[BaseModel]] = Named  # type: ignore[assignment]  # a name, not a disk

    @classmethod
    def open(  # type: ignore[override]  # its own settings
        cls, settings: Named, context: Context
    ) -> AbstractAsyncContextManager[MemoryStorage]:
        """Open the disk of that name."""
        disk = DISKS.setdefault(settings.name, MemoryDisk())
        return super().open(MemoryStorage.Settings(name=settings.name, disk=disk), context)


class PlantedTransport(MemoryTransport):
    """Speaks to a server that a test planted; ``after_page`` is called behind every page."""

    name = "planted"
    Settings: ClassVar[type[BaseModel]] = Named  # type: ignore[assignment]  # a name, not a server
    after_page: ClassVar[Callable[[Page], None] | None] = None

    @classmethod
    @asynccontextmanager
    async def open(  # type: ignore[override]  # its own settings
        cls, settings: Named, context: Context
    ) -> AsyncIterator[MemoryTransport]:
        """Open a session with the server of that name."""
        del context
        yield cls(MemoryTransport.Settings(server=SERVERS[settings.name], user=settings.user))

    async def pull(self, scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        """Yield pages; after each, let the test interfere."""
        async for page in super().pull(scope, checkpoint):
            yield page
            if PlantedTransport.after_page is not None:
                PlantedTransport.after_page(page)


class Ask(Resolver):
    """A policy that leaves every conflict to a person."""

    name = "ask"

    class Settings(BaseModel):
        """Nothing to set."""

    def __init__(self, settings: BaseModel) -> None:
        del settings

    async def resolve(self, conflict: Conflict) -> Resolution:
        """Defer."""
        del conflict
        return Defer("both sides changed it")


async def greet(name: str, /, *, loud: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Greet somebody.

    :param name: who is greeted
    :param loud: whether to shout
    """
    print(f"hello {name.upper() if loud else name}")
    return 7


def crash() -> None:
    """Meet a bug that has a secret in its text."""
    raise ValueError("canary-secret")


class Polite:
    """A plugin that adds verbs."""

    @hookimpl
    def holdfast_register_cli(self, commands: CommandLine) -> None:
        """Add two verbs."""
        commands.add(greet, name="greet")
        commands.add(crash, name="crash")


class Rude:
    """A plugin that takes a name which is taken."""

    @hookimpl
    def holdfast_register_cli(self, commands: CommandLine) -> None:
        """Add a verb twice."""
        commands.add(greet, name="sync")


class Clumsy:
    """A plugin that fails while it adds its verbs."""

    @hookimpl
    def holdfast_register_cli(self, commands: CommandLine) -> None:
        """Fail."""
        raise RuntimeError("canary-secret")


polite = Polite()
rude = Rude()
clumsy = Clumsy()
