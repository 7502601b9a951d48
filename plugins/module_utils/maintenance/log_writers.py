# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether a process has a file open for writing: asked of the kernel by a lease (fcntl(2), `F_SETLEASE`), which also says when one comes.

A read lease is given only where nobody has the file open for writing, in whatever container. Who opens it for writing afterwards waits
until the lease is given back, at most /proc/sys/fs/lease-break-time; so it is given back at once when it was asked for. File systems
without leases, such as NFS, are looked through by means of proc(5), which shows an account without rights its own processes only: to such
an account, which is given a lease of its own files only, it cannot be told.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
import typing as t
from contextlib import contextmanager

from ..process_tree import writers


class Written(Exception):
    """A process writes to the file; the text names it as far as it can be seen."""


class CannotTell(Written):
    """A process may write to the file, which this account cannot see."""

    def __init__(self) -> None:
        super().__init__("only root can see whether a process has it open for writing (become: true)")


class Watch:
    """A file that nobody has open for writing, watched while the context lasts."""

    def __init__(self, descriptor: int, leased: bool) -> None:
        self.descriptor, self._leased = descriptor, leased

    def check(self) -> None:
        """See that still nobody has it open for writing.

        Raises:
            Written: Somebody has, or wants to.
        """
        if self._leased:
            if fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
                raise Written("a process opened it for writing meanwhile")
        else:
            _look(self.descriptor)


@contextmanager
def unwritten(path: str) -> t.Iterator[Watch]:
    """Open a file for reading while nobody has it open for writing.

    Raises:
        Written: Somebody has, or it cannot be told.
        OSError: It cannot be opened; a symbolic link is not followed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    former: t.Any = None
    leased = False
    # The kernel tells by SIGIO that the lease shall be given back, which would end us.
    in_main = threading.current_thread() is threading.main_thread()
    try:
        if in_main:
            former = signal.signal(signal.SIGIO, signal.SIG_IGN)
            leased = _lease(descriptor)
        if not leased:
            _look(descriptor)
        yield Watch(descriptor, leased)
    finally:
        os.close(descriptor)
        if in_main and former is not None:
            signal.signal(signal.SIGIO, former)


def _lease(descriptor: int) -> bool:
    """Whether a lease was given; False where there are none.

    Raises:
        Written: A process has the file open for writing.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        return True
    except OSError as error:
        if error.errno != errno.EAGAIN:
            return False
    try:
        _look(descriptor)
    except CannotTell:
        pass
    raise Written("a process has it open for writing")


def _look(descriptor: int) -> None:
    status = os.fstat(descriptor)
    for pid in writers(lambda opened: os.path.samestat(os.stat(opened), status)):
        raise Written(f"the process {pid} ({_name(pid)}) has it open for writing")
    if os.geteuid() != 0:
        raise CannotTell


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return "ended since"
