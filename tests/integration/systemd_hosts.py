# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts on which a real systemd runs instances of a small service, and runs of the real playbooks on them."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration import playbook_runs
from integration.containers import Docker
from integration.playbook_runs import OPERATOR, ROOT, Finished, finish, start
from tools.waiting import wait_until

PROGRAM = """
import http.server, os, sys, time
if os.environ.get("FAULT") == "exit":
    sys.exit("no database: password=hunter2-hunter2")
if os.environ.get("FAULT") == "eat":
    block = bytearray(os.urandom(1)) * (300 << 20)
if os.environ.get("FAULT") == "late":
    time.sleep(1)
    sys.exit(9)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ.get("COLOUR", "") + " " + str(os.getpid())).encode()
        self.send_response(500 if os.environ.get("FAULT") == "sick" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        print("asked for", self.path, flush=True)

print("begins with", os.environ.get("COLOUR"), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
UNIT = """[Unit]
Description=A small service %i
[Service]
ExecStart=/usr/bin/python3 /srv/app.py 80%i
User=games
WorkingDirectory=/srv
Environment=COLOUR=blue API_TOKEN=tok-4711-secret
EnvironmentFile=-/etc/app.env
[Install]
WantedBy=multi-user.target
"""
FILES = {
    "/srv/app.py": PROGRAM,
    "/etc/systemd/system/app@.service": UNIT,
    "/etc/systemd/system/single.service": UNIT.replace("80%i", "8099"),
}
READY = {"name": "ready", "type": "http", "url": "http://127.0.0.1:80%i/", "timeout_s": 2}
ASK = (
    "import sys, urllib.request\n"
    "for port in sys.argv[1:]:\n"
    "    try: print(urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=2).read().decode())\n"
    "    except OSError as error: print('-', error)\n"
)
OPERATE = """
import importlib, json, sys
sys.path.insert(0, "/opt/collections")
library = "ansible_collections.sre.runbooks.plugins.module_utils"
module, parameters, check_mode = json.load(sys.stdin)
failure = importlib.import_module(library + ".outcome").failure
errors = importlib.import_module(library + ".errors")
operation = importlib.import_module(library + (".service.info" if module == "info" else ".service.systemd." + module))
given = {name: option.get("default") for name, option in operation.OPTIONS.items()}
try:
    answer = dict(operation.operate({**given, **parameters}, check_mode))
except (errors.RunbookError, OSError) as error:
    answer = {"failed": True, **failure(error)}
print(json.dumps(answer))
"""


VERB = """
- hosts: "{{ service_hosts }}"
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - ansible.builtin.include_role: {name: sre.runbooks.service, tasks_from: "{{ verb }}"}
"""
SHARED = "/srv/proxy"
HAPROXY = f"""global
    stats socket {SHARED}/admin.sock mode 600 level admin
defaults
    mode http
    option redispatch
    timeout connect 2s
    timeout check 5s
    timeout client 10s
    timeout server 10s
frontend web
    bind 127.0.0.1:8080
    default_backend app
backend app
    option httpchk GET /
    default-server check inter 200ms fall 3 rise 1
    server one 127.0.0.1:8001
    server two 127.0.0.1:8002
    server three 127.0.0.1:8003
    server four 127.0.0.1:8004
"""
ASK_PROXY = f"""
import socket
try:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("{SHARED}/admin.sock")
    connection.sendall(b"show stat\\n")
    print(*(line for line in connection.makefile() if line.startswith("app,")))
except OSError as error:
    print(error)
"""


class Host:
    """A container in which systemd is process 1."""

    def __init__(self, docker: Docker, name: str, shared: Path) -> None:
        self.docker, self.name, self.shared = docker, name, shared

    def begin(self) -> None:
        """Start it."""
        self.shared.mkdir()
        library = f"--volume={ROOT}/plugins:/opt/collections/ansible_collections/sre/runbooks/plugins:ro"
        self.docker.begin_systemd(self.name, library, f"--volume={self.shared}:{SHARED}")

    def __call__(self, script: str, user: str = "root") -> str:
        """What a shell script prints there."""
        return self.docker("exec", "--user", user, self.name, "sh", "-c", script)

    def bash(self, script: str) -> str:
        """What a script prints there that needs bash."""
        return self.docker("exec", self.name, "bash", "-c", script)

    @contextmanager
    def proxy(self) -> Iterator[str]:
        """HAProxy in front of the instances; gives the name of a container with wrk, in which 127.0.0.1 is this host's."""
        (self.shared / "haproxy.cfg").write_text(HAPROXY)
        name = f"{self.name}-proxy"
        options = ("--detach", "--name", name, f"--network=container:{self.name}", f"--volume={self.shared}:{SHARED}")
        self.docker("run", *options, self.docker.haproxy_image, "haproxy", "-db", "-f", f"{SHARED}/haproxy.cfg")
        try:
            # A server counts as up until its first check, be there anything behind it or not.
            said = functools.partial(self.docker, "exec", self.name, "python3", "-c", ASK_PROXY)
            wait_until(said, lambda: "DOWN" in (now := said()) and now.count(",UP,") >= 4, every_s=0.1)
            yield name
        finally:
            self.docker("rm", "--force", name)

    def write(self, path: str, text: str) -> None:
        """Put a file there, by rename."""
        command = [
            "docker",
            "exec",
            "--interactive",
            self.name,
            "sh",
            "-c",
            f"mkdir -p $(dirname {path}); cat > {path}.new; mv {path}.new {path}",
        ]
        subprocess.run(command, input=text.encode(), env=self.docker.environment, check=True)

    def operate(self, module: str, *, check_mode: bool = False, user: str = "root", **parameters: t.Any) -> dict[str, t.Any]:
        """What the operation of a module answers there, as its task would."""
        quick = {"health_timeout_s": 10, "settle_s": 0.3} if module == "replicas" else {}
        given = json.dumps([module, {"unit": "app@.service", **quick, **parameters}, check_mode])
        command = ["docker", "exec", "--interactive", "--user", user, self.name, "python3", "-B", "-c", OPERATE]
        done = subprocess.run(command, input=given, env=self.docker.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """What systemd says of a unit."""
        said = self(f"systemctl show --property={','.join(names)} {unit}")
        return {name: value for name, _, value in (line.partition("=") for line in said.splitlines())}

    def running(self) -> dict[str, str]:
        """Process by unit, of all instances that run."""
        said = self("systemctl show --property=Id,MainPID,ActiveState 'app@*.service'")
        units = (dict(line.split("=", 1) for line in block.splitlines()) for block in said.split("\n\n") if block)
        return {unit["Id"]: unit["MainPID"] for unit in units if unit["ActiveState"] == "active"}

    def answers(self, *ports: int) -> list[str]:
        """What the service says on its ports: its colour and process, or `-` and why there is no answer."""
        return self.docker("exec", self.name, "python3", "-c", ASK, *map(str, ports)).splitlines()

    def picture(self) -> str:
        """Everything that a verb could change: units' states, their links and drop-ins."""
        return self(
            "systemctl show --property=Id,MainPID,ActiveState,UnitFileState,MemoryMax,CPUQuotaPerSecUSec,DropInPaths,InvocationID "
            "'app@*.service' single.service; find /etc/systemd /run/systemd/system -printf '%p %T@\\n' | sort"
        )

    def reset(self, instances: int = 3) -> None:
        """As at the beginning: so many instances run and are enabled."""
        names = " ".join(f"app@{number:02d}" for number in range(1, instances + 1))
        self(
            "rm -rf /etc/app.env /etc/systemd/system/*.d /run/systemd/system/*.d; systemctl stop 'app@*.service' single 2>/dev/null;"
            "find /etc/systemd/system -name 'app@*.service' -path '*wants*' -delete; systemctl daemon-reload; systemctl reset-failed;"
            f"systemctl enable --quiet --now {names}"
        )


class Hosts:
    """Two hosts, the inventory that has them, and runs on them."""

    def __init__(self, folder: Path, hosts: list[Host]) -> None:
        self.folder, self.hosts = folder, hosts
        self.variables: dict[str, t.Any] = {
            "service_name": "app",
            "service_runtime": "systemd",
            "service_systemd_unit": "app@.service",
            "service_systemd_settle_s": 0.3,
            "service_health_timeout_s": 10,
            "service_ready_checks": [READY],
            "service_replicas": {"normal": 3, "up": 4},
        }
        lines = [
            f"{host.name} ansible_connection=community.docker.docker ansible_python_interpreter=/usr/bin/python3 ansible_pipelining=true"
            for host in hosts
        ]
        (folder / "inventory" / "group_vars" / "all").mkdir(parents=True)
        (folder / "inventory" / "hosts.ini").write_text("\n".join([f"{OPERATOR}[app]", *lines, ""]))
        (folder / "tmp").mkdir()

    def run(self, playbook: str, *options: str, only: Host | None = None, **extra: t.Any) -> Finished:
        """Run a playbook to its end, on the first host unless `only` says otherwise; `extra` are variables of this run."""
        (self.folder / "inventory" / "group_vars" / "all" / "service.yml").write_text(json.dumps(self.variables, indent=1))
        where = (only or self.hosts[0]).name
        variables = {"service_hosts": where, **extra}
        # A verb without a playbook of its own is an entry point that other procedures call.
        (self.folder / "verb.yml").write_text(VERB)
        path = self.folder / "verb.yml" if playbook in ("apply", "wait") else playbook
        command = playbook_runs.command(path, self.folder / "inventory", "-v", *options, verb=playbook, **variables)
        return finish(start(command, self.environment()))

    def environment(self) -> dict[str, str]:
        """The environment of a run."""
        return playbook_runs.environment(
            self.folder / "state",
            **self.hosts[0].docker.reach,
            ANSIBLE_LOG_PATH=str(self.folder / "ansible.log"),
            ANSIBLE_CALLBACK_RESULT_FORMAT="json",
            TMPDIR=str(self.folder / "tmp"),
        )

    @staticmethod
    def changes(run: Finished) -> int:
        """How many tasks on the service's hosts changed something, or would."""
        return sum(map(int, re.findall(r"^[^ ]*unit-host.*changed=(\d+)", run.output, re.MULTILINE)))

    @staticmethod
    def result(run: Finished) -> dict[str, t.Any]:
        """The result of the verb, as the role keeps it in a fact; of several hosts the last one's."""
        assert run.status == 0, run.output
        shown = re.findall(r"^ok: \[[^\]]*\] => (\{.*\})$", run.output, re.MULTILINE)
        facts = [json.loads(one).get("ansible_facts", {}) for one in shown]
        results = [value for one in facts for name, value in one.items() if re.fullmatch(r"service_\w+_result", name)]
        return dict(results[-1])


@contextmanager
def systemd_hosts(docker: Docker, folder: Path, count: int) -> Iterator[Hosts]:
    """Hosts with the service's files, started side by side."""
    hosts = [Host(docker, docker.name(f"unit-host-{number}"), folder / f"shared-{number}") for number in range(1, count + 1)]
    try:
        for host in hosts:
            host.begin()
        for host in hosts:
            docker.await_systemd(host.name)
            for path, text in FILES.items():
                host.write(path, text)
            host.reset()
        yield Hosts(folder, hosts)
    finally:
        for host in hosts:
            subprocess.run(["docker", "rm", "--force", host.name], env=docker.environment, capture_output=True, check=False)
