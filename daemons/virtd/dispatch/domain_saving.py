"""Domains: saving guests to images, and starting them from there.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainSaveImageXMLFlags,
    DomainSaveRestoreFlags,
)
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import saving
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam, validate

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

_STATES: Final = DomainSaveRestoreFlags.RUNNING | DomainSaveRestoreFlags.PAUSED
_SAVE: Final = _STATES | DomainSaveRestoreFlags.BYPASS_CACHE
_RESTORE: Final = _SAVE | DomainSaveRestoreFlags.RESET_NVRAM


def _check(host: Host, flags: int, supported: int, function: str, document: str | None) -> None:
    host.flavour.check_flags(flags, 0 if host.name == "test" else supported, function)
    saving.check_flags(host, flags)
    if document is not None and host.name == "test":
        raise RpcError.of(
            ErrorCode.ARGUMENT_UNSUPPORTED,
            "xml modification unsupported",
            domain=host.flavour.domain,
        )


def _place(host: Host, params: list[TypedParam]) -> tuple[str, str | None]:
    """The path of an image, and a document for it, out of typed parameters."""
    kinds = {"file": ParamType.STRING, "dxml": ParamType.STRING}
    values = validate(params, kinds)
    if "file" not in values:
        raise RpcError.of(
            ErrorCode.INVALID_ARG, "missing file parameter", domain=host.flavour.domain
        )
    return values["file"], values.get("dxml")


class DomainSaving:
    """Serves saved guests."""

    @answers(protocol.DOMAIN_SAVE)
    def save(self, session: Session, args: protocol.DomainSaveArgs) -> None:
        saving.save(find_domain(session, args.dom), args.to)

    @answers(protocol.DOMAIN_SAVE_FLAGS)
    def save_flags(self, session: Session, args: protocol.DomainSaveFlagsArgs) -> None:
        _check(session.host, args.flags, _SAVE, "DomainSaveFlags", args.dxml)
        saving.save(find_domain(session, args.dom), args.to, args.flags, args.dxml)

    @answers(protocol.DOMAIN_RESTORE)
    def restore(self, session: Session, args: protocol.DomainRestoreArgs) -> None:
        saving.restore(session.host, args.from_)

    @answers(protocol.DOMAIN_RESTORE_FLAGS)
    def restore_flags(self, session: Session, args: protocol.DomainRestoreFlagsArgs) -> None:
        _check(session.host, args.flags, _RESTORE, "DomainRestoreFlags", args.dxml)
        saving.restore(session.host, args.from_, args.flags, args.dxml)

    @answers(protocol.DOMAIN_SAVE_PARAMS)
    def save_params(self, session: Session, args: protocol.DomainSaveParamsArgs) -> None:
        path, text = _place(session.host, args.params)
        _check(session.host, args.flags, _SAVE, "DomainSaveParams", text)
        saving.save(find_domain(session, args.dom), path, args.flags, text)

    @answers(protocol.DOMAIN_RESTORE_PARAMS)
    def restore_params(self, session: Session, args: protocol.DomainRestoreParamsArgs) -> None:
        path, text = _place(session.host, args.params)
        _check(session.host, args.flags, _RESTORE, "DomainRestoreParams", text)
        saving.restore(session.host, path, args.flags, text)

    @answers(protocol.DOMAIN_SAVE_IMAGE_GET_XML_DESC)
    def image_xml(
        self, session: Session, args: protocol.DomainSaveImageGetXmlDescArgs
    ) -> protocol.XmlRet:
        flavour = session.host.flavour
        flavour.check_flags(args.flags, DomainSaveImageXMLFlags.SECURE, "DomainSaveImageGetXMLDesc")
        text = saving.find(session.host, args.file).record.text
        # The test driver writes passwords, whatever the flags.
        secure = bool(args.flags & DomainSaveImageXMLFlags.SECURE) or flavour.name == "test"
        return protocol.XmlRet(cached("domain", text).text(secure=secure))

    @answers(protocol.DOMAIN_SAVE_IMAGE_DEFINE_XML)
    def define_image(self, session: Session, args: protocol.DomainSaveImageDefineXmlArgs) -> None:
        host = session.host
        host.flavour.check_flags(args.flags, _STATES, "DomainSaveImageDefineXML")
        saving.check_flags(host, args.flags)
        saving.redefine(host, args.file, args.dxml, args.flags)

    @answers(protocol.DOMAIN_MANAGED_SAVE)
    def managed_save(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, _SAVE, "DomainManagedSave")
        saving.check_flags(session.host, args.flags)
        saving.managed_save(find_domain(session, args.dom), args.flags)

    @answers(protocol.DOMAIN_HAS_MANAGED_SAVE_IMAGE)
    def has_managed_image(
        self, session: Session, args: protocol.DomainFlagsArgs
    ) -> protocol.ResultRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainHasManagedSaveImage")
        return protocol.ResultRet(int(find_domain(session, args.dom).record.saved is not None))

    @answers(protocol.DOMAIN_MANAGED_SAVE_REMOVE)
    def remove_managed_image(self, session: Session, args: protocol.DomainFlagsArgs) -> None:
        session.host.flavour.check_flags(args.flags, 0, "DomainManagedSaveRemove")
        saving.remove_managed(find_domain(session, args.dom))

    @answers(protocol.DOMAIN_MANAGED_SAVE_GET_XML_DESC)
    def managed_xml(self, session: Session, args: protocol.DomainFlagsArgs) -> protocol.XmlRet:
        secure = DomainSaveImageXMLFlags.SECURE
        session.host.flavour.check_flags(args.flags, secure, "DomainManagedSaveGetXMLDesc")
        text = self._managed(session, args.dom)
        return protocol.XmlRet(cached("domain", text).text(secure=bool(args.flags & secure)))

    @answers(protocol.DOMAIN_MANAGED_SAVE_DEFINE_XML)
    def define_managed(
        self, session: Session, args: protocol.DomainManagedSaveDefineXmlArgs
    ) -> None:
        self._managed(session, args.dom)
        if args.dxml is not None:
            text = session.host.documents.define("domain", args.dxml).text
            find_domain(session, args.dom).change(saved=text)

    def _managed(self, session: Session, wanted: protocol.NonnullDomain) -> str:
        saved = find_domain(session, wanted).record.saved
        if saved is None:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID,
                "domain does not have managed save image",
                domain=session.host.flavour.domain,
            )
        return saved
