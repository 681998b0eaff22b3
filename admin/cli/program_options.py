"""Options of the program that commands for several daemons take after their names as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.admin.cli.table import Option, OptionKind

if TYPE_CHECKING:
    from aiovirt.admin.cli.invocation import Invocation
    from aiovirt.admin.cli.session import AdminSession

#: The values of --output.
FORMS: Final = ("text", "json")


async def _forms(session: AdminSession, invocation: Invocation) -> list[str]:
    return list(FORMS)


async def _uris(session: AdminSession, invocation: Invocation) -> list[str]:
    """Return the URIs of this host's daemons, by their sockets."""
    from aiovirt.admin.host import admin_sockets

    return [*(found.uri for found in admin_sockets()), "all"]


CONNECT_OPTION: Final = Option(
    "connect",
    OptionKind.STRING,
    "a daemon, as -c before the command; may be repeated",
    named_only=True,
    complete=_uris,
    letter="c",
    repeated=True,
)
OUTPUT_OPTION: Final = Option(
    "output",
    OptionKind.STRING,
    "text or json, as -o before the command",
    named_only=True,
    complete=_forms,
    letter="o",
)
