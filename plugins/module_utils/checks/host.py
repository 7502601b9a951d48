# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What this host says of itself: processor, memory, processes, ports. From proc(5); where there is none (macOS), from psutil."""

from __future__ import annotations

import importlib
import os
import sys
import typing as t
from dataclasses import dataclass

from .. import socket_table
from .model import FAIL, UNKNOWN, NoAnswer

PROC = "/proc"
_COMMAND_LINE_BYTES = 8192


@dataclass(frozen=True)
class Processor:
    """Time that the processors spent since the machine was started, in a unit that only ratios need.

    Attributes:
        total: All of it.
        idle: Doing nothing, waiting for disks included.
        waiting: Doing nothing, waiting for disks.
    """

    total: float
    idle: float
    waiting: float = 0.0


@dataclass(frozen=True)
class Memory:
    """Memory of the machine, in bytes.

    Attributes:
        total: All of it.
        available: What programs can still get without swapping.
        swap_total: Swap space.
        swap_free: What is free of it.
    """

    total: int
    available: int
    swap_total: int = 0
    swap_free: int = 0


class Process(t.NamedTuple):
    """A running process: its id, and its program with arguments, joined by spaces."""

    pid: int
    command_line: str


def has_proc() -> bool:
    """Whether this host has Linux's /proc."""
    return os.path.exists(f"{PROC}/stat")


def _psutil() -> t.Any:
    """psutil, which is there only where somebody installed it.

    Raises:
        NoAnswer: It is not.
    """
    try:
        return importlib.import_module("psutil")
    except ImportError:
        raise NoAnswer(UNKNOWN, f"this host has no {PROC}, and psutil is not installed for {sys.executable or 'its Python'}") from None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError as error:
        raise NoAnswer(UNKNOWN, f"{path} cannot be read ({error.strerror})") from None


def processor() -> Processor:
    """The processors' times until now.

    Raises:
        NoAnswer: They cannot be read.
    """
    if has_proc():
        return parse_stat(_text(f"{PROC}/stat"))
    times = _psutil().cpu_times()
    return Processor(total=float(sum(times)), idle=float(times.idle))


def parse_stat(text: str) -> Processor:
    """The first line of /proc/stat: user nice system idle iowait irq softirq steal; guest time is in user's already.

    Raises:
        NoAnswer: It is no such text.
    """
    words = text.partition("\n")[0].split()
    try:
        numbers = [float(word) for word in words[1:9]]
    except ValueError:
        numbers = []
    if words[:1] != ["cpu"] or len(numbers) < 4:
        raise NoAnswer(UNKNOWN, f"{PROC}/stat has no line of the processors")
    waiting = numbers[4] if len(numbers) > 4 else 0.0
    return Processor(total=sum(numbers), idle=numbers[3] + waiting, waiting=waiting)


def memory() -> Memory:
    """The machine's memory now.

    Raises:
        NoAnswer: It cannot be read.
    """
    if has_proc():
        return parse_meminfo(_text(f"{PROC}/meminfo"))
    library = _psutil()
    main, swap = library.virtual_memory(), library.swap_memory()
    return Memory(total=int(main.total), available=int(main.available), swap_total=int(swap.total), swap_free=int(swap.free))


def parse_meminfo(text: str) -> Memory:
    """The text of /proc/meminfo. Kernels before 3.14 do not say what is available: free, buffers and cache then.

    Raises:
        NoAnswer: It is no such text.
    """
    kib: t.Dict[str, int] = {}
    for line in text.splitlines():
        name, _colon, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdecimal() and len(number[0]) < 20:
            kib[name.strip()] = int(number[0])
    available = kib.get("MemAvailable", sum(kib.get(name, 0) for name in ("MemFree", "Buffers", "Cached")))
    if kib.get("MemTotal", 0) <= 0:
        raise NoAnswer(UNKNOWN, f"{PROC}/meminfo does not say how much memory there is")
    return Memory(kib["MemTotal"] * 1024, available * 1024, kib.get("SwapTotal", 0) * 1024, kib.get("SwapFree", 0) * 1024)


def resident_bytes(pid: int) -> int:
    """Memory that a process holds (VmRSS), in bytes.

    Raises:
        NoAnswer: There is no such process (`fail`), or it cannot be read.
    """
    gone = NoAnswer(FAIL, f"no process {pid} runs", retry=True)
    if not has_proc():
        library = _psutil()
        try:
            return int(library.Process(pid).memory_info().rss)
        except library.NoSuchProcess:
            raise gone from None
        except library.Error as error:
            raise NoAnswer(UNKNOWN, f"process {pid} cannot be read ({error})") from None
    if not is_running(pid):
        raise gone
    for line in _text(f"{PROC}/{pid}/status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def is_running(pid: int) -> bool:
    """Whether a process of this id runs; one that has ended and waits to be noticed (a zombie) does not.

    Raises:
        NoAnswer: This host does not tell.
    """
    if not has_proc():
        library = _psutil()
        try:
            return bool(library.Process(pid).status() != library.STATUS_ZOMBIE)
        except library.NoSuchProcess:
            return False
        except library.Error:
            return True
    try:
        with open(f"{PROC}/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[:1] not in (["Z"], ["X"], [])
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError as error:
        raise NoAnswer(UNKNOWN, f"process {pid} cannot be read ({error.strerror})") from None


def processes() -> t.List[Process]:
    """Every process with a command line except this one and its like: ansible-playbook's own may have what is looked for in it.

    Raises:
        NoAnswer: This host does not tell.
    """
    if has_proc():
        found = [Process(pid, line) for pid, line in _command_lines() if line]
    else:
        found = []
        for process in _psutil().process_iter(["pid", "cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if line:
                found.append(Process(int(process.info["pid"]), line))
    own = next((process.command_line for process in found if process.pid == os.getpid()), None)
    return [process for process in found if process.command_line != own]


def _command_lines() -> t.Iterator[t.Tuple[int, str]]:
    try:
        pids = [int(name) for name in os.listdir(PROC) if name.isdecimal()]
    except OSError as error:
        raise NoAnswer(UNKNOWN, f"{PROC} cannot be listed ({error.strerror})") from None
    for pid in pids:
        try:
            with open(f"{PROC}/{pid}/cmdline", "rb") as stream:
                raw = stream.read(_COMMAND_LINE_BYTES)
        except OSError:  # it has ended meanwhile, or is none of our business
            continue
        yield pid, raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")


def listens(port: int) -> bool:
    """Whether something listens on this TCP port, on any address of this host.

    Raises:
        NoAnswer: This host does not tell.
    """
    if has_proc():
        try:
            return any(one.port == port for one in socket_table.listening(folder=PROC))
        except OSError as error:
            raise NoAnswer(UNKNOWN, f"{error.filename} cannot be read ({error.strerror})") from None
    library = _psutil()
    try:
        connections = library.net_connections("tcp")
    except library.Error as error:
        raise NoAnswer(UNKNOWN, f"the ports of this host cannot be read ({error})") from None
    return any(found.status == library.CONN_LISTEN and found.laddr and found.laddr.port == port for found in connections)
