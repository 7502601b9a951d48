# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service's log: one JSON object a line."""

from __future__ import annotations

import json
import logging
import logging.handlers
from datetime import UTC, datetime

from .settings import Settings


class _JsonLines(logging.Formatter):
    def __init__(self, colour: str) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, message, and what the caller gave as `extra={"fields": {...}}`."""
        fields = getattr(record, "fields", {})
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"timestamp": when, "level": record.levelname, "colour": self._colour, "message": record.getMessage(), **fields}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def logger_for(settings: Settings) -> logging.Logger:
    """The log of this instance. A file that is rotated away is opened anew."""
    handler: logging.Handler
    handler = logging.handlers.WatchedFileHandler(settings.log_file) if settings.log_file else logging.StreamHandler()
    handler.setFormatter(_JsonLines(settings.colour))
    logger = logging.getLogger("reference_service")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    return logger
