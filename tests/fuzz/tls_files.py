"""Files for TLS that are in order: a CA, a server, a client; and what its CA would sign."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Final

from aiovirt.rpc.security.certificates import TlsFiles
from tests.certificates_maker import GOOD, GOOD_CA, Made, key_pem, make, make_crl, pem
from tests.fuzz.scratch import file_with

GUEST: Final = "a client"
_CA: Final = replace(GOOD_CA, kind="ed25519", digest=None, ends=24 * 365)
#: What the server's and the client's certificates are like.
OWN: Final = replace(GOOD, digest=None, ends=24 * 365, hosts=("localhost",))


@functools.cache
def authority() -> Made:
    """The CA."""
    return make(_CA)


@functools.cache
def holder(role: str) -> Made:
    """The server, or the client."""
    name = "the server" if role == "server" else GUEST
    return make(replace(OWN, name=name), authority())


@functools.cache
def contents(role: str) -> dict[str, bytes]:
    """The contents of a role's files, by the fields of `TlsFiles`; only the CA's for no role."""
    found = {"ca": pem(authority())}
    if role:
        own = holder(role)
        found |= {"cert": pem(own), "key": key_pem(own.key), "crl": pem(make_crl(authority()))}
    return found


def files(role: str, **instead: bytes) -> TlsFiles:
    """Those files, until they are asked for again by this process; some with other contents."""
    paths = dict.fromkeys(("ca", "cert", "key"), "")
    for name, data in {**contents(role), **instead}.items():
        paths[name] = file_with(data, f"{role}-{name}")
    return TlsFiles(**paths)
