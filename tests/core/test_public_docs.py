"""Whoever asks for help gets it: public names have docstrings, and the tree of errors is whole."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import errors

ROOT = Path(__file__).parents[2]
MODULES = (
    "holdfast",
    "holdfast.contracts",
    "holdfast.discovery",
    "holdfast.errors",
    "holdfast.filters",
    "holdfast.folding",
    "holdfast.hookspecs",
    "holdfast.model",
    "holdfast.plugins",
    "holdfast.profile",
    "holdfast.queries",
    "holdfast.replica",
    "holdfast.schema",
    "holdfast.status",
    "holdfast.table",
    "holdfast.testing",
    "holdfast.testing.simulation",
    "holdfast.values",
    "holdfast_fetchxml",
    "holdfast_odata",
    "holdfast_policies",
    "holdfast_sqlite",
)
ERRORS = [
    error
    for error in vars(errors).values()
    if inspect.isclass(error) and issubclass(error, Exception) and error.__name__[0] != "_"
]


def _public(module: str) -> Iterator[tuple[str, object]]:
    """Yield the classes and functions that a module offers, by their names."""
    home = importlib.import_module(module)
    listed = getattr(home, "__all__", None)
    for name in listed or [name for name in vars(home) if not name.startswith("_")]:
        thing = getattr(home, name)
        own = listed is not None or getattr(thing, "__module__", None) == module
        if own and (inspect.isclass(thing) or inspect.isfunction(thing)):
            yield f"{module}.{name}", thing


def _members(owner: type) -> Iterator[tuple[str, object]]:
    """Yield what a class itself defines in public: methods and properties."""
    for name, member in vars(owner).items():
        function: object = member
        for inside in ("fget", "func", "__func__"):  # a property, a cached one, a classmethod
            function = getattr(member, inside, function)
        if not name.startswith("_") and inspect.isfunction(function):
            # A dataclass's generated methods and aliases are not written by anybody.
            yield f"{owner.__qualname__}.{name}", getattr(owner, name)


def _undocumented(module: str) -> Iterator[str]:
    for name, thing in _public(module):
        doc = thing.__doc__ or ""
        if not _is_summary(doc) or doc.startswith(f"{thing.__name__}("):  # type: ignore[attr-defined]  # a class or a function; a dataclass writes its signature
            yield name
        if inspect.isclass(thing):
            for member, function in _members(thing):
                # An override without words of its own keeps the contract's.
                if not _is_summary(inspect.getdoc(function) or ""):
                    yield f"{module}.{member}"


def _is_summary(doc: str) -> bool:
    """Tell whether a docstring starts with a line that is a sentence (style 35)."""
    return bool(re.match(r"[A-Z`:{\[\"'].*\.$", doc.partition("\n")[0]))


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring_that_starts_with_a_sentence(module: str) -> None:
    assert _is_summary(importlib.import_module(module).__doc__ or "")
    assert list(_undocumented(module)) == []


def test_no_public_module_is_forgotten_here() -> None:
    there = {
        f"holdfast.{path.stem}"
        for path in (ROOT / "core" / "holdfast").iterdir()
        if not path.name.startswith(("_", "."))
    }
    assert there - {"holdfast.py"} <= set(MODULES)


def _drawn() -> dict[str, str | None]:
    """Return the tree at the top of the module: each error's name and its parent's."""
    parents: list[str] = []
    tree: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)(\w+)(?: {2,}\S.*)?$", line)
        if match:
            depth = len(match[1]) // 4
            tree[match[2]] = parents[depth - 1] if depth else None
            parents[depth:] = [match[2]]
    return tree


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    real = {
        error.__name__: next((base.__name__ for base in error.__mro__[1:] if base in ERRORS), None)
        for error in ERRORS
    }
    assert _drawn() == real


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_raised_somewhere_or_has_kinds_that_are(error: type[Exception]) -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for top in ("core", "plugins")
        for path in (ROOT / top).rglob("*.py")
        if path != Path(errors.__file__)
    ]
    made = re.compile(rf"raise {error.__name__}\b|\b{error.__name__}\(")
    assert any(made.search(source) for source in sources) or error.__subclasses__()
