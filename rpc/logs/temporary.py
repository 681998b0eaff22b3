"""Filters that somebody needs for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .settings import Filter

#: The most temporary filters that there are at once.
TEMPORARY_MAX: Final = 100


class TemporaryFilters:
    """Filters that are in force for a while; see `LogControl.set_filters_for_now`.

    filters: in the order in which they are tried; replaced: called when others were set to last.
    """

    __slots__ = ("filters", "replaced")

    def __init__(self, filters: list[Filter], replaced: Callable[[], object]) -> None:
        self.filters = filters
        self.replaced = replaced
