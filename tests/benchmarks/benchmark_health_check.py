# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fast many endpoints are asked: one task against a loop of ansible.builtin.uri, and against doing nothing.

    python tests/benchmarks/benchmark_health_check.py [--runs 5]

The servers run in a process of their own. Figures are medians; the table says what each is measured against.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLAY = "- hosts: localhost\n  gather_facts: false\n  vars: {ansible_python_interpreter: '{{ ansible_playbook_python }}'}\n  tasks:"
BODY = b'{"healthy": true}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)


class _Good(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = t.cast(asyncio.Transport, transport)

    def data_received(self, _data: bytes) -> None:
        self.transport.write(ANSWER)
        self.transport.close()


class _Dripping(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = t.cast(asyncio.Transport, transport)
        self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.drip()

    def drip(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"x")
            asyncio.get_running_loop().call_later(1, self.drip)


def serve(ports: t.Any) -> None:
    """Ten good servers and a dripping one, until killed."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(kind, "127.0.0.1", 0, backlog=1024) for kind in [_Good] * 10 + [_Dripping]]
        ports.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    asyncio.run(main())


def playbook_s(folder: Path, tasks: list[dict[str, t.Any]], runs: int) -> float:
    """Median duration in seconds of an ansible-playbook run of these tasks."""
    playbook = folder / "play.yml"
    playbook.write_text(f"{PLAY} {json.dumps(tasks)}\n")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"), "ANSIBLE_LOCALHOST_WARNING": "false"}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(playbook)]
    took = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def engine(count: int, ports: list[int], timeout_s: float, sender: t.Any) -> None:
    """Ask `count` endpoints in this process; sends seconds and peak memory in MB."""
    sys.path.insert(0, str(REPOSITORY / "collections"))
    from ansible_collections.sre.runbooks.plugins.module_utils.checks.engine import ask
    from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import plan

    checks = plan(
        [{"name": f"c{n}", "type": "json", "url": f"http://127.0.0.1:{ports[n % len(ports)]}/{n}"} for n in range(count)],
        timeout_s=timeout_s,
    )
    begin = time.perf_counter()
    results = ask(checks)
    took = time.perf_counter() - begin
    sender.send((took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, {result.verdict for result in results}))


def engine_of(count: int, ports: list[int], timeout_s: float = 10) -> tuple[float, float, set[str]]:
    """`engine` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    process = context.Process(target=engine, args=(count, ports, timeout_s, sender))
    process.start()
    got = t.cast("tuple[float, float, set[str]]", receiver.recv())
    process.join()
    return got


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    servers = context.Process(target=serve, args=(sender,), daemon=True)
    servers.start()
    *good, dripping = receiver.recv()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            checks = [{"name": f"c{n}", "type": "http", "url": f"http://127.0.0.1:{good[n % 10]}/{n}"} for n in range(1000)]
            empty = playbook_s(folder, [], runs)
            trivial = playbook_s(folder, [{"ansible.builtin.ping": {}}], runs)
            one = playbook_s(folder, [{"sre.runbooks.health_check": {"checks": checks[:1]}}], runs)
            many = playbook_s(folder, [{"sre.runbooks.health_check": {"checks": checks}}], runs)
            loop = playbook_s(
                folder, [{"ansible.builtin.uri": {"url": f"http://127.0.0.1:{good[0]}/{{{{ item }}}}"}, "loop": list(range(20))}], 1
            )
        item = (loop - empty) / 20
        print(f"empty ansible-playbook run            {empty:7.2f} s")
        print(f"one trivial module (ping)             {trivial:7.2f} s")
        print(f"health_check, one endpoint            {one:7.2f} s")
        print(f"health_check, 1000 endpoints          {many:7.2f} s   {many - trivial:+.2f} s against the trivial module")
        print(f"ansible.builtin.uri, an item of a loop{item:7.3f} s   {1000 * item / (many - empty):.0f}x slower for 1000")
        for count in (1000, 10_000):
            took, memory, verdicts = engine_of(count, good)
            print(f"the engine alone, {count:6} endpoints    {took:7.2f} s   {memory:.0f} MB, verdicts {sorted(verdicts)}")
        took, _memory, verdicts = engine_of(100, [dripping], timeout_s=2)
        print(f"100 servers that send a byte a second, deadline 2 s: cut off after {took:.3f} s, verdicts {sorted(verdicts)}")
    finally:
        servers.kill()


if __name__ == "__main__":
    main()
