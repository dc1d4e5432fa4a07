"""A distribution of somebody else replaces our parts, and nothing of holdfast is changed for it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel

from holdfast.contracts import FilterLanguage, Tables
from holdfast.errors import PluginError
from holdfast.filters import Expression
from holdfast.plugins import Plugins
from holdfast.schema import Column, ColumnType, TableSchema

HERE = Path(__file__).parent
TUTORIAL = HERE.parents[1] / "docs" / "plugins.md"
IN_MEMORY = """\
plugins = {plugins}
[storage]
driver = "{storage}"
[transport]
driver = "memory"
[profile]
[[profile.tables]]
name = "account"
{table}
"""
POLICY = """\
from holdfast.contracts import Resolver
from pydantic import BaseModel
class Broken(Resolver):
    class Settings(BaseModel): pass
    async def resolve(self, conflict): pass
"""
REPORT = """
import sys, holdfast, holdfast.errors
try:
    holdfast.open("holdfast.toml")
except holdfast.HoldfastError as error:
    print(error)
print(sorted(name for name in sys.modules if name.startswith(("stranger", "other_"))))
"""


@dataclass(frozen=True)
class Site:
    """Where the stranger is installed, and the folder that it was installed from."""

    packages: Path
    checkout: Path

    def run(
        self, *words: object, folder: Path, packages: tuple[Path, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run Python in a folder where the stranger, and perhaps somebody else, is installed."""
        paths = os.pathsep.join(map(str, (*packages, self.packages)))
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Install the stranger from a copy of its source, with nothing but pip and its backend."""
    folder = tmp_path_factory.mktemp("stranger")
    site = Site(folder / "site", folder / "checkout")
    leftovers = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(HERE / "stranger", site.checkout, ignore=leftovers)
    installed = site.run(
        "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
        "--no-deps", "--no-build-isolation", "--target", site.packages, site.checkout,
        folder=folder,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    return site


def install_by_hand(
    folder: Path, name: str, group: str, modules: Mapping[str, str], *, attribute: str = ""
) -> Path:
    """Install a distribution in which each module is what the entry point of its name names."""
    metadata = folder / f"{name.replace('-', '_')}-3.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.1\n")
    entries = [f"{module} = other_{module}{attribute}\n" for module in modules]
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{''.join(entries)}")
    for module, source in modules.items():
        (folder / f"other_{module}.py").write_text(source)
    return folder


def opening(
    site: Site,
    folder: Path,
    *packages: Path,
    plugins: str = "[]",
    storage: str = "memory",
    table: str = "",
) -> tuple[str, str]:
    """Open a profile in memory; return what was wrong, and the strangers that were imported."""
    text = IN_MEMORY.format(plugins=plugins, storage=storage, table=table)
    (folder / "holdfast.toml").write_text(text)
    ran = site.run("-c", REPORT, folder=folder, packages=packages)
    assert ran.returncode == 0, ran.stderr
    said, _, modules = ran.stdout.strip().rpartition("\n")
    return said, modules


def run_tests(site: Site, folder: Path, *paths: Path) -> None:
    settings = ("-c", site.checkout / "pyproject.toml", "-p", "no:cacheprovider", "-q")
    base = ("--basetemp", folder / "tmp")
    ran = site.run("-m", "pytest", *settings, *base, *paths, folder=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_its_own_tests_and_our_suites_pass(site: Site, tmp_path: Path) -> None:
    run_tests(site, tmp_path, site.checkout / "tests")


def test_a_replica_lives_on_its_parts_alone(site: Site, tmp_path: Path) -> None:
    run_tests(site, tmp_path, HERE / "replaced")


def test_it_imports_public_names_only() -> None:
    for path in sorted(HERE.glob("stranger/**/*.py")) + sorted(HERE.glob("replaced/*.py")):
        for name in imported(path):
            parts = name.split(".")
            private = any(part.startswith("_") for part in parts)
            assert parts[0] != "holdfast" or not private, f"{path.name} imports {name}"
            assert not parts[0].startswith("holdfast_"), f"{path.name} imports {name}"


def imported(path: Path) -> list[str]:
    """Return the dotted names that a module imports, those of modules and of what is in them."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return [name for name in found if not name.startswith("__future__")]


def plugins_of(site: Site, folder: Path) -> dict[tuple[str, str], dict[str, object]]:
    command = "import sys, holdfast_cli; sys.exit(holdfast_cli.main(sys.argv[1:]))"
    ran = site.run("-c", command, "plugins", "--json", folder=folder)
    assert ran.returncode == 0, ran.stderr
    listed = json.loads(ran.stdout)["plugins"]
    return {(each["group"], each["name"]): each for each in listed}


def test_the_command_lists_what_is_installed_and_what_is_in_use(site: Site, tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        'plugins = ["stranger"]\n'
        '[storage]\ndriver = "journal"\npath = "field.journal"\n'
        '[transport]\ndriver = "memory"\n'
        '[[profile.tables]]\nname = "account"\nresolver = "refuse"\n'
    )
    listed = plugins_of(site, tmp_path)
    strangers = {key: each for key, each in listed.items() if each["version"] == "2.5.0"}
    assert {each["distribution"] for each in strangers.values()} == {"holdfast-stranger"}
    assert {each["distribution"] for each in listed.values()} == {"holdfast", "holdfast-stranger"}
    assert {key: each["in_use"] for key, each in strangers.items()} == {
        ("holdfast.storages", "journal"): True,
        ("holdfast.transports", "folder"): False,
        ("holdfast.filters", "plain"): False,
        ("holdfast.resolvers", "longest-text"): False,
        ("holdfast.resolvers", "refuse"): True,
        ("holdfast.plugins", "stranger"): True,
    }
    assert {each["error"] for each in strangers.values()} == {None}


def test_installing_is_not_enabling(site: Site, tmp_path: Path) -> None:
    assert opening(site, tmp_path) == ("", "[]")


def test_a_profile_imports_only_what_it_names(site: Site, tmp_path: Path) -> None:
    said, modules = opening(site, tmp_path, table='resolver = "refuse"')
    assert (said, modules) == ("", "['stranger', 'stranger.resolvers']")


def test_a_name_that_is_not_installed_is_answered_with_those_that_are(
    site: Site, tmp_path: Path
) -> None:
    said, modules = opening(site, tmp_path, storage="journals")
    assert "plugin 'journals': is not installed in holdfast.storages" in said
    assert "installed: journal, memory, sqlite" in said
    assert modules == "[]"


BROKEN = {
    "absent": ("import no_such_driver", "cannot be loaded: No module named 'no_such_driver'"),
    "raising": ("raise RuntimeError('no licence')", "cannot be loaded: no licence"),
    "empty": ("", "cannot be loaded: module 'other_empty' has no attribute 'Broken'"),
    "number": ("Broken = 7", "is no Resolver; its entry point must name a subclass"),
    "abstract": (POLICY.partition("    async")[0], "does not implement resolve"),
    "unset": (f"{POLICY}    Settings = None", "has no Settings"),
    "text": (f"{POLICY}    HOLDFAST_API = '1.0'", "has HOLDFAST_API '1.0'"),
    "minor": (f"{POLICY}    HOLDFAST_API = (1, 1)", "needs plugin API 1.1, this is 1.0"),
    "major": (f"{POLICY}    HOLDFAST_API = (2, 0)", "needs plugin API 2.0, this is 1.0"),
    "older": (f"{POLICY}    HOLDFAST_API = (0, 9)", "needs plugin API 0.9, this is 1.0"),
    "secretive": (
        f"{POLICY}    def __init__(self, settings): raise ValueError('canary-secret')",
        "cannot be made: ValueError",
    ),
}


def test_every_broken_driver_of_a_profile_is_named(site: Site, tmp_path: Path) -> None:
    other = install_by_hand(
        tmp_path / "other",
        "holdfast-broken",
        "holdfast.resolvers",
        {name: source for name, (source, _) in BROKEN.items()},
        attribute=":Broken",
    )
    table = '[[profile.tables]]\nname = "{0}"\nresolver = "{0}"\n'
    said, _ = opening(site, tmp_path, other, table="".join(map(table.format, BROKEN)))
    mistakes = said.splitlines()[1:]
    for number, (name, (_, because)) in enumerate(BROKEN.items(), start=1):
        [mistake] = [line for line in mistakes if f"plugin '{name}': " in line]
        assert f"profile.tables[{number}].resolver: " in mistake
        assert because in mistake
    assert len(mistakes) == len(BROKEN)
    assert "canary" not in said


def test_two_languages_in_use_supply_no_function_of_the_same_name(
    site: Site, tmp_path: Path
) -> None:
    source = "from stranger.plain import PlainLanguage\nclass Plainer(PlainLanguage): pass\n"
    modules = {"plainer": source}
    other = install_by_hand(
        tmp_path / "other", "plainer", "holdfast.filters", modules, attribute=":Plainer"
    )
    said, _ = opening(site, tmp_path, other, table="[filters.plain]\n[filters.plainer]")
    assert "filters.plainer: plugin 'plainer': supplies the function 'plain.sounds-like'" in said
    assert "as 'plain' does" in said


@pytest.mark.parametrize(
    ("source", "because"),
    [
        ("import no_such_module", "cannot be loaded: No module named 'no_such_module'"),
        (
            "import holdfast\n@holdfast.hookimpl\ndef holdfast_resolve_conflict(policy): pass",
            "must be async def, as its spec is",
        ),
        ("import holdfast\n@holdfast.hookimpl\ndef holdfast_open_stroage(): pass", "unknown hook"),
        (
            "import holdfast\n@holdfast.hookimpl\ndef holdfast_open_storage(driver, colour): pass",
            "colour",
        ),
        ("HOLDFAST_API = (1, 1)", "needs plugin API 1.1, this is 1.0"),
    ],
    ids=["import", "colour", "name", "argument", "version"],
)
def test_a_broken_plugin_is_named(site: Site, tmp_path: Path, source: str, because: str) -> None:
    modules = {"broken": source}
    other = install_by_hand(tmp_path / "other", "holdfast-broken", "holdfast.plugins", modules)
    said, _ = opening(site, tmp_path, other, plugins='["broken"]')
    assert "plugins: plugin 'broken': " in said
    assert because in said


def test_a_name_that_two_distributions_provide_is_refused_with_both(
    site: Site, tmp_path: Path
) -> None:
    stolen = {"memory": "", "journal": ""}
    other = install_by_hand(tmp_path / "other", "thief", "holdfast.storages", stolen)
    said, modules = opening(site, tmp_path, other)
    assert "plugin 'memory': is provided twice in holdfast.storages, by holdfast, thief" in said
    assert modules == "[]"
    said, modules = opening(site, tmp_path, other, storage="journal")
    assert "is provided twice in holdfast.storages, by holdfast-stranger, thief" in said
    assert modules == "[]"


def test_this_version_of_the_api_is_good(site: Site, tmp_path: Path) -> None:
    modules = {"good": f"{POLICY}    HOLDFAST_API = (1, 0)\n"}
    other = install_by_hand(
        tmp_path / "other", "good", "holdfast.resolvers", modules, attribute=":Broken"
    )
    found = opening(site, tmp_path, other, table='resolver = "good"')
    assert found == ("", "['other_good']")


class Buggy(FilterLanguage):
    name = "buggy"
    Settings = BaseModel

    def parse(self, source: str, schema: TableSchema, tables: Tables) -> Expression:
        raise IndexError(source)

    def render(self, expression: Expression, schema: TableSchema, tables: Tables) -> str:
        raise IndexError


def test_a_language_with_a_bug_is_named() -> None:
    schema = TableSchema("account", "id", None, (Column("id", ColumnType.UNIQUEIDENTIFIER),))
    plugins = Plugins()
    plugins.use_language("buggy", Buggy(None))
    with pytest.raises(PluginError, match="'buggy': failed on a filter: IndexError"):
        plugins.compile_filter("buggy", "canary-secret", schema, {})


def test_what_the_tutorial_quotes_is_in_the_source() -> None:
    blocks = re.findall(r"```\w+\n(.*?)```", TUTORIAL.read_text("utf-8"), re.DOTALL)
    files = [path for path in HERE.glob("stranger/**/*") if path.suffix in (".py", ".toml", ".md")]
    sources = [path.read_text("utf-8") for path in files]
    assert len(blocks) > 5
    for block in blocks:
        for piece in block.split("    ...\n"):
            assert any(piece.strip("\n") in source for source in sources), piece


def test_the_tutorial_names_files_that_are_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TUTORIAL.read_text("utf-8"))
    assert len(links) > 5
    assert [link for link in links if not (TUTORIAL.parent / link).exists()] == []
