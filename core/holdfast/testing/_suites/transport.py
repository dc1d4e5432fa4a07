"""What every transport must do, as a pytest suite that its author subclasses.

Write a :class:`TransportHarness` for your server and return it from a fixture::

    class TestMyTransport(TransportContract):
        @pytest.fixture
        def harness(self) -> TransportHarness:
            return MyHarness()

The tests are coroutines: let pytest-asyncio run in auto mode, or mark the class. What the transport
says it cannot do (``Capabilities``) is skipped.
"""

from __future__ import annotations

from holdfast.testing._suites.reading import ReadingSuite
from holdfast.testing._suites.writing import WritingSuite


class TransportContract(ReadingSuite, WritingSuite):
    """The promises of :class:`holdfast.contracts.Transport`; a subclass gives ``harness``."""
