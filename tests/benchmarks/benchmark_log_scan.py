# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fast errors by type and percentiles of latency come out of JSON lines: log_scan, jq, and the runbooks' own pipelines.

    python tests/benchmarks/benchmark_log_scan.py [--megabytes 1000] [--runs 3] [--program-runs 1]

All read the same file, in the same run, after it was read once. Figures are medians; memory is the peak of all processes together.
The answers are compared. The file lies in a folder for temporary files, and is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from datetime import UTC, datetime
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
SCAN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from module_utils.logs.operation import operate
questions = [
    {"name": "errors", "levels": ["ERROR"], "group_by": ["type"]},
    {"name": "latency", "number": "duration_ms", "percentiles": [50, 95, 99], "top": 0},
]
result = operate({"sources": [{"name": "app", "path": [sys.argv[2]]}], "questions": questions})
errors, latency = result["answers"]
print(json.dumps([{g["type"]: g["count"] for g in errors["groups"]}, latency["numbers"]["percentiles"]["95"]]))
"""
SHELL = "set -o pipefail; "
PERCENTILE = """sort -n | awk '{v[NR]=$1} END {r = NR * 0.95; i = int(r); if (i < r) i++; print v[i]}'"""
PROGRAMS = {
    "jq": (
        """jq -r 'select(.level == "ERROR") | .type' "$LOG" | sort | uniq -c""",
        """jq '.duration_ms' "$LOG" | """ + PERCENTILE,
    ),
    "grep, cut, sort": (
        """grep '"level": "ERROR"' "$LOG" | grep -o '"type": "[^"]*"' | cut -d'"' -f4 | sort | uniq -c""",
        """grep -o '"duration_ms": [0-9.]*' "$LOG" | cut -d' ' -f2 | """ + PERCENTILE,
    ),
}


def write_log(path: Path, size: int) -> None:
    """Write about `size` bytes of lines as a web service writes them: 3 % errors, half of these with a traceback."""
    source = random.Random(1)
    when = 1763683200.0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            portion = []
            for _ in range(20000):
                when += source.expovariate(50)
                level = source.choices(("INFO", "DEBUG", "WARNING", "ERROR"), (90, 4, 3, 3))[0]
                line: dict[str, t.Any] = {
                    "timestamp": datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds"),
                    "level": level,
                    "logger": "app.api",
                    "message": f"GET /api/cases/{source.randrange(10000)}",
                    "request_id": f"{source.getrandbits(64):016x}",
                    "user_id": f"u{source.randrange(5000)}",
                    "status": 500 if level == "ERROR" else 200,
                }
                if level == "ERROR":
                    line["type"] = source.choice(("TimeoutError", "ValueError", "ConnectionError"))
                    if source.random() < 0.5:
                        line["traceback"] = 'Traceback (most recent call last):\n  File "app.py", line 1'
                line["duration_ms"] = round(source.lognormvariate(4, 1), 1)
                portion.append(json.dumps(line))
            file.write("\n".join(portion) + "\n")


def measured(command: list[str], environment: dict[str, str], *, memory: bool) -> tuple[float, float, str]:
    """Seconds, peak memory in MB of all processes together (proportional set size), and what a command prints.

    To ask for the memory costs the processes time: it is done in a run of its own.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    peak, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while memory and not over.wait(0.05):
            total = 0
            try:
                root = psutil.Process(process.pid)
                for one in (root, *root.children(recursive=True)):
                    total += one.memory_full_info().pss
            except psutil.Error:
                continue
            peak = max(peak, total / 1e6)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _nothing = process.communicate()
    took = time.perf_counter() - begin
    over.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return took, peak, output


def answer_of(outputs: list[str]) -> list[t.Any]:
    """Errors by type and the 95th percentile out of the two outputs of a shell's pipelines."""
    types = {line.split()[1]: int(line.split()[0]) for line in outputs[0].splitlines() if line.split()[1] != "null"}
    return [types, float(outputs[1])]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--program-runs", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sre-log-scan-") as folder:
        log = Path(folder) / "app.log"
        write_log(log, options.megabytes * 1_000_000)
        plain = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LC_CTYPE")}
        environment = {**plain, "LOG": str(log), "TMPDIR": folder}
        log.read_bytes() if options.megabytes < 200 else subprocess.run(["cat", str(log)], stdout=subprocess.DEVNULL, check=True)
        command = [sys.executable, "-c", SCAN, str(REPOSITORY / "plugins"), str(log)]
        ours = [measured(command, environment, memory=False) for _ in range(options.runs)]
        took, memory = statistics.median(one[0] for one in ours), measured(command, environment, memory=True)[1]
        answer = json.loads(ours[0][2])
        print(
            f"{log.stat().st_size / 1e6:.0f} MB of JSON lines, {os.cpu_count()} processors; errors by type, 95th percentile of duration_ms"
        )
        print(f"{'log_scan, both in one pass':44}{took:8.2f} s {memory:8.0f} MB")
        languages = {"default locale": {"LANG": os.environ.get("LANG", "C.UTF-8")}, "LC_ALL=C": {"LC_ALL": "C"}}
        for name, pipelines in PROGRAMS.items():
            if shutil.which(name.split(",", maxsplit=1)[0]) is None:
                print(f"{name}: not installed (apt-get install jq)")
                continue
            for language, variables in languages.items():
                if name == "jq" and language != "default locale":
                    continue
                totals, outputs = [], []
                for _ in range(options.program_runs):
                    each = [
                        measured(["bash", "-c", SHELL + pipeline], {**environment, **variables}, memory=False) for pipeline in pipelines
                    ]
                    totals.append(sum(one[0] for one in each))
                    outputs = [one[2] for one in each]
                same = "same answers" if answer_of(outputs) == answer else f"OTHER ANSWERS: {answer_of(outputs)} and {answer}"
                total = statistics.median(totals)
                print(f"{name + ', ' + language:44}{total:8.2f} s               {total / took:5.1f}x as long; {same}")


if __name__ == "__main__":
    main()
