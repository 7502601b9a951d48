# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The text of a logrotate configuration, made from what a profile says; see logrotate(8)."""

from __future__ import annotations

import os
import re
import shlex
import typing as t

from ..errors import BadInput

MARK = "# Made by sre.runbooks.log_rotation for {}; changes made here are lost at its next run."
FREQUENCIES = ("hourly", "daily", "weekly", "monthly", "yearly")
_SIZE = re.compile(r"[1-9][0-9]*[kMG]?")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
_MODE = re.compile(r"0?[0-7]{3}")
_KEYS = {
    "name",
    "paths",
    "frequency",
    "size",
    "rotate",
    "max_age_days",
    "compress",
    "delay_compress",
    "copytruncate",
    "date_in_name",
    "create",
    "account",
    "postrotate",
}


def render(service: str, entries: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The configuration file for a service; empty where there are no entries.

    Raises:
        BadInput: An entry makes no sense.
    """
    if not entries:
        return ""
    return "\n".join([MARK.format(service), *(_entry(entry) for entry in entries)])


def _entry(entry: t.Mapping[str, t.Any]) -> str:
    name = str(entry.get("name") or "")
    unknown = sorted(set(entry) - _KEYS)
    if unknown or not re.fullmatch(r"[\w .-]+", name):
        why = f"unknown keys: {', '.join(unknown)}" if unknown else f"name is {name!r}"
        raise BadInput(
            "A log rotation is not as it should be", where=name, why=why, next_step="correct maintenance_log_rotations of the profile"
        )
    lines = [*_when(name, entry), *_what_becomes(name, entry), *_how(name, entry), "missingok", "notifempty", *_afterwards(name, entry)]
    head = " ".join(_path(name, path) for path in _words(name, entry, "paths"))
    return "\n".join([f"# {name}", f"{head} {{", *(f"    {line}" for line in lines), "}", ""])


def _when(name: str, entry: t.Mapping[str, t.Any]) -> t.List[str]:
    frequency, limit = entry.get("frequency"), entry.get("size")
    if frequency is not None and frequency not in FREQUENCIES:
        raise _wrong(name, "frequency", frequency, ", ".join(FREQUENCIES))
    if limit is not None and not _SIZE.fullmatch(str(limit)):
        raise _wrong(name, "size", limit, "bytes, or a number with k, M or G")
    if frequency is None and limit is None:
        raise _wrong(name, "frequency", frequency, "that or a size is needed")
    # `size` alone makes logrotate forget the frequency; with both, whichever comes first counts.
    return [word for word in (frequency, limit and f"{'maxsize' if frequency else 'size'} {limit}") if word]


def _what_becomes(name: str, entry: t.Mapping[str, t.Any]) -> t.List[str]:
    lines = [f"rotate {_whole(name, entry, 'rotate', 7, 0)}"]
    if entry.get("max_age_days") is not None:
        lines.append(f"maxage {_whole(name, entry, 'max_age_days', 0, 1)}")
    if _flag(name, entry, "compress", True):
        lines.append("compress")
        lines += ["delaycompress"] if _flag(name, entry, "delay_compress", False) else []
    else:
        lines.append("nocompress")
    if _flag(name, entry, "date_in_name", True):
        # To the second: several rotations a day must not meet.
        lines += ["dateext", "dateformat -%Y%m%d-%s"]
    return lines


def _how(name: str, entry: t.Mapping[str, t.Any]) -> t.List[str]:
    lines = []
    if _flag(name, entry, "copytruncate", False):
        if entry.get("create") or _flag(name, entry, "delay_compress", False):
            raise _wrong(name, "copytruncate", True, "it goes neither with create nor with delay_compress")
        lines.append("copytruncate")
    if entry.get("create"):
        words = str(entry["create"]).split()
        if not (len(words) == 3 and _MODE.fullmatch(words[0]) and all(_ACCOUNT.fullmatch(word) for word in words[1:])):
            raise _wrong(name, "create", entry["create"], "mode, owner and group, such as 0640 app app")
        lines.append(f"create {' '.join(words)}")
    if entry.get("account"):
        words = str(entry["account"]).split()
        if not (len(words) == 2 and all(_ACCOUNT.fullmatch(word) for word in words)):
            raise _wrong(name, "account", entry["account"], "user and group, such as app app")
        lines.append(f"su {' '.join(words)}")
    return lines


def _afterwards(name: str, entry: t.Mapping[str, t.Any]) -> t.List[str]:
    if not entry.get("postrotate"):
        return []
    words = _words(name, entry, "postrotate")
    return ["sharedscripts", "postrotate", f"    {' '.join(shlex.quote(word) for word in words)}", "endscript"]


def _words(name: str, entry: t.Mapping[str, t.Any], key: str) -> t.List[str]:
    value = entry.get(key)
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(one, str) and one and "\n" not in one for one in value):
        raise _wrong(name, key, value, "a list of texts of one line each")
    return list(value)


def _path(name: str, path: str) -> str:
    if not os.path.isabs(path) or any(sign in path for sign in '"{}\\') or path.rstrip("*?").endswith("/"):
        raise _wrong(name, "paths", path, "an absolute path of log files, wildcards in their names, without quotes and braces")
    return f'"{path}"'


def _whole(name: str, entry: t.Mapping[str, t.Any], key: str, default: int, least: int) -> int:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _wrong(name, key, value, f"a whole number, {least} or more")
    return value


def _flag(name: str, entry: t.Mapping[str, t.Any], key: str, default: bool) -> bool:
    value = entry.get(key, default)
    if not isinstance(value, bool):
        raise _wrong(name, key, value, "true or false")
    return value


def _wrong(name: str, key: str, value: t.Any, wanted: str) -> BadInput:
    return BadInput(
        "A log rotation is not as it should be",
        where=name,
        why=f"{key} is {value!r}, and must be: {wanted}",
        next_step="correct the profile",
    )
