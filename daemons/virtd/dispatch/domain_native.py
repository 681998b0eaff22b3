"""Domains: the command line of QEMU for a document.

Source: libvirt's src/qemu/qemu_driver.c (qemuConnectDomainXMLToNative).
"""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host.command_line import command_line
from aiovirt.rpc.wire.errors import ErrorCode, RpcError


class DomainNative:
    """Serves the translation of documents."""

    @answers(protocol.CONNECT_DOMAIN_XML_TO_NATIVE)
    def to_native(
        self, session: Session, args: protocol.ConnectDomainXmlToNativeArgs
    ) -> protocol.ConnectDomainXmlToNativeRet:
        flavour = session.host.flavour
        flavour.check_flags(args.flags, 0, "ConnectDomainXMLToNative")
        if args.nativeFormat != "qemu-argv":
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"unsupported config type {args.nativeFormat[:80]}",
                domain=flavour.domain,
            )
        return protocol.ConnectDomainXmlToNativeRet(command_line(session.host, args.domainXml))
