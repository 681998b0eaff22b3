"""Arrays of items that were encoded earlier, and typed parameters that are encoded at once."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from aiovirt.rpc.wire import typedparams, xdr
from aiovirt.rpc.wire.typedparams import ParamType, ParamValue, TypedParam


@xdr.struct
class Item:
    """An item of an array."""

    name: xdr.Str
    number: xdr.Int


@xdr.struct
class Many:
    """An array of them, and something after it."""

    items: Annotated[list[Item], xdr.Array(Item, 2)]
    last: xdr.Int


@xdr.struct
class Numbers:
    """An array of numbers."""

    numbers: Annotated[list[int], xdr.Array(xdr.Int, 3)]


ITEMS = [Item("one", 1), Item("second", -2)]


def test_encoded_items_travel_as_the_items_do() -> None:
    encoded = xdr.EncodedItems(map(xdr.encode, ITEMS))
    assert xdr.encode(Many(encoded, 7)) == xdr.encode(Many(ITEMS, 7))
    assert xdr.decode(Many, xdr.encode(Many(encoded, 7))) == Many(ITEMS, 7)


def test_encoded_items_have_the_bound_of_their_array() -> None:
    with pytest.raises(xdr.XdrError):
        xdr.encode(Many(xdr.EncodedItems([xdr.encode(ITEMS[0])] * 3), 7))


@pytest.mark.parametrize("numbers", [[], [1], [-1, 0, 2**31 - 1]])
def test_an_array_of_numbers_is_their_count_and_each_of_them(numbers: list[int]) -> None:
    words = [len(numbers), *numbers]
    encoded = xdr.encode(Numbers(numbers))
    assert encoded == b"".join(word.to_bytes(4, "big", signed=True) for word in words)
    assert xdr.decode(Numbers, encoded) == Numbers(numbers)


@pytest.mark.parametrize("numbers", [[2**31], ["1"], [1, 2, 3, 4], [None]])
def test_an_array_refuses_numbers_that_do_not_fit(numbers: list[Any]) -> None:
    with pytest.raises(xdr.XdrError):
        xdr.encode(Numbers(numbers))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ParamType.INT, -(2**31)),
        (ParamType.UINT, 2**32 - 1),
        (ParamType.LLONG, -(2**63)),
        (ParamType.ULLONG, 2**64 - 1),
        (ParamType.STRING, "vda é"),
    ],
)
def test_a_parameter_that_is_encoded_at_once_is_the_same(kind: ParamType, value: int | str) -> None:
    for name in ("block.0.name", "a", "four"):
        expected = xdr.encode(TypedParam(name, ParamValue(kind, value)))
        assert typedparams.encoded(kind, name, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"), [(ParamType.INT, 2**31), (ParamType.ULLONG, -1), (ParamType.UINT, "one")]
)
def test_a_parameter_is_refused_whose_value_does_not_fit(kind: ParamType, value: Any) -> None:
    with pytest.raises(xdr.XdrError):
        typedparams.encoded(kind, "name", value)
