"""What the server refuses, with the codes and words of Dataverse.

Invariant: everything that the core refuses is a :class:`DataverseFault`; any other exception is a
bug in the emulator.
"""

from __future__ import annotations

from collections.abc import Sequence
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
SECURED_COLUMN_ON_CREATE: Final = "0x8004f506"
ACCESS_DENIED: Final = "0x80048306"
NOT_A_MEMBER: Final = "0x80072560"
DISABLED_USER: Final = "0x80040225"
IMAGE_REFUSED: Final = "0x80072553"
FILE_TOO_LARGE: Final = "0x80044a02"
NOT_THE_PRIMARY_IMAGE: Final = "0x80090487"
INVALID_ARGUMENT: Final = "0x80040203"
ENTITY_KEY_VIOLATED: Final = "0x80060892"
BAD_KEY_DEFINITION: Final = "0x80060890"
MISSING_BY_KEY: Final = "0x80060891"
DUPLICATE_FOUND: Final = "0x80040333"
NO_SUCH_MESSAGE: Final = "0x80040800"
UNEXPECTED: Final = "0x80040216"


class DataverseFault(Exception):
    """The answer to a request that Dataverse does not fulfil: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


def unexpected(error: Exception) -> DataverseFault:
    """Say that a plug-in, or the emulator itself, is broken."""
    reason = f"{type(error).__name__}: {error}"
    return DataverseFault(500, UNEXPECTED, f"An unexpected error occurred. ({reason[:1000]})")


def missing_row(table: str, row_id: str) -> DataverseFault:
    """Say that no row has this id."""
    return DataverseFault(404, MISSING_ROW, f"{table} With Id = {row_id} Does Not Exist")


def missing_rows(table: str, ids: Sequence[str]) -> DataverseFault:
    """Say that some of many rows are not there."""
    return DataverseFault(404, MISSING_ROW, f"{table} With Ids = {', '.join(ids)} Do Not Exist")


def duplicate_key() -> DataverseFault:
    """Say that a row with this id is there already."""
    return DataverseFault(412, DUPLICATE_KEY, "A record with matching key values already exists.")


def entity_key_violated(key: str, columns: str) -> DataverseFault:
    """Say that another row has the same values in the columns of an alternate key."""
    return DataverseFault(
        412,
        ENTITY_KEY_VIOLATED,
        f"Entity Key {key} violated. A record with the same value for {columns} already exists. "
        "A duplicate record cannot be created. Select one or more unique values and try again.",
    )


def missing_by_key(table: str) -> DataverseFault:
    """Say that no row has these values of an alternate key."""
    return DataverseFault(
        404,
        MISSING_BY_KEY,
        f"A record with the specified key values does not exist in {table} entity",
    )


def bad_key(table: str) -> DataverseFault:
    """Say that the columns named in a key are no key of the table."""
    return DataverseFault(
        400,
        BAD_QUERY,
        f"The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{table}'. "
        "Ensure that the names and number of key properties match the declared or alternate key "
        "properties for the resource.",
    )


def duplicate_found() -> DataverseFault:
    """Say that duplicate detection, which the caller asked for, found a row like this one."""
    return DataverseFault(
        412,
        DUPLICATE_FOUND,
        "A record was not created or updated because a duplicate of the current record already "
        "exists.",
    )


def no_such_message(message: str, table: str) -> DataverseFault:
    """Refuse to do to the rows of a table what only the platform does to them."""
    return DataverseFault(
        400,
        NO_SUCH_MESSAGE,
        f"The '{message}' method does not support entities of type '{table}'. "
        "MessageProcessorCache returned MessageProcessor.Empty.",
    )


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


def secured_column(
    user_id: str, column: str, table: str, *, creating: bool = False
) -> DataverseFault:
    """Refuse to write a column that is closed to the caller."""
    if creating:
        return DataverseFault(
            403,
            SECURED_COLUMN_ON_CREATE,
            f"Caller user with Id {user_id} does not have create permissions to a {column} secured "
            f"field on entity {table}.",
        )
    return DataverseFault(
        403,
        SECURED_COLUMN,
        f"Caller user with Id {user_id} does not have update permissions to a {column} secured "
        f"field on entity {table}.",
    )


def missing_privilege(
    user_id: str, name: str, privilege_id: str, where: str = ""
) -> DataverseFault:
    """Refuse who does not have a privilege at all; ``where`` names the table."""
    return DataverseFault(
        403,
        PRIVILEGE_DENIED,
        f"Principal user (Id={user_id}, type=8, roleCount=1, privilegeCount=465, accessMode=0), is "
        f"missing {name} privilege (Id={privilege_id}){where}. context.Caller={user_id}",
    )


def missing_access(user_id: str, right: str, table: str, row_id: str) -> DataverseFault:
    """Refuse who has the privilege, but not for this row."""
    return DataverseFault(
        403,
        ACCESS_DENIED,
        f"Principal with id {user_id} does not have {right}Access right(s) for record with id "
        f"{row_id} of entity {table}",
    )


def not_organization_wide(
    user_id: str, unit: str, privilege: str, privilege_id: str
) -> DataverseFault:
    """Refuse who reads less than the whole table where nothing less will do."""
    return DataverseFault(
        403,
        PRIVILEGE_DENIED,
        f"SecLib::CheckPrivilege failed. User: {user_id}, PrivilegeName: {privilege}, "
        f"PrivilegeId: {privilege_id}, Required Depth: Global, BusinessUnitId: {unit}, "
        "MetadataCache Privileges Count: 4521",
    )


def not_a_member() -> DataverseFault:
    """Refuse whom a token signs in without their being a user here."""
    return DataverseFault(403, NOT_A_MEMBER, "The user is not a member of the organization.")


def disabled_user(user_id: str) -> DataverseFault:
    """Refuse a user who was disabled."""
    return DataverseFault(
        403,
        DISABLED_USER,
        f"The specified user(Id = {user_id}) is disabled. Consider enabling this user. Additional "
        "Details: UserNotEnabled",
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


def image_refused(reason: str) -> DataverseFault:
    """Refuse what cannot be stored as an image."""
    return DataverseFault(
        400, IMAGE_REFUSED, f"Error occured when processing image. Reason: {reason}"
    )


def invalid_argument(message: str) -> DataverseFault:
    """Refuse what a message was called with."""
    return DataverseFault(400, INVALID_ARGUMENT, message)


def file_with_row(column: str) -> DataverseFault:
    """Refuse a file among the other values of a row."""
    return invalid_argument(
        f"The file column '{column}' cannot be set with the row; upload the file to it."
    )
