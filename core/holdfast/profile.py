"""The profile: what is kept offline, how fresh, and who wins.

Loaded from TOML. Every mistake is reported at once, each with its key and what is allowed. Here a
profile is checked for itself; whether its tables and columns exist is known only when the server
has described them (:mod:`holdfast._scopes`).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from holdfast.errors import Problem, ProfileError
from holdfast.model import Policy
from holdfast.schema import is_identifier

#: What a filter is written in where no language is named.
DEFAULT_LANGUAGE: Final = "odata"
CLIENT_WINS: Final = "client-wins"
SERVER_WINS: Final = "server-wins"
_SHORTEST: Final = timedelta(minutes=5)
_LONGEST: Final = timedelta(days=1)
_INTERVAL: Final = re.compile(r"([0-9]{1,6})([mhd])\Z")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_ROWS: Final = ("all", "custom", "related", "mine", "team", "business-unit")
#: Stands for a language where a filter is the name of one of the server's saved views.
VIEW: Final = "view"
#: What saved views are written in.
VIEW_LANGUAGE: Final = "fetchxml"


def _interval(given: object) -> object:
    match = _INTERVAL.match(given) if isinstance(given, str) else None
    if match is None:
        raise ValueError("an interval such as '10m', '2h' or '1d' is wanted")
    span = int(match[1]) * _UNITS[match[2]]
    if not _SHORTEST <= span <= _LONGEST:
        raise ValueError("an interval from 5 minutes to a day is wanted: '5m' … '1d'")
    return span


def _row_rule(given: object) -> object:
    if given not in _ROWS:
        raise ValueError(f"{given!r} is not known; allowed: {', '.join(_ROWS)}")
    return given


def _identifier(name: str) -> str:
    if not is_identifier(name):
        raise ValueError(f"{name!r:.80} is no name; letters, digits and '_' are allowed")
    return name


def _one_language(given: dict[str, str]) -> dict[str, str]:
    if len(given) != 1:
        raise ValueError('one filter in one language is wanted: { odata = "…" }')
    return given


def _limit(given: object) -> object:
    if given == "off":
        return None
    if not isinstance(given, Mapping | Limit):
        raise ValueError("a limit such as { rows = 50, percent = 20 } is wanted, or 'off'")
    return given


Interval = Annotated[timedelta, BeforeValidator(_interval)]
Name = Annotated[str, AfterValidator(_identifier)]
RowRule = Annotated[
    Literal["all", "custom", "related", "mine", "team", "business-unit"],
    BeforeValidator(_row_rule),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limit(_Section):
    """How much of a table may go unasked: so many rows, or that part of it if that is more."""

    rows: int = Field(default=50, ge=0)
    percent: int = Field(default=20, ge=0, le=100)

    def allows(self, count: int, of: int) -> bool:
        """Tell whether ``count`` rows of a table that has ``of`` may go."""
        return count <= self.rows or count * 100 <= of * self.percent


class ResolverSpec(BaseModel):
    """A table's own policy with options: ``{ name = "field-merge", fallback = "server-wins" }``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """Yield what may be shown: only the policy knows whether the rest holds a secret."""
        yield "name", self.name


class TableRule(_Section):
    """One table that is kept offline.

    ``rows`` says which: all of them, those that ``filter`` matches (``custom``), those that a kept
    row of another table points to (``related``), those of the user, of the user's teams or of the
    user's business unit. ``match`` joins several rules. ``removal_limit`` and ``delete_limit`` say
    how many rows may go unasked, here and on the server; None, written "off", is all of them.
    """

    name: Name
    rows: tuple[RowRule, ...] = ()
    match: Literal["any", "all"] = "any"
    filter: Annotated[dict[str, str], AfterValidator(_one_language)] | None = None
    columns: tuple[Name, ...] | None = Field(default=None, min_length=1)
    indexes: tuple[Name, ...] = ()
    related: tuple[str, ...] = ()
    resolver: str | ResolverSpec | None = None
    sync_interval: Interval | None = None
    removal_limit: Annotated[Limit | None, BeforeValidator(_limit)] = Limit()
    delete_limit: Annotated[Limit | None, BeforeValidator(_limit)] = Limit()

    @model_validator(mode="after")
    def _rules_fit(self) -> TableRule:
        rows = self.rows
        if "all" in rows and len(rows) > 1:
            raise ValueError("rows = ['all'] stands alone; leave the other rules out")
        if "custom" in rows and self.filter is None:
            raise ValueError("rows has 'custom' but there is no filter; add one")
        if rows and self.filter is not None and "custom" not in rows:
            raise ValueError(
                "there is a filter but rows has no 'custom'; add it, or drop the filter"
            )
        if "related" in rows and not self.related:
            raise ValueError("rows has 'related' but related names no relationship; add one")
        if rows and self.related and "related" not in rows:
            raise ValueError("related is set but rows has no 'related'; add it, or drop related")
        return self

    @property
    def rules(self) -> tuple[str, ...]:
        """The row rules; where none is written, those that ``filter`` and ``related`` imply."""
        if self.rows:
            return self.rows
        implied = [("custom", self.filter is not None), ("related", bool(self.related))]
        return tuple(name for name, wanted in implied if wanted) or ("all",)


class ProfileSection(_Section):
    """``[profile]``: the name, the administrator's switch, and the tables."""

    name: str = "offline"
    conflict_detection: bool = False
    sync_interval: Interval = timedelta(minutes=10)
    tables: tuple[TableRule, ...]

    @model_validator(mode="after")
    def _tables_differ(self) -> ProfileSection:
        if not self.tables:
            raise ValueError("there is no table; add a [[profile.tables]] section")
        names = [table.name for table in self.tables]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each table stands once; named twice: {', '.join(twice)}")
        return self


class DriverSection(BaseModel):
    """``[storage]`` or ``[transport]``: the driver's name; the rest is the driver's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    driver: str

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """Yield what may be shown: the rest may hold a secret, which only the driver knows."""
        yield "driver", self.driver

    @property
    def options(self) -> dict[str, Any]:  # Any: TOML, validated by the driver's Settings
        """What is written beside ``driver``."""
        return dict(self.__pydantic_extra__ or {})


class Profile(_Section):
    """A whole ``holdfast.toml``."""

    plugins: tuple[str, ...] = ()
    storage: DriverSection
    transport: DriverSection
    #: Any: TOML, validated by each language's Settings.
    filters: dict[str, dict[str, Any]] = Field(default={}, repr=False)
    #: Any: TOML, validated by each resolver's Settings.
    resolvers: dict[str, dict[str, Any]] = Field(default={}, repr=False)
    profile: ProfileSection

    def policy(self, table: str) -> Policy:
        """Return the policy of a table: its own, or what the administrator's switch says."""
        for rule in self.profile.tables:
            if rule.name == table and rule.resolver is not None:
                return self._named(rule.resolver)
        return self._named(SERVER_WINS if self.profile.conflict_detection else CLIENT_WINS)

    def _named(self, spec: str | ResolverSpec) -> Policy:
        if isinstance(spec, str):
            return Policy(spec, self.resolvers.get(spec, {}))
        own = dict(spec.__pydantic_extra__ or {})
        return Policy(spec.name, {**self.resolvers.get(spec.name, {}), **own})

    @property
    def policies(self) -> list[Policy]:
        """Every policy that is used, each once."""
        found: list[Policy] = []
        for rule in self.profile.tables:
            policy = self.policy(rule.name)
            if policy not in found:
                found.append(policy)
        return found

    @property
    def languages(self) -> tuple[str, ...]:
        """The filter languages that are used or configured, sorted."""
        written = {language for rule in self.profile.tables for language in rule.filter or ()}
        used = {VIEW_LANGUAGE if language == VIEW else language for language in written}
        return tuple(sorted(used | set(self.filters)))


def read(path: Path) -> dict[str, Any]:  # Any: TOML
    """Read a TOML file.

    :raises ProfileError: there is none, or it is no TOML
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        hint = "there is no such file; `holdfast init` writes one"
        raise ProfileError(str(path), [Problem("", hint)]) from None
    except OSError as error:
        hint = f"cannot be read: {error.strerror}; check the path and its permissions"
        raise ProfileError(str(path), [Problem("", hint)]) from error
    except UnicodeDecodeError as error:
        hint = f"cannot be read: byte {error.start + 1} is not UTF-8; save it as UTF-8"
        raise ProfileError(str(path), [Problem("", hint)]) from error
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits
        hint = f"is no TOML: {_first_line(error)}; correct it and try again"
        raise ProfileError(str(path), [Problem("", hint)]) from error


def _first_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error).partition("\n")[0]


def parse(source: str, data: Mapping[str, Any]) -> Profile:  # Any: TOML
    """Check a profile for itself.

    :param source: what to call it in messages
    :raises ProfileError: with every mistake
    """
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        raise ProfileError(source, problems(error, Profile)) from None


def problems(
    error: ValidationError, model: type[BaseModel], prefix: Sequence[str | int] = ()
) -> list[Problem]:
    """Turn pydantic's errors into ours: the key as it is written, and what is allowed."""
    details = error.errors(include_url=False, include_context=True)
    inside = {detail["loc"][:-1] for detail in details}
    return [
        Problem(_key((*prefix, *detail["loc"])), _message(detail, model))
        for detail in details
        if detail["loc"][-1:] != ("str",)  # "or text": the other half of a union has said so
        # What is wrong inside does not count for pydantic, so it finds the list too short as well.
        and not (detail["type"] == "too_short" and detail["loc"] in inside)
    ]


def _key(location: Sequence[str | int]) -> str:
    written = ""
    for part in location:
        if isinstance(part, int):
            written += f"[{part}]"
        elif part not in ("ResolverSpec", "str", "function-after[_one_language(), dict[str,str]]"):
            written += f".{part}" if written else part
    return written


def _message(detail: Any, model: type[BaseModel]) -> str:  # Any: pydantic's ErrorDetails
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(detail["loc"], model)
        case "missing":
            return "is missing"
        case kind if kind in _WANTED:
            return f"{_WANTED[kind]} is wanted{_not(detail, model)}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "literal_error":
            shown = "" if _hides(model) else f"{detail['input']!r:.40} "
            return f"{shown}is not known; allowed: {detail['ctx']['expected']}"
        case kind if kind in _BOUNDS:
            bound = next(iter(detail["ctx"].values()))
            return f"a number {_BOUNDS[kind]} {bound:g} is wanted{_not(detail, model)}"
        case _:
            return str(detail["msg"][:1].lower() + detail["msg"][1:])


def _not(detail: Any, model: type[BaseModel]) -> str:  # Any: as above
    return "" if _hides(model) else f", not {detail['input']!r:.40}"


def _hides(model: type[BaseModel]) -> bool:
    """Tell whether a driver does not want what stands in its section to be shown."""
    return bool(model.model_config.get("hide_input_in_errors"))


_WANTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table of keys",
    "model_type": "a table of keys",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "too_short": "a list with something in it",
    "float_type": "a number",
    "float_parsing": "a number",
    "path_type": "a path",
}


_BOUNDS: Final[Mapping[str, str]] = {
    "greater_than_equal": "from",
    "greater_than": "above",
    "less_than_equal": "up to",
    "less_than": "below",
}


def _unknown_key(location: Sequence[str | int], model: type[BaseModel]) -> str:
    allowed = _allowed(location[:-1], model)
    close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"is not a known key; {hint}allowed: {', '.join(allowed) or 'none'}"


_INNER: Final[Mapping[str, type[BaseModel]]] = {
    "profile": ProfileSection,
    "tables": TableRule,
    "removal_limit": Limit,
    "delete_limit": Limit,
}


def _allowed(location: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    names = [part for part in location if isinstance(part, str)]
    owner = _INNER.get(names[-1], model) if names else model
    return sorted(owner.model_fields)
