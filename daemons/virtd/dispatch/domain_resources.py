"""Domains: memory, processors, and metadata.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import DomainMemoryModFlags, DomainVcpuFlags
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import guest, metadata, resources
from aiovirt.daemons.virtd.host.editing import IMPACT, LIVE, facts, impact
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_MEMORY: Final = IMPACT | DomainMemoryModFlags.MAXIMUM
_VCPUS_TEST: Final = IMPACT | DomainVcpuFlags.MAXIMUM
_VCPUS: Final = _VCPUS_TEST | DomainVcpuFlags.GUEST


class DomainResources:
    """Serves memory, processors and metadata."""

    @answers(protocol.DOMAIN_GET_MAX_MEMORY)
    def max_memory(
        self, session: Session, args: protocol.DomainArgs
    ) -> protocol.DomainGetMaxMemoryRet:
        return protocol.DomainGetMaxMemoryRet(find_domain(session, args.dom).record.facts.maximum)

    @answers(protocol.DOMAIN_SET_MAX_MEMORY)
    def set_max_memory(self, session: Session, args: protocol.DomainMemoryArgs) -> None:
        domain = find_domain(session, args.dom)
        resources.set_memory(domain, args.memory, DomainMemoryModFlags.MAXIMUM)

    @answers(protocol.DOMAIN_SET_MEMORY)
    def set_memory(self, session: Session, args: protocol.DomainMemoryArgs) -> None:
        resources.set_memory(find_domain(session, args.dom), args.memory, LIVE)

    @answers(protocol.DOMAIN_SET_MEMORY_FLAGS)
    def set_memory_flags(self, session: Session, args: protocol.DomainSetMemoryFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, _MEMORY, "DomainSetMemoryFlags")
        resources.set_memory(find_domain(session, args.dom), args.memory, args.flags)

    @answers(protocol.DOMAIN_GET_MAX_VCPUS)
    def max_vcpus(self, session: Session, args: protocol.DomainArgs) -> protocol.NumRet:
        domain = find_domain(session, args.dom)
        domain.require_active()
        return protocol.NumRet(domain.record.facts.vcpus_maximum)

    @answers(protocol.DOMAIN_SET_VCPUS)
    def set_vcpus(self, session: Session, args: protocol.DomainSetVcpusArgs) -> None:
        resources.set_vcpus(find_domain(session, args.dom), args.nvcpus, LIVE)

    @answers(protocol.DOMAIN_SET_VCPUS_FLAGS)
    def set_vcpus_flags(self, session: Session, args: protocol.DomainSetVcpusFlagsArgs) -> None:
        supported = _VCPUS_TEST if session.host.name == "test" else _VCPUS
        session.host.flavour.check_flags(args.flags, supported, "DomainSetVcpusFlags")
        if args.nvcpus == 0:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                "nvcpus in virDomainSetVcpusFlags must not be zero",
                domain=ErrorDomain.DOMAIN,
            )
        if args.flags & DomainVcpuFlags.MAXIMUM and not args.flags & DomainVcpuFlags.CONFIG:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                "Flag 'VIR_DOMAIN_AFFECT_CONFIG' is required by flag 'VIR_DOMAIN_VCPU_MAXIMUM'",
                domain=ErrorDomain.DOMAIN,
            )
        domain = find_domain(session, args.dom)
        if args.flags & DomainVcpuFlags.GUEST:
            impact(domain, args.flags)
            guest.set_vcpu_count(domain, args.nvcpus)
            return
        resources.set_vcpus(domain, args.nvcpus, args.flags)

    @answers(protocol.DOMAIN_GET_VCPUS_FLAGS)
    def vcpus_flags(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.NumRet:
        supported = _VCPUS_TEST if session.host.name == "test" else _VCPUS
        session.host.flavour.check_flags(args.flags, supported, "DomainGetVcpusFlags")
        domain = find_domain(session, args.dom)
        known = facts(domain, args.flags)
        if args.flags & DomainVcpuFlags.GUEST:
            maximum = bool(args.flags & DomainVcpuFlags.MAXIMUM)
            return protocol.NumRet(guest.count_vcpus(domain, maximum=maximum))
        if args.flags & DomainVcpuFlags.MAXIMUM:
            return protocol.NumRet(known.vcpus_maximum)
        return protocol.NumRet(known.vcpus)

    @answers(protocol.DOMAIN_GET_METADATA)
    def metadata(
        self, session: Session, args: protocol.DomainGetMetadataArgs
    ) -> protocol.DomainGetMetadataRet:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainGetMetadata")
        domain = find_domain(session, args.dom)
        return protocol.DomainGetMetadataRet(metadata.get(domain, args.type, args.uri, args.flags))

    @answers(protocol.DOMAIN_SET_METADATA)
    def set_metadata(self, session: Session, args: protocol.DomainSetMetadataArgs) -> None:
        session.host.flavour.check_flags(args.flags, IMPACT, "DomainSetMetadata")
        if args.type == 1 and args.metadata and "\n" in args.metadata:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                "metadata title can't contain newlines",
                domain=ErrorDomain.DOMAIN,
            )
        if args.type == 2 and args.metadata is not None and args.key is None:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                "key in virDomainSetMetadata must not be NULL",
                domain=ErrorDomain.DOMAIN,
            )
        domain = find_domain(session, args.dom)
        metadata.set_(domain, args.type, args.metadata, args.key, args.uri, args.flags)
