"""As whom a call is carried out: sign-in, impersonation, and who passes plug-ins by.

Invariant: a header that asks for more than the caller may do is refused before anything is done.
What the headers of a batch ask for holds for its parts, unless they ask for something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from holdfast.values import canonical_id
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.security import Grant, Security, User
from holdfast_emulator.wire.calls import Call, Unsupported, bad_query

_BY_ENTRA_ID: Final = "callerobjectid"
_BY_ID: Final = "mscrmcallerid"
_BYPASS_PLUGINS: Final = "mscrm.bypasscustompluginexecution"
_BYPASS_LOGIC: Final = "mscrm.bypassbusinesslogicexecution"
_BYPASS_STEPS: Final = "mscrm.bypassbusinesslogicexecutionstepids"
_SYNCHRONOUS: Final = "customsync"
_LOGIC: Final = frozenset({_SYNCHRONOUS, "customasync"})


@dataclass(frozen=True, slots=True)
class Callers:
    """Finds out who a call is carried out as."""

    security: Security

    def admit(self, call: Call) -> Call:
        """Return the call as the one who is to carry it out.

        :raises DataverseFault: 403, 400, or 404 for an impersonated user who is not there
        """
        if not call.batched:
            self.security.check_member(call.user)
        user = self._bypassing(self._impersonated(call.user, call.headers), call.headers)
        return call if user is call.user else replace(call, user=user)

    def _impersonated(self, user: User, headers: Mapping[str, str]) -> User:
        if _BY_ENTRA_ID in headers:
            found = self.security.directory.user_by_entra_id(_guid(headers, _BY_ENTRA_ID))
            if found is None:
                raise faults.not_a_member()
        elif _BY_ID in headers:
            row_id = _guid(headers, _BY_ID)
            found = self.security.directory.user(row_id)
            if found is None:
                raise faults.missing_row("systemuser", row_id)
        else:
            return user
        real = replace(user.real or user, skips_rules=False)
        if found.id == real.id:  # nobody impersonates themselves
            return real
        self.security.check_grant(real, Grant.ACT_ON_BEHALF)
        self.security.check_member(found)
        return replace(found, real=real)

    def _bypassing(self, user: User, headers: Mapping[str, str]) -> User:
        if _BYPASS_STEPS in headers:
            raise Unsupported("bypassing single plug-in steps")
        skips = user.skips_rules
        plugins = headers.get(_BYPASS_PLUGINS, "").strip().lower()
        if plugins not in ("", "true", "false"):
            raise bad_query("MSCRM.BypassCustomPluginExecution is true or false.")
        if plugins == "true":
            self.security.check_grant(user, Grant.BYPASS_PLUGINS)
            skips = True
        logic = [part.strip().lower() for part in headers.get(_BYPASS_LOGIC, "").split(",")]
        wanted = {part for part in logic if part}
        if not wanted <= _LOGIC:
            raise bad_query(
                "MSCRM.BypassBusinessLogicExecution is CustomSync, CustomAsync, or both."
            )
        if wanted:
            self.security.check_grant(user, Grant.BYPASS_LOGIC)
            skips = skips or _SYNCHRONOUS in wanted
        return user if skips == user.skips_rules else replace(user, skips_rules=skips)


def _guid(headers: Mapping[str, str], name: str) -> str:
    try:
        return canonical_id(headers[name].strip())
    except ValueError:
        raise bad_query(f"The header {name} is no GUID.") from None
