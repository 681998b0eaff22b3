"""The commands of virtadm for faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiovirt.admin.cli.failure import CALL_FAILURES, CommandFailed, explained, text_of
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Option, OptionKind
from aiovirt.admin.cli.tabular import table

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.faults.client import Rule, RuleInfo


#: Characters of a scenario that are read; more are refused.
_FILE_MAX: Final = 1024 * 1024


async def _add(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.faults.client import FaultAdmin

    rule = _rule(command)
    with explained("failed to add the rule"):
        number = await FaultAdmin(session.connection).add(rule)
    session.terminal.answer({"id": number}, f"Rule {number} added\n")


def _rule(command: Invocation) -> Rule:
    """The rule of a command. Raises CommandFailed."""
    from aiovirt.daemons.virtd.faults import naming
    from aiovirt.daemons.virtd.faults.rules import Action, Rule, RuleError, check

    given: dict[str, Any] = {}
    for name in ("procedure", "guest", "text"):
        if (text := command.text(name)) is not None:
            given[name] = text
    for name in ("client", "times", "every", "seed", "delay", "size"):
        if (number := command.number(name)) is not None:
            given[name] = number
    try:
        action = Action.of(command.required("action"))
        if (text := command.text("probability")) is not None:
            given["probability"] = _probability(text)
        if (text := command.text("code")) is not None:
            given["code"] = naming.code(text)
        if (text := command.text("domain")) is not None:
            given["domain"] = naming.domain(text)
        rule = Rule(action, **given)
        check(rule)
    except RuleError as error:
        raise CommandFailed("failed to add the rule", str(error)) from error
    return rule


def _probability(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CommandFailed(f"'{text}' is not a probability: a number up to 1, like 0.25") from None


async def _list(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.faults.client import FaultAdmin

    with explained("failed to list the rules"):
        rules = await FaultAdmin(session.connection).list()
    session.terminal.answer(
        [_fields(one) for one in rules],
        table(
            ("Id", "Action", "For", "When", "Seen", "Strikes", "Held"),
            [
                (
                    str(one.id),
                    _action(one.rule),
                    _target(one.rule),
                    _when(one.rule),
                    *map(str, one[2:]),
                )
                for one in rules
            ],
            with_header=not session.terminal.quiet,
        ),
    )


def _fields(one: RuleInfo) -> dict[str, Any]:
    import msgspec

    return {
        "id": one.id,
        **msgspec.structs.asdict(one.rule),
        "seen": one.seen,
        "strikes": one.strikes,
        "held": one.held,
    }


def _action(rule: Rule) -> str:
    from aiovirt.daemons.virtd.faults import naming
    from aiovirt.rpc.wire.errors import ErrorCode

    code = f" {naming.shown(rule.code, ErrorCode)}" if rule.code else ""
    after = "" if rule.action.startswith("delay") else " after"
    delay = f"{after} {rule.delay} ms" if rule.delay else ""
    return f"{rule.action}{code}{delay}"


def _target(rule: Rule) -> str:
    client = f" of client {rule.client}" if rule.client else ""
    guest = f" on {rule.guest}" if rule.guest else ""
    return f"{rule.procedure}{guest}{client}"


def _when(rule: Rule) -> str:
    chance = f"at {rule.probability:g}, seed {rule.seed}" if rule.probability < 1 else ""
    every = f"every {rule.every}" if rule.every > 1 else ""
    times = f"{rule.times} times" if rule.times else ""
    return ", ".join(filter(None, (every, chance, times))) or "always"


async def _remove(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.faults.client import FaultAdmin

    number = command.number("rule") or 0
    with explained(f"failed to remove rule {number}"):
        await FaultAdmin(session.connection).remove(number)
    session.terminal.notice(f"Rule {number} removed\n")


async def _clear(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.faults.client import FaultAdmin

    with explained("failed to remove the rules"):
        await FaultAdmin(session.connection).clear()
    session.terminal.notice("All rules removed\n")


async def _event(session: AdminSession, command: Invocation) -> None:
    from aiovirt.daemons.virtd.faults import happenings
    from aiovirt.daemons.virtd.faults.client import FaultAdmin
    from aiovirt.daemons.virtd.faults.rules import RuleError

    guest, event = command.required("guest"), command.required("event")
    host = command.text("host") or ""
    try:
        given = happenings.split(command.all("value"))
        happenings.check(event, given)
    except RuleError as error:
        raise CommandFailed(f"failed to inject '{event}'", str(error)) from error
    with explained(f"failed to inject '{event}'"):
        await FaultAdmin(session.connection).inject(guest, event, host, **given)
    session.terminal.notice(f"Event '{event}' injected into domain '{guest}'\n")


async def _script(session: AdminSession, command: Invocation) -> None:
    import asyncio

    from aiovirt.daemons.virtd.admin_client import WorldAdmin
    from aiovirt.daemons.virtd.faults import script
    from aiovirt.daemons.virtd.faults.client import FaultAdmin
    from aiovirt.daemons.virtd.faults.playing import play

    file = command.required("file")
    try:
        steps = script.parse(await asyncio.to_thread(_read, file))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(f"failed to read {file}", reason) from error
    except script.ScriptError as error:
        raise CommandFailed(f"{file} is not a scenario", str(error)) from error
    if command.given("check"):
        session.terminal.answer(len(steps), f"{file} has {len(steps)} steps\n")
        return
    done: list[str] = []
    try:
        connection = session.connection
        async for told in play(steps, FaultAdmin(connection), WorldAdmin(connection)):
            done.append(told)
            session.terminal.notice(f"step {len(done)}: {told}\n")
    except CALL_FAILURES as error:
        reason = text_of(error)
        raise CommandFailed(f"step {len(done) + 1} of {file} failed", reason) from error


def _read(file: str) -> str:
    with open(file, encoding="utf-8") as opened:
        return opened.read(_FILE_MAX + 1)


async def _events(session: AdminSession, command: Invocation) -> list[str]:
    from aiovirt.daemons.virtd.faults.happenings import HAPPENINGS

    return list(HAPPENINGS)


async def _actions(session: AdminSession, command: Invocation) -> list[str]:
    from aiovirt.daemons.virtd.faults.rules import Action

    return list(Action)


async def _ids(session: AdminSession, command: Invocation) -> list[str]:
    from aiovirt.daemons.virtd.faults.client import FaultAdmin

    return [str(one.id) for one in await FaultAdmin(session.connection).list()]


def _named(name: str, help: str) -> Option:
    return Option(name, OptionKind.STRING, help, named_only=True)


COMMANDS: Final = (
    Command(
        "fault-add",
        _add,
        "add a rule by which calls, keepalives or events fail",
        "Add a rule of faults and print its id. A call or event that it matches is struck, by the"
        " first of the rules that does so. The actions: error, delay, hold-worker, drop-reply,"
        " cut-reply, close-before, close-after, mute-keepalive, lose-event, repeat-event, delay-event;"
        " for packets of open streams stream-error, stream-delay, stream-cut, stream-close; see"
        " faults.md. Rules are kept by a restart in place, not by another.",
        (
            Option("action", OptionKind.DATA, "the fault", required=True, complete=_actions),
            _named(
                "procedure", "the calls or events, a name or glob: DOMAIN_CREATE*; all if not given"
            ),
            _named("guest", "the domain that they are about, a name or glob; any if not given"),
            Option(
                "client",
                OptionKind.NUMBER,
                "the id of the client; all if not given",
                named_only=True,
            ),
            Option("times", OptionKind.NUMBER, "strike so often at most", named_only=True),
            Option("every", OptionKind.NUMBER, "strike every Nth that matches", named_only=True),
            _named("probability", "strike with this probability, up to 1"),
            Option(
                "seed", OptionKind.NUMBER, "the seed of the probability; default 0", named_only=True
            ),
            Option(
                "delay", OptionKind.NUMBER, "milliseconds to wait before the rest", named_only=True
            ),
            _named("code", "the code of the error: NO_DOMAIN, or a number"),
            _named("domain", "the domain of the error: QEMU; that of the driver if not given"),
            _named("text", "the text of the error; the phrase of the code if not given"),
            Option(
                "size",
                OptionKind.NUMBER,
                "bytes of a cut reply or packet; half of it if not given",
                named_only=True,
            ),
        ),
    ),
    Command(
        "fault-list",
        _list,
        "list the rules of faults",
        "List the rules with their counts: what matched, how often the rule struck, and the calls that"
        " it holds now.",
    ),
    Command(
        "fault-remove",
        _remove,
        "remove a rule of faults",
        "Remove a rule. Calls that it holds go on.",
        (Option("rule", OptionKind.NUMBER, "the id of the rule", required=True, complete=_ids),),
    ),
    Command(
        "fault-clear",
        _clear,
        "remove all rules of faults",
        "Remove all rules. Calls that they hold go on.",
    ),
    Command(
        "fault-event",
        _event,
        "let an event happen to a guest",
        "Let an event happen to a guest, whose state changes with it: crash, kill, io-error, watchdog,"
        " shutdown, reboot, start, stop, suspend, resume, pmsuspend, pmwakeup, agent-connect,"
        " agent-disconnect, agent-reply, behave, address; or only tell of it: lifecycle, rtc-change,"
        " balloon-change, tray-change, device-removed, device-removal-failed, control-error,"
        " memory-failure, block-threshold. faults.md has the values of each.",
        (
            Option("guest", OptionKind.DATA, "the name of the domain", required=True),
            Option("event", OptionKind.DATA, "the event", required=True, complete=_events),
            _named(
                "host", "the host: test, qemu, or test:CLIENT; the one with the domain if not given"
            ),
            Option("value", OptionKind.REST, "values of the event: disk=vda reason=enospc"),
        ),
    ),
    Command(
        "fault-script",
        _script,
        "play a scenario of faults and events",
        "Play the steps of a file in TOML in order: rules, waits until they have struck, events of"
        " guests, clocks; see faults.md. The file is checked as a whole before anything is done. Rules"
        " stay until a step or a command removes them.",
        (
            Option("file", OptionKind.DATA, "the file of the scenario", required=True),
            Option("check", OptionKind.FLAG, "only check the file"),
        ),
    ),
)
