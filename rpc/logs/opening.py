"""From an output, as an administrator writes it, to the opened sink that it leads to."""

from __future__ import annotations

from .outlet import OUTLET
from .settings import Destination, LogSettingError, Output
from .sinks import DatagramSink, FileSink, JournalSink, Sink, SinkPaths, StreamSink
from .writer import FileWriter, Writer


def open_sink(output: Output, paths: SinkPaths) -> Sink:
    """Open the sink of an output. Blocks when it is a file.

    syslog and the journal are not contacted yet: like libvirt, we accept such an output while the
    service is away, and records reach it once it is back.

    Raises:
        LogSettingError: (SYSTEM_ERROR) a file cannot be opened.
    """
    if output.destination is Destination.STDERR:
        return Writer(StreamSink(paths.stderr), OUTLET.settle)
    if output.destination is Destination.SYSLOG:
        return DatagramSink(paths.syslog)
    if output.destination is Destination.JOURNALD:
        return JournalSink(paths.journal)
    try:
        return FileWriter(FileSink(output.name or ""), OUTLET.settle)
    except (OSError, ValueError) as err:  # ValueError: a NUL inside the path
        reason = err.strerror if isinstance(err, OSError) else str(err)
        raise LogSettingError(
            f"log output '{output}' cannot be opened: {reason}; the outputs stay as they were",
            code_name="SYSTEM_ERROR",
            errno=getattr(err, "errno", 0) or 0,
        ) from err
