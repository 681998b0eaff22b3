"""Additions of a driver to a definition: the parts that follow from others, and its defaults.

A driver is a `Flavour`: a table of defaults. The steps are the same for all drivers and read it.
"""

from __future__ import annotations

from aiovirt.daemons.virtd.xml.completion.flavours import FLAVOURS, Flavour

__all__ = ["FLAVOURS", "Flavour"]
