"""``$filter`` and ``$orderby`` of the Web API: from text to conditions with the metadata resolved.

Here live the words and limits of the syntax; what a condition means is known elsewhere.
"""

from holdfast_emulator.queries.odata.orderby import order_of
from holdfast_emulator.queries.odata.parse import parse_filter

__all__ = ["order_of", "parse_filter"]
