"""Asks FetchXML and ``$apply`` of an organisation, without a socket in between."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from holdfast_emulator import Dataverse
from holdfast_emulator.wire.api import WebApi
from holdfast_emulator.wire.calls import Call

ROOT = "http://localhost/api/data/v9.2"
ALL = 'odata.include-annotations="*"'


@dataclass(frozen=True)
class Said:
    """What was answered."""

    status: int
    json: dict[str, Any]

    @property
    def value(self) -> list[dict[str, Any]]:
        assert self.status == 200, self.json
        rows: list[dict[str, Any]] = self.json["value"]
        return rows

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])

    def plain(self) -> list[dict[str, Any]]:
        """Return the rows without annotations."""
        return [{key: cell for key, cell in row.items() if "@" not in key} for row in self.value]

    def column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self.value]


class Asker:
    """One user of one organisation."""

    def __init__(self, dataverse: Dataverse, token: str = "demo-token") -> None:
        self.dataverse = dataverse
        self.api = WebApi(dataverse)
        user = dataverse.security.user_of(token)
        assert user is not None
        self.user = user

    def get(self, path: str, prefer: str = "", **options: str) -> Said:
        """Send a GET; ``_`` before an option stands for its dollar."""
        query = "&".join(
            f"{'$' + name[1:] if name[0] == '_' else name}={quote(text)}"
            for name, text in options.items()
        )
        headers = {"prefer": prefer} if prefer else {}
        reply = self.api.answer(Call("GET", path, query, ROOT, self.user, headers))
        return Said(reply.status, json.loads(reply.body))

    def fetch(self, entity_set: str, xml: str, prefer: str = "", **options: str) -> Said:
        return self.get(entity_set, prefer, fetchXml=xml, **options)

    def apply(self, entity_set: str, text: str, prefer: str = "", **options: str) -> Said:
        return self.get(entity_set, prefer, _apply=text, **options)
