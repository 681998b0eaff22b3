"""What a service asks of its clients."""

from __future__ import annotations

import pytest

from aiovirt.rpc.server import Access
from tests.unit.house import ECHO, OPEN_TO_ALL, House, Number, Text, call, failure, result


def test_a_way_to_authenticate_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="none or sasl, not polkit"):
        Access(auth="polkit")  # type: ignore[arg-type]  # the very thing


@pytest.mark.parametrize(
    ("access", "is_open"),
    [
        (Access(), True),
        (Access(readonly=True), True),
        (Access(auth="sasl"), False),
        (Access(tls=True), False),
    ],
)
def test_only_a_client_with_nothing_to_prove_is_let_in_at_once(
    access: Access, *, is_open: bool
) -> None:
    assert access.is_open is is_open


async def test_a_unix_socket_has_no_tls_and_a_server_without_certificates_none_either(
    house: House,
) -> None:
    with pytest.raises(ValueError, match="UNIX socket has no TLS"):
        house.server.listen_unix(f"{house.path}-2", access=Access(tls=True))
    with pytest.raises(ValueError, match="server main has no TLS"):
        house.server.listen_tcp("127.0.0.1", 0, access=Access(tls=True))


async def test_clients_get_the_access_of_their_service(house: House) -> None:
    house.server.listen_unix(f"{house.path}-ro", access=Access(readonly=True)).update()
    house.server.listen_unix(f"{house.path}-sasl", access=Access(auth="sasl")).update()
    house.path += "-ro"
    _, reader = await house.seat()
    assert (reader.readonly, reader.authenticated) == (True, True)
    house.path = house.path.removesuffix("-ro") + "-sasl"
    wire, anonymous = await house.seat()
    assert (anonymous.readonly, anonymous.authenticated) == (False, False)
    await wire.send(call(ECHO, Text("x"), 1), call(OPEN_TO_ALL, Number(3), 2))
    refused, answered = await wire.replies(2)
    assert failure(refused).message == "authentication required"
    assert result(OPEN_TO_ALL, answered) == Number(3)
