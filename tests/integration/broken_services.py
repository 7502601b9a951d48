# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Compose project whose services are broken in many ways, a registry that refuses, and units that do not start."""

from __future__ import annotations

import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ansible_collections.sre.runbooks.tests.unit.checks_servers import certificate
from integration import playbook_runs
from integration.containers import Docker
from integration.playbook_runs import OPERATOR, Finished, finish, start

PASSWORD = "Vt4-zinc_Harbour9"
SLEEP = ["sleep", "600"]
PROBE = {"interval": "300ms", "timeout": "2s", "retries": 1, "start_period": "0s"}
HOG = "x = bytearray(200_000_000); import time; time.sleep(600)"


class Registry(ThreadingHTTPServer):
    """A registry that has nothing, and lets nobody into the repository `private`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.socket = certificate(folder, "localhost")[0].wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def name(self) -> str:
        """Its name before an image."""
        return f"localhost:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, code = (200, "") if self.path == "/v2/" else (404, "MANIFEST_UNKNOWN")
        if "/private/" in self.path:
            status, code = 403, "DENIED"
        words = "requested access to the resource is denied" if code == "DENIED" else "manifest unknown"
        body = json.dumps({"errors": [{"code": code, "message": words}]} if code else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server asks for

    def log_message(self, *_args: t.Any) -> None:
        """Nothing."""


def services(image: str, name: str, port: int, held: int, registry: str, folder: Path) -> dict[str, dict[str, t.Any]]:
    """The services. `port` is held by this process, `held` by the service `holder`; `folder` has what they mount."""
    script = folder / "no_first_line"
    script.write_text("echo no first line\n")
    script.chmod(0o755)
    (folder / "app.conf").mkdir()
    url = f"postgresql://app:{PASSWORD}@{{}}/shop"
    found: dict[str, dict[str, t.Any]] = {
        "good": {"command": SLEEP, "healthcheck": {"test": ["CMD", "true"], **PROBE}, "deploy": {"replicas": 2}},
        "holder": {"command": SLEEP, "ports": [f"127.0.0.1:{held}:80", f"127.0.0.1:{held + 1}:81"]},
        "taken_by_process": {"command": SLEEP, "ports": [f"127.0.0.1:{port}:80"]},
        "taken_by_container": {"command": SLEEP, "ports": [f"{held}:80"]},
        "taken_by_udp": {"command": SLEEP, "ports": [f"127.0.0.1:{port}:53/udp"]},
        "taken_range": {"command": SLEEP, "ports": [f"{held}-{held + 1}:80/tcp"]},
        "no_image": {"image": "sre-runbooks/no-such:1", "pull_policy": "never"},
        "unknown_image": {"image": f"{registry}/shop/api:7", "pull_policy": "missing"},
        "private_image": {"image": f"{registry}/private/api:7", "pull_policy": "missing"},
        "hog": {"command": ["python3", "-c", HOG], "mem_limit": "30m", "memswap_limit": "30m"},
        "no_command": {"command": ["no-such-program"], "init": False},
        "ends_127": {"command": ["sh", "-c", "no-such-program"]},
        "ends_126": {"command": ["sh", "-c", "/etc/passwd"]},
        "no_first_line": {"command": ["/no_first_line"], "volumes": [f"{script}:/no_first_line:ro"], "init": False},
        "sick": {"command": SLEEP, "healthcheck": {"test": ["CMD-SHELL", "echo queue is stuck; exit 1"], **PROBE}},
        "no_probe": {"command": SLEEP, "healthcheck": {"test": ["CMD", "no-such-probe"], **PROBE}},
        "needs_sick": {"command": SLEEP, "depends_on": {"sick": {"condition": "service_healthy"}}},
        "loops": {"command": ["sh", "-c", "echo \"KeyError: 'SHOP_CURRENCY'\"; exit 1"], "restart": "always"},
        "unexplained": {"command": ["sh", "-c", "echo the flux is off; exit 3"]},
        "named": {"command": SLEEP, "container_name": f"{name}-fixed"},
        "no_network": {"command": SLEEP, "networks": ["away"]},
        "no_volume": {"command": SLEEP, "volumes": ["away:/data"]},
        "folder_for_file": {"command": ["sh", "-c", "cat /etc/app.conf"], "volumes": [f"{folder}/app.conf:/etc/app.conf"]},
        "refused": {
            "command": ["sh", "-c", f"echo cannot reach it with {PASSWORD}; exit 1"],
            "environment": {"DATABASE_URL": url.format("good:5432"), "CACHE_URL": "redis://localhost", "COLOUR": "${COLOUR}"},
        },
        "calls_stopped": {"command": ["sh", "-c", "exit 1"], "environment": {"DATABASE_URL": url.format("unexplained:5432")}},
        "reads_only": {"command": ["sh", "-c", "echo x > /data"], "read_only": True},
        "stands_still": {"command": SLEEP},
        "full": {"command": ["sh", "-c", "head -c 9m /dev/zero > /small/x"], "tmpfs": ["/small:size=1m"]},
    }
    for body in found.values():
        body.setdefault("image", image)
        body.setdefault("pull_policy", "never")
        body.setdefault("init", True)
        body["stop_grace_period"] = "1s"
    return found


UNITS = {
    "good.service": "[Service]\nExecStart=sleep 600\n",
    "no_program.service": "[Service]\nExecStart=/opt/app/bin/server --port 80\n",
    "not_executable.service": "[Service]\nExecStart=/etc/passwd\n",
    "no_account.service": "[Service]\nUser=app-of-nobody\nExecStart=sleep 600\n",
    "no_folder.service": "[Service]\nWorkingDirectory=/srv/app\nExecStart=sleep 600\n",
    "no_namespace.service": "[Service]\nReadWritePaths=/srv/not-there\nProtectSystem=strict\nExecStart=sleep 600\n",
    "no_environment.service": "[Service]\nEnvironmentFile=/etc/app.env\nExecStart=sleep 600\n",
    "limit.service": "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=60\n"
    '[Service]\nRestart=always\nRestartSec=10ms\nExecStart=sh -c "echo the flux is off; exit 4"\n',
    "invalid.service": "[Service]\nExecStart=bin/relative\n",
    "too_slow.service": "[Service]\nType=notify\nTimeoutStartSec=1\nExecStart=sleep 600\n",
    "before.service": "[Service]\nExecStartPre=false\nExecStart=sleep 600\n",
    "condition.service": "[Unit]\nConditionPathExists=/srv/not-there\n[Service]\nExecStart=sleep 600\n",
    "needs.service": "[Unit]\nRequires=no_program.service\nAfter=no_program.service\n[Service]\nType=oneshot\nExecStart=false\n",
    "web.service": "[Service]\nExecStart=python3 -m http.server 8000\n",
    "second_web.service": f"[Service]\nEnvironment=DATABASE_URL=postgresql://app:{PASSWORD}@127.0.0.1:5999/shop\n"
    "ExecStart=python3 -m http.server 8000\n",
    "template@.service": '[Service]\nExecStart=sh -c "test %i = a && exec sleep 600; exit 7"\n',
    "stopped.service": "[Service]\nExecStart=sleep 600\n[Install]\nWantedBy=multi-user.target\n",
    "changed.service": "[Service]\nExecStart=false\n",
}


def played(folder: Path, docker: Docker, playbook: str | Path, variables: dict[str, t.Any], hosts: str = "") -> Finished:
    """A run of a playbook with a state folder of its own."""
    (folder / "hosts.ini").write_text(f"{OPERATOR}{hosts}\n")
    call = playbook_runs.command(playbook, folder / "hosts.ini", service_name="shop", **variables)
    return finish(start(call, playbook_runs.environment(folder / "state", **docker.reach)))
