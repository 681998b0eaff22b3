"""Log outputs and filters: what is shown back, what is refused, and that a refusal changes
nothing."""

from __future__ import annotations

from tests.conformance.case import Case, Outcome, Step, call, case, ok, one, refused
from tests.conformance.catalogue.values import BAD_FLAGS, NO_FLAGS, logging, outputs, text
from tests.conformance.differences import Difference
from tests.conformance.wire import Reader

_FLAGS = refused(8, 62)
_BAD = refused(8, 0)
_SYSTEM = refused(38, 0)

_GET_OUTPUTS = call(14, NO_FLAGS)
_GET_FILTERS = call(15, NO_FLAGS)
_OUTPUTS_BACK = (call(16, text("3:stderr")),)
_FILTERS_BACK = (call(17, text(None)),)
_OUTPUTS_AS_BEFORE = Step(_GET_OUTPUTS, ok(result=outputs("3:stderr", 1)))


def _output(name: str, asked: str | None, shown: str, count: int = 1) -> Case:
    return case(
        f"outputs-{name}",
        Step(call(16, text(asked)), ok()),
        Step(_GET_OUTPUTS, ok(result=outputs(shown, count))),
        undo=_OUTPUTS_BACK,
    )


def _absolute(read: Reader) -> bool:
    text, number = read.string(), read.u32()
    return text.startswith("4:file:/") and text.endswith("/log") and number == 1


def _bad_output(name: str, asked: str, outcome: Outcome = _BAD) -> Case:
    return case(
        f"outputs-bad-{name}",
        Step(call(16, text(asked)), outcome),
        _OUTPUTS_AS_BEFORE,
        undo=_OUTPUTS_BACK,
    )


def _filter(name: str, asked: str | None, shown: str | None, count: int = 1) -> Case:
    return case(
        f"filters-{name}",
        Step(call(17, text(asked)), ok()),
        Step(_GET_FILTERS, ok(result=logging(shown, count))),
        undo=_FILTERS_BACK,
    )


def _bad_filter(name: str, asked: str) -> Case:
    return case(
        f"filters-bad-{name}",
        Step(call(17, text("2:before")), ok()),
        Step(call(17, text(asked)), _BAD),
        Step(_GET_FILTERS, ok(result=logging("2:*before*", 1))),
        undo=_FILTERS_BACK,
    )


_BAD_OUTPUTS = {
    "word": "foo",
    "level-0": "0:stderr",
    "level-5": "5:stderr",
    "level-minus-1": "-1:stderr",
    "level-is-a-word": "debug:stderr",
    "level-missing": ":stderr",
    "level-alone": "1",
    "level-and-colon": "1:",
    "level-huge": "99999999999999999999:stderr",
    "level-with-a-blank": "1 :stderr",
    "level-1.5": "1.5:stderr",
    "stderr-with-more": "4:stderr:more",
    "destination-unknown": "1:nowhere",
    "destination-in-capitals": "1:STDERR",
    "file-without-path": "1:file",
    "syslog-without-name": "1:syslog",
    "second-of-two": "1:stderr 9:stderr",
    "first-of-two": "9:stderr 1:stderr",
    "commas": "1:stderr,2:stderr",
}

_NO_FILES = {
    "file-with-empty-path": "1:file:",
    "file-in-no-folder": "1:file:/nonexistent/log",
    "file-is-a-folder": "1:file:/",
    "file-after-a-good-one": "1:stderr 2:file:/nonexistent/log",
}

_BAD_FILTERS = {
    "word": "foo",
    "level-0": "0:x",
    "level-5": "5:x",
    "level-minus-1": "-1:x",
    "level-is-a-word": "debug:x",
    "level-missing": ":x",
    "level-alone": "1",
    "level-and-colon": "1:",
    "level-huge": "99999999999999999999:x",
    "second-of-two": "1:x 9:y",
    "first-of-two": "9:y 1:x",
    "level-1.5": "1.5:x",
    "blank-after-colon": "1: x",
}

CASES = (
    case("outputs-at-the-start", _OUTPUTS_AS_BEFORE),
    one("outputs-get-flags", call(14, BAD_FLAGS), _FLAGS),
    one("outputs-set-flags", call(16, text("3:stderr", flags=1)), _FLAGS),
    one("outputs-set-bad-and-flags", call(16, text("foo", flags=1)), _FLAGS),
    _output("one", "1:stderr", "1:stderr"),
    _output("two", "2:stderr 4:file:/dev/null", "2:stderr 4:file:/dev/null", 2),
    _output("blanks-around", "  4:stderr  ", "4:stderr"),
    _output("blanks-between", "4:stderr    4:file:/dev/null", "4:stderr 4:file:/dev/null", 2),
    _output("same-destination-twice", "1:stderr 4:stderr", "4:stderr"),
    _output(
        "two-files", "4:file:/dev/null 3:file:/dev/zero", "4:file:/dev/null 3:file:/dev/zero", 2
    ),
    _output("syslog", "4:syslog:conformance", "4:syslog:conformance"),
    _output("level-with-zero", "04:stderr", "4:stderr"),
    _output("level-with-plus", "+4:stderr", "4:stderr"),
    *(_bad_output(name, asked) for name, asked in _BAD_OUTPUTS.items()),
    *(_bad_output(name, asked, _SYSTEM) for name, asked in _NO_FILES.items()),
    _output("syslog-with-empty-name", "1:syslog:", "1:syslog:"),
    case(
        "outputs-relative-file-shown-absolute",
        Step(call(16, text("4:file:log")), ok()),
        Step(_GET_OUTPUTS, ok(result=_absolute)),
        undo=_OUTPUTS_BACK,
    ),
    _output("none", None, "3:stderr"),
    _output("empty", "", "3:stderr"),
    case(
        "outputs-blank",
        Step(call(16, text("  ")), ok()),
        Step(
            _GET_OUTPUTS,
            refused(1, 7),
            ours=ok(result=outputs("3:stderr", 1)),
            why=Difference.NO_OUTPUTS_IS_DEFAULT,
        ),
        undo=_OUTPUTS_BACK,
    ),
    case("filters-at-the-start", Step(_GET_FILTERS, ok(result=logging(None, 0)))),
    one("filters-get-flags", call(15, BAD_FLAGS), _FLAGS),
    one("filters-set-flags", call(17, text("1:x", flags=1)), _FLAGS),
    one("filters-set-bad-and-flags", call(17, text("foo", flags=1)), _FLAGS),
    _filter("one", "1:qemu", "1:*qemu*"),
    _filter("two", "1:qemu 4:rpc", "1:*qemu* 4:*rpc*", 2),
    _filter("blanks-around", "  1:qemu  ", "1:*qemu*"),
    _filter("blanks-between", "1:qemu    4:rpc", "1:*qemu* 4:*rpc*", 2),
    _filter("with-stars", "1:*qemu*", "1:**qemu**"),
    _filter("with-one-star", "1:qemu*", "1:*qemu**"),
    _filter("with-a-colon", "1:a:b", "1:*a*"),
    _filter("with-a-dot", "3:rpc.server", "3:*rpc.server*"),
    _filter("with-a-plus", "1:+qemu", "1:*qemu*"),
    _filter("same-match-twice", "1:qemu 4:qemu", "1:*qemu* 4:*qemu*", 2),
    _filter("level-with-zero", "01:x", "1:*x*"),
    _filter("none", None, None, 0),
    _filter("empty", "", None, 0),
    _filter("blank", "   ", None, 0),
    _filter(
        "a-hundred",
        " ".join(f"1:m{number}" for number in range(100)),
        " ".join(f"1:*m{number}*" for number in range(100)),
        100,
    ),
    *(_bad_filter(name, asked) for name, asked in _BAD_FILTERS.items()),
    case(
        "filters-taken-away",
        Step(call(17, text("1:x")), ok()),
        Step(call(17, text(None)), ok()),
        Step(_GET_FILTERS, ok(result=logging(None, 0))),
        undo=_FILTERS_BACK,
    ),
)
