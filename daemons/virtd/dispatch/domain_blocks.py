"""Domains: jobs on disks, sizes of disks, backups.

Source: libvirt's src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainBlockJobType as Type
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainBlockCommitFlags,
    DomainBlockCopyFlags,
    DomainBlockJobAbortFlags,
    DomainBlockRebaseFlags,
)
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import blockjobs
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, validate

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_MIB: Final = 1 << 20
#: Bytes per second, at most.
_LARGEST: Final = (1 << 63) - 1
#: The flag of a bandwidth in bytes, of most calls.
_BYTES: Final = 64
_COPY: Final = {
    "bandwidth": ParamType.ULLONG,
    "granularity": ParamType.UINT,
    "buf-size": ParamType.ULLONG,
}


def _speed(session: Session, given: int, flags: int, flag: int = _BYTES) -> int:
    """The bandwidth in bytes per second. Raises RpcError OVERFLOW."""
    if flags & flag:
        return given
    if given > _LARGEST >> 20:
        raise RpcError.of(
            ErrorCode.OVERFLOW,
            f"bandwidth must be less than {_LARGEST >> 20}",
            domain=session.host.flavour.domain,
        )
    return given * _MIB


def _require_absolute(domain: Domain, path: str | None) -> None:
    """A copy goes to an absolute path. Raises RpcError INVALID_ARG."""
    if path is not None and not path.startswith("/"):
        detail = "absolute path must be used as block copy target"
        raise domain.refused(ErrorCode.INVALID_ARG, detail)


def _require_transient(domain: Domain, path: str) -> None:
    """Raise RpcError OPERATION_INVALID for a domain with a definition, which knows of no copy."""
    blockjobs.require_idle(domain, blockjobs.find_disk(domain, path).target)
    if domain.is_persistent:
        raise domain.refused(ErrorCode.OPERATION_INVALID, "domain is not transient")


class DomainBlocks:
    """Serves jobs and sizes of disks."""

    @answers(protocol.DOMAIN_GET_BLOCK_JOB_INFO)
    def job_info(
        self, session: Session, args: protocol.DomainPathFlagsArgs
    ) -> protocol.DomainGetBlockJobInfoRet:
        session.host.flavour.check_flags(args.flags, 1, "DomainGetBlockJobInfo")
        found = blockjobs.progress(find_domain(session, args.dom), args.path)
        if found is None:
            return protocol.DomainGetBlockJobInfoRet(0, 0, 0, 0, 0)
        bandwidth = found.bandwidth if args.flags & 1 else found.bandwidth // _MIB
        return protocol.DomainGetBlockJobInfoRet(1, found.type, bandwidth, found.cur, found.end)

    @answers(protocol.DOMAIN_BLOCK_JOB_ABORT)
    def abort(self, session: Session, args: protocol.DomainPathFlagsArgs) -> None:
        supported = DomainBlockJobAbortFlags.ASYNC | DomainBlockJobAbortFlags.PIVOT
        session.host.flavour.check_flags(args.flags, supported, "DomainBlockJobAbort")
        pivot = bool(args.flags & DomainBlockJobAbortFlags.PIVOT)
        blockjobs.abort(find_domain(session, args.dom), args.path, pivot=pivot)

    @answers(protocol.DOMAIN_BLOCK_JOB_SET_SPEED)
    def set_speed(self, session: Session, args: protocol.DomainBandwidthArgs) -> None:
        session.host.flavour.check_flags(args.flags, 1, "DomainBlockJobSetSpeed")
        speed = _speed(session, args.bandwidth, args.flags, 1)
        blockjobs.set_speed(find_domain(session, args.dom), args.path, speed)

    @answers(protocol.DOMAIN_BLOCK_PULL)
    def pull(self, session: Session, args: protocol.DomainBandwidthArgs) -> None:
        session.host.flavour.check_flags(args.flags, _BYTES, "DomainBlockPull")
        domain = find_domain(session, args.dom)
        blockjobs.find_disk(domain, args.path)  # libvirt looks at the bandwidth after it
        speed = _speed(session, args.bandwidth, args.flags)
        blockjobs.start(domain, args.path, Type.PULL, bandwidth=speed)

    @answers(protocol.DOMAIN_BLOCK_COMMIT)
    def commit(self, session: Session, args: protocol.DomainBlockCommitArgs) -> None:
        supported = int(sum(DomainBlockCommitFlags))
        session.host.flavour.check_flags(args.flags, supported, "DomainBlockCommit")
        speed = _speed(session, args.bandwidth, args.flags, DomainBlockCommitFlags.BANDWIDTH_BYTES)
        blockjobs.commit(
            find_domain(session, args.dom),
            args.disk,
            (args.top, args.base),
            shallow=bool(args.flags & DomainBlockCommitFlags.SHALLOW),
            active=bool(args.flags & DomainBlockCommitFlags.ACTIVE),
            bandwidth=speed,
        )

    @answers(protocol.DOMAIN_BLOCK_REBASE)
    def rebase(self, session: Session, args: protocol.DomainBlockRebaseArgs) -> None:
        flags = DomainBlockRebaseFlags
        session.host.flavour.check_flags(args.flags, int(sum(flags)), "DomainBlockRebase")
        domain = find_domain(session, args.dom)
        speed = _speed(session, args.bandwidth, args.flags)
        if not args.flags & flags.COPY:
            if args.flags & flags.RELATIVE and args.base is None:
                text = "flag VIR_DOMAIN_BLOCK_REBASE_RELATIVE is valid only with non-null base"
                raise domain.refused(ErrorCode.INVALID_ARG, text)
            blockjobs.start(domain, args.path, Type.PULL, bandwidth=speed, base=args.base)
            return
        _require_absolute(domain, args.base)
        _require_transient(domain, args.path)
        form = "raw" if args.flags & flags.COPY_RAW else "qcow2"
        mirror = blockjobs.new_file(args.base or "", form)
        more = {"shallow": int(bool(args.flags & flags.SHALLOW))}
        blockjobs.start(domain, args.path, Type.COPY, bandwidth=speed, mirror=mirror, more=more)

    @answers(protocol.DOMAIN_BLOCK_COPY)
    def copy(self, session: Session, args: protocol.DomainBlockCopyArgs) -> None:
        supported = int(sum(DomainBlockCopyFlags))
        session.host.flavour.check_flags(args.flags, supported, "DomainBlockCopy")
        values = validate(args.params, _COPY)
        domain = find_domain(session, args.dom)
        mirror = blockjobs.destination(domain, args.destxml)
        _require_absolute(domain, devices.value(mirror, "source/@file"))
        speed = values.get("bandwidth", 0)
        if speed > _LARGEST:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"bandwidth must be less than '{_LARGEST}' bytes/s ({_LARGEST >> 20} MiB/s)",
                domain=session.host.flavour.domain,
            )
        if not args.flags & DomainBlockCopyFlags.TRANSIENT_JOB:
            _require_transient(domain, args.path)
        more = {"shallow": int(bool(args.flags & DomainBlockCopyFlags.SHALLOW))}
        blockjobs.start(domain, args.path, Type.COPY, bandwidth=speed, mirror=mirror, more=more)

    @answers(protocol.DOMAIN_BLOCK_RESIZE)
    def resize(self, session: Session, args: protocol.DomainBlockResizeArgs) -> None:
        session.host.flavour.check_flags(args.flags, 1, "DomainBlockResize")
        size = args.size if args.flags & 1 else args.size * 1024
        if size >= 1 << 63:
            raise RpcError.of(
                ErrorCode.OVERFLOW,
                f"size must be less than {(1 << 63) // 1024}",
                domain=session.host.flavour.domain,
            )
        blockjobs.resize(find_domain(session, args.dom), args.disk, size)

    @answers(protocol.DOMAIN_SET_BLOCK_THRESHOLD)
    def set_threshold(self, session: Session, args: protocol.DomainSetBlockThresholdArgs) -> None:
        """Writes of a guest reach no threshold: the event never comes."""
        session.host.flavour.check_flags(args.flags, 0, "DomainSetBlockThreshold")
        domain = find_domain(session, args.dom)
        domain.require_active()
        if domain.record.facts.disk(args.dev.partition("[")[0]) is None:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                f"failed to find disk '{args.dev}'",
                domain=session.host.flavour.domain,
            )

    @answers(protocol.DOMAIN_BACKUP_BEGIN)
    def begin_backup(self, session: Session, args: protocol.DomainBackupBeginArgs) -> None:
        domain = find_domain(session, args.dom)
        if not domain.is_active:
            detail = "cannot perform disk backup for inactive domain"
            raise domain.refused(ErrorCode.OPERATION_UNSUPPORTED, detail)
        if not domain.record.facts.disks:
            detail = "domain must have at least one disk to perform backup"
            raise domain.refused(ErrorCode.CONFIG_UNSUPPORTED, detail)
        detail = "backups are not supported: guests of this host have no blocks to read"
        raise domain.refused(ErrorCode.OPERATION_UNSUPPORTED, detail)

    @answers(protocol.DOMAIN_BACKUP_GET_XML_DESC)
    def backup_xml(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.XmlRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainBackupGetXMLDesc")
        find_domain(session, args.dom)
        raise RpcError.of(
            ErrorCode.NO_DOMAIN_BACKUP,
            "no domain backup job present",
            domain=session.host.flavour.domain,
        )
