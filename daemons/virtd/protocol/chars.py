"""C's `char data<N>` and `char data[N]`, of which rpcgen makes a whole int for each byte.

In Python they are bytes, as `opaque` is.
"""

from __future__ import annotations

import struct

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.codegen import Scope, read_count


class Chars(xdr.VarOpaque):
    """Bytes, at most `maximum` of them, each as an int. Of a received int the lower eight bits count."""

    widened = True

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        message = f"at most {self.maximum} bytes can be sent here"
        return [
            f"if len({value}) > {self.maximum}: raise XdrError({message!r})",
            f"append(_u32(len({value})) + {scope.add(_widened)}({value}))",
        ]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        count = scope.fresh()
        return [
            *read_count(count, self.maximum, "array"),
            f"if pos + {count} * 4 > end: raise XdrError('data ends inside an array')",
            f"{target} = bytes(data[pos + 3:pos + {count} * 4:4])",
            f"pos += {count} * 4",
        ]


class CharArray(xdr.Opaque):
    """Exactly `size` bytes, each as an int."""

    widened = True

    @property
    def minimum(self) -> int:  # type: ignore[override]  # a plain attribute in the base, derived here
        return self.size * 4

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        message = f"expected exactly {self.size} bytes"
        return [
            f"if len({value}) != {self.size}: raise XdrError({message!r})",
            f"append({scope.add(_widened)}({value}))",
        ]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        return [
            f"if pos + {self.minimum} > end: raise XdrError('data ends inside an array')",
            f"{target} = bytes(data[pos + 3:pos + {self.minimum}:4])",
            f"pos += {self.minimum}",
        ]


def _widened(data: bytes) -> bytes:
    """Return the bytes as ints: signed, as a C compiler has them on most machines."""
    return struct.pack(f">{len(data)}i", *struct.unpack(f"{len(data)}b", data))
