"""Records of Python's own logging (asyncio's warnings, libraries') into these outputs.

Without it they would go to stderr as bare lines, and in the background nowhere.
"""

from __future__ import annotations

import logging

from .logger import get_logger


class StdlibBridge(logging.Handler):
    """A handler for the root logger of the `logging` module."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record under its logger's name; below warnings nothing is passed on by default."""
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        logger = get_logger(record.name)
        if record.levelno >= logging.ERROR:
            logger.error(record.getMessage(), **fields)
        elif record.levelno >= logging.WARNING:
            logger.warning(record.getMessage(), **fields)
        elif record.levelno >= logging.INFO:
            logger.info(record.getMessage(), **fields)
        else:
            logger.debug(record.getMessage(), **fields)


def bridge_stdlib() -> None:
    """Send the records of Python's `logging` through these outputs from now on."""
    logging.basicConfig(handlers=[StdlibBridge()], force=True)
