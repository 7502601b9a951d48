# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests without a break to the proxy of a Compose project, and what became of them."""

from __future__ import annotations

import re

from integration.compose_project import ComposeProject

CONNECTIONS, THREADS = 20, 2
PAUSE = "function delay() return 3 end\n"
"""Each connection rests three milliseconds between two requests, so that the load stays below what the machine can do."""


class Load:
    """Requests that wrk sends to the proxy, from a container in the project's network.

    Args:
        project: The project; it has a proxy.
        path: What is asked for.
        connections: How many requests are sent at a time.
    """

    def __init__(self, project: ComposeProject, path: str = "/", connections: int = CONNECTIONS) -> None:
        self._project, self._name = project, f"{project.name}-load"
        (project.folder / "pause.lua").write_text(PAUSE)
        script = f"--volume={project.folder}/pause.lua:/pause.lua:ro"
        inside = [f"--network={project.name}_default", script, "--init", "--name", self._name, project.docker.haproxy_image]
        call = ["wrk", f"-t{THREADS}", f"-c{connections}", "-d600s", "--timeout", "20s", "-s", "/pause.lua", f"http://proxy:8080{path}"]
        project.docker("run", "--detach", *inside, *call)

    def sent(self) -> int:
        """How many requests HAProxy has had since its start."""
        return next(int(row["req_tot"]) for row in self._counters() if (row["pxname"], row["svname"]) == ("web", "FRONTEND"))

    def _counters(self) -> list[dict[str, str]]:
        head, *lines = self._project.haproxy("show stat").strip("# \n").splitlines()
        return [dict(zip(head.split(","), line.split(","), strict=False)) for line in lines]

    def end(self) -> tuple[int, int, str]:
        """Stop it: requests that were answered, failures (errors of connections, and answers other than 2xx and 3xx), and its words."""
        self._project.docker("kill", "--signal=INT", self._name)
        self._project.docker("wait", self._name)
        said = self._project.docker("logs", self._name)
        self._project.docker("rm", "--force", self._name)
        answered = re.search(r"(\d+) requests in", said)
        assert answered, said
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
        others = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        failures = sum(map(int, errors.groups())) if errors else 0
        # Where errors came from: the service itself (5xx without errors of connections and responses), or from HAProxy.
        names = ("svname", "hrsp_4xx", "hrsp_5xx", "econ", "eresp", "wretr", "wredis")
        said += "".join(f"\n{', '.join(f'{name} {row[name]}' for name in names)}" for row in self._counters() if row["pxname"] == "app")
        return int(answered[1]), failures + (int(others[1]) if others else 0), said
