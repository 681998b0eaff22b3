"""The pytest plugin: fixtures with daemons for tests. docs/testing.md describes them.

It is loaded by its entry point wherever the package is installed, so it imports nothing of the package
until one of its fixtures is used, and has no hook that runs for each test until then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

import pytest

if TYPE_CHECKING:
    from aiovirt.testing import Daemon

#: The name of the part that shows logs, among pytest's plugins.
_LOGS: Final = "aiovirt logs"
#: The daemons, their fixtures and their markers.
_NAMES: Final = ("virtd", "lockd", "logd")
#: Characters of a log in a report.
_SHOWN: Final = 20_000

_Scope = Literal["function", "class", "module", "package", "session"]


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the ini option for the scope, and have our modules imported as any others.

    For asserts that explain themselves, pytest compiles all modules of a plugin's distribution anew,
    which more than doubles the time of their imports. Nothing public prevents that.
    """
    marked = getattr(pluginmanager.rewrite_hook, "_must_rewrite", None)
    if isinstance(marked, set):
        marked.discard("aiovirt")
    parser.addini(
        "aiovirt_scope",
        "scope of the fixtures virtd, lockd, logd and aiovirt_daemons (default: function)",
        default="function",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and check the ini option."""
    scope, scopes = config.getini("aiovirt_scope"), get_args(_Scope)
    if scope not in scopes:
        raise pytest.UsageError(f"aiovirt_scope is one of {', '.join(scopes)}, not {scope!r}")
    for name in _NAMES:
        config.addinivalue_line(
            "markers", f"{name}(**options): start {name} with these, see aiovirt.testing.start"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Warn of markers on tests whose daemon is for more than one test."""
    scope = config.getini("aiovirt_scope")
    if scope == "function":
        return
    for item in items:
        for marker in item.own_markers:
            if marker.name in _NAMES and marker.name in getattr(item, "fixturenames", ()):
                text = f"the marker {marker.name} of a test is ignored: aiovirt_scope is {scope}"
                item.warn(pytest.PytestWarning(text))


def _scope(fixture_name: str, config: pytest.Config) -> _Scope:
    return config.getini("aiovirt_scope")  # type: ignore[no-any-return]  # pytest checks it


#: The scopes in which each fixture exists, and their users.
_SCOPES: Final[tuple[tuple[Any, str], ...]] = (
    (_scope, "this test, or for the scope that the ini option aiovirt_scope names"),
    ("module", "the tests of a module"),
    ("session", "all tests of a process"),
)


class _Logs:
    """Shows the logs of daemons in the reports of failed tests; registered by the first daemon."""

    def __init__(self) -> None:
        self._running: dict[Daemon, int] = {}

    @classmethod
    def of(cls, config: pytest.Config) -> _Logs:
        """Return that of a run of pytest."""
        found = config.pluginmanager.get_plugin(_LOGS)
        if found is None:
            found = cls()
            config.pluginmanager.register(found, _LOGS)
        return cast(_Logs, found)

    def add(self, daemon: Daemon) -> None:
        """Show what a daemon logs from now on."""
        self._running[daemon] = 0

    def remove(self, daemon: Daemon) -> None:
        """Forget a daemon that ends."""
        del self._running[daemon]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Add what was logged during the test."""
        report = (yield).get_result()
        for daemon, begin in list(self._running.items()):  # a thread may start one now
            text = daemon.log.text(begin)[-_SHOWN:] if report.failed else ""
            if text:
                report.sections.append((f"Captured {daemon.name} log", text))
            if call.when == "teardown":
                self._running[daemon] = daemon.log.size


def _factory(config: pytest.Config) -> Iterator[Callable[..., Any]]:
    """Start any number of daemons, and end them after the test, the module or the session."""
    from aiovirt.testing import start

    logs = _Logs.of(config)
    with ExitStack() as stack:

        def begin(name: str, **options: Any) -> Daemon:
            __tracebackhide__ = True
            daemon = start(name, **options)
            stack.callback(daemon.close)
            logs.add(daemon)
            stack.callback(logs.remove, daemon)
            return daemon

        yield begin


def _started(name: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Start one with the options of its markers; those of the nearest one count first."""
    __tracebackhide__ = True
    options: dict[str, Any] = {}
    for marker in request.node.iter_markers(name):
        if marker.args:
            pytest.fail(
                f"the marker {name} takes options by name, as in {name}(settings=...): {marker.args!r}",
                pytrace=False,
            )
        options = {**marker.kwargs, **options}
    for begin in _factory(request.config):
        yield begin(name, **options)


def _fixtures(text: str, serve: Callable[[pytest.FixtureRequest], Iterator[Any]]) -> Iterator[Any]:
    """Make a fixture for each of _SCOPES.

    Args:
        text: for `pytest --fixtures`; the users are added.
        serve: the function of the fixture.
    """
    for scope, users in _SCOPES:

        def fixture(request: pytest.FixtureRequest) -> Iterator[Any]:
            yield from serve(request)

        fixture.__doc__ = f"{text} for {users}."
        yield pytest.fixture(scope=scope)(fixture)


virtd, virtd_module, virtd_session = _fixtures("A running virtd", partial(_started, "virtd"))
lockd, lockd_module, lockd_session = _fixtures("A running lockd", partial(_started, "lockd"))
logd, logd_module, logd_session = _fixtures("A running logd", partial(_started, "logd"))
aiovirt_daemons, aiovirt_daemons_module, aiovirt_daemons_session = _fixtures(
    '`aiovirt_daemons("virtd", world=..., settings=...)` starts any number of daemons',
    lambda request: _factory(request.config),
)
