"""Declarations: records, function names, errors' phrases, and typed parameters of all kinds."""

from __future__ import annotations

import copy
import pickle
import re
from enum import IntFlag
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin.protocol import ADMIN
from aiovirt.daemons.reference import programs
from aiovirt.daemons.virtd.protocol import QEMU, REMOTE
from aiovirt.rpc import wire
from aiovirt.rpc.wire import typedparams, xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
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

    def test_a_record_may_extend_another(self) -> None:
        @xdr.struct
        class Point3(Point):
            z: xdr.Int = 9

        assert Point3(1) == Point3(x=1, y=7, z=9)
        assert Point3(1) != Point(1)
        assert xdr.decode(Point3, xdr.encode(Point3(1, 2, 3))) == Point3(1, 2, 3)

    def test_an_init_of_a_subclass_may_call_the_generated_one(self) -> None:
        @xdr.struct
        class Base:  # not used before, so that its __init__ is still to be made
            x: xdr.Int
            y: xdr.Int

        class Twice(Base):
            def __init__(self, both: int) -> None:
                super().__init__(both, both)

        assert [(one.x, one.y) for one in (Twice(1), Twice(2), Base(3, 4))] == [
            (1, 1),
            (2, 2),
            (3, 4),
        ]

    def test_a_field_without_a_default_comes_first(self) -> None:
        @xdr.struct
        class Wrong:  # mypy sees no fault: dataclass_transform leaves it to the decorator
            x: xdr.Int = 1
            y: xdr.Int  # type: ignore[misc]  # refused at run time, too

        with pytest.raises(TypeError, match="field y of Wrong needs a default, since x has one"):
            Wrong(1, 2)

    def test_a_record_keeps_its_place_and_is_pickled(self) -> None:
        @xdr.struct
        class Local:
            """A class in a function."""

        assert Local.__qualname__.endswith("<locals>.Local")
        assert Local.__doc__ == "A class in a function."
        assert pickle.loads(pickle.dumps(Line(Point(1), Point(2)))) == Line(Point(1), Point(2))

    def test_no_table_has_a_field_without_a_type(self) -> None:
        for program in programs():
            for procedure in program:
                xdr.fields_of(procedure.args)
                xdr.fields_of(procedure.result)


#: What libvirt 9.0.0 has in its remote program: number, name, and the function that calls it, if any.
NAMES = [
    (int(number), name, function)
    for number, name, function in (
        line.split()
        for line in Path(__file__).with_name("remote_procedures.txt").read_text().splitlines()
        if not line.startswith("#")
    )
]
FUNCTIONS = {number: function for number, _, function in NAMES}
#: The procedures among them whose function has to be given.
GIVEN = {
    "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY",
    "CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY",
}
#: Functions that libvirt's library has and its headers have not.
INTERNAL = re.compile(
    r"virConnectSupportsFeature|virDomainMigrate(Begin|Prepare|Perform|Finish|Confirm)\w*"
)


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

    def test_the_functions_of_the_whole_remote_program_follow_from_its_names(self) -> None:
        assert [number for number, _, _ in NAMES] == list(range(1, 444))
        program = Program("remote", 1, 1)
        wrong = set()
        for number, name, function in NAMES:
            made = program.procedure(number, name, xdr.Void, xdr.Void)
            if function not in ("-", made.function):
                wrong.add(name)
        assert wrong == GIVEN

    def test_the_remote_table_has_libvirts_numbers_names_and_functions(self) -> None:
        assert sorted(
            (one.number, one.name, "-" if function == "-" else one.function)
            for one, function in ((one, FUNCTIONS[one.number]) for one in REMOTE)
        ) == [(number, name, function) for number, name, function in NAMES]

    def test_function_names_are_those_of_libvirts_headers(self) -> None:
        headers = Path("/usr/include/libvirt")
        if not headers.is_dir():
            pytest.skip("libvirt's headers are not installed")
        text = "".join(header.read_text() for header in headers.glob("*.h"))
        public = set(re.findall(r"\b(vir[A-Z]\w+)\s*\(", text))
        named = {function for _, _, function in NAMES if not INTERNAL.fullmatch(function)} - {"-"}
        named |= {one.function for one in ADMIN}
        named.discard("virAdmConnectDaemonShutdown")  # since libvirt 11.2
        assert named <= public

    def test_a_procedure_that_takes_flags_says_which(self) -> None:
        said = {
            (program.name, one.name): one.flags is not None
            for program in programs()
            if program not in (REMOTE, QEMU)  # the drivers check flags, each its own
            for one in program
            if "flags" in xdr.names_of(one.args)
        }
        # These take any flags, as they do in libvirt.
        assert {one for one, checked in said.items() if not checked} == {
            ("admin", "CONNECT_LOOKUP_SERVER"),
            ("log manager", "DOMAIN_OPEN_LOG_FILE"),
        }
        for program in programs():
            for one in program:
                assert one.flags is None or (program.name, one.name) in said, one


_NO_SUPPORT = "this function is not supported by the connection driver"


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "detail", "text"),
        [
            (ErrorCode.NO_DOMAIN, "x", "Domain not found: x"),
            (ErrorCode.NO_DOMAIN, "", "Domain not found"),
            (ErrorCode.NO_CONNECT, "foo:///", "no connection driver available for foo:///"),
            (ErrorCode.OPERATION_INVALID, "50%", "Requested operation is not valid: 50%"),
            (ErrorCode.OK, "all is well", "all is well"),
            (ErrorCode.RPC, "unknown procedure: 999", "unknown procedure: 999"),
            (ErrorCode.RPC, "", "RPC error"),
            (ErrorCode.SYSTEM_ERROR, "cannot open /x", "cannot open /x"),
            (ErrorCode.NO_SUPPORT, "virX", f"{_NO_SUPPORT}: virX"),
            (ErrorCode.XML_ERROR, "no name", "XML error: no name"),
            (ErrorCode.XML_ERROR, "", "XML description is invalid or not well formed"),
        ],
    )
    def test_an_error_begins_with_the_phrase_of_its_code(
        self, code: ErrorCode, detail: str, text: str
    ) -> None:
        assert RpcError.of(code, detail).message == text

    @pytest.mark.parametrize("code", [code for code in ErrorCode if code])
    def test_every_code_has_a_phrase_and_takes_a_detail(self, code: ErrorCode) -> None:
        error = RpcError.of(code, domain=ErrorDomain.QEMU)
        assert error.message
        assert (error.code, error.domain) == (code, ErrorDomain.QEMU)
        assert RpcError.of(code, "100% of it").message.count("100% of it") == 1


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

    @pytest.mark.parametrize(
        ("make", "content", "why"),
        [
            (typedparams.string, "a\0b", "NUL"),
            (typedparams.string, "\ud800", "'n' is not text that UTF-8 can encode"),
            (typedparams.string, "x" * (xdr.STRING_MAX + 1), "at most 4194304 can travel"),
            (typedparams.double, 10**400, "too large for a double"),
        ],
        ids=["NUL", "surrogate", "long", "double"],
    )
    def test_a_value_that_cannot_travel_is_refused_when_it_is_made(
        self, make: Any, content: Any, why: str
    ) -> None:
        with pytest.raises(ValueError, match=why):
            make("n", content)

    def test_a_string_that_is_not_utf_8_travels(self) -> None:
        param = typedparams.string("s", b"caf\xe9".decode("utf-8", "surrogateescape"))
        assert xdr.decode(TypedParam, xdr.encode(param)) == param

    def test_a_name_is_a_string(self) -> None:
        with pytest.raises(TypeError, match="a parameter's name is a string, not 5"):
            typedparams.uint(5, 1)  # type: ignore[arg-type]  # refused at run time, too

    @pytest.mark.parametrize("name", ["", "n" * (FIELD_MAX + 1), "\u00e9" * 40, "a\0"])
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

    @pytest.mark.parametrize(
        ("params", "code", "name"),
        [
            (["a:string", "b"], ErrorCode.INVALID_ARG, "a"),  # in the order of names
            (["b", "b", "a:string"], ErrorCode.INVALID_ARG, "a"),
            (["a", "a:string"], ErrorCode.INVALID_ARG, "a"),
            (["z", "a:string"], ErrorCode.INVALID_ARG, "a"),  # known ones before unknown ones
            (["aa", "b:string"], ErrorCode.ARGUMENT_UNSUPPORTED, "aa"),  # which end the walk
        ],
    )
    def test_the_first_fault_in_libvirts_order_is_told(
        self, params: list[str], code: ErrorCode, name: str
    ) -> None:
        sent = [
            typedparams.string(one[:-7], "x")
            if one.endswith(":string")
            else typedparams.uint(one, 1)
            for one in params
        ]
        with pytest.raises(RpcError, match=f"'{name}'") as caught:
            validate(sent, {"a": ParamType.UINT, "b": ParamType.UINT})
        assert (caught.value.code, caught.value.domain) == (code, ErrorDomain.NONE)

    def test_strings_are_left_out_for_a_caller_that_does_not_take_them(self) -> None:
        params = [typedparams.uint("a", 1), typedparams.string("b", "x")]
        assert typedparams.without_strings(params) == params[:1]


def test_the_public_names_are_there() -> None:
    for name in wire.__all__:
        assert getattr(wire, name).__name__.removeprefix("aiovirt.rpc.wire.") == name
    assert set(wire.__all__) <= set(dir(wire))
    with pytest.raises(AttributeError, match="nothing"):
        _ = wire.nothing
