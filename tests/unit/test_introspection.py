"""What a daemon tells of its programs, and calls by JSON, through the API and virtadm."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiovirt.admin.client import Connection, MissingProgram, connect
from aiovirt.admin.extension.protocol.introspection import TypeKind
from aiovirt.admin.introspection import JsonError
from aiovirt.admin.protocol import Transport
from aiovirt.rpc.server import Handlers
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.program import Program
from tests.unit.house import HOOK, House, Number
from tests.unit.test_server_statistics import administered, shown

ODD = Program("odd one", 0x7E577E61, 2)
POUR = ODD.procedure(1, "POUR", Number, Number, stream=True)
LEND = ODD.procedure(2, "LEND", Number, Number, reply_fds=True)
TAKE = ODD.procedure(3, "TAKE", Number, Number, call_fds=True)
COUNT = ODD.procedure(4, "COUNT", Number, Number)


@pytest.fixture
async def uri(house: House) -> str:
    handlers = Handlers(ODD)
    handlers.bind(COUNT, lambda client, args: Number(args.value + client.id))
    house.server.add_program(handlers)
    return administered(house)


@pytest.fixture
async def admin(uri: str) -> AsyncIterator[Connection]:
    async with connect(uri) as connection:
        yield connection


class TestPrograms:
    async def test_every_server_lists_its_programs_and_sockets(
        self, house: House, admin: Connection
    ) -> None:
        keeper, main = await admin.programs.servers()
        assert [one.name for one in keeper.programs] == ["admin", "admin extension"]
        assert [(one.name, one.version, one.procedures, one.served) for one in main.programs] == [
            ("test", 3, 13, 12),
            ("odd one", 2, 4, 1),
        ]
        (service,) = main.services
        assert (service.transport, service.address) == (Transport.UNIX, house.path)
        assert (service.readonly, service.auth) == (False, "none")

    async def test_a_program_is_found_by_name_and_number(self, admin: Connection) -> None:
        for name in ("odd one", "odd-one", "ODD-ONE", "0x7e577e61", str(0x7E577E61)):
            server, program = await admin.programs.find_program(name)
            assert (server.name, program.number) == ("main", ODD.number)
        with pytest.raises(JsonError, match=r"no server has a program 'even'; there are .*odd-one"):
            await admin.programs.find_program("even")
        with pytest.raises(JsonError):
            await admin.programs.find_program("test", server="admin")

    async def test_procedures_say_what_they_are(self, admin: Connection) -> None:
        server, program = await admin.programs.find_program("odd-one")
        found = {one.name: one for one in await admin.programs.procedures(server, program)}
        assert found["POUR"].stream
        assert found["LEND"].reply_fds
        assert found["TAKE"].call_fds
        assert [one.served for one in found.values()] == [False, False, False, True]

    async def test_a_procedure_is_described_with_its_types(self, admin: Connection) -> None:
        found = (await admin.programs.find("test/echo")).description
        text = found.types[found.args]
        assert (text.name, text.kind, text.text) == ("Text", TypeKind.STRUCT, "A text.")
        assert found.types[text.fields[0].type].kind == TypeKind.STRING
        by_number = (await admin.programs.find("test/1")).description
        assert by_number == found

    async def test_a_mistyped_name_is_answered_with_the_nearest(self, admin: Connection) -> None:
        with pytest.raises(JsonError, match="has no procedure 'HOK'; did you mean HOOK"):
            await admin.programs.find("test/HOK")
        with pytest.raises(JsonError, match="PROGRAM/PROCEDURE"):
            await admin.programs.find("test")


class TestCalls:
    async def test_arguments_and_result_are_json(self, admin: Connection) -> None:
        async with admin.programs.caller() as caller:
            assert await caller.call("test/ECHO", {"text": "hello"}) == {"text": "hello"}
            assert (await caller.call("admin/CONNECT_GET_LIB_VERSION"))["version"] >= 9_000_000

    async def test_all_calls_to_a_server_use_one_connection(self, admin: Connection) -> None:
        async with admin.programs.caller() as caller:
            first = await caller.call("odd-one/COUNT", {"value": 100})
            assert await caller.call("odd-one/4", {"value": 100}) == first

    async def test_an_error_of_the_server_is_raised(self, house: House, admin: Connection) -> None:
        def hook(client: Any, number: int) -> None:
            raise RpcError(38, "not now")

        house.stage.hook = hook
        async with admin.programs.caller() as caller:
            with pytest.raises(RpcError, match="not now"):
                await caller.call(f"test/{HOOK.name}", {"value": 1})

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("odd-one/POUR", "POUR opens a stream"),
            ("odd-one/LEND", "LEND takes or gives file descriptors"),
            ("odd-one/TAKE", "TAKE takes or gives file descriptors"),
            ("test/NEWS", "NEWS is an event"),
        ],
    )
    async def test_what_cannot_be_json_is_refused(
        self, house: House, admin: Connection, name: str, words: str
    ) -> None:
        async with admin.programs.caller() as caller:
            with pytest.raises(JsonError, match=words):
                await caller.call(name, {"value": 1})
        assert house.server.counts() == {}

    async def test_a_server_without_a_unix_socket_cannot_be_reached(
        self, house: House, admin: Connection
    ) -> None:
        house.server.services[0].close()
        house.server.services.clear()
        async with admin.programs.caller() as caller:
            with pytest.raises(ConnectionError, match="server main has no UNIX socket"):
                await caller.call("test/ECHO", {"text": "x"})

    async def test_of_libvirts_daemons_the_admin_program_is_known(self, house: House) -> None:
        async with connect(administered(house, extended=False)) as admin:
            async with admin.programs.caller() as caller:
                answer = await caller.call(
                    "admin/CONNECT_LIST_SERVERS", {"need_results": 1, "flags": 0}
                )
                assert answer["servers"] == [{"name": "admin"}, {"name": "main"}]
                with pytest.raises(MissingProgram, match="0x06900691"):
                    await caller.call("test/ECHO", {"text": "x"})
            with pytest.raises(MissingProgram):
                await admin.programs.servers()


class TestCommands:
    async def test_describe_shows_servers_programs_and_procedures(self, uri: str) -> None:
        assert " main     odd-one           0x7e577e61 " in await shown(uri, "describe")
        program = await shown(uri, "describe odd-one")
        assert "COUNT       Number   Number" in program
        assert "stream, not served" in program
        procedure = await shown(uri, "describe odd-one/COUNT")
        assert "  value: unsigned int\n" in procedure
        assert "call odd-one/COUNT '{\"value\": 0}'\n" in procedure

    async def test_describe_as_json_has_a_template(self, uri: str) -> None:
        found = json.loads(await shown(uri, "describe admin/CLIENT_CLOSE", as_json=True))
        client = {"server": {"name": ""}, "id": 0, "timestamp": 0, "transport": "UNIX"}
        assert found["template"] == {"client": client, "flags": 0}
        assert found["enumerations"][0]["name"] == "Transport"

    async def test_call_prints_results_in_order(self, uri: str) -> None:
        said = await shown(uri, """call odd-one/COUNT '{"value": 1}' test/ECHO '{"text": "a b"}'""")
        first, second = said.split("}\n")[:2]
        assert json.loads(first + "}")["value"] > 1
        assert json.loads(second + "}") == {"text": "a b"}
        again = await shown(uri, "call admin/CONNECT_GET_LIB_VERSION", as_json=True)
        assert list(json.loads(again)) == ["version"]

    async def test_call_reads_arguments_from_standard_input(
        self, uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO('{"text": "piped"}'))
        assert "piped" in await shown(uri, "call test/ECHO -")

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("call test/ECHO '{\"text\": 5}'", "error: text: expected a string, not 5"),
            ("call test/ECHO '{\"text\"'", "error: the arguments are not JSON"),
            ("call '{}'", "arguments follow a procedure"),
            ("call test/ECHO", "expected an object (Text), not null"),
            ("describe nothing", "no server has a program 'nothing'"),
            ("describe test/NOTHING", "program test has no procedure 'NOTHING'"),
        ],
    )
    async def test_a_mistake_is_told_in_a_line(self, uri: str, line: str, words: str) -> None:
        said = await shown(uri, line)
        assert words in said
        assert "Traceback" not in said

    async def test_of_libvirts_daemons_describe_says_what_is_lacking(self, house: House) -> None:
        uri = administered(house, extended=False)
        said = await shown(uri, "describe")
        assert " admin    admin     0x06900690 " in said
        assert "Other programs are not known" in said
        assert "0x06900691" in said
        assert "need_results" in await shown(uri, "describe admin/SERVER_LIST_CLIENTS")
        assert "0x06900691" in await shown(uri, "describe remote")

    async def test_a_wrong_server_is_named(self, uri: str) -> None:
        said = await shown(uri, "call --server mian test/ECHO '{}'")
        assert "the daemon has no server 'mian'; did you mean main" in said
        said = await shown(uri, "call --server admin test/ECHO '{}'")
        assert "server admin has no program 'test'" in said

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ('test/ECHO \'{"txt": "x"}\'', "Text has no field 'txt'; did you mean text?"),
            (
                'admin/CLIENT_CLOSE \'{"client": {"server": {"name": "main"}, "id": 1,'
                ' "timestamp": 0, "transport": "UNX"}, "flags": 0}\'',
                "client.transport: Transport has no 'UNX'; did you mean UNIX?",
            ),
        ],
    )
    async def test_a_mistyped_name_in_arguments_is_told_the_nearest(
        self, uri: str, line: str, words: str
    ) -> None:
        assert words in await shown(uri, f"call {line}")
