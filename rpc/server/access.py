"""Access: the demands of a listening socket on its clients, and their rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

#: How a client says who it is: not at all, or by SASL.
Authentication = Literal["none", "sasl"]

_AUTHENTICATIONS: Final = get_args(Authentication)


@dataclass(frozen=True, slots=True)
class Access:
    """The duties and rights of the clients of one service.

    Attributes:
        readonly: they may call only what changes nothing.
        auth: how they authenticate before they may call anything else.
        tls: they speak TLS, with the server's certificate.

    Raises ValueError for an `auth` that does not exist.
    """

    readonly: bool = False
    auth: Authentication = "none"
    tls: bool = False

    def __post_init__(self) -> None:
        if self.auth not in _AUTHENTICATIONS:
            raise ValueError(f"auth is {' or '.join(_AUTHENTICATIONS)}, not {self.auth}")

    @property
    def is_open(self) -> bool:
        """Whether a client is let in as it connects, with nothing to prove."""
        return self.auth == "none" and not self.tls


#: Read and write, nothing to prove.
OPEN: Final = Access()
