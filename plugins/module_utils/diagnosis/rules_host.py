# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ports, file systems, mounts: what the host gives."""

from __future__ import annotations

import re
import typing as t

from .model import CAUSE, LIKELY, NOTE, Clue, Mount, Observation, Rule, Space
from .phrases import ALL, excerpt, messages, said

_REFUSED = re.compile(
    r"(?:listen (?:tcp|udp)[46]? |bind for |Failed to listen on )(\S+?)(?: failed)?: "
    r"(?:bind: |port is already allocated|address already in use)",
    re.IGNORECASE,
)
_FULL, _NEARLY = 99.0, 90.0
"""Percent of a file system that is full, or nearly so."""
_LITTLE = 50 << 20
"""Bytes with which nothing works for long in a file system that is nearly full; a small one that is empty has no more either."""


def port_taken(seen: Observation) -> t.Iterator[Clue]:
    for port in seen.ports:
        if port.holder:
            yield Clue(f"port {port.shown} is held by {port.holder}", port.next_step)


def port_refused(seen: Observation) -> t.Iterator[Clue]:
    if any(port.holder for port in seen.ports) or seen.is_well:
        return
    for text in messages(seen, ALL):
        match = _REFUSED.search(text)
        if match:
            number = match.group(1).rpartition(":")[2]
            free = any(str(port.number) == number for port in seen.ports)
            yield Clue(
                f"the address {match.group(1)} was in use when it was last tried" + (", and is free now" if free else ""),
                "start it again (procedure service_start)"
                if free
                else "find its holder with: ss -ltunp; end it, or let the service publish another port",
                (excerpt(text, match),),
            )
            return


def _is_full(one: Space) -> bool:
    return one.used_percent >= _FULL or (one.used_percent >= _NEARLY and one.free_bytes < _LITTLE)


def _written_to(seen: Observation) -> t.List[Space]:
    """Those whose fill matters: an image that is mounted read-only is full by its nature."""
    return [one for one in seen.spaces if not one.read_only]


def disk_full(seen: Observation) -> t.Iterator[Clue]:
    for one in filter(_is_full, _written_to(seen)):
        yield Clue(
            f"the file system of {one.path} ({one.what}) is full: {one.used_percent:g} % used, {one.free_bytes >> 20} MiB free",
            "make room there (procedure cleanup, log_rotation)",
        )


def inodes_exhausted(seen: Observation) -> t.Iterator[Clue]:
    for one in _written_to(seen):
        if one.inodes_percent is not None and one.inodes_percent >= _FULL:
            yield Clue(
                f"the file system of {one.path} ({one.what}) has no inodes left for further files ({one.inodes_percent:g} % used)",
                "remove files that nobody needs; many small ones lie in caches and sessions",
            )


def disk_nearly_full(seen: Observation) -> t.Iterator[Clue]:
    for one in _written_to(seen):
        if one.used_percent >= _NEARLY and not _is_full(one):
            yield Clue(
                f"the file system of {one.path} ({one.what}) is nearly full: {one.used_percent:g} % used",
                "make room there (procedure cleanup, log_rotation)",
            )


def mounts(
    problem: str, what: t.Callable[[Mount], str], next_step: t.Callable[[Mount], str]
) -> t.Callable[[Observation], t.Iterator[Clue]]:
    def look(seen: Observation) -> t.Iterator[Clue]:
        for one in seen.mounts:
            if one.problem == problem:
                yield Clue(what(one), next_step(one), (one.detail,) if one.detail else ())

    return look


RULES = (
    Rule("port_taken", CAUSE, "A port that the service needs is held by somebody else, with the name of the holder", port_taken),
    Rule("port_refused", CAUSE, "The engine or systemd could not take a port, and nobody who holds it is seen", port_refused),
    Rule("disk_full", CAUSE, "A file system (the engine's data, volumes, mounts, working folders) is full", disk_full),
    said(
        "disk_full_said",
        CAUSE,
        "Something could not be written, because a file system is full",
        r"no space left on device|disk quota exceeded",
        "a file system is full (or its inodes or a quota are used up)",
        "find which: df -h; df -i; make room there (procedure cleanup)",
        unless=lambda seen: any(_is_full(one) or (one.inodes_percent or 0) >= _FULL for one in _written_to(seen)),
    ),
    Rule("inodes_exhausted", CAUSE, "A file system has no inodes left", inodes_exhausted),
    Rule("disk_nearly_full", NOTE, "A file system is nearly full", disk_nearly_full),
    Rule(
        "mount_missing",
        LIKELY,
        "A file or folder of the host that is mounted does not exist",
        mounts(
            "missing",
            lambda one: f"{one.source}, which is mounted at {one.target}, does not exist on this host (Docker makes an empty folder of it)",
            lambda one: f"put {one.source} in place before the service starts",
        ),
    ),
    Rule(
        "mount_is_empty_folder",
        LIKELY,
        "What should be a file is an empty folder, which Docker made in its place",
        mounts(
            "empty_folder",
            lambda one: f"{one.source}, which is mounted at {one.target}, is an empty folder and should be a file",
            lambda one: f"remove the folder {one.source} and put the file in its place",
        ),
    ),
    Rule(
        "mount_not_readable",
        LIKELY,
        "A mounted file or folder cannot be read by the service's account",
        mounts(
            "not_readable",
            lambda one: f"{one.source}, which is mounted at {one.target}, cannot be read by the service's account",
            lambda one: f"give the service's account the right to read {one.source}",
        ),
    ),
    said(
        "mount_refused",
        CAUSE,
        "The engine could not mount something",
        r"(?:bind source path does not exist: ([^\s\"]+)|error mounting \"([^\"]+)\" to rootfs)",
        "the engine could not mount {0}{1}: it is not there, or a file where a folder should be or the other way round",
        "put the right thing in its place, and create the container anew",
    ),
)
