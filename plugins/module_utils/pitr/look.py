# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What an archive can give back now, how far it lags behind the server, and whether all of it is what was written."""

from __future__ import annotations

import re
import time
import typing as t

from ..errors import BadInput, SetDamaged
from ..readable import span
from .archive import Window, first_commit_after, history, holdings, live_timeline, require_stanza, segment_bytes, window
from .choice import position, reach, segment_number, utc
from .model import Archive
from .program import call
from .server import archiver, is_failing

_TROUBLE = re.compile(
    "invalid checksum|invalid result|invalid size|file missing|missing file|unable to|status: invalid|no (?:backup|archive)s? exist"
)


def information(archive: Archive) -> t.Dict[str, t.Any]:
    """Look at archive and server.

    Returns:
        `oldest_restorable_at`, `newest_restorable_at` (UTC ISO 8601, empty when there is none), `backups`, `missing_segment`,
        `server_answers`, `archive_failing`, `last_archived_at`, `last_failed_at`, `waiting_segments`, `unarchived_bytes`,
        `archive_timeout_s` (of the server when it answers, else of the profile), `archive_problem` (why nothing can be built on the
        archive; empty when all is well), and `rpo_s`: seconds of work that would be lost if the server were lost now, counted from the
        first commit that is not archived, or from the last one that is when the server's own log is gone; null when it cannot be told.

    Raises:
        RunbookError: The archive cannot be read.
    """
    told = archiver(archive)  # asked first: what it calls archived is there when the archive is listed
    found = holdings(archive)
    if not found.exists:
        return {"changed": False, "is_set_up": False, "backups": [], "oldest_restorable_at": "", "newest_restorable_at": "", "rpo_s": None}
    require_stanza(archive, found)
    live = live_timeline(archive)
    along = history(archive, found, live if live == 1 or live in found.histories else 0)
    whole = window(archive, found, along)
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
    lost_since: t.Optional[float] = whole.last or None
    if told is not None:
        result.update(
            archive_failing=is_failing(told),
            last_archived_at=utc(told["last_archived_at"]) if told["last_archived_at"] else "",
            last_failed_at=utc(told["last_failed_at"]) if told["last_failed_at"] else "",
            waiting_segments=int(told["waiting"]),
            unarchived_bytes=_unarchived_bytes(told, whole.newest_segment),
        )
        if is_failing(told):
            result["notes"].append(
                f"the server cannot archive its log since {result['last_archived_at'] or 'it was set up'}; {told['waiting']} segments wait"
            )
    first = first_commit_after(archive, whole.newest_segment) if lost_since and not whole.missing else None
    lost_since = lost_since if first is None else first or now
    if whole.missing:
        result["notes"].append(f"segment {whole.missing} is missing in the archive: take a full backup now")
    result["rpo_s"] = None if lost_since is None else round(max(now - lost_since, 0.0), 1)
    result["archive_timeout_s"] = archive.archive_timeout_s if told is None else told["timeout_s"]
    result["archive_problem"] = _problem(archive, told, whole, found.files, result["rpo_s"])
    return result


def _problem(
    archive: Archive,
    told: t.Optional[t.Mapping[str, t.Any]],
    whole: Window,
    archived: t.Container[str],
    lag_s: t.Optional[float],
) -> str:
    """Why nothing can be built on the archive; empty when all is well, or nobody can tell since the server does not answer."""
    if whole.oldest is None:
        return "the archive holds no backup"
    if whole.missing:
        return f"segment {whole.missing} is missing in the archive, and nothing behind it can be restored"
    if told is None:
        return ""
    last, since = told["last_archived"][:24], utc(told["last_archived_at"]) if told["last_archived_at"] else "it was set up"
    if told["mode"] == "off" or told["command"] in ("", "(disabled)"):
        return f"the server does not archive (archive_mode is {told['mode']}, archive_command {told['command']!r})"
    if is_failing(told):
        return f"archive_command fails, and nothing was archived since {since} ({told['waiting']} segments wait)"
    if len(last) == 24 and last not in archived:
        return f"the server counts {last} as archived, and it is not there (archive_command is {told['command']!r})"
    if not told["timeout_s"]:
        return "archive_timeout is 0, so a segment is archived only when it is full"
    enough_s = told["timeout_s"] + archive.wal_wait_s
    if lag_s is not None and lag_s > enough_s:
        return f"what was committed {span(lag_s)} ago is not archived, and {span(enough_s)} are enough for that"
    return ""


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
