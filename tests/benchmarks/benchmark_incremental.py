# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup of what changed since yesterday against the source runbooks' nightly dump, all in the same run.

    python tests/benchmarks/benchmark_incremental.py [--megabytes 1000] [--runs 3] [--pgbackrest]

Between two measurements 1 % of the documents are changed: the newest ones (`recent`, as in a service that adds and edits), or every
hundredth (`scattered`). With --pgbackrest the same is measured on a second server with pgBackRest, which copies whole files: as pitr_setup
sets it up, with four processes, and without waiting for the log to be archived.
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
import typing as t
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "collections")]

from integration.pitr_server import archived_server  # noqa: E402
from integration.postgresql_server import PostgresqlServer, running_server  # noqa: E402

DATABASE, BAR = "reference", 15.0


class Bench:
    """The measured ways on one server."""

    def __init__(self, server: PostgresqlServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.environment = {
            **os.environ,
            "PATH": f"{server.tools}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGPASSWORD": server.password,
            "PYTHONPATH": os.pathsep.join(sys.path[:2]),
        }
        self.sizes: dict[str, int] = {}

    def change(self, where: str) -> None:
        """Change 1 % of the largest table's rows."""
        largest = "documents"
        rows = int(self.server.sql(f"SELECT count(*) FROM {largest}", DATABASE))
        chosen = f"id > (SELECT max(id) FROM {largest}) - {max(rows // 100, 1)}" if where == "recent" else "id % 100 = 7"
        self.server.sql(f"UPDATE {largest} SET title = title || '.' WHERE {chosen}", DATABASE)
        self.server.connection.do("CHECKPOINT")

    def source(self) -> float:
        """pg_dump | gzip, as the source runbooks do it."""
        target = self.folder / "source.sql.gz"
        began = time.monotonic()
        with target.open("wb") as stream:
            dump = subprocess.Popen(["pg_dump", DATABASE], stdout=subprocess.PIPE, env=self.environment)
            subprocess.run(["gzip"], stdin=dump.stdout, stdout=stream, check=True, env=self.environment)
            assert dump.wait() == 0
        took = time.monotonic() - began
        self.sizes["source"] = target.stat().st_size
        return took

    def ours(self, method: str) -> float:
        """pg_backup's work in a process of its own, its start-up included."""
        order = self.folder / "order.json"
        order.write_text(
            json.dumps(
                {
                    "operation": "backup",
                    "database": DATABASE,
                    "backup_folder": str(self.folder / "sets"),
                    "method": method,
                    "connection": asdict(self.server.connection),
                }
            )
        )
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "integration.operation", str(order)], stdout=subprocess.PIPE, env=self.environment)
        took = time.monotonic() - began
        told = json.loads(done.stdout)
        assert done.returncode == 0, told
        assert not told.get("notes"), told["notes"]
        self.sizes[method] = told["backup_set"]["size_bytes"]
        self.last = told["backup_set"]["folder"]
        return took

    def raw(self, base: str) -> float:
        """The same pg_basebackup that we call, alone, on the same base."""
        target = self.folder / "raw"
        shutil.rmtree(target, ignore_errors=True)
        compression = f"--compress=server-zstd:level=1,workers={os.cpu_count()}"
        words = [
            "-D",
            str(target),
            "-Ft",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            compression,
            f"--incremental={base}/base/backup_manifest",
        ]
        began = time.monotonic()
        subprocess.run(["pg_basebackup", *words], check=True, env=self.environment)
        return time.monotonic() - began


def built_in(options: argparse.Namespace) -> dict[str, list[float]]:
    """pg_backup with the method incremental, on a server of version 17."""
    took: dict[str, list[float]] = {"source": []}
    settings = {"shared_buffers": "256MB", "dynamic_shared_memory_type": "posix", "autovacuum": "off"}
    with running_server(settings, parent="/var/tmp") as server, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        server.load_reference(DATABASE, options.megabytes)
        bench = Bench(server, Path(folder))
        bench.change("recent")
        took["full set"] = [bench.ours("physical")]
        for number in range(options.runs):
            took["source"].append(bench.source())
            for where in ("recent", "scattered"):
                base = bench.last
                bench.change(where)
                took.setdefault(f"raw pg_basebackup, {where}", []).append(bench.raw(base))
                took.setdefault(f"incremental set, {where}", []).append(bench.ours("incremental"))
                print(
                    f"run {number + 1}: {where}: {bench.sizes['incremental'] / 1e6:.1f} MB, source {bench.sizes['source'] / 1e6:.1f} MB",
                    flush=True,
                )
    return took


def by_pgbackrest(options: argparse.Namespace) -> dict[str, list[float]]:
    """pgBackRest's incremental backup, on a server of version 15."""
    took: dict[str, list[float]] = {"source": []}
    with archived_server(with_backup=False) as server, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        server.connection.do(f'DROP DATABASE "{DATABASE}"')
        server.load_reference(DATABASE, options.megabytes)
        bench = Bench(server, Path(folder))
        bench.change("recent")
        from ansible_collections.sre.runbooks.plugins.module_utils.pitr.program import call

        def incremental(*more: str) -> Callable[[], float]:
            def work() -> float:
                began = time.monotonic()
                call(server.archive, "--type=incr", *more, "backup")
                return time.monotonic() - began

            return work

        ways: dict[str, Callable[[], float]] = {
            "pgBackRest, as set up": incremental(),
            "pgBackRest, 4 processes": incremental("--process-max=4"),
            "pgBackRest, no waiting for the log": incremental("--process-max=4", "--no-archive-check"),
        }
        call(server.archive, "--type=full", "backup")
        for _number in range(options.runs):
            took["source"].append(bench.source())
            for name, way in ways.items():
                bench.change("recent")
                took.setdefault(f"{name}, recent", []).append(way())
    return took


def report(took: t.Mapping[str, list[float]]) -> None:
    """The table: what, seconds, against the source's dump."""
    source = statistics.median(took["source"])
    for name, values in took.items():
        middle = statistics.median(values)
        verdict = "" if name in ("source", "full set") else ("met" if source / middle >= BAR else "MISSED")
        print(f"{name:45s} {middle:8.2f} s  {source / middle:6.1f}x the source's   bar >= {BAR:g}x  {verdict}")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the plain dump")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pgbackrest", action="store_true", help="measure pgBackRest too")
    options = parser.parse_args()
    report(built_in(options))
    if options.pgbackrest:
        report(by_pgbackrest(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
