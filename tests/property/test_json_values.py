"""Arguments and results survive JSON, for every procedure of every table, by its description."""

from __future__ import annotations

import json
from enum import IntEnum, IntFlag
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiovirt.admin.extension.description import describe
from aiovirt.admin.extension.protocol import introspection as protocol
from aiovirt.admin.extension.protocol.introspection import TypeKind
from aiovirt.admin.json_scalars import JsonError
from aiovirt.admin.json_values import JsonCodec
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Procedure, Program
from tests.property.wire_values import Everything, programs, values


class Color(IntEnum):
    RED = 1
    BLUE = 7


class Mode(IntFlag):
    FAST = 1
    LOUD = 4


@xdr.struct
class Painted:
    """A thing with a color."""

    name: xdr.Str
    color: Annotated[xdr.UInt, Color]
    colors: Annotated[list[int], xdr.Array(Annotated[xdr.Int, Color], 3)]
    note: xdr.OptStr
    flags: xdr.UInt


DUMMY = Program("dummy", 1, 1)
EVERYTHING = DUMMY.procedure(1, "EVERYTHING", Everything, Everything)
PAINT = DUMMY.procedure(2, "PAINT", Painted, xdr.Void, flags=Mode)
PROCEDURES = [EVERYTHING, PAINT, *(one for program in programs() for one in program)]


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("procedure", PROCEDURES, ids=lambda one: f"{one.program.name} {one.name}")
@settings(max_examples=3, deadline=None)
@given(st.data())
def test_arguments_and_results_survive_json(
    procedure: Procedure[Any, Any], data: st.DataObject
) -> None:
    described = xdr.decode(protocol.ProcedureDescription, xdr.encode(describe(procedure)))
    codec = JsonCodec(described)
    for cls, position in (
        (procedure.args, described.args),
        (procedure.result, described.result),
    ):
        encoded = xdr.encode(data.draw(values(cls)))
        assert codec.encode(position, through_json(codec.decode(position, encoded))) == encoded
        codec.encode(position, through_json(codec.template(position)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_result_are_refused_or_decoded(data: bytes) -> None:
    described = describe(EVERYTHING)
    try:
        JsonCodec(described).decode(described.result, data)
    except xdr.XdrError:
        return


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "pair"]), inner),
    )
)
def test_json_that_does_not_fit_is_refused_with_its_place(value: Any) -> None:
    described = describe(EVERYTHING)
    with pytest.raises(JsonError):
        JsonCodec(described).encode(described.args, value)


PAINTED = {"name": "x", "color": "BLUE", "colors": ["RED", 3], "note": None, "flags": ["LOUD", 16]}


def test_enumerations_and_flags_have_names() -> None:
    described = describe(PAINT)
    codec = JsonCodec(described)
    data = xdr.encode(Painted("x", 7, [1, 3], None, 20))
    assert codec.decode(described.args, data) == PAINTED
    for flags in (["LOUD", 16], "loud|16", 20, "20"):
        assert codec.encode(described.args, {**PAINTED, "flags": flags}) == data


def test_absent_flags_and_optional_fields_have_a_default() -> None:
    described = describe(PAINT)
    codec = JsonCodec(described)
    short = {"name": "x", "color": 7, "colors": []}
    assert codec.encode(described.args, short) == xdr.encode(Painted("x", 7, [], None, 0))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": 5}, "name: expected a string, not 5"),
        ({"name": "a\0b"}, "name: a string cannot contain a NUL"),
        ({"color": "GREEN"}, "color: Color has no 'GREEN'; it has RED, BLUE"),
        ({"color": 1 << 32}, "color: 4294967296 is outside 0 to 4294967295"),
        ({"color": True}, "color: expected a whole number"),
        ({"colors": [1, 2, 3, 4]}, "colors: at most 3 items are allowed, not 4"),
        ({"colors": ["RED", []]}, "colors[1]: expected a whole number"),
        ({"flags": ["QUIET"]}, "flags: Mode has no 'QUIET'"),
        ({"flag": 1}, "Painted has no field 'flag'; did you mean flags?"),
    ],
)
def test_an_error_says_where_and_what_is_right(changed: dict[str, Any], words: str) -> None:
    described = describe(PAINT)
    with pytest.raises(JsonError) as caught:
        JsonCodec(described).encode(described.args, {**PAINTED, **changed})
    assert words in str(caught.value)


def test_a_missing_field_is_named() -> None:
    described = describe(PAINT)
    with pytest.raises(JsonError, match="color: this field of Painted is missing"):
        JsonCodec(described).encode(described.args, {"name": "x"})


class TestHostileDescriptions:
    """A description is what a daemon sent: it must not cost more than its own size."""

    def kind(self, kind: int, **given: Any) -> protocol.TypeInfo:
        empty = {"name": "", "text": "", "bound": 0, "item": 0, "enumeration": 0}
        return protocol.TypeInfo(**{"kind": kind, **empty, "fields": [], "arms": [], **given})

    def codec(self, *types: protocol.TypeInfo) -> JsonCodec:
        described = describe(PAINT)
        described.types = list(types)
        described.enumerations = []
        return JsonCodec(described)

    def test_a_position_outside_is_refused(self) -> None:
        with pytest.raises(xdr.XdrError):
            self.codec(self.kind(TypeKind.OPTIONAL, item=1))

    def test_a_type_within_itself_ends(self) -> None:
        fields = [protocol.FieldInfo("a", 0), protocol.FieldInfo("b", 0)]
        codec = self.codec(self.kind(TypeKind.STRUCT, fields=fields))
        with pytest.raises(xdr.XdrError):
            codec.decode(0, b"")
        with pytest.raises(xdr.XdrError):
            codec.template(0)

    def test_an_array_of_nothing_allocates_nothing(self) -> None:
        nothing = self.kind(TypeKind.VOID)
        codec = self.codec(self.kind(TypeKind.ARRAY, item=1, bound=0xFFFFFFFF), nothing)
        with pytest.raises(xdr.XdrError):
            codec.decode(0, b"\xff\xff\xff\xff")

    def test_an_unknown_kind_is_refused(self) -> None:
        with pytest.raises(xdr.XdrError):
            self.codec(self.kind(99)).decode(0, b"")
