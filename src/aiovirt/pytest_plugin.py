"""The pytest plugin by the name of a module, for `-p aiovirt.pytest_plugin` and for conftest.py:

    pytest_plugins = ["aiovirt.pytest_plugin"]

It adds the fixtures where pytest does not load plugins by their entry points, and does nothing where it
has loaded them: pytest refuses one module under two names.
"""

from __future__ import annotations

from typing import Final

import pytest

from aiovirt import pytest_fixtures

#: The name of the entry point.
_NAME: Final = "aiovirt"


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the fixtures, unless they are there or unwanted (`-p no:aiovirt`)."""
    if pluginmanager.is_registered(pytest_fixtures) or pluginmanager.is_blocked(_NAME):
        return
    # An installation of an earlier version has this module as the plugin of that name.
    pluginmanager.register(pytest_fixtures, None if pluginmanager.has_plugin(_NAME) else _NAME)
