# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of a set to and from a real S3 service, against `rclone copy` alone, in the same run.

    python tests/benchmarks/benchmark_offsite.py [--megabytes 1000] [--files 8] [--runs 3] [--megabytes-per-second 0]

Ours also compares every checksum before and after, and a download of ours is on disk when it ends; `rclone copy` alone leaves that to the
system, so it is shown once more with `sync` of the folder behind it. The ways take turns and every figure is a median. On one machine the
service, rclone and the checksums share the processors; a limited rate (`--megabytes-per-second`) shows how it is where the network is what
one waits for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.command import run  # noqa: E402
from ansible_collections.sre.runbooks.tests.unit.small_sets import make_set  # noqa: E402
from integration.object_store import option, running_store  # noqa: E402

LIMIT = 0.05
BASELINES = {"rclone up": "ours up", "rclone down": "ours down", "rclone down, sync": "ours down"}
OURS = """
import json, sys
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import download, upload
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
store = ObjectStore(**json.loads(sys.argv[2]))
upload(store, read_set(sys.argv[3])) if sys.argv[1] == "upload" else download(store, sys.argv[3], sys.argv[4])
"""


def ours(way: str, store: ObjectStore, *arguments: str) -> float:
    """One of our operations in a process of its own; returns seconds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])}
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", OURS, way, json.dumps(option(store)), *arguments], env=environment, check=True)
    return time.monotonic() - began


def raw(store: ObjectStore, *arguments: str, synced: str = "") -> float:
    """`rclone` alone, and `sync` of a folder when one is named; returns seconds."""
    began = time.monotonic()
    run(store.command(*arguments))
    if synced:
        subprocess.run(["sync", "--file-system", synced], check=True)
    return time.monotonic() - began


def take_turns(service: ObjectStore, number: int, set_folder: str, folder: Path) -> dict[str, float]:
    """Seconds of each way, one after the other, with the disk at rest before each."""
    store, plain, plain_folder = replace(service, prefix=f"ours{number}"), service.remote(f"plain{number}"), str(folder / "plain")
    ways: dict[str, Callable[[], float]] = {
        "rclone up": lambda: raw(service, "copy", set_folder, plain),
        "ours up": lambda: ours("upload", store, set_folder),
        "rclone down": lambda: raw(service, "copy", plain, plain_folder),
        "ours down": lambda: ours("download", store, Path(set_folder).name, str(folder / "fetched")),
        "rclone down, sync": lambda: raw(service, "copy", plain, plain_folder, synced=plain_folder),
    }
    found = {}
    for name, way in ways.items():
        os.sync()
        found[name] = way()
        print(f"    {name}: {found[name]:.2f} s", flush=True)
        for target in ("plain", "fetched"):
            shutil.rmtree(folder / target, ignore_errors=True)
    service.call("purge", plain)
    store.call("purge", store.remote())
    return found


def measure(folder: Path, megabytes: int, files: int, runs: int) -> list[dict[str, float]]:
    """Seconds of each way, run by run."""
    content = {f"dump/{number}.dat": os.urandom(megabytes * 1_000_000 // files) for number in range(files)}
    one = make_set(folder / "here", content)
    with running_store(folder / "s3") as service:
        return [take_turns(service, number, one.folder, folder) for number in range(runs)]


def main() -> int:
    """Measure, print a table, and return 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes-per-second", type=float, default=0)
    options = parser.parse_args()
    if options.megabytes_per_second:
        os.environ["RCLONE_BWLIMIT"] = f"{options.megabytes_per_second}M"
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-benchmark-"))
    try:
        found = measure(folder, options.megabytes, options.files, options.runs)
    finally:
        shutil.rmtree(folder)
    missed = 0
    for baseline, way in BASELINES.items():
        plain, own = (statistics.median(run[name] for run in found) for name in (baseline, way))
        overhead = own / plain - 1
        missed |= overhead > LIMIT
        verdict = "met" if overhead <= LIMIT else "missed"
        print(f"{way:9} {own:6.2f} s  {baseline:17} {plain:6.2f} s  overhead {overhead:+.1%}  (at most {LIMIT:.0%}: {verdict})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
