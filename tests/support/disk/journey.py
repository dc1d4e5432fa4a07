"""An application on a disk that fails: it makes its calls, hears of errors, and goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from holdfast.errors import StorageError, UsageError
from holdfast.replica import Replica
from support.disk.machine import Machine
from support.world import ROW

#: Stands in every value that is written, and in no message.
CANARY: Final = "canary"


@dataclass
class Journey:
    """One application's day; ``failed`` has the calls that raised an error of the storage."""

    machine: Machine
    killed: bool = False
    tables: Sequence[Mapping[str, Any]] | None = None
    #: What stands in a column of each row: long enough for pages of its own, or nothing.
    filling: str | None = None
    #: Called when a call has failed.
    noticed: Callable[[], None] = lambda: None
    failed: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Open the replica, work, close it, and once more.

        If it is to be ``killed``, that happens as soon as anything has failed, once.
        """
        for day in range(2):
            try:
                await self._call("open", partial(self._session, day))
            except _Killed:
                await self._call("open", partial(self._session, 1))

    async def _session(self, day: int) -> None:
        async with self.machine.open(self.tables) as replica:
            await self._call("download", replica.download)
            calls = (self._create, self._update, self._read, self._delete)
            for call in calls:
                await self._call(call.__name__, partial(call, replica, day))
            for name in ("pending", "sync", "status"):
                await self._call(name, getattr(replica, name))
            await self._call("create", partial(self._create, replica, day + 2))

    async def _create(self, replica: Replica, number: int) -> None:
        values = {"accountid": _row(number), "name": f"{CANARY} {number}"}
        if self.filling is not None:
            values["address1_city"] = self.filling
        await replica.table("account").create(values)

    async def _update(self, replica: Replica, number: int) -> None:
        await replica.table("account").update(_row(number), {"telephone1": CANARY})

    async def _read(self, replica: Replica, number: int) -> None:
        async for row in replica.table("account").query(f"name eq '{CANARY} {number}'"):
            assert row.id == _row(number)

    async def _delete(self, replica: Replica, number: int) -> None:
        await replica.table("account").delete(_row(number))

    async def _call(self, what: str, call: Callable[[], Awaitable[object]]) -> None:
        """Make a call; what it raises must be of the storage, or follow from what failed before."""
        try:
            await call()
        except StorageError as error:
            self.failed.append(what)
            self.noticed()
            if self.killed and len(self.failed) == 1:
                self.machine.kill()
                raise _Killed from error
            text = str(error)
            if "; " not in text or CANARY in text:
                self.machine.wrong.append(f"{what} does not say what to do, or too much: {text}")
        except UsageError as error:
            if not self.failed:
                self.machine.wrong.append(f"{what} raised {error!r}, and nothing had failed")
        except Exception as error:  # noqa: BLE001  none of these may come out
            self.machine.wrong.append(f"{what} raised {error!r}")


class _Killed(BaseException):
    """Nothing of the process runs any more."""


def _row(number: int) -> str:
    return f"{ROW[:-1]}{number}"
