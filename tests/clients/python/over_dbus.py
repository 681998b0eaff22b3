"""Goes through the interfaces of libvirt-dbus: `over_dbus.py BUS FOLDER` prints what it gets."""

from __future__ import annotations

import sys
from typing import Any

from gi.repository import Gio, GLib

HOST = "/org/libvirt/QEMU"
UUID = "11111111-2222-3333-4444-0000000000{}"
DOMAIN = f"""
<domain type='qemu'>
  <name>bus</name><uuid>{UUID.format("31")}</uuid><memory unit='MiB'>64</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices><disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk></devices>
</domain>
"""
NETWORK = f"""
<network>
  <name>busnet</name><uuid>{UUID.format("32")}</uuid><bridge name='busbr0'/>
  <ip address='10.97.0.1' netmask='255.255.255.0'/>
</network>
"""
POOL = """
<pool type='dir'>
  <name>buspool</name><uuid>{}</uuid><target><path>{}</path></target>
</pool>
"""
VOLUME = "<volume><name>one</name><capacity>65536</capacity></volume>"
SECRET = f"""
<secret ephemeral='no' private='no'>
  <uuid>{UUID.format("34")}</uuid><usage type='ceph'><name>bus</name></usage>
</secret>
"""


class Bus:
    """The connection, with what it heard."""

    def __init__(self, address: str) -> None:
        flags = (
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
            | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        )
        self.connection = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
        self.heard: list[str] = []
        self.connection.signal_subscribe(
            "org.libvirt", None, None, None, None, Gio.DBusSignalFlags.NONE, self._hear
        )

    def _hear(self, *told: Any) -> None:
        _, _, path, interface, name, values = told
        if interface != "org.freedesktop.DBus.Properties":
            self.heard.append(f"{path.rpartition('/')[2]} {name} {values.unpack()}")

    def call(self, path: str, method: str, signature: str = "", *values: Any) -> Any:
        """Call a method of `Interface.Name`, print its answer, and return it; None for an error."""
        interface = method if method.startswith("org.") else f"org.libvirt.{method}"
        owner, _, name = interface.rpartition(".")
        given = GLib.Variant(f"({signature})", values) if signature else None
        try:
            found = self.connection.call_sync(
                "org.libvirt", path, owner, name, given, None, Gio.DBusCallFlags.NONE, 20000, None
            ).unpack()
        except GLib.Error as error:
            text = error.message.replace("\n", "\\n")
            print(f"{method}: ERROR {text}")
            return None
        answer = found[0] if found else None
        if "GetStats" in method or "MemoryStats" in method:
            print(f"{method}: {len(answer) > 0}")
        else:
            print(f"{method}: {answer!r}")
        return answer

    def properties(self, path: str, interface: str) -> None:
        """Print all properties of an object."""
        method = "org.freedesktop.DBus.Properties.GetAll"
        self.call(path, method, "s", f"org.libvirt.{interface}")


def domains(bus: Bus) -> None:
    """The life of a domain."""
    bus.call(HOST, "Connect.DomainLookupByName", "s", "bus")
    one = bus.call(HOST, "Connect.DomainDefineXML", "s", DOMAIN)
    bus.call(HOST, "Connect.DomainDefineXML", "s", "<domain")
    bus.call(HOST, "Connect.ListDomains", "u", 0)
    bus.call(HOST, "Connect.DomainLookupByUUID", "s", UUID.format("31"))
    bus.properties(one, "Domain")
    bus.call(one, "Domain.Suspend")
    bus.call(one, "Domain.Create", "u", 0)
    bus.call(one, "Domain.Create", "u", 0)
    for _ in range(2):
        bus.call(one, "Domain.GetState", "u", 0)
        bus.call(one, "Domain.Suspend")
    bus.call(one, "Domain.Resume")
    bus.call(one, "Domain.GetStats", "uu", 0, 0)
    bus.call(one, "Domain.GetVcpus", "u", 0)
    bus.call(one, "Domain.GetJobInfo")
    bus.call(one, "Domain.GetControlInfo", "u", 0)
    bus.call(one, "Domain.GetFSInfo", "u", 0)
    bus.call(one, "Domain.GetHostname", "u", 0)
    bus.call(one, "Domain.HasManagedSaveImage", "u", 0)
    bus.call(one, "Domain.InterfaceAddresses", "uu", 0, 0)
    bus.call(one, "Domain.GetDiskErrors", "u", 0)
    bus.call(one, "Domain.SetMetadata", "isssu", 2, "<a/>", "x", "http://x/y", 2)
    bus.call(one, "Domain.GetMetadata", "isu", 2, "http://x/y", 2)
    bus.call(one, "Domain.ListDomainSnapshots", "u", 0)
    bus.call(one, "Domain.SnapshotCurrent", "u", 0)
    bus.call(one, "Domain.Destroy", "u", 0)
    bus.call(one, "Domain.Undefine", "u", 0)
    bus.call(one, "Domain.GetState", "u", 0)


def networks(bus: Bus) -> None:
    """The definition of a network; to make it active would make a bridge."""
    one = bus.call(HOST, "Connect.NetworkDefineXML", "s", NETWORK)
    bus.properties(one, "Network")
    bus.call(HOST, "Connect.NetworkLookupByName", "s", "nobody")
    bus.call(
        one, "Network.Update", "uuisu", 3, 4, -1, "<host ip='10.97.0.9' mac='52:54:00:0:0:9'/>", 2
    )
    bus.call(one, "Network.GetDHCPLeases", "su", "", 0)
    bus.call(one, "Network.Destroy")
    bus.call(one, "Network.Undefine")


def storage(bus: Bus, folder: str) -> None:
    """A pool with a volume."""
    one = bus.call(
        HOST, "Connect.StoragePoolDefineXML", "su", POOL.format(UUID.format("33"), folder), 0
    )
    bus.properties(one, "StoragePool")
    bus.call(one, "StoragePool.ListStorageVolumes", "u", 0)
    bus.call(one, "StoragePool.Build", "u", 0)
    bus.call(one, "StoragePool.Create", "u", 0)
    volume = bus.call(one, "StoragePool.StorageVolCreateXML", "su", VOLUME, 0)
    bus.properties(volume, "StorageVol")
    bus.call(volume, "StorageVol.Resize", "tu", 131072, 0)
    bus.call(volume, "StorageVol.GetInfo", "u", 0)
    bus.call(one, "StoragePool.StorageVolLookupByName", "s", "nobody")
    bus.call(HOST, "Connect.StorageVolLookupByPath", "s", f"{folder}/one")
    bus.call(volume, "StorageVol.Delete", "u", 0)
    bus.call(one, "StoragePool.Refresh", "u", 0)
    bus.call(one, "StoragePool.Destroy")
    bus.call(one, "StoragePool.Undefine")


def secrets(bus: Bus) -> None:
    """A secret with its value."""
    one = bus.call(HOST, "Connect.SecretDefineXML", "su", SECRET, 0)
    bus.properties(one, "Secret")
    bus.call(one, "Secret.GetValue", "u", 0)
    bus.call(one, "Secret.SetValue", "ayu", b"hidden", 0)
    bus.call(one, "Secret.GetValue", "u", 0)
    bus.call(HOST, "Connect.SecretLookupByUsage", "is", 2, "bus")
    bus.call(one, "Secret.Undefine")


def main() -> None:
    """Go through all, and print the signals at the end."""
    address, folder = sys.argv[1:]
    bus = Bus(address)
    bus.properties(HOST, "Connect")
    domains(bus)
    networks(bus)
    storage(bus, folder)
    secrets(bus)
    last = bus.call(HOST, "Connect.NetworkDefineXML", "s", NETWORK.replace("busnet", "buslast"))
    bus.call(last, "Network.Undefine")
    # The signals of a connection come in their order.
    while bus.heard.count(f"QEMU NetworkEvent ('{last}', 1)") < 2:
        GLib.MainContext.default().iteration(True)
    print("\n".join(f"heard: {one}" for one in bus.heard))


main()
