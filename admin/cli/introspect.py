"""The commands that describe what a daemon serves, and call any of it with JSON."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiovirt.admin.cli.complete import server_names
from aiovirt.admin.cli.failure import CommandFailed, explained
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import columns, table

if TYPE_CHECKING:
    from aiovirt.admin.extension.protocol.introspection import (
        ProcedureDescription,
        ProcedureInfo,
        ServedServer,
        TypeInfo,
    )
    from aiovirt.admin.introspection import Found

_MARKS: Final = (
    ("reads", "reads"),
    ("priority", "priority"),
    ("stream", "stream"),
    ("call_fds", "fds in"),
    ("reply_fds", "fds out"),
    ("event", "event"),
)


# describe --------------------------------------------------------------------------------------------


async def _describe(session: AdminSession, command: Invocation) -> None:
    from aiovirt.admin.introspection import JsonError

    name = command.text("name")
    try:
        if name is None:
            await _describe_daemon(session)
        elif "/" in name:
            await _describe_procedure(session, name, command.text("server"))
        else:
            await _describe_program(session, name, command.text("server"))
    except JsonError as error:
        raise CommandFailed(str(error)) from error


async def _describe_daemon(session: AdminSession) -> None:
    from aiovirt.admin.client import MissingProgram
    from aiovirt.admin.introspection import LIBVIRTS_ADMIN, label

    lacking = ""
    with explained("failed to list the programs of the daemon"):
        try:
            servers = await session.connection.programs.servers()
        except MissingProgram as error:
            servers, lacking = [LIBVIRTS_ADMIN], error.message
    session.terminal.answer(
        [_server_json(one) for one in servers],
        table(
            ("Server", "Program", "Number", "Version", "Procedures", "Served", "Socket"),
            [
                (
                    server.name,
                    label(program.name),
                    f"0x{program.number:08x}",
                    str(program.version),
                    str(program.procedures),
                    str(program.served),
                    _sockets(server),
                )
                for server in servers
                for program in server.programs
            ],
            with_header=not session.terminal.quiet,
        ),
    )
    if lacking:
        session.terminal.remark(f"Other programs are not known: {lacking}\n")


async def _describe_program(session: AdminSession, name: str, server: str | None) -> None:
    from aiovirt.admin.introspection import label

    programs = session.connection.programs
    with explained(f"failed to describe program '{name}'"):
        where, program = await programs.find_program(name, server)
        listed = await programs.procedures(where, program)
    session.terminal.answer(
        {
            "server": where.name,
            "program": label(program.name),
            "number": program.number,
            "version": program.version,
            "procedures": [_info_json(one) for one in listed],
        },
        table(
            ("Number", "Procedure", "Takes", "Gives", ""),
            [
                (
                    str(one.number),
                    one.name,
                    one.args or "-",
                    one.result or "-",
                    ", ".join(_marks(one)),
                )
                for one in listed
            ],
            with_header=not session.terminal.quiet,
        ),
    )


async def _describe_procedure(session: AdminSession, name: str, server: str | None) -> None:
    from aiovirt.admin.introspection import label
    from aiovirt.admin.json_values import JsonCodec
    from aiovirt.rpc.wire import xdr

    with explained(f"failed to describe '{name}'"):
        found = await session.connection.programs.find(name, server)
        example = JsonCodec(found.description).template(found.description.args)
    described = found.description
    session.terminal.answer(
        {
            "server": found.server.name,
            "program": label(found.program.name),
            **_info_json(described.procedure),
            "template": example,
            "types": [xdr.as_dict(one) for one in described.types],
            "args_type": described.args,
            "result_type": described.result,
            "enumerations": [xdr.as_dict(one) for one in described.enumerations],
        },
        "".join(_procedure_text(found, example)),
    )


def _procedure_text(found: Found, example: Any) -> Iterator[str]:
    from aiovirt.admin.cli.terminal import as_json
    from aiovirt.admin.introspection import label

    described = found.description
    one = described.procedure
    where = f"{label(found.program.name)}/{one.name}"
    yield columns(
        [
            ("procedure", f"{where} (number {one.number})"),
            ("server", found.server.name),
            *([("function", one.function)] if one.function else []),
            ("marks", ", ".join(_marks(one)) or "-"),
            ("takes", _type_text(described, described.args)),
            ("gives", _type_text(described, described.result)),
        ],
        10,
    )
    for info in described.types:
        if info.name:
            yield f"\n{info.name}\n"
            yield "".join(f"    {line}\n" for line in info.text.splitlines() if line)
            for field in info.fields:
                yield f"  {field.name}: {_type_text(described, field.type)}\n"
    for enumeration in described.enumerations:
        kind = "flags" if enumeration.is_flags else "enumeration"
        members = ", ".join(f"{each.value} {each.name}" for each in enumeration.members)
        yield f"\n{enumeration.name} ({kind})\n  {members}\n"
    if not (one.event or one.stream or one.call_fds or one.reply_fds):
        arguments = "" if example is None else f" '{as_json(example)}'"
        yield f"\ncall {where}{arguments}\n"


def _type_text(described: ProcedureDescription, position: int, depth: int = 0) -> str:
    from aiovirt.admin.extension.protocol.introspection import TypeKind

    one: TypeInfo = described.types[position]
    if one.name:
        return one.name
    if one.enumeration:
        return described.enumerations[one.enumeration - 1].name
    if depth > 8:  # a description is what a daemon sent
        return "..."
    match one.kind:
        case TypeKind.ARRAY:
            return f"list of {_type_text(described, one.item, depth + 1)}, at most {one.bound}"
        case TypeKind.OPTIONAL:
            return f"{_type_text(described, one.item, depth + 1)} or null"
        case TypeKind.UNION:
            arms = (
                f"{arm.name or arm.value}: {_type_text(described, arm.type, depth + 1)}"
                for arm in one.arms
            )
            return f"one of {{{', '.join(arms)}}}"
        case TypeKind.STRING:
            return f"string, at most {one.bound} bytes"
        case TypeKind.VAROPAQUE | TypeKind.CHARS:
            return f"hexadecimal digits of at most {one.bound} bytes"
        case TypeKind.OPAQUE | TypeKind.CHAR_ARRAY:
            return f"hexadecimal digits of {one.bound} bytes"
        case TypeKind.VOID:
            return "nothing"
    names = {TypeKind.UINT: "unsigned int", TypeKind.UHYPER: "unsigned hyper"}
    kind = TypeKind(one.kind)
    return names.get(kind, kind.name.lower())


def _marks(one: ProcedureInfo) -> list[str]:
    found = [mark for name, mark in _MARKS if getattr(one, name)]
    if not one.needs_auth:
        found.append("without authentication")
    if not one.served and not one.event:
        found.append("not served")
    return found


def _info_json(one: ProcedureInfo) -> dict[str, Any]:
    from aiovirt.rpc.wire import xdr

    found: dict[str, Any] = xdr.as_dict(one)
    found["flags"] = None if one.flags < 0 else one.flags
    return found


def _server_json(one: ServedServer) -> dict[str, Any]:
    from aiovirt.admin.introspection import label
    from aiovirt.admin.protocol import Transport
    from aiovirt.rpc.wire import xdr

    found: dict[str, Any] = xdr.as_dict(one)
    for service in found["services"]:
        service["transport"] = Transport(service["transport"]).name.lower()
    for program in found["programs"]:
        program["name"] = label(program["name"])
    return found


def _sockets(server: ServedServer) -> str:
    addresses = [one.address for one in server.services if not one.readonly]
    return ", ".join(addresses or [one.address for one in server.services]) or "-"


# call ------------------------------------------------------------------------------------------------


async def _call(session: AdminSession, command: Invocation) -> None:
    from aiovirt.admin.cli.terminal import as_json
    from aiovirt.admin.introspection import JsonError

    calls = list(_calls(command.all("words")))
    server = command.text("server")
    async with session.connection.programs.caller() as caller:
        for name, text in calls:
            with explained(f"failed to call '{name}'"):
                try:
                    value = await _value(text)
                    result = await caller.call(name, value, server=server)
                except JsonError as error:
                    raise CommandFailed(f"failed to call '{name}'", str(error)) from error
            session.terminal.answer(result, f"{as_json(result, indent=2)}\n")


def _calls(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the procedures with the text of their arguments, None for no arguments."""
    name: str | None = None
    for word in words:
        if word == "-" or word.lstrip()[:1] in ("{", "[", '"') or word.strip() == "null":
            if name is None:
                raise CommandFailed(f"arguments follow a procedure; none is before {word[:40]}")
            yield name, word
            name = None
        else:
            if name is not None:
                yield name, None
            name = word
    if name is not None:
        yield name, None


async def _value(text: str | None) -> Any:
    import json

    if text is None:
        return None
    given = await asyncio.to_thread(sys.stdin.read) if text == "-" else text
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as error:
        raise CommandFailed(f"the arguments are not JSON: {error}") from error


# ----------------------------------------------------------------------------------------------------


async def _names(session: AdminSession, command: Invocation) -> list[str]:
    """The programs, and the procedures of the one that is named already."""
    from aiovirt.admin.introspection import label

    programs = session.connection.programs
    typed = next((value.text or "" for value in reversed(command.values) if value.here), "")
    program, slash, _ = typed.partition("/")
    if slash:
        where, found = await programs.find_program(program)
        return [f"{program}/{one.name}" for one in await programs.procedures(where, found)]
    names = {label(one.name) for server in await programs.servers() for one in server.programs}
    return [*sorted(names), *(f"{name}/" for name in sorted(names))]


def _server(help_text: str) -> Option:
    return Option("server", OptionKind.STRING, help_text, named_only=True, complete=server_names)


GROUP: Final = Group(
    "Commands for any procedure",
    "introspect",
    (
        Command(
            "describe",
            _describe,
            "describe programs, procedures and their types",
            "Without a name, list the programs of all servers. With PROGRAM, list its procedures. With"
            " PROGRAM/PROCEDURE, describe its arguments and result, with a template for 'call'. Of"
            " daemons of libvirt, only the admin program is known.",
            (
                Option(
                    "name",
                    OptionKind.STRING,
                    "PROGRAM or PROGRAM/PROCEDURE, by name or number",
                    complete=_names,
                ),
                _server("the server that is meant, if several have the program"),
            ),
        ),
        Command(
            "call",
            _call,
            "call any procedure, with arguments and result in JSON",
            "Call PROGRAM/PROCEDURE with its arguments as JSON ('-' reads them from standard input)"
            " and print the result. Several procedures, each with its arguments, are called in order"
            " over one connection. Numbers have all their digits; bytes are hexadecimal digits; flags"
            " are a list of names.",
            (
                _server("the server that is meant, if several have the program"),
                Option(
                    "words",
                    OptionKind.REST,
                    "PROGRAM/PROCEDURE [JSON|-] ...",
                    required=True,
                    complete=_names,
                ),
            ),
        ),
    ),
)
