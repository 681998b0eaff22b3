"""The guest within a domain: agent, addresses, keys, clock, screen, console."""

from __future__ import annotations

from collections.abc import Sequence

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import UuidObject
from aiovirt.daemons.virtd.client.parameters import Values, to_dict
from aiovirt.rpc.client import Stream


class DomainGuest(UuidObject[protocol.NonnullDomain]):
    """The guest of a domain; see `Domain`."""

    async def hostname(self, flags: int = 0) -> str:
        """Return the guest's host name (virDomainGetHostname). flags: DomainGetHostnameFlags."""
        found = await self.call(
            protocol.DOMAIN_GET_HOSTNAME, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.hostname

    async def interface_addresses(
        self, source: int, flags: int = 0
    ) -> list[protocol.DomainInterface]:
        """Return the guest's interfaces with their addresses (virDomainInterfaceAddresses).

        Args:
            source: DomainInterfaceAddressesSource.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_INTERFACE_ADDRESSES,
            protocol.DomainInterfaceAddressesArgs(self.ref, source, flags),
        )
        return found.ifaces

    async def guest_info(self, types: int = 0, flags: int = 0) -> Values:
        """Return facts from the guest agent (virDomainGetGuestInfo).

        Args:
            types: DomainGuestInfoTypes, 0 for all.
            flags: none are defined.
        """
        return to_dict(
            (
                await self.call(
                    protocol.DOMAIN_GET_GUEST_INFO,
                    protocol.DomainGetGuestInfoArgs(self.ref, types, flags),
                )
            ).params
        )

    async def time(self, flags: int = 0) -> protocol.DomainGetTimeRet:
        """Return the guest's clock (virDomainGetTime)."""
        return await self.call(protocol.DOMAIN_GET_TIME, protocol.DomainFlagsArgs(self.ref, flags))

    async def set_time(self, seconds: int, nseconds: int, flags: int = 0) -> None:
        """Set the guest's clock (virDomainSetTime).

        Args:
            seconds: since 1970.
            nseconds: nanoseconds of the second.
            flags: DomainSetTimeFlags.
        """
        await self.call(
            protocol.DOMAIN_SET_TIME, protocol.DomainSetTimeArgs(self.ref, seconds, nseconds, flags)
        )

    async def fs_freeze(self, mountpoints: Sequence[str], flags: int = 0) -> int:
        """Freeze file systems and return their number (virDomainFSFreeze).

        Args:
            mountpoints: the file systems, empty for all.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_FSFREEZE,
            protocol.DomainMountpointsArgs(self.ref, list(mountpoints), flags),
        )
        return found.filesystems

    async def fs_thaw(self, mountpoints: Sequence[str], flags: int = 0) -> int:
        """Thaw file systems and return their number (virDomainFSThaw).

        Args:
            mountpoints: the file systems, empty for all.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_FSTHAW,
            protocol.DomainMountpointsArgs(self.ref, list(mountpoints), flags),
        )
        return found.filesystems

    async def fs_trim(self, minimum: int, mount_point: str | None = None, flags: int = 0) -> None:
        """Give unused blocks of a file system back (virDomainFSTrim).

        Args:
            minimum: bytes of a free range, at least.
            mount_point: the file system, None for all.
            flags: none are defined.
        """
        await self.call(
            protocol.DOMAIN_FSTRIM, protocol.DomainFstrimArgs(self.ref, mount_point, minimum, flags)
        )

    async def fs_info(self, flags: int = 0) -> list[protocol.DomainFsinfo]:
        """Return the mounted file systems (virDomainGetFSInfo)."""
        found = await self.call(
            protocol.DOMAIN_GET_FSINFO, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.info

    async def set_user_password(
        self, user: str | None = None, password: str | None = None, flags: int = 0
    ) -> None:
        """Set the password of a user (virDomainSetUserPassword).

        Args:
            user: the name of the user.
            password: the password.
            flags: DomainSetUserPasswordFlags.
        """
        await self.call(
            protocol.DOMAIN_SET_USER_PASSWORD,
            protocol.DomainSetUserPasswordArgs(self.ref, user, password, flags),
        )

    async def authorized_ssh_keys(self, user: str, flags: int = 0) -> list[str]:
        """Return the SSH keys of a user (virDomainAuthorizedSSHKeysGet).

        Args:
            user: the name of the user.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_AUTHORIZED_SSH_KEYS_GET,
            protocol.DomainAuthorizedSshKeysGetArgs(self.ref, user, flags),
        )
        return found.keys

    async def set_authorized_ssh_keys(self, user: str, keys: Sequence[str], flags: int = 0) -> None:
        """Set the SSH keys of a user (virDomainAuthorizedSSHKeysSet).

        Args:
            user: the name of the user.
            keys: the keys, one for each entry.
            flags: DomainAuthorizedSSHKeysSetFlags.
        """
        await self.call(
            protocol.DOMAIN_AUTHORIZED_SSH_KEYS_SET,
            protocol.DomainAuthorizedSshKeysSetArgs(self.ref, user, list(keys), flags),
        )

    async def agent_set_response_timeout(self, timeout: int, flags: int = 0) -> int:
        """Set the time that the agent has for an answer (virDomainAgentSetResponseTimeout).

        Args:
            timeout: in seconds, or DomainAgentResponseTimeoutValues.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_AGENT_SET_RESPONSE_TIMEOUT,
            protocol.DomainAgentSetResponseTimeoutArgs(self.ref, timeout, flags),
        )
        return found.result

    async def agent_command(self, cmd: str, timeout: int, flags: int = 0) -> str | None:
        """Send a command to the guest agent and return its answer (virDomainQemuAgentCommand).

        Args:
            cmd: the command, in JSON.
            timeout: in seconds, or DomainQemuAgentCommandTimeoutValues.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_AGENT_COMMAND,
            protocol.DomainAgentCommandArgs(self.ref, cmd, timeout, flags),
        )
        return found.result

    async def monitor_command(self, cmd: str, flags: int = 0) -> str:
        """Send a command to QEMU's monitor and return its answer (virDomainQemuMonitorCommand).

        Args:
            cmd: the command, in JSON unless a flag says otherwise.
            flags: none are defined.
        """
        found = await self.call(
            protocol.DOMAIN_MONITOR_COMMAND,
            protocol.DomainMonitorCommandArgs(self.ref, cmd, flags),
        )
        return found.result

    async def send_key(
        self, codeset: int, holdtime: int, keycodes: Sequence[int], flags: int = 0
    ) -> None:
        """Press keys (virDomainSendKey).

        Args:
            codeset: KeycodeSet.
            holdtime: in milliseconds.
            keycodes: up to 16 keys that are pressed together.
            flags: none are defined.
        """
        await self.call(
            protocol.DOMAIN_SEND_KEY,
            protocol.DomainSendKeyArgs(self.ref, codeset, holdtime, list(keycodes), flags),
        )

    async def send_process_signal(self, pid: int, signum: int, flags: int = 0) -> None:
        """Send a signal to a process of the guest (virDomainSendProcessSignal).

        Args:
            pid: the process.
            signum: DomainProcessSignal.
            flags: none are defined.
        """
        await self.call(
            protocol.DOMAIN_SEND_PROCESS_SIGNAL,
            protocol.DomainSendProcessSignalArgs(self.ref, pid, signum, flags),
        )

    async def inject_nmi(self, flags: int = 0) -> None:
        """Send a non-maskable interrupt (virDomainInjectNMI)."""
        await self.call(protocol.DOMAIN_INJECT_NMI, protocol.DomainFlagsArgs(self.ref, flags))

    async def pm_suspend(self, target: int, duration: int, flags: int = 0) -> None:
        """Have the guest suspend itself (virDomainPMSuspendForDuration).

        Args:
            target: NodeSuspendTarget.
            duration: in seconds.
            flags: none are defined.
        """
        await self.call(
            protocol.DOMAIN_PM_SUSPEND_FOR_DURATION,
            protocol.DomainPmSuspendForDurationArgs(self.ref, target, duration, flags),
        )

    async def pm_wakeup(self, flags: int = 0) -> None:
        """Wake a suspended guest (virDomainPMWakeup)."""
        await self.call(protocol.DOMAIN_PM_WAKEUP, protocol.DomainFlagsArgs(self.ref, flags))

    async def memory_peek(self, offset: int, size: int, flags: int = 0) -> bytes:
        """Read a part of the memory (virDomainMemoryPeek).

        Args:
            offset: in bytes.
            size: bytes.
            flags: DomainMemoryFlags.
        """
        found = await self.call(
            protocol.DOMAIN_MEMORY_PEEK,
            protocol.DomainMemoryPeekArgs(self.ref, offset, size, flags),
        )
        return found.buffer

    async def messages(self, flags: int = 0) -> list[str]:
        """Return messages about the domain (virDomainGetMessages). flags: DomainMessageType."""
        found = await self.call(
            protocol.DOMAIN_GET_MESSAGES, protocol.DomainFlagsArgs(self.ref, flags)
        )
        return found.msgs

    async def launch_security_info(self, flags: int = 0) -> Values:
        """Return facts about the protection of the memory (virDomainGetLaunchSecurityInfo)."""
        return to_dict(
            (
                await self.call(
                    protocol.DOMAIN_GET_LAUNCH_SECURITY_INFO,
                    protocol.DomainFlagsArgs(self.ref, flags),
                )
            ).params
        )

    async def console(self, device: str | None = None, flags: int = 0) -> Stream[None]:
        """Open a console (virDomainOpenConsole).

        Args:
            device: the alias of the console, None for the first.
            flags: DomainConsoleFlags.
        """
        args = protocol.DomainOpenConsoleArgs(self.ref, device, flags)
        return await self.host.open_stream(protocol.DOMAIN_OPEN_CONSOLE, args)

    async def channel(self, name: str | None = None, flags: int = 0) -> Stream[None]:
        """Open a channel to the guest (virDomainOpenChannel).

        Args:
            name: the target of the channel, None for the first.
            flags: DomainChannelFlags.
        """
        args = protocol.DomainOpenChannelArgs(self.ref, name, flags)
        return await self.host.open_stream(protocol.DOMAIN_OPEN_CHANNEL, args)

    async def screenshot(self, screen: int = 0, flags: int = 0) -> tuple[str | None, bytes]:
        """Take a picture of the screen: its MIME type and its bytes (virDomainScreenshot).

        Args:
            screen: the number of the screen.
            flags: none are defined.
        """
        args = protocol.DomainScreenshotArgs(self.ref, screen, flags)
        async with await self.host.open_stream(protocol.DOMAIN_SCREENSHOT, args) as stream:
            parts = [part async for part in stream if isinstance(part, bytes)]
        return stream.result.mime, b"".join(parts)
