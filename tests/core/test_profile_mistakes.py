"""Profiles that are wrong, as files and with the bundled drivers.

Each mistake names the file, the key, what was found unless it may be a secret, and what is wanted
or the nearest that is known.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import _setup
from holdfast.errors import ProfileError

STORAGE = '[storage]\ndriver = "sqlite"\npath = "field.db"\n'
TRANSPORT = '[transport]\ndriver = "dataverse"\nurl = "https://contoso.crm.dynamics.com"\n'
TABLE = '[[profile.tables]]\nname = "account"\n'
GOOD = STORAGE + TRANSPORT + TABLE
SECRET = "s3cret-c4nary"


def told(path: Path, text: str | bytes) -> ProfileError:
    """Return the error that a file with this text is refused with; nothing is opened."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ProfileError) as caught:
        _setup.load(path)
    assert str(caught.value).startswith(str(path))
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return caught.value


def mistakes(path: Path, text: str) -> dict[str, str]:
    return {problem.key: problem.message for problem in told(path, text).problems}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdfast.toml"


def test_the_profile_that_all_of_them_are_made_from_is_right(path: Path) -> None:
    path.write_text(GOOD)
    assert _setup.load(path).profile.profile.tables[0].name == "account"


# --- the file as a whole --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has 3 mistakes"),
        (b"[storage\n", "is no TOML: .*line 1.*; correct it"),
        (b"a = 1\na = 2", "is no TOML: .*; correct it"),
        (b"name = 'x", "is no TOML: .*; correct it"),
        (b"\xff\xfe[\0s\0", "byte 1 is not UTF-8; save it as UTF-8"),
        (b"# \xe5\n", "byte 3 is not UTF-8"),
        (b"a = " + b"[" * 10_000, "nested too deep"),
        (b"a = " + b"9" * 10_000, "is no TOML: "),
        (b"\0", "is no TOML"),
    ],
    ids=["empty", "cut", "twice", "open", "utf-16", "latin-1", "deep", "digits", "nul"],
)
def test_a_file_that_is_no_profile_says_why(path: Path, content: bytes, words: str) -> None:
    error = told(path, content)
    assert error.source == str(path)
    assert re.search(words, str(error))


def test_a_file_that_is_not_there_or_is_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="there is no such file; `holdfast init` writes one"):
        _setup.load(tmp_path / "none.toml")
    with pytest.raises(ProfileError, match="cannot be read: Is a directory; check the path"):
        _setup.load(tmp_path)


def test_a_mark_of_byte_order_that_an_editor_left_is_read_over(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert _setup.load(path).profile.storage.driver == "sqlite"


# --- one mistake each -----------------------------------------------------------------------------

TABLES: list[tuple[str, str, str]] = [
    ('nmae = "x"', "nmae", "did you mean 'name'?"),
    ('sync_intervall = "10m"', "sync_intervall", "did you mean 'sync_interval'?"),
    ('sweep_interval = "1d"', "sweep_interval", "did you mean 'sync_interval'?"),
    ('poll_every = "10m"', "poll_every", "is not a known key; allowed: columns, delete_limit"),
    ('sync_interval = "5s"', "sync_interval", "an interval such as '10m', '2h' or '1d'"),
    ('sync_interval = "4m"', "sync_interval", "from 5 minutes to a day"),
    ('sync_interval = "25h"', "sync_interval", "from 5 minutes to a day"),
    ('sync_interval = "-10m"', "sync_interval", "an interval such as"),
    ('sync_interval = "1.5h"', "sync_interval", "an interval such as"),
    ('sync_interval = "10 m"', "sync_interval", "an interval such as"),
    ('sync_interval = "99999999999999999999d"', "sync_interval", "an interval such as"),
    ('sync_interval = "\u0665m"', "sync_interval", "an interval such as"),
    ("sync_interval = 10", "sync_interval", "an interval such as"),
    ("sync_interval = 10:00:00", "sync_interval", "an interval such as"),
    ('filter = { sqll = "1" }', "filter", "'sqll': is not installed in holdfast.filters"),
    ("filter = { odata = 1979-05-27 }", "filter.odata", "text is wanted, not datetime.date"),
    ('resolver = "client-win"', "resolver", "installed: client-wins, server-wins"),
    ('resolver = { name = "client-wins", fallbak = "x" }', "resolver.fallbak", "not a known key"),
    ('columns = "name"', "columns", "a list is wanted, not 'name'"),
    ('columns = ["na me"]', "columns[0]", "'na me' is no name"),
    (f'columns = ["{"x" * 500}"]', "columns[0]", "is no name"),
    ('indexes = [["name"]]', "indexes[0]", "text is wanted"),
]


@pytest.mark.parametrize(("line", "key", "words"), TABLES, ids=[line for line, _, _ in TABLES])
def test_a_mistake_in_a_table_says_where_and_what_is_wanted(
    path: Path, line: str, key: str, words: str
) -> None:
    (found,) = mistakes(path, GOOD + line).items()
    assert found[0] == f"profile.tables[0].{key}"
    assert words in found[1]
    assert len(found[1]) < 300


SECTIONS: list[tuple[str, str, str, str]] = [
    ("path", "pth", "storage.pth", "did you mean 'path'?"),
    ('"sqlite"', '"sqlite3"', "storage.driver", "installed: memory, sqlite"),
    ('"field.db"', '""', "storage.path", "the name of a file is wanted, such as 'field.db'"),
    ('"field.db"', '"."', "storage.path", "the name of a file is wanted"),
    ('"field.db"', '"a\\u0000b"', "storage.path", "the name of a file is wanted"),
    ('"field.db"', "5", "storage.path", "a path is wanted, not 5"),
    ('path = "field.db"', 'path = "f"\ndurability = "fast"', "storage.durability", "allowed: path"),
    ("[storage]", "[storag]", "storag", "did you mean 'storage'?"),
    ('"dataverse"', '"dataverze"', "transport.driver", "installed: dataverse, memory"),
    ("url = ", "ulr = ", "transport.ulr", "did you mean 'url'?"),
    ("[transport]", "[transport]\npage_size = 0", "transport.page_size", "from 1 is wanted"),
    ("[transport]", "[transport]\npage_size = 9999", "transport.page_size", "up to 5000 is wanted"),
    ("[transport]", '[transport]\npage_size = "x"', "transport.page_size", "a whole number"),
    ("[transport]", "[transport]\ntimeout = nan", "transport.timeout", "up to 3600 is wanted"),
    ("[transport]", "[transport]\nmax_wait = -1", "transport.max_wait", "from 0 is wanted"),
    (STORAGE, f"plugins = ['demoo']\n{STORAGE}", "plugins", "'demoo': is not installed"),
    (TABLE, f"[resolvers.client-win]\n{TABLE}", "resolvers.client-win", "installed: client-wins"),
    (TABLE, f"[resolvers.client-wins]\nx = 1\n{TABLE}", "resolvers.client-wins.x", "allowed: none"),
    (TABLE, f"[filters.odatta]\n{TABLE}", "filters.odatta", "installed: fetchxml, odata"),
    (TABLE, f"[profile]\nname = 5\n{TABLE}", "profile.name", "text is wanted, not 5"),
    (TABLE, f'[profile]\nsync_interval = "1w"\n{TABLE}', "profile.sync_interval", "'10m', '2h'"),
]


@pytest.mark.parametrize(
    ("right", "wrong", "key", "words"),
    SECTIONS,
    ids=[f"{at}-{key}" for at, (_, _, key, _) in enumerate(SECTIONS)],
)
def test_a_mistake_in_a_section_says_where_and_what_is_wanted(
    path: Path, right: str, wrong: str, key: str, words: str
) -> None:
    assert GOOD.count(right) == 1
    assert words in mistakes(path, GOOD.replace(right, wrong))[key]


# --- the address of the server --------------------------------------------------------------------

URLS = [
    ("contoso.crm.dynamics.com", "write it as https://your-org.crm.dynamics.com"),
    ("//contoso.crm.dynamics.com", "write it as https"),
    ("https:/contoso.crm.dynamics.com", "write it as https"),
    ("ftp://contoso.crm.dynamics.com", "write it as https"),
    ("file:///etc/passwd", "write it as https"),
    ("", "write it as https"),
    ("https://", "write it as https"),
    ("http://contoso.crm.dynamics.com", "plain http would show the token"),
    ("http://10.0.0.1", "plain http"),
    ("http://0.0.0.0", "plain http"),
    ("http://localhost.contoso.com", "plain http"),
    ("https://contoso.crm.dynamics.com/api/data/v9.2", "leave out everything after the host"),
    ("https://contoso.crm.dynamics.com/main.aspx?appid=1", "everything after the host"),
    ("https://contoso.crm.dynamics.com#x", "everything after the host"),
    ("https://con toso.crm.dynamics.com", "the host is no name of a server"),
    ("https://contoso..dynamics.com", "the host is no name of a server"),
    ("https://-contoso.com", "the host is no name of a server"),
    ("https://contoso.com\\@evil.com", "user and password|the host is no name"),
    ("https://cont\u00f8so.com", "the host is no name of a server"),
    ("https://contoso.c\u043em", "the host is no name of a server"),
    ("https://\u202emoc.osotnoc", "the host is no name of a server"),
    ("https://contoso\u3002com", "no URL|the host is no name"),
    ("https://contoso.com:0", "the host is no name of a server"),
    ("https://contoso.com:99999", "no URL"),
    ("https://contoso.com:https", "no URL"),
    ("https://[::1", "no URL"),
    (f"https://ann:{SECRET}@contoso.crm.dynamics.com", "leave user and password out"),
    (f"https://{SECRET}@contoso.crm.dynamics.com", "leave user and password out"),
    (f"http://ann:{SECRET}@contoso.com/path", "leave user and password out"),
    (f"https://ann:{SECRET}@[::1", "no URL"),
    (f"ann:{SECRET}@contoso.crm.dynamics.com", "write it as https"),
    (f"https://contoso.com/?token={SECRET}", "everything after the host"),
    (f"https://contoso.com:{SECRET}", "no URL"),
]


@pytest.mark.parametrize(("url", "words"), URLS, ids=[url.replace(SECRET, "*") for url, _ in URLS])
def test_a_wrong_url_is_told_without_what_may_be_secret_in_it(
    path: Path, url: str, words: str
) -> None:
    text = GOOD.replace('"https://contoso.crm.dynamics.com"', f"'{url}'")
    error = told(path, text)
    (problem,) = error.problems
    assert problem.key == "transport.url"
    assert any(each in problem.message for each in words.split("|")), problem.message
    assert SECRET not in str(error) + repr(error) + repr(error.problems)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "line",
    [
        f'credential = "{SECRET}"',
        f'credential = "token"\ntoken = ["{SECRET}"]',
        f'credential = "token"\ntoken = {{ value = "{SECRET}" }}',
        f'token = "{SECRET}"',
        f'credential = "token"\ntoken = "{SECRET}"\ntoken_env = "X"',
        f'client_id = ["{SECRET}"]',
        f'page_size = "{SECRET}"',
    ],
)
def test_what_stands_in_the_section_of_the_server_is_never_shown(path: Path, line: str) -> None:
    error = told(path, GOOD.replace("[transport]", f"[transport]\n{line}"))
    assert SECRET not in str(error)
    assert SECRET not in repr(error.problems)


# --- many at once ---------------------------------------------------------------------------------


def test_all_mistakes_of_a_file_are_told_at_once(path: Path) -> None:
    tables = "".join(
        f"{TABLE.replace('account', f'table_{at}')}{line}\n"
        for at, (line, _, _) in enumerate(TABLES)
        if "resolver" not in line and "filter = { s" not in line
    )
    text = GOOD.replace('"field.db"', "5").replace("https:", "ftp:") + "zz = 1\n" + tables
    found = mistakes(path, text)
    wanted = {
        f"profile.tables[{at + 1}].{key}"
        for at, key in enumerate(
            key for line, key, _ in TABLES if "resolver" not in line and "filter = { s" not in line
        )
    }
    assert found.keys() == {*wanted, "profile.tables[0].zz", "storage.path", "transport.url"}
    assert f"has {len(wanted) + 3} mistakes; correct and try again" in str(told(path, text))


async def test_all_that_the_server_does_not_have_is_told_at_once() -> None:
    """Tables, columns, indexes, filters, views and relationships, which only the server knows."""
    from holdfast.testing import MemoryServer
    from support.world import ACCOUNT, CONTACT

    tables: list[dict[str, Any]] = [
        {"name": "acount"},
        {"name": "account", "columns": ["nmae", "name"], "indexes": ["revenu"]},
        {"name": "contact", "filter": {"odata": "fullname eqq 'x'"}},
    ]
    profile: dict[str, Any] = {
        "storage": {"driver": "memory"},
        "transport": {"driver": "memory", "server": MemoryServer([ACCOUNT, CONTACT])},
        "profile": {"tables": tables},
    }
    async with holdfast.open(profile) as replica:
        with pytest.raises(ProfileError) as caught:
            await replica.download()
        assert {p.key: p.message.splitlines()[0] for p in caught.value.problems} == {
            "profile.tables[0].name": "the server has no table 'acount'",
            "profile.tables[1].columns[0]": "account has no column 'nmae'; did you mean 'name'?",
            "profile.tables[1].indexes[0]": "account has no column 'revenu'; "
            "did you mean 'revenue'?",
            "profile.tables[2].filter.odata": caught.value.problems[-1].message.splitlines()[0],
        }
        assert "the odata filter is not understood at character" in str(caught.value)
        tables[1:] = [
            {"name": "account", "related": ["nobody"]},
            {"name": "contact", "filter": {"view": "No Such View"}},
        ]
    profile["storage"] = {"driver": "memory"}
    async with holdfast.open(profile) as replica:
        with pytest.raises(ProfileError) as caught:
            await replica.download()
    found = {p.key: p.message for p in caught.value.problems}
    assert "no relationship 'nobody' reaches account" in found["profile.tables[1].related[0]"]
    assert found["profile.tables[2].filter.view"] == "contact has no view 'No Such View'"


def test_the_texts_here_are_toml() -> None:
    for line, _, _ in TABLES:
        tomllib.loads(GOOD + line)
