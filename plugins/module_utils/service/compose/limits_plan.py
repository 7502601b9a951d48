# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What limits mean and which of them change: pure functions over what is wanted and what `docker inspect` tells.

The engine refuses memory above the limit of memory with swap that a container has (moby#25460), and Docker 20.10 refuses any memory for a
container that has no limit, unless memory with swap is set in the same call. So the two always go together.
"""

from __future__ import annotations

import typing as t

from ...errors import BadInput
from ..sizes import bytes_of, is_none

UNLIMITED = 9223372036854771712
"""Bytes that the kernel takes for no limit (memory.limit_in_bytes of a new control group).

An update cannot take a limit of memory away otherwise: the engine takes 0 for `as it is` and refuses -1 as too little; -1 for memory with
swap Docker 20.10 takes and does not pass on. With the second version of control groups swap is what memory with swap has beyond memory, so
that no limit of memory is written as half as much.
"""
SMALLEST_BYTES = 6 << 20
"""Less memory the engine refuses."""
BILLION = 1_000_000_000
_NO_LIMIT_FROM = 1 << 62
"""Bytes that no machine has."""


class Limits(t.NamedTuple):
    """Limits of a container; UNLIMITED stands for none, `nano_cpus` 0 for all processors.

    Where the processors are given by a quota (`--cpu-quota`), `cpu_period` is its period in microseconds, else 0: the engine takes
    `--cpus` only without one.
    """

    memory: int = UNLIMITED
    memory_swap: int = UNLIMITED
    nano_cpus: int = 0
    cpu_period: int = 0

    def shown(self) -> t.Dict[str, t.Any]:
        """For results: `memory_bytes`, `memory_swap_bytes` and `cpus`, null for no limit."""
        return {
            "memory_bytes": None if self.memory == UNLIMITED else self.memory,
            "memory_swap_bytes": None if self.memory_swap == UNLIMITED else self.memory_swap,
            "cpus": self.nano_cpus / BILLION if self.nano_cpus else None,
        }


class Wanted(t.NamedTuple):
    """What is asked for; null leaves it as it is."""

    memory: t.Optional[int] = None
    memory_swap: t.Optional[int] = None
    nano_cpus: t.Optional[int] = None


def limit_bytes(text: str, what: str) -> int:
    """A size as Docker writes it (`512m`, `2g`, `2147483648`; 1024 based); `none`, or Docker's `-1`, is no limit.

    Raises:
        BadInput: It is no size, or less than the engine takes.
    """
    text = str(text).strip()
    if text == "-1" or is_none(text):
        return UNLIMITED
    number = bytes_of(text)
    if number is None:
        raise BadInput(f"{what} is no size", where=text, next_step="write it as 512m or 2g, or none for no limit")
    if number < SMALLEST_BYTES:
        raise BadInput(f"{what} is less than the engine takes", where=text, next_step="give at least 6m")
    return min(number, UNLIMITED)


def wanted_of(memory: str, memory_swap: str, cpus: t.Any, host_cpus: int) -> Wanted:
    """What is asked for, in the engine's units.

    Raises:
        BadInput: A value makes no sense, or there is none.
    """
    wanted = Wanted(
        limit_bytes(memory, "memory") if memory else None,
        limit_bytes(memory_swap, "memory_swap") if memory_swap else None,
        _nano_cpus(cpus, host_cpus) if cpus not in (None, "") else None,
    )
    if not any(value is not None for value in wanted):
        raise BadInput("No limit is named", next_step="name memory (with memory_swap), or cpus")
    if wanted.memory is not None and wanted.memory_swap is not None and wanted.memory_swap < wanted.memory:
        raise BadInput(
            "memory_swap is less than memory; it is the limit of both together",
            where=f"memory {memory}, memory_swap {memory_swap}",
            next_step="give the same for no swap, or more",
        )
    return wanted


def _nano_cpus(cpus: t.Any, host_cpus: int) -> int:
    """Billionths of a processor; 0 for `none` and for as many as the host has, which is the same."""
    if is_none(cpus):
        return 0
    try:
        number = round(float(cpus) * BILLION)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if not BILLION // 100 <= number <= host_cpus * BILLION:
        raise BadInput(
            "So many processors cannot be given",
            where=f"cpus {cpus}",
            next_step=f"give 0.01 to {host_cpus}, which this host has, or none for no limit",
        )
    return _fewer(number, host_cpus)


def _fewer(nano: int, host_cpus: int) -> int:
    return nano if nano < host_cpus * BILLION else 0


def present(container: t.Mapping[str, t.Any], host_cpus: int = 0) -> Limits:
    """The limits that `docker inspect` tells; as many processors as the host has are no limit where `host_cpus` is given."""
    host = container.get("HostConfig") or {}
    memory, swap, nano = (int(host.get(name) or 0) for name in ("Memory", "MemorySwap", "NanoCpus"))
    quota, period = int(host.get("CpuQuota") or 0), int(host.get("CpuPeriod") or 0)
    by_quota = not nano and bool(quota or period)
    if by_quota:
        period = period or 100_000
        nano = max(quota, 0) * BILLION // period
    return Limits(_known(memory), _known(swap), _fewer(nano, host_cpus) if host_cpus else nano, period if by_quota else 0)


def _known(number: int) -> int:
    return number if 0 < number < _NO_LIMIT_FROM else UNLIMITED


def target(name: str, before: Limits, wanted: Wanted) -> Limits:
    """The limits that a container shall have. Without a limit of memory there is none of memory with swap, unless one is named.

    Raises:
        BadInput: Memory would be above the limit of memory with swap that it has, and none is named.
    """
    memory = before.memory if wanted.memory is None else wanted.memory
    kept = UNLIMITED if wanted.memory == UNLIMITED else before.memory_swap
    swap = kept if wanted.memory_swap is None else wanted.memory_swap
    if memory > swap:
        raise BadInput(
            "The memory wanted is above the limit of memory with swap, which the engine refuses",
            where=f"{name}: memory {shown_size(memory)}, memory with swap {shown_size(swap)}",
            next_step=f"name memory_swap too, for example {shown_size(memory)} for no swap",
        )
    return before._replace(memory=memory, memory_swap=swap, nano_cpus=before.nano_cpus if wanted.nano_cpus is None else wanted.nano_cpus)


def check_use(name: str, after: Limits, used_bytes: t.Optional[int]) -> None:
    """See that a container does not use more memory than it shall have, since the kernel would end its processes.

    Raises:
        BadInput: It does.
    """
    if used_bytes is not None and used_bytes > after.memory:
        raise BadInput(
            "More memory is used now than is wanted as limit; the kernel would end its processes",
            where=f"{name}: uses {shown_size(used_bytes)}, limit {shown_size(after.memory)}",
            next_step="give more memory, or restart the service first",
        )


def update_words(limits: Limits, other: Limits, host_cpus: int) -> t.List[str]:
    """The options of `docker update` that give a container `limits` where they differ from `other`.

    The engine takes no `--cpus` away, so all processors of the host stand for no limit; a quota it takes away.
    """
    words = []
    if limits[:2] != other[:2]:
        words += [f"--memory={min(limits.memory, _NO_LIMIT_FROM)}", f"--memory-swap={limits.memory_swap}"]
    if limits.nano_cpus != other.nano_cpus and limits.cpu_period:
        words.append(f"--cpu-quota={limits.nano_cpus * limits.cpu_period // BILLION or -1}")
    elif limits.nano_cpus != other.nano_cpus:
        cpus = (limits.nano_cpus or host_cpus * BILLION) / BILLION
        words.append(f"--cpus={cpus:.9f}".rstrip("0").rstrip("."))
    return words


def compose_lines(service: str, limits: Limits) -> t.List[str]:
    """The lines of a Compose file that say the same for good; none where nothing is limited."""
    if limits[:3] == Limits()[:3]:
        return []
    lines = ["services:", f"  {service}:"]
    if limits.memory_swap != UNLIMITED:
        lines.append(f"    memswap_limit: {shown_size(limits.memory_swap)}")
    kept = [f"          memory: {shown_size(limits.memory)}"] if limits.memory != UNLIMITED else []
    kept += [f'          cpus: "{limits.nano_cpus / BILLION:g}"'] if limits.nano_cpus else []
    return [*lines, "    deploy:", "      resources:", "        limits:", *kept] if kept else lines


def shown_size(number: int) -> str:
    """As Docker writes sizes."""
    if number >= _NO_LIMIT_FROM:
        return "no limit"
    for power, letter in ((3, "g"), (2, "m"), (1, "k")):
        if number >= 1024**power and number % 1024**power == 0:
            return f"{number // 1024**power}{letter}"
    return f"{number}b"


def sentence(name: str, before: Limits, after: Limits) -> str:
    """What changes of a container."""
    parts = []
    if before.memory != after.memory:
        parts.append(f"memory {shown_size(before.memory)} -> {shown_size(after.memory)}")
    if before.memory_swap != after.memory_swap:
        parts.append(f"memory with swap {shown_size(before.memory_swap)} -> {shown_size(after.memory_swap)}")
    if before.nano_cpus != after.nano_cpus:
        said = [f"{one.nano_cpus / BILLION:g}" if one.nano_cpus else "all" for one in (before, after)]
        parts.append(f"processors {said[0]} -> {said[1]}")
    return f"{name}: {', '.join(parts)}"
