"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from pathlib import Path

import pytest

from holdfast import hookspecs

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOOKS = [name for name in vars(hookspecs) if name.startswith("holdfast_")]
SOURCES = sorted(
    path for top in ("core", "plugins", "contrib") for path in (ROOT / top).rglob("*.py")
)


def test_the_linter_knows_every_private_module_of_the_core() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    listed = next(c for c in contracts if c["name"] == "plugins use only the public modules")
    there = {
        f"holdfast.{path.stem}"
        for path in (ROOT / "core" / "holdfast").iterdir()
        if path.name.startswith("_") and not path.name.startswith("__")
    }
    assert set(listed["forbidden_modules"]) == there


def test_the_linter_knows_every_package() -> None:
    there = {
        path.name
        for top in ("core", "plugins", "contrib")
        for path in (ROOT / top).iterdir()
        if (path / "__init__.py").exists()
    }
    assert set(PYPROJECT["tool"]["importlinter"]["root_packages"]) == there


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_is_documented_with_its_signature(hook: str) -> None:
    spec = getattr(hookspecs, hook)
    signature = f"`{hook}({', '.join(inspect.signature(spec).parameters)})`"
    assert signature in (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_says_its_kind_and_since_when(hook: str) -> None:
    doc = inspect.getdoc(getattr(hookspecs, hook)) or ""
    assert re.search(r"^Kind: (open|compile|decision|event|around|register)\.", doc, re.MULTILINE)
    assert re.search(r"Since \d+\.\d+\.", doc)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_has_one_idea_and_a_function_fits_the_screen(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def test_every_package_is_typed() -> None:
    for package in PYPROJECT["tool"]["importlinter"]["root_packages"]:
        assert list(ROOT.glob(f"*/{package}/py.typed")), package


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_links_between_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/*/README.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("top", ["core", "plugins"])
def test_nobody_asks_a_loop_for_threads(top: str) -> None:
    """A linter that follows imports cannot see a method of whatever loop is running."""
    for path in (ROOT / top).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "run_in_executor"), path
