"""Worlds: read from files, begun with, saved, loaded and returned to."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.host import lifecycle, snapshot, world_file, worlds
from aiovirt.daemons.virtd.host.events import Event
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.host.world_file import WorldError
from aiovirt.rpc.wire.errors import RpcError
from tests.virtd.conftest import DOMAIN

SPACE = "xmlns:test='http://libvirt.org/schemas/domain/test/1.0'"
GUEST = "<name>{}</name><memory>65536</memory><os><type>hvm</type></os>"


def _domain(name: str, states: str = "") -> str:
    return f"<domain type='test' {SPACE}>{GUEST.format(name)}{states}</domain>"


def _hosts(path: Path | None = None, store: str | None = None) -> Hosts:
    made = Hosts(store, None if path is None else str(path))
    made.open()
    return made


def _states(host: Host) -> dict[str, tuple[int, bool, bool]]:
    """State, whether it has a definition, and whether a saved image, of each domain by name."""
    return {
        one.name: (one.record.state, one.is_persistent, one.record.saved is not None)
        for one in host.domains
    }


def test_a_file_of_libvirts_test_driver_gives_domains_in_their_states(tmp_path: Path) -> None:
    """What virsh -c test:///FILE shows for the same file."""
    (tmp_path / "fv0.xml").write_text(_domain("elsewhere", "<test:runstate>3</test:runstate>"))
    path = tmp_path / "world.xml"
    path.write_text(
        "<node>"
        + _domain("plain")
        + _domain("off", "<test:runstate>5</test:runstate>")
        + _domain("brief", "<test:transient/>")
        + _domain("saved", "<test:hasmanagedsave/><test:runstate>5</test:runstate>")
        + "<domain file='fv0.xml'/></node>"
    )
    found = _hosts(path)
    assert _states(found.all["test"]) == {
        "plain": (DomainState.RUNNING, True, False),
        "off": (DomainState.SHUTOFF, True, False),
        "brief": (DomainState.RUNNING, False, False),
        "saved": (DomainState.SHUTOFF, True, True),
        "elsewhere": (DomainState.PAUSED, True, False),
    }
    assert "runstate" not in str(found.all["test"].domains.by_name("off").record.config)  # type: ignore[union-attr]  # it is listed above
    assert not list(found.all["qemu"].domains)


TOML = """
[[domain]]
name = "web"
memory = "512 MiB"
vcpus = 2
disks = ["/images/web.img"]
networks = ["default"]
autostart = true

[[domain]]
host = "qemu"
name = "db"
state = "paused"

[[domain]]
file = "other.xml"
state = "shutoff"
"""


def test_a_toml_file_has_shorthands_for_documents(tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text(_domain("other"))
    path = tmp_path / "world.toml"
    path.write_text(TOML)
    found = _hosts(path).all
    assert _states(found["test"]) == {
        "web": (DomainState.RUNNING, True, False),
        "other": (DomainState.SHUTOFF, True, False),
    }
    assert _states(found["qemu"]) == {"db": (DomainState.PAUSED, True, False)}
    web = found["test"].domains.by_name("web")
    assert web is not None
    assert web.record.autostart
    assert (web.record.facts.memory, web.record.facts.vcpus) == (512 * 1024, 2)
    assert "/images/web.img" in web.record.text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("w.xml", "<node><domain>", r"w\.xml"),
        ("w.xml", "<domain/>", "node"),
        ("w.xml", "<node><domain file='none.xml'/></node>", r"none\.xml: No such file"),
        ("w.xml", "<world><node/><node/></world>", "one <node driver"),
        ("w.xml", "<node driver='xen'/>", "xen"),
        ("w.toml", "[[guest]]\nname='x'", r"'guest' is not one of \[\[domain"),
        ("w.toml", "[[domain]]\nmemory='1 GiB'", r"'name' of \[\[domain\]\] has to be given"),
        ("w.toml", "[[domain]]\nname='x'\nvcpus=true", "'vcpus' .* has to be a number"),
        ("w.toml", "[[domain]]\nname='x'\nstate='up'", "one of running, paused"),
        ("w.toml", "[[domain]]\nname='x'\ncolour='red'", "does not have the key 'colour'"),
        ("w.toml", "[[domain]]\nname='x'\nhost='xen'", "one of test, qemu"),
        ("w.toml", "domain = 1", "'domain' is not one of"),
        ("w.toml", "= 1", r"w\.toml: "),
        ("w.toml", "a = " + "[" * 100_000, r"w\.toml: "),
        ("w.xml", '{"format": "x"}', "not what world-save writes"),
        ("none.xml", None, "No such file"),
    ],
)
def test_a_file_that_is_not_a_world_is_refused_by_name_and_reason(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(WorldError, match=message):
        _hosts(tmp_path / name)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ("<test:runstate>9</test:runstate>", "runstate '9' out of range"),
        ("<test:runstate>x</test:runstate>", "invalid runstate"),
        ("<test:transient/><test:runstate>5</test:runstate>", "transient domain cannot"),
        ("<test:hasmanagedsave/>", "domain with managedsave data can only"),
    ],
)
def test_states_that_are_not_possible_have_libvirts_words(
    tmp_path: Path, states: str, message: str
) -> None:
    (tmp_path / "w.xml").write_text(f"<node>{_domain('one', states)}</node>")
    with pytest.raises(RpcError, match=message):
        _hosts(tmp_path / "w.xml")


def test_a_reference_to_a_file_is_refused_in_a_text_from_elsewhere() -> None:
    with pytest.raises(WorldError, match="cannot be referred to"):
        worlds.load(_hosts().all, "[[domain]]\nfile = '/etc/passwd'\n")


def _everything(host: Host) -> list[object]:
    return [
        (kind.entry_type.kind, one.record)
        for kind in host.kinds
        for one in sorted(kind, key=lambda one: one.uuid)
    ]


def test_a_saved_world_is_loaded_as_it_was() -> None:
    first = _hosts()
    qemu = first.all["qemu"]
    text = DOMAIN.replace("<source file", "<driver type='qcow2'/><source file")
    lifecycle.start(lifecycle.define(qemu, text.format(title="kvm", name="on")), paused=True)
    lifecycle.define(qemu, text.format(title="kvm", name="off"))
    lifecycle.create(qemu, text.format(title="kvm", name="brief"))
    for domain in qemu.domains:
        snapshot.create(domain, "<domainsnapshot><name>before</name></domainsnapshot>", 0)
    qemu.clock.set(1_000_000_000, rate=0)
    text = worlds.save(first.all.values())
    second = _hosts()
    events: list[Event] = []
    second.all["qemu"].events.receive(events.append)
    assert worlds.load(second.all, text) == ["test", "qemu"]
    for name, host in first.all.items():
        assert _everything(second.all[name]) == _everything(host)
    assert second.all["qemu"].clock.now() == 1_000_000_000
    assert events == []
    assert [one.name for domain in second.all["qemu"].domains for one in domain.snapshots] == [
        "before"
    ] * 3
    assert worlds.save(second.all.values()) == text


def test_a_world_that_cannot_be_loaded_leaves_the_host_as_it_was(tmp_path: Path) -> None:
    found = _hosts(store=str(tmp_path / "store"))
    host = found.all["test"]
    before = _everything(host)
    bad = f"<node>{_domain('one')}{_domain('two', '<test:runstate>9</test:runstate>')}</node>"
    with pytest.raises(RpcError, match="out of range"):
        worlds.load(found.all, bad)
    assert _everything(host) == before
    saved = worlds.save([host]).replace('"name": "test"', '"name": 7')
    with pytest.raises(WorldError, match="of the kind 'domain' does not fit"):
        worlds.load(found.all, saved)
    assert _everything(host) == before
    assert _everything(_hosts(store=str(tmp_path / "store")).all["test"]) == before


def test_reset_returns_to_what_the_hosts_began_with(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(TOML.replace('"other.xml"', f'"{tmp_path}/other.xml"'))
    (tmp_path / "other.xml").write_text(_domain("other"))
    first = _hosts(tmp_path / "w.toml", str(tmp_path / "store"))
    began = {name: _states(host) for name, host in first.all.items()}
    worlds.load(first.all, f"<node>{_domain('new')}</node>")
    assert list(_states(first.all["test"])) == ["new"]
    (tmp_path / "w.toml").unlink()  # the store has it
    again = _hosts(store=str(tmp_path / "store"))
    worlds.reset(again.all.values())
    assert {name: _states(host) for name, host in again.all.items()} == began


SNAPSHOT = """<test:domainsnapshot><name>{0}</name><state>running</state>
<creationTime>1</creationTime>{1}</test:domainsnapshot>"""


def test_domains_of_a_file_have_its_snapshots(tmp_path: Path) -> None:
    child = SNAPSHOT.format("child", "<parent><name>root</name></parent><active>1</active>")
    (tmp_path / "s.xml").write_text(SNAPSHOT.format("root", "").replace("test:", ""))
    path = tmp_path / "w.xml"
    states = f"{child}<test:domainsnapshot file='s.xml'/>"
    path.write_text(f"<node>{_domain('one', states)}</node>")
    (found,) = _hosts(path).all["test"].domains
    assert [(one.name, one.parent) for one in found.snapshots] == [
        ("root", None),
        ("child", "root"),
    ]
    assert found.snapshots.current is found.snapshots.get("child")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"clock": [', '"clock": ["x",'),
        ('"machine": "', '"machine": "x'),
        ('"uuid": "', '"uuid": "1'),
        ('"domain": {', '"host": {"": "", "": ""}, "domain": {'),
        ('"name": "test"', '"name": []'),
        ('"interface": {', '"interface": {"x": {}, '),
    ],
)
def test_a_saved_world_that_was_changed_badly_is_refused(old: str, new: str) -> None:
    found = _hosts()
    text = worlds.save([found.all["test"]])
    assert old in text
    with pytest.raises(WorldError):
        worlds.load(found.all, text.replace(old, new))
    assert worlds.save([found.all["test"]]) == text


def test_a_clock_that_was_set_is_still_set_in_the_next_process(tmp_path: Path) -> None:
    first = _hosts(store=str(tmp_path / "store"))
    first.all["test"].clock.set(5_000_000_000, rate=0)
    first.all["test"].keep_clock()
    assert _hosts(store=str(tmp_path / "store")).all["test"].clock.now() == 5_000_000_000


def test_reading_a_file_gives_a_text_that_needs_no_other(tmp_path: Path) -> None:
    (tmp_path / "fv0.xml").write_text(_domain("elsewhere"))
    (tmp_path / "dev.xml").write_text("<device><name>port</name></device>")
    (tmp_path / "w.xml").write_text(
        "<node><domain file='fv0.xml'/><device file='dev.xml'/><device file='dev.xml'/></node>"
    )
    text = world_file.read(str(tmp_path / "w.xml"))
    assert "elsewhere" in text
    assert text.count("<name>port</name>") == 2
    assert world_file.read(str(tmp_path / "w.xml")) == text
    found = _hosts()
    assert worlds.load(found.all, text) == ["test"]
    assert list(_states(found.all["test"])) == ["elsewhere"]


def test_the_example_of_the_document_is_a_world(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "virtd.md").read_text(encoding="utf-8")
    path = tmp_path / "w.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0])
    found = _hosts(path).all
    assert _states(found["test"]) == {"db": (DomainState.RUNNING, True, False)}
    assert _states(found["qemu"]) == {"web": (DomainState.PAUSED, True, False)}
    assert [one.name for one in found["qemu"].networks] == ["lab"]
    assert [one.name for one in found["qemu"].pools] == ["images"]
    (volume,) = found["qemu"].volumes
    assert (volume.record.path, volume.capacity) == ("/images/web.qcow2", 20 << 30)
