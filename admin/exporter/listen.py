"""The address to listen on, as `--listen` has it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

#: 127.0.0.1:9177, [::1]:9177, name:9177, :9177 (all addresses).
_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
_PORT_MAX: Final = 65535


class ListenAddress(NamedTuple):
    """An address. host: a name or an address, None for all addresses; port: 0 for a free one."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read ADDRESS:PORT. Raises ValueError that says what would be right."""
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match["port"]) > _PORT_MAX:
            raise ValueError(
                f"option --listen takes ADDRESS:PORT, as in 127.0.0.1:9177 or [::1]:9177, not '{text}'"
            )
        return cls(match["six"] or match["host"] or None, int(match["port"]))
