# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup and restore of many small files beside what one would type: `tar --zstd`, `tar cz`, and the same tar with attributes and holes.

    python tests/benchmarks/benchmark_files.py [--files 100000] [--runs 5]

Each way ends with its archive on disk (`sync` of that file). Ours runs in a process of its own, its start-up included, and has in
addition the SHA-256 of every file. The ways take turns; figures are medians, with the processor time of all processes beside.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FROM = "from ansible_collections.sre.runbooks.plugins.module_utils."
BACKUP = f"""
import sys
{FROM}file_store.backup import back_up
{FROM}file_store.record import FilesBackup
{FROM}file_store.request import FilesStore
print(back_up(FilesBackup(FilesStore("files", (sys.argv[1],)), sys.argv[2]))["backup_set"]["folder"])
"""
RESTORE = f"""
import sys
{FROM}backup_set.sets import read_set
{FROM}file_store.request import FilesStore
{FROM}file_store.restore import restore_files
{FROM}file_store.restore_plan import FilesRestore
restore_files(FilesRestore(FilesStore("files", (sys.argv[1],)), read_set(sys.argv[2])))
"""


def make_files(top: Path, count: int) -> None:
    """Text files of 200 to 8000 bytes, a hundred in a folder."""
    chance = random.Random(1)
    words = ["".join(chance.choice("abcdefghijklmnop") for _letter in range(chance.randint(3, 9))) for _word in range(2000)]
    for number in range(count):
        folder = top / f"d{number // 2000}" / f"e{number // 100}"
        if number % 100 == 0:
            folder.mkdir(parents=True)
        size = chance.randint(200, 8000)
        (folder / f"f{number}.txt").write_text(" ".join(chance.choices(words, k=size // 6))[:size])


class Bench:
    """The measured ways."""

    def __init__(self, folder: Path, files: int) -> None:
        self.folder, self.tree = folder, folder / "tree"
        make_files(self.tree, files)
        self.environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "collections")}
        self.set = ""
        self.kept = 0

    def raw(self, *options: str) -> None:
        """tar by itself, and its archive on disk."""
        target = self.folder / "raw.tar"
        subprocess.run(["tar", "--create", *options, f"--file={target}", "--directory", str(self.tree), "."], check=True)
        subprocess.run(["sync", str(target)], check=True)

    def ours(self) -> None:
        """A backup set."""
        call = [sys.executable, "-c", BACKUP, str(self.tree), str(self.folder / "sets")]
        self.set = subprocess.run(call, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()

    def raw_restore(self) -> None:
        """tar by itself, from our archive, to disk."""
        into = self.folder / "raw restored"
        into.mkdir()
        archive = next(Path(self.set).glob("*.tar.zst"))
        subprocess.run(["tar", "--extract", "--zstd", f"--file={archive}", "--directory", str(into)], check=True)
        subprocess.run(["sync", "--file-system", str(into)], check=True)

    def our_restore(self) -> None:
        """A restore: read, unpacked, compared file by file, exchanged."""
        call = [sys.executable, "-c", RESTORE, str(self.tree), self.set]
        subprocess.run(call, env=self.environment, check=True, capture_output=True)

    def put_away(self) -> None:
        """Take what a round left out of the way of the next, and let the disk come to rest.

        Nothing is removed before the end: ext4 passes over inodes that were freed a moment ago (recently_deleted in ialloc.c), and looks at
        each of them anew for every file that is made, so that ten times as long is needed after a hundred thousand were removed.
        """
        for path in [*self.folder.glob(".tree_*"), self.folder / "raw restored"]:
            if path.exists():
                self.kept += 1
                path.rename(self.folder / f"kept {self.kept}")
        os.sync()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-benchmark-", dir=options.folder))
    try:
        bench = Bench(folder, options.files)
        ways = {
            "tar --zstd": lambda: bench.raw("--zstd"),
            "the same, zstd -1, attributes, holes": lambda: bench.raw(
                "--use-compress-program=zstd -1", "--format=posix", "--xattrs", "--acls", "--sparse"
            ),
            "tar cz": lambda: bench.raw("--gzip"),
            "files_backup": bench.ours,
            "tar --extract": bench.raw_restore,
            "files_restore": bench.our_restore,
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        cpu: dict[str, list[float]] = {name: [] for name in ways}
        for _run in range(options.runs):
            for name, way in ways.items():
                began, used = time.monotonic(), _children()
                way()
                took[name].append(time.monotonic() - began)
                cpu[name].append(_children() - used)
                print(f"    {name}: {took[name][-1]:.2f} s, processor {cpu[name][-1]:.2f} s", flush=True)
                bench.put_away()
        print(f"{options.files} files, medians of {options.runs} runs")
        for name in ways:
            print(f"  {name:40} {statistics.median(took[name]):7.2f} s  processor {statistics.median(cpu[name]):6.2f} s")
        for ours, raw in (("files_backup", "tar --zstd"), ("files_backup", "tar cz"), ("files_restore", "tar --extract")):
            ratios = [mine / other for mine, other in zip(took[ours], took[raw], strict=True)]
            ratio = statistics.median(ratios)
            verdict = "met" if ratio <= 1.05 else "missed"
            print(f"  {ours} / {raw}: {ratio:.2f} (bar 1.05: {verdict}); runs {', '.join(f'{one:.2f}' for one in ratios)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
