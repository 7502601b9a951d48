# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetching and sending a Qdrant snapshot against curl, in the same run.

    python tests/benchmarks/benchmark_qdrant.py [--megabytes 500] [--runs 5]

The same snapshot is fetched by curl, by curl followed by sha256sum and sync (what a careful script does), and by ours, which hashes on the
way and synchronises. The ways take turns, the figures are medians of wall seconds; our peak memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.fetch import fetch  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.http import Http  # noqa: E402
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.server import Server  # noqa: E402
from integration.qdrant_server import API_KEY, QdrantServer, qdrant_server  # noqa: E402

_TEXT_BYTES = 100_000


def fill(server: QdrantServer, megabytes: int) -> None:
    """Points with long payloads that do not compress."""
    server.ask("PUT", "/collections/documents", {"vectors": {"size": 8, "distance": "Dot"}})
    for start in range(0, megabytes * 1_000_000 // _TEXT_BYTES, 50):
        texts = [os.urandom(_TEXT_BYTES // 2).hex() for _number in range(50)]
        points = [{"id": start + number, "vector": [1.0] * 8, "payload": {"text": text}} for number, text in enumerate(texts)]
        server.ask("PUT", "/collections/documents/points?wait=true", {"points": points})


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-benchmark-"))
    try:
        with qdrant_server(folder / "data") as server:
            fill(server, options.megabytes)
            measure(server, folder, options.runs)
    finally:
        shutil.rmtree(folder)


def measure(server: QdrantServer, folder: Path, runs: int) -> None:
    """Let the ways take turns."""
    api = Server(Http(server.url, API_KEY))
    snapshot = api.create_snapshot("documents")
    url = f"{server.url}/collections/documents/snapshots/{snapshot.name}"
    key = folder / "key"
    key.write_text(f'header = "api-key: {API_KEY}"\n')
    target, kept = folder / "fetched", folder / "kept"

    def curl() -> None:
        subprocess.run(["curl", "--silent", "--fail", "--config", key, "--output", target, url], check=True)

    def careful() -> None:
        curl()
        subprocess.run(["sha256sum", target], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["sync", target], check=True)

    def ours() -> None:
        fetch(api, snapshot, str(target), Progress("benchmark"))

    def curl_sends() -> None:
        form = f"snapshot=@{kept};filename=sre-runbooks-curl.snapshot"
        where = f"{server.url}/collections/sent/snapshots/upload?wait=true&priority=snapshot&checksum={snapshot.checksum}"
        subprocess.run(["curl", "--silent", "--fail", "--config", key, "--output", "/dev/null", "--form", form, where], check=True)

    def ours_sends() -> None:
        with kept.open("rb", buffering=0) as source:
            api.recover("sent", source, kept.stat().st_size, "sre-runbooks-ours.snapshot", snapshot.checksum)

    ways = {"curl": curl, "curl, sha256sum, sync": careful, "ours": ours, "curl sends": curl_sends, "ours sends": ours_sends}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    curl()
    target.rename(kept)
    for _run in range(runs):
        for name, way in ways.items():
            spent[name].append(seconds(way))
            target.unlink(missing_ok=True)
            if name.endswith("sends"):
                server.ask("DELETE", "/collections/sent")
                shutil.rmtree(server.folder / "snapshots" / "sent")
    median = {name: statistics.median(values) for name, values in spent.items()}
    print(f"snapshot of {snapshot.size_bytes / 1e6:.0f} MB, medians of {runs}")
    for name, value in median.items():
        print(f"  {name:24s} {value:7.3f} s  ({min(spent[name]):.3f} to {max(spent[name]):.3f})")
    print(f"fetch: {median['ours'] / median['curl']:.2f} of curl, {median['ours'] / median['curl, sha256sum, sync']:.2f} of the second")
    print(f"send and recover: {median['ours sends'] / median['curl sends']:.2f} of curl")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main()
