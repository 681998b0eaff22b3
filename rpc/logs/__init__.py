"""Logging with libvirt's filters and outputs, changeable while the daemon runs.

::

    _log = get_logger("rpc.server.client")
    _log.info("client connected", client=7, transport="unix")

    control = LogControl("virtd", level=3, filters="1:rpc", outputs="1:file:/var/log/virtd.log")
    control.set_outputs("1:journald 3:stderr")

Code that logs needs `get_logger`; the daemon owns one `LogControl`; the parsers check a setting
without applying it. Importing this opens nothing and does not import structlog: the first record
written does, or `load`.
"""

from .audience import FOLLOWERS_MAX, Following, TooManyFollowers
from .bridge import bridge_stdlib
from .control import LogControl
from .following import Batch, unfollowed
from .logger import Logger, get_logger, keep_room, load
from .settings import (
    Destination,
    Filter,
    Formats,
    Level,
    LogSettingError,
    Output,
    filters_text,
    outputs_text,
    parse_filters,
    parse_formats,
    parse_level,
    parse_outputs,
)
from .sinks import SinkPaths

__all__ = [
    "FOLLOWERS_MAX",
    "Batch",
    "Destination",
    "Filter",
    "Following",
    "Formats",
    "Level",
    "LogControl",
    "LogSettingError",
    "Logger",
    "Output",
    "SinkPaths",
    "TooManyFollowers",
    "bridge_stdlib",
    "filters_text",
    "get_logger",
    "keep_room",
    "load",
    "outputs_text",
    "parse_filters",
    "parse_formats",
    "parse_level",
    "parse_outputs",
    "unfollowed",
]
