"""Storage pools: which ones exist, what they are, and their life.

Source: libvirt's src/storage/storage_driver.c and src/test/test_driver.c.
"""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.storage import (
    ConnectListAllStoragePoolsFlags as Wanted,
)
from aiovirt.daemons.virtd.constants.storage import (
    StoragePoolBuildFlags,
    StoragePoolCreateFlags,
    StoragePoolDeleteFlags,
    StoragePoolState,
    StorageXMLFlags,
)
from aiovirt.daemons.virtd.dispatch.listing import STANDING, Groups, check_flags, chosen
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import pool_life
from aiovirt.daemons.virtd.host.pool import shown
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.pool import Pool

_KINDS: Final = [one for one in Wanted if one >= Wanted.DIR]


def _is(kind: str, pool: Any) -> bool:
    return bool(pool.type == kind)


def _fits(kind: str) -> Callable[[Any], bool]:
    return partial(_is, kind)


_GROUPS: Final[Groups] = (
    *STANDING,
    tuple((int(one), _fits((one.name or "").lower().replace("_", "-"))) for one in _KINDS),
)
_FILTERS: Final = int(sum(Wanted))
_CREATE: Final = int(sum(StoragePoolCreateFlags))


def no_pool(session: Session, what: str) -> RpcError:
    """Make the error for a pool that does not exist.

    Args:
        session: whose driver says so.
        what: kind and value of what was looked for: "name 'x'".
    """
    detail = f"no storage pool with matching {what}"
    return RpcError.of(ErrorCode.NO_STORAGE_POOL, detail, domain=session.host.flavour.storage)


def find_pool(session: Session, wanted: protocol.NonnullStoragePool) -> Pool:
    """Return the pool that a call names, by its UUID. Raises RpcError NO_STORAGE_POOL."""
    found = session.host.pools.by_uuid(wanted.uuid)
    if found is None:
        text = str(uuids.UUID(bytes=wanted.uuid))
        if session.host.name == "test":
            raise no_pool(session, f"name '{wanted.name}'")
        raise no_pool(session, f"uuid '{text}' ({wanted.name})")
    return found


def pool_ref(found: Pool) -> protocol.NonnullStoragePool:
    """Return a pool as answers name it."""
    return protocol.NonnullStoragePool(found.name, found.uuid)


def sanitized(path: str) -> str:
    """Return a path without repeated slashes, and without one at its end; ".." stays as it is."""
    short = re.sub("/+", "/", path)
    return short.rstrip("/") or short


def check_storage_flags(session: Session, flags: int, supported: int, function: str) -> None:
    """Refuse flags that a function does not have.

    Args:
        session: whose driver is asked.
        flags: what came.
        supported: all that may be set; the test driver's functions have none.
        function: the public function without `vir`.

    Raises:
        RpcError: INVALID_ARG.
    """
    check_flags(session, session.host.flavour.storage, flags, supported, function)


class StoragePoolLists:
    """Serves the lists of pools, and the looking up of one."""

    @answers(protocol.CONNECT_LIST_ALL_STORAGE_POOLS)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllStoragePoolsRet:
        check_storage_flags(session, args.flags, _FILTERS, "ConnectListAllStoragePools")
        refs = [pool_ref(one) for one in chosen(session.host.pools, args.flags, _GROUPS)]
        return protocol.ConnectListAllStoragePoolsRet(refs if args.need_results else [], len(refs))

    @answers(protocol.CONNECT_NUM_OF_STORAGE_POOLS)
    def count(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(sum(one.is_active for one in session.host.pools))

    @answers(protocol.CONNECT_NUM_OF_DEFINED_STORAGE_POOLS)
    def count_inactive(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(sum(not one.is_active for one in session.host.pools))

    @answers(protocol.CONNECT_LIST_STORAGE_POOLS)
    def names(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListStoragePoolsRet:
        names = [one.name for one in session.host.pools if one.is_active]
        return protocol.ConnectListStoragePoolsRet(names[: max(0, args.maxnames)])

    @answers(protocol.CONNECT_LIST_DEFINED_STORAGE_POOLS)
    def names_inactive(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListStoragePoolsRet:
        names = [one.name for one in session.host.pools if not one.is_active]
        return protocol.ConnectListStoragePoolsRet(names[: max(0, args.maxnames)])

    @answers(protocol.STORAGE_POOL_LOOKUP_BY_NAME)
    def by_name(self, session: Session, args: protocol.NameArgs) -> protocol.StoragePoolRet:
        found = session.host.pools.by_name(args.name)
        if found is None:
            raise no_pool(session, f"name '{args.name}'")
        return protocol.StoragePoolRet(pool_ref(found))

    @answers(protocol.STORAGE_POOL_LOOKUP_BY_UUID)
    def by_uuid(self, session: Session, args: protocol.UuidArgs) -> protocol.StoragePoolRet:
        found = session.host.pools.by_uuid(args.uuid)
        if found is None:
            raise no_pool(session, f"uuid '{uuids.UUID(bytes=args.uuid)}'")
        return protocol.StoragePoolRet(pool_ref(found))

    @answers(protocol.STORAGE_POOL_LOOKUP_BY_VOLUME)
    def by_volume(self, session: Session, args: protocol.StorageVolArgs) -> protocol.StoragePoolRet:
        return self.by_name(session, protocol.NameArgs(args.vol.pool))

    @answers(protocol.STORAGE_POOL_LOOKUP_BY_TARGET_PATH)
    def by_target(self, session: Session, args: protocol.PathArgs) -> protocol.StoragePoolRet:
        path = sanitized(args.path)
        for pool in session.host.pools:
            if pool.is_active and pool.target == path:
                return protocol.StoragePoolRet(pool_ref(pool))
        shown_path = f"'{path}'" if path == args.path else f"'{args.path}' ({path})"
        raise no_pool(session, f"target path {shown_path}")


class StoragePoolFacts:
    """Serves what clients ask of one pool."""

    @answers(protocol.STORAGE_POOL_GET_INFO)
    def info(
        self, session: Session, args: protocol.StoragePoolArgs
    ) -> protocol.StoragePoolGetInfoRet:
        pool = find_pool(session, args.pool)
        state = StoragePoolState.RUNNING if pool.is_active else StoragePoolState.INACTIVE
        return protocol.StoragePoolGetInfoRet(state, *pool.sizes)

    @answers(protocol.STORAGE_POOL_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.StoragePoolFlagsArgs) -> protocol.XmlRet:
        supported = 0 if session.host.name == "test" else StorageXMLFlags.INACTIVE
        check_storage_flags(session, args.flags, supported, "StoragePoolGetXMLDesc")
        inactive = bool(args.flags & StorageXMLFlags.INACTIVE)
        return protocol.XmlRet(shown(find_pool(session, args.pool), inactive=inactive))

    @answers(protocol.STORAGE_POOL_IS_ACTIVE)
    def is_active(self, session: Session, args: protocol.StoragePoolArgs) -> protocol.ActiveRet:
        return protocol.ActiveRet(int(find_pool(session, args.pool).is_active))

    @answers(protocol.STORAGE_POOL_IS_PERSISTENT)
    def is_persistent(
        self, session: Session, args: protocol.StoragePoolArgs
    ) -> protocol.PersistentRet:
        return protocol.PersistentRet(int(find_pool(session, args.pool).is_persistent))

    @answers(protocol.STORAGE_POOL_GET_AUTOSTART)
    def autostart(self, session: Session, args: protocol.StoragePoolArgs) -> protocol.AutostartRet:
        return protocol.AutostartRet(int(find_pool(session, args.pool).record.autostart))

    @answers(protocol.STORAGE_POOL_SET_AUTOSTART)
    def set_autostart(self, session: Session, args: protocol.StoragePoolSetAutostartArgs) -> None:
        pool_life.set_autostart(find_pool(session, args.pool), bool(args.autostart))


class StoragePoolLife:
    """Serves the life of pools."""

    @answers(protocol.STORAGE_POOL_DEFINE_XML)
    def define(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.StoragePoolRet:
        check_storage_flags(session, args.flags, 1, "StoragePoolDefineXML")
        return protocol.StoragePoolRet(pool_ref(pool_life.define(session.host, args.xml)))

    @answers(protocol.STORAGE_POOL_CREATE_XML)
    def create_xml(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.StoragePoolRet:
        supported = 0 if session.host.name == "test" else _CREATE
        check_storage_flags(session, args.flags, supported, "StoragePoolCreateXML")
        return protocol.StoragePoolRet(pool_ref(pool_life.create(session.host, args.xml)))

    @answers(protocol.STORAGE_POOL_CREATE)
    def create(self, session: Session, args: protocol.StoragePoolFlagsArgs) -> None:
        supported = 0 if session.host.name == "test" else _CREATE
        check_storage_flags(session, args.flags, supported, "StoragePoolCreate")
        pool_life.start(find_pool(session, args.pool))

    @answers(protocol.STORAGE_POOL_DESTROY)
    def destroy(self, session: Session, args: protocol.StoragePoolArgs) -> None:
        pool_life.destroy(find_pool(session, args.pool))

    @answers(protocol.STORAGE_POOL_UNDEFINE)
    def undefine(self, session: Session, args: protocol.StoragePoolArgs) -> None:
        pool_life.undefine(find_pool(session, args.pool))

    @answers(protocol.STORAGE_POOL_BUILD)
    def build(self, session: Session, args: protocol.StoragePoolFlagsArgs) -> None:
        if session.host.name == "test":
            check_storage_flags(session, args.flags, 0, "StoragePoolBuild")
        supported = int(sum(StoragePoolBuildFlags))
        check_storage_flags(session, args.flags, supported, "StoragePoolBuild")
        pool_life.build(find_pool(session, args.pool), args.flags)

    @answers(protocol.STORAGE_POOL_DELETE)
    async def delete(self, session: Session, args: protocol.StoragePoolFlagsArgs) -> None:
        supported = 0 if session.host.name == "test" else int(sum(StoragePoolDeleteFlags))
        check_storage_flags(session, args.flags, supported, "StoragePoolDelete")
        pool = find_pool(session, args.pool)
        names = [one.record.uuid for one in pool.volumes if one.record.has_content]
        pool_life.delete(pool)
        await run_blocking(session.host.contents.remove, *names)

    @answers(protocol.STORAGE_POOL_REFRESH)
    def refresh(self, session: Session, args: protocol.StoragePoolFlagsArgs) -> None:
        check_storage_flags(session, args.flags, 0, "StoragePoolRefresh")
        pool_life.refresh(find_pool(session, args.pool))

    @answers(protocol.CONNECT_FIND_STORAGE_POOL_SOURCES)
    def find_sources(
        self, session: Session, args: protocol.ConnectFindStoragePoolSourcesArgs
    ) -> protocol.XmlRet:
        check_storage_flags(session, args.flags, 0, "ConnectFindStoragePoolSources")
        return protocol.XmlRet(_sources(session, args.type, args.srcSpec))


#: What the test driver finds, by the type of pool.
_FOUND: Final = {
    "logical": """<sources>
  <source>
    <device path='/dev/sda20'/>
    <name>testvg1</name>
    <format type='lvm2'/>
  </source>
  <source>
    <device path='/dev/sda21'/>
    <name>testvg2</name>
    <format type='lvm2'/>
  </source>
</sources>
""",
    "netfs": """<sources>
  <source>
    <host name='{host}'/>
    <dir path='/testshare'/>
    <format type='nfs'/>
  </source>
</sources>
""",
}


def _sources(session: Session, kind: str, spec: str | None) -> str:
    """The sources of pools that a host finds: those of the test driver; qemu's host has none."""
    from aiovirt.daemons.virtd.xml import reading

    speaker = session.host.flavour.storage
    # The test driver takes an unknown type for one without sources, and the first one for unknown.
    unknown = kind == POOL_TYPES[0] if session.host.name == "test" else kind not in POOL_TYPES
    if unknown:
        detail = f"unknown storage pool type {kind}"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=speaker)
    if kind not in _FOUND:
        detail = f"pool type '{kind}' does not support source discovery"
        raise RpcError.of(ErrorCode.NO_SUPPORT, detail, domain=speaker)
    host = None
    if spec is not None:
        root = reading.parse(spec, "source", name="storage_source", domain=ErrorDomain.STORAGE)
        found = root.find("host")
        host = None if found is None else found.get("name")
    if kind == "netfs" and not host:
        detail = "hostname must be specified for netfs sources"
        raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=speaker)
    if session.host.name == "qemu":
        return "<sources>\n</sources>\n"
    return _FOUND[kind].replace("{host}", host or "")


POOL_TYPES: Final = tuple((one.name or "").lower().replace("_", "-") for one in _KINDS)
"""The types of pools."""
