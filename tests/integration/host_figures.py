# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that see another host: its processors as busy, its memory as full, as a test says.

They run in a mount namespace of their own, in which files of the test lie over /proc/stat and /proc/meminfo, as LXCFS does it for
containers. What reads them is not touched.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

_TICK_S = 0.02
_TOTAL_KB = 16_000_000


class HostFigures(threading.Thread):
    """Files that say how busy the host is; the processors' times go on while the block runs.

    Attributes:
        cpu_percent: How busy the processors are.
        memory_percent: How full the memory is.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.cpu_percent, self.memory_percent = 10.0, 30.0
        self._stat, self._memory = folder / "stat", folder / "meminfo"
        self._rest = Path("/proc/stat").read_text().partition("\ncpu")[2].partition("\nintr")[2]
        self._busy = self._idle = 1_000_000.0
        self._over = threading.Event()

    def __enter__(self) -> HostFigures:
        self._write()
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Let time go by."""
        while not self._over.wait(_TICK_S):
            self._write()

    def _write(self) -> None:
        # Far more ticks than a processor has, so that whole numbers are exact enough over the shortest window.
        self._busy += 100 * self.cpu_percent
        self._idle += 100 * (100 - self.cpu_percent)
        line = f"cpu  {self._busy:020.0f} 0 0 {self._idle:020.0f} 0 0 0 0 0 0"
        _overwrite(self._stat, f"{line}\n{line.replace('cpu ', 'cpu0')}\nintr{self._rest}")
        available = _TOTAL_KB * (1 - self.memory_percent / 100)
        _overwrite(
            self._memory,
            f"MemTotal:       {_TOTAL_KB} kB\nMemFree:        {available:20.0f} kB\nMemAvailable:   {available:20.0f} kB\n"
            "SwapTotal:      0 kB\nSwapFree:       0 kB\n",
        )

    @property
    def prefix(self) -> list[str]:
        """What a command line begins with whose program shall see this host."""
        account = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = 'mount --bind "$1" /proc/stat && mount --bind "$2" /proc/meminfo && shift 2 && exec "$@"'
        return ["unshare", *account, "--mount", "sh", "-c", script, "sh", str(self._stat), str(self._memory)]


def _overwrite(path: Path, text: str) -> None:
    """Write in place, for what is mounted is the file, not its name; the text is always of the same length."""
    with open(path, "r+b" if path.exists() else "wb", buffering=0) as stream:
        stream.write(text.encode())


def need_other_host_figures(folder: Path) -> None:
    """Skip the test, with the reason, where no mount namespace can be had."""
    with HostFigures(folder) as host:
        done = subprocess.run([*host.prefix, "grep", "MemTotal", "/proc/meminfo"], capture_output=True, text=True, check=False)
    if done.returncode != 0 or str(_TOTAL_KB) not in done.stdout:
        pytest.skip(f"no file can be laid over /proc/meminfo here ({done.stderr.strip()})")
