"""The limits on the number of a server's clients.

What happens at a limit is in test_connections.py.
"""

from __future__ import annotations

from tests.conformance.case import Case, Outcome, Step, call, case, ok, one, refused
from tests.conformance.catalogue.values import (
    ADMIN_SERVER,
    BAD_FLAGS,
    NO_FLAGS,
    NO_SERVER,
    exactly_fields,
    params_with,
    set_limits,
)
from tests.conformance.wire import BOOLEAN, DOUBLE, INT, LLONG, ULLONG, param, string, u32

_NO_SERVER = refused(95, 7)
_NO_SERVER_TO_SET = refused(95, 62)
_FLAGS = refused(8, 62)
_BAD = refused(8, 0)
_CONTRADICTION = refused(8, 7)
_NOT_SETTABLE = refused(74, 0)
_KINDS = {"int": INT, "llong": LLONG, "ullong": ULLONG, "double": DOUBLE, "boolean": BOOLEAN}


class _Limits:
    """Builds cases about the limits of one server, which are 100 and 20 before and after."""

    def __init__(self, main: str) -> None:
        self.server = string(main)
        self.get = call(12, self.server, NO_FLAGS)
        both = (param("nclients_max", 100), param("nclients_unauth_max", 20))
        # virtlogd has no setting for the second, and takes the first for it.
        self.put_back = call(13, set_limits(*both, server=self.server))
        self.as_before = Step(
            self.get, ok(result=params_with(nclients_max=100, nclients_unauth_max=20))
        )

    def done(self, name: str, **values: int) -> Case:
        """Set these values, and see that they are shown."""
        packed = map(param, values, values.values())
        return case(
            f"set-{name}",
            Step(call(13, set_limits(*packed, server=self.server)), ok()),
            Step(self.get, ok(result=params_with(**values))),
            undo=(self.put_back,),
        )

    def bad(self, name: str, *packed: bytes, outcome: Outcome = _BAD) -> Case:
        """Have these refused, and see that nothing has changed."""
        return case(
            f"set-{name}",
            Step(self.put_back, ok()),
            Step(call(13, set_limits(*packed, server=self.server)), outcome),
            self.as_before,
            undo=(self.put_back,),
        )


def cases(main: str) -> tuple[Case, ...]:
    """For a daemon whose own server is called `main`."""
    limits = _Limits(main)
    return (*_calls(limits), *_settings(limits), *_refusals(limits))


def _calls(limits: _Limits) -> tuple[Case, ...]:
    get, server = limits.get, limits.server
    fields = exactly_fields(nclients_max=2, nclients=2, nclients_unauth_max=2, nclients_unauth=2)
    return (
        one("get-fields", get, ok(result=fields)),
        one("get-of-admin", call(12, ADMIN_SERVER, NO_FLAGS), ok(result=fields)),
        one("get-flags", call(12, server, BAD_FLAGS), _FLAGS),
        one("get-unknown-server", call(12, NO_SERVER, NO_FLAGS), _NO_SERVER),
        one("get-empty-server", call(12, string(""), NO_FLAGS), _NO_SERVER),
        one("get-unknown-server-with-flags", call(12, NO_SERVER, BAD_FLAGS), _NO_SERVER),
        one("set-nothing", call(13, set_limits(server=server)), ok()),
        one("set-flags", call(13, set_limits(server=server, flags=1)), _FLAGS),
        one("set-unknown-server", call(13, set_limits(server=NO_SERVER)), _NO_SERVER_TO_SET),
        one("set-empty-server", call(13, set_limits(server=string(""))), _NO_SERVER_TO_SET),
        one(
            "set-unknown-server-with-flags",
            call(13, set_limits(server=NO_SERVER, flags=1)),
            _NO_SERVER_TO_SET,
        ),
    )


def _settings(limits: _Limits) -> tuple[Case, ...]:
    done = limits.done
    return (
        done("max", nclients_max=200),
        done("max-lower", nclients_max=50),
        done("max-to-unauth", nclients_max=20, nclients_unauth_max=20),
        done("unauth", nclients_unauth_max=30),
        done("unauth-to-max", nclients_max=100, nclients_unauth_max=100),
        done("unauth-to-0", nclients_unauth_max=0),
        done("both", nclients_max=300, nclients_unauth_max=200),
        done("both-in-another-order", nclients_unauth_max=200, nclients_max=300),
        done("max-to-0", nclients_max=0, nclients_unauth_max=0),
        done("max-to-the-limit-of-the-type", nclients_max=2**32 - 1),
    )


def _refusals(limits: _Limits) -> tuple[Case, ...]:
    bad = limits.bad
    return (
        bad("unauth-over-max", param("nclients_unauth_max", 101), outcome=_CONTRADICTION),
        bad("max-under-unauth", param("nclients_max", 19), outcome=_CONTRADICTION),
        bad(
            "contradicting",
            param("nclients_max", 30),
            param("nclients_unauth_max", 31),
            outcome=_CONTRADICTION,
        ),
        bad("unknown-field", param("bogus", 1), outcome=_NOT_SETTABLE),
        bad(
            "good-then-unknown",
            param("nclients_max", 200),
            param("bogus", 1),
            outcome=_NOT_SETTABLE,
        ),
        bad("read-only-nclients", param("nclients", 5), outcome=_NOT_SETTABLE),
        bad("read-only-nclients-unauth", param("nclients_unauth", 5), outcome=_NOT_SETTABLE),
        bad(
            "read-only-with-good",
            param("nclients_max", 200),
            param("nclients", 1),
            outcome=_NOT_SETTABLE,
        ),
        bad("twice", param("nclients_max", 200), param("nclients_max", 201)),
        bad("field-of-the-pool", param("maxWorkers", 30), outcome=_NOT_SETTABLE),
        *(bad(f"as-{name}", param("nclients_max", 200, kind)) for name, kind in _KINDS.items()),
        bad("as-string", string("nclients_max") + u32(7) + string("200")),
    )
