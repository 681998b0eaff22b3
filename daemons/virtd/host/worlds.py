"""Worlds of running hosts: begun with, loaded, saved, and returned to.

A host keeps the text that it began with in its store. A saved world is a JSON document with the records
of all objects, so nothing of them is lost: documents, states, ids, times, and the clock. Each change is
one batch: a world that cannot be loaded leaves the host as it was. No events are sent.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

from aiovirt.daemons.virtd.host import agent, prepared, world, world_file
from aiovirt.daemons.virtd.host.clock import ClockState
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.moments import Moment
from aiovirt.daemons.virtd.host.secret import Secret, SecretRecord, seal_record
from aiovirt.daemons.virtd.host.world_file import WorldError

FORMAT: Final = "aiovirt world"
VERSION: Final = 1
#: Kinds of rows that are not objects.
_OWN: Final = frozenset(("clock", "host", "machine", "world"))
#: The kind of the row with the text that a host began with.
_START: Final = "world"
#: The kind of the rows of secrets.
SECRET: Final = Secret.kind


class _SavedHost(msgspec.Struct, forbid_unknown_fields=True):
    """clock: of the host; machine: its UUID; objects: records by kind and key, or bytes in Base64 for a
    kind that has no records."""

    clock: ClockState
    machine: str
    objects: dict[str, dict[str, msgspec.Raw]]


class _Saved(msgspec.Struct, forbid_unknown_fields=True):
    """A saved world. hosts: by the name of their driver."""

    format: str
    version: int
    hosts: dict[str, _SavedHost]


def begin(host: Host, text: str | None) -> None:
    """Give a new host its world.

    Args:
        host: the host, which is empty.
        text: of the world; None, or a text that says nothing of this host, for its driver's own.

    Raises:
        WorldError, RpcError: the text is not a world, or the store cannot be written.
    """
    _replace(host, lambda: _fill(host, text), text)


def reset(hosts: Iterable[Host]) -> None:
    """Return hosts to the worlds that they began with, and their clocks to real time.

    A saved world has a clock of its own. Raises RpcError when the store fails.
    """
    for host in hosts:
        text = _start_of(host)
        _replace(host, partial(_fill_anew, host, text), text)


def _fill_anew(host: Host, text: str | None) -> None:
    host.clock.run_true()
    _fill(host, text)


def load(hosts: Mapping[str, Host], text: str) -> list[str]:
    """Give hosts the world of a text, in place of theirs.

    Args:
        hosts: by name.
        text: XML, TOML or what `save` returned, without references to files.

    Returns:
        The names of the hosts that it describes; the others are as they were.

    Raises:
        WorldError, RpcError: the text is not a world. A host that comes before the bad one has its new
            world then, the bad one and those after it are as they were.
    """
    fillers = _fillers(hosts, text)
    for name, fill in fillers.items():
        _replace(hosts[name], fill, _start_of(hosts[name]))
    return list(fillers)


def save(hosts: Iterable[Host]) -> str:
    """Return the world of hosts as a text for `load`."""
    saved = {}
    for host in hosts:
        types = _types(host)
        objects: dict[str, dict[str, msgspec.Raw]] = {}
        for kind, key, data in host.store.rows(host.name):
            if kind not in _OWN:
                found: Any = data
                if kind in types:
                    found = _portable(host, msgspec.msgpack.decode(data, type=types[kind]))
                objects.setdefault(kind, {})[key] = msgspec.Raw(msgspec.json.encode(found))
        saved[host.name] = _SavedHost(host.clock.kept(), host.uuid, objects)
    text = msgspec.json.encode(_Saved(FORMAT, VERSION, saved))
    return msgspec.json.format(text, indent=1).decode() + "\n"


def _portable(host: Host, record: Any) -> Any:
    """A record for a saved world. A value that every client may read is in the clear: it can be loaded
    by a daemon with another key. That of a private secret stays sealed."""
    if not isinstance(record, SecretRecord) or record.sealed is None:
        return record
    found = host.secrets.by_uuid(uuids.UUID(record.uuid).bytes)
    if found is None or found.is_private:
        return record
    value = found.opened()
    return record if value is None else msgspec.structs.replace(record, value=value, sealed=None)


def _sealed_text(host: Host, text: str) -> str:
    """The text of a world as the store may have it. Raises WorldError, or RpcError without a key."""
    if not world_file.is_saved(text):
        return text
    saved = _decoded(text)
    for one in saved.hosts.values():
        for key, raw in one.objects.get(SECRET, {}).items():
            record = seal_record(host.store.seal, msgspec.json.decode(raw, type=SecretRecord))
            one.objects[SECRET][key] = msgspec.Raw(msgspec.json.encode(record))
    return msgspec.json.encode(saved).decode()


def seal_start(host: Host) -> bool:
    """Seal the values in the text that a host began with. Returns whether there was one.

    Raises RpcError if they cannot be sealed, or the store cannot be written.
    """
    text = _start_of(host)
    if text is None or not world_file.is_saved(text):
        return False
    with suppress(WorldError, msgspec.MsgspecError):
        values = [
            msgspec.json.decode(raw, type=SecretRecord).value
            for one in _decoded(text).hosts.values()
            for raw in one.objects.get(SECRET, {}).values()
        ]
        if any(one is not None for one in values):
            host.store.put(host.name, _START, "", _sealed_text(host, text).encode())
            return True
    return False


def _start_of(host: Host) -> str | None:
    """The text that a host began with, None for its driver's own."""
    return next((data.decode() for _, data in host.store.load(host.name, _START)), None)


def _replace(host: Host, fill: Callable[[], None], start: str | None) -> None:
    """Empty a host and fill it, or leave it as it was."""
    clock = host.clock.kept()
    try:
        with host.events.silent(), host.store.batch():
            host.empty()
            fill()
            host.keep_clock()
            host.mark_known()
            if start is not None:
                host.store.put(host.name, _START, "", _sealed_text(host, start).encode())
        agent.wait_for_all(host)
    except BaseException:
        host.clock.restored(clock)
        host.read()
        raise


def _fill(host: Host, text: str | None) -> None:
    fill = _fillers({host.name: host}, text).get(host.name) if text is not None else None
    if fill is None:
        prepared.fill(host)
    else:
        fill()


def _fillers(hosts: Mapping[str, Host], text: str) -> dict[str, Callable[[], None]]:
    """Return a function that fills each host that a text describes. Raises WorldError."""
    if not world_file.is_saved(text):
        return {
            name: partial(world.build_node, hosts[name], node)
            for name, node in world_file.nodes(text).items()
            if name in hosts
        }
    return {
        name: partial(_restore, hosts[name], one)
        for name, one in _decoded(text).hosts.items()
        if name in hosts
    }


def _decoded(text: str) -> _Saved:
    """Read a saved world. Raises WorldError."""
    try:
        saved = msgspec.json.decode(text.encode(), type=_Saved)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise WorldError(f"the world is not what world-save writes: {error}") from error
    if (saved.format, saved.version) != (FORMAT, VERSION):
        raise WorldError(
            f"'{saved.format}' version {saved.version} is not '{FORMAT}' version {VERSION}"
        )
    return saved


def _types(host: Host) -> dict[str, Any]:
    """The types of stored records, by kind."""
    found: dict[str, Any] = {one.entry_type.kind: one.entry_type.record_type for one in host.kinds}
    return found | {"snapshot": Moment, "checkpoint": Moment}


def _data(host: Host, key: str, raw: msgspec.Raw, record_type: Any) -> bytes:
    """A record as the store has it.

    Raises ValueError or msgspec.MsgspecError if it does not fit, RpcError if it cannot be sealed.
    """
    record = msgspec.json.decode(raw, type=record_type)
    if isinstance(record, bytes):
        return record
    uuid, _, name = key.partition("/")
    if str(uuids.UUID(uuid)) != uuid or key not in (
        getattr(record, "uuid", ""),
        f"{uuid}/{record.name}" if name else "",
    ):
        raise ValueError(f"'{key}' is not its key")
    if isinstance(record, SecretRecord):
        record = seal_record(host.store.seal, record)
    return msgspec.msgpack.encode(record)


def _restore(host: Host, saved: _SavedHost) -> None:
    """Store the records of a saved host and read them. Raises WorldError."""
    types = _types(host)
    for kind, records in saved.objects.items():
        if kind in _OWN:
            raise WorldError(f"'{kind}' is not a kind of object")
        for key, raw in records.items():
            try:
                data = _data(host, key, raw, types.get(kind, bytes))
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise WorldError(f"a record of the kind '{kind}' does not fit: {error}") from error
            host.store.put(host.name, kind, key, data)
    try:
        host.set_uuid(str(uuids.UUID(saved.machine)))
        host.read()
    except (msgspec.MsgspecError, ValueError, LookupError) as error:
        raise WorldError(f"the objects of a host do not fit together: {error}") from error
    host.clock.restored(saved.clock)
    for domain in host.domains:
        _ = domain.record.facts  # raises RpcError for a document that cannot be read
