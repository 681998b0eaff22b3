"""Scenarios: checked as a whole, and played; the example drives a real client through ten failures."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aiovirt.daemons.virtd.faults import script
from aiovirt.daemons.virtd.faults.rules import Action, Rule
from aiovirt.daemons.virtd.faults.script import ScriptError, parse
from tests import harness
from tests.clients import walking
from tests.virtd.test_ephemeral import ephemeral

EXAMPLE = harness.ROOT / "examples" / "ten_failures"
VIRTADM = (sys.executable, "-m", "aiovirt.admin.cli")
PATIENCE = 60.0

RULE = """
[[step]]
fault = "error"
name = "full"
code = "NO_MEMORY"
"""


def test_a_scenario_becomes_steps() -> None:
    text = (
        RULE
        + """
[[step]]
wait = "full"
strikes = 2

[[step]]
event = "io-error"
guest = "web"
values = { disk = "vda" }

[[step]]
clock = "qemu"
time = 1970-01-01T00:00:01Z
rate = 60

[[step]]
pause = 0.5

[[step]]
remove = "full"

[[step]]
clear = true
"""
    )
    assert parse(text) == [
        script.Add("full", Rule(Action.ERROR, code=2)),
        script.Wait("full", 2, script.TIMEOUT),
        script.Inject("web", "io-error", "", {"disk": "vda"}),
        script.SetClock("qemu", 1_000_000_000, 60.0),
        script.Pause(0.5),
        script.Remove("full"),
        script.Clear(),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("step = ", "not TOML: Invalid value (at end of document)"),
        ("", "a scenario has tables [[step]] and nothing else"),
        ("[[stop]]\n", "a scenario has tables [[step]] and nothing else"),
        ("[[step]]\n", "step 1 (line 1): a step has one of these keys: fault, wait,"),
        (RULE + "[[step]]\nwait = 'ful'", "step 2 (line 6): no rule of the name 'ful' exists then"),
        (RULE + "[[step]]\nclear = true\n[[step]]\nwait = 'full'", "step 3 (line 8): no rule"),
        (RULE + RULE, "step 2 (line 7): a rule of the name 'full' exists already"),
        (RULE + "times = 'two'", "step 1 (line 2): 'times' is a whole number, not 'two'"),
        (RULE + "tmies = 2", "step 1 (line 2): 'tmies' is not a key of this step"),
        (RULE + "times = true", "step 1 (line 2): 'times' is a whole number, not True"),
        (RULE + "procedure = 'DOMIAN_*'", "step 1 (line 2): 'DOMIAN_*' is not the name or glob"),
        ("[[step]]\nfault = 'explode'", "step 1 (line 1): 'explode' is not an action; there are"),
        (
            "[[step]]\nfault = 'error'\ncode = 'NO_SUCH'",
            "step 1 (line 1): 'NO_SUCH' is not an error",
        ),
        ("[[step]]\nevent = 'crash'", "step 1 (line 1): 'guest' is missing"),
        (
            "[[step]]\nevent = 'crash'\nguest = 'a'\nvalues = { how = 1 }",
            "step 1 (line 1): 'crash' has no value 'how'",
        ),
        ("[[step]]\nclock = ''", "step 1 (line 1): a step with 'clock' has 'time', 'rate' or both"),
        ("[[step]]\npause = -1", "step 1 (line 1): 'pause' is above 0"),
        ("[[step]]\npause = nan", "step 1 (line 1): 'pause' is above 0"),
        ("[[step]]\nclear = false", "step 1 (line 1): 'clear' is true"),
    ],
)
def test_a_file_that_is_not_a_scenario_is_refused_with_its_step(text: str, reason: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(text)
    assert str(caught.value).startswith(reason)


def test_the_example_drives_a_client_through_ten_failures() -> None:
    walking.require_binding()
    with ephemeral() as daemon:
        playing = subprocess.Popen(
            [*VIRTADM, "-c", daemon.told["admin"], "fault-script", str(EXAMPLE / "scenario.toml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert playing.stdout is not None
            for line in playing.stdout:  # until it waits for the client
                if "hold-worker" in line:
                    break
            ran = subprocess.run(
                [walking.PYTHON, str(EXAMPLE / "client.py"), daemon.told["qemu"]],
                env={**walking.ENVIRONMENT, **harness.libraries()},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert (ran.returncode, ran.stderr) == (0, "")
            said, _ = playing.communicate(timeout=PATIENCE)
            assert "all rules removed" in said
            assert playing.returncode == 0
        finally:
            playing.kill()
            playing.wait()
    lines = ran.stdout.splitlines()
    assert len(lines) == 10
    assert lines[0] == "1. 2/10: out of memory"
    assert lines[1] == "2. 9/10: operation failed: no host device is free"
    assert "keepalive timeout" in lines[8]
    assert lines[9] == "10. the disk failed: {'vda': 2}"
