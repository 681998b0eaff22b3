"""What is measured over TLS: virtd next to libvirtd, each with the same certificates."""

from __future__ import annotations

import contextlib
import tempfile
from functools import partial

import pytest

from aiovirt.admin import pki
from tests import harness
from tests.bench import load
from tests.bench.contenders import LIBVIRTD, OURS, SETTINGS
from tests.bench.findings import Findings, alternate
from tests.bench.turns import Bench

CONNECTIONS, DEEP = 16, 5


def tls(bench: Bench) -> Findings:
    """Calls over TLS, 16 connections with 5 under way in each."""
    findings = Findings(f"{CONNECTIONS} connections over TLS, {DEEP} calls in flight in each")
    with tempfile.TemporaryDirectory(prefix="av-") as folder, contextlib.ExitStack() as stack:
        pki.create(folder, hosts=["localhost"])
        measures = {}
        for name in (LIBVIRTD, OURS):
            if bench.only is not None and name not in bench.only:
                continue
            port = harness.free_port()
            settings = {**SETTINGS, **harness.tls_settings(folder, port), "auth_tls": "none"}
            arguments = ["--listen"] if name == LIBVIRTD else []
            try:
                stack.enter_context(harness.running(name, settings, arguments))
            except pytest.skip.Exception as reason:
                bench.left_out[name] = str(reason)
                continue
            measures[name] = partial(load.tls_calls, port, folder, CONNECTIONS, DEEP, bench.seconds)
        for name, values in alternate(bench.rounds, measures).items():
            findings.add(name, "calls/s", values)
    findings.ratio("TLS, 16 x 5: virtd over libvirtd", OURS, LIBVIRTD, 2)
    return findings
