# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `log_freshness`."""

from __future__ import annotations

import glob
import os
import time
import typing as t

from ..command import Command
from ..place import place_from
from . import conditions
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding, NoAnswer
from .network import in_thread
from .programs import PLACE, PathInPlace, output_of

_MOST_FILES = 10_000
_CLOCK_ERROR_S = 60.0
"""So far ahead of ours a file server's clock may be."""


class Written(t.NamedTuple):
    """When a file was last written, in seconds since 1970, and its size in bytes."""

    path: str
    at: float
    size: int


class LogFreshness(PathInPlace):
    """A file is being written to: the age of its last write in seconds, or its size. Of several files the newest counts."""

    spec = {
        "path": {"type": "path", "required": True},
        "measure": {"type": "str", "choices": ["age_s", "size_bytes"], "default": "age_s"},
        **PLACE,
        **conditions.THRESHOLDS,
    }

    def mistakes(self) -> t.List[str]:
        found = super().mistakes()
        if glob.has_magic(self.options["path"]) and not place_from(self.options).is_host:
            found.append("path has wildcards, which only files of the host itself can have")
        return found

    async def ask(self, attempt: Attempt) -> t.Tuple[Written, float]:
        path, place = self.options["path"], place_from(self.options)
        attempt.stage = f"looking at {path}"
        if place.is_host:
            return await in_thread(lambda: _newest(path)), time.time()
        # Both GNU's and busybox's stat know -c.
        got = await output_of(attempt, Command(["stat", "-c", "%Y %s", "--", path], place))
        if got.status != 0:
            missing = "no such file" in got.error.lower()
            raise NoAnswer(FAIL if missing else UNKNOWN, "the file does not exist" if missing else f"stat: {got.last_words}")
        return parse_stat(got.text, path), time.time()

    def judge(self, got: t.Tuple[Written, float]) -> Answer:
        written, now = got
        age_s = now - written.at
        observed = {
            "age_s": round(max(0.0, age_s), 1),
            "size_bytes": written.size,
            "file": written.path,
            "written_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(written.at)),
        }
        value = observed[self.options["measure"]]
        answer = Answer(observed=observed, value=float(t.cast(float, value)))
        if self.options["measure"] == "age_s" and age_s < -_CLOCK_ERROR_S:
            answer.value = None
            answer.findings.append(Finding(UNKNOWN, f"by its clock the file was written {-age_s:.0f} s in the future"))
            return answer
        what = {"age_s": "the age of the last write in seconds", "size_bytes": "the size in bytes"}[self.options["measure"]]
        answer.findings += conditions.judge_number(value, self.options, what)
        return answer


def parse_stat(text: str, path: str) -> Written:
    """What `stat -c '%Y %s'` printed of `path`.

    Raises:
        NoAnswer: It is no such text.
    """
    words = text.split()
    if len(words) != 2 or not all(word.isdecimal() and len(word) < 12 for word in words):
        raise NoAnswer(UNKNOWN, "stat printed no time and size")
    return Written(path, float(words[0]), int(words[1]))


def _newest(path: str) -> Written:
    found: t.List[Written] = []
    paths = [path]
    if glob.has_magic(path):
        paths = []
        for name in glob.iglob(path):
            paths.append(name)
            if len(paths) > _MOST_FILES:
                raise NoAnswer(UNKNOWN, f"more than {_MOST_FILES} files have such a name")
    refused: t.Optional[OSError] = None
    for name in paths:
        try:
            status = os.stat(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            refused = error
            continue
        found.append(Written(name, status.st_mtime, status.st_size))
    if found:
        return max(found, key=lambda written: written.at)
    if refused is not None:
        raise NoAnswer(UNKNOWN, f"the file cannot be looked at ({refused.strerror})")
    if not glob.has_magic(os.path.dirname(path)) and not os.path.isdir(os.path.dirname(path)):
        raise NoAnswer(UNKNOWN, "its folder does not exist")
    raise NoAnswer(FAIL, "no such file exists")
