"""What commands print and send, against a daemon that answers as told."""

from __future__ import annotations

import asyncio
import io
import json
from json import loads
from pathlib import Path
from typing import NamedTuple

import pytest

from aiovirt.admin import protocol
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.complete import complete_line
from aiovirt.admin.cli.manual import command_help, usage
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, CommandTable, Group, Option, OptionKind
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.typedparams import int_, string, to_dict
from tests.unit.scripted_daemon import HangUp, Script, ScriptedDaemon, raising, scripted_daemon

TABLE = command_table()


class Said(NamedTuple):
    succeeded: bool
    out: str
    err: str


async def run_at(
    daemon: ScriptedDaemon, line: str, *, quiet: bool = False, json: bool = False
) -> Said:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal("virtadm", out=out, err=err)
    terminal.quiet, terminal.json = quiet, json
    session = AdminSession(TABLE, terminal, daemon.uri)
    try:
        succeeded = await session.run(parse(LineWords(line), TABLE))
    finally:
        await session.close()
    return Said(succeeded, out.getvalue(), err.getvalue())


async def run(
    line: str, script: Script | None = None, *, quiet: bool = False, json: bool = False
) -> Said:
    async with scripted_daemon(script) as daemon:
        return await run_at(daemon, line, quiet=quiet, json=json)


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("version", "Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\n"
         "Running against daemon: 9.1.2\n"),
        ("server-list", " Id   Name\n-------------\n 0    admin\n 1    main\n"),
        ("srv-clients-info main", "nclients_max        : 5000\nnclients            : 2\n"
         "nclients_unauth_max : 20\nnclients_unauth     : 1\n"),
        ("server-threadpool-info main", "minWorkers     : 5\nmaxWorkers     : 20\n"
         "nWorkers       : 6\nfreeWorkers    : 4\nprioWorkers    : 5\njobQueueDepth  : 1\n"),
        ("client-list main", " Id   Transport   Connected since\n"
         "--------------------------------------------\n 3    unix        1970-01-02 00:00:00+0000\n"),
        ("client-info main 9", "id             : 9\nconnection_time: 1970-01-02 00:00:00+0000\n"
         "transport      : tls\nreadonly       : yes\nunix_user_id   : 7\nunix_user_name : seven\n"),
        ("client-disconnect main 9", "Client '9' disconnected"),
        ("server-update-tls main", "update tls related files succeed\n"),
        ("daemon-log-outputs", " Logging outputs: 1:file:/a 3:stderr\n"),
        ("daemon-log-filters", " Logging filters: \n"),
        ("daemon-log-filters 1:x", ""),
        ("daemon-timeout --timeout 5", ""),
        ("connect", "Connected to the admin server\n"),
        ("echo --shell a 'b c'", "a 'b c'"),
        ("quit", None),
    ],
)  # fmt: skip
async def test_an_answer_is_followed_by_an_empty_line(
    line: str, out: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiovirt.admin.cli.monitor.when", lambda at: "1970-01-02 00:00:00+0000")
    assert await run(line) == Said(True, "" if out is None else f"{out}\n", "")


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("server-list", " 0   admin\n 1   main\n"),
        ("daemon-log-outputs", "1:file:/a 3:stderr\n"),
        ("server-clients-info main; pwd", None),
    ],
)
async def test_quiet_leaves_only_the_answer(line: str, out: str | None) -> None:
    said = await run(line, quiet=True)
    assert "\n\n" not in said.out
    assert out in (None, said.out)


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("version", [{"library": "9.0.0", "daemon": "9.1.2"}]),
        ("server-list", [[{"id": 0, "name": "admin"}, {"id": 1, "name": "main"}]]),
        ("client-list main", [[{"id": 3, "transport": "unix", "connected_since": 86400}]]),
        (
            "client-info main 9",
            [
                {
                    "id": 9,
                    "connected_since": 86400,
                    "transport": "tls",
                    "readonly": True,
                    "unix_user_id": 7,
                    "unix_user_name": "seven",
                }
            ],
        ),
        (
            "daemon-log-outputs; daemon-log-filters",
            [{"outputs": ["1:file:/a", "3:stderr"]}, {"filters": []}],
        ),
        ("client-disconnect main 9; connect", [{"disconnected": 9}]),
        ("daemon-log-filters 1:x; server-update-tls main", []),
    ],
)
async def test_json_answers_are_a_document_a_line(line: str, answers: list[object]) -> None:
    said = await run(line, json=True)
    assert said.succeeded
    assert [json.loads(document) for document in said.out.splitlines()] == answers


async def test_numbers_in_json_are_what_the_daemon_sent() -> None:
    said = await run("server-threadpool-info main; uri", json=True)
    pool, uri = map(json.loads, said.out.splitlines())
    assert pool["freeWorkers"] == 4
    assert uri["uri"].startswith("libvirtd:///session?socket=")


async def test_settings_are_sent_as_given() -> None:
    async with scripted_daemon() as daemon:
        line = "srv-threadpool-set main --priority-workers 3 1 9; srv-clients-set main 8 7"
        assert (await run_at(daemon, line)).succeeded
        await run_at(daemon, "daemon-log-filters ''; daemon-shutdown --preserve; daemon-shutdown")
    (pool,) = daemon.called(protocol.SERVER_SET_THREADPOOL_PARAMETERS)
    assert to_dict(pool.params) == {"maxWorkers": 9, "minWorkers": 1, "prioWorkers": 3}
    (limits,) = daemon.called(protocol.SERVER_SET_CLIENT_LIMITS)
    assert to_dict(limits.params) == {"nclients_max": 8, "nclients_unauth_max": 7}
    assert daemon.called(protocol.CONNECT_SET_LOGGING_FILTERS)[0].text == ""
    assert [args.flags for args in daemon.called(protocol.CONNECT_DAEMON_SHUTDOWN)] == [1, 0]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("srv-threadpool-set main", "At least one of options --min-workers,"),
        ("srv-threadpool-set main 5 4", "--min-workers must be less than or equal to"),
        ("srv-clients-set main", "At least one of options --max-clients,"),
        ("srv-clients-set main 4 5", "--max-unauth-clients must be less than or equal to"),
        ("client-info main x", "Numeric value 'x' for <client> option is malformed or"),
        ("client-list ''", "Failed to get option 'server': Option argument is empty"),
        ("cd /", "cd: command valid only in interactive mode"),
        ("help nosuch", "command or command group 'nosuch' doesn't exist"),
        ("echo --xml --shell x", "Options --shell and --xml are mutually exclusive"),
        ("echo --split --xml x", "Options --xml and --split are mutually exclusive"),
    ],
)
async def test_a_mistake_is_told_and_nothing_is_changed(line: str, complaint: str) -> None:
    async with scripted_daemon() as daemon:
        said = await run_at(daemon, line)
    assert not said.succeeded
    assert said.out == "\n"
    assert said.err.startswith(f"error: {complaint}")
    assert said.err.count("\n") == 1
    assert not any("SET" in name for name, _ in daemon.calls)


async def test_a_number_that_is_none_names_its_option_too() -> None:
    said = await run("srv-threadpool-set main --max-workers=x")
    assert said.err == (
        "error: Numeric value 'x' for <max-workers> option is malformed or out of range\n"
        "error: Unable to parse integer parameter 'max-workers'\n"
    )


async def test_a_refusal_is_told_with_what_it_means() -> None:
    script = {
        protocol.CONNECT_LOOKUP_SERVER: raising(RpcError(ErrorCode.NO_SERVER, "no such server")),
        protocol.CONNECT_SET_LOGGING_OUTPUTS: raising(RpcError(ErrorCode.INVALID_ARG, "bad")),
    }
    said = await run("client-list x; daemon-log-outputs y; uri", script)
    assert said.succeeded
    assert said.err == (
        "error: no such server\nerror: Unable to change daemon logging settings\nerror: bad\n"
    )


async def test_a_line_succeeds_as_its_last_command_does() -> None:
    assert not (await run("uri; help nosuch")).succeeded
    assert (await run("help nosuch; uri")).succeeded
    assert (await run("help nosuch; quit; help nosuch")).succeeded


async def test_a_lost_connection_is_told_once_and_made_anew() -> None:
    script = {protocol.CONNECT_LIST_SERVERS: raising(HangUp())}
    async with scripted_daemon(script) as daemon:
        said = await run_at(daemon, "server-list; uri")
    assert said.succeeded
    lines = said.err.splitlines()
    assert lines[0] == f"error: Disconnected from {daemon.uri} due to end of file"
    assert lines[1] == f"error: failed to obtain list of available servers from {daemon.uri}"
    assert len(lines) == 3
    assert said.out == f"\nReconnected to the admin server\n{daemon.uri}\n\n"


async def test_a_daemon_that_ends_as_it_was_told_is_no_loss() -> None:
    async with scripted_daemon({protocol.CONNECT_CLOSE: raising(HangUp())}) as daemon:
        assert await run_at(daemon, "daemon-shutdown") == Said(True, "\n", "")


async def test_a_daemon_may_end_without_a_reply_to_its_shutdown() -> None:
    said = await run("daemon-shutdown", {protocol.CONNECT_DAEMON_SHUTDOWN: raising(HangUp())})
    assert said == Said(True, "\n", "")


async def test_filters_are_shown_as_the_daemon_shows_them_and_in_json_as_they_can_be_set() -> None:
    shown = protocol.LoggingFilters("1:**rpc** 4:*util* ", 2)
    script: Script = {protocol.CONNECT_GET_LOGGING_FILTERS: lambda args: shown}
    text = " Logging filters: 1:**rpc** 4:*util* \n\n"
    assert (await run("daemon-log-filters", script)).out == text
    in_json = await run("daemon-log-filters", script, json=True)
    assert json.loads(in_json.out) == {"filters": ["1:*rpc*", "4:util"]}


async def test_a_timeout_of_the_daemon_may_stand_by_position() -> None:
    async with scripted_daemon() as daemon:
        assert (await run_at(daemon, "daemon-timeout 5; daemon-timeout --timeout 0")).succeeded
    sent = daemon.called(protocol.CONNECT_SET_DAEMON_TIMEOUT)
    assert [args.timeout for args in sent] == [5, 0]


class _Screen(io.StringIO):
    """A terminal, as far as a program can tell."""

    def isatty(self) -> bool:
        return True


async def test_a_name_from_a_daemon_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    name = "a\x1b[2J\r\x9bb\x7f"
    refusal = raising(RpcError(ErrorCode.NO_SERVER, f"no server {name}\n"))
    async with scripted_daemon({protocol.SERVER_LIST_CLIENTS: refusal}) as daemon:
        for kind, shown in (
            (_Screen, "a\\x1b[2J\\x0d\\x9bb\\x7f"),
            (io.StringIO, name),  # for a file or a program it is what it is
        ):
            out, err = kind(), kind()
            terminal = Terminal("virtadm", out=out, err=err)
            session = AdminSession(TABLE, terminal, daemon.uri)
            assert not await session.run(parse(LineWords(f"echo '{name}'; client-list x"), TABLE))
            await session.close()
            assert out.getvalue() == f"{shown}\n\n"
            assert f"error: no server {shown}\n" in err.getvalue()


async def test_without_a_daemon_each_command_that_needs_one_fails(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    session = AdminSession(
        TABLE, Terminal("virtadm", out=out, err=err), f"virtd:///session?socket={tmp_path}/none"
    )
    assert not await session.run(parse(LineWords("uri; echo a; connect"), TABLE))
    reason = f"Failed to connect socket to '{tmp_path}/none': No such file or directory"
    headline = "Failed to connect to the admin server"
    told = [headline, "no valid connection", reason, headline, reason]
    assert err.getvalue() == "".join(f"error: {line}\n" for line in told)
    assert out.getvalue() == "\na\n\n"


async def completions(line: str, script: Script | None = None) -> list[str]:
    """What the last word of a line becomes; the word starts after the last blank."""
    async with scripted_daemon(script) as daemon:
        session = AdminSession(TABLE, Terminal("virtadm"), daemon.uri)
        try:
            return await complete_line(session, line, line.rpartition(" ")[2])
        finally:
            await session.close()


@pytest.mark.parametrize(
    ("line", "choices"),
    [
        ("server-thr", ["server-threadpool-info", "server-threadpool-set"]),
        ("ur", ["uri"]),
        ("uri; ver", ["version"]),
        ("nosuch", []),
        ("client-list ", ["--server"]),
        ("client-list m", ["main"]),
        ("client-list --server ", ["admin", "main"]),
        ("client-list main ", []),
        ("client-info main --cl", ["--client"]),
        ("client-info main --client ", ["3"]),
        ("client-info main 3", ["3"]),
        ("client-info main 4", []),
        ("server-threadpool-set main --m", ["--min-workers", "--max-workers"]),
        ("server-threadpool-set main --min-workers 5 --m", ["--max-workers"]),
        ("server-threadpool-set main --min-workers ", []),
        ("help --command pw", ["pwd"]),
        ("help he", ["help"]),
        ("echo a --s", ["--shell", "--split", "--string"]),
        ("srv-list ", []),
        ("self-", []),
    ],
)
async def test_the_last_word_can_be_completed(line: str, choices: list[str]) -> None:
    assert await completions(line) == choices


async def test_a_refusal_completes_nothing() -> None:
    script = {protocol.CONNECT_LIST_SERVERS: raising(RpcError(ErrorCode.INTERNAL_ERROR, "no"))}
    assert await completions("client-list a", script) == []


async def test_without_a_daemon_only_names_are_completed(tmp_path: Path) -> None:
    session = AdminSession(TABLE, Terminal("virtadm"), f"virtd:///session?socket={tmp_path}/none")
    assert await complete_line(session, "client-list a", "a") == []
    assert await complete_line(session, "client-list --", "--") == ["--server"]


def test_the_complete_command_is_for_other_shells() -> None:
    command = TABLE.find("complete")
    assert command is not None
    assert command.hidden


def test_help_shows_every_kind_of_option() -> None:
    async def nothing(session: AdminSession, command: object) -> None:
        """A handler that does nothing."""

    options = (
        Option("data", OptionKind.DATA, "some data", required=True),
        Option("number", OptionKind.NUMBER, "a number"),
        Option("flag", OptionKind.FLAG, "a flag"),
        Option("old", OptionKind.ALIAS, stands_for="text"),
        Option("text", OptionKind.STRING, "a text"),
        Option("rest", OptionKind.REST, "all the rest"),
    )
    assert command_help(Command("x", nothing, "does x", "It does.", options)) == (
        "  NAME\n    x - does x\n\n"
        "  SYNOPSIS\n"
        "    x <data> [--number <number>] [--flag] [--text <string>] [[--rest] <string>]...\n\n"
        "  DESCRIPTION\n    It does.\n\n"
        "  OPTIONS\n"
        "    [--data] <string>  some data\n"
        "    --number <number>  a number\n"
        "    --flag           a flag\n"
        "    --text <string>  a text\n"
        "    [--rest] <string>  all the rest\n\n"
    )
    rest = Option("rest", OptionKind.REST, "all", required=True)
    assert "    x <rest>...\n" in command_help(Command("x", nothing, "does x", "", (rest,)))
    wanted = Option("a", OptionKind.NUMBER, "a number", required=True)
    text = command_help(Command("x", nothing, "does x", "", (wanted, rest)))
    assert "    x <a> {[--rest] <string>}...\n" in text
    assert "    [--a] <number>   a number\n" in text


def test_usage_lists_all_that_is_not_hidden() -> None:
    text = usage(TABLE, "virtadm")
    assert "\nvirtadm [options]... <command> [args...]\n" in text
    assert "    daemon-shutdown                end the daemon\n" in text
    assert "self-test" not in text
    assert "srv-list" not in text


async def test_the_declarations_of_all_commands_are_sound() -> None:
    assert await run("self-test") == Said(True, "\n", "")
    listed = (await run("self-test --completers-missing")).out
    assert "daemon-log-outputs: outputs\n" in listed


@pytest.mark.parametrize(
    ("options", "flaw"),
    [
        ((Option("a", OptionKind.ALIAS, stands_for="b"),), "has alias 'a' for no later option"),
        (
            (Option("a", OptionKind.REST), Option("b", OptionKind.FLAG)),
            "has 'a', which takes all that is left",
        ),
        ((Option("a", OptionKind.DATA),), "has data 'a' that is not required"),
        (
            (Option("a", OptionKind.FLAG), Option("b", OptionKind.DATA, required=True)),
            "requires 'b' after an optional parameter",
        ),
    ],
)
async def test_an_unsound_declaration_is_found(options: tuple[Option, ...], flaw: str) -> None:
    async def nothing(session: AdminSession, command: object) -> None:
        """A handler that does nothing."""

    itself = TABLE.groups()[0]
    odd = Group("Odd", "odd", (Command("x", nothing, "does x", options=options),))
    table = CommandTable([itself, odd])
    err = io.StringIO()
    session = AdminSession(table, Terminal("virtadm", out=io.StringIO(), err=err))
    assert not await session.run(parse(LineWords("self-test"), table))
    assert err.getvalue().startswith(f"error: command 'x' {flaw}")


async def test_without_a_server_the_clients_of_all_are_listed_with_their_identities() -> None:
    admin, main = protocol.ServerRef("admin"), protocol.ServerRef("main")
    clients = {
        "admin": [protocol.ClientRef(admin, 1, 86_400, 0), protocol.ClientRef(admin, 2, 0, 0)],
        "main": [protocol.ClientRef(main, 3, 86_400, 2)],
    }
    infos = {
        1: [int_("unix_user_id", 7), string("unix_user_name", "seven"), int_("unix_process_id", 1)],
        3: [string("sock_addr", "[::1]:5"), string("sasl_user_name", "fred")],
    }

    def info(args: protocol.ClientArgs) -> protocol.ClientInfo:
        if args.client.id not in infos:  # gone since the list was made
            raise RpcError(ErrorCode.NO_CLIENT, "Client not found")
        return protocol.ClientInfo(infos[args.client.id])

    script: Script = {
        protocol.SERVER_LIST_CLIENTS: lambda args: protocol.ClientList(
            clients[args.server.name], 0
        ),
        protocol.CLIENT_GET_INFO: info,
    }
    said = await run("client-list", script)
    comm = (await asyncio.to_thread(Path("/proc/1/comm").read_text)).strip()
    assert [line.split()[:6] for line in said.out.splitlines()[2:4]] == [
        ["admin", "1", "unix", "seven", comm, "1"],
        ["main", "3", "tls", "fred", "-", "[::1]:5"],
    ]
    (listed,) = map(loads, (await run("client-list", script, json=True)).out.splitlines())
    assert [(each["server"], each["id"], each["user"], each["address"]) for each in listed] == [
        ("admin", 1, "seven", None),
        ("main", 3, "fred", "[::1]:5"),
    ]


async def test_an_error_about_one_client_is_the_error_of_the_list() -> None:
    script: Script = {
        protocol.CLIENT_GET_INFO: raising(RpcError(ErrorCode.INTERNAL_ERROR, "it broke"))
    }
    said = await run("client-list", script)
    assert not said.succeeded
    assert said.err == "error: failed to list the clients of all servers\nerror: it broke\n"
