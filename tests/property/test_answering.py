"""The generated answer to a call is what decoding, calling and encoding one after the other give."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiovirt.rpc.server.answering import Answer, compile_answer
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.program import Procedure, Program
from tests.property.wire_values import types, values

ODD = Program("odd", 1, 1)
PROCEDURES = [
    ODD.procedure(number, f"ODD_{number}", kind, kind) for number, kind in enumerate(types(), 1)
]


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("procedure", PROCEDURES, ids=lambda one: one.args.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_an_answer_is_decoded_called_and_encoded(
    procedure: Procedure[Any, Any], repeats: bool, data: st.DataObject
) -> None:
    args = data.draw(values(procedure.args))
    result = data.draw(values(procedure.result))
    called: list[tuple[object, object]] = []

    def handler(client: object, args: object) -> object:
        called.append((client, args))
        return result

    before = data.draw(st.binary(max_size=3))
    encoded = procedure.encode_args(args)
    sent = bytearray(before + encoded + b"next")
    answer = compile_answer(procedure, handler, repeats=repeats)
    body = procedure.encode_result(result)
    for serial in (7, 8):
        reply = answer("client", serial, sent, len(before), len(before) + len(encoded))
        assert called.pop() == ("client", args)
        assert reply == frame(procedure.key, Type.REPLY, serial, Status.OK, body)


@pytest.mark.parametrize(
    "procedure",
    [one for one in PROCEDURES if one.args is not xdr.Void],
    ids=lambda one: one.args.__name__,
)
def test_arguments_that_are_cut_do_not_reach_the_handler(procedure: Procedure[Any, Any]) -> None:
    def handler(client: object, args: object) -> object:
        raise AssertionError

    with pytest.raises(xdr.XdrError):
        compile_answer(procedure, handler)("client", 7, bytearray(b"\0\0\0"), 0, 3)


@xdr.struct
class Named:
    """A name."""

    name: xdr.Str


class TestArgumentsThatRepeat:
    def _answer(self, seen: list[object]) -> Answer:
        procedure = Procedure(ODD, 1, "ODD", Named, xdr.Void)
        return compile_answer(procedure, lambda client, args: seen.append(args), repeats=True)

    def _call(self, answer: Answer, name: str) -> None:
        sent = bytearray(xdr.encode(Named(name)))
        answer("client", 7, sent, 0, len(sent))

    def test_they_are_decoded_once(self) -> None:
        seen: list[object] = []
        answer = self._answer(seen)
        for name in ("a", "b", "a", "b"):
            self._call(answer, name)
        assert seen[0] is seen[2]
        assert seen[1] is seen[3]
        assert seen[0] == Named("a")

    def test_long_ones_are_not_kept(self) -> None:
        seen: list[object] = []
        answer = self._answer(seen)
        for _ in range(2):
            self._call(answer, "x" * 300)
        assert seen[0] == seen[1]
        assert seen[0] is not seen[1]

    def test_a_few_hundred_are_kept_and_no_more(self) -> None:
        seen: list[object] = []
        answer = self._answer(seen)
        for number in range(2000):
            self._call(answer, str(number))
        kept = sum(sys.getrefcount(one) > 3 for one in seen)  # of seen, of the loop, of the call
        assert 0 < kept < 500

    def test_those_that_do_not_decode_are_refused_each_time(self) -> None:
        answer = self._answer([])
        for _ in range(2):
            with pytest.raises(xdr.XdrError):
                answer("client", 7, bytearray(b"\0\0\0\x09abc"), 0, 7)


@xdr.struct
class Number:
    """A number."""

    value: xdr.UInt


@pytest.mark.parametrize(("kind", "wrong"), [(xdr.Void, 5), (Number, Number(-1))])
def test_a_result_that_does_not_fit_is_refused(kind: type, wrong: object) -> None:
    procedure = Procedure(ODD, 1, "ODD", xdr.Void, kind)
    with pytest.raises(xdr.XdrError):
        compile_answer(procedure, lambda client, args: wrong)("client", 7, bytearray(), 0, 0)
