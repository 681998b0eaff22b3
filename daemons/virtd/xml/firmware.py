"""Firmware of guests: which files a guest gets that asks for a kind of firmware when it starts.

The files are those of Debian's package ovmf, as its descriptors name them; the first that fits is taken.

Source: libvirt's src/qemu/qemu_firmware.c (qemuFirmwareFillDomain, qemuFirmwareMatchDomain,
qemuFirmwareEnableFeatures).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aiovirt.daemons.virtd.xml.completion.machine import VARIABLES, is_pcie
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add, assign
from aiovirt.daemons.virtd.xml.settings import reach
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.xml.documents import Document

#: Where the files are.
_FOLDER: Final = "/usr/share/OVMF"


class Firmware(NamedTuple):
    """A pair of files: the code, and the variables that a guest's own file begins as."""

    code: str
    template: str
    secure: bool = False
    enrolled: bool = False


#: In the order in which libvirt tries them.
_KNOWN: Final = tuple(
    Firmware(f"{_FOLDER}/{code}", f"{_FOLDER}/{template}", secure, enrolled)
    for code, template, secure, enrolled in (
        ("OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd", True, True),
        ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", True, False),
        ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", False, False),
    )
)


def require(root: etree._Element) -> None:
    """Refuse a guest for whose wishes no firmware exists.

    Args:
        root: its definition.

    Raises:
        RpcError: OPERATION_FAILED.
    """
    wanted = _wanted(root)
    if wanted is not None and _chosen(root) is None:
        detail = f"Unable to find any firmware to satisfy '{wanted}'"
        raise RpcError.of(ErrorCode.OPERATION_FAILED, detail, domain=ErrorDomain.QEMU)


def choose(document: Document) -> None:
    """Name the files of the firmware in the document of a guest that starts.

    Args:
        document: the running guest.
    """
    root, rules = document.root, domain_rules()["domain"]
    os = root.find("os")
    if os is None:
        return
    chosen = _chosen(root) if _wanted(root) is not None else _named(root)
    if chosen is None:
        return
    if _wanted(root) is not None:
        os.attrib.pop("firmware")
        loader = reach(document, "os/loader")
        assign(loader, rules.below("os", "loader"), "readonly", "yes")
        if chosen.secure:
            assign(loader, rules.below("os", "loader"), "secure", "yes")
            reach(document, "features/smm").set("state", "on")
        assign(loader, rules.below("os", "loader"), "type", "pflash")
        loader.text = chosen.code
    nvram = os.find("nvram")
    if nvram is None:
        nvram = add(os, rules.below("os"), "nvram")
    if not nvram.text and not len(nvram):
        nvram.text = f"{VARIABLES}/{root.findtext('name')}_VARS.fd"
    if nvram.get("template") is None:
        assign(nvram, rules.below("os", "nvram"), "template", chosen.template)
    document.changed()


def has_variables(root: etree._Element) -> bool:
    """Whether a running guest has a file for the variables of its firmware."""
    return bool((root.findtext("os/nvram") or "").strip())


def _wanted(root: etree._Element) -> str | None:
    """The kind of firmware that libvirt chooses; only guests of x86_64 have some to choose from."""
    os = root.find("os")
    kind = None if os is None else os.find("type")
    if os is None or kind is None or kind.get("arch") != "x86_64":
        return None
    return os.get("firmware")


def _named(root: etree._Element) -> Firmware | None:
    """The firmware whose code a guest names itself."""
    loader = root.find("os/loader[@type='pflash'][@readonly='yes']")
    if loader is None or root.find("os/nvram") is None:
        return None
    return next((one for one in _KNOWN if one.code == loader.text), None)


def _chosen(root: etree._Element) -> Firmware | None:
    if _wanted(root) != "efi":
        return None
    features = {
        one.get("name"): one.get("enabled") == "yes" for one in root.iterfind("os/firmware/feature")
    }
    secure = features.get("secure-boot")
    loader, smm = root.find("os/loader"), root.find("features/smm")
    if loader is not None and loader.get("secure") is not None:
        secure = loader.get("secure") == "yes"
    can_be_secure = is_pcie(root) and (smm is None or smm.get("state") != "off")
    for one in _KNOWN:
        if one.secure and not can_be_secure:
            continue
        if secure is not None and secure is not one.secure:
            continue
        if features.get("enrolled-keys", one.enrolled) is one.enrolled:
            return one
    return None
