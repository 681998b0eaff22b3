"""Signals as bytes: each is acted upon once, in order, by this program or by the next."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from aiovirt.daemons.runtime.handover import signals
from aiovirt.daemons.runtime.handover.signals import HANDLED, Signals
from tests.unit.house import eventually


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The handlers, the wakeup descriptor and the mask belong to the whole process."""
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(descriptor)
    signals.unblock()


def _noting(got: list[int]) -> Signals:
    return Signals({number: lambda number=number: got.append(number) for number in HANDLED})


async def test_they_are_acted_upon_in_the_order_in_which_they_came() -> None:
    got: list[int] = []
    noted = _noting(got)
    sent = [signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM]
    for number in sent:
        os.kill(os.getpid(), number)
    await eventually(lambda: got == sent)
    noted.close()


async def test_those_that_another_thread_gets_are_not_lost_while_this_one_has_them_blocked() -> (
    None
):
    got: list[int] = []
    noted = _noting(got)
    signals.block()
    thread = threading.Thread(
        target=lambda: (signals.unblock(), signal.raise_signal(signal.SIGTERM))
    )
    thread.start()
    thread.join()
    heir: list[int] = []
    successor = Signals({signal.SIGTERM: lambda: heir.append(signal.SIGTERM)})
    successor.take_over(os.dup(noted.descriptor))
    assert (got, heir) == ([], [signal.SIGTERM])
    successor.close()
    noted.close()


async def test_blocked_ones_wait_in_the_kernel() -> None:
    got: list[int] = []
    noted = _noting(got)
    signals.block()
    signal.raise_signal(signal.SIGHUP)  # to this thread
    await asyncio.sleep(0)
    assert got == []
    assert signal.SIGHUP in signal.sigpending()
    signals.unblock()
    await eventually(lambda: got == [signal.SIGHUP])
    noted.close()


async def test_a_predecessor_that_left_nothing_and_one_that_left_no_descriptor_are_no_matter() -> (
    None
):
    got: list[int] = []
    noted = _noting(got)
    one, other = socket.socketpair()
    noted.take_over(one.detach())
    noted.take_over(1 << 20)
    assert got == []
    other.close()
    noted.close()
    assert signal.set_wakeup_fd(-1) == -1


async def test_a_storm_of_signals_drops_none_of_those_that_came() -> None:
    got: list[int] = []
    noted = _noting(got)
    for number in [*[signal.SIGHUP] * 2000, signal.SIGTERM]:
        os.kill(os.getpid(), number)
    await eventually(lambda: signal.SIGTERM in got)
    assert got == [signal.SIGHUP, signal.SIGTERM]
    noted.close()


async def test_a_storm_before_a_restart_reaches_the_next_program() -> None:
    got: list[int] = []
    noted = _noting(got)
    for number in [*[signal.SIGHUP] * 2000, signal.SIGTERM]:
        os.kill(os.getpid(), number)
    noted.make_room()
    heir: list[int] = []
    successor = Signals({number: lambda number=number: heir.append(number) for number in HANDLED})
    successor.take_over(os.dup(noted.descriptor))
    assert (got, heir) == ([], [signal.SIGHUP, signal.SIGTERM])
    successor.close()


async def test_none_has_an_effect_on_a_daemon_that_has_ended() -> None:
    """The interpreter gives handlers in Python their default effect back before it is gone."""
    noted = _noting([])
    noted.close()
    assert {signal.getsignal(number) for number in HANDLED} == {signal.SIG_IGN}
