"""The differences of two drivers of libvirt: a table, in place of two hypervisors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from aiovirt.daemons.virtd.host.functions import TEST_FUNCTIONS
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


class Flavour(msgspec.Struct, frozen=True):
    """A driver, as clients see it.

    name: the scheme of its URIs; type: its name on the wire; version: of
    the hypervisor, major * 1000000 + minor * 1000 + release; title: its name in a domain's document;
    domain, network, storage, nodedev, interface, secret: who speaks in errors about these; names_lost:
    whether "not found" says what was looked for; function: how the names of its functions begin;
    functions: the public functions that it has, None for all.
    """

    name: str
    type: str
    version: int
    title: str
    domain: ErrorDomain
    network: ErrorDomain
    storage: ErrorDomain
    nodedev: ErrorDomain
    interface: ErrorDomain
    secret: ErrorDomain
    names_lost: bool
    function: str
    functions: frozenset[str] | None = None

    def check_flags(self, flags: int, supported: int, function: str) -> None:
        """Refuse flags that a function of this driver does not have.

        Args:
            flags: what came.
            supported: all that may be set.
            function: the public function without `vir`: "DomainCreateXML".

        Raises:
            RpcError: INVALID_ARG, with libvirt's text.
        """
        foreign = flags & ~int(supported)  # an IntFlag inverts within its own members
        if foreign:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                f"unsupported flags (0x{foreign & 0xFFFFFFFF:x}) in function"
                f" {self.function}{function}",
                domain=self.domain,
            )


TEST: Final = Flavour(
    name="test",
    type="TEST",
    version=2,
    title="test",
    domain=ErrorDomain.TEST,
    network=ErrorDomain.TEST,
    storage=ErrorDomain.TEST,
    nodedev=ErrorDomain.TEST,
    interface=ErrorDomain.TEST,
    secret=ErrorDomain.SECRET,
    names_lost=False,
    function="test",
    functions=TEST_FUNCTIONS,
)
QEMU: Final = Flavour(
    name="qemu",
    type="QEMU",
    version=7_002_000,
    title="kvm",
    domain=ErrorDomain.QEMU,
    network=ErrorDomain.NETWORK,
    storage=ErrorDomain.STORAGE,
    nodedev=ErrorDomain.NODEDEV,
    interface=ErrorDomain.INTERFACE,
    secret=ErrorDomain.SECRET,
    names_lost=True,
    function="qemu",
)

FLAVOURS: Final[Mapping[str, Flavour]] = {one.name: one for one in (TEST, QEMU)}
