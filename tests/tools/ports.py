# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loopback ports for the servers of tests that run side by side.

All are below 32768, where Linux takes ports for outgoing connections from (ip_local_port_range in ip-sysctl): such a connection could
take one between the look and the start. Each of pytest's workers has a part of them for itself, and gives none twice until all were given.
"""

from __future__ import annotations

import os
import random

from ansible_collections.sre.runbooks.plugins.module_utils.local_ports import is_free

FIRST, END = 12_000, 22_000
ABOVE = 10_000
"""SeaweedFS serves gRPC that far above each of its ports, unless told otherwise."""

_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
_size = (END - FIRST) // _workers
_first = FIRST + _size * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
# Another run may be under way on this machine.
_given = random.randrange(_size)


def free_ports(count: int) -> range:
    """A row of ports that nobody uses at this moment; nor does anybody use those 10,000 above."""
    global _given
    for _attempt in range(_size):
        start = _given if _given + count <= _size else 0
        _given = start + count
        row = range(_first + start, _first + start + count)
        if all(is_free(port) and is_free(port + ABOVE) for port in row):
            return row
    raise AssertionError(f"no row of {count} free ports between {_first} and {_first + _size}")


def free_port() -> int:
    """A port that nobody uses at this moment."""
    return free_ports(1)[0]
