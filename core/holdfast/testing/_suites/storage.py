"""What every storage must do, as a pytest suite that its author subclasses.

Return an *opener* from a fixture: a function that opens the same data each time it is called::

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def opener(self, tmp_path: Path) -> Opener:
            settings = MyStorage.Settings(path="replica.db")

            def open_storage(*, mode: OpenMode = OpenMode.OWNER):
                return MyStorage.open(settings, Context(environment, tmp_path, mode))

            return open_storage

The tests are coroutines: let pytest-asyncio run in auto mode, or mark the class. What survives
``kill -9`` and power loss is for the author to test.
"""

from __future__ import annotations

from holdfast.testing._suites.keeping import KeepingSuite
from holdfast.testing._suites.opening import OpeningSuite
from holdfast.testing._suites.querying import QueryingSuite


class StorageContract(OpeningSuite, KeepingSuite, QueryingSuite):
    """The promises of :class:`holdfast.contracts.Storage`; a subclass gives ``opener``."""
