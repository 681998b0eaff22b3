"""Domains: consoles, channels, the screen, the keyboard, memory and disks to look at.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainProcessSignal, KeycodeSet
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainChannelFlags,
    DomainConsoleFlags,
    DomainMemoryFlags,
)
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import consoles, guest, pictures
from aiovirt.daemons.virtd.protocol.limits import (
    DOMAIN_BLOCK_PEEK_BUFFER_MAX,
    DOMAIN_MEMORY_PEEK_BUFFER_MAX,
)
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.server import Stream, WithStream
from aiovirt.rpc.server.refusals import unsupported
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiovirt.daemons.virtd.host.domain import Domain

_MEMORY: Final = DomainMemoryFlags.VIRTUAL | DomainMemoryFlags.PHYSICAL


class DomainConsole:
    """Serves consoles, screens and keyboards."""

    @answers(protocol.DOMAIN_OPEN_CONSOLE)
    def open_console(
        self, session: Session, args: protocol.DomainOpenConsoleArgs
    ) -> WithStream[None]:
        supported = DomainConsoleFlags.FORCE | DomainConsoleFlags.SAFE
        session.host.flavour.check_flags(args.flags, supported, "DomainOpenConsole")
        domain = find_domain(session, args.dom)
        domain.require_active()
        device = consoles.find_console(domain, args.dev_name)
        force = bool(args.flags & DomainConsoleFlags.FORCE)
        ended = session.host.consoles.open(domain, device, force=force, what="console session")
        terminal = consoles.Terminal(domain.name)

        def typed(data: bytes) -> bytes:
            shown = terminal.typed(data)
            session.host.emulators.write(domain, shown, device)
            return shown

        return _conversation(domain, device, ended, terminal.greeting(), typed)

    @answers(protocol.DOMAIN_OPEN_CHANNEL)
    def open_channel(
        self, session: Session, args: protocol.DomainOpenChannelArgs
    ) -> WithStream[None]:
        session.host.flavour.check_flags(args.flags, DomainChannelFlags.FORCE, "DomainOpenChannel")
        domain = find_domain(session, args.dom)
        domain.require_active()
        device = consoles.find_channel(domain, args.name)
        force = bool(args.flags & DomainChannelFlags.FORCE)
        ended = session.host.consoles.open(domain, device, force=force, what="channel stream")

        def echoed(data: bytes) -> bytes:
            session.host.emulators.write(domain, data, device)
            return data

        return _conversation(domain, device, ended, b"", echoed)

    @answers(protocol.DOMAIN_SCREENSHOT)
    def screenshot(
        self, session: Session, args: protocol.DomainScreenshotArgs
    ) -> WithStream[protocol.DomainScreenshotRet]:
        session.host.flavour.check_flags(args.flags, 0, "DomainScreenshot")
        domain = find_domain(session, args.dom)
        if session.host.name == "qemu":
            domain.require_active()
            screens = domain.record.facts.root.findall("devices/video")
            if not screens or args.screen >= len(screens):
                text = "no such screen ID" if screens else "no screens to take screenshot from"
                raise RpcError.of(
                    ErrorCode.OPERATION_INVALID, text, domain=session.host.flavour.domain
                )

        async def send(stream: Stream) -> None:
            await stream.send(pictures.png(domain.uuid))

        return WithStream(protocol.DomainScreenshotRet("image/png"), send)

    @answers(protocol.DOMAIN_SEND_KEY)
    def send_key(self, session: Session, args: protocol.DomainSendKeyArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainSendKey")
        domain = find_domain(session, args.dom)
        domain.require_active()
        known = args.codeset in [one.value for one in KeycodeSet]
        for code in args.keycodes:
            if not known or not 0 < code < 0xFFFF:
                name = KeycodeSet(args.codeset).name.lower() if known else str(args.codeset)
                raise RpcError.of(
                    ErrorCode.INTERNAL_ERROR,
                    f"invalid keycode {code} of {name} codeset",
                    domain=session.host.flavour.domain,
                )

    @answers(protocol.DOMAIN_INJECT_NMI)
    def inject_nmi(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainInjectNMI")
        find_domain(session, args.dom).require_active()

    @answers(protocol.DOMAIN_SEND_PROCESS_SIGNAL)
    def send_signal(self, session: Session, args: protocol.DomainSendProcessSignalArgs) -> None:
        if session.host.name != "test":
            raise unsupported(protocol.DOMAIN_SEND_PROCESS_SIGNAL, ErrorDomain.DOMAIN)
        session.host.flavour.check_flags(args.flags, 0, "DomainSendProcessSignal")
        text = ""
        if args.pid_value != 1:
            text = "only sending a signal to pid 1 is supported"
        elif args.signum >= len(DomainProcessSignal):
            text = f"signum value {args.signum} is out of range"
        if text:
            raise RpcError.of(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.TEST)
        find_domain(session, args.dom)

    @answers(protocol.DOMAIN_MEMORY_PEEK)
    def memory_peek(
        self, session: Session, args: protocol.DomainMemoryPeekArgs
    ) -> protocol.DomainMemoryPeekRet:
        _bound(args.size, DOMAIN_MEMORY_PEEK_BUFFER_MAX)
        session.host.flavour.check_flags(args.flags, _MEMORY, "DomainMemoryPeek")
        domain = find_domain(session, args.dom)
        if args.flags not in (DomainMemoryFlags.VIRTUAL, DomainMemoryFlags.PHYSICAL):
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                "flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL",
                domain=session.host.flavour.domain,
            )
        return protocol.DomainMemoryPeekRet(guest.memory(domain, args.offset, args.size))

    @answers(protocol.DOMAIN_BLOCK_PEEK)
    def block_peek(
        self, session: Session, args: protocol.DomainBlockPeekArgs
    ) -> protocol.DomainBlockPeekRet:
        _bound(args.size, DOMAIN_BLOCK_PEEK_BUFFER_MAX)
        flavour = session.host.flavour
        flavour.check_flags(args.flags, 0, "DomainBlockPeek")
        domain = find_domain(session, args.dom)
        disk = devices.disk(domain.record.facts.document, args.path)
        capacity = guest.disk_capacity(domain, args.path)
        if disk is None or capacity is None:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"disk '{args.path}' not found in domain",
                domain=flavour.domain,
            )
        kind = devices.value(disk, "driver/@type") or "raw"
        if kind != "raw":
            raise RpcError.of(
                ErrorCode.OPERATION_UNSUPPORTED,
                f"peeking is only supported for disk with 'raw' format not '{kind}'",
                domain=flavour.domain,
            )
        if args.offset + args.size > capacity:
            raise RpcError.of(
                ErrorCode.SYSTEM_ERROR,
                f"{args.path}: cannot read {args.size} bytes at {args.offset}",
                domain=flavour.domain,
            )
        return protocol.DomainBlockPeekRet(bytes(args.size))


def _bound(size: int, limit: int) -> None:
    if size > limit:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR, "size > maximum buffer size", domain=ErrorDomain.RPC
        )


def _conversation(
    domain: Domain,
    device: str,
    ended: asyncio.Event,
    greeting: bytes,
    answer: Callable[[bytes], bytes],
) -> WithStream[None]:
    """A stream on which every piece of data has an answer, until either side or the guest ends it."""

    async def converse(stream: Stream) -> None:
        async def talk() -> None:
            if greeting:
                await stream.send(greeting)
            while (data := await stream.receive()) is not None:
                if isinstance(data, bytes):
                    await stream.send(answer(data))

        talking = asyncio.ensure_future(talk())
        ending = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait((talking, ending), return_when=asyncio.FIRST_COMPLETED)
            if talking.done():
                talking.result()
        finally:
            talking.cancel()
            ending.cancel()
            domain.host.consoles.close(domain, device, ended)

    return WithStream(None, converse, receives=True)
