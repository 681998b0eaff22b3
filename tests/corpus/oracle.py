"""The judge: libvirt's test driver, through the C library, in a process of its own.

Each document is defined on `test:///default` and dumped back. Run as a module it reads a JSON list of
[kind, document] on its input and writes a JSON list of verdicts: {"text": ..., "secure": ...} for a
document that is kept, {"code": ..., "message": ...} for one that is refused.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]

Verdict = dict[str, Any]

#: For each kind: the functions that define, dump and remove, and the arguments after the document.
_FUNCTIONS = {
    "domain": ("virDomainDefineXML", "virDomainGetXMLDesc", "virDomainUndefine", ()),
    "network": ("virNetworkDefineXML", "virNetworkGetXMLDesc", "virNetworkUndefine", ()),
    "pool": ("virStoragePoolDefineXML", "virStoragePoolGetXMLDesc", "virStoragePoolUndefine", (0,)),
}

#: What `test:///default` begins with, which would collide with documents of the same name.
_WORLD = (
    ("virDomainLookupByName", "virDomainDestroy", "virDomainUndefine", b"test"),
    ("virNetworkLookupByName", "virNetworkDestroy", "virNetworkUndefine", b"default"),
    (
        "virStoragePoolLookupByName",
        "virStoragePoolDestroy",
        "virStoragePoolUndefine",
        b"default-pool",
    ),
)

_DUMPED_WITH_SECRETS = 1  # VIR_DOMAIN_XML_SECURE


class _Error(ctypes.Structure):
    _fields_ = (("code", ctypes.c_int), ("domain", ctypes.c_int), ("message", ctypes.c_char_p))


class Library:
    """The C library with an empty test driver."""

    def __init__(self, path: str | None = None) -> None:
        self._library = ctypes.CDLL(path or ctypes.util.find_library("virt") or "libvirt.so.0")
        self._library.virGetLastError.restype = ctypes.POINTER(_Error)
        self._silent = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: None)
        self._library.virSetErrorFunc(None, self._silent)
        self._connection = self._pointer("virConnectOpen", b"test:///default")
        for lookup, destroy, undefine, name in _WORLD:
            found = self._pointer(lookup, self._connection, name)
            getattr(self._library, destroy)(found)
            getattr(self._library, undefine)(found)

    def _pointer(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        call = getattr(self._library, function)
        call.restype = ctypes.c_void_p
        return ctypes.c_void_p(call(*arguments))

    def judge(self, kind: str, document: str) -> Verdict:
        """Define a document, dump it, and remove it."""
        define, dump, undefine, more = _FUNCTIONS[kind]
        defined = self._pointer(define, self._connection, document.encode("utf-8"), *more)
        if not defined:
            error = self._library.virGetLastError().contents
            return {"code": error.code, "domain": error.domain, "message": error.message.decode()}
        verdict = {"text": self._text(dump, defined, 0)}
        if kind == "domain":
            verdict["secure"] = self._text(dump, defined, _DUMPED_WITH_SECRETS)
        getattr(self._library, undefine)(defined)
        return verdict

    def _text(self, dump: str, defined: ctypes.c_void_p, flags: int) -> str:
        value = ctypes.cast(self._pointer(dump, defined, flags), ctypes.c_char_p).value
        return (value or b"").decode("utf-8")


def judge(documents: Iterable[tuple[str, str]], library: str | None = None) -> list[Verdict]:
    """Ask libvirt about documents, in another process.

    Args:
        documents: kinds and texts.
        library: path of the C library; None for the one of the system.
    """
    command = [sys.executable, "-m", "tests.corpus.oracle", *([library] if library else [])]
    asked = json.dumps(list(documents))
    done = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=False, timeout=600, cwd=_ROOT
    )
    if done.returncode:
        raise RuntimeError(f"libvirt's library cannot be asked: {done.stderr.strip()[-500:]}")
    answer: list[Verdict] = json.loads(done.stdout)
    return answer


def _answers(asked: list[tuple[str, str]], library: str | None) -> Iterator[Verdict]:
    driver = Library(library)
    for kind, document in asked:
        yield driver.judge(kind, document)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    json.dump(list(_answers(json.load(sys.stdin), arguments[0] if arguments else None)), sys.stdout)
