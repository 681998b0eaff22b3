"""The life of a network. It is made active on the test driver only: a real one makes a bridge."""

from __future__ import annotations

import libvirt
from telling import attempt, names, quietly, tell

NAME = "walknet"
UUID = "11111111-2222-3333-4444-000000000002"
DOCUMENT = """
<network>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <forward mode='nat'/>
  <bridge name='walkbr0'/>
  <domain name='walk.example'/>
  <ip address='10.99.0.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='10.99.0.10' end='10.99.0.20'/>
      <host mac='52:54:00:aa:bb:01' name='one' ip='10.99.0.11'/>
    </dhcp>
  </ip>
</network>
"""
FURTHER = "<host mac='52:54:00:aa:bb:02' name='two' ip='10.99.0.12'/>"


def document(name: str = NAME, uuid: str = UUID) -> str:
    """A network."""
    return DOCUMENT.format(name=name, uuid=uuid)


def walk(host: libvirt.virConnect) -> None:
    """Go through the functions of a network."""
    network = host.networkDefineXML(document())
    try:
        found(host, network)
        defined(network)
        sections(network)
        if host.getType() == "TEST":
            active(network)
    finally:
        quietly(network.destroy)
        quietly(network.undefine)
    attempt("gone", network.XMLDesc)
    attempt("start gone", network.create)
    if host.getType() == "TEST":
        transient(host)


def found(host: libvirt.virConnect, network: libvirt.virNetwork) -> None:
    """The ways to find a network, and those to define one that is there."""
    tell("by name", host.networkLookupByName(NAME))
    tell("by uuid", host.networkLookupByUUIDString(UUID))
    tell("by bytes", host.networkLookupByUUID(network.UUID()))
    attempt("no name", host.networkLookupByName, "nobody")
    attempt("no uuid", host.networkLookupByUUIDString, "99999999-2222-3333-4444-000000000002")
    attempt("again", host.networkDefineXML, document())
    other = "11111111-2222-3333-4444-000000000009"
    attempt("same name", host.networkDefineXML, document(uuid=other))
    attempt("same uuid", host.networkDefineXML, document(name="other"))
    attempt("broken", host.networkDefineXML, "<network")
    attempt("wrong root", host.networkDefineXML, "<nothing/>")
    attempt("no name in it", host.networkDefineXML, "<network/>")
    tell("inactive", NAME in host.listDefinedNetworks())
    tell("active", NAME in host.listNetworks())
    inactive = libvirt.VIR_CONNECT_LIST_NETWORKS_INACTIVE
    tell("all inactive", NAME in names(host.listAllNetworks(inactive)))


def defined(network: libvirt.virNetwork) -> None:
    """A network that is not active."""
    tell("name", network.name())
    tell("uuid", network.UUIDString())
    tell("bridge", network.bridgeName())
    tell("flags", [network.isActive(), network.isPersistent()])
    tell("autostart", network.autostart())
    attempt("set autostart", network.setAutostart, 1)
    tell("autostart", network.autostart())
    network.setAutostart(0)
    tell("document", network.XMLDesc().splitlines())
    attempt("inactive document", network.XMLDesc, libvirt.VIR_NETWORK_XML_INACTIVE)
    attempt("leases", network.DHCPLeases)
    attempt("destroy", network.destroy)
    attempt("ports", network.listAllPorts)
    attempt("no port", network.portLookupByUUIDString, UUID)


def sections(network: libvirt.virNetwork) -> None:
    """Changes of parts of a network."""
    dhcp = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
    add, delete = (
        libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
        libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE,
    )
    config = libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG
    attempt("add a host", network.update, add, dhcp, -1, FURTHER, config)
    attempt("add it again", network.update, add, dhcp, -1, FURTHER, config)
    tell("hosts", network.XMLDesc().count("<host "))
    attempt("delete it", network.update, delete, dhcp, -1, FURTHER, config)
    attempt("delete it again", network.update, delete, dhcp, -1, FURTHER, config)
    attempt("broken host", network.update, add, dhcp, -1, "<host", config)
    attempt("no such section", network.update, add, 99, -1, FURTHER, config)
    attempt("live while inactive", network.update, add, dhcp, -1, FURTHER, 1)
    attempt("no such place", network.update, add, dhcp, 7, FURTHER, config)


def active(network: libvirt.virNetwork) -> None:
    """A network that is active."""
    attempt("start", network.create)
    attempt("start again", network.create)
    tell("active", network.isActive())
    attempt("leases", network.DHCPLeases)
    attempt("undefine while active", network.undefine)
    tell("flags", [network.isActive(), network.isPersistent()])
    attempt("destroy", network.destroy)
    attempt("gone", network.isActive)


def transient(host: libvirt.virConnect) -> None:
    """A network without a definition."""
    network = host.networkCreateXML(document())
    tell("flags", [network.isActive(), network.isPersistent()])
    attempt("autostart", network.setAutostart, 1)
    attempt("undefine", network.undefine)
    attempt("create again", host.networkCreateXML, document())
    attempt("destroy", network.destroy)
