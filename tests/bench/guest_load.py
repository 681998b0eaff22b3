"""A client of the remote program: libvirt's own library, by its Python binding.

    /usr/bin/python3 tests/bench/guest_load.py URI GUESTS

It needs Debian's python3-libvirt and nothing of this project. Each line of its input names a step and
a number of seconds; the answer is a line with the guests, or calls, per second. Some steps last until
they were done for every guest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from itertools import cycle
from typing import Any

import libvirt

_DOCUMENT = """\
<domain type='test'>
  <name>{name}</name>
  <memory unit='MiB'>512</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='file' device='disk'>
      <source file='/var/lib/libvirt/images/{name}.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <graphics type='vnc' port='-1'/>
  </devices>
</domain>
"""


class Load:
    """One client. guests: how many it defines."""

    def __init__(self, uri: str, guests: int) -> None:
        self._host = libvirt.open(uri)
        self._count = guests
        self._domains: list[Any] = []
        self._first = 0

    def step(self, name: str, seconds: float) -> float:
        """Do one step, and return its rate."""
        step: Callable[[float], float] = getattr(self, f"_{name}")
        return step(seconds)

    # For every guest -----------------------------------------------------------------------------

    def _define(self, seconds: float) -> float:
        """Define guests, besides those defined earlier."""
        numbers = range(self._first, self._first + self._count)
        texts = [_DOCUMENT.format(name=f"guest{number}") for number in numbers]
        self._first += self._count
        begin = time.perf_counter()
        self._domains = [self._host.defineXML(text) for text in texts]
        return len(texts) / (time.perf_counter() - begin)

    def _start(self, seconds: float) -> float:
        return self._each(lambda one: one.create())

    def _pause(self, seconds: float) -> float:
        def both(domain: Any) -> None:
            domain.suspend()
            domain.resume()

        return self._each(both)

    def _destroy(self, seconds: float) -> float:
        return self._each(lambda one: one.destroy())

    def _undefine(self, seconds: float) -> float:
        rate = self._each(lambda one: one.undefine())
        self._first = 0
        return rate

    def _each(self, call: Callable[[Any], Any]) -> float:
        begin = time.perf_counter()
        for domain in self._domains:
            call(domain)
        return len(self._domains) / (time.perf_counter() - begin)

    # For some time -------------------------------------------------------------------------------

    def _find(self, seconds: float) -> float:
        """Find the guests that another client defined; unmeasured."""
        self._domains = [
            one for one in self._host.listAllDomains() if one.name().startswith("guest")
        ]
        return len(self._domains)

    def _list(self, seconds: float) -> float:
        return self._for(seconds, [None], lambda _: self._host.listAllDomains())

    def _ids(self, seconds: float) -> float:
        return self._for(seconds, [None], lambda _: self._host.listDomainsID())

    def _info(self, seconds: float) -> float:
        return self._for(seconds, self._domains, lambda one: one.info())

    def _xml(self, seconds: float) -> float:
        return self._for(seconds, self._domains, lambda one: one.XMLDesc())

    def _lookup(self, seconds: float) -> float:
        names = [domain.name() for domain in self._domains]
        return self._for(seconds, names, self._host.lookupByName)

    def _states(self, seconds: float) -> float:
        group = libvirt.VIR_DOMAIN_STATS_STATE
        return self._for(seconds, [None], lambda _: self._host.getAllDomainStats(group))

    def _statistics(self, seconds: float) -> float:
        return self._for(seconds, [None], lambda _: self._host.getAllDomainStats())

    def _for(self, seconds: float, values: Iterable[Any], call: Callable[[Any], Any]) -> float:
        begin = time.perf_counter()
        end = begin + seconds
        for count, value in enumerate(cycle(values), 1):
            call(value)
            now = time.perf_counter()
            if now > end:
                return count / (now - begin)
        raise ValueError("nothing to call")


def main() -> None:
    """Serve the lines of the input."""
    load = Load(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        name, seconds = line.split()
        print(load.step(name, float(seconds)), flush=True)


if __name__ == "__main__":
    main()
