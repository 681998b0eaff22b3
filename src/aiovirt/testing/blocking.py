"""Calls of the asyncio API that wait for their answer, with or without an event loop around them."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_apart(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in a thread with an event loop of its own, and return its result.

    The caller's thread may have a running loop; that loop waits meanwhile.
    """
    import asyncio
    import threading

    answers: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with asyncio.Runner() as runner:
                answers.append(runner.run(coroutine))
        except BaseException as error:  # it is raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="aiovirt.testing", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]
