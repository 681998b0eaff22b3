"""Calls that wait: for the emulator of a guest, or for the end of its migration.

The functions that serve them are plain ones, which are called at once, as long as there is nothing to
wait for. They are served by coroutines from the first emulator or migration on.

Source: libvirt's src/conf/virdomainjob.c (virDomainObjBeginJobInternal).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiovirt.daemons.virtd.dispatch.serving import opened, waiting
from aiovirt.daemons.virtd.dispatch.with_emulators import WITH_EMULATORS
from aiovirt.daemons.virtd.dispatch.with_jobs import ALLOWED, JOBS, Job
from aiovirt.daemons.virtd.host import migration
from aiovirt.rpc.server import CallWithFds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.rpc.server import Client, Server
    from aiovirt.rpc.wire.program import Procedure


class WaitingCalls:
    """The procedures of a server whose calls wait just now.

    Args:
        server: serves the procedures with the functions that do not wait.
    """

    def __init__(self, server: Server) -> None:
        self._table = server.table
        self._plain: dict[Procedure[Any, Any], Callable[..., Any]] = {}
        self._for_emulators = False
        self._for_jobs = False

    def for_emulators(self, wanted: bool) -> None:
        """Have calls that start or end guests wait for emulators, or not. It counts from the next
        call on."""
        self._for_emulators = wanted
        self._serve(WITH_EMULATORS)

    def for_jobs(self, wanted: bool) -> None:
        """Have calls that take a job of a guest wait for its migration, or not. It counts from the
        next call on."""
        if wanted != self._for_jobs:
            self._for_jobs = wanted
            self._serve(JOBS)

    def _serve(self, procedures: Iterable[Procedure[Any, Any]]) -> None:
        for procedure in procedures:
            binding = self._table.get(procedure.key)
            if binding is None:  # virtd does not serve it
                continue
            plain = self._plain.setdefault(procedure, binding.handler)
            handler = plain
            if self._for_emulators and procedure in WITH_EMULATORS:
                handler = waiting(handler)
            if self._for_jobs and procedure in JOBS:
                handler = _after_migration(JOBS[procedure], handler)
            if handler is not binding.handler:
                binding.serve_with(handler)


def _after_migration(job: Job, handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler that waits until it may have a job of the guest that a call names."""
    is_coroutine = inspect.iscoroutinefunction(handler)

    async def attempt(client: Client, args: Any) -> Any:
        call = args.args if isinstance(args, CallWithFds) else args
        try:
            await _begin(opened(client).host, call, job)
        except BaseException:
            if isinstance(args, CallWithFds):
                args.close()
            raise
        return await handler(client, args) if is_coroutine else handler(client, args)

    return attempt


async def _begin(host: Host, call: Any, job: Job) -> None:
    """Wait until a guest has no migration, or one that allows a job; it may be gone then.

    Raises RpcError OPERATION_TIMEOUT when it takes too long.
    """
    named = getattr(call, "dom", None) or call.checkpoint.dom
    domain = host.domains.by_uuid(named.uuid)
    if domain is None:
        return

    def is_free() -> bool:
        found = migration.job(domain)
        return found is None or job in ALLOWED[found["kind"]]

    if not await host.migrations.wait_for(is_free, host.pace.job):
        domain.require_no_job()
