"""The wire layer: XDR, frames, errors, typed parameters and program tables, without any I/O.

The names below are loaded when they are first asked for, so that a program pays for what it uses.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiovirt.rpc.wire import xdr
    from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, ErrorLevel, RpcError
    from aiovirt.rpc.wire.message import FramingError, Message, Status, Type
    from aiovirt.rpc.wire.program import Procedure, Program
    from aiovirt.rpc.wire.stream import Hole
    from aiovirt.rpc.wire.typedparams import ParamType, TypedParam
    from aiovirt.rpc.wire.xdr import XdrError

__all__ = [
    "ErrorCode",
    "ErrorDomain",
    "ErrorLevel",
    "FramingError",
    "Hole",
    "Message",
    "ParamType",
    "Procedure",
    "Program",
    "RpcError",
    "Status",
    "Type",
    "TypedParam",
    "XdrError",
    "xdr",
]

_HOMES = {
    "errors": ("ErrorCode", "ErrorDomain", "ErrorLevel", "RpcError"),
    "message": ("FramingError", "Message", "Status", "Type"),
    "program": ("Procedure", "Program"),
    "stream": ("Hole",),
    "typedparams": ("ParamType", "TypedParam"),
    "xdr": ("XdrError",),
}


def __getattr__(name: str) -> Any:
    if name == "xdr":
        return importlib.import_module(f"{__name__}.xdr")
    for module, names in _HOMES.items():
        if name in names:
            found = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
