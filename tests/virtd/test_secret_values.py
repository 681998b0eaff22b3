"""The value of a secret is in no file, log line, saved world or copy of the store in the clear."""

from __future__ import annotations

import base64
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aiovirt.daemons.virtd.host import secret, worlds
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.host.sealing import KEY_SIZE, Seal, SealError
from aiovirt.daemons.virtd.host.secret import Secret, SecretRecord
from aiovirt.daemons.virtd.host.world_file import WorldError
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness

MARKER = b"a-marker-that-nothing-else-has"
UUIDS = {
    "yes": "aaaaaaaa-1111-4111-8111-000000000001",
    "no": "aaaaaaaa-1111-4111-8111-000000000002",
}
TEXT = (
    "<secret private='{}'><uuid>{}</uuid><usage type='ceph'><name>client.{}</name></usage></secret>"
)


def _hosts(path: Path) -> Hosts:
    made = Hosts(str(path / "store"))
    made.open()
    return made


def _define(hosts: Hosts, private: str = "yes", value: bytes = MARKER) -> Secret:
    text = TEXT.format(private, UUIDS[private], private)
    found = secret.define(hosts.all["qemu"], text)
    secret.set_value(found, value)
    return found


def _found(hosts: Hosts, private: str) -> Secret:
    return next(one for one in hosts.all["qemu"].secrets if one.record.uuid == UUIDS[private])


def _leaks(folder: Path, value: bytes = MARKER) -> list[str]:
    """The files below a folder that have a value, as it is or in one of the usual forms."""
    forms = {value, value.hex().encode()}
    for cut in range(3):  # a value that stands within something that is in Base64
        forms.add(base64.b64encode(bytes(cut) + value)[4:-4])
    files = (one for one in folder.rglob("*") if one.is_file())
    return [str(one) for one in files if any(form in one.read_bytes() for form in forms)]


@pytest.fixture
def daemon() -> Iterator[harness.RunningDaemon]:
    """A virtd that logs everything into a file of its run directory."""
    with harness.running("virtd", {"log_level": 1, "log_outputs": "1:stderr"}) as running:
        yield running


def _virsh(daemon: harness.RunningDaemon, *commands: str) -> str:
    uri = f"qemu+unix:///system?socket={daemon.socket}"
    ran = subprocess.run(
        [harness.require("virsh"), "-q", "-c", uri, "; ".join(commands)],
        env={**os.environ, **harness.libraries(), "HOME": str(daemon.folder), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
        check=False,
    )
    return ran.stdout + ran.stderr


def _virtadm(daemon: harness.RunningDaemon, *words: str) -> str:
    uri = f"virtd:///system?socket={daemon.admin_socket}"
    command = [sys.executable, "-m", "aiovirt.admin.cli", "-c", uri, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=harness.PATIENCE, check=True
    ).stdout


def test_a_value_is_in_no_file_of_a_daemon(daemon: harness.RunningDaemon) -> None:
    """Set by virsh, followed by a read, a restart by SIGUSR1, and SIGKILL, at the level of debugging."""
    folder = daemon.folder
    for private, uuid in UUIDS.items():
        (folder / "secret.xml").write_text(TEXT.format(private, uuid, private))
        value = base64.b64encode(MARKER).decode()
        printed = _virsh(
            daemon,
            f"secret-define {folder}/secret.xml",
            f"secret-set-value {uuid} --base64 {value}",
        )
        assert "insecure!" in printed, printed  # which virsh says of each value in an argument
    assert "secret is private" in _virsh(daemon, f"secret-get-value {UUIDS['yes']}")
    assert value in _virsh(daemon, f"secret-get-value {UUIDS['no']}")
    _virtadm(daemon, "procedure-list")
    assert _leaks(folder) == []
    daemon.process.send_signal(signal.SIGUSR1)
    assert value in _virsh(daemon, f"secret-get-value {UUIDS['no']}")
    world = folder / "world.json"
    _virtadm(daemon, "world-save", str(world))
    assert [Path(one).name for one in _leaks(folder)] == ["world.json"]
    saved = json.loads(world.read_text())["hosts"]["qemu"]["objects"]["secret"]
    assert {uuid: bool(one["value"]) for uuid, one in saved.items()} == {
        UUIDS["yes"]: False,
        UUIDS["no"]: True,
    }
    world.unlink()
    daemon.kill(signal.SIGKILL)
    assert _leaks(folder) == []
    assert b"debug" in daemon.log.read_bytes().lower()


def test_a_key_is_made_with_the_first_secret_for_its_owner_alone(tmp_path: Path) -> None:
    hosts = _hosts(tmp_path)
    key = tmp_path / "store.key"
    assert not key.exists()
    _define(hosts)
    assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, KEY_SIZE)
    assert not list(tmp_path.glob("*.new"))
    hosts.close()
    again = _hosts(tmp_path)
    assert again.seal_secrets() is None
    assert _found(again, "yes").opened() == MARKER


def test_a_value_opens_for_its_own_secret_only() -> None:
    seal = Seal(None)
    sealed = seal.seal(MARKER, UUIDS["yes"])
    assert seal.open(sealed, UUIDS["yes"]) == MARKER
    assert sealed != seal.seal(MARKER, UUIDS["yes"])
    with pytest.raises(SealError, match="not the key"):
        seal.open(sealed, UUIDS["no"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, "No such file"),
        (lambda key: key.write_bytes(b"short"), "5 bytes are not a key"),
        (lambda key: key.write_bytes(bytes(KEY_SIZE)), "not the key"),
    ],
)
def test_a_secret_whose_key_is_lost_has_no_value(
    tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    hosts = _hosts(tmp_path)
    _define(hosts, "no")
    hosts.close()
    damage(tmp_path / "store.key")
    again = _hosts(tmp_path)
    assert reason in str(again.seal_secrets())
    with pytest.raises(RpcError) as caught:
        secret.get_value(_found(again, "no"))
    assert caught.value.code == ErrorCode.NO_SECRET


def test_a_damaged_key_is_not_replaced_unasked(tmp_path: Path) -> None:
    hosts = _hosts(tmp_path)
    _define(hosts)
    hosts.close()
    (tmp_path / "store.key").write_bytes(b"short")
    again = _hosts(tmp_path)
    with pytest.raises(RpcError, match="remove it to begin with a new one"):
        secret.set_value(_found(again, "yes"), b"other")
    (tmp_path / "store.key").unlink()
    secret.set_value(_found(again, "yes"), b"other")
    assert _found(again, "yes").opened() == b"other"


def test_values_of_an_earlier_version_are_sealed_and_gone_from_the_file(tmp_path: Path) -> None:
    hosts = _hosts(tmp_path)
    for private in UUIDS:
        record = _define(hosts, private).record
        clear = msgspec.structs.replace(record, value=MARKER * 400, sealed=None)
        store = hosts.all["qemu"].store
        store.put("qemu", "secret", record.uuid, msgspec.msgpack.encode(clear))
    earlier = base64.b64encode(MARKER * 400).decode()
    world = worlds.save([hosts.all["qemu"]]).replace(earlier, "YWJj" * 9)
    store.put("qemu", "world", "", world.encode())
    hosts.close()
    assert _leaks(tmp_path)
    again = _hosts(tmp_path)
    assert again.seal_secrets() is None
    assert _leaks(tmp_path) == _leaks(tmp_path, b"abc" * 9) == []
    assert _found(again, "yes").opened() == MARKER * 400
    again.close()
    last = _hosts(tmp_path)
    assert _found(last, "no").opened() == MARKER * 400
    worlds.reset(last.all.values())
    assert _found(last, "yes").opened() == b"abc" * 9


def test_a_private_value_of_a_saved_world_needs_the_key_of_its_daemon(tmp_path: Path) -> None:
    hosts, other = Hosts(None), Hosts(str(tmp_path / "store"))
    hosts.open()
    other.open()
    for private in UUIDS:
        _define(hosts, private)
    text = worlds.save(hosts.all.values())
    for made in (hosts, other):
        worlds.load(made.all, text)
    assert [_found(hosts, one).opened() for one in UUIDS] == [MARKER, MARKER]
    assert [_found(other, one).opened() for one in UUIDS] == [None, MARKER]
    assert _leaks(tmp_path) == []


def test_a_world_with_a_secret_that_is_none_is_refused(tmp_path: Path) -> None:
    hosts = _hosts(tmp_path)
    _define(hosts)
    text = worlds.save([hosts.all["qemu"]]).replace('"private', '"text":1,"private')
    with pytest.raises(WorldError):
        worlds.begin(hosts.all["qemu"], text.replace('"uuid"', '"uid"'))


def test_a_secret_that_becomes_ephemeral_leaves_the_store_and_comes_back(tmp_path: Path) -> None:
    hosts = _hosts(tmp_path)
    found = _define(hosts, "no")
    text = TEXT.format("no", UUIDS["no"], "no")
    secret.define(hosts.all["qemu"], text.replace("<secret ", "<secret ephemeral='yes' "))
    assert secret.get_value(found) == MARKER
    assert not list(hosts.all["qemu"].store.load("qemu", "secret"))
    secret.define(hosts.all["qemu"], text)
    assert (found.record.value, secret.get_value(found)) == (None, MARKER)
    assert _leaks(tmp_path) == []


def test_a_store_in_memory_takes_its_key_to_the_next_program(tmp_path: Path) -> None:
    hosts = _hosts(tmp_path)
    _define(hosts)
    for file in tmp_path.glob("store*"):
        file.unlink()
    data = hosts.unfiled()
    assert data is not None
    assert MARKER not in data
    fresh = Hosts(hosts.path)
    fresh.read_back(data)
    fresh.go_on()
    assert fresh.seal_secrets() is None
    assert _found(fresh, "yes").opened() == MARKER
    fresh.close()
    again = _hosts(tmp_path)
    assert _found(again, "yes").opened() == MARKER
    assert not list(again.all["qemu"].store.load("", "key"))


FIRST = """
import os, resource, sys
from aiovirt.daemons.virtd.host import secret
from aiovirt.daemons.virtd.host.hosts import Hosts
hosts = Hosts(sys.argv[1])
hosts.open()
hosts.seal_secrets()
hosts.reserve()
assert "cryptography" not in sys.modules
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
found = secret.define(hosts.all["qemu"], sys.argv[2])
secret.set_value(found, b"value")
print(secret.get_value(found))
"""


def test_the_first_secret_works_at_the_limit_of_descriptors(tmp_path: Path) -> None:
    """And nothing of the library is loaded before it."""
    ran = subprocess.run(
        [sys.executable, "-c", FIRST, str(tmp_path / "s"), TEXT.format("no", UUIDS["no"], "no")],
        capture_output=True,
        text=True,
        timeout=harness.PATIENCE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        check=False,
    )
    assert ran.stdout == "b'value'\n", ran.stderr


def test_a_key_that_cannot_be_written_refuses_the_first_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = _hosts(tmp_path)

    def full(path: str, key: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("aiovirt.daemons.virtd.host.sealing.write_key", full)
    with pytest.raises(RpcError, match=r"cannot seal values of secrets: .*No space left"):
        _define(hosts)
    assert not list(hosts.all["qemu"].secrets)
    monkeypatch.undo()
    assert _define(hosts).opened() == MARKER


def test_a_record_shows_no_value() -> None:
    record = SecretRecord(uuid=UUIDS["no"], name="x", text="<secret/>", value=MARKER)
    assert MARKER.decode() not in repr(record)
