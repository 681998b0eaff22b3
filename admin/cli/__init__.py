"""virtadm, the command line: a drop-in for virt-admin that speaks with libvirt's daemons and ours.

    virtadm [options]... <command> [args...]
    virtadm [options]... '<command>; <command>'
    virtadm [options]...                            (interactive)

`commands` has the table of commands, `parser` the grammar, `session` the running of them. What only
some runs need (asyncio, the client, readline) is imported by those that need it.

Source: libvirt's tools/virt-admin.c and vsh.c.
"""

from __future__ import annotations

import codecs
import os
import signal
import sys
from collections.abc import Sequence

from aiovirt.admin.cli.failure import CommandSyntaxError, Leave
from aiovirt.admin.cli.terminal import Level, OutputGone, OutputHeld, Terminal
from aiovirt.admin.standard_streams import fill_standard_descriptors

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run virtadm with these words (default: those of the process); its exit status."""
    fill_standard_descriptors()
    words = list(sys.argv if argv is None else argv)
    progname = os.path.basename(words[0]) if words else ""
    # What was no UTF-8 on the way in leaves as it came; what the locale cannot write leaves as UTF-8.
    codecs.register_error("aiovirt.virtadm", _as_it_came)
    for stream, errors in (
        (sys.stdin, "surrogateescape"),
        (sys.stdout, "aiovirt.virtadm"),
        (sys.stderr, "aiovirt.virtadm"),
    ):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)
    terminal = Terminal("virtadm" if progname in ("", "__main__.py") else progname)
    try:
        return _guarded(words[1:], terminal)
    except KeyboardInterrupt:
        return _end_by(signal.SIGINT)
    except OutputGone as gone:
        return _output_gone(gone)
    finally:
        terminal.close_log()


def _as_it_came(error: UnicodeError) -> tuple[bytes, int]:
    """Handle a codec's error: the bytes of what a stream's encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return text.encode("utf-8", "surrogateescape"), error.end


def _guarded(words: Sequence[str], terminal: Terminal) -> int:
    try:
        status = _run(words, terminal)
    except CommandSyntaxError as wrong:
        for line in wrong.lines:
            terminal.error(line)
        status = 1
    except Leave as leave:
        status = leave.status
    terminal.flush()
    return status


def _run(words: Sequence[str], terminal: Terminal) -> int:
    from aiovirt.admin.cli import startup

    startup.read_environment(terminal)
    asked = startup.read_arguments(words, terminal)
    if not asked.words:
        from aiovirt.admin.cli.shell import interact

        return interact(terminal, asked.uris, asked.timeout)

    from aiovirt.admin.cli.commands import command_table
    from aiovirt.admin.cli.parser import ArgumentWords, LineWords, parse
    from aiovirt.admin.cli.runner import run

    def trace(text: str) -> None:
        terminal.debug(Level.INFO, text)

    table = command_table()
    if len(asked.words) > 1:
        commands = parse(ArgumentWords(asked.words), table, trace)
    else:
        line = asked.words[0].replace("\r\n", "\n").removesuffix("\r")  # of a file of Windows
        trace(f'commands: "{line}"\n')
        if not line:
            return 1
        commands = parse(LineWords(line), table, trace)
    return 0 if run(commands, table, terminal, asked) else 1


def _end_by(number: signal.Signals) -> int:
    """End as a program does that leaves this signal alone, so that a calling shell knows."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # for a caller that blocks the signal


def _output_gone(gone: OutputGone) -> int:
    # What is still buffered has nowhere to go; without this the interpreter would try once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(gone, OutputHeld):
        return _end_by(gone.number)
    if isinstance(gone.error, BrokenPipeError):
        return _end_by(signal.SIGPIPE)
    sys.stderr.write(f"error: cannot write to the standard output: {gone.error.strerror}\n")
    return 1
