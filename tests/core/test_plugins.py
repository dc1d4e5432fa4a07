"""Discovery: what is installed is listed, what is named is loaded, what is wrong says why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from holdfast import _setup
from holdfast.contracts import Resolver, Storage
from holdfast.discovery import PLUGINS, RESOLVERS, STORAGES, Catalogue
from holdfast.errors import PluginError, ProfileError
from holdfast.plugins import Plugins

GOOD = """
    from pydantic import BaseModel
    from holdfast.contracts import Resolver
    from holdfast.model import KeepRemote

    class Settings(BaseModel):
        pass

    class Coin(Resolver):
        name = "coin"
        Settings = Settings

        async def resolve(self, conflict):
            return KeepRemote()
"""


class Site:
    """A folder on ``sys.path`` in which tiny distributions are installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def install(
        self, name: str, group: str, entry: str, code: str = GOOD, *, dist: str | None = None
    ) -> None:
        """Install a module and its entry point ``name = module:object``."""
        module = entry.partition(":")[0]
        (self.folder / f"{module}.py").write_text(dedent(code), encoding="utf-8")
        info = self.folder / f"{dist or module}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {dist or module}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry}\n")
        self.modules.append(module)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A place to install into, and nothing of it afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Site(tmp_path)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def refusal(group: str, name: str, kind: type = Resolver) -> str:
    """Return why a driver cannot be had."""
    with pytest.raises(PluginError) as caught:
        Catalogue().load_driver(group, name, kind)
    assert caught.value.plugin == name
    return str(caught.value)


def test_a_strangers_driver_is_found_by_its_name(site: Site) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin")
    assert "coin" in Catalogue().names(RESOLVERS)
    assert Catalogue().load_driver(RESOLVERS, "coin", Resolver).__name__ == "Coin"


def test_a_profile_can_use_it_at_once(site: Site) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin")
    data: dict[str, Any] = {
        "storage": {"driver": "memory"},
        "transport": {"driver": "memory"},
        "profile": {"tables": [{"name": "account", "resolver": "coin"}]},
    }
    setup = _setup.build("p", data, site.folder)
    listed = {(i.group, i.name): i for i in Catalogue().installed(setup.in_use)}
    coin = listed[RESOLVERS, "coin"]
    assert (coin.distribution, coin.version, coin.in_use, coin.error) == (
        "hf_coin",
        "1.5",
        True,
        None,
    )
    assert not listed[RESOLVERS, "server-wins"].in_use


def test_a_driver_that_is_not_installed_says_what_is() -> None:
    says = refusal(RESOLVERS, "nope")
    assert "is not installed in holdfast.resolvers; installed: " in says
    assert "client-wins, " in says


def test_nothing_but_the_chosen_one_is_imported(site: Site) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin")
    site.install("bomb", RESOLVERS, "hf_bomb:Bomb", "raise SystemExit('imported')")
    Catalogue().load_driver(RESOLVERS, "coin", Resolver)
    found = {i.name: i for i in Catalogue().installed({RESOLVERS: ["coin"]})}
    assert "hf_bomb" not in sys.modules
    assert (found["bomb"].in_use, found["bomb"].error) == (False, None)


def test_a_name_that_two_provide_is_refused_with_both(site: Site) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin")
    site.install("coin", RESOLVERS, "hf_coin2:Coin")
    says = refusal(RESOLVERS, "coin")
    assert "is provided twice in holdfast.resolvers, by hf_coin, hf_coin2; uninstall one" in says


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise ValueError('boom')", "boom"),
        ("assert 1 == 2, 'impossible'", "impossible"),
        ("assert 1 == 2", "AssertionError"),
        ("def x(:", "invalid syntax"),
        ("Other = 1", "Coin"),
    ],
)
def test_a_driver_that_cannot_be_imported_says_why(site: Site, code: str, says: str) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin", code)
    message = refusal(RESOLVERS, "coin")
    assert "(hf_coin:Coin) cannot be loaded" in message
    assert says in message
    (listed,) = [i for i in Catalogue().installed({RESOLVERS: ["coin"]}) if i.name == "coin"]
    assert says in (listed.error or "")


@pytest.mark.parametrize("wanted", [(1, 99), (2, 0), (0, 9)])
def test_another_version_of_the_api_is_refused_with_both_numbers(
    site: Site, wanted: tuple[int, int]
) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin", f"{GOOD}\n        HOLDFAST_API = {wanted}\n")
    says = refusal(RESOLVERS, "coin")
    assert f"needs plugin API {wanted[0]}.{wanted[1]}, this is 1.0; upgrade holdfast" in says


def test_the_version_it_was_made_for_is_fine(site: Site) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin", f"{GOOD}\n        HOLDFAST_API = (1, 0)\n")
    assert Catalogue().load_driver(RESOLVERS, "coin", Resolver)


@pytest.mark.parametrize("wanted", ["1", "'1.0'", "[1, 0]", "(1,)", "('1', '0')", "None"])
def test_a_version_that_is_no_version_is_refused(site: Site, wanted: str) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin", f"{GOOD}\n        HOLDFAST_API = {wanted}\n")
    assert "two numbers are wanted: (1, 0)" in refusal(RESOLVERS, "coin")


@pytest.mark.parametrize("code", ["class Coin: pass", "Coin = 5", "def Coin(): pass"])
def test_a_driver_of_another_kind_is_refused(site: Site, code: str) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin", code)
    assert "is no Resolver; its entry point must name a subclass" in refusal(RESOLVERS, "coin")


def test_a_resolver_is_no_storage(site: Site) -> None:
    site.install("coin", STORAGES, "hf_coin:Coin")
    assert "is no Storage" in refusal(STORAGES, "coin", Storage)


def test_a_driver_that_leaves_a_method_out_is_refused_with_its_name(site: Site) -> None:
    lazy = """
        from holdfast.contracts import Storage
        class Coin(Storage):
            name = "coin"
    """
    site.install("coin", STORAGES, "hf_coin:Coin", lazy)
    says = refusal(STORAGES, "coin", Storage)
    assert "does not implement count, location, migrate, open, query, read, version, write" in says


def test_a_driver_without_settings_is_refused(site: Site) -> None:
    site.install("coin", RESOLVERS, "hf_coin:Coin", GOOD.replace("Settings = Settings", "pass"))
    assert "has no Settings; a driver needs a pydantic model" in refusal(RESOLVERS, "coin")


# Plugins that take part.

HOOKS = """
    from holdfast import hookimpl

    @hookimpl
    def holdfast_compile_filter(language, source, schema):
        return None
"""


def test_a_plugin_is_enabled_only_by_name(site: Site) -> None:
    site.install("mine", PLUGINS, "hf_mine", HOOKS)
    Plugins().enable([], Catalogue())
    assert "hf_mine" not in sys.modules
    Plugins().enable(["mine"], Catalogue())
    assert "hf_mine" in sys.modules


def test_a_plugin_that_cannot_be_used_is_a_mistake_of_the_profile(site: Site) -> None:
    site.install("mine", PLUGINS, "hf_mine", "raise ValueError('boom')")
    data: dict[str, Any] = {
        "plugins": ["mine"],
        "storage": {"driver": "memory"},
        "transport": {"driver": "memory"},
        "profile": {"tables": [{"name": "account"}]},
    }
    with pytest.raises(ProfileError, match=r"plugins: plugin 'mine': .*boom"):
        _setup.build("p", data, site.folder)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (HOOKS.replace("compile_filter", "compile_filters"), "unknown hook"),
        (HOOKS.replace("language, source", "langage"), "langage"),
        (HOOKS.replace("def holdfast", "async def holdfast"), "must be plain def"),
    ],
)
def test_a_plugin_with_a_wrong_hook_is_refused_and_nothing_of_it_stays(
    site: Site, code: str, says: str
) -> None:
    site.install("mine", PLUGINS, "hf_mine", code)
    hooks = Plugins()
    with pytest.raises(PluginError, match=says):
        hooks.enable(["mine"], Catalogue())
    hooks.register(object(), "another")  # the first one's mistake is not blamed on this one


def test_one_of_our_own_that_cannot_be_loaded_is_noted_and_stops_nothing(site: Site) -> None:
    site.install("extra", PLUGINS, "hf_extra", "import no_such_module", dist="holdfast")
    hooks = Plugins()
    hooks.enable([], Catalogue())
    assert "no_such_module" in str(hooks.failures["extra"])
