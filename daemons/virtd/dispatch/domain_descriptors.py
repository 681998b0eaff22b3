"""Domains: displays that are reached by a descriptor, and descriptors for disks.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainOpenGraphics, qemuDomainOpenGraphicsFD,
qemuDomainFDAssociate).
"""

from __future__ import annotations

import os
import socket
from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainFDAssociateFlags,
    DomainOpenGraphicsFlags,
)
from aiovirt.daemons.virtd.dispatch.displays import CONVERSATIONS_MAX, Displays
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.rpc.server import CallWithFds, WithFds
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_ASSOCIATE: Final = int(sum(DomainFDAssociateFlags))
_OPEN: Final = DomainOpenGraphicsFlags.SKIPAUTH


class DomainDescriptors:
    """Serves calls with descriptors."""

    def __init__(self) -> None:
        self._displays = Displays()

    @answers(protocol.DOMAIN_OPEN_GRAPHICS)
    def open_graphics(
        self, session: Session, call: CallWithFds[protocol.DomainGraphicsArgs]
    ) -> None:
        given = [os.dup(one) for one in call.descriptors[:1]]
        call.close()
        try:
            session.host.flavour.check_flags(call.args.flags, _OPEN, "DomainOpenGraphics")
            kind = _kind(session, call.args.dom, call.args.idx)
            if not given:
                raise RpcError.of(ErrorCode.INTERNAL_ERROR, "No FD available at slot 0")
        except RpcError:
            for one in given:
                os.close(one)
            raise
        self._serve(session, given[0], kind)

    @answers(protocol.DOMAIN_OPEN_GRAPHICS_FD)
    def open_graphics_fd(
        self, session: Session, args: protocol.DomainGraphicsArgs
    ) -> WithFds[None]:
        session.host.flavour.check_flags(args.flags, _OPEN, "DomainOpenGraphicsFD")
        kind = _kind(session, args.dom, args.idx)
        ours, theirs = socket.socketpair()
        with theirs:
            self._serve(session, ours.detach(), kind)
            return WithFds(None, (theirs.detach(),))

    def _serve(self, session: Session, descriptor: int, kind: str) -> None:
        if not self._displays.serve(descriptor, vnc=kind == "vnc"):
            raise RpcError.of(
                ErrorCode.OPERATION_FAILED,
                f"a display needs a stream socket, and has at most {CONVERSATIONS_MAX} clients",
                domain=session.host.flavour.domain,
            )

    @answers(protocol.DOMAIN_FD_ASSOCIATE)
    def associate(self, session: Session, call: CallWithFds[protocol.DomainNameFlagsArgs]) -> None:
        """No guest opens a disk, so the descriptors are closed."""
        call.close()
        session.host.flavour.check_flags(call.args.flags, _ASSOCIATE, "DomainFDAssociate")
        find_domain(session, call.args.dom)


def _kind(session: Session, wanted: protocol.NonnullDomain, number: int) -> str:
    """The kind of a display. Raises RpcError for one that does not exist, or has no server."""
    domain = find_domain(session, wanted)
    domain.require_active()
    displays = domain.record.facts.root.findall("devices/graphics")
    if number >= len(displays):
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR,
            f"No graphics backend with index {number}",
            domain=ErrorDomain.QEMU,
        )
    kind = displays[number].get("type") or ""
    if kind not in ("vnc", "spice"):
        raise RpcError.of(
            ErrorCode.CONFIG_UNSUPPORTED,
            f"Can only open VNC, SPICE or D-Bus p2p graphics backends, not {kind}",
            domain=ErrorDomain.QEMU,
        )
    return kind
