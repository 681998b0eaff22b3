"""One function for each plain handler: from the bytes of a call's arguments to the frame of its reply.

What it does is decode, call and encode. Generated for its procedure, it does so without the calls
between them, and header and numbers of a reply are one `pack`: a third of the time of a small call.

Where the same arguments come again and again, what was decoded is kept for the next time (`repeats` in
`serves`): of a few hundred arguments that are not long, so that nobody can fill the memory with them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aiovirt.rpc.wire import codegen, xdr
from aiovirt.rpc.wire.message import KEYED_HEADER, MIN_FRAME, Status, Type

if TYPE_CHECKING:
    from aiovirt.rpc.wire.program import Procedure

#: How many arguments of a procedure are kept, and up to which size in bytes.
_KEPT_MAX: Final = 256
_KEPT_SIZE: Final = 256

#: `answer(client, serial, data, pos, end)`: the reply to the call whose arguments are in `data`.
Answer = Callable[[Any, int, Any, int, int], bytes]


def compile_answer(
    procedure: Procedure[Any, Any], handler: Callable[..., Any], *, repeats: bool = False
) -> Answer:
    """Make the function that answers a call of a procedure without descriptors and streams.

    It raises what the handler raises, and XdrError for arguments and results that are not of the
    declared types.

    Args:
        procedure: what is called.
        handler: a plain function, `handler(client, args)`.
        repeats: the same arguments come again and again, and the handler does not change them.
    """
    scope = codegen.Scope()
    arguments = _arguments(procedure, scope)
    call = f"{scope.add(handler)}(client, args)"
    lines = [
        "def answer(client, serial, data, pos, end):",
        *codegen.indent(_kept(arguments, scope) if repeats else arguments),
        *codegen.indent(_reply(procedure, call, scope)),
    ]
    answer: Answer = codegen.build(lines, scope)["answer"]
    return answer


def _arguments(procedure: Procedure[Any, Any], scope: codegen.Scope) -> list[str]:
    """The lines that decode the arguments to `args`."""
    fields = xdr.fields_of(procedure.args)
    if procedure.args is xdr.Void:
        return ["args = None"]
    values = ", ".join(f"f_{name}" for name, _ in fields)
    return [*codegen.read_fields(fields, scope), f"args = {scope.add(procedure.args)}({values})"]


def _kept(arguments: list[str], scope: codegen.Scope) -> list[str]:
    """The same lines for arguments that may have come before."""
    kept: dict[bytes, Any] = {}
    name = scope.add(kept)
    return [
        "raw = args = None",
        f"if end - pos <= {_KEPT_SIZE}:",
        "    raw = bytes(data[pos:end])",
        f"    args = {name}.get(raw)",
        "if args is None:",
        *codegen.indent(arguments),
        "    if raw is not None:",
        f"        if len({name}) >= {_KEPT_MAX}: {name}.clear()",
        f"        {name}[raw] = args",
    ]


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
