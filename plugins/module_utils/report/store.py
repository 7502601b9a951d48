# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The folder of a service's reports: `<time>_<kind>.html`, `.md` and `.json`, and `index.html` with all of them."""

from __future__ import annotations

import json
import os
import re
import typing as t
from datetime import datetime, timedelta, timezone

from ..errors import BadInput
from ..files import locked, write_atomically
from ..state import file_mode, make_folder, slug, utc_time
from .html import as_html, as_index
from .kinds import KINDS
from .markdown import as_markdown

_STEM = re.compile(r"(\d{8}T\d{6}Z)_([a-z_]+)")
_ENDINGS = (".html", ".md", ".json")
_OTHER_KINDS = ("load_test",)
"""Kinds of reports that are not made here, and kept with the others."""
_INDEX = "index.html"
_CATALOGUE = "index.json"
_LOCK, _LOCK_WAIT_S = ".lock", 10.0


def folder_of(state: str, service: str) -> str:
    """The folder of a service's reports below the state folder.

    Raises:
        BadInput: The service's name has no letter or digit that a folder's name could have.
    """
    name = slug(service)
    if not name:
        raise BadInput("Reports need the name of the service", where=repr(service[:60]), next_step="set service_name in the profile")
    return os.path.join(state, "reports", name)


def stem_of(report: t.Mapping[str, t.Any]) -> str:
    """The file name of a report without its ending: `20261121T090000Z_morning_check`."""
    return f"{utc_time(report['at']):%Y%m%dT%H%M%SZ}_{report['kind']}"


def write(folder: str, report: t.Mapping[str, t.Any], keep_days: float = 0) -> t.Tuple[t.Dict[str, str], t.List[str]]:
    """Write the three files of a report and the index of all; each appears whole or not at all.

    Args:
        folder: Where they are kept; made when it is missing.
        report: What `kinds.document` made.
        keep_days: Older reports are removed; 0 keeps all.

    Returns:
        Paths by `html`, `markdown`, `json` and `index`; names of the files that were removed.

    Raises:
        NoSpace: The disk is full; what was there stays.
        BadInput: The folder cannot be used.
    """
    make_folder(os.path.dirname(folder))
    make_folder(folder)
    stem, mode = stem_of(report), file_mode(folder)
    shown = {
        "json": (stem + ".json", json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"),
        "markdown": (stem + ".md", as_markdown(report)),
        "html": (stem + ".html", as_html(report)),
    }
    for name, content in shown.values():
        write_atomically(os.path.join(folder, name), content.encode("utf-8", "replace"), mode)
    # Two reports that are made at once would each list only its own; who cannot wait leaves it to the next report to list both.
    with locked(os.path.join(folder, _LOCK), wait_s=_LOCK_WAIT_S):
        removed = _prune(folder, utc_time(report["at"]), keep_days)
        _write_index(folder, {**_entry(report), "file": stem}, str(report["service"]["title"]), mode)
    paths = {kind: os.path.join(folder, name) for kind, (name, _content) in shown.items()}
    return {**paths, "index": os.path.join(folder, _INDEX)}, removed


def _write_index(folder: str, newest: t.Mapping[str, t.Any], service: str, mode: int) -> None:
    entries = _entries(folder, newest)
    write_atomically(
        os.path.join(folder, _CATALOGUE), (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"), mode
    )
    write_atomically(os.path.join(folder, _INDEX), as_index(service, entries).encode("utf-8", "replace"), mode)


def _entry(report: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    headline = str(report["headline"])
    return {
        "title": report["title"],
        "kind": report["kind"],
        "at": report["at"],
        "verdict": report["verdict"],
        "headline": headline if len(headline) <= 300 else headline[:297] + "...",
    }


def _stems(folder: str) -> t.List[str]:
    """Names without ending of the reports that are there whole, the newest first. The page is written last."""
    names = {name for name in os.listdir(folder) if not name.startswith(".")}
    stems = {os.path.splitext(name)[0] for name in names if name.endswith(".html")}
    return sorted((stem for stem in stems if _STEM.fullmatch(stem) and f"{stem}.json" in names), reverse=True)


def _entries(folder: str, newest: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """What the index lists. It is made from the files; the old index only saves reading them all again."""
    known: t.Dict[str, t.Dict[str, t.Any]] = {}
    try:
        with open(os.path.join(folder, _CATALOGUE), encoding="utf-8") as stream:
            known = {str(entry["file"]): entry for entry in json.load(stream) if _usable(entry)}
    except (OSError, ValueError, TypeError, KeyError):
        pass  # it is made anew
    known[str(newest["file"])] = dict(newest)
    found = []
    for stem in _stems(folder):
        entry = known.get(stem) or _read(folder, stem)
        if entry:
            found.append(entry)
    return found


def _read(folder: str, stem: str) -> t.Optional[t.Dict[str, t.Any]]:
    try:
        with open(os.path.join(folder, f"{stem}.json"), encoding="utf-8") as stream:
            entry = {**_entry(json.load(stream)), "file": stem}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return entry if _usable(entry) else None


def _usable(entry: t.Mapping[str, t.Any]) -> bool:
    try:
        utc_time(entry["at"])
    except (TypeError, ValueError, KeyError):
        return False
    return all(isinstance(entry.get(key), str) for key in ("file", "title", "kind", "verdict", "headline")) and entry["kind"] in (
        *KINDS,
        *_OTHER_KINDS,
    )


def _prune(folder: str, now: datetime, keep_days: float) -> t.List[str]:
    if not keep_days > 0:
        return []
    removed = []
    for name in os.listdir(folder):
        stem, ending = os.path.splitext(name)
        made = _STEM.fullmatch(stem)
        if made and ending in _ENDINGS:
            at = datetime.strptime(made.group(1), "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
            if now - at > timedelta(days=keep_days):
                os.unlink(os.path.join(folder, name))
                removed.append(name)
    return sorted(removed)
