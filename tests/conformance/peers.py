"""The daemons that are judged, and the settings that they are judged with."""

from __future__ import annotations

from collections.abc import Callable

from tests import harness

Daemons = Callable[[str], harness.RunningDaemon]

_CLIENTS = {"max_clients": 100}
_WORKERS = {"min_workers": 5, "max_workers": 20, "prio_workers": 5, "max_anonymous_clients": 20}
_IN_ORDER = {"admin_min_workers": 1, "admin_max_workers": 1}
_FULL: harness.Settings = {**_CLIENTS, **_WORKERS, **_IN_ORDER}

PEERS: dict[str, harness.Settings] = {
    "libvirtd": _FULL,
    "virtlogd": _CLIENTS,
    "virtd": _FULL,
    "lockd": _FULL,
    "logd": _FULL,
}
"""By name. One worker at the admin server serves calls in the order in which they came, so that
silence can be told from slowness. The name is that of the daemon's own server, too."""

LOCK_PEERS: dict[str, harness.Settings] = {"virtlockd": _CLIENTS, "lockd": _CLIENTS}
"""Those that keep locks."""

LOG_PEERS: dict[str, harness.Settings] = {
    name: {**_CLIENTS, "max_size": 1000, "max_backups": 2} for name in ("virtlogd", "logd")
}
"""Those that keep logs. Files that are full soon make a rotation cheap."""
