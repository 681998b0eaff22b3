"""Network interfaces of a host. qemu's host has them only to look at, as with libvirt's udev backend.

Source: libvirt's src/test/test_driver.c and src/interface/interface_backend_udev.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.interface import (
    ConnectListAllInterfacesFlags,
    InterfaceXMLFlags,
)
from aiovirt.daemons.virtd.dispatch.listing import Groups, check_flags, chosen
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.domains import unsupported_domain
from aiovirt.daemons.virtd.host import interface
from aiovirt.rpc.server.refusals import unsupported
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.interface import Interface
    from aiovirt.rpc.wire.program import Procedure

_GROUPS: Final[Groups] = (
    (
        (ConnectListAllInterfacesFlags.INACTIVE, lambda one: not one.is_active),
        (ConnectListAllInterfacesFlags.ACTIVE, lambda one: one.is_active),
    ),
)


def _find(session: Session, name: str) -> Interface:
    found = session.host.interfaces.by_name(name)
    if found is None:
        test = session.host.name == "test"
        what = f"no interface with matching name '{name}'"
        detail = what if test else f"couldn't find interface named '{name}'"
        raise RpcError.of(ErrorCode.NO_INTERFACE, detail, domain=session.host.flavour.interface)
    return found


def _ref(found: Interface) -> protocol.NonnullInterface:
    return protocol.NonnullInterface(found.name, found.mac)


def _check(session: Session, flags: int, supported: int, function: str) -> None:
    check_flags(session, session.host.flavour.interface, flags, supported, function)


def _only_test(session: Session, procedure: Procedure[Any, Any]) -> None:
    if session.host.name != "test":
        raise unsupported(procedure, unsupported_domain(procedure))


class Interfaces:
    """Serves the interfaces of a host."""

    @answers(protocol.CONNECT_LIST_ALL_INTERFACES)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllInterfacesRet:
        supported = int(sum(ConnectListAllInterfacesFlags))
        _check(session, args.flags, supported, "ConnectListAllInterfaces")
        refs = [_ref(one) for one in chosen(session.host.interfaces, args.flags, _GROUPS)]
        return protocol.ConnectListAllInterfacesRet(refs if args.need_results else [], len(refs))

    @answers(protocol.CONNECT_NUM_OF_INTERFACES)
    def count(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(sum(one.is_active for one in session.host.interfaces))

    @answers(protocol.CONNECT_NUM_OF_DEFINED_INTERFACES)
    def count_inactive(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(sum(not one.is_active for one in session.host.interfaces))

    @answers(protocol.CONNECT_LIST_INTERFACES)
    def names(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListInterfacesRet:
        names = [one.name for one in session.host.interfaces if one.is_active]
        return protocol.ConnectListInterfacesRet(names[: max(0, args.maxnames)])

    @answers(protocol.CONNECT_LIST_DEFINED_INTERFACES)
    def names_inactive(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListInterfacesRet:
        names = [one.name for one in session.host.interfaces if not one.is_active]
        return protocol.ConnectListInterfacesRet(names[: max(0, args.maxnames)])

    @answers(protocol.INTERFACE_LOOKUP_BY_NAME)
    def by_name(self, session: Session, args: protocol.NameArgs) -> protocol.InterfaceRet:
        return protocol.InterfaceRet(_ref(_find(session, args.name)))

    @answers(protocol.INTERFACE_LOOKUP_BY_MAC_STRING)
    def by_mac(
        self, session: Session, args: protocol.InterfaceLookupByMacStringArgs
    ) -> protocol.InterfaceRet:
        return protocol.InterfaceRet(_ref(interface.by_mac(session.host, args.mac)))

    @answers(protocol.INTERFACE_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.InterfaceFlagsArgs) -> protocol.XmlRet:
        supported = 0 if session.host.name == "test" else InterfaceXMLFlags.INACTIVE
        _check(session, args.flags, supported, "InterfaceGetXMLDesc")
        return protocol.XmlRet(_find(session, args.iface.name).record.text)

    @answers(protocol.INTERFACE_IS_ACTIVE)
    def is_active(self, session: Session, args: protocol.InterfaceArgs) -> protocol.ActiveRet:
        return protocol.ActiveRet(int(_find(session, args.iface.name).is_active))

    @answers(protocol.INTERFACE_DEFINE_XML)
    def define(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.InterfaceRet:
        _only_test(session, protocol.INTERFACE_DEFINE_XML)
        _check(session, args.flags, 1, "InterfaceDefineXML")
        return protocol.InterfaceRet(_ref(interface.define(session.host, args.xml)))

    @answers(protocol.INTERFACE_UNDEFINE)
    def undefine(self, session: Session, args: protocol.InterfaceArgs) -> None:
        _only_test(session, protocol.INTERFACE_UNDEFINE)
        session.host.interfaces.remove(_find(session, args.iface.name))

    @answers(protocol.INTERFACE_CREATE)
    def create(self, session: Session, args: protocol.InterfaceFlagsArgs) -> None:
        _only_test(session, protocol.INTERFACE_CREATE)
        _check(session, args.flags, 0, "InterfaceCreate")
        interface.set_active(_find(session, args.iface.name), wanted=True)

    @answers(protocol.INTERFACE_DESTROY)
    def destroy(self, session: Session, args: protocol.InterfaceFlagsArgs) -> None:
        _only_test(session, protocol.INTERFACE_DESTROY)
        _check(session, args.flags, 0, "InterfaceDestroy")
        interface.set_active(_find(session, args.iface.name), wanted=False)

    @answers(protocol.INTERFACE_CHANGE_BEGIN)
    def begin(self, session: Session, args: protocol.FlagsArgs) -> None:
        _only_test(session, protocol.INTERFACE_CHANGE_BEGIN)
        _check(session, args.flags, 0, "InterfaceChangeBegin")
        session.host.interfaces.begin()

    @answers(protocol.INTERFACE_CHANGE_COMMIT)
    def commit(self, session: Session, args: protocol.FlagsArgs) -> None:
        _only_test(session, protocol.INTERFACE_CHANGE_COMMIT)
        _check(session, args.flags, 0, "InterfaceChangeCommit")
        session.host.interfaces.commit()

    @answers(protocol.INTERFACE_CHANGE_ROLLBACK)
    def rollback(self, session: Session, args: protocol.FlagsArgs) -> None:
        _only_test(session, protocol.INTERFACE_CHANGE_ROLLBACK)
        _check(session, args.flags, 0, "InterfaceChangeRollback")
        session.host.interfaces.rollback()
