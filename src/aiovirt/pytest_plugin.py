"""The pytest plugin: fixtures with daemons for tests. docs/testing.md describes them.

It is loaded by its entry point wherever the package is installed, so it imports nothing of the package
until one of its fixtures is used, and has no hook that runs for each test until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from aiovirt.testing import Daemon, Lockd, Logd, Virtd

_Scope = Literal["function", "class", "module", "package", "session"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option for the scope."""
    parser.addini(
        "aiovirt_scope",
        "scope of the fixtures virtd, lockd, logd and aiovirt_daemons (default: function)",
        default="function",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for name in ("virtd", "lockd", "logd"):
        config.addinivalue_line(
            "markers", f"{name}(**options): start {name} with these, see aiovirt.testing.start"
        )


def _scope(fixture_name: str, config: pytest.Config) -> _Scope:
    return config.getini("aiovirt_scope")  # type: ignore[no-any-return]  # pytest checks it


def _factory() -> Iterator[Callable[..., Any]]:
    """Start any number of daemons, and end them after the test, the module or the session."""
    from aiovirt.testing import start

    with ExitStack() as stack:

        def begin(name: str, **options: Any) -> Daemon:
            daemon = start(name, **options)
            stack.callback(daemon.close)
            return daemon

        yield begin


def _started(name: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Start one with the options of its marker."""
    marker = request.node.get_closest_marker(name)
    for begin in _factory():
        yield begin(name, **(marker.kwargs if marker else {}))


@pytest.fixture(scope=_scope)
def virtd(request: pytest.FixtureRequest) -> Iterator[Virtd]:
    """A running virtd for this test, or for the scope that the ini option aiovirt_scope names."""
    yield from _started("virtd", request)


@pytest.fixture(scope="module")
def virtd_module(request: pytest.FixtureRequest) -> Iterator[Virtd]:
    """A running virtd for the tests of a module."""
    yield from _started("virtd", request)


@pytest.fixture(scope="session")
def virtd_session(request: pytest.FixtureRequest) -> Iterator[Virtd]:
    """A running virtd for all tests of a process."""
    yield from _started("virtd", request)


@pytest.fixture(scope=_scope)
def lockd(request: pytest.FixtureRequest) -> Iterator[Lockd]:
    """A running lockd for this test, or for the scope that the ini option aiovirt_scope names."""
    yield from _started("lockd", request)


@pytest.fixture(scope="module")
def lockd_module(request: pytest.FixtureRequest) -> Iterator[Lockd]:
    """A running lockd for the tests of a module."""
    yield from _started("lockd", request)


@pytest.fixture(scope="session")
def lockd_session(request: pytest.FixtureRequest) -> Iterator[Lockd]:
    """A running lockd for all tests of a process."""
    yield from _started("lockd", request)


@pytest.fixture(scope=_scope)
def logd(request: pytest.FixtureRequest) -> Iterator[Logd]:
    """A running logd for this test, or for the scope that the ini option aiovirt_scope names."""
    yield from _started("logd", request)


@pytest.fixture(scope="module")
def logd_module(request: pytest.FixtureRequest) -> Iterator[Logd]:
    """A running logd for the tests of a module."""
    yield from _started("logd", request)


@pytest.fixture(scope="session")
def logd_session(request: pytest.FixtureRequest) -> Iterator[Logd]:
    """A running logd for all tests of a process."""
    yield from _started("logd", request)


@pytest.fixture(scope=_scope)
def aiovirt_daemons() -> Iterator[Callable[..., Any]]:
    """`aiovirt_daemons("virtd", world=..., settings=...)` starts any number of daemons."""
    yield from _factory()


@pytest.fixture(scope="module")
def aiovirt_daemons_module() -> Iterator[Callable[..., Any]]:
    """The same, ending with the module."""
    yield from _factory()


@pytest.fixture(scope="session")
def aiovirt_daemons_session() -> Iterator[Callable[..., Any]]:
    """The same, ending with the session."""
    yield from _factory()
