# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real control plane of Kubernetes on loopback ports: etcd, kube-apiserver and kube-controller-manager, with tests as its kubelets."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.api import STRATEGIC, Api
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.client import connect
from tools.ports import free_ports

_TOKENS = 'all-rights,admin,1,"system:masters"\nof-the-operator,operator,2\n'


class ControlPlane:
    """The three servers.

    Args:
        programs: Folder with kube-apiserver and kube-controller-manager; etcd is looked for there and on the PATH.
        folder: An empty folder.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._servers: list[subprocess.Popen[bytes]] = []
        self._port, self._etcd, self._peer, self._manager = free_ports(4)
        self.started_s = 0.0

    def __enter__(self) -> ControlPlane:
        began = time.monotonic()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        self.started_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        for server in reversed(self._servers):
            server.terminate()
        for server in self._servers:
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()

    def kubeconfig(self, token: str = "all-rights") -> str:
        """A kubeconfig for the account of a token; `of-the-operator` has no rights but those that a test gives it."""
        path = self._folder / f"{token}.config"
        cluster = {"server": f"https://127.0.0.1:{self._port}", "insecure-skip-tls-verify": True}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "account", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "account"}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(content))
        return str(path)

    def _start(self) -> None:
        key, tokens = self._folder / "sa.key", self._folder / "tokens.csv"
        tokens.write_text(_TOKENS)
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        etcd, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        program = shutil.which("etcd", path=str(self._programs)) or shutil.which("etcd")
        assert program, "etcd is neither beside kube-apiserver nor on the PATH"
        self._run(
            [
                program,
                "--data-dir",
                str(self._folder / "etcd"),
                "--listen-client-urls",
                etcd,
                "--advertise-client-urls",
                etcd,
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ]
        )
        self._run(
            [
                str(self._programs / "kube-apiserver"),
                f"--etcd-servers={etcd}",
                f"--secure-port={self._port}",
                "--bind-address=127.0.0.1",
                f"--cert-dir={self._folder / 'certs'}",
                "--service-cluster-ip-range=10.0.0.0/24",
                f"--token-auth-file={tokens}",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--disable-admission-plugins=ServiceAccount",
                "--advertise-address=127.0.0.1",
            ]
        )
        api = Api(connect(self.kubeconfig()), json.loads, 60.0)
        until = time.monotonic() + 60
        while True:
            try:
                api.get("/api/v1/namespaces/default")
                break
            except RunbookError:
                assert time.monotonic() < until, (self._folder / "kube-apiserver.log").read_text()[-2000:]
                time.sleep(0.2)
        self._run(
            [
                str(self._programs / "kube-controller-manager"),
                f"--kubeconfig={self.kubeconfig()}",
                "--leader-elect=false",
                "--port=0",
                f"--secure-port={self._manager}",
                "--bind-address=127.0.0.1",
                f"--cert-dir={self._folder / 'certs'}",
                "--controllers=deployment,replicaset,statefulset,garbagecollector,namespace",
            ]
        )

    def _run(self, argv: list[str]) -> None:
        with (self._folder / f"{Path(argv[0]).name}.log").open("wb") as log:
            self._servers.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log))


class Kubelet:
    """Says of pods that no node has taken that they run and are ready; those tagged `missing`, or with 7 processors, cannot pull it."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self._api, self._pods = Api(connect(kubeconfig), json.loads), f"/api/v1/namespaces/{namespace}/pods"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Kubelet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._end.wait(0.2):
            try:
                for pod in self._api.items(self._pods)[0]:
                    if not (pod.get("status") or {}).get("containerStatuses"):
                        self._api.patch(f"{self._pods}/{pod['metadata']['name']}/status", {"status": _status(pod)}, STRATEGIC)
            except RunbookError:
                continue


def _status(pod: dict[str, t.Any]) -> dict[str, t.Any]:
    container, moment = pod["spec"]["containers"][0], pod["metadata"]["creationTimestamp"]
    missing = container["image"].endswith(":missing") or container["resources"].get("limits", {}).get("cpu") == "7"
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{container["image"]}"'}}
    status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": not missing, "restartCount": 0}
    status["state"] = waiting if missing else {"running": {"startedAt": moment}}
    ready = "False" if missing else "True"
    conditions = [{"type": kind, "status": ready, "lastTransitionTime": moment} for kind in ("Ready", "ContainersReady")]
    return {"phase": "Pending" if missing else "Running", "conditions": conditions, "containerStatuses": [status]}
