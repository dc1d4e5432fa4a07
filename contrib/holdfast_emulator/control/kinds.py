"""The kinds of fault, each with the one line that says what it does.

Invariant: a kind is a name and a line here, and one small function in the module that plays it; a
kind meant for some requests only strikes no others.
"""

from __future__ import annotations

from enum import Enum
from typing import Self


class Meant(Enum):
    """Which requests a kind of fault is meant for."""

    ANY = "any"
    READ = "read"  # GET
    DELTA = "delta"  # what follows a delta link
    BATCH = "batch"  # $batch


class FaultKind(Enum):
    """What goes wrong."""

    _value_: str
    line: str
    meant: Meant

    def __new__(cls, value: str, line: str, meant: Meant = Meant.ANY) -> Self:
        """Make a kind: its name, its line, and the requests that it is meant for."""
        made = object.__new__(cls)
        made._value_ = value
        made.line, made.meant = line, meant
        return made

    # the connection
    REFUSE_CONNECTION = (
        "refuse-connection",
        "the connection breaks, and new ones are refused for `seconds`",
    )
    LOSE_REQUEST = "lose-request", "the connection closes before anything is carried out"
    LOSE_REPLY = "lose-reply", "it is carried out, then the connection closes without a byte"
    LOSE_REPLY_AND_EDIT = (
        "lose-reply-and-edit",
        "as `lose-reply`, and somebody else edits the rows that it wrote",
    )
    LOSE_REPLY_AND_DELETE = (
        "lose-reply-and-delete",
        "as `lose-reply`, and somebody else deletes the rows that it wrote",
    )
    LATE_REQUEST = (
        "late-request",
        "the connection closes; it is carried out after the next request like it",
    )
    DUPLICATE_REQUEST = (
        "duplicate-request",
        "a proxy sends it twice; the first reply comes back",
    )
    DELAY = "delay", "the reply takes `seconds` longer"
    SLOW_BODY = "slow-body", "the body comes byte by byte, `seconds` after each (1 by default)"
    CUT_BODY = "cut-body", "it is carried out, and the connection closes inside the reply"
    SHORT_LENGTH = "short-length", "Content-Length is half of what comes"
    LONG_LENGTH = "long-length", "Content-Length is more than what comes"
    BAD_CHUNK = "bad-chunk", "the body comes in chunks, and one has no length"
    GZIP_BOMB = "gzip-bomb", "a small gzip body that is `size` bytes long once inflated"
    # somebody between client and server, and servers that cannot
    CAPTIVE_PORTAL = "captive-portal", "200 with a page of HTML that is not the server's"
    REDIRECT = "redirect", "302 to `url`, which is another host by default"
    THROTTLE = "throttle", "429 with Retry-After, nothing is carried out"
    THROTTLE_UNTIL = "throttle-until", "429 with Retry-After as a date, `retry_after` seconds ahead"
    THROTTLE_ABSURDLY = "throttle-absurdly", "429 that asks to wait for three thousand years"
    THROTTLE_SILENTLY = "throttle-silently", "429 without Retry-After"
    UNAVAILABLE = "unavailable", "503 with Retry-After, nothing is carried out"
    DEADLOCK = (
        "deadlock",
        "500, the database chose this request to give way; nothing is carried out",
    )
    ERROR_AFTER = "error-after", "it is carried out, and answered with 500"
    BAD_GATEWAY_AFTER = "bad-gateway-after", "it is carried out, and answered with 502"
    TIMEOUT_AFTER = "timeout-after", "it is carried out, and answered with 504"
    # refusals
    REFUSE = "refuse", "`status`, `code` and `message`, nothing is carried out"
    EXPIRE_TOKEN = "expire-token", "401, as for a token that has run out"
    FORBID_TABLE = "forbid-table", "403, as for a table that the user has no privilege for"
    FORBID_ROW = "forbid-row", "403, as for a row that the user does not reach"
    LOSE_TABLE = "lose-table", "404, as for an entity set that is gone"
    LOSE_ROW = "lose-row", "404, as for a row that is gone"
    REFUSE_VALUES = "refuse-values", "400, as for values that do not fit"
    REFUSE_VERSION = "refuse-version", "412, as for a row that has moved on"
    DUPLICATE_ID = "duplicate-id", "412, as for an id that is taken"
    DUPLICATE_KEY = "duplicate-key", "412, as for an alternate key that is taken"
    TOO_LARGE = "too-large", "413, the body is too large"
    TOO_LONG = "too-long", "414, the URL is too long"
    EXPIRE_DELTA = "expire-delta", "a delta link that has run out", Meant.DELTA
    DELTA_GONE = "delta-gone", "410, as other OData servers answer a dead delta link", Meant.DELTA
    # what happens to the organisation before it answers
    FORGET_CHANGES = "forget-changes", "every delta token given out before expires at once"
    RESTORE_BACKUP = "restore-backup", "`baseline` is restored, versions go back with it"
    REMAKE_ORGANISATION = "remake-organisation", "another organization id, at the same address"
    SKEW_DATE = "skew-date", "the Date header is `seconds` off"
    # pages and links
    EMPTY_BODY = "empty-body", "200 without a body", Meant.READ
    NO_CONTENT = "no-content", "204 where a page is expected", Meant.READ
    EMPTY_PAGE = "empty-page", "a page without rows and links, whatever there is", Meant.READ
    CUT_JSON = "cut-json", "200 with half of the JSON, and the length of that half"
    LOOP_LINK = "loop-link", "the next link leads to the page that it stands on", Meant.READ
    ENDLESS_LINK = "endless-link", "there is always a next link, each time another", Meant.READ
    FOREIGN_LINK = "foreign-link", "the next link leads to `url`, another host", Meant.READ
    SKIP_ROW = "skip-row", "the last row of a page is not on it", Meant.READ
    REPEAT_ROW = "repeat-row", "a page starts with the last row of the page before", Meant.READ
    DUPLICATE_ROWS = "duplicate-rows", "each row stands on its page twice", Meant.READ
    DELETE_UNKNOWN = "delete-unknown", "a delta deletes an id that never was", Meant.READ
    DELETE_LIVING = "delete-living", "a delta has its first row as deleted, too", Meant.READ
    FAT_ROWS = "fat-rows", "each row gets a text of `size` characters", Meant.READ
    # the first row of a reply
    LOSE_KEY = "lose-key", "the row has no primary id", Meant.READ
    LOSE_ETAG = "lose-etag", "the row has no etag", Meant.READ
    LOSE_COLUMN = "lose-column", "the row lacks `column`", Meant.READ
    UNKNOWN_COLUMN = "unknown-column", "the row has a column that nobody knows", Meant.READ
    WRONG_TYPE = "wrong-type", "`column` has a value of another type", Meant.READ
    LONG_TEXT = "long-text", "`column` is a text of `size` characters", Meant.READ
    LONE_SURROGATE = "lone-surrogate", "`column` is half of a surrogate pair", Meant.READ
    NUL_CHARACTER = "nul-character", "`column` has a NUL character", Meant.READ
    BAD_UTF8 = "bad-utf8", "`column` is no UTF-8", Meant.READ
    BIG_INTEGER = "big-integer", "`column` is an integer above 64 bits", Meant.READ
    NOT_A_NUMBER = "not-a-number", "`column` is NaN, which is no JSON", Meant.READ
    HUGE_NUMBER = "huge-number", "`column` is 1e400", Meant.READ
    DUPLICATE_MEMBER = "duplicate-member", "`column` stands in its row twice", Meant.READ
    DEEP_NESTING = "deep-nesting", "`column` is arrays in arrays, 100000 deep", Meant.READ
    XML_ENTITIES = "xml-entities", "XML that declares entities in entities", Meant.READ
    # batches
    BATCH_FEWER = "batch-fewer", "the reply lacks its last part", Meant.BATCH
    BATCH_MORE = "batch-more", "the reply has its last part twice", Meant.BATCH
    BATCH_ORDER = "batch-order", "the parts of the reply come in the reverse order", Meant.BATCH


def kinds() -> list[dict[str, str]]:
    """Return all kinds for a page that lists them."""
    return [{"kind": k.value, "does": k.line, "meant for": k.meant.value} for k in FaultKind]
