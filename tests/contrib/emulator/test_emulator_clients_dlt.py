"""dlt, what Python users pull with, pages through the emulator with its ``rest_api`` source."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast_emulator import Dataverse, Sample
from support.emulated import serving
from support.microsoft_sdk import TOKEN

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
#: In a process of its own: dlt warns, logs and keeps state as suits it; here warnings are errors.
SCRIPT = """
import json, sys
from dlt.sources.rest_api import rest_api_resources

url, token = sys.argv[1:]
accounts, contacts = rest_api_resources({
    "client": {
        "base_url": f"{url}/api/data/v9.2/",
        "auth": {"type": "bearer", "token": token},
        "headers": {"Prefer": "odata.maxpagesize=7"},
        "paginator": {"type": "json_link", "next_url_path": "['@odata.nextLink']"},
    },
    "resource_defaults": {"endpoint": {"data_selector": "value"}},
    "resources": [
        {"name": "accounts", "endpoint": {"path": "accounts", "params": {
            "$select": "name,revenue", "$orderby": "name desc", "$filter": "revenue gt 1000"}}},
        {"name": "contacts", "endpoint": {"path": "contacts", "params": {"$select": "fullname"}}},
    ],
})
print(json.dumps({
    "accounts": [row["accountid"] for row in accounts],
    "contacts": [row["contactid"] for row in contacts],
}))
"""


@pytest.mark.timeout(120)
def test_dlt_follows_next_links_to_the_end(tmp_path: Path) -> None:
    dataverse = Dataverse(lambda: START)
    Sample(200, START).load(dataverse)
    rows = [(row.id, row["revenue"]) for row in dataverse.scan("account")]
    rich = [row_id for row_id, revenue in rows if isinstance(revenue, Decimal) and revenue > 1000]
    with serving(dataverse) as server:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, server.url, TOKEN],
            env={
                "HOME": str(tmp_path),
                "DLT_DATA_DIR": str(tmp_path),
                "RUNTIME__DLTHUB_TELEMETRY": "false",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        pages = [one for one in server.trace if str(one["url"]).startswith("contacts")]
    found = json.loads(done.stdout.splitlines()[-1])
    assert sorted(found["accounts"]) == rich
    assert found["contacts"] == [row.id for row in dataverse.scan("contact")]
    assert len(pages) == 10
