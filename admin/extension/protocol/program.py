"""The program itself; the modules beside this one declare its procedures.

Numbers are given by subject, so that each has room: TLS 1, settings from 2, logs from 10, statistics and
introspection from 20.
"""

from __future__ import annotations

from typing import Final

from aiovirt.rpc.wire.errors import ErrorDomain
from aiovirt.rpc.wire.program import Program

EXTENSION: Final = Program("admin extension", 0x06900691, 1, domain=ErrorDomain.ADMIN, prefix="")
