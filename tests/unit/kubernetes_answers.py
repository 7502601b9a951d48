# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server for kubectl that gives the answers of Kubernetes for the group apps/v1, as its API reference has them.

Of the ready-made ones kmock 0.8 answers 500 where Kubernetes says NotFound, which is what a check must tell apart.
"""

from __future__ import annotations

import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}
DISCOVERY: dict[str, t.Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "apps",
                "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
            }
        ],
    },
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "apps/v1",
        "resources": [
            {"name": name, "singularName": name[:-1], "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
            for name, kind in KINDS.items()
        ],
    },
}


def deployment(
    wanted: int = 3, ready: int = 3, updated: int = 3, generation: int = 2, seen: int = 2, stuck: bool = False
) -> dict[str, t.Any]:
    """A Deployment as the API server gives it back; zeros are left out of its status."""
    counts = {"replicas": wanted, "readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": updated}
    progress = {
        "type": "Progressing",
        "status": "False" if stuck else "True",
        "reason": "ProgressDeadlineExceeded" if stuck else "NewReplicaSetAvailable",
        "message": 'ReplicaSet "api-5d4f8c7b9c" has timed out progressing.' if stuck else 'ReplicaSet "api-5d4f8c7b9c" has progressed.',
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "api",
            "namespace": "prod",
            "generation": generation,
            "annotations": {"deployment.kubernetes.io/revision": "7"},
        },
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "api"}}, "strategy": {"type": "RollingUpdate"}},
        "status": {"observedGeneration": seen, "conditions": [progress], **{name: count for name, count in counts.items() if count}},
    }


def stateful_set(wanted: int = 3, ready: int = 3, updated: int = 3, strategy: str = "RollingUpdate") -> dict[str, t.Any]:
    """A StatefulSet as the API server gives it back."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "prod", "generation": 4},
        "spec": {"replicas": wanted, "serviceName": "db", "updateStrategy": {"type": strategy}},
        "status": {"observedGeneration": 4, "replicas": wanted, "readyReplicas": ready, "updatedReplicas": updated, "collisionCount": 0},
    }


def daemon_set(wanted: int = 3, ready: int = 3, updated: int = 3) -> dict[str, t.Any]:
    """A DaemonSet as the API server gives it back: these counts are always there."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "prod", "generation": 1},
        "spec": {"updateStrategy": {"type": "RollingUpdate"}},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": wanted,
            "currentNumberScheduled": wanted,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": updated,
        },
    }


def _status(code: int, reason: str, message: str) -> dict[str, t.Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}


class ApiServer:
    """The server, while its block lasts; `objects` may be exchanged meanwhile.

    Attributes:
        url: Its address.
        objects: What it has, all in the namespace `prod`; a namespace `secret` is forbidden.
    """

    def __init__(self, *objects: dict[str, t.Any]) -> None:
        self.objects = list(objects)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, document = server.answer(self.path.partition("?")[0])
                body = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: t.Any) -> None:
                """Silent."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, path: str) -> tuple[int, dict[str, t.Any]]:
        """Status and document for a path."""
        if path in DISCOVERY:
            return 200, DISCOVERY[path]
        parts = path.split("/")
        if parts[:4] == ["", "api", "v1", "namespaces"] and len(parts) == 5:
            # kubectl looks for the namespace when the object is not there.
            if parts[4] in ("prod", "secret"):
                return 200, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": parts[4]}}
            return 404, _status(404, "NotFound", f'namespaces "{parts[4]}" not found')
        if len(parts) != 8 or parts[6] not in KINDS:
            return 404, _status(404, "NotFound", "the server could not find the requested resource")
        namespace, kind, name = parts[5:]
        if namespace == "secret":
            said = f'{kind}.apps "{name}" is forbidden: User "viewer" cannot get resource "{kind}" in API group "apps"'
            return 403, _status(403, "Forbidden", f'{said} in the namespace "secret"')
        for found in self.objects:
            metadata = found["metadata"]
            if (found["kind"], metadata["namespace"], metadata["name"]) == (KINDS[kind], namespace, name):
                return 200, found
        return 404, _status(404, "NotFound", f'{kind}.apps "{name}" not found')

    def __enter__(self) -> ApiServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def kubeconfig(self) -> str:
        """The text of a kubeconfig with this server as the context `test`."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": {"server": self.url}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "prod"}}],
                "users": [{"name": "test", "user": {}}],
                "current-context": "test",
            }
        )
