"""The worlds that drivers begin with, as records: a start does not read their documents.

`python -m aiovirt.daemons.virtd.host.prepared write|check`, run at the top of the source tree, makes
`worlds/DRIVER.json` from `worlds/DRIVER.xml`; `check` exits with 1 when one of them is stale.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.virtd.host.flavour import FLAVOURS

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

#: Stands in these files for the UUID that each host makes for itself.
_HOST_UUID: Final = "HOST-UUID"
_PLACE: Final = "daemons/virtd/worlds"


def fill(host: Host) -> None:
    """Give a host the world that its driver begins with; guests of it begin to run now.

    Raises RpcError when the store cannot be written.
    """
    text = pkgutil.get_data("aiovirt.daemons.virtd", f"worlds/{host.name}.json") or b""
    text = text.replace(_HOST_UUID.encode(), host.uuid.encode())
    rows: list[tuple[str, str, Any]] = msgspec.json.decode(text, type=list[tuple[str, str, Any]])
    now = host.clock.now()
    for kind, key, record in rows:
        if record.get("began") is not None:
            record["began"], record["booted"] = host.clock.passed(), now
        host.store.put(host.name, kind, key, msgspec.msgpack.encode(record))
    host.read()


def rows(name: str) -> Iterator[tuple[str, str, Any]]:
    """Give kind, key and record of each object of a driver's world, made from its document.

    Args:
        name: of the driver.
    """
    from aiovirt.daemons.virtd.host import world
    from aiovirt.daemons.virtd.host.clock import Clock
    from aiovirt.daemons.virtd.host.host import Host

    host = Host(FLAVOURS[name], Clock(lambda: 1))
    world.fill(host)
    for kind in host.kinds:
        for entry in kind:
            record = msgspec.to_builtins(entry.record)
            if "text" in record:
                record["text"] = record["text"].replace(host.uuid, _HOST_UUID)
            yield entry.kind, entry.record.uuid, record


def _main(arguments: list[str]) -> int:
    from pathlib import Path

    if arguments not in (["write"], ["check"]):
        print("usage: python -m aiovirt.daemons.virtd.host.prepared write|check", file=sys.stderr)  # noqa: T201  a command
        return 2
    stale = 0
    for name in FLAVOURS:
        path = Path(_PLACE, f"{name}.json")
        text = msgspec.json.format(msgspec.json.encode(list(rows(name))), indent=1) + b"\n"
        if arguments == ["write"]:
            path.write_bytes(text)
        elif _comparable(path.read_bytes()) != _comparable(text):
            print(f"{path} is stale", file=sys.stderr)  # noqa: T201  a command
            stale = 1
    return stale


def _comparable(text: bytes) -> list[Any]:
    """The rows without what is made up anew each time."""
    found = msgspec.json.decode(text)
    for row in found:
        if row[0] not in ("domain", "network", "pool"):
            row[1] = row[2]["uuid"] = ""
    return sorted(found, key=repr)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
