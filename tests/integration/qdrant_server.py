# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Qdrant server of the tests' own (tests/reference_service/qdrant_server.py), and what tests ask of it without the library under test."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tools.ports import free_port

API_KEY = "qdrant-key-Okapi7Secret"
_TESTS = Path(__file__).resolve().parents[1]


class QdrantServer:
    """A server that can be started, killed and started again on the same data.

    Attributes:
        folder: Its data.
        port: Its port on the loopback interface.
        api_key: What requests must bear.
    """

    def __init__(self, folder: Path, api_key: str = API_KEY, tls: tuple[Path, Path] | None = None) -> None:
        self.folder, self.api_key, self.port, self._tls = folder, api_key, free_port(), tls
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["--folder", str(self.folder), "--port", str(self.port), "--faults"]
        if self._tls:
            arguments += ["--tls-certificate", str(self._tls[0]), "--tls-key", str(self._tls[1])]
        environment = {**os.environ, "PYTHONPATH": str(_TESTS), "QDRANT__SERVICE__API_KEY": self.api_key}
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            command = [sys.executable, "-m", "reference_service.qdrant_server", *arguments]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=_TESTS)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.ask("GET", "/readyz")
                return
            time.sleep(0.05)
        raise RuntimeError("the Qdrant server did not start: " + (self.folder.parent / f"{self.folder.name}.log").read_text()[-2000:])

    def stop(self, how: int = signal.SIGKILL) -> None:
        """End it, at once unless said otherwise."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def ask(self, method: str, path: str, body: t.Any = None, timeout_s: float = 30.0) -> t.Any:
        """One request; returns the `result` of a JSON answer, or the text. An error of the server is raised as urllib has it."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "api-key": self.api_key}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        context = ssl._create_unverified_context() if self._tls else None
        with urllib.request.urlopen(request, timeout=timeout_s, context=context) as answer:
            text = answer.read()
            return json.loads(text)["result"] if "json" in answer.headers["Content-Type"] and path != "/" else text

    def faults(self, **what: t.Any) -> None:
        """Let go wrong what is said, and nothing else."""
        self.ask("PUT", "/_faults", what)

    def fill(self, name: str, points: int = 300, size: int = 8, seed: int = 7, first: int = 0) -> None:
        """Make a collection with an index of its payload (when there is none of that name) and write points into it."""
        path = f"/collections/{quote(name, safe='')}"
        if not self.ask("GET", f"{path}/exists")["exists"]:
            self.ask("PUT", path, {"vectors": {"size": size, "distance": "Cosine"}, "hnsw_config": {"m": 24}})
            self.ask("PUT", f"{path}/index", {"field_name": "section", "field_schema": "integer"})
        chance = random.Random(seed)
        for start in range(first, first + points, 1000):
            batch = [
                {
                    "id": number,
                    "vector": [chance.uniform(-1, 1) for _dimension in range(size)],
                    "payload": {"section": number % 17, "text": f"§ {number} of the statutes, {chance.random()}"},
                }
                for number in range(start, min(start + 1000, first + points))
            ]
            self.ask("PUT", f"{path}/points?wait=true", {"points": batch})

    def points(self, name: str) -> list[dict[str, t.Any]]:
        """Every point of a collection with payload and vector, in the order of their ids."""
        found: list[dict[str, t.Any]] = []
        offset = None
        while True:
            body = {"limit": 1000, "with_payload": True, "with_vector": True, "offset": offset}
            page = self.ask("POST", f"/collections/{quote(name, safe='')}/points/scroll", body)
            found += page["points"]
            offset = page["next_page_offset"]
            if offset is None:
                return found

    def collections(self) -> list[str]:
        """Names of the collections."""
        return [one["name"] for one in self.ask("GET", "/collections")["collections"]]

    def aliases(self) -> dict[str, str]:
        """Alias -> collection."""
        return {one["alias_name"]: one["collection_name"] for one in self.ask("GET", "/aliases")["aliases"]}

    def snapshots(self, collection: str = "") -> list[str]:
        """Names of the snapshots of a collection, or of the whole storage."""
        path = f"/collections/{quote(collection, safe='')}/snapshots" if collection else "/snapshots"
        return [one["name"] for one in self.ask("GET", path)]

    def alias(self, alias: str, collection: str) -> None:
        """Give a collection an alias."""
        self.ask("POST", "/collections/aliases", {"actions": [{"create_alias": {"alias_name": alias, "collection_name": collection}}]})


@contextlib.contextmanager
def qdrant_server(folder: Path, api_key: str = API_KEY, tls: tuple[Path, Path] | None = None) -> Iterator[QdrantServer]:
    """A server while the block runs."""
    server = QdrantServer(folder, api_key, tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()
