"""Declarations: records, function names, errors' phrases, and typed parameters of all kinds."""

from __future__ import annotations

import copy
import re
from enum import IntFlag
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin.protocol import ADMIN
from aiovirt.daemons.reference import programs
from aiovirt.daemons.virtd.remote_protocol import REMOTE
from aiovirt.rpc import wire
from aiovirt.rpc.wire import typedparams, xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.program import Procedure, Program
from aiovirt.rpc.wire.records import as_dict
from aiovirt.rpc.wire.typedparams import FIELD_MAX, ParamType, TypedParam, find, find_all, validate


@xdr.struct
class Point:
    """A point."""

    x: xdr.Int
    y: xdr.Int = 7


@xdr.struct
class Line:
    """Two of them."""

    start: Point
    end: Point


class TestRecords:
    def test_fields_are_given_by_position_or_by_name(self) -> None:
        assert Point(1, 2) == Point(x=1, y=2) == Point(1, y=2)

    def test_a_field_with_a_default_may_be_left_out(self) -> None:
        assert Point(1).y == 7

    @pytest.mark.parametrize(
        "wrong", [lambda: Point(), lambda: Point(1, 2, 3), lambda: Point(1, z=2)]
    )  # type: ignore[call-arg]  # refused at run time, too
    def test_wrong_fields_are_refused(self, wrong: Any) -> None:
        for _ in range(2):  # the first time and later
            with pytest.raises(TypeError):
                wrong()

    def test_records_of_two_classes_differ(self) -> None:
        assert Point(1) != (1, 7)
        assert Line(Point(1), Point(2)) != Point(1)

    def test_there_is_no_other_attribute(self) -> None:
        with pytest.raises(AttributeError):
            Point(1).z = 3  # type: ignore[attr-defined]  # refused at run time, too

    def test_a_record_shows_its_fields_and_is_copied_whole(self) -> None:
        line = Line(Point(1), Point(2))
        assert repr(line) == "Line(start=Point(x=1, y=7), end=Point(x=2, y=7))"
        assert copy.deepcopy(line) == line
        assert as_dict(line) == {"start": {"x": 1, "y": 7}, "end": {"x": 2, "y": 7}}

    def test_a_record_cannot_be_hashed(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(Point(1))

    def test_a_field_without_a_type_is_found_at_the_first_use(self) -> None:
        @xdr.struct
        class Broken:
            field: int

        with pytest.raises(TypeError, match="has no XDR type"):
            xdr.encode(Broken(1))

    def test_no_table_has_a_field_without_a_type(self) -> None:
        for program in programs():
            for procedure in program:
                xdr.fields_of(procedure.args)
                xdr.fields_of(procedure.result)


class TestProcedures:
    def test_codecs_are_compiled_when_they_are_asked_for(self) -> None:
        @xdr.struct
        class Args:
            number: xdr.UInt

        procedure = Program("test", 1, 1).procedure(1, "TAKE", Args, xdr.Void)
        assert Args.__dict__["__xdr__"] is None
        assert procedure.encode_args(Args(1)) == b"\0\0\0\1"
        assert procedure.decode_args(b"\0\0\0\2", 0, 4)[0] == Args(2)
        with pytest.raises(AttributeError, match="nothing"):
            _ = procedure.nothing

    def test_flags_are_a_mask_and_perhaps_a_name(self) -> None:
        class Flags(IntFlag):
            ONE = 1
            FOUR = 4

        program = Program("test", 1, 1)
        declared: list[Procedure[Any, Any]] = [
            program.procedure(1, "A", xdr.Void, xdr.Void, flags=Flags),
            program.procedure(2, "B", xdr.Void, xdr.Void, flags=3),
            program.procedure(3, "C", xdr.Void, xdr.Void),
        ]
        assert [(one.flags, one.flag_names) for one in declared] == [
            (5, Flags),
            (3, None),
            (None, None),
        ]

    def test_an_event_is_marked(self) -> None:
        event = Program("test", 1, 1).event(9, "HAPPENED", Point)
        assert event.event
        assert event.result is xdr.Void

    @pytest.mark.parametrize(
        ("name", "function"),
        [
            ("DOMAIN_GET_XML_DESC", "virDomainGetXMLDesc"),
            ("CONNECT_GET_URI", "virConnectGetURI"),
            ("DOMAIN_LOOKUP_BY_UUID", "virDomainLookupByUUID"),
            ("DOMAIN_PIN_IOTHREAD", "virDomainPinIOThread"),
            ("CONNECT_LIST_ALL_NWFILTER_BINDINGS", "virConnectListAllNwfilterBindings"),
        ],
    )
    def test_function_names_follow_libvirts_spelling(self, name: str, function: str) -> None:
        procedure = Program("test", 1, 1).procedure(1, name, xdr.Void, xdr.Void)
        assert procedure.function.replace("NWFilter", "Nwfilter") == function

    @pytest.mark.parametrize("program", [ADMIN, REMOTE], ids=["admin", "remote"])
    def test_function_names_are_those_of_libvirts_headers(self, program: Program) -> None:
        headers = Path("/usr/include/libvirt")
        if not headers.is_dir():
            pytest.skip("libvirt's headers are not installed")
        text = "".join(header.read_text() for header in headers.glob("*.h"))
        public = set(re.findall(r"\b(vir[A-Z]\w+)\s*\(", text))
        internal = {"AUTH_LIST", "AUTH_POLKIT", "CONNECT_SUPPORTS_FEATURE"}
        internal |= {"AUTH_SASL_INIT", "AUTH_SASL_START", "AUTH_SASL_STEP"}
        named = {one.function for one in program if one.name not in internal}
        if "virAdmConnectDaemonShutdown" not in public:  # since libvirt 11.2
            named.discard("virAdmConnectDaemonShutdown")
        assert named <= public


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "detail", "text"),
        [
            (ErrorCode.NO_DOMAIN, "x", "Domain not found: x"),
            (ErrorCode.NO_DOMAIN, "", "Domain not found"),
            (ErrorCode.NO_CONNECT, "foo:///", "no connection driver available for foo:///"),
            (ErrorCode.OPERATION_INVALID, "50%", "Requested operation is not valid: 50%"),
            (ErrorCode.OK, "all is well", "all is well"),
        ],
    )
    def test_an_error_begins_with_the_phrase_of_its_code(
        self, code: ErrorCode, detail: str, text: str
    ) -> None:
        assert RpcError.of(code, detail).message == text


class TestTypedParams:
    @pytest.mark.parametrize(
        ("make", "low", "high"),
        [
            (typedparams.int_, -(2**31), 2**31 - 1),
            (typedparams.uint, 0, 2**32 - 1),
            (typedparams.llong, -(2**63), 2**63 - 1),
            (typedparams.ullong, 0, 2**64 - 1),
        ],
    )
    def test_a_whole_number_has_its_range(self, make: Any, low: int, high: int) -> None:
        for number in (low, high):
            assert xdr.decode(TypedParam, xdr.encode(make("n", number))).value.content == number
        for number in (low - 1, high + 1):
            with pytest.raises(ValueError, match=f"'n' is {number}"):
                make("n", number)
        for wrong in (1.0, True, "1", None):
            with pytest.raises(TypeError, match="not a whole number"):
                make("n", wrong)

    def test_the_other_kinds_have_their_types(self) -> None:
        assert typedparams.double("d", 1).value == (ParamType.DOUBLE, 1.0)
        assert typedparams.boolean("b", True).value == (ParamType.BOOLEAN, True)
        assert typedparams.string("s", "x").value == (ParamType.STRING, "x")
        for make, wrong in (
            (typedparams.double, True),
            (typedparams.boolean, 1),
            (typedparams.string, b"x"),
        ):
            with pytest.raises(TypeError):
                make("n", wrong)  # type: ignore[operator]  # refused at run time, too
        with pytest.raises(ValueError, match="NUL"):
            typedparams.string("s", "a\0b")

    @pytest.mark.parametrize("name", ["", "n" * (FIELD_MAX + 1), "\u00e9" * 40])
    def test_a_name_has_its_bound(self, name: str) -> None:
        typedparams.uint("n" * FIELD_MAX, 1)
        with pytest.raises(ValueError, match="name has 1 to 79 bytes"):
            typedparams.uint(name, 1)

    def test_parameters_are_found_by_name_and_type(self) -> None:
        params = [typedparams.uint("a", 1), typedparams.string("b", "x"), typedparams.uint("a", 2)]
        assert find(params, "a", ParamType.UINT) == 1
        assert find_all(params, "a", ParamType.UINT) == [1, 2]
        assert find(params, "c", ParamType.UINT) is None
        with pytest.raises(RpcError, match="has type string, it must be uint"):
            find(params, "b", ParamType.UINT)

    def test_a_name_may_be_repeated_where_that_is_allowed(self) -> None:
        params = [typedparams.uint("a", 2), typedparams.uint("a", 1)]
        assert validate(params, {"a": ParamType.UINT}, {"a"}) == {"a": [2, 1]}
        with pytest.raises(RpcError, match="given twice"):
            validate(params, {"a": ParamType.UINT})

    def test_strings_are_left_out_for_a_caller_that_does_not_take_them(self) -> None:
        params = [typedparams.uint("a", 1), typedparams.string("b", "x")]
        assert typedparams.without_strings(params) == params[:1]


def test_the_public_names_are_there() -> None:
    for name in wire.__all__:
        assert getattr(wire, name).__name__ == name
    assert set(wire.__all__) <= set(dir(wire))
    with pytest.raises(AttributeError, match="nothing"):
        _ = wire.nothing
