# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Programs that a check asks: one deadline, bounded output, every way to fail explained."""

from __future__ import annotations

import asyncio
import os
import re
import selectors
import subprocess
import time
import typing as t
from dataclasses import dataclass

from ..command import Command, end
from ..errors import RunbookError, ToolMissing
from ..place import place_from
from . import conditions
from .model import FAIL, UNKNOWN, Attempt, NoAnswer, Question
from .network import in_thread

PLACE: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "container": {"type": "str"},
    "container_engine": {"type": "str", "choices": ["docker", "podman"], "default": "docker"},
    "pod": {"type": "str"},
    "pod_namespace": {"type": "str"},
    "pod_container": {"type": "str"},
    "kube_context": {"type": "str"},
    "tool_folder": {"type": "path"},
}
"""The options that say where a program runs, named as in all modules."""
_LOOK_EVERY_S = 0.05
_READ_BYTES = 64 * 1024
_MARGIN_S = 0.02
"""So much before the deadline the program is ended, so that the reason can say which one it was."""
_NOTE = re.compile(r"[IWE][0-9]{4} [0-9:.]+ ")
"""Lines that kubectl notes for its developers, the same error several times."""
_ENGINE_FAILED = ("error response from daemon", "cannot connect to the docker daemon", "no such container", "can only create exec sessions")


def in_place(what: str, options: t.Mapping[str, t.Any]) -> str:
    """`what`, and where it is when that is not this host; for the reader."""
    place = place_from(options)
    return what if place.is_host else f"{what} in {place}"


def place_mistakes(options: t.Mapping[str, t.Any]) -> t.List[str]:
    """What is wrong with the place, and with texts that no program can be given."""
    found = []
    if "pod" in options and "container" in options:
        found.append("both a container and a pod are named; name the one to look into")
    found += [f"{name} begins with a dash" for name in ("container", "pod") if str(options.get(name, "")).startswith("-")]
    if "\0" in "".join(_texts(options)):
        found.append("an option has a NUL in it")
    return found


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, t.Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


class InPlace(Question):
    """A question that a program answers where the options PLACE say; its number is held against thresholds."""

    uses_processes = True

    @property
    def has_number(self) -> bool:
        return True

    @property
    def of_host(self) -> bool:
        return "pod" not in self.options

    def mistakes(self) -> t.List[str]:
        return place_mistakes(self.options) + conditions.threshold_mistakes(self.options)


class PathInPlace(InPlace):
    """A question about a path; on this host the system is asked directly, elsewhere a program."""

    @property
    def uses_processes(self) -> bool:  # type: ignore[override]
        return not place_from(self.options).is_host

    @property
    def target(self) -> str:
        return in_place(self.options["path"], self.options)

    def mistakes(self) -> t.List[str]:
        return super().mistakes() + ([] if os.path.isabs(self.options["path"]) else ["path does not begin with a slash"])


@dataclass(frozen=True)
class Output:
    """What a program left.

    Attributes:
        text: Its standard output, as far as it was read.
        error: Its standard error, the same.
        status: Its exit status.
        whole: Whether all of it was read.
    """

    text: str
    error: str
    status: int
    whole: bool = True

    @property
    def last_words(self) -> str:
        """The end of what it said, on one line."""
        lines = [line.strip() for line in (self.error.strip() or self.text.strip()).splitlines() if line.strip() and not _NOTE.match(line)]
        return "; ".join(lines[-3:])[-500:] or f"exit status {self.status}"


async def output_of(attempt: Attempt, command: Command, *, limit_bytes: int = 4 << 20) -> Output:
    """Run the program to its end, within the attempt's deadline and so many bytes of each of its streams.

    Raises:
        NoAnswer: It is not there, could not be started, did not end in time (`fail`), or what lies on the way to it failed.
    """
    left_s = max(0.01, attempt.deadline - asyncio.get_running_loop().time() - _MARGIN_S)
    attempt.stage = f"waiting for {command.name}"
    if command.folder and not os.path.isdir(command.folder):
        raise NoAnswer(UNKNOWN, f"the folder {command.folder} does not exist on this host")
    try:
        if command.place.is_host:
            command.argv = [command.place.program(command.argv[0]), *command.argv[1:]]
        got = await in_thread(lambda: _run(command, time.monotonic() + left_s, limit_bytes))
    except ToolMissing as error:
        raise NoAnswer(UNKNOWN, f"{error.what} on {error.where}") from None
    except RunbookError as error:
        raise NoAnswer(UNKNOWN, f"{error.what}: {error.why}" if error.why else error.what) from None
    if got is None:
        raise NoAnswer(FAIL, f"{command.name} had not ended after {left_s:.3g} s", retry=True)
    if got.status != 0 and not command.place.is_host:
        _see_whether_the_way_failed(command, got)
    return got


def _see_whether_the_way_failed(command: Command, got: Output) -> None:
    """A container that is gone or a cluster that is away says nothing about what was asked."""
    if command.place.pod:
        error = command.failure(got.status, got.error)
        if error.kind == "Unreachable" or got.status in (126, 127):
            raise NoAnswer(UNKNOWN, f"{error.what}: {error.why}", retry=True)
    elif got.status in (126, 127) or any(said in got.error.lower() for said in _ENGINE_FAILED):
        raise NoAnswer(UNKNOWN, f"{command.name} could not be run in {command.place}: {got.last_words}")


def _run(command: Command, deadline: float, limit_bytes: int) -> t.Optional[Output]:
    """The program's output; None when it had to be ended at the deadline."""
    process = command.start(stderr=subprocess.PIPE)
    try:
        streams = {process.stdout: bytearray(), process.stderr: bytearray()}
        if not _read(streams, deadline, limit_bytes):
            return None
        whole = all(len(data) <= limit_bytes for data in streams.values())
        if whole:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
        text, error = (data[:limit_bytes].decode("utf-8", "replace") for data in streams.values())
        return Output(text, error, status=command.status(process) if whole else 0, whole=whole)
    finally:
        end(process, 0.5)


def _read(streams: t.Mapping[t.Any, bytearray], deadline: float, limit_bytes: int) -> bool:
    """Read until the streams end or one has more than the limit; False when the deadline came first."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            for key, _events in selector.select(min(left_s, _LOOK_EVERY_S * 20)):
                data = os.read(key.fd, _READ_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                streams[key.fileobj].extend(data)
                if len(streams[key.fileobj]) > limit_bytes:
                    return True
    return True
