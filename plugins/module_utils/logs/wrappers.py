# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What container engines and the journal wrap around a program's lines, and how a log's format is recognised."""

from __future__ import annotations

import typing as t

from .levels import level_of
from .model import Source
from .records import Record, RecordReader, json_object
from .search import Watch

_LONGEST_JOINED = 1 << 20
"""The engine splits lines at 16 KiB; no more characters than this are put together again."""


class DockerReader(RecordReader):
    """Files of Docker's driver json-file: one object a line, `log` with the program's own line, `stream` and `time`."""

    def __init__(self, source: Source, watch: Watch, **options: t.Any) -> None:
        super().__init__(source, watch, **options)
        self._parts: t.Dict[str, str] = {}

    def read_text(self, text: str) -> t.Optional[Record]:
        """See `RecordReader`; the parts of a line that the engine split are put together."""
        text = text.lstrip("\0")
        wrapper = json_object(text)
        if wrapper is None or not isinstance(wrapper.get("log"), str):
            return None if not text.strip() else self.payload(text, expect="json")
        stream = str(wrapper.get("stream"))
        joined = (self._parts.pop(stream, "") + wrapper["log"])[:_LONGEST_JOINED]
        if not wrapper["log"].endswith("\n") and len(joined) < _LONGEST_JOINED:
            self._parts[stream] = joined
            return None
        line = joined.rstrip("\r\n")
        if not line.strip():
            return None
        record = self.payload(line, expect="plain")
        when = self.times.value(wrapper.get("time"))
        record.time = record.time if when is None else when
        return record


class JournalReader(RecordReader):
    """What `journalctl -o json` writes (systemd.journal-fields(7), "JSON" of the Journal Export Formats)."""

    def read_text(self, text: str) -> t.Optional[Record]:
        """See `RecordReader`."""
        if not text.strip():
            return None
        entry = json_object(text.strip())
        if entry is None or "__REALTIME_TIMESTAMP" not in entry:
            return self.payload(text, expect="json")
        message = entry.get("MESSAGE")
        if isinstance(message, list):
            # What is not UTF-8 comes as numbers; a field that occurs several times as a list of texts.
            try:
                message = bytes(message).decode("utf-8", "replace")
            except (TypeError, ValueError):
                message = " ".join(str(part) for part in message)
        record = self.payload(str(message) if message is not None else "(a message too large to show)", expect="plain")
        record.time = self.times.value(_integer(entry["__REALTIME_TIMESTAMP"]))
        if record.level is None:
            record.level = level_of(entry.get("PRIORITY"))
        return record


def _integer(text: t.Any) -> t.Optional[int]:
    """Microseconds since 1970, which come as a text of digits."""
    return int(text) if isinstance(text, str) and text.isdigit() and len(text) < 20 else None


def reader_for(source: Source, watch: Watch, **options: t.Any) -> RecordReader:
    """The reader of a log whose format is known."""
    kinds: t.Dict[str, t.Type[RecordReader]] = {"docker": DockerReader, "journal": JournalReader}
    kind = kinds.get(source.format, RecordReader)
    return kind(source, watch, **options)


def format_of(beginning: bytes, stamped: bool = False) -> str:
    """The format of a log that begins so.

    Args:
        beginning: Its first lines; the last may be cut.
        stamped: Whether each begins with a time of the container engine's.
    """
    seen = {"json": 0, "plain": 0, "docker": 0, "journal": 0}
    for raw in beginning.split(b"\n")[:200]:
        line = raw.decode("utf-8", "replace").strip("\0 \r\t")
        if stamped:
            line = line.partition(" ")[2]
        if not line:
            continue
        members = json_object(line)
        if members is None:
            # The last line may be cut.
            seen["json" if line.startswith('{"') else "plain"] += 1
        elif "__REALTIME_TIMESTAMP" in members:
            seen["journal"] += 1
        elif isinstance(members.get("log"), str) and set(members) <= {"log", "stream", "time", "attrs"} and "time" in members:
            seen["docker"] += 1
        else:
            seen["json"] += 1
    if seen["docker"] or seen["journal"]:
        return "docker" if seen["docker"] >= seen["journal"] else "journal"
    return "json" if seen["json"] > seen["plain"] else "plain"
