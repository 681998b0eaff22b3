"""Network filters of a host. The test driver has none.

Source: libvirt's src/nwfilter/nwfilter_driver.c.
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.nwfilter import NWFilterBindingCreateFlags
from aiovirt.daemons.virtd.dispatch.listing import check_flags
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import nwfilter, nwfilter_binding
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.nwfilter import Filter
    from aiovirt.daemons.virtd.host.nwfilter_binding import Binding


def _none(what: str) -> RpcError:
    detail = f"no nwfilter with matching {what}"
    return RpcError.of(ErrorCode.NO_NWFILTER, detail, domain=ErrorDomain.NWFILTER)


def _find(session: Session, uuid: bytes) -> Filter:
    found = session.host.filters.by_uuid(uuid)
    if found is None:
        raise _none(f"uuid '{uuids.UUID(bytes=uuid)}'")
    return found


def _ref(found: Filter) -> protocol.NonnullNwfilter:
    return protocol.NonnullNwfilter(found.name, found.uuid)


def _check(session: Session, flags: int, supported: int, function: str) -> None:
    check_flags(session, ErrorDomain.NWFILTER, flags, supported, function)


class NwFilters:
    """Serves filters."""

    @answers(protocol.CONNECT_LIST_ALL_NWFILTERS)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllNwfiltersRet:
        _check(session, args.flags, 0, "ConnectListAllNWFilters")
        refs = [_ref(one) for one in session.host.filters]
        return protocol.ConnectListAllNwfiltersRet(refs if args.need_results else [], len(refs))

    @answers(protocol.CONNECT_NUM_OF_NWFILTERS)
    def count(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(len(session.host.filters))

    @answers(protocol.CONNECT_LIST_NWFILTERS)
    def names(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListNwfiltersRet:
        names = [one.name for one in session.host.filters]
        return protocol.ConnectListNwfiltersRet(names[: max(0, args.maxnames)])

    @answers(protocol.NWFILTER_LOOKUP_BY_NAME)
    def by_name(self, session: Session, args: protocol.NameArgs) -> protocol.NwfilterRet:
        found = session.host.filters.by_name(args.name)
        if found is None:
            raise _none(f"name '{args.name}'")
        return protocol.NwfilterRet(_ref(found))

    @answers(protocol.NWFILTER_LOOKUP_BY_UUID)
    def by_uuid(self, session: Session, args: protocol.UuidArgs) -> protocol.NwfilterRet:
        return protocol.NwfilterRet(_ref(_find(session, args.uuid)))

    @answers(protocol.NWFILTER_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.NwfilterGetXmlDescArgs) -> protocol.XmlRet:
        _check(session, args.flags, 0, "nwfilterGetXMLDesc")
        return protocol.XmlRet(_find(session, args.nwfilter.uuid).record.text)

    @answers(protocol.NWFILTER_DEFINE_XML)
    def define(self, session: Session, args: protocol.XmlArgs) -> protocol.NwfilterRet:
        return protocol.NwfilterRet(_ref(nwfilter.define(session.host, args.xml)))

    @answers(protocol.NWFILTER_DEFINE_XML_FLAGS)
    def define_flags(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.NwfilterRet:
        _check(session, args.flags, 1, "nwfilterDefineXMLFlags")
        return protocol.NwfilterRet(_ref(nwfilter.define(session.host, args.xml)))

    @answers(protocol.NWFILTER_UNDEFINE)
    def undefine(self, session: Session, args: protocol.NwfilterUndefineArgs) -> None:
        nwfilter.undefine(_find(session, args.nwfilter.uuid))


class NwFilterBindings:
    """Serves bindings: of running guests' interfaces, and those that clients create."""

    @answers(protocol.CONNECT_LIST_ALL_NWFILTER_BINDINGS)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllNwfilterBindingsRet:
        _check(session, args.flags, 0, "ConnectListAllNWFilterBindings")
        refs = [_binding_ref(one) for one in nwfilter_binding.bindings(session.host)]
        return protocol.ConnectListAllNwfilterBindingsRet(
            refs if args.need_results else [], len(refs)
        )

    @answers(protocol.NWFILTER_BINDING_LOOKUP_BY_PORT_DEV)
    def by_port(self, session: Session, args: protocol.NameArgs) -> protocol.NwfilterBindingRet:
        found = nwfilter_binding.find(session.host, args.name)
        return protocol.NwfilterBindingRet(_binding_ref(found))

    @answers(protocol.NWFILTER_BINDING_GET_XML_DESC)
    def xml(
        self, session: Session, args: protocol.NwfilterBindingGetXmlDescArgs
    ) -> protocol.XmlRet:
        _check(session, args.flags, 0, "nwfilterBindingGetXMLDesc")
        found = nwfilter_binding.find(session.host, args.nwfilter.portdev)
        return protocol.XmlRet(found.text())

    @answers(protocol.NWFILTER_BINDING_CREATE_XML)
    def create(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.NwfilterBindingRet:
        supported = NWFilterBindingCreateFlags.VALIDATE
        _check(session, args.flags, supported, "nwfilterBindingCreateXML")
        made = nwfilter_binding.create(session.host, args.xml)
        return protocol.NwfilterBindingRet(_binding_ref(made))

    @answers(protocol.NWFILTER_BINDING_DELETE)
    def delete(self, session: Session, args: protocol.NwfilterBindingDeleteArgs) -> None:
        nwfilter_binding.delete(session.host, args.nwfilter.portdev)


def _binding_ref(found: Binding) -> protocol.NonnullNwfilterBinding:
    return protocol.NonnullNwfilterBinding(found.port, found.filter)
