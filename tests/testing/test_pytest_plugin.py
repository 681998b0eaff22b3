"""The pytest plugin in projects of others: scopes, options, reports, and no effect until it is used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PATIENCE = 60.0


def run(folder: Path, code: str, *arguments: str, ini: str = "", autoload: bool = True) -> str:
    """Run a file of tests as a project of its own. Returns what pytest wrote."""
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}")
    (folder / "test_it.py").write_text(code)
    kept = {key: os.environ[key] for key in os.environ if not key.startswith("PYTEST")}
    if not autoload:
        kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout + done.stderr


TWO_TESTS = """
pids = set()

def test_one(virtd):
    pids.add(virtd.pid)

def test_two(virtd):
    pids.add(virtd.pid)
    assert len(pids) == %d
"""


def test_a_daemon_is_for_one_test(tmp_path: Path) -> None:
    assert "2 passed" in run(tmp_path, TWO_TESTS % 2)


def test_an_option_makes_the_scope_wider(tmp_path: Path) -> None:
    assert "2 passed" in run(tmp_path, TWO_TESTS % 1, ini="aiovirt_scope = module")
    assert "aiovirt_scope is one of function, class," in run(
        tmp_path, TWO_TESTS % 1, ini="aiovirt_scope = nonsense"
    )


def test_fixtures_of_wider_scopes_have_names_of_their_own(tmp_path: Path) -> None:
    code = """
seen = []

def test_one(lockd_module, lockd_session, lockd):
    seen.append([lockd_module.pid, lockd_session.pid, lockd.pid])

def test_two(lockd_module, lockd_session, lockd):
    seen.append([lockd_module.pid, lockd_session.pid, lockd.pid])
    assert len(set(seen[0])) == 3
    assert [one == other for one, other in zip(*seen)] == [True, True, False]
"""
    assert "2 passed" in run(tmp_path, code)


def test_a_marker_has_the_options(tmp_path: Path) -> None:
    code = """
import pytest

pytestmark = pytest.mark.virtd(world="[[domain]]\\nname = 'all'\\n")

def test_one(virtd_module):
    assert "<name>all</name>" in virtd_module.world.save("test").replace("\\\\n", "")

@pytest.mark.virtd(world="[[domain]]\\nname = 'mine'\\n", tcp=True)
def test_two(virtd):
    assert "<name>mine</name>" in virtd.world.save("test")
    assert virtd.tcp_uri
"""
    assert "2 passed" in run(tmp_path, code, "--strict-markers")


def test_a_factory_starts_several_with_a_world_and_settings_each(tmp_path: Path) -> None:
    code = """
def test_it(aiovirt_daemons):
    one = aiovirt_daemons("virtd", settings={"max_workers": 7})
    other = aiovirt_daemons("virtd", world="[[domain]]\\nname = 'mine'\\n")
    lockd = aiovirt_daemons("lockd")
    assert len({one.rundir, other.rundir, lockd.rundir}) == 3
    assert "<name>mine</name>" in other.world.save("test")
    assert "<name>mine</name>" not in one.world.save("test")
"""
    assert "1 passed" in run(tmp_path, code)


def test_the_report_of_a_failed_test_has_the_log_of_that_time(tmp_path: Path) -> None:
    code = """
async def nothing(connection):
    pass

def test_good(virtd_session):
    virtd_session.admin.run(nothing)
    virtd_session.log.wait_for("connected.*admin")

def test_bad(virtd_session):
    virtd_session.admin.run(nothing)
    virtd_session.log.wait_for("connected")
    assert False

def test_worse(virtd):
    import os, signal
    os.kill(virtd.pid, signal.SIGKILL)
    os.waitid(os.P_PID, virtd.pid, os.WEXITED | os.WNOWAIT)
"""
    said = run(tmp_path, code)
    assert "1 failed, 2 passed, 1 error" in said
    _, _, part = said.partition("Captured virtd log")
    assert "connected" in part
    assert "ready pid=" not in part.partition("short test summary")[0]
    assert "RuntimeError: virtd ended by itself with status -9" in said


def test_nothing_is_imported_and_no_hook_is_there_until_it_is_used(tmp_path: Path) -> None:
    code = """
import sys

def test_without(request):
    assert [one for one in sys.modules if one.startswith("aiovirt.")] == ["aiovirt.pytest_fixtures"]
    plugin = request.config.pluginmanager.get_plugin("aiovirt")
    hooks = request.config.pluginmanager.get_hookcallers(plugin)
    once = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_configure"]
    assert sorted(one.name for one in hooks) == once
"""
    assert "1 passed" in run(tmp_path, code)


def test_our_modules_are_imported_as_any_others(tmp_path: Path) -> None:
    code = """
import aiovirt.admin.uri

def test_it():
    assert type(aiovirt.admin.uri.__loader__).__name__ == "SourceFileLoader"
"""
    assert "1 passed" in run(tmp_path, code)


def test_the_plugin_can_be_left_out(tmp_path: Path) -> None:
    assert "fixture 'virtd' not found" in run(tmp_path, TWO_TESTS % 2, "-p", "no:aiovirt")


def test_fixtures_are_described(tmp_path: Path) -> None:
    said = run(tmp_path, TWO_TESTS % 2, "--fixtures", "--collect-only")
    for name in ("virtd", "lockd_module", "logd_session", "aiovirt_daemons"):
        assert re.search(rf"^{name}\b.*\n +\S", said, re.MULTILINE), said


def test_an_option_without_its_name_is_refused(tmp_path: Path) -> None:
    code = """
import pytest

@pytest.mark.virtd({"max_clients": 50})
def test_it(virtd):
    pass
"""
    said = run(tmp_path, code)
    assert "the marker virtd takes options by name, as in virtd(settings=...)" in said
    assert "1 error" in said


def test_the_report_of_a_failed_start_is_the_daemons_own_words(tmp_path: Path) -> None:
    code = """
import pytest

@pytest.mark.virtd(settings={"max_workers": 0})
def test_it(virtd):
    pass
"""
    said = run(tmp_path, code)
    assert "max_workers = 0 is not possible" in said
    assert "wait_ready" not in said  # nor our own code


def test_a_process_that_a_test_has_forked_and_left_does_not_delay_the_end(tmp_path: Path) -> None:
    code = """
import os, signal

def test_end(aiovirt_daemons):
    virtd = aiovirt_daemons("virtd")
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        signal.pause()
    virtd.close()
    assert virtd.status == 0  # it was not killed
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    assert "1 passed" in run(tmp_path, code)


BY_MODULE = """
def test_it(lockd):
    assert lockd.locks.locks() == []
"""


def test_the_plugin_may_be_named_by_its_module_whether_or_not_pytest_has_found_it(
    tmp_path: Path,
) -> None:
    assert "1 passed" in run(tmp_path, BY_MODULE, "-p", "aiovirt.pytest_plugin")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["aiovirt.pytest_plugin"]\n')
    assert "1 passed" in run(tmp_path, BY_MODULE)
    assert "1 passed" in run(tmp_path, BY_MODULE, autoload=False)


MARKED = """
import pytest

async def workers(connection):
    server = await connection.lookup_server("virtd")
    return (await server.get_threadpool_parameters()).max_workers

@pytest.mark.virtd(world="[[domain]]\\nname = 'mine'\\n", settings={"max_workers": 33})
class TestMarked:
    @pytest.mark.virtd(settings={"max_workers": 34})
    def test_it(self, virtd):
        assert "<name>mine</name>" in virtd.world.save("test")
        assert virtd.admin.run(workers) == 34
"""


def test_the_options_of_a_test_are_added_to_those_of_its_class(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, MARKED)


def test_a_marker_of_a_test_whose_daemon_is_for_several_is_told_to_be_ignored(
    tmp_path: Path,
) -> None:
    said = run(tmp_path, MARKED, ini="aiovirt_scope = module")
    assert "the marker virtd of a test is ignored: aiovirt_scope is module" in said
