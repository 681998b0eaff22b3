"""Record classes of which no instance changes."""

from __future__ import annotations

from typing import ClassVar

import pytest

from aiovirt.rpc.wire.records import frozen


@frozen
class Point:
    """A place on a plane, not below the ground."""

    ground: ClassVar[int] = 0
    x: int
    y: int = 1

    def __post_init__(self) -> None:
        if self.y < self.ground:
            raise ValueError(self.y)


@frozen
class Name:
    """The same fields under another name."""

    x: int
    y: int = 1


def test_fields_are_given_by_position_or_by_name() -> None:
    assert (Point(2).x, Point(2).y) == (2, 1)
    assert Point(y=3, x=2) == Point(2, 3)


def test_a_class_variable_is_not_a_field() -> None:
    assert repr(Point(2)) == "Point(x=2, y=1)"


@pytest.mark.parametrize("field", ["x", "unknown"])
def test_an_instance_refuses_every_change(field: str) -> None:
    point = Point(2)
    with pytest.raises(AttributeError, match=rf"Point\.{field} cannot be changed"):
        setattr(point, field, 5)
    with pytest.raises(AttributeError, match=rf"Point\.{field} cannot be changed"):
        delattr(point, field)
    assert point == Point(2)


def test_equal_instances_are_one_key() -> None:
    assert {Point(2): "a"}[Point(2, 1)] == "a"
    assert Point(2) != Point(3)


def test_instances_of_two_classes_are_not_equal() -> None:
    assert Point(2) != Name(2)
    assert len({Point(2), Name(2)}) == 2


def test_a_check_of_the_class_is_made_with_every_instance() -> None:
    Point(1, 0)
    with pytest.raises(ValueError, match="-1"):
        Point(1, -1)
