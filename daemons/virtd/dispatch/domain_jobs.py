"""Domains: jobs, the control of a guest, errors of disks, labels, messages, dumps of memory.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import (
    DomainControlErrorReason,
    DomainControlState,
    DomainCoreDumpFormat,
    DomainDiskErrorCode,
    DomainJobOperation,
    DomainJobType,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventStoppedDetailType,
)
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainAbortJobFlagsValues,
    DomainCoreDumpFlags,
    DomainGetJobStatsFlags,
    DomainMessageType,
)
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import (
    completed_job,
    guest,
    incidents,
    job_statistics,
    leaving,
    lifecycle,
    migration,
    moving,
    statistics,
)
from aiovirt.daemons.virtd.host.domain import JOB_DONE, Domain
from aiovirt.daemons.virtd.protocol.limits import DOMAIN_DISK_ERRORS_MAX
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_KEEP: Final = DomainGetJobStatsFlags.KEEP_COMPLETED
#: The numbers of a guest that leaves, before anything is sent.
_BEGUN: Final = {**job_statistics.NOTHING, "operation": int(DomainJobOperation.MIGRATION_OUT)}
_DUMP: Final = int(sum(DomainCoreDumpFlags))
_MESSAGES: Final = int(sum(DomainMessageType))


class DomainJobs:
    """Serves jobs and what else is asked about a guest from outside."""

    @answers(protocol.DOMAIN_GET_JOB_INFO)
    def job_info(self, session: Session, args: protocol.DomainArgs) -> protocol.DomainGetJobInfoRet:
        domain = find_domain(session, args.dom)
        domain.require_active()
        numbers = self._numbers(domain)
        if numbers is None:
            return protocol.DomainGetJobInfoRet(DomainJobType.NONE, *[0] * 11)
        total, sent, left = numbers["total"], numbers["sent"], numbers["remaining"]
        disks = numbers.get("disks", 0)
        data = (total + disks, sent + disks, left)
        return protocol.DomainGetJobInfoRet(
            DomainJobType.UNBOUNDED,
            numbers["elapsed"],
            0,
            *data,
            *(total, sent, left),
            *(disks, disks, 0),
        )

    @staticmethod
    def _numbers(domain: Domain) -> dict[str, int] | None:
        """The numbers of a guest that leaves, None for any other."""
        if migration.job(domain, migration.IN) is not None:
            raise domain.refused(
                ErrorCode.OPERATION_UNSUPPORTED,
                "migration statistics are available only on the source host",
            )
        one = moving.of(domain)
        if one is not None:
            return one.numbers()
        job = migration.job(domain, migration.OUT)
        if job is None:
            return None
        is_sent = job["phase"] == migration.MOVED
        found: dict[str, int] | None = domain.detail(JOB_DONE)  # of this job, when all is sent
        return found if found is not None and is_sent else _BEGUN

    @answers(protocol.DOMAIN_GET_JOB_STATS)
    def job_stats(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetJobStatsRet:
        supported = int(sum(DomainGetJobStatsFlags))
        session.host.flavour.check_flags(args.flags, supported, "DomainGetJobStats")
        domain = find_domain(session, args.dom)
        if args.flags & DomainGetJobStatsFlags.COMPLETED:
            return self._completed(domain, keep=bool(args.flags & _KEEP))
        domain.require_active()
        numbers = self._numbers(domain)
        if numbers is None:
            return protocol.DomainGetJobStatsRet(DomainJobType.NONE, [])
        told = job_statistics.parameters(numbers)
        return protocol.DomainGetJobStatsRet(DomainJobType.UNBOUNDED, told)

    @staticmethod
    def _completed(domain: Domain, *, keep: bool) -> protocol.DomainGetJobStatsRet:
        numbers = None if migration.job(domain) else domain.detail(JOB_DONE)
        if numbers is None:
            return protocol.DomainGetJobStatsRet(DomainJobType.NONE, [])
        if not keep:
            domain.keep(JOB_DONE, None)
        told = job_statistics.parameters(numbers)
        return protocol.DomainGetJobStatsRet(DomainJobType.COMPLETED, told)

    @answers(protocol.DOMAIN_ABORT_JOB)
    def abort_job(self, session: Session, args: protocol.DomainArgs) -> None:
        self._abort(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_ABORT_JOB_FLAGS)
    def abort_job_flags(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        supported = DomainAbortJobFlagsValues.POSTCOPY
        session.host.flavour.check_flags(args.flags, supported, "DomainAbortJobFlags")
        domain = find_domain(session, args.dom)
        if args.flags & DomainAbortJobFlagsValues.POSTCOPY:
            domain.require_active()
            text = "current job is not outgoing migration in post-copy mode"
            raise domain.refused(ErrorCode.OPERATION_INVALID, text)
        self._abort(domain)

    @staticmethod
    def _abort(domain: Domain) -> None:
        domain.require_active()
        found = migration.job(domain)
        if found is not None and found["kind"] == migration.OUT:
            leaving.abort(domain)
            return
        text = "no job is active on the domain"
        if found is not None:
            text = "cannot abort incoming migration; use virDomainDestroy instead"
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)

    @answers(protocol.DOMAIN_GET_CONTROL_INFO)
    def control_info(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetControlInfoRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetControlInfo")
        domain = find_domain(session, args.dom)
        domain.require_active()
        if session.host.name == "test":
            return _test_control(guest.time_set(domain))
        return protocol.DomainGetControlInfoRet(DomainControlState.OK, 0, 0)

    @answers(protocol.DOMAIN_GET_DISK_ERRORS)
    def disk_errors(
        self, session: Session, args: protocol.DomainGetDiskErrorsArgs
    ) -> protocol.DomainGetDiskErrorsRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainGetDiskErrors")
        if args.maxerrors > DOMAIN_DISK_ERRORS_MAX:
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR, "maxerrors too large", domain=ErrorDomain.RPC
            )
        domain = find_domain(session, args.dom)
        domain.require_active()
        disks = domain.record.facts.disks
        if not args.maxerrors:
            return protocol.DomainGetDiskErrorsRet([], len(disks))
        if session.host.name != "test":
            errors = [
                protocol.DomainDiskError(target, code)
                for target, code in incidents.disk_errors(domain).items()
            ]
            return protocol.DomainGetDiskErrorsRet(errors, len(errors))
        kinds = len(DomainDiskErrorCode) - 1
        found = [
            protocol.DomainDiskError(disk.target, at % kinds + 1)
            for at, disk in enumerate(disks[: args.maxerrors])
        ]
        return protocol.DomainGetDiskErrorsRet(found, len(found))

    @answers(protocol.DOMAIN_GET_SECURITY_LABEL)
    def security_label(
        self, session: Session, args: protocol.DomainArgs
    ) -> protocol.DomainGetSecurityLabelRet:
        domain = find_domain(session, args.dom)
        if session.host.name == "test" and domain.is_active:
            return protocol.DomainGetSecurityLabelRet(b"libvirt-test\0", 1)
        return protocol.DomainGetSecurityLabelRet(b"\0", 0)

    @answers(protocol.DOMAIN_GET_SECURITY_LABEL_LIST)
    def security_labels(
        self, session: Session, args: protocol.DomainArgs
    ) -> protocol.DomainGetSecurityLabelListRet:
        find_domain(session, args.dom)
        return protocol.DomainGetSecurityLabelListRet([], 0)

    @answers(protocol.DOMAIN_GET_MESSAGES)
    def messages(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetMessagesRet:
        session.host.flavour.check_flags(args.flags, _MESSAGES, "DomainGetMessages")
        find_domain(session, args.dom)
        return protocol.DomainGetMessagesRet([])

    @answers(protocol.DOMAIN_GET_LAUNCH_SECURITY_INFO)
    def launch_security(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.DomainGetLaunchSecurityInfoRet:
        if session.host.name == "test":  # the qemu driver looks at flags for SEV only
            session.host.flavour.check_flags(args.flags, 0, "DomainGetLaunchSecurityInfo")
        find_domain(session, args.dom)
        return protocol.DomainGetLaunchSecurityInfoRet([])

    @answers(protocol.DOMAIN_START_DIRTY_RATE_CALC)
    def start_dirty_rate(
        self, session: Session, args: protocol.DomainStartDirtyRateCalcArgs
    ) -> None:
        session.host.flavour.check_flags(args.flags, 7, "DomainStartDirtyRateCalc")
        domain = find_domain(session, args.dom)
        if not 1 <= args.seconds <= 60:
            raise RpcError.of(
                ErrorCode.CONFIG_UNSUPPORTED,
                f"seconds={args.seconds} is invalid, please choose value within [1, 60].",
                domain=session.host.flavour.domain,
            )
        domain.require_active()
        statistics.begin_dirty_rate(domain, args.seconds)

    @answers(protocol.DOMAIN_CORE_DUMP)
    def core_dump(self, session: Session, args: protocol.DomainCoreDumpArgs) -> None:
        self._dump(session, find_domain(session, args.dom), args.flags, 0)

    @answers(protocol.DOMAIN_CORE_DUMP_WITH_FORMAT)
    def core_dump_format(
        self, session: Session, args: protocol.DomainCoreDumpWithFormatArgs
    ) -> None:
        self._dump(session, find_domain(session, args.dom), args.flags, args.dumpformat)

    @staticmethod
    def _dump(session: Session, domain: Domain, flags: int, form: int) -> None:
        """Dump the memory of a guest: no file is written, its state changes as it would."""
        is_test = session.host.name == "test"
        supported = int(DomainCoreDumpFlags.CRASH) if is_test else _DUMP
        session.host.flavour.check_flags(flags, supported, "DomainCoreDumpWithFormat")
        domain.require_active()
        if is_test and form != DomainCoreDumpFormat.RAW:
            raise RpcError.of(
                ErrorCode.OPERATION_UNSUPPORTED,
                "kdump-compressed format is not supported here",
                domain=ErrorDomain.TEST,
            )
        copies = not is_test and not flags & DomainCoreDumpFlags.MEMORY_ONLY
        stands_still = not is_test and domain.record.state == DomainState.RUNNING
        with session.host.store.batch():
            # A live guest stands still for the last part only, or as long as QEMU writes its memory.
            if copies and flags & DomainCoreDumpFlags.LIVE:
                completed_job.begin(domain)
            if stands_still:
                lifecycle.suspend(domain)
            if copies:
                if not flags & DomainCoreDumpFlags.LIVE:
                    completed_job.begin(domain)
                completed_job.finish(domain, DomainJobOperation.DUMP)
            if flags & DomainCoreDumpFlags.CRASH:
                detail = DomainEventStoppedDetailType.CRASHED
                lifecycle.stop(domain, DomainShutoffReason.CRASHED, detail)
                return
            if flags & DomainCoreDumpFlags.RESET:
                domain.emit(DomainEventID.REBOOT)
            if stands_still:
                lifecycle.resume(domain)


def _test_control(seconds: int) -> protocol.DomainGetControlInfoRet:
    """The test driver's state of control follows from the clock that a client has set."""
    if 0 < seconds < 10_000:
        return protocol.DomainGetControlInfoRet(DomainControlState.JOB, 0, seconds)
    if 10_000 <= seconds < 30_000:
        return protocol.DomainGetControlInfoRet(DomainControlState.OCCUPIED, 0, seconds - 10_000)
    if 30_000 <= seconds < 60_000:
        detail = DomainControlErrorReason(seconds % 4)
        return protocol.DomainGetControlInfoRet(DomainControlState.ERROR, detail, seconds - 30_000)
    return protocol.DomainGetControlInfoRet(DomainControlState.OK, 0, 0)
