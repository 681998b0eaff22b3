"""One function for each plain handler: from the bytes of a call's arguments to the frame of its reply.

What it does is decode, call and encode. Generated for its procedure, it does so without the calls
between them, and header and numbers of a reply are one `pack`: a third of the time of a small call.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiovirt.rpc.wire import codegen, xdr
from aiovirt.rpc.wire.message import KEYED_HEADER, MIN_FRAME, Status, Type

if TYPE_CHECKING:
    from aiovirt.rpc.wire.program import Procedure

#: `answer(client, serial, data, pos, end)`: the reply to the call whose arguments are in `data`.
Answer = Callable[[Any, int, Any, int, int], bytes]


def compile_answer(procedure: Procedure[Any, Any], handler: Callable[..., Any]) -> Answer:
    """Make the function that answers a call of a procedure without descriptors and streams.

    It raises what the handler raises, and XdrError for arguments and results that are not of the
    declared types.

    Args:
        procedure: what is called.
        handler: a plain function, `handler(client, args)`.
    """
    scope = codegen.Scope()
    call = f"{scope.add(handler)}(client, {_arguments(procedure, scope)})"
    lines = [
        "def answer(client, serial, data, pos, end):",
        *codegen.indent(codegen.read_fields(xdr.fields_of(procedure.args), scope)),
        *codegen.indent(_reply(procedure, call, scope)),
    ]
    answer: Answer = codegen.build(lines, scope)["answer"]
    return answer


def _arguments(procedure: Procedure[Any, Any], scope: codegen.Scope) -> str:
    if procedure.args is xdr.Void:
        return "None"
    values = ", ".join(f"f_{name}" for name, _ in xdr.fields_of(procedure.args))
    return f"{scope.add(procedure.args)}({values})"


def _reply(procedure: Procedure[Any, Any], call: str, scope: codegen.Scope) -> list[str]:
    key = scope.add(procedure.key)
    start = f"{key}, {Type.REPLY:d}, serial, {Status.OK:d}"
    if procedure.result is xdr.Void:
        return [
            f"value = {call}",
            f"if value is not None: {scope.add(procedure.encode_result)}(value)  # which refuses it",
            f"return {scope.add(KEYED_HEADER.pack)}({MIN_FRAME}, {start})",
        ]
    fields = xdr.fields_of(procedure.result)
    if not codegen.are_numbers(fields):
        encode, pack = scope.add(procedure.encode_result), scope.add(KEYED_HEADER.pack)
        return [
            f"body = {encode}({call})",
            f"return {pack}({MIN_FRAME} + len(body), {start}) + body",
        ]
    frame = struct.Struct(KEYED_HEADER.format + "".join(codec.format for _, codec in fields))
    values = ", ".join(f"value.{name}" for name, _ in fields)
    return [
        f"value = {call}",
        "try:",
        f"    return {scope.add(frame.pack)}({frame.size}, {start}, {values})",
        f"except {scope.add(struct.error)} as problem:",
        "    raise misfit(value, problem) from None",
    ]
