# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of types `memory` and `cpu`, of this host or of a container on it."""

from __future__ import annotations

import asyncio
import re
import typing as t

from ..command import Command
from . import conditions, host
from .model import UNKNOWN, Answer, Attempt, NoAnswer, Question
from .process import read_pid
from .programs import output_of, place_mistakes

_CONTAINER: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "container": {"type": "str"},
    "container_engine": {"type": "str", "choices": ["docker", "podman"], "default": "docker"},
}
_FORMAT = "{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}"
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s?([kKMGTP]?)(i?)B")
_POWER = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


class Usage(t.NamedTuple):
    """What a container uses: processor in percent of one processor, memory in bytes; None where the engine does not say."""

    cpu_percent: t.Optional[float]
    memory_bytes: t.Optional[int]
    limit_bytes: t.Optional[int]


class _OfHostOrContainer(Question):
    of_host = True

    @property
    def uses_processes(self) -> bool:  # type: ignore[override]
        """Only for a container: on the host the system is asked directly."""
        return "container" in self.options

    @property
    def has_number(self) -> bool:
        return True

    def mistakes(self) -> t.List[str]:
        return place_mistakes(self.options) + conditions.threshold_mistakes(self.options)

    @property
    def target(self) -> str:
        return f"container {self.options['container']}" if "container" in self.options else "this host"

    async def usage(self, attempt: Attempt) -> Usage:
        """What the container uses; the engine takes about two seconds to say so.

        Raises:
            NoAnswer: It does not say.
        """
        argv = [self.options["container_engine"], "stats", "--no-stream", "--format", _FORMAT, "--", self.options["container"]]
        got = await output_of(attempt, Command(argv))
        if got.status != 0:
            raise NoAnswer(UNKNOWN, f"{argv[0]} stats: {got.last_words}")
        return parse_stats(got.text)


class Memory(_OfHostOrContainer):
    """Memory in use: of the host, of a process, of a container."""

    spec = {
        "pid": {"type": "int"},
        "pid_file": {"type": "path"},
        "measure": {"type": "str", "choices": ["used_percent", "used_bytes", "swap_percent"], "default": "used_percent"},
        **_CONTAINER,
        **conditions.THRESHOLDS,
    }

    def mistakes(self) -> t.List[str]:
        found = super().mistakes()
        named = [name for name in ("pid", "pid_file", "container") if name in self.options]
        if len(named) > 1:
            found.append(f"both {named[0]} and {named[1]} are named")
        if named and self.options["measure"] == "swap_percent":
            found.append("swap_percent is measured of the host only")
        if self.options.get("pid", 1) < 1:
            found.append("pid is not 1 or more")
        return found

    @property
    def target(self) -> str:
        for name in ("pid", "pid_file"):
            if name in self.options:
                return f"process {self.options[name]}"
        return super().target

    async def ask(self, attempt: Attempt) -> t.Tuple[t.Optional[int], t.Optional[int], t.Optional[float]]:
        if "container" in self.options:
            usage = await self.usage(attempt)
            return usage.memory_bytes, usage.limit_bytes, None
        memory, pid = host.memory(), self.options.get("pid")
        if "pid_file" in self.options:
            pid = read_pid(self.options["pid_file"])
            if pid is None:
                raise NoAnswer(UNKNOWN, f"{self.options['pid_file']} does not exist")
        if pid is not None:
            return host.resident_bytes(pid), memory.total, None
        swap = 100 * (memory.swap_total - memory.swap_free) / memory.swap_total if memory.swap_total else 0.0
        return memory.total - memory.available, memory.total, swap

    def judge(self, got: t.Tuple[t.Optional[int], t.Optional[int], t.Optional[float]]) -> Answer:
        used, total, swap = got
        measured = {
            "used_percent": round(100 * used / total, 2) if used is not None and total else None,
            "used_bytes": used,
            "swap_percent": None if swap is None else round(swap, 2),
        }
        value = measured[self.options["measure"]]
        if value is None:
            raise NoAnswer(UNKNOWN, "nobody says how much memory it uses; a container that does not run uses none")
        answer = Answer(observed={**measured, "total_bytes": total}, value=float(value))
        what = {"used_percent": "used memory in percent", "used_bytes": "used memory in bytes", "swap_percent": "used swap in percent"}
        answer.findings += conditions.judge_number(value, self.options, what[self.options["measure"]])
        return answer


class Cpu(_OfHostOrContainer):
    """Processor time in use over a while: of the host in percent of all its processors, of a container in percent of one."""

    spec = {"window_s": {"type": "float", "default": 1.0}, **_CONTAINER, **conditions.THRESHOLDS}

    def mistakes(self) -> t.List[str]:
        return super().mistakes() + ([] if 0.05 <= self.options["window_s"] <= 600 else ["window_s is not between 0.05 and 600"])

    async def ask(self, attempt: Attempt) -> t.Dict[str, t.Optional[float]]:
        if "container" in self.options:
            return {"used_percent": (await self.usage(attempt)).cpu_percent}
        window_s = self.options["window_s"]
        if asyncio.get_running_loop().time() + window_s >= attempt.deadline:
            raise NoAnswer(UNKNOWN, f"window_s ({window_s:g} s) does not fit into the deadline of the check")
        attempt.stage = "watching the processors"
        before = host.processor()
        await asyncio.sleep(window_s)
        return used_between(before, host.processor())

    def judge(self, got: t.Dict[str, t.Optional[float]]) -> Answer:
        value = got["used_percent"]
        if value is None:
            raise NoAnswer(UNKNOWN, "nobody says how much processor time it uses")
        answer = Answer(observed=dict(got), value=value)
        answer.findings += conditions.judge_number(value, self.options, "used processor time in percent")
        return answer


def used_between(before: host.Processor, after: host.Processor) -> t.Dict[str, t.Optional[float]]:
    """The shares of processor time between two readings, in percent; None when no time was counted between them."""
    total = after.total - before.total
    if total <= 0:
        return {"used_percent": None, "waiting_percent": None}
    idle, waiting = (max(0.0, min(part / total, 1.0)) for part in (after.idle - before.idle, after.waiting - before.waiting))
    return {"used_percent": round(100 * (1 - idle), 2), "waiting_percent": round(100 * waiting, 2)}


def parse_stats(text: str) -> Usage:
    """One line of `docker stats` or `podman stats` in our format. A container that does not run has `--`, or a limit of 0.

    Raises:
        NoAnswer: It is no such line.
    """
    parts = text.strip().rpartition("\n")[2].split("\t")
    if len(parts) != 3:
        raise NoAnswer(UNKNOWN, "the container engine printed no statistics")
    used, _slash, limit = parts[1].partition("/")
    limit_bytes = size_bytes(limit)
    if not limit_bytes:
        raise NoAnswer(UNKNOWN, "the container does not run")
    percent = parts[0].strip().rstrip("%")
    digits = percent.replace(".", "", 1)
    return Usage(float(percent) if digits.isdecimal() and len(digits) < 16 else None, size_bytes(used), limit_bytes)


def size_bytes(text: str) -> t.Optional[int]:
    """A size as docker (`10.5MiB`) and podman (`10.5MB`) write it; None for another text."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        return None
    number, power, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWER[power])
