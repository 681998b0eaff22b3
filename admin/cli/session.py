"""A session: one daemon, reached when a command first needs it, and commands run in order.

Source: libvirt's tools/virt-admin.c (vshAdmConnectionHandler, vshAdmReconnect) and vsh.c
(vshCommandRun).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiovirt.admin.cli.failure import CALL_FAILURES, CommandFailed, text_of
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.progress import progress
from aiovirt.admin.cli.table import CommandTable
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.admin.client import Connection, connect
from aiovirt.admin.uri import resolve


class AdminSession:
    """Runs commands for one URI.

    table: what commands there are; terminal: where words go; uri: the URI or alias to connect to,
    None for the default. interactive: whether more lines are to come; `quit` ends that. timeout: seconds
    that the daemon has for each answer, None for ever. prompts: ssh may ask the user. uris:
    every URI that was given, for a command that takes daemons together.
    """

    def __init__(
        self,
        table: CommandTable,
        terminal: Terminal,
        uri: str | None = None,
        *,
        interactive: bool = False,
        timeout: float | None = None,
        prompts: bool = True,
    ) -> None:
        self.table = table
        self.terminal = terminal
        self.uri = uri
        self.interactive = interactive
        self.timeout = timeout
        self.uris: Sequence[str] = () if uri is None else (uri,)
        self.prompts = prompts
        self._connection: Connection | None = None
        self._watch: asyncio.Task[None] | None = None
        self._loss_told = False

    async def run(self, commands: Iterable[Invocation]) -> bool:
        """Run commands one after the other, also past a failed one; whether the last succeeded."""
        succeeded = True
        for command in commands:
            succeeded = await self._run_one(command)
            if command.command.last:
                break
            self.terminal.remark("\n")
        return succeeded

    @property
    def connection(self) -> Connection:
        """The connection that a command with `connected` can count on."""
        if self._connection is None:
            raise CommandFailed("no valid connection")
        return self._connection

    @property
    def connected(self) -> bool:
        """Whether there is a connection, and it lives as far as is known."""
        return self._connection is not None and self._connection.alive

    async def reconnect(self, *, silently: bool = False) -> None:
        """Leave the daemon, if there is one, and connect to the one of `uri`.

        silently: don't tell that it worked. Raises CommandFailed.
        """
        again = self._connection is not None
        await self.close()
        try:
            uri = resolve(self.uri)
            # A question of ssh stands on the line that the progress would take.
            awaited = [] if uri.transport and self.prompts else [str(uri)]
            async with progress(self.terminal, lambda: awaited):
                self._connection = await connect(uri, timeout=self.timeout, prompts=self.prompts)
        except CALL_FAILURES as error:
            how = "reconnect" if again else "connect"
            lines = [f"Failed to {how} to the admin server", *text_of(error).splitlines()]
            if self.uri is None:
                lines.append(
                    "the default daemon was tried; -c names another one, as in -c virtd:///"
                )
            raise CommandFailed(*lines) from error
        self._loss_told = False
        self._watch = asyncio.create_task(self._tell_loss_of(self._connection))
        if again and not silently:
            self.terminal.notice("Reconnected to the admin server\n")

    async def ensure_connected(self) -> None:
        """Connect, or connect anew when the connection was lost. Raises CommandFailed."""
        if self.connected:
            return
        try:
            await self.reconnect()
        except CommandFailed as failed:
            headline, *rest = failed.lines
            raise CommandFailed(headline, "no valid connection", *rest) from failed

    async def close(self) -> None:
        """Leave the daemon."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    def abandon(self) -> None:
        """Leave without waiting for anybody."""
        if self._watch is not None:
            self._watch.cancel()
        if self._connection is not None:
            self._connection.abort()

    def expect_loss(self) -> None:
        """Report the end of the connection no more: from now on it is expected."""
        self._loss_told = True

    async def _run_one(self, invocation: Invocation) -> bool:
        try:
            if invocation.command.connected:
                await self.ensure_connected()
            async with progress(self.terminal, lambda: self._awaited(invocation)):
                await invocation.command.handler(self, invocation)
        except CommandFailed as failed:
            lines = failed.lines
        except CALL_FAILURES as error:
            lines = (text_of(error),)
        else:
            return True
        if self._connection is not None and not self._connection.alive:
            self._tell_loss(self._connection)
        for line in lines:
            self.terminal.error(line)
        return False

    def _awaited(self, invocation: Invocation) -> list[str]:
        command = invocation.command
        shown = command.progress and command.connected and self._connection is not None
        return [str(self.connection.uri)] if shown else []

    async def _tell_loss_of(self, connection: Connection) -> None:
        await connection.wait_lost()
        self._tell_loss(connection)

    def _tell_loss(self, connection: Connection) -> None:
        if not self._loss_told:
            self._loss_told = True
            self.terminal.error(f"Disconnected from {connection.uri} due to end of file")
