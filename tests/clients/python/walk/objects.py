"""Secrets, node devices, interfaces and filters."""

from __future__ import annotations

import libvirt
from telling import attempt, element, names, quietly, tell

UUID = "11111111-2222-3333-4444-000000000004"
SECRET = """
<secret ephemeral='no' private='{private}'>
  <uuid>{uuid}</uuid>
  <description>Of the walk</description>
  <usage type='ceph'><name>{usage}</name></usage>
</secret>
"""
FILTER = """
<filter name='walkfilter' chain='root'>
  <uuid>11111111-2222-3333-4444-000000000005</uuid>
  <rule action='drop' direction='inout' priority='500'/>
</filter>
"""
INTERFACE = """
<interface type='ethernet' name='walk0'>
  <start mode='none'/>
  <mac address='aa:bb:cc:dd:ee:01'/>
  <mtu size='1492'/>
</interface>
"""


def walk_secrets(host: libvirt.virConnect) -> None:
    """Go through the functions of a secret."""
    text = SECRET.format(uuid=UUID, usage="walk", private="no")
    secret = attempt("define", host.secretDefineXML, text)
    attempt("no usage", host.secretLookupByUsage, 2, "nobody")
    attempt("no uuid", host.secretLookupByUUIDString, UUID.replace("1111", "9999"))
    if secret is None:
        return
    tell("by uuid", host.secretLookupByUUIDString(UUID))
    tell("by usage", host.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_CEPH, "walk"))
    tell("usage", [secret.usageType(), secret.usageID(), secret.UUIDString()])
    tell("secrets", [host.listSecrets(), host.numOfSecrets(), names(host.listAllSecrets())])
    attempt("no value", secret.value)
    attempt("set value", secret.setValue, b"hidden\x00bytes")
    attempt("value", secret.value)
    attempt("again", host.secretDefineXML, text)
    attempt("value", secret.value)
    backwards = SECRET.format(uuid=UUID[::-1], usage="walk", private="no")
    attempt("broken uuid", host.secretDefineXML, backwards)
    other = "22222222-2222-3333-4444-000000000004"
    attempt(
        "same usage", host.secretDefineXML, SECRET.format(uuid=other, usage="walk", private="no")
    )
    attempt(
        "other usage", host.secretDefineXML, SECRET.format(uuid=UUID, usage="other", private="no")
    )
    attempt("broken", host.secretDefineXML, "<secret")
    attempt("wrong root", host.secretDefineXML, "<nothing/>")
    tell("document", secret.XMLDesc().splitlines())
    attempt("undefine", secret.undefine)
    attempt("gone", secret.value)
    hidden = host.secretDefineXML(SECRET.format(uuid=UUID, usage="walk", private="yes"))
    hidden.setValue(b"private")
    attempt("private value", hidden.value)
    hidden.undefine()


def walk_devices(host: libvirt.virConnect) -> None:
    """Go through the functions of node devices."""
    attempt("no device", host.nodeDeviceLookupByName, "nobody")
    attempt("no adapter", host.nodeDeviceLookupSCSIHostByWWN, "2000000012341234", "1" * 16)
    attempt("broken", host.nodeDeviceCreateXML, "<device")
    attempt("wrong root", host.nodeDeviceCreateXML, "<nothing/>")
    computer = host.nodeDeviceLookupByName("computer")
    tell(
        "computer", [computer.name(), computer.parent(), computer.numOfCaps(), computer.listCaps()]
    )
    tell("document", element(computer.XMLDesc(), "capability"))
    attempt("active", computer.isActive)
    attempt("persistent", computer.isPersistent)
    attempt("autostart", computer.autostart)
    attempt("destroy", computer.destroy)
    attempt("detach", computer.dettach)
    attempt("reset", computer.reset)
    tell("systems", host.listDevices("system"))
    tell("number", host.numOfDevices("system"))
    attempt("all systems", host.listAllDevices, libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_SYSTEM)


def walk_interfaces(host: libvirt.virConnect) -> None:
    """Go through the functions of interfaces of the host."""
    attempt("no name", host.interfaceLookupByName, "nobody")
    attempt("no address", host.interfaceLookupByMACString, "00:00:00:00:00:99")
    made = attempt("define", host.interfaceDefineXML, INTERFACE)
    if made is None:
        attempt("begin", host.changeBegin)
        return
    tell("defined", host.listDefinedInterfaces())
    tell("made", [made.name(), made.MACString(), made.isActive()])
    attempt("start", made.create)
    attempt("start again", made.create)
    tell("active", made.isActive())
    tell("document", made.XMLDesc().splitlines())
    attempt("stop", made.destroy)
    attempt("stop again", made.destroy)
    attempt("undefine", made.undefine)
    attempt("commit without begin", host.changeCommit)
    attempt("begin", host.changeBegin)
    attempt("begin again", host.changeBegin)
    quietly(host.interfaceDefineXML, INTERFACE)
    attempt("roll back", host.changeRollback)
    tell("defined", host.listDefinedInterfaces())


def walk_filters(host: libvirt.virConnect) -> None:
    """Go through the functions of network filters."""
    made = attempt("define", host.nwfilterDefineXML, FILTER)
    attempt("no name", host.nwfilterLookupByName, "nobody")
    attempt("no uuid", host.nwfilterLookupByUUIDString, UUID.replace("1111", "9999"))
    attempt("no binding", host.nwfilterBindingLookupByPortDev, "vnet99")
    attempt("bindings", host.listAllNWFilterBindings)
    if made is None:
        return
    tell("by name", host.nwfilterLookupByName("walkfilter"))
    tell("by uuid", host.nwfilterLookupByUUIDString(made.UUIDString()))
    tell("listed", "walkfilter" in host.listNWFilters())
    tell("listed all", "walkfilter" in names(host.listAllNWFilters()))
    tell("document", made.XMLDesc().splitlines())
    attempt("broken", host.nwfilterDefineXML, "<filter")
    attempt("wrong root", host.nwfilterDefineXML, "<nothing/>")
    attempt("undefine", made.undefine)
    attempt("gone", made.XMLDesc)
