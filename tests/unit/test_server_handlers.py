"""How methods become handlers, and what is refused before one runs."""

from __future__ import annotations

from enum import IntFlag

import pytest

from aiovirt.daemons.virtd.domains import unsupported_domain
from aiovirt.rpc.server import Client, Handlers, check_flags, serves
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from aiovirt.rpc.wire.message import Type
from aiovirt.rpc.wire.program import Program
from tests.unit.house import ECHO, UNBOUND, House, Number, Text, call, failure, result


class Colour(IntFlag):
    RED = 1
    BLUE = 4


@xdr.struct
class Painted:
    """A call with flags."""

    value: xdr.UInt
    flags: xdr.UInt


PAINT = Program("paint", 0x7E577E58, 1, domain=ErrorDomain.LOGGING, prefix="virPaint")
PLAIN = PAINT.procedure(1, "PLAIN", Painted, Number, flags=0)
COLOURED = PAINT.procedure(2, "COLOURED", Painted, Number, flags=Colour)
LATER = PAINT.procedure(3, "LATER", Painted, Number, flags=0)
LAST = PAINT.procedure(4, "LAST", Painted, Number, flags=0)
ANY = PAINT.procedure(5, "ANY", Painted, Number)
MISSING = PAINT.procedure(6, "GET_XML_DESC", xdr.Void, xdr.Void)
DRIED = PAINT.event(7, "DRIED", Number)
OTHER = Program("other", 0x7E577E59, 1)
ELSEWHERE = OTHER.procedure(1, "ELSEWHERE", Number, Number)


class PaintDispatch:
    def __init__(self) -> None:
        self.ran: list[str] = []

    @serves(PLAIN)
    def plain(self, client: Client, args: Painted) -> Number:
        self.ran.append("plain")
        return Number(args.value)

    @serves(COLOURED)
    @serves(ANY)
    def coloured(self, client: Client, args: Painted) -> Number:
        self.ran.append("coloured")
        return Number(args.value)

    @serves(LATER)
    async def later(self, client: Client, args: Painted) -> Number:
        self.ran.append("later")
        return Number(args.value)

    @serves(LAST, checks_flags=True)
    def last(self, client: Client, args: Painted) -> Number:
        self.ran.append("last")
        check_flags(LAST, args.flags)
        return Number(args.value)


def numbers(handlers: Handlers) -> set[int]:
    return {binding.procedure.number for binding in handlers.bindings()}


class TestCollecting:
    def test_every_method_that_says_what_it_serves_is_found(self) -> None:
        assert numbers(Handlers.of(PaintDispatch())) == {1, 2, 3, 4, 5}

    def test_an_inherited_method_serves_and_so_does_one_that_overrides_it(self) -> None:
        class Brighter(PaintDispatch):
            def plain(self, client: Client, args: Painted) -> Number:
                return Number(7)

        bindings = {one.procedure: one for one in Handlers.of(Brighter()).bindings()}
        assert len(bindings) == 5
        assert bindings[PLAIN].handler(None, Painted(1, 0)) == Number(7)

    def test_several_objects_can_serve_one_program(self) -> None:
        class Half:
            @serves(MISSING)
            def missing(self, client: Client, args: None) -> None:
                """Nothing."""

        assert numbers(Handlers.of(PaintDispatch(), Half())) == {1, 2, 3, 4, 5, 6}

    def test_a_procedure_that_is_served_twice_is_refused_with_both_names(self) -> None:
        class Twice(PaintDispatch):
            @serves(PLAIN)
            def again(self, client: Client, args: Painted) -> Number:
                return Number(0)

        with pytest.raises(ValueError, match=r"PLAIN.*again.*plain"):
            Handlers.of(Twice())

    def test_a_procedure_of_another_program_is_refused_with_both_names(self) -> None:
        class Foreign(PaintDispatch):
            @serves(ELSEWHERE)
            def elsewhere(self, client: Client, args: Number) -> Number:
                return args

        with pytest.raises(ValueError, match=r"ELSEWHERE.*paint|PLAIN.*other"):
            Handlers.of(Foreign())

    def test_an_event_cannot_be_served(self) -> None:
        with pytest.raises(ValueError, match="DRIED"):
            Handlers(PAINT).bind(DRIED, lambda client, args: None)

    def test_an_object_that_serves_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="object"):
            Handlers.of(object())

    def test_flags_of_arguments_that_have_none_are_refused(self) -> None:
        program = Program("odd", 1, 1)
        handlers = Handlers(program)
        odd = program.procedure(1, "ODD", Number, Number, flags=0)
        handlers.bind(odd, lambda client, args: args)
        with pytest.raises(ValueError, match="ODD"):
            list(handlers.bindings())

    async def test_codecs_are_compiled_by_the_first_call(self, house: House) -> None:
        house.server.add_program(Handlers.of(PaintDispatch()))
        binding = house.server.table[PLAIN.key]
        stub = binding.answer
        wire = await house.wire()
        await wire.send(call(PLAIN, Painted(3, 0)))
        assert result(PLAIN, await wire.receive()) == Number(3)
        assert binding.answer != stub
        compiled = binding.answer
        await wire.send(call(PLAIN, Painted(3, 0)))
        assert result(PLAIN, await wire.receive()) == Number(3)
        assert binding.answer is compiled

    async def test_bindings_belong_to_one_server(self, house: House) -> None:
        handlers = Handlers.of(PaintDispatch())
        assert all(
            one is not other
            for one, other in zip(handlers.bindings(), handlers.bindings(), strict=True)
        )


class TestFlags:
    @pytest.mark.parametrize("procedure", [PLAIN, LATER, LAST])
    async def test_unsupported_flags_are_refused_with_libvirts_text(
        self, house: House, procedure: xdr.Any
    ) -> None:
        dispatch = PaintDispatch()
        house.server.add_program(Handlers.of(dispatch))
        wire = await house.wire()
        await wire.send(call(procedure, Painted(1, 0x80000001)))
        error = failure(await wire.receive())
        assert (error.code, error.domain, error.message) == (
            ErrorCode.INVALID_ARG,
            ErrorDomain.LOGGING,
            f"unsupported flags (0x80000001) in function {procedure.function}",
        )
        assert dispatch.ran == (["last"] if procedure is LAST else [])

    async def test_only_the_unsupported_ones_are_named(self, house: House) -> None:
        house.server.add_program(Handlers.of(PaintDispatch()))
        wire = await house.wire()
        await wire.send(call(COLOURED, Painted(1, 7)), call(COLOURED, Painted(9, 5), 2))
        refused, done = await wire.replies(2)
        assert "(0x2)" in failure(refused).message
        assert result(COLOURED, done) == Number(9)

    async def test_where_the_table_says_nothing_any_flags_are_taken(self, house: House) -> None:
        house.server.add_program(Handlers.of(PaintDispatch()))
        wire = await house.wire()
        await wire.send(call(ANY, Painted(1, 0xFFFFFFFF)))
        assert result(ANY, await wire.receive()) == Number(1)


class TestUnserved:
    async def test_a_procedure_without_a_handler_is_not_supported(self, house: House) -> None:
        house.server.add_program(Handlers.of(PaintDispatch()))
        wire = await house.wire()
        await wire.send(call(MISSING), call(ECHO, Text("on"), 2))
        refused, answered = await wire.replies(2)
        error = failure(refused)
        assert (error.code, error.domain, error.message) == (
            ErrorCode.NO_SUPPORT,
            ErrorDomain.LOGGING,
            "this function is not supported by the connection driver: virPaintGetXMLDesc",
        )
        assert result(ECHO, answered) == Text("on")

    async def test_nor_is_one_whose_call_has_descriptors(self, house: House) -> None:
        wire = await house.wire()
        await wire.send(call(UNBOUND, kind=Type.CALL_WITH_FDS, payload=b"\0\0\0\0"))
        assert failure(await wire.receive()).code == ErrorCode.NO_SUPPORT

    async def test_an_event_that_is_called_is_an_unknown_procedure(self, house: House) -> None:
        house.server.add_program(Handlers.of(PaintDispatch()))
        wire = await house.wire()
        await wire.send(call(DRIED, Number(1)))
        error = failure(await wire.receive())
        assert (error.code, error.domain, error.message) == (
            ErrorCode.RPC,
            ErrorDomain.RPC,
            "unknown procedure: 7",
        )

    async def test_authentication_comes_before_support(self, house: House) -> None:
        wire, client = await house.seat()
        client.authenticated = False
        house.server.registry.anonymous += 1
        await wire.send(call(UNBOUND))
        assert failure(await wire.receive()).message == "authentication required"

    @pytest.mark.parametrize(
        ("function", "domain"),
        [
            ("virDomainGetInfo", 20),
            ("virDomainInterfaceAddresses", 20),
            ("virDomainSnapshotNum", 35),
            ("virDomainListAllCheckpoints", 69),
            ("virConnectNumOfNWFilters", 33),
            ("virConnectListInterfaces", 26),
            ("virNetworkGetXMLDesc", 19),
            ("virStorageVolWipe", 18),
            ("virNodeDeviceReset", 22),
            ("virNodeGetCPUMap", 20),
            ("virSecretGetValue", 30),
        ],
    )
    def test_the_domain_is_that_of_libvirts_source_file(self, function: str, domain: int) -> None:
        procedure = Program("x", 1, 1).procedure(1, "X", xdr.Void, xdr.Void, function=function)
        assert unsupported_domain(procedure) == domain
