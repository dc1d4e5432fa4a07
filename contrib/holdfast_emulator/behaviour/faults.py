"""What the server refuses, with the codes and words of Dataverse.

Invariant: everything that the core refuses is a :class:`DataverseFault`; any other exception is a
bug in the emulator.
"""

from __future__ import annotations

from typing import Final

MISSING_ROW: Final = "0x80040217"
DUPLICATE_KEY: Final = "0x80040237"
VERSION_MISMATCH: Final = "0x80060882"
CONCURRENCY_NOT_ENABLED: Final = "0x8006088d"
PRIVILEGE_DENIED: Final = "0x80040220"
BAD_PAYLOAD: Final = "0x80048d19"
BAD_QUERY: Final = "0x80060888"
TOO_LONG: Final = "0x80044331"
INTEGER_OUT_OF_RANGE: Final = "0x8004432f"
NUMBER_OUT_OF_RANGE: Final = "0x80044330"
UNKNOWN_OPTION: Final = "0x8004431a"
BAD_DATE: Final = "0x80040239"
BAD_STATUS: Final = "0x80048408"
RESTRICTED_DELETE: Final = "0x80040227"
NOT_TRACKED: Final = "0x80072491"
EXPIRED_VERSION: Final = "0x80044352"
TOO_MANY_CONDITIONS: Final = "0x8004430c"
SQL_ERROR: Final = "0x80044150"
SECURED_COLUMN: Final = "0x8004f507"


class DataverseFault(Exception):
    """The answer to a request that Dataverse does not fulfil: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


def missing_row(table: str, row_id: str) -> DataverseFault:
    """Say that no row has this id."""
    return DataverseFault(404, MISSING_ROW, f"{table} With Id = {row_id} Does Not Exist")


def duplicate_key() -> DataverseFault:
    """Say that a row with this id is there already."""
    return DataverseFault(412, DUPLICATE_KEY, "A record with matching key values already exists.")


def version_mismatch() -> DataverseFault:
    """Say that the row has moved on since the caller saw it."""
    return DataverseFault(
        412,
        VERSION_MISMATCH,
        "The version of the existing record doesn't match the RowVersion property provided.",
    )


def bad_payload(entity_set: str, reason: str) -> DataverseFault:
    """Say that the body cannot be read as a row of this table."""
    return DataverseFault(
        400,
        BAD_PAYLOAD,
        f"Error identified in Payload provided by the user for Entity :'{entity_set}', For more "
        "information on this error please follow this help link "
        "https://go.microsoft.com/fwlink/?linkid=2195293 ----> InnerException : "
        f"Microsoft.OData.ODataException: {reason}",
    )


def unknown_property(table: str, name: str) -> DataverseFault:
    """Say that a query names a column that the table does not have."""
    return DataverseFault(
        400,
        BAD_QUERY,
        f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'.",
    )


def unknown_segment(name: str) -> DataverseFault:
    """Say that there is no such table or entity set."""
    return DataverseFault(404, BAD_QUERY, f"Resource not found for the segment '{name}'.")


def validation_error(code: str, message: str) -> DataverseFault:
    """Say that a value does not fit its column."""
    return DataverseFault(400, code, f"A validation error occurred. {message}")


def expired_version() -> DataverseFault:
    """Say that the delta token is too old to be answered."""
    return DataverseFault(
        400,
        EXPIRED_VERSION,
        "Version stamp associated with the client has expired. Please perform a full sync.",
    )


def deadlock() -> DataverseFault:
    """Say that the database undid this request to let another one pass; it may be repeated."""
    return DataverseFault(
        500, SQL_ERROR, "Sql error: Generic SQL error. CRM ErrorCode: -2147204784 Sql Number: 1205"
    )


def secured_column(user_id: str, column: str, table: str) -> DataverseFault:
    """Refuse to write a column that is hidden from the caller."""
    return DataverseFault(
        403,
        SECURED_COLUMN,
        f"Caller user with Id {user_id} does not have update permissions to a {column} secured "
        f"field on entity {table}.",
    )


def concurrency_not_enabled(table: str) -> DataverseFault:
    """Refuse a condition on the version of rows that have none to speak of."""
    return DataverseFault(
        400,
        CONCURRENCY_NOT_ENABLED,
        f"Optimistic concurrency isn't enabled for entity type {table}. The IfVersionMatches value "
        "of ConcurrencyBehavior can only be used if optimistic concurrency is enabled.",
    )


def not_tracked(table: str) -> DataverseFault:
    """Refuse to tell changes of a table that does not track them."""
    return DataverseFault(400, NOT_TRACKED, f"Entity {table} isn't enabled for change tracking.")


def bad_token(token: str) -> DataverseFault:
    """Refuse a delta token or a position that this server never gave out."""
    return DataverseFault(400, BAD_QUERY, f"The delta token '{token}' is not valid.")
