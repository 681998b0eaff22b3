"""Buses of PCI: what can be plugged into each, the places that are taken, and new buses for devices.

Every controller of PCI is a bus. Places are given out twice: the first time (`grows`), a device that no
bus has a place for brings a new bus, and only afterwards it is known which controllers a guest has.

Source: libvirt's src/conf/domain_addr.c (virDomainPCIAddressBusSetModel, virDomainPCIAddressGetNextAddr,
virDomainPCIAddressSetGrow, virDomainPCIAddressValidate).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.rpc.wire.errors import ErrorCode, RpcError


class Plug:
    """The kinds of devices that a bus accepts, or of one device; plain bits, since they are asked often.

    AUTO: a bus gets devices without being named, a device wants such a bus; AGGREGATE: several of its
    kind share a slot; INTEGRATED: on bus 0 only.
    """

    PCI: Final = 1
    PCIE: Final = 2
    ROOT_PORT: Final = 4
    UPSTREAM: Final = 8
    DOWNSTREAM: Final = 16
    DMI_TO_PCI: Final = 32
    EXPANDER: Final = 64
    PCIE_EXPANDER: Final = 128
    BRIDGE: Final = 256
    PCIE_TO_PCI: Final = 512
    AUTO: Final = 1024
    AGGREGATE: Final = 2048
    INTEGRATED: Final = 4096


_ENDPOINT: Final = Plug.PCI | Plug.PCIE
_TYPES: Final = 1023

#: libvirt's words for what a device needs, in the order in which it looks.
_NEEDED: Final = {
    Plug.PCI: "standard PCI device",
    Plug.PCIE: "PCI Express device",
    Plug.ROOT_PORT: "pcie-root-port",
    Plug.UPSTREAM: "pcie-switch-upstream-port",
    Plug.DOWNSTREAM: "pcie-switch-downstream-port",
    Plug.DMI_TO_PCI: "dmi-to-pci-bridge",
    Plug.PCIE_TO_PCI: "pcie-to-pci-bridge",
    Plug.EXPANDER: "pci-expander-bus",
    Plug.PCIE_EXPANDER: "pcie-expander-bus",
    Plug.BRIDGE: "pci-bridge",
}

#: What a controller of each model is as a device.
CONTROLLERS: Final = {
    "pci-root": 0,
    "pcie-root": 0,
    "pci-bridge": Plug.BRIDGE,
    "pci-expander-bus": Plug.EXPANDER,
    "pcie-expander-bus": Plug.PCIE_EXPANDER,
    "dmi-to-pci-bridge": Plug.DMI_TO_PCI,
    "pcie-to-pci-bridge": Plug.PCIE_TO_PCI,
    "pcie-root-port": Plug.ROOT_PORT | Plug.AGGREGATE,
    "pcie-switch-upstream-port": Plug.UPSTREAM,
    "pcie-switch-downstream-port": Plug.DOWNSTREAM,
}

_PORT: Final = Plug.AUTO | Plug.PCIE | Plug.UPSTREAM | Plug.PCIE_TO_PCI
_PLAIN: Final = Plug.AUTO | Plug.PCI | Plug.BRIDGE

#: What the bus of each model accepts, and its first and last slot.
_MODELS: Final = {
    "pci-root": (_PLAIN | Plug.EXPANDER, 1, 31),
    "pci-bridge": (_PLAIN, 1, 31),
    "pci-expander-bus": (_PLAIN, 0, 31),
    "pcie-root": (Plug.PCIE | Plug.ROOT_PORT | Plug.DMI_TO_PCI | Plug.PCIE_EXPANDER, 1, 31),
    "dmi-to-pci-bridge": (Plug.PCI | Plug.BRIDGE, 0, 31),
    "pcie-to-pci-bridge": (_PLAIN, 1, 31),
    "pcie-root-port": (_PORT, 0, 0),
    "pcie-switch-downstream-port": (_PORT, 0, 0),
    "pcie-switch-upstream-port": (Plug.DOWNSTREAM, 0, 31),
    "pcie-expander-bus": (Plug.ROOT_PORT | Plug.DMI_TO_PCI, 0, 31),
}


class Place(NamedTuple):
    """An address of PCI."""

    bus: int
    slot: int
    function: int = 0

    def __str__(self) -> str:
        return f"0000:{self.bus:02x}:{self.slot:02x}.{self.function}"


def refused(detail: str, *, given: bool = False) -> RpcError:
    """Make the refusal of an address. given: the address is in the document."""
    return refusals.refused(ErrorCode.XML_ERROR if given else ErrorCode.INTERNAL_ERROR, detail)


class _Bus:
    """One bus. accepts: what can be plugged in; used: bits of the functions that are taken, by slot."""

    __slots__ = ("accepts", "first", "last", "model", "shared", "start", "used")

    def __init__(self, model: str) -> None:
        if model not in _MODELS:
            raise refused("PCI controller model was not set correctly")
        self.model = model
        self.accepts, self.first, self.last = _MODELS[model]
        self.used = [0] * 32
        self.shared = 0
        #: No slot before this one is free.
        self.start = self.first

    def free(self, device: int, function: int | None) -> tuple[int, int] | None:
        """A free slot and function for a device."""
        for slot in range(self.first if device & Plug.AGGREGATE else self.start, self.last + 1):
            taken = self.used[slot]
            if not taken:
                self.start = max(self.start, slot) if not device & Plug.AGGREGATE else self.start
                return slot, function or 0
            if device & Plug.AGGREGATE and self.shared & 1 << slot and taken != 0xFF:
                return slot, next(one for one in range(8) if not taken & 1 << one)
        return None


class Buses:
    """The buses of a guest.

    Args:
        models: of the controllers that exist, by index.
        count: how many buses there are at least; those without a controller are of a usual model.
        grows: a device that finds no place brings a new bus.
    """

    def __init__(self, models: dict[int, str], count: int, *, grows: bool) -> None:
        self.grows = grows
        usual = "pcie-root-port" if "pcie-root" in models.values() else "pci-bridge"
        self._buses = [
            _Bus(models.get(index, usual if index else "pci-root")) for index in range(count)
        ]
        #: For each kind of device the first bus that may have a place; places are never given back.
        self._first: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._buses)

    def model(self, bus: int) -> str:
        """The model of a bus."""
        return self._buses[bus].model

    def is_free(self, place: Place) -> bool:
        """Whether no function of a slot is taken."""
        return not self._buses[place.bus].used[place.slot]

    def is_full(self) -> bool:
        """Whether no bus has a slot left."""
        return all(all(one.used[one.first : one.last + 1]) for one in self._buses)

    def reserve(self, place: Place, device: int, *, given: bool = False) -> None:
        """Take a place.

        Args:
            place: the place.
            device: what is there.
            given: the place is in the document.

        Raises:
            RpcError: the place does not exist, is taken, or is not for such a device.
        """
        if self.grows:
            self._grow(place.bus, device)
        self._check(place, device, given=given)
        bus = self._buses[place.bus]
        if bus.used[place.slot] & 1 << place.function:
            raise refused(f"Attempted double use of PCI Address {place}", given=given)
        if device & Plug.AGGREGATE and not bus.used[place.slot]:
            bus.shared |= 1 << place.slot
        bus.used[place.slot] |= 1 << place.function

    def take(self, device: int, function: int | None = None) -> Place:
        """Take the next place for a device.

        Args:
            device: what it is.
            function: the one that it has to be; None for any.

        Raises:
            RpcError: there is none.
        """
        for number in range(self._first.get(device, 0), len(self._buses)):
            if self._fits(number, device):
                found = self._buses[number].free(device, function)
                if found is not None:
                    place = Place(number, *found)
                    self._first[device] = number
                    break
        else:
            if not self.grows:
                raise refused("No more available PCI slots")
            number = self._grow(len(self._buses), device)
            place = Place(number, self._buses[number].first, function or 0)
            self._first[device] = number
        self.reserve(place, device)
        return place

    def _fits(self, number: int, device: int) -> bool:
        accepts = self._buses[number].accepts
        if device & Plug.INTEGRATED:
            if number:
                return False
            accepts |= Plug.AUTO
        return not (device & Plug.AUTO and not accepts & Plug.AUTO) and bool(
            device & accepts & _TYPES
        )

    def _check(self, place: Place, device: int, *, given: bool) -> None:
        if place.bus >= len(self._buses):
            last = len(self._buses) - 1
            detail = f"Invalid PCI address {place}. Only PCI buses up to {last} are available"
            raise refused(detail, given=given)
        bus = self._buses[place.bus]
        accepts = bus.accepts
        if given and accepts & _ENDPOINT:
            accepts |= _ENDPOINT
        if given and device & Plug.BRIDGE:
            device |= Plug.PCI
        if not device & accepts & _TYPES:
            needed = next((words for one, words in _NEEDED.items() if device & one), "device")
            raise refused(
                f"The device at PCI address {place} cannot be plugged into the PCI controller with "
                f"index='{place.bus}'. It requires a controller that accepts a {needed}.",
                given=given,
            )
        for wrong, bound in (
            (place.slot < bus.first, f">= {bus.first}"),
            (
                place.slot > bus.last,
                f"<= {bus.last}",
            ),
        ):
            if wrong:
                detail = f"Invalid PCI address {place}. slot must be {bound}"
                raise refused(detail, given=given)

    def _grow(self, bus: int, device: int) -> int:
        """Add buses up to one that a device can be on. Returns the number of that bus."""
        count = bus - len(self._buses) + 1
        if count <= 0:
            return bus
        new: list[_Bus] = []
        if device & Plug.PCI:
            model = "pci-bridge"
            if not any(one.accepts & Plug.BRIDGE for one in self._buses):
                # A bridge of PCI Express takes the place of the first bridge of plain PCI.
                port = _Bus("pcie-root-port")
                port.accepts = Plug.PCIE_TO_PCI
                new = [port, _Bus("pcie-to-pci-bridge")]
                if count == 1:
                    count, bus = 2, bus + 1
        elif device & (Plug.PCIE | Plug.UPSTREAM):
            model = "pcie-root-port"
        else:
            raise self._no_bus(device)
        new += [_Bus(model) for _ in range(count - len(new))]
        self._buses += new[:count]
        return bus

    @staticmethod
    def _no_bus(device: int) -> RpcError:
        for model, plug in CONTROLLERS.items():
            if plug and device & plug & _TYPES:
                return refused(
                    f"a PCI slot is needed to connect a PCI controller model='{model}', but none is "
                    "available, and it cannot be automatically added"
                )
        return refused(
            "Cannot automatically add a new PCI bus for a device with connect flags "
            f"{device & _TYPES:02x}"
        )
