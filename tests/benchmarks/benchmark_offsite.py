# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of a set to and from a real S3 service, against `rclone copy` alone, in the same run.

    python tests/benchmarks/benchmark_offsite.py [--megabytes 1000] [--files 8] [--runs 3] [--megabytes-per-second 0]

Ours also compares every checksum before and after. The ways take turns and every figure is a median. On one machine the service, rclone
and the checksums share the processors; a limited rate (`--megabytes-per-second`) shows how it is where the network is what one waits for.
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
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import ObjectStore  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.command import run  # noqa: E402
from ansible_collections.sre.runbooks.tests.unit.small_sets import make_set  # noqa: E402
from integration.object_store import option, running_store  # noqa: E402

LIMIT = 0.05
OURS = """
import json, sys
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import ObjectStore, download, upload
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


def raw(store: ObjectStore, *arguments: str) -> float:
    """`rclone` alone; returns seconds."""
    began = time.monotonic()
    run(store.command(*arguments))
    return time.monotonic() - began


def measure(folder: Path, megabytes: int, files: int, runs: int) -> dict[str, list[float]]:
    """Seconds of each way, run by run."""
    content = {f"dump/{number}.dat": os.urandom(megabytes * 1_000_000 // files) for number in range(files)}
    one = make_set(folder / "here", content)
    found: dict[str, list[float]] = {"rclone up": [], "ours up": [], "rclone down": [], "ours down": []}
    with running_store(folder / "s3") as service:
        for number in range(runs):
            store = replace(service, prefix=f"ours{number}")
            plain = service.remote(f"plain{number}")
            found["rclone up"].append(raw(service, "copy", one.folder, plain))
            found["ours up"].append(ours("upload", store, one.folder))
            found["rclone down"].append(raw(service, "copy", plain, str(folder / "plain")))
            found["ours down"].append(ours("download", store, one.id, str(folder / "fetched")))
            for target in ("plain", "fetched"):
                shutil.rmtree(folder / target)
            service.call("purge", plain)
            store.call("purge", store.remote())
    return found


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
    for way in ("up", "down"):
        plain, own = (statistics.median(found[f"{who} {way}"]) for who in ("rclone", "ours"))
        overhead = own / plain - 1
        missed |= overhead > LIMIT
        verdict = "met" if overhead <= LIMIT else "missed"
        print(f"{way:5} rclone {plain:6.2f} s  ours {own:6.2f} s  overhead {overhead:+.1%}  (at most {LIMIT:.0%}: {verdict})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
