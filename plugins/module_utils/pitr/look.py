# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What an archive can give back now, how far it lags behind the server, and whether all of it is what was written."""

from __future__ import annotations

import re
import time
import typing as t

from ..errors import BadInput, SetDamaged
from .archive import history, holdings, live_timeline, require_stanza, segment_bytes, window
from .choice import position, reach, segment_number, utc
from .model import Archive
from .program import call
from .server import archiver, is_failing

_NOTHING_YET_BYTES = 8192
"""What a segment holds before anybody writes: its header, and a checkpoint's own records."""
_TROUBLE = re.compile(
    "invalid checksum|invalid result|invalid size|file missing|missing file|unable to|status: invalid|no (?:backup|archive)s? exist"
)


def information(archive: Archive) -> t.Dict[str, t.Any]:
    """Look at archive and server.

    Returns:
        `oldest_restorable_at`, `newest_restorable_at` (UTC ISO 8601, empty when there is none), `backups`, `missing_segment`,
        `server_answers`, `archive_failing`, `last_archived_at`, `last_failed_at`, `waiting_segments`, `unarchived_bytes`, and
        `rpo_s`: seconds of work that would be lost if the server were lost now; null when it cannot be told.

    Raises:
        RunbookError: The archive cannot be read.
    """
    found = holdings(archive)
    if not found.exists:
        return {"changed": False, "is_set_up": False, "backups": [], "oldest_restorable_at": "", "newest_restorable_at": "", "rpo_s": None}
    require_stanza(archive, found)
    live = live_timeline(archive)
    along = history(archive, found, live if live == 1 or live in found.histories else 0)
    whole = window(archive, found, along)
    told = archiver(archive)
    result: t.Dict[str, t.Any] = {
        "changed": False,
        "is_set_up": True,
        "stanza": archive.stanza,
        "repository": str(archive.repository),
        "system_identifier": found.system_identifier,
        "timeline": along[-1][0],
        "backups": [one.told() for one in found.backups],
        "oldest_restorable_at": utc(whole.first) if whole.oldest else "",
        "newest_restorable_at": utc(whole.newest_whole_second) if whole.last > whole.first else "",
        "missing_segment": whole.missing,
        "server_answers": told is not None,
        "notes": [],
    }
    now = time.time()
    lost_since: t.Optional[float] = now - whole.last if whole.last else None
    if told is not None:
        behind = _unarchived_bytes(told, whole.newest_segment)
        result.update(
            archive_failing=is_failing(told),
            last_archived_at=utc(told["last_archived_at"]) if told["last_archived_at"] else "",
            last_failed_at=utc(told["last_failed_at"]) if told["last_failed_at"] else "",
            waiting_segments=int(told["waiting"]),
            unarchived_bytes=behind,
        )
        if is_failing(told):
            result["notes"].append(
                f"the server cannot archive its log since {result['last_archived_at'] or 'it was set up'}; {told['waiting']} segments wait"
            )
        if lost_since is not None and behind <= _NOTHING_YET_BYTES:
            lost_since = 0.0
    if whole.missing:
        result["notes"].append(f"segment {whole.missing} is missing in the archive: take a full backup now")
    return {**result, "rpo_s": None if lost_since is None else round(max(lost_since, 0.0), 1)}


def _unarchived_bytes(told: t.Mapping[str, t.Any], newest_segment: str) -> int:
    """Bytes of the live server's log behind the newest archived segment (16 MB segments; larger ones make it look worse, never better)."""
    if not newest_segment:
        return position(told["position"])
    return max(0, position(told["position"]) - (segment_number(newest_segment) + 1) * (16 << 20))


def verify(archive: Archive) -> t.Dict[str, t.Any]:
    """Let pgBackRest read every file of every backup and of the log, and look for gaps in the log.

    `pgbackrest verify` ends with 0 whatever it finds (2.45), and says nothing of a segment that is missing: so its words are read, and the
    log's row is checked here.

    Raises:
        SetDamaged: Something is not what was written.
        BadInput: There is no backup.
    """
    found = holdings(archive)
    require_stanza(archive, found)
    if not found.backups:
        raise BadInput("The archive holds no backup", where=f"stanza {archive.stanza}", next_step="take one first")
    said = call(archive, "--log-level-console=info", "verify").stdout
    problems = [_short(line) for line in said.splitlines() if _TROUBLE.search(line)]
    if "status: error" in said and not problems:
        problems = [line.strip() for line in said.splitlines() if line.strip()][-5:]
    along = history(archive, found, 0)
    # What lies before the newest full backup cannot be mended any more; it goes with the backups before it.
    newest_full = [one for one in found.backups if one.type == "full"][-1]
    gap, old_gap = (reach(one.wal_start, found.files, along, segment_bytes(archive))[1] for one in (newest_full, found.backups[0]))
    if gap:
        problems.append(f"segment {gap} of the log is missing")
    notes = [f"segment {old_gap} of the log is missing: moments between it and {newest_full.label} cannot be restored"] if old_gap else []
    if problems:
        raise SetDamaged(
            "The archive is damaged",
            where=f"stanza {archive.stanza}, {archive.repository}",
            why="; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""),
            next_step="take a full backup now; moments that need the damaged files cannot be restored",
            facts={"problems": problems[:100]},
        )
    return {
        "changed": False,
        "backups": [one.told() for one in found.backups],
        "segments": len(found.files),
        "problems": [],
        "notes": notes,
    }


def _short(line: str) -> str:
    return re.sub(r"^.*?(?:INFO|WARN|ERROR): +", "", line).strip()
