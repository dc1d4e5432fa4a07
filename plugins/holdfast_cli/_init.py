"""The profile that ``holdfast init`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from holdfast.errors import StorageError, UsageError
from holdfast_cli._plain import CONTROLS

_TEMPLATE: Final = """\
# What is kept offline, where, and who wins. `holdfast status` shows what became of it.

plugins = []                        # further plugins to enable, by name: `holdfast plugins`

[storage]
driver = "sqlite"
path = {path}

[transport]
driver = "dataverse"
url = {url}
credential = "environment"          # from AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET …
# credential = "device-code"        # sign in with a browser, on any device
# credential = "token"              # with token_env = "NAME" or token_file = "path";
#                                   # for `holdfast emulator`: token = "demo-token"

[profile]
name = "Field work"
conflict_detection = false          # a conflict is won by: false, you; true, the server
sync_interval = "10m"               # from "5m" to "1d"

[[profile.tables]]
name = "account"
filter = {{ odata = "statecode eq 0" }}   # leave it out to keep all rows
columns = ["name", "telephone1", "emailaddress1", "primarycontactid"]

# [[profile.tables]]
# name = "contact"
# rows = ["related"]                # only contacts that a kept account points to
# related = ["account_primary_contact"]
# resolver = "server-wins"          # this table's own policy
# sync_interval = "5m"
"""


def write(profile: Path, *, url: str, path: str) -> None:
    """Write a new profile.

    :raises UsageError: there is one already
    :raises StorageError: it cannot be written
    """
    text = _TEMPLATE.format(url=_quoted(url), path=_quoted(path))
    try:
        with profile.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"{profile} is there already; it was left as it is, name another with --profile"
        ) from None
    except OSError as error:
        raise StorageError(
            f"{profile} cannot be written: {error.strerror}; name another with --profile"
        ) from error


def _quoted(text: str) -> str:
    if CONTROLS.search(text):
        raise UsageError("the value holds control characters; leave them out")
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML string
