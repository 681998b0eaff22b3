"""Settings of the machine of a host, and functions that it does not have.

Source: libvirt's src/qemu/qemu_driver.c (qemuNodeGetMemoryParameters and its like).
"""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import NodeAllocPagesFlags
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import node_settings
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, validate


def _check(flags: int, supported: int, function: str) -> None:
    if flags & ~supported:
        raise RpcError(
            ErrorCode.INVALID_ARG,
            f"unsupported flags (0x{flags & ~supported:x}) in function {function}",
            domain=ErrorDomain.NONE,
        )


class NodeSettings:
    """Serves settings of the machine."""

    @answers(protocol.NODE_GET_MEMORY_PARAMETERS)
    def memory(
        self, session: Session, args: protocol.ParamsArgs
    ) -> protocol.NodeGetMemoryParametersRet:
        _check(args.flags, 4, "virHostMemGetParameters")  # typed strings are welcome
        found = node_settings.memory_parameters(session.host)
        wanted = max(0, args.nparams)
        return protocol.NodeGetMemoryParametersRet(found[:wanted], 0 if wanted else len(found))

    @answers(protocol.NODE_SET_MEMORY_PARAMETERS)
    def set_memory(self, session: Session, args: protocol.NodeSetMemoryParametersArgs) -> None:
        _check(args.flags, 0, "virHostMemSetParameters")
        node_settings.set_memory_parameters(session.host, args.params)

    @answers(protocol.NODE_ALLOC_PAGES)
    def allocate(
        self, session: Session, args: protocol.NodeAllocPagesArgs
    ) -> protocol.NodeAllocPagesRet:
        session.host.flavour.check_flags(args.flags, NodeAllocPagesFlags.SET, "NodeAllocPages")
        sizes = args.pageSizes if args.cellCount else []
        return protocol.NodeAllocPagesRet(
            node_settings.allocate_pages(session.host, sizes, args.startCell)
        )

    @answers(protocol.NODE_SUSPEND_FOR_DURATION)
    def sleep(self, session: Session, args: protocol.NodeSuspendForDurationArgs) -> None:
        _check(args.flags, 0, "virNodeSuspend")
        raise node_settings.refuse_sleep(args.target)

    @answers(protocol.NODE_GET_SEV_INFO)
    def sev(self, session: Session, args: protocol.ParamsArgs) -> protocol.NodeGetSevInfoRet:
        text = "QEMU does not support SEV guest"
        raise RpcError.of(ErrorCode.OPERATION_UNSUPPORTED, text, domain=ErrorDomain.QEMU)

    @answers(protocol.DOMAIN_SET_LAUNCH_SECURITY_STATE)
    def set_launch_state(
        self, session: Session, args: protocol.DomainSetLaunchSecurityStateArgs
    ) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainSetLaunchSecurityState")
        strings = dict.fromkeys(("sev-secret", "sev-secret-header"), ParamType.STRING)
        validate(args.params, {**strings, "sev-secret-set-address": ParamType.ULLONG})
        raise find_domain(session, args.dom).refused(
            ErrorCode.OPERATION_UNSUPPORTED,
            "setting a launch secret is only supported in SEV-enabled domains",
        )
