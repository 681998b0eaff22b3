"""Models of processors: which ones exist, what several have in common, and what a host can run.

libvirt compares processors by a map of all features of all models. Here a model is its name and its
place among those of its maker: a later one can do what an earlier one can.

Source: libvirt's src/cpu_map/index.xml for the names, src/cpu/cpu.c for what is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import reading, refusals, writing
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


def _words(text: str) -> tuple[str, ...]:
    """The words of a text, so that long lists can be read."""
    return tuple(text.split())


_GENERIC: Final = _words(
    "486 pentium pentium2 pentium3 pentiumpro coreduo n270 core2duo qemu32 kvm32 cpu64-rhel5"
    " cpu64-rhel6 qemu64 kvm64"
)
_INTEL: Final = _words(
    "Conroe Penryn Nehalem Nehalem-IBRS Westmere Westmere-IBRS SandyBridge SandyBridge-IBRS IvyBridge"
    " IvyBridge-IBRS Haswell-noTSX Haswell-noTSX-IBRS Haswell Haswell-IBRS Broadwell-noTSX"
    " Broadwell-noTSX-IBRS Broadwell Broadwell-IBRS Skylake-Client Skylake-Client-IBRS"
    " Skylake-Client-noTSX-IBRS Skylake-Server Skylake-Server-IBRS Skylake-Server-noTSX-IBRS"
    " Cascadelake-Server Cascadelake-Server-noTSX Icelake-Client Icelake-Client-noTSX Icelake-Server"
    " Icelake-Server-noTSX Cooperlake Snowridge"
)
_AMD: Final = _words(
    "athlon phenom Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5 EPYC EPYC-IBPB EPYC-Rome"
    " EPYC-Milan"
)
#: The models in libvirt's order.
MODELS: Final = (*_GENERIC, *_INTEL, *_AMD, "Dhyana")
#: The architectures that are known, and those whose models are listed.
ARCHITECTURES: Final = _words(
    "alpha armv6l armv7l armv7b aarch64 cris i686 ia64 itanium lm32 m68k microblaze microblazeel mips"
    " mipsel mips64 mips64el or32 parisc parisc64 ppc ppcle ppc64 ppc64le ppcemb riscv32 riscv64 s390"
    " s390x sh4 sh4eb sparc sparc64 unicore32 x86_64 xtensa xtensaeb loongarch64"
)
_X86: Final = ("i686", "x86_64")
#: The model of qemu's host, its maker, and the features that it has beside those of the model.
HOST_MODEL: Final = "Skylake-Client-IBRS"
HOST_VENDOR: Final = "Intel"
HOST_FEATURES: Final = _words(
    "ds acpi ss ht tm pbe dtes64 monitor ds_cpl vmx est tm2 xtpr pdcm osxsave tsc_adjust clflushopt"
    " intel-pt md-clear stibp arch-capabilities ssbd xsaves pdpe1gb invtsc"
)


def vendor(model: str) -> str:
    """Return the maker of a model, "unknown" for one of no maker."""
    if model in _INTEL or model in ("coreduo", "n270", "core2duo"):
        return "Intel"
    if model == "Dhyana":
        return "Hygon"
    return "AMD" if model in _AMD else "unknown"


def is_usable(model: str) -> bool:
    """Whether qemu's host can run guests with a model: with those of its maker up to its own."""
    if model in _INTEL:
        return _INTEL.index(model) <= _INTEL.index(HOST_MODEL)
    return model in _GENERIC


def names(architecture: str) -> list[str]:
    """Return the models of an architecture; only those of x86 are known.

    Raises RpcError INVALID_ARG for an unknown architecture.
    """
    if architecture not in ARCHITECTURES:
        detail = f"cannot find architecture {architecture}"
        raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.NONE)
    return list(MODELS) if architecture in _X86 else []


def _refused(detail: str, code: ErrorCode = ErrorCode.INTERNAL_ERROR) -> RpcError:
    return RpcError.of(code, detail, domain=ErrorDomain.CPU)


class Processor:
    """A processor, as a document describes it. model: None if it names none; features: their names."""

    def __init__(self, text: str) -> None:
        root = reading.parse(text, "cpu", name="CPU_definition", domain=ErrorDomain.CPU)
        self.arch = root.findtext("arch")
        self.model = root.findtext("model")
        self.vendor = root.findtext("vendor")
        self.features = [
            one.get("name") or ""
            for one in root.findall("feature")
            if one.get("policy") in (None, "force", "require")
        ]
        if self.arch is not None and self.arch not in ARCHITECTURES:
            raise _refused(f"unknown architecture '{refusals.shown(self.arch)}'")
        if self.model is not None and self.arch in (None, *_X86) and self.model not in MODELS:
            raise _refused(f"Unknown CPU model {refusals.shown(self.model)}")


def baseline(texts: Sequence[str]) -> str:
    """Return a processor that all of these can replace.

    Args:
        texts: documents of processors.

    Raises:
        RpcError: INVALID_ARG without any, OPERATION_FAILED for makers or architectures that differ,
            INTERNAL_ERROR for an unknown model.
    """
    if not texts:
        detail = "xmlCPUs in virConnectBaselineCPU must not be NULL"
        raise RpcError(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.DOMAIN)
    cpus = [Processor(text) for text in texts]
    for cpu in cpus:
        if cpu.model is None:
            raise _refused("no CPU model specified", ErrorCode.INVALID_ARG)
        if cpu.arch not in (None, *_X86):
            detail = f"cannot compute baseline CPU of {cpu.arch} architecture"
            raise _refused(detail, ErrorCode.NO_SUPPORT)
    if len({cpu.arch for cpu in cpus if cpu.arch is not None}) > 1:
        raise _refused(
            "CPUs have incompatible architectures: "
            + ", ".join(f"'{cpu.arch}'" for cpu in cpus[:2]),
            ErrorCode.INVALID_ARG,
        )
    vendors = {cpu.vendor for cpu in cpus if cpu.vendor is not None}
    if len(vendors) > 1:
        raise _refused("CPU vendors do not match", ErrorCode.OPERATION_FAILED)
    root = etree.Element("cpu", mode="custom", match="exact")
    model = min((cpu.model or "" for cpu in cpus), key=MODELS.index)
    etree.SubElement(root, "model", fallback="forbid").text = model
    if vendors:
        etree.SubElement(root, "vendor").text = vendors.pop()
    for name in cpus[0].features:
        if all(name in cpu.features for cpu in cpus):
            etree.SubElement(root, "feature", policy="require", name=name)
    return writing.write(root)


def compare(text: str) -> int:
    """Compare a processor with that of qemu's host.

    Args:
        text: the document.

    Returns:
        0 if the host is not able to replace it, 1 if they are the same, 2 if the host can do more.

    Raises:
        RpcError: INTERNAL_ERROR for an unknown model.
    """
    cpu = Processor(text)
    if cpu.arch not in (None, *_X86) or cpu.vendor not in (None, HOST_VENDOR):
        return 0
    if cpu.model is None:
        return 2
    if not is_usable(cpu.model):
        return 0
    return 1 if cpu.model == HOST_MODEL and set(cpu.features) == set(HOST_FEATURES) else 2
