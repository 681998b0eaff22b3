"""The generated answer to a call is what decoding, calling and encoding one after the other give."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiovirt.rpc.server.answering import compile_answer
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.program import Procedure, Program
from tests.property.wire_values import types, values

ODD = Program("odd", 1, 1)
PROCEDURES = [
    ODD.procedure(number, f"ODD_{number}", kind, kind) for number, kind in enumerate(types(), 1)
]


@pytest.mark.parametrize("procedure", PROCEDURES, ids=lambda one: one.args.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_an_answer_is_decoded_called_and_encoded(
    procedure: Procedure[Any, Any], data: st.DataObject
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
    answer = compile_answer(procedure, handler)
    reply = answer("client", 7, sent, len(before), len(before) + len(encoded))
    assert called == [("client", args)]
    body = procedure.encode_result(result)
    assert reply == frame(procedure.key, Type.REPLY, 7, Status.OK, body)


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
class Number:
    """A number."""

    value: xdr.UInt


@pytest.mark.parametrize(("kind", "wrong"), [(xdr.Void, 5), (Number, Number(-1))])
def test_a_result_that_does_not_fit_is_refused(kind: type, wrong: object) -> None:
    procedure = Procedure(ODD, 1, "ODD", xdr.Void, kind)
    with pytest.raises(xdr.XdrError):
        compile_answer(procedure, lambda client, args: wrong)("client", 7, bytearray(), 0, 0)
