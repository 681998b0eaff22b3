"""Checks of a guest of qemu's driver before it starts: the other objects that it needs, and its host.

A definition may name a volume, a secret or a port that is not there yet; libvirt looks for them when the
guest starts. No file and no device of the machine is looked at here.

Source: libvirt's src/qemu/qemu_process.c (qemuProcessStartValidate, qemuProcessPrepareDomain),
src/conf/domain_conf.c, src/secret/secret_driver.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.secret import SecretUsageType
from aiovirt.daemons.virtd.host import node, secret, starting_interfaces
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml import firmware
from aiovirt.daemons.virtd.xml.values import Unfit, members_of
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.host import Host

#: Models of security labels that a host has.
_SECURITY: Final = ("none", "dac")
#: Kinds of pool whose volumes no guest can have as disks.
_NO_DISKS: Final = ("mpath", "rbd", "sheepdog", "gluster")
#: Where a display listens on a port.
_LISTENING: Final = ("address", "network")
#: The priorities of a real-time scheduler, lowest and highest.
_PRIORITIES: Final = (1, 99)
_X86: Final = ("i686", "x86_64")

#: Checks, with words of which a document that needs the check has one.
_Checks = tuple[tuple[tuple[str, ...], "Callable[[Host, etree._Element], None]"], ...]


def validate(host: Host, config: str) -> None:
    """Refuse a guest for a mistake that libvirt finds before it begins to start the guest.

    Args:
        host: where the guest is to run.
        config: its document, complete.

    Raises:
        RpcError: as libvirt's.
    """
    _check(host, config, _EARLY)


def require(host: Host, config: str) -> None:
    """Refuse a guest that lacks something; the test driver's guests need nothing.

    Args:
        host: where the guest is to run.
        config: its document, complete.

    Raises:
        RpcError: as libvirt's, for the first thing that is missing.
    """
    _check(host, config, _CHECKS)


def _check(host: Host, config: str, checks: _Checks) -> None:
    if host.name == "test":
        return
    for words, check in checks:
        if any(word in config for word in words):
            check(host, cached("domain", config).root)


def _unsupported(detail: str, domain: ErrorDomain) -> RpcError:
    return RpcError.of(ErrorCode.CONFIG_UNSUPPORTED, detail, domain=domain)


def _labels(_host: Host, root: etree._Element) -> None:
    """The security models of the labels exist."""
    for label in root.iter("seclabel"):
        model = label.get("model")
        if model is not None and model not in _SECURITY:
            detail = f"Security driver model '{model}' is not available"
            raise _unsupported(detail, ErrorDomain.SECURITY)


def _listens(_host: Host, root: etree._Element) -> None:
    """A display listens at one place."""
    for display in root.iterfind("devices/graphics"):
        if display.get("type") in ("vnc", "spice") and len(display.findall("listen")) > 1:
            detail = "QEMU does not support multiple listens for one graphics device."
            raise _unsupported(detail, ErrorDomain.QEMU)


def _features(_host: Host, root: etree._Element) -> None:
    """The features of the processor are known."""
    given = [one.get("name") or "" for one in root.iterfind("cpu/feature")]
    if given and _arch(root) in _X86:
        from aiovirt.daemons.virtd.host.processor_features import FEATURES  # late: few have any

        for name in given:
            if name not in FEATURES:
                raise _unsupported(f"unknown CPU feature: {name}", ErrorDomain.CPU)


def _firmware(_host: Host, root: etree._Element) -> None:
    """A firmware exists for what the guest asks of one."""
    firmware.require(root)


def _arch(root: etree._Element) -> str | None:
    kind = root.find("os/type")
    return None if kind is None else kind.get("arch")


def _protocols(_host: Host, root: etree._Element) -> None:
    """QEMU has the protocols of the disks."""
    if root.find("devices/disk/source[@protocol='vxhs']") is not None:
        detail = "VxHS protocol is not supported with this QEMU binary"
        raise _unsupported(detail, ErrorDomain.QEMU)


def _nodes(_host: Host, root: etree._Element) -> None:
    """The host has the NUMA nodes that the guest's memory comes from."""
    for one in root.iterfind("numatune/*"):
        try:
            members = members_of(one.get("nodeset") or "")
        except Unfit:
            continue
        for number in sorted(members):
            if number >= node.QEMU.nodes:
                raise _unsupported(f"NUMA node {number} is unavailable", ErrorDomain.NONE)


def _displays(host: Host, root: etree._Element) -> None:
    """The networks of the displays exist, and no other display has their ports."""
    displays = [one for one in root.iterfind("devices/graphics") if one.find("listen") is not None]
    for display in displays:
        for listen in display.iterfind("listen[@type='network'][@network]"):
            starting_interfaces.find(host, listen.get("network") or "")
    used: set[int] | None = None
    for display in displays:
        first = display.find("listen")
        if first is None or first.get("type") not in _LISTENING:
            continue
        for port in _ports(display):
            if used is None:
                used = {
                    one for guest in host.domains.active() for one in guest.record.facts.displays
                }
            if port in used:
                detail = f"Failed to reserve port {port}"
                raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.NONE)
            used.add(port)


def _ports(display: etree._Element) -> Iterator[int]:
    """The ports that a display asks for by number."""
    names = {"vnc": ("port", "websocket"), "spice": ("port", "tlsPort")}
    for name in names.get(display.get("type") or "", ()):
        if name != "websocket" and display.get("autoport") == "yes":
            continue
        number = int(display.get(name) or 0)
        if number > 0:
            yield number


def _storage(host: Host, root: etree._Element) -> None:
    """The volumes of the disks exist, and the secrets of all sources have a value."""
    for disk in root.iterfind("devices/disk"):
        if disk.get("type") == "volume":
            _volume(host, disk)
        _secrets(host, disk, disk.find("source"))
    for device in root.iterfind("devices/hostdev[@type='scsi']"):
        _secrets(host, device, device.find("source"))


def _volume(host: Host, disk: etree._Element) -> None:
    """The volume of a disk exists, in an active pool that guests can use."""
    source = disk.find("source")
    if source is None or source.get("startupPolicy") == "optional":
        return
    pool, name = host.pools.by_name(source.get("pool") or ""), source.get("volume") or ""
    if pool is None:
        detail = f"no storage pool with matching name '{source.get('pool')}'"
        raise RpcError.of(ErrorCode.NO_STORAGE_POOL, detail, domain=ErrorDomain.STORAGE)
    if not pool.is_active:
        detail = f"storage pool '{pool.name}' containing volume '{name}' is not active"
        raise _unsupported(detail, ErrorDomain.DOMAIN)
    if host.volumes.in_pool(pool.record.uuid, name) is None:
        detail = f"no storage vol with matching name '{name}'"
        raise RpcError.of(ErrorCode.NO_STORAGE_VOL, detail, domain=ErrorDomain.STORAGE)
    if source.get("mode") is not None and pool.type != "iscsi":
        detail = "disk source mode is only valid when storage pool is of iscsi type"
        raise RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.DOMAIN)
    if pool.type in _NO_DISKS:
        detail = f"using '{pool.type}' pools for backing 'volume' disks isn't yet supported"
        raise _unsupported(detail, ErrorDomain.DOMAIN)


def _secrets(host: Host, device: etree._Element, source: etree._Element | None) -> None:
    """The secrets of a device exist: for its server, and for what its image is encrypted with."""
    if source is None:
        return
    of_server = SecretUsageType.CEPH if source.get("protocol") == "rbd" else SecretUsageType.ISCSI
    for path, kind in (("auth/secret", of_server), ("encryption/secret", SecretUsageType.VOLUME)):
        wanted = device.find(path)
        if wanted is None:
            wanted = source.find(path)
        if wanted is not None:
            _secret(host, wanted, kind)


def _secret(host: Host, wanted: etree._Element, kind: SecretUsageType) -> None:
    uuid, usage = wanted.get("uuid"), wanted.get("usage")
    if uuid is not None:
        found = host.secrets.by_uuid(bytes.fromhex(uuid.replace("-", "")))
        detail = f"no secret with matching uuid '{uuid}'"
    else:
        found = secret.by_usage(host, kind, usage or "")
        detail = f"no secret with matching usage '{usage}'"
    if found is None:
        raise RpcError.of(ErrorCode.NO_SECRET, detail, domain=ErrorDomain.SECRET)
    own = SecretUsageType(found.usage[0])
    if own not in (SecretUsageType.NONE, kind):
        detail = (
            f"secret with uuid {found.record.uuid} is of type '{own.name.lower()}' not expected"
            f" '{kind.name.lower()}' type"
        )
        raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.SECRET)
    if found.opened() is None:
        detail = f"secret '{found.record.uuid}' does not have a value"
        raise RpcError.of(ErrorCode.NO_SECRET, detail, domain=ErrorDomain.SECRET)


def _processor(_host: Host, root: etree._Element) -> None:
    """The host can give the guest its processor."""
    cpu, arch = root.find("cpu"), _arch(root)
    if cpu is None or arch not in _X86:
        return
    kind, model = root.get("type"), cpu.findtext("model")
    if cpu.get("mode") == "host-passthrough" and kind == "qemu":
        raise _unsupported(
            f"CPU mode 'host-passthrough' for {arch} {kind} domain on x86_64 host is not supported"
            " by hypervisor",
            ErrorDomain.QEMU,
        )
    if cpu.get("mode") in (None, "custom") and model:
        from aiovirt.daemons.virtd.host.processors import MODELS  # late: few name a model

        if model not in MODELS:
            detail = f"Unknown CPU model {model}"
            raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.CPU)


def _identity(_host: Host, root: etree._Element) -> None:
    """A guest that shows its own system information has some."""
    own = root.find("os/smbios[@mode='sysinfo']") is not None
    if own and root.find("sysinfo[@type='smbios']") is None:
        detail = f"Domain '{root.findtext('name')}' sysinfo are not available"
        raise RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.QEMU)


def _partition(_host: Host, root: etree._Element) -> None:
    """A partition of resources is a path."""
    path = root.findtext("resource/partition")
    if path is not None and not path.startswith("/"):
        detail = f"Resource partition '{path}' must start with '/'"
        raise _unsupported(detail, ErrorDomain.QEMU)


def _schedulers(_host: Host, root: etree._Element) -> None:
    """The schedulers have the priorities."""
    low, high = _PRIORITIES
    for one in root.iterfind("cputune/*[@priority]"):
        priority = int(one.get("priority") or 0)
        if one.get("scheduler") in ("fifo", "rr") and not low <= priority <= high:
            detail = f"Scheduler priority {priority} out of range [{low}, {high}]"
            raise _unsupported(detail, ErrorDomain.NONE)


#: In libvirt's order. A check is made only for a document with one of the words.
_EARLY: Final[_Checks] = (
    (("<seclabel",), _labels),
    (("<listen ",), _listens),
    (("<feature policy",), _features),
    (("'vxhs'",), _protocols),
)
#: What libvirt finds while the guest starts; its state says then that the start failed.
_CHECKS: Final[_Checks] = (
    (("<numatune",), _nodes),
    (("<listen ",), _displays),
    (("<secret ", "type='volume'"), _storage),
    (("<cpu ",), _processor),
    ((" firmware='",), _firmware),
    (("<smbios ",), _identity),
    (("<interface ",), starting_interfaces.require),
    (("<partition>",), _partition),
    ((" scheduler='",), _schedulers),
)
