"""The workers of a server.

virtlogd has none: its calls are served where they are read. It tells its settings all the same.
"""

from __future__ import annotations

from tests.conformance.case import Case, Outcome, Step, call, case, ok, one, refused
from tests.conformance.catalogue.values import (
    BAD_FLAGS,
    NO_FLAGS,
    NO_SERVER,
    exactly_fields,
    params_with,
    set_workers,
)
from tests.conformance.wire import BOOLEAN, DOUBLE, INT, LLONG, ULLONG, Frame, param, string, u32

_NO_SERVER = refused(95, 7)
_NO_SERVER_TO_SET = refused(95, 62)
_BAD = refused(8, 0)
_NOT_SETTABLE = refused(74, 0)
_KINDS = {"int": INT, "llong": LLONG, "ullong": ULLONG, "double": DOUBLE, "boolean": BOOLEAN}


class _Pool:
    """Builds cases about the pool of one server."""

    def __init__(self, main: str) -> None:
        self.server = string(main)
        self.get = call(6, self.server, NO_FLAGS)
        self.as_before = Step(
            self.get,
            ok(result=params_with(minWorkers=5, maxWorkers=20, prioWorkers=5)),
            virtlogd=ok(result=params_with(minWorkers=0, maxWorkers=0, prioWorkers=0)),
            eventually=True,
        )
        back = {"minWorkers": 5, "maxWorkers": 20, "prioWorkers": 5}
        if main == "virtlogd":
            back = {"prioWorkers": 0}
        self.undo = (self.put(*[param(*pair) for pair in back.items()]),)

    def put(self, *packed: bytes) -> Frame:
        """The call that sets these parameters."""
        return call(7, set_workers(*packed, server=self.server))

    def done(self, name: str, *, without_pool: Outcome = _BAD, **values: int) -> Case:
        """Set these values, and see that they are shown."""
        after = ok(result=params_with(**values))
        unpooled = after if without_pool == ok() else self.as_before.virtlogd
        return case(
            f"set-{name}",
            Step(self.put(*map(param, values, values.values())), ok(), virtlogd=without_pool),
            Step(self.get, after, virtlogd=unpooled, eventually=True),
            undo=self.undo,
        )

    def bad(
        self,
        name: str,
        *packed: bytes,
        outcome: Outcome = _BAD,
        without_pool: Outcome | None = None,
    ) -> Case:
        """Have these refused, and see that nothing has changed."""
        step = Step(self.put(*packed), outcome, virtlogd=without_pool)
        return case(f"set-{name}", step, self.as_before, undo=self.undo)


def cases(main: str) -> tuple[Case, ...]:
    """For a daemon whose own server is called `main`, with 5 to 20 workers and 5 of priority."""
    pool = _Pool(main)
    return (*_gets(pool), *_calls(pool), *_settings(pool), *_refusals(pool))


def _gets(pool: _Pool) -> tuple[Case, ...]:
    get, server = pool.get, pool.server
    return (
        one(
            "get-fields",
            get,
            ok(
                result=exactly_fields(
                    minWorkers=2,
                    maxWorkers=2,
                    nWorkers=2,
                    freeWorkers=2,
                    prioWorkers=2,
                    jobQueueDepth=2,
                )
            ),
        ),
        case("get-values", pool.as_before),
        one("get-flags", call(6, server, BAD_FLAGS), refused(8, 62)),
        one("get-unknown-server", call(6, NO_SERVER, NO_FLAGS), _NO_SERVER),
        one("get-empty-server", call(6, string(""), NO_FLAGS), _NO_SERVER),
        one("get-unknown-server-with-flags", call(6, NO_SERVER, BAD_FLAGS), _NO_SERVER),
    )


def _calls(pool: _Pool) -> tuple[Case, ...]:
    server = pool.server
    return (
        one("set-nothing", pool.put(), ok()),
        one("set-nothing-flags", call(7, set_workers(server=server, flags=1)), refused(8, 62)),
        one("set-unknown-server", call(7, set_workers(server=NO_SERVER)), _NO_SERVER_TO_SET),
        one("set-empty-server", call(7, set_workers(server=string(""))), _NO_SERVER_TO_SET),
        one(
            "set-unknown-server-with-flags",
            call(7, set_workers(server=NO_SERVER, flags=1)),
            _NO_SERVER_TO_SET,
        ),
        one(
            "set-flags-with-unknown-field",
            call(7, set_workers(param("bogus", 1), server=server, flags=1)),
            refused(8, 62),
        ),
    )


def _settings(pool: _Pool) -> tuple[Case, ...]:
    done = pool.done
    return (
        done("max", maxWorkers=30),
        done("max-lower", maxWorkers=10),
        done("max-to-min", maxWorkers=5),
        done("min", minWorkers=8),
        done("min-lower", minWorkers=2),
        done("min-to-0", without_pool=ok(), minWorkers=0),
        done("min-to-max", minWorkers=20),
        done("priority", without_pool=ok(), prioWorkers=7),
        done("priority-lower", without_pool=ok(), prioWorkers=2),
        done("priority-to-0", without_pool=ok(), prioWorkers=0),
        done("all", minWorkers=6, maxWorkers=25, prioWorkers=6),
        done("all-in-another-order", prioWorkers=3, maxWorkers=12, minWorkers=4),
        done("what-is-set-already", minWorkers=5, maxWorkers=20, prioWorkers=5),
        done("both-past-the-old-maximum", minWorkers=22, maxWorkers=25),
    )


def _refusals(pool: _Pool) -> tuple[Case, ...]:
    bad = pool.bad
    return (
        bad("min-over-max", param("minWorkers", 21)),
        bad("max-under-min", param("maxWorkers", 4)),
        bad("max-to-0", param("maxWorkers", 0), without_pool=ok()),
        bad(
            "min-and-max-to-0",
            param("minWorkers", 0),
            param("maxWorkers", 0),
            without_pool=ok(),
        ),
        bad("min-over-max-together", param("minWorkers", 9), param("maxWorkers", 8)),
        bad("min-over-max-with-priority", param("prioWorkers", 2), param("minWorkers", 21)),
        bad("twice-of-another-kind", *[param("maxWorkers", 9, INT)] * 2),
        bad("unknown-field", param("bogus", 1), outcome=_NOT_SETTABLE),
        bad("field-in-another-case", param("MAXWORKERS", 30), outcome=_NOT_SETTABLE),
        bad("good-then-unknown", param("maxWorkers", 30), param("bogus", 1), outcome=_NOT_SETTABLE),
        bad("unknown-then-good", param("bogus", 1), param("maxWorkers", 30), outcome=_NOT_SETTABLE),
        bad("read-only-nWorkers", param("nWorkers", 5), outcome=_NOT_SETTABLE),
        bad("read-only-freeWorkers", param("freeWorkers", 5), outcome=_NOT_SETTABLE),
        bad("read-only-jobQueueDepth", param("jobQueueDepth", 0), outcome=_NOT_SETTABLE),
        bad(
            "read-only-with-good",
            param("maxWorkers", 30),
            param("nWorkers", 5),
            outcome=_NOT_SETTABLE,
        ),
        bad("twice", param("maxWorkers", 30), param("maxWorkers", 31)),
        bad("twice-the-same", param("prioWorkers", 6), param("prioWorkers", 6)),
        bad("field-of-limits", param("nclients_max", 30), outcome=_NOT_SETTABLE),
        *(bad(f"as-{name}", param("maxWorkers", 30, kind)) for name, kind in _KINDS.items()),
        bad("as-string", string("maxWorkers") + u32(7) + string("30")),
    )
