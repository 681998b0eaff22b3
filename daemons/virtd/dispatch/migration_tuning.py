"""The parameters of a migration, and those that tune it, which are checked and change nothing.

A client gives all of them to both sides, each of which looks at its own.

Source: libvirt's src/qemu/qemu_migration_params.c (qemuMigrationParamsFromFlags,
qemuMigrationParamsSetCompression); the ranges are those of QEMU 7.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam, validate

#: The parameters that a client may give, with their types.
_PARAMETERS: Final = {
    "migrate_uri": ParamType.STRING,
    "destination_name": ParamType.STRING,
    "destination_xml": ParamType.STRING,
    "persistent_xml": ParamType.STRING,
    "bandwidth": ParamType.ULLONG,
    "bandwidth.postcopy": ParamType.ULLONG,
    "graphics_uri": ParamType.STRING,
    "listen_address": ParamType.STRING,
    "migrate_disks": ParamType.STRING,
    "disks_port": ParamType.INT,
    "disks_uri": ParamType.STRING,
    "compression": ParamType.STRING,
    "compression.mt.level": ParamType.INT,
    "compression.mt.threads": ParamType.INT,
    "compression.mt.dthreads": ParamType.INT,
    "compression.xbzrle.cache": ParamType.ULLONG,
    "auto_converge.initial": ParamType.INT,
    "auto_converge.increment": ParamType.INT,
    "parallel.connections": ParamType.INT,
    "tls.destination": ParamType.STRING,
}
_MULTIPLE: Final = ("migrate_disks", "compression")
#: The functions in which the destination looks at them, and those in which nobody does.
_AT_DESTINATION: Final = ("DomainMigratePrepare3Params",)
_WITHOUT: Final = ("DomainMigrateFinish3Params", "DomainMigrateConfirm3Params")
_PAGE: Final = 4096


class _Tuning(NamedTuple):
    """A parameter that tunes.

    option: what it tunes; name: for QEMU; least, most: its range; words: those of QEMU for it; source,
    destination: which side looks at it.
    """

    option: str
    name: str
    least: int
    most: int
    words: str
    source: bool = True
    destination: bool = False


_VALUE: Final = "a value between"
_INTEGER: Final = "an integer in the range of"
_THROTTLE: Final = "auto convergence"
_PARALLEL: Final = "parallel migration"
_THREADS: Final = "multithread compression"
_CACHE: Final = "xbzrle compression"
_TUNING: Final = {
    "auto_converge.initial": _Tuning(_THROTTLE, "cpu_throttle_initial", 1, 99, _INTEGER),
    "auto_converge.increment": _Tuning(_THROTTLE, "cpu_throttle_increment", 1, 99, _INTEGER),
    "parallel.connections": _Tuning(
        _PARALLEL, "multifd_channels", 1, 255, _VALUE, destination=True
    ),
    "compression.mt.level": _Tuning(_THREADS, "compress_level", 0, 9, _VALUE),
    "compression.mt.threads": _Tuning(_THREADS, "compress_threads", 1, 255, _VALUE),
    "compression.mt.dthreads": _Tuning(
        _THREADS, "decompress_threads", 1, 255, _VALUE, source=False, destination=True
    ),
    "compression.xbzrle.cache": _Tuning(
        _CACHE, "xbzrle_cache_size", _PAGE, 2**63, "", destination=True
    ),
}


def read(params: list[TypedParam], flags: int, function: str) -> dict[str, Any]:
    """Return the parameters of a call by name, after they were checked.

    Args:
        params: as they came.
        flags: DomainMigrateFlags.
        function: the public function without `vir`, which tells the side.

    Raises:
        RpcError: INVALID_ARG for an unknown parameter, or one that tunes something not asked for;
            INTERNAL_ERROR for a value that QEMU does not take.
    """
    found = validate(params, _PARAMETERS, _MULTIPLE)
    if function in _WITHOUT:
        return found
    at_destination = function in _AT_DESTINATION
    given = {
        name: one
        for name, one in _TUNING.items()
        if name in found and (one.destination if at_destination else one.source)
    }
    options = set(_options(found, flags))
    for one in given.values():
        if one.option not in options:
            raise _refused(ErrorCode.INVALID_ARG, f"Turn {one.option} on to tune it")
    for name, one in given.items():
        _check_range(one, found[name])
    return found


def _options(found: dict[str, Any], flags: int) -> Iterator[str]:
    """The options that may be tuned. Raises RpcError for compression that does not exist."""
    if flags & Flags.AUTO_CONVERGE:
        yield _THROTTLE
    if flags & Flags.PARALLEL:
        yield _PARALLEL
    methods = found.get("compression", [])
    known = {"xbzrle": _CACHE, "mt": _THREADS}
    for at, method in enumerate(methods):
        if method not in known:
            raise _refused(ErrorCode.INVALID_ARG, f"Unsupported compression method '{method}'")
        if method in methods[:at]:
            text = f"Compression method '{method}' is specified twice"
            raise _refused(ErrorCode.INVALID_ARG, text)
        yield known[method]


def _check_range(one: _Tuning, value: int) -> None:
    fits = one.least <= value <= one.most
    words = f"{one.words} {one.least} {'and' if one.words == _VALUE else 'to'} {one.most}"
    if not one.words:
        fits = fits and not value & (value - 1)
        words = "a power of two no less than the target page size"
    if not fits:
        text = (
            "unable to execute QEMU command 'migrate-set-parameters': "
            f"Parameter '{one.name}' expects {words}"
        )
        raise _refused(ErrorCode.INTERNAL_ERROR, text)


def _refused(code: ErrorCode, text: str) -> RpcError:
    return RpcError.of(code, text, domain=ErrorDomain.QEMU)
