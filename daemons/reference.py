"""The protocol reference, made from the program tables.

`python -m aiovirt.daemons.reference write|check`, run at the top of the source tree. `check` exits
with 1 when a page is stale. The tables are found, not listed: in every module of this package whose own
name, or that of a package around it, ends with `protocol`, and in `aiovirt.rpc.wire`. Enumerations in a
package `constants` belong to the first program of the package `protocol` beside it.

All programs are in docs/protocol.md, except that a long one has a page of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

import aiovirt
from aiovirt.daemons.reference_text import HEAD, SESSION
from aiovirt.daemons.virtd.protocol.chars import CharArray, Chars
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RemoteError
from aiovirt.rpc.wire.naming import Named
from aiovirt.rpc.wire.program import Procedure, Program
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam

_DOCS = Path("docs")
_MAIN = "protocol.md"
#: Procedures of a program that has a page of its own.
_LONG = 200
_SCALARS = {"i": "int", "I": "unsigned", "q": "hyper", "Q": "unsigned hyper", "d": "double"}
#: Characters that a table's cell may have; a longer list of fields is given as a type.
_CELL = 110


def programs() -> list[Program]:
    """Return all program tables of this package, by name: libvirt's own, then ours."""
    found: set[Program] = set()
    for info in pkgutil.walk_packages(aiovirt.__path__, "aiovirt."):
        within = info.name.split(".")
        if within[:3] == ["aiovirt", "rpc", "wire"] or any(
            name.endswith("protocol") for name in within
        ):
            found.update(
                value
                for value in vars(importlib.import_module(info.name)).values()
                if isinstance(value, Program)
            )
    return sorted(
        found, key=lambda program: (0x06900691 <= program.number <= 0x069006FF, program.name)
    )


def pages() -> dict[str, str]:
    """Return the texts of the pages in docs/, by their file names."""
    types = _Types()
    main = list(_core(types))
    own: dict[str, str] = {}
    for program in programs():
        title = f"Program `{program.name}`: 0x{program.number:08x} version {program.version}"
        if len(program) < _LONG:
            main += [f"## {title}\n", *_program(program, types)]
        else:
            page = f"protocol-{program.name}.md"
            head = f"# {title}\n\n[{_MAIN}]({_MAIN}) explains the notation.\n"
            own[page] = "\n".join([head, *_program(program, types)])
            main.append(f"## {title}\n\n{len(program)} procedures and events: [{page}]({page}).\n")
    return {_MAIN: "\n".join(main), **own}


def _core(types: _Types) -> Iterator[str]:
    """Yield what all programs have: frames, sessions, errors, typed parameters."""
    error = types.fields(RemoteError)
    listed = list(types.listed("the core", [TypedParam]))
    yield HEAD
    yield SESSION
    yield f"## Errors\n\nA reply with status ERROR carries an `Error`: {error}.\n"
    yield f"Codes: {_numbers(ErrorCode)}.\n\nDomains: {_numbers(ErrorDomain)}.\n"
    kinds = ", ".join(f"{kind.value} {kind.name.lower()}" for kind in ParamType)
    yield f"## Types of every program\n\nThe kinds of a typed parameter's value: {kinds}.\n"
    yield from listed


def _program(program: Program, types: _Types) -> Iterator[str]:
    procedures = sorted(program, key=lambda procedure: procedure.number)
    yield "| # | procedure | takes | gives | |"
    yield "|---|---|---|---|---|"
    for procedure in procedures:
        if not procedure.event:
            takes, gives = types.cell(procedure.args), types.cell(procedure.result)
            marks = ", ".join(_marks(procedure))
            yield f"| {procedure.number} | {procedure.name} | {takes} | {gives} | {marks} |"
    yield ""
    if events := [procedure for procedure in procedures if procedure.event]:
        yield "| # | event | carries |\n|---|---|---|"
        for event in events:
            yield f"| {event.number} | {event.name} | {types.cell(event.args)} |"
        yield ""
    yield from _notes(program)
    yield from types.listed(program.name, program.records)
    flags = [
        procedure.flag_names
        for procedure in program
        if procedure.flag_names is not None and not isinstance(procedure.flag_names, Named)
    ]
    for enum in dict.fromkeys((*program.enums, *flags, *_constants(program))):
        yield f"**{enum.__name__}**: {_numbers(enum)}. {_summary(enum)}\n"
    for what, params in program.params.items():
        fields = ", ".join(f"`{name}` {kind.name.lower()}" for name, kind in params.items())
        yield f"Typed parameters of {what}: {fields}.\n"


def _constants(program: Program) -> Iterator[type[IntEnum | IntFlag]]:
    """Yield the enumerations of the package `constants` beside the tables of a program."""
    for package in [name for name in sys.modules if name.endswith(".protocol")]:
        tables = [one for one in vars(sys.modules[package]).values() if isinstance(one, Program)]
        beside = package.removesuffix("protocol") + "constants"
        if not tables or min(tables, key=lambda one: one.number) is not program:
            continue
        if importlib.util.find_spec(beside) is None:
            continue
        for info in pkgutil.iter_modules(importlib.import_module(beside).__path__, beside + "."):
            for value in vars(importlib.import_module(info.name)).values():
                if isinstance(value, type) and value.__module__ == info.name:
                    yield value


def _notes(program: Program) -> Iterator[str]:
    """Explain the fields of arguments and results, where their types do."""
    about: dict[str, list[str]] = {}
    for procedure in program:
        for cls in (procedure.args, procedure.result):
            if any(f"{name}: " in _summary(cls) for name, _ in xdr.fields_of(cls)):
                about.setdefault(_summary(cls), []).append(procedure.name)
    for text, names in about.items():
        yield f"{', '.join(names)}: {text}\n"


def _marks(procedure: Procedure[Any, Any]) -> Iterator[str]:
    """Yield the properties of a procedure besides its types, in the words of the document's head."""
    if isinstance(procedure.flag_names, Named):
        yield f"any {procedure.flag_names.name}"
    elif procedure.flag_names is not None:
        yield procedure.flag_names.__name__
    elif procedure.flags:
        yield f"flags 0x{procedure.flags:x}"
    elif procedure.flags is None and "flags" in xdr.names_of(procedure.args):
        yield "any flags"
    for name, mark in (
        ("reads", "R"),
        ("priority", "P"),
        ("call_fds", "fds in"),
        ("reply_fds", "fds out"),
        ("stream", "stream"),
    ):
        if getattr(procedure, name):
            yield mark
    if not procedure.needs_auth:
        yield "A"


def _numbers(enum: type[IntEnum | IntFlag]) -> str:
    return ", ".join(f"{member.value} {member.name}" for member in enum)


class _Types:
    """The struct types met so far: where each is listed, and which are still to be listed."""

    def __init__(self) -> None:
        self._home: dict[type, str] = {}
        self._met: dict[str, type] = {}

    def cell(self, cls: type) -> str:
        """Return a table's cell for arguments or a result."""
        text = self.fields(cls)
        return text if len(text) <= _CELL else self._name(cls)

    def fields(self, cls: type) -> str:
        """Return the fields of a struct, in words."""
        return ", ".join(f"{name} {self._type(codec)}" for name, codec in xdr.fields_of(cls))

    def listed(self, program: str, more: Iterable[type]) -> Iterator[str]:
        """Yield entries for the types met since the last program, and for those met within them."""
        for cls in more:
            self._name(cls)
        done: set[str] = set()
        elsewhere: dict[str, list[str]] = {}
        while missing := [name for name in self._met if name not in done]:
            for name in missing:
                done.add(name)
                cls = self._met[name]
                home = self._home.setdefault(cls, program)
                if home == program:
                    yield f"**{name}**: {self.fields(cls)}. {_summary(cls)}\n"
                else:
                    elsewhere.setdefault(home, []).append(name)
        self._met.clear()
        for home, names in elsewhere.items():
            if home != "the core":
                yield f"{', '.join(names)}: see program `{home}`.\n"

    def _name(self, cls: type) -> str:
        name = cls.__name__.lstrip("_")
        if self._met.setdefault(name, cls) is not cls:
            raise TypeError(f"two types of one program have the name {name}")
        return name

    def _type(self, codec: Any) -> str:
        match codec:
            case xdr.Scalar():
                return "bool" if codec.convert is bool else _SCALARS[codec.format]
            case xdr.String():
                return "string" if codec.maximum == xdr.STRING_MAX else f"string<{codec.maximum}>"
            case CharArray():
                return f"char[{codec.size}]"
            case Chars():
                return f"char<{codec.maximum}>"
            case xdr.Opaque():
                return f"opaque[{codec.size}]"
            case xdr.VarOpaque():
                return f"opaque<{codec.maximum}>"
            case xdr.Optional():
                return self._type(xdr.codec_of(codec.item)) + "?"
            case xdr.Array():
                return f"{self._type(xdr.codec_of(codec.item))}<{codec.maximum}>"
            case xdr.Struct():
                return self._name(codec.cls)
            case xdr.Union():
                arms = (
                    f"{kind:d} {self._type(xdr.codec_of(arm))}" for kind, arm in codec.arms.items()
                )
                return f"union by kind int ({', '.join(arms)})"
        raise TypeError(f"{codec!r} has no name in the reference")


def _summary(cls: type) -> str:
    paragraphs = (inspect.getdoc(cls) or "").split("\n\n")
    told = (one for one in paragraphs if not one.startswith("Source:"))
    return " ".join(" ".join(told).split())


def main() -> int:
    """Write or check the pages.

    Returns the exit status: 0, 1 for a stale document, 2 for a wrong command line.
    """
    if sys.argv[1:] == ["write"]:
        for page, text in pages().items():
            (_DOCS / page).write_text(text, encoding="utf-8")
        return 0
    if sys.argv[1:] == ["check"]:
        stale = [
            str(_DOCS / page)
            for page, text in pages().items()
            if not (_DOCS / page).exists() or (_DOCS / page).read_text(encoding="utf-8") != text
        ]
        for name in stale:
            sys.stderr.write(f"{name} is stale: run `python -m aiovirt.daemons.reference write`\n")
        return int(bool(stale))
    sys.stderr.write("usage: python -m aiovirt.daemons.reference write|check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
