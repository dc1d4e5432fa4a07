"""S-25: nothing that was read is ever run: no pickles, no YAML of objects, no evaluation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for top in ("core", "plugins", "contrib") for p in (ROOT / top).rglob("*.py"))
#: Modules that run what they read, or lead to one that does.
MODULES = frozenset(
    {
        *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"),
        *("yaml", "ruamel", "jsonpickle", "imp", "code", "codeop", "runpy", "xmlrpc"),
    }
)
CALLS = frozenset({"eval", "exec", "compile", "__import__", "execfile"})
#: What is run or imported there is written there: from a table of the module, or (the filters) of
#: generated names alone, which ``tests/core/test_filters.py`` sees to.
WRITTEN_THERE = {
    "core/holdfast/filters/_compiled.py": {"exec", "compile"},
    "core/holdfast/__init__.py": {"import_module"},
    "core/holdfast/testing/__init__.py": {"import_module"},
    "contrib/holdfast_emulator/__init__.py": {"import_module"},
}


def runs_data(tree: ast.AST) -> Iterator[str]:
    """Yield what in a module could run what it is given."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names if one.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield name
            case ast.Attribute(attr="__import__" | "__reduce__" | "__reduce_ex__" as name):
                yield name
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[argument, *_],
            ) if not isinstance(argument, ast.Constant):
                yield "import_module"
            case ast.Call(keywords=keywords):
                for one in keywords:
                    if one.arg == "shell" and not _is_false(one.value):
                        yield "shell"
            case _:
                pass


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_runs_what_it_reads(path: Path) -> None:
    found = set(runs_data(ast.parse(path.read_text(encoding="utf-8"))))
    assert found == WRITTEN_THERE.get(path.relative_to(ROOT).as_posix(), set())


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from yaml import load",
        "import a, shelve as b",
        "eval(x)",
        "exec(x)",
        "__import__(x)",
        "builtins.__import__(x)",
        "compile(x, '', 'exec')",
        "importlib.import_module(name)",
        "import_module(f'{name}')",
        "subprocess.run(x, shell=True)",
        "def f():\n    import marshal",
    ],
)
def test_the_lint_sees_what_it_is_for(text: str) -> None:
    assert list(runs_data(ast.parse(text)))


@pytest.mark.parametrize("text", ["re.compile(x)", "importlib.import_module('a')", "import json"])
def test_the_lint_lets_the_rest_be(text: str) -> None:
    assert not list(runs_data(ast.parse(text)))
