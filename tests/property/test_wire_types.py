"""Every declared type survives its encoding, and no bytes do more to a decoder than be refused."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiovirt.admin.protocol import ADMIN
from aiovirt.daemons.reference import programs
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.codegen import compile_value
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RemoteError, RpcError
from aiovirt.rpc.wire.keepalive import KEEPALIVE
from aiovirt.rpc.wire.message import Message, Status, Type
from aiovirt.rpc.wire.program import Procedure, Program
from aiovirt.rpc.wire.typedparams import ParamType, ParamValue, TypedParam
from tests.property.wire_values import (
    LONG,
    MANY,
    RANGES,
    Everything,
    Pair,
    full,
    texts,
    types,
    values,
)

TYPES = types()
ONE_OF_EACH = pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
FEW = settings(max_examples=25, deadline=None)

#: Items of the longest array that is filled; some of libvirt's would fill the memory.
FULL_MAX = 65536

#: Lengths and counts that lie: at, just over and far over every maximum.
HOSTILE = [1, 5, 33, 65, 4194304, 4194305, 16384, 16385, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def test_the_tables_are_found() -> None:
    assert {ADMIN.number, KEEPALIVE.number} <= {program.number for program in programs()}
    assert {TypedParam, RemoteError, Everything, Pair} <= set(TYPES)


#: A program whose event carries a field of every kind; and the events of all tables.
DUMMY = Program("dummy", 1, 1)
EVENTS = [DUMMY.event(7, "HAPPENED", Everything)]
EVENTS += [one for program in programs() for one in program if one.event]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
@FEW
@given(st.data())
def test_an_event_arrives_as_it_was_sent(event: Procedure[Any, None], data: st.DataObject) -> None:
    value = data.draw(values(event.args))
    program = event.program
    sent = Message(
        program.number,
        program.version,
        event.number,
        Type.MESSAGE,
        1,
        Status.OK,
        event.encode_args(value),
    )
    got = Message.unpack(sent.pack())
    assert got == sent
    assert program.get(got.procedure) is event
    assert event.decode_args(got.payload, 0, len(got.payload)) == (value, len(got.payload))


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)
def test_numbers_and_names_of_a_program_are_unique(program: Program) -> None:
    procedures = list(program)
    assert len(procedures) == len(program) > 0
    assert len({one.key for one in procedures}) == len(procedures)
    assert len({one.name for one in procedures}) == len(procedures)
    for one in procedures:
        assert program.get(one.number) is one
        assert one.program is program
        if one.event:
            assert one.result is xdr.Void


@ONE_OF_EACH
class TestEveryType:
    @FEW
    @given(st.data())
    def test_it_is_the_same_again(self, cls: type, data: st.DataObject) -> None:
        value = data.draw(values(cls))
        encoded = xdr.encode(value)
        assert len(encoded) % 4 == 0
        assert xdr.decode(cls, encoded) == value
        assert xdr.decode(cls, memoryview(b"before" + encoded + b"behind"), 6) == value
        assert xdr.decoder_of(cls)(bytearray(encoded), 0, len(encoded)) == (value, len(encoded))

    @FEW
    @given(st.data())
    def test_cut_short_it_is_refused(self, cls: type, data: st.DataObject) -> None:
        encoded = xdr.encode(data.draw(values(cls)))
        if not encoded:
            return
        cut = data.draw(st.integers(0, len(encoded) - 1))
        with pytest.raises(xdr.XdrError):
            xdr.decode(cls, encoded[:cut])
        with pytest.raises(xdr.XdrError):  # more bytes are there, but not for this value
            xdr.decoder_of(cls)(encoded, 0, cut)

    @FEW
    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_value_or_refused(self, cls: type, data: bytes) -> None:
        _decodes_or_refuses(cls, data)

    @FEW
    @given(st.data())
    def test_changed_bytes_are_a_value_or_refused(self, cls: type, data: st.DataObject) -> None:
        encoded = bytearray(xdr.encode(data.draw(values(cls))))
        for _ in range(data.draw(st.integers(1, 3))):
            if encoded:
                at = data.draw(st.integers(0, len(encoded) - 1))
                encoded[at] = data.draw(st.integers(0, 255))
        _decodes_or_refuses(cls, bytes(encoded))

    def test_no_length_or_count_makes_it_allocate_what_is_not_there(self, cls: type) -> None:
        sample = xdr.encode(full(cls))
        for at in range(0, len(sample), 4):
            for lie in HOSTILE:
                data = sample[:at] + struct.pack(">I", lie) + sample[at + 4 :]
                tracemalloc.start()
                try:
                    _decodes_or_refuses(cls, data)
                    peak = tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()
                assert peak < 100_000, (at, lie)


def _decodes_or_refuses(cls: type, data: bytes) -> None:
    try:
        value, end = xdr.decoder_of(cls)(data, 0, len(data))
    except xdr.XdrError:
        return
    assert end <= len(data)
    again = xdr.encode(value)  # what was taken can be sent again, and means the same
    assert xdr.encode(xdr.decode(cls, again)) == again


class TestWhatCannotTravel:
    @ONE_OF_EACH
    def test_each_field_refuses_what_its_type_cannot_hold(self, cls: type) -> None:
        for name, codec in xdr.fields_of(cls):
            for wrong in _misfits(codec):
                value = full(cls)
                setattr(value, name, wrong)
                with pytest.raises(xdr.XdrError):
                    xdr.encode(value)

    @given(st.sampled_from("iIqQ"), st.integers())
    def test_a_number_is_exact_or_refused(self, form: str, number: int) -> None:
        kind = {
            "i": ParamType.INT,
            "I": ParamType.UINT,
            "q": ParamType.LLONG,
            "Q": ParamType.ULLONG,
        }[form]
        param = TypedParam("n", ParamValue(kind, number))
        low, high = RANGES[form]
        if low <= number <= high:
            assert xdr.decode(TypedParam, xdr.encode(param)) == param
        else:
            with pytest.raises(xdr.XdrError):
                xdr.encode(param)

    def test_the_longest_string_travels_and_one_byte_more_does_not(self) -> None:
        longest = TypedParam("x" * xdr.STRING_MAX, ParamValue(ParamType.INT, 0))
        assert xdr.decode(TypedParam, xdr.encode(longest)) == longest
        with pytest.raises(xdr.XdrError):
            xdr.encode(TypedParam("x" * (xdr.STRING_MAX + 1), ParamValue(ParamType.INT, 0)))
        with pytest.raises(xdr.XdrError):  # counted in bytes, not in characters
            xdr.encode(TypedParam("ü" * (xdr.STRING_MAX // 2 + 1), ParamValue(ParamType.INT, 0)))
        too_long = struct.pack(">I", xdr.STRING_MAX + 1) + b"x" * (xdr.STRING_MAX + 4)
        with pytest.raises(xdr.XdrError):
            xdr.decode(TypedParam, too_long + struct.pack(">II", ParamType.INT, 0))

    @pytest.mark.parametrize(
        ("codec", "value"),
        [
            (xdr.String(6), "x" * 7),
            (xdr.VarOpaque(6), b"x" * 7),
            (xdr.Array(xdr.UInt, 6), [1] * 7),
            (xdr.Array(Pair, 6), [Pair(1, None)] * 7),
        ],
        ids=lambda one: type(one).__name__,
    )
    def test_what_is_all_there_but_over_its_maximum_is_refused(
        self, codec: xdr.Codec, value: Any
    ) -> None:
        kept = {name: getattr(codec, name) for name in type(codec).__match_args__}
        encode, _ = compile_value(type(codec)(**{**kept, "maximum": 7}))
        _, decode = compile_value(codec)
        parts: list[bytes] = []
        encode(value, parts.append)
        data = b"".join(parts)
        with pytest.raises(xdr.XdrError):
            decode(data, 0, len(data))
        with pytest.raises(xdr.XdrError):
            compile_value(codec)[0](value, parts.append)

    @given(st.text(max_size=10), st.text(max_size=10))
    def test_a_string_with_a_nul_is_refused_both_ways(self, before: str, behind: str) -> None:
        with pytest.raises(xdr.XdrError):
            xdr.encode(Pair(0, before + "\0" + behind))
        raw = (before + "\0" + behind).encode("utf-8", "replace")
        data = struct.pack(">QII", 0, 1, len(raw)) + raw + b"\0" * (-len(raw) % 4)
        with pytest.raises(xdr.XdrError):
            xdr.decode(Pair, data)

    @pytest.mark.parametrize("value", [None, (), (1,), (1, 2, 3), (99, 1), ("x", 1), 5, ([], 1)])
    def test_a_union_refuses_what_is_no_arm_of_it(self, value: Any) -> None:
        with pytest.raises(xdr.XdrError):
            xdr.encode(TypedParam("x", value))

    @pytest.mark.parametrize("kind", [0, 8, 0xFFFFFFFF])
    def test_an_unknown_arm_is_refused(self, kind: int) -> None:
        with pytest.raises(xdr.XdrError):
            xdr.decode(TypedParam, struct.pack(">III", 0, kind, 0))


def _misfits(codec: xdr.Codec) -> list[Any]:
    match codec:
        case xdr.Scalar(format="d"):
            return ["1.0", None]
        case xdr.Scalar():
            low, high = RANGES[codec.format]
            return [low - 1, high + 1, "1", None, 1.5]
        case xdr.String():
            return ["a\0b", "\ud800", b"bytes", None, 5, *_over(codec.maximum, "x")]
        case xdr.Opaque():
            return [bytes(codec.size + 1), bytes(codec.size - 1), None]
        case xdr.VarOpaque():
            return [None, "text", *_over(codec.maximum, b"x")]
        case xdr.Array():
            return [None, 5, *_over(codec.maximum, [None])]
        case xdr.Optional():
            return [wrong for wrong in _misfits(xdr.codec_of(codec.item)) if wrong is not None]
        case xdr.Struct():
            return [None, 5, "text"]
    return []


def _over(maximum: int, unit: Any) -> list[Any]:
    return [unit * (maximum + 1)] if maximum <= LONG else []


class TestLayout:
    """Bytes written down by hand from RFC 4506, so that both directions cannot be wrong together."""

    def test_numbers(self) -> None:
        value = Everything(
            -2, 0xFFFFFFFE, True, "abcde", -3, 1 << 63, 1.0, bytes(range(16)), b"odd", b"12",
            None, Pair(1, "é"), Pair(2, None), [], [7], ["", "x"], [[True], []],
            TypedParam("p", ParamValue(ParamType.LLONG, -1)), 9,
        )  # fmt: skip
        by_hand = (
            "fffffffe fffffffe 00000001 00000005 6162636465000000 fffffffffffffffd"
            "8000000000000000 3ff0000000000000 000102030405060708090a0b0c0d0e0f 6f646400"
            "00000002 31320000 00000000 0000000000000001 00000001 00000002 c3a90000"
            "00000001 0000000000000002 00000000 00000000 00000001 00000007"
            "00000002 00000000 00000001 78000000 00000002 00000001 00000001 00000000"
            "00000001 70000000 00000003 ffffffffffffffff 00000009"
        )
        assert xdr.encode(value) == bytes.fromhex(by_hand)
        assert xdr.decode(Everything, bytes.fromhex(by_hand)) == value

    def test_any_number_but_zero_is_true_and_padding_is_not_looked_at(self) -> None:
        data = struct.pack(">I4sII", 1, b"p\xff\xff\xff", ParamType.BOOLEAN, 0x80000000)
        assert xdr.decode(TypedParam, data) == TypedParam("p", ParamValue(ParamType.BOOLEAN, True))

    @ONE_OF_EACH
    def test_the_fullest_arrays_travel_and_one_item_more_does_not(self, cls: type) -> None:
        for name, codec in xdr.fields_of(cls):
            if isinstance(codec, xdr.Array) and codec.maximum <= FULL_MAX:
                value = full(cls)
                setattr(value, name, getattr(value, name)[:1] * codec.maximum)
                assert xdr.decode(cls, xdr.encode(value)) == value
                getattr(value, name).append(getattr(value, name)[0])
                with pytest.raises(xdr.XdrError):
                    xdr.encode(value)


class TestErrors:
    @given(texts(LONG), st.sampled_from(ErrorCode), st.sampled_from(ErrorDomain))
    def test_an_error_is_the_same_on_the_other_side(
        self, text: str, code: ErrorCode, domain: ErrorDomain
    ) -> None:
        sent = xdr.encode(RpcError(code, text, domain=domain).to_wire())
        got = RpcError.from_wire(xdr.decode(RemoteError, sent))
        assert (got.code, got.domain, got.level) == (code, domain, 2)
        assert got.message == text or not text

    @given(st.integers(*RANGES["i"]), st.integers(*RANGES["i"]))
    def test_numbers_without_a_name_stay_numbers(self, code: int, domain: int) -> None:
        sent = xdr.encode(RpcError(code, "why", domain=domain).to_wire())
        got = RpcError.from_wire(xdr.decode(RemoteError, sent))
        assert (got.code, got.domain) == (code, domain)


def test_the_bounds_used_here_are_those_of_everything() -> None:
    fields = dict(xdr.fields_of(Everything))
    assert (fields["text"].maximum, fields["pairs"].maximum) == (LONG, MANY)  # type: ignore[attr-defined]
