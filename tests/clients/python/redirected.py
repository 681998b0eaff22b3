"""Runs the tests of libvirt's Python binding, as they are, on a daemon's test driver.

    python3 redirected.py URI FOLDER MODULE...

They open test:///default, which libvirt's library would serve itself; here it leads to URI. The tests
that open a file by test:///PATH keep their driver.
"""

from __future__ import annotations

import sys
import unittest
from collections.abc import Callable
from typing import Any

import libvirt


def main() -> None:
    """Run tests of a folder."""
    uri, folder, *modules = sys.argv[1:]
    for name in ("open", "openReadOnly", "openAuth"):
        setattr(libvirt, name, _leading_to(uri, getattr(libvirt, name)))
    sys.path.insert(0, folder)
    found = unittest.defaultTestLoader.loadTestsFromNames(modules)
    done = unittest.TextTestRunner(verbosity=2).run(found)
    sys.exit(not done.wasSuccessful())


def _leading_to(uri: str, opener: Callable[..., Any]) -> Callable[..., Any]:
    def lead(name: str | None = None, *args: Any) -> Any:
        return opener(uri if name == "test:///default" else name, *args)

    return lead


main()
