# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fast many endpoints and many hosts are asked, against loops of ansible.builtin.uri, against module tasks, against doing nothing.

    python tests/benchmarks/benchmark_health_check.py [--runs 5] [--hosts 200]

Everything that is compared is measured in the same run on the same machine, in turns; figures are medians. The loop of
ansible.builtin.uri is measured over 20 endpoints and reckoned up to 1000: its time is that of its items. The servers run in a
process of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BODY = b'{"healthy": true}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)
LOOP_ITEMS = 20


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


class Bench:
    """Runs playbooks on an inventory of `hosts` local hosts and times them.

    Args:
        folder: Where playbooks and inventories are written.
        ports: Ports of the good servers.
    """

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.folder, self.ports = folder, ports
        self.inventory(1)
        # The module as a host would run it: under another name there is no action plugin that takes its place.
        (folder / "library").mkdir()
        shutil.copy(REPOSITORY / "plugins/modules/health_check.py", folder / "library/health_check_there.py")

    def inventory(self, hosts: int) -> Path:
        """An inventory of so many hosts, each of them this one."""
        path = self.folder / f"{hosts}.json"
        shared = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "health_checks": self.checks(10)}
        group = {"hosts": {f"host{number:03}": {} for number in range(hosts)}, "vars": shared}
        path.write_text(json.dumps({"operator": group}))
        return path

    def checks(self, count: int, kind: str = "http") -> list[dict[str, t.Any]]:
        """So many checks of the good servers."""
        ports = self.ports
        return [{"name": f"c{n}", "type": kind, "url": f"http://127.0.0.1:{ports[n % len(ports)]}/{n}"} for n in range(count)]

    def playbook(self, *tasks: dict[str, t.Any]) -> Path:
        """A playbook of these tasks."""
        path = self.folder / "play.yml"
        path.write_text(json.dumps([{"hosts": "operator", "gather_facts": False, "tasks": list(tasks)}]))
        return path

    def seconds(self, playbook: Path, hosts: int = 1) -> float:
        """How long one run of a playbook takes."""
        environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")}
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(REPOSITORY / "collections")
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.folder / f"{hosts}.json"), str(playbook)]
        begin = time.perf_counter()
        subprocess.run(command, check=True, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begin

    def medians(self, runs: int, **playbooks: t.Callable[[], Path]) -> dict[str, float]:
        """Median seconds of each playbook, run in turns, so that a busy moment of the machine meets all of them."""
        took: dict[str, list[float]] = {name: [] for name in playbooks}
        for _ in range(runs):
            for name, playbook in playbooks.items():
                took[name].append(self.seconds(playbook()))
        return {name: statistics.median(times) for name, times in took.items()}


def engine(count: int, ports: list[int], timeout_s: float, sender: t.Any) -> None:
    """Ask `count` endpoints in this process; sends seconds and peak memory in MB."""
    sys.path.insert(0, str(REPOSITORY / "collections"))
    from ansible_collections.sre.runbooks.plugins.module_utils.checks.engine import ask
    from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import plan

    raw = [{"name": f"c{n}", "type": "json", "url": f"http://127.0.0.1:{ports[n % len(ports)]}/{n}"} for n in range(count)]
    checks = plan(raw, timeout_s=timeout_s)
    begin = time.perf_counter()
    results = ask(checks)
    took = time.perf_counter() - begin
    sender.send((took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, {result.verdict for result in results}))


def run_in_fresh_process(target: t.Callable[..., None], *arguments: t.Any) -> t.Any:
    """What `target` sends, run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    process = context.Process(target=target, args=(*arguments, sender))
    process.start()
    got = receiver.recv()
    process.join()
    return got


def peak_of_playbook(command: list[str], sender: t.Any) -> None:
    """Sends seconds, and the peak memory in MB of the largest process that ran."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sender.send((time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))


MISSED: list[str] = []


def show(what: str, figure: str, bar: str = "", met: bool = True) -> None:
    """Print a line of the table."""
    if not met:
        MISSED.append(what)
    print(f"{what:<58}{figure:>24}" + (f"   {'met   ' if met else 'MISSED'} {bar}" if bar else ""), flush=True)


def one_host(bench: Bench, runs: int) -> None:
    """Figures of one host: 1000 endpoints, and a procedure of one module."""
    one, many = bench.checks(1), bench.checks(1000)
    loop = {"ansible.builtin.uri": {"url": f"http://127.0.0.1:{bench.ports[0]}/{{{{ item }}}}"}, "loop": list(range(LOOP_ITEMS))}
    got = bench.medians(
        runs,
        empty=bench.playbook,
        trivial=lambda: bench.playbook({"ansible.builtin.ping": {}}),
        one=lambda: bench.playbook({"sre.runbooks.health_check": {"checks": one}}),
        procedure=lambda: REPOSITORY / "playbooks/health_check.yml",
        many=lambda: bench.playbook({"sre.runbooks.health_check": {"checks": many}}),
        many_there=lambda: bench.playbook({"health_check_there": {"checks": many}}),
    )
    item = (statistics.median(bench.seconds(bench.playbook(loop)) for _ in range(min(runs, 3))) - got["empty"]) / LOOP_ITEMS
    task = got["many"] - got["empty"]
    show("ansible-playbook that does nothing", f"{got['empty']:.2f} s")
    show("one trivial module task (ping)", f"{got['trivial']:.2f} s")
    ratio = got["one"] / got["empty"]
    show("one task health_check, one endpoint", f"{got['one']:.2f} s, {ratio:.2f}x", "<= 1.3x doing nothing", ratio <= 1.3)
    ratio = got["procedure"] / got["empty"]
    show("playbooks/health_check.yml, ten endpoints", f"{got['procedure']:.2f} s, {ratio:.2f}x", "<= 1.3x doing nothing", ratio <= 1.3)
    allowed = got["trivial"] * 1.2 / 0.8
    show(
        "health_check, 1000 endpoints, the whole run",
        f"{got['many']:.2f} s",
        f"<= {allowed:.2f} s (1.5x the trivial one)",
        got["many"] <= allowed,
    )
    show("the same as a module on the host", f"{got['many_there']:.2f} s")
    show("ansible.builtin.uri in a loop, an item", f"{item * 1000:.0f} ms")
    ratio = 1000 * item / task
    show("1000 endpoints, uri in a loop / health_check", f"{1000 * item:.0f} s / {task:.2f} s, {ratio:.0f}x", ">= 200x", ratio >= 200)


def many_hosts(bench: Bench, hosts: int) -> None:
    """Figures of a fleet, ten checks a host."""
    bench.inventory(hosts)
    checks = {"checks": "{{ health_checks }}"}
    local: dict[str, t.Any] = {"sre.runbooks.health_check": checks}
    distant = {"sre.runbooks.health_check": {**checks, "from_controller": True}}
    # Before and after the long run, so that a busy time of the machine meets both sides.
    times = [(bench.seconds(bench.playbook(local), hosts), bench.seconds(bench.playbook(distant), hosts)) for _ in range(2)]
    there = bench.seconds(bench.playbook({"health_check_there": checks}), hosts)
    times += [(bench.seconds(bench.playbook(local), hosts), bench.seconds(bench.playbook(distant), hosts)) for _ in range(2)]
    ping = bench.seconds(bench.playbook({"ansible.builtin.ping": {}}), hosts)
    here, asked = (statistics.median(column) for column in zip(*times, strict=True))
    show(f"{hosts} hosts, ten checks each, asked from the controller", f"{here:.2f} s")
    show("the same with from_controller", f"{asked:.2f} s")
    show(f"{hosts} hosts, a trivial module task each", f"{ping:.1f} s, {ping / here:.1f}x")
    show(f"{hosts} hosts, the checks as a module task each", f"{there:.1f} s, {there / here:.1f}x", ">= 8x", there / here >= 8)


def engine_alone(bench: Bench, dripping: int) -> None:
    """Figures of the engine: memory, deadlines."""
    for count in (1000, 10_000):
        took, memory, verdicts = run_in_fresh_process(engine, count, bench.ports, 10.0)
        bar = "< 200 MB" if count == 10_000 else ""
        show(f"the engine alone, {count} endpoints, {'/'.join(sorted(verdicts))}", f"{took:.2f} s, {memory:.0f} MB", bar, memory < 200)
    playbook = bench.playbook({"sre.runbooks.health_check": {"checks": bench.checks(10_000)}})
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(bench.folder / "1.json"), str(playbook)]
    took, memory = run_in_fresh_process(peak_of_playbook, command)
    show("10000 endpoints, the whole run, its largest process", f"{took:.2f} s, {memory:.0f} MB")
    for count in (1, 100):
        took, _memory, verdicts = run_in_fresh_process(engine, count, [dripping], 2.0)
        late_ms = (took - 2) * 1000
        show(f"{count} servers that send a byte a second, {'/'.join(verdicts)}", f"{late_ms:.0f} ms late", "<= 100 ms", 0 <= late_ms <= 100)


def main() -> int:
    """Measure and print; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--hosts", type=int, default=200)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    servers = context.Process(target=serve, args=(sender,), daemon=True)
    servers.start()
    *good, dripping = receiver.recv()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(REPOSITORY / "collections")
    try:
        with tempfile.TemporaryDirectory() as name:
            bench = Bench(Path(name), good)
            one_host(bench, arguments.runs)
            many_hosts(bench, arguments.hosts)
            engine_alone(bench, dripping)
    finally:
        servers.kill()
    return 1 if MISSED else 0


if __name__ == "__main__":
    sys.exit(main())
