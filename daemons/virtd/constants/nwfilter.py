"""Flags of network filters.

Source: libvirt's include/libvirt: libvirt-nwfilter.h.
"""

from __future__ import annotations

from enum import IntFlag


class NWFilterDefineFlags(IntFlag):
    """Flags of NWFILTER_DEFINE_XML_FLAGS."""

    VALIDATE = 1


class NWFilterBindingCreateFlags(IntFlag):
    """Flags of NWFILTER_BINDING_CREATE_XML."""

    VALIDATE = 1
