"""What a large program table adds to a start: 443 dummy procedures, each with types of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.findings import Findings, alternate
from tests.bench.turns import Bench

#: As many procedures as the remote program of libvirt 9.0.0 has.
PROCEDURES = 443
_FIELDS = ("xdr.Str", "xdr.UInt", "xdr.Hyper", "xdr.OptStr", "Annotated[bytes, xdr.Opaque(16)]")

#: Prints the milliseconds of importing a module, once what the table stands on is there.
_TIMED = """\
import gc, sys, time
from typing import Annotated
from aiovirt.rpc.wire import xdr, program
gc.disable()  # as at a daemon's start
begin = time.perf_counter()
import {module}
print((time.perf_counter() - begin) * 1000)
"""


def table(bench: Bench) -> Findings:
    """A start with and without the table, its bytecode in place."""
    findings = Findings(f"importing a table of {PROCEDURES} procedures with types of their own")
    with tempfile.TemporaryDirectory(prefix="aiovirt-bench-") as folder:
        Path(folder, "dummy_table.py").write_text(source())
        Path(folder, "dummy_none.py").write_text("")
        environment = {**os.environ, "PYTHONPATH": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def milliseconds(module: str) -> float:
            command = [sys.executable, "-c", _TIMED.format(module=module)]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            return float(done.stdout)

        milliseconds("dummy_table")  # writes the bytecode
        rounds = alternate(2 * bench.rounds, {"table": lambda: milliseconds("dummy_table")})
        findings.add("table", "ms", rounds["table"])
    findings.at_most(f"a table of {PROCEDURES} procedures adds to a start", "table", 20)
    return findings


def source() -> str:
    """The source text of a module with such a table: arguments for each, a result for every second."""
    lines = [
        "from __future__ import annotations",
        "from typing import Annotated",
        "from aiovirt.rpc.wire import xdr",
        "from aiovirt.rpc.wire.program import Program",
        'DUMMY = Program("dummy", 1, 1)',
    ]
    for number in range(1, PROCEDURES + 1):
        kinds = ("Args", "Ret") if number % 2 else ("Args",)
        for kind in kinds:
            lines += ["@xdr.struct", f"class Dummy{number}{kind}:", f'    """{kind} {number}."""']
            for at in range(1 + number % 5):
                lines.append(f"    field_{at}: {_FIELDS[at]}")
        result = f"Dummy{number}Ret" if number % 2 else "xdr.Void"
        lines.append(
            f'DUMMY_{number} = DUMMY.procedure({number}, "DUMMY_{number}", Dummy{number}Args, {result},'
            " reads=True, flags=0)"
        )
    return "\n".join(lines) + "\n"
