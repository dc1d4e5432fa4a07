"""What the reference pages list is what the code has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from holdfast._plan import rows
from holdfast.profile import Profile, ProfileSection, TableRule
from holdfast_dataverse._credentials import _TAKES_CLIENT, _TAKES_TENANT
from holdfast_dataverse._settings import CredentialName, Settings

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    """Return a page of the documentation."""
    return (ROOT / name).read_text(encoding="utf-8")


def chapter(text: str, heading: str) -> str:
    """Return what stands under a heading."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def listed(text: str) -> set[str]:
    """Return the names in the first column of the tables of a text."""
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize(
    ("heading", "model"), [("`[profile]`", ProfileSection), ("`[[profile.tables]]`", TableRule)]
)
def test_the_profile_page_lists_every_key(
    heading: str, model: type[ProfileSection | TableRule]
) -> None:
    assert listed(chapter(page("docs/profile.md"), heading)) == set(model.model_fields)


def test_the_profile_page_lists_every_section() -> None:
    found = {
        name.strip("[]").split(".")[0]
        for name in listed(chapter(page("docs/profile.md"), "Sections"))
    }
    assert found == set(Profile.model_fields)


def test_the_transport_lists_every_key() -> None:
    assert set(Settings.model_fields) <= listed(page("plugins/holdfast_dataverse/README.md"))


def test_the_way_to_dataverse_knows_every_credential_and_what_it_takes() -> None:
    text = chapter(page("docs/dataverse.md"), "2. Choose how to sign in")
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")][1:]
    takes = {
        name: set(re.findall(r"`(\w+)`", taken))
        for names, _, taken in lines
        for name in re.findall(r"`([\w-]+)`", names)
    }
    for name in get_args(CredentialName):
        keys = {"token", "token_env", "token_file"} if name == "token" else set()
        keys |= {"tenant_id"} if name in _TAKES_TENANT else set()
        keys |= {"client_id"} if name in _TAKES_CLIENT else set()
        assert takes.pop(name) == keys, name
    assert not takes


def test_the_example_of_the_way_to_dataverse_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page("docs/dataverse.md"), re.DOTALL)
    section = tomllib.loads(example)["transport"]
    assert section.pop("driver") == "dataverse"
    assert Settings.model_validate(section).credential == "device-code"


def test_the_architecture_lists_every_module_of_the_core() -> None:
    core = ROOT / "core" / "holdfast"
    there = {path.stem for path in core.glob("*.py")} | {
        f"_plan/{path.stem}" for path in (core / "_plan").glob("*.py")
    }
    there -= {"__init__", "_plan/__init__"}
    assert listed(chapter(page("docs/architecture.md"), "Rooms")) == there | {"filters", "testing"}


def test_the_architecture_lists_every_transition_of_a_row() -> None:
    text = chapter(page("docs/architecture.md"), "One row, one state machine")
    source = Path(rows.__file__).read_text(encoding="utf-8")
    transitions = set(re.findall(r"^def ([a-z]\w+)\(state: RowState", source, re.MULTILINE))
    assert listed(text) == transitions
