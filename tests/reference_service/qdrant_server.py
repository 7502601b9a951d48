# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that keeps the published contract of Qdrant's HTTP API for collections, points, aliases and snapshots.

No package index has Qdrant's own server; its engine there is, and does the work here (qdrant_engine.py). What the server answers is
compared with Qdrant's published description of its API by tests/integration/test_qdrant_contract.py. What tests rely on besides, as
Qdrant's source has it: an uploaded snapshot stays among the collection's snapshots under the name that it was uploaded with; a snapshot of
the whole storage leaves one of each collection behind; snapshots of a collection that is deleted stay on the disk, out of reach.

    PYTHONPATH=tests python -m reference_service.qdrant_server --folder DATA --port 6333 [--tls-certificate FILE --tls-key FILE] [--faults]

The key that requests must bear is in the variable QDRANT__SERVICE__API_KEY, as with Qdrant. `PUT /_faults` takes a JSON object:

    bytes_per_s            downloads and uploads are that slow
    cut_download_after     a download's connection breaks after so many bytes
    flip_download_byte     the byte at that place of a download is another one
    wrong_checksum         the checksum of a new snapshot is that of something else
    full                   "snapshot" or "recover" fails for want of room
    lose_points            so many points are missing after a recovery
    die_at                 "snapshot", "download" or "recover": the server is gone in the middle of it
    delay_s                snapshots and recoveries take so much longer
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import ssl
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from .qdrant_engine import Json, Refused
from .qdrant_storage import Storage

_OPEN = ("/", "/healthz", "/livez", "/readyz")
_BLOCK = 1 << 20


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_parts: t.Any) -> None:
        """Say nothing: a log would be full of what tests ask."""

    def do_GET(self) -> None:
        """Answer, whatever the method is."""
        self._answer()

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - names that http.server looks for

    def _answer(self) -> None:
        began = time.monotonic()
        parts = urlsplit(self.path)
        self.path_only, self.query = parts.path, {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self.left = int(self.headers.get("Content-Length") or 0)
        try:
            if not self._admitted():
                return
            result = self._route([unquote(part) for part in self.path_only.strip("/").split("/")])
            if result is not None:
                self._send(200, {"result": result, "status": "ok", "time": time.monotonic() - began})
        except Refused as error:
            self._send(error.status, {"status": {"error": str(error)}, "time": time.monotonic() - began})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception as error:
            self._send(500, {"status": {"error": f"Service internal error: {error}"}, "time": time.monotonic() - began})

    def _admitted(self) -> bool:
        key = self.server.api_key
        given = self.headers.get("api-key") or (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not key or self.path_only in _OPEN or given == key:
            return True
        if given:
            self._text(403, "Invalid API key or JWT")
        else:
            self._text(401, "Must provide an API key or an Authorization bearer token")
        return False

    def _send(self, status: int, content: Json) -> None:
        self._raw(status, json.dumps(content).encode(), "application/json")

    def _text(self, status: int, text: str) -> None:
        self._raw(status, text.encode(), "text/plain")

    def _raw(self, status: int, body: bytes, kind: str) -> None:
        if self.left:
            self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _json(self) -> Json:
        text = self.rfile.read(self.left)
        self.left = 0
        try:
            content = json.loads(text or b"{}")
        except ValueError as error:
            raise Refused(400, f"Format error in JSON body: {error}") from error
        return t.cast("Json", content)

    def _route(self, parts: list[str]) -> t.Any:
        storage = self.server.storage
        match (self.command, parts):
            case ("GET", [""]):
                self._send(200, {"title": "qdrant - vector search engine", "version": "1.19.0", "commit": "0" * 40})
                return None
            case ("GET", ["healthz" | "livez" | "readyz"]):
                self._text(200, "all shards are ready" if parts == ["readyz"] else f"{parts[0]} check passed")
                return None
            case ("PUT", ["_faults"]) if self.server.takes_faults:
                storage.faults.clear()
                storage.faults.update(self._json())
                return True
            case ("GET", ["cluster"]):
                return {"status": "disabled"}
            case ("GET", ["aliases"]):
                return {"aliases": storage.aliases_of(None)}
            case ("GET" | "POST", ["collections", *_]) | ("PUT" | "DELETE", ["collections", _, *_]):
                return self._collections(parts[1:])
            case (_, ["snapshots", *rest]):
                return self._snapshots(None, rest)
        self._text(404, "")
        return None

    def _collections(self, parts: list[str]) -> t.Any:
        storage = self.server.storage
        match (self.command, parts):
            case ("GET", []):
                return {"collections": [{"name": name} for name in storage.names()]}
            case ("POST", ["aliases"]):
                storage.change_aliases(self._json()["actions"])
                return True
            case ("PUT", [name]):
                storage.create(name, self._json())
                return True
            case ("DELETE", [name]):
                return storage.delete(name)
            case ("GET", [name, "exists"]):
                return {"exists": storage.exists(name)}
            case (_, [name, "snapshots", *rest]):
                return self._snapshots(name, rest)
        return self._one(storage, parts[0], parts[1:])

    def _one(self, storage: Storage, name: str, parts: list[str]) -> t.Any:
        collection = storage.get(name)
        match (self.command, parts):
            case ("GET", []):
                return collection.info()
            case ("GET", ["aliases"]):
                return {"aliases": storage.aliases_of(name)}
            case ("GET", ["cluster"]):
                shard = {"shard_id": 0, "points_count": collection.count(None), "state": "Active"}
                peer = {"peer_id": storage.peer_id, "shard_count": 1}
                return {**peer, "local_shards": [shard], "remote_shards": [], "shard_transfers": []}
            case ("PUT", ["points"]):
                collection.upsert(self._json()["points"])
                return {"operation_id": 0, "status": "completed"}
            case ("POST", ["points", "delete"]):
                collection.delete(self._json()["points"])
                return {"operation_id": 0, "status": "completed"}
            case ("PUT", ["index"]):
                body = self._json()
                collection.index(body["field_name"], body["field_schema"])
                return {"operation_id": 0, "status": "completed"}
            case ("POST", ["points", "count"]):
                body = self._json()
                return {"count": collection.count(body.get("filter"), body.get("exact", True))}
            case ("POST", ["points", "scroll"]):
                return collection.scroll(self._json())
            case ("POST", ["points", "search"]):
                body = self._json()
                return collection.nearest(body["vector"], body["limit"], body.get("filter"))
            case ("POST", ["points", "query"]):
                body = self._json()
                return {"points": collection.nearest(body["query"], body.get("limit", 10), body.get("filter"))}
        self._text(404, "")
        return None

    def _snapshots(self, collection: str | None, parts: list[str]) -> t.Any:
        storage = self.server.storage
        match (self.command, parts):
            case ("GET", []):
                return storage.snapshots(collection)
            case ("POST", []):
                return storage.take_snapshot(collection)
            case ("GET", [name]):
                self._download(storage.snapshot_file(collection, name))
                return None
            case ("DELETE", [name]):
                storage.delete_snapshot(collection, name)
                return True
            case ("PUT", ["recover"]) if collection:
                body = self._json()
                self._priority(body.get("priority"))
                return storage.recover_from(collection, body["location"], body.get("checksum"), body.get("api_key"))
            case ("POST", ["upload"]) if collection:
                self._priority(self.query.get("priority"))
                return storage.recover(collection, self._uploaded(collection), self.query.get("checksum"))
        self._text(404, "")
        return None

    def _priority(self, given: str | None) -> None:
        if given not in (None, "no_sync", "snapshot", "replica"):
            raise Refused(400, f"Query deserialize error: unknown variant `{given}`")

    def _download(self, path: Path) -> None:
        storage = self.server.storage
        size, done = path.stat().st_size, 0
        cut, flip, slow = (storage.faults.get(key) for key in ("cut_download_after", "flip_download_byte", "bytes_per_s"))
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        with path.open("rb", buffering=0) as source:
            if not (cut or slow or flip is not None or storage.faults.get("die_at") == "download"):
                self.wfile.flush()
                self.connection.sendfile(source) if not isinstance(self.connection, ssl.SSLSocket) else self._copy(source)
                return
            while block := source.read(65536 if slow or cut else _BLOCK):
                if flip is not None and done <= flip < done + len(block):
                    at = flip - done
                    block = block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
                if cut and done + len(block) > cut:
                    self.wfile.write(block[: cut - done])
                    self.connection.close()
                    self.close_connection = True
                    return
                self.wfile.write(block)
                done += len(block)
                if done > size // 2:
                    storage.die_at("download")
                if slow:
                    time.sleep(len(block) / slow)

    def _copy(self, source: t.IO[bytes]) -> None:
        while block := source.read(_BLOCK):
            self.wfile.write(block)

    def _uploaded(self, collection: str) -> Path:
        """Take the one part of a form (multipart/form-data, RFC 7578) into a file among the collection's snapshots."""
        boundary = self.headers.get("Content-Type", "").partition("boundary=")[2].strip('"').encode()
        closing = b"\r\n--" + boundary + b"--\r\n"
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline(65536)
            if not line:
                raise Refused(400, "Multipart stream is incomplete")
            head += line
            self.left -= len(line)
        text = head.decode()
        if not boundary or 'name="snapshot"' not in text:
            raise Refused(400, "Multipart error: Field `snapshot` is required")
        name = os.path.basename(text.partition('filename="')[2].partition('"')[0]) or "uploaded.snapshot"
        path = self.server.storage.snapshot_folder(collection) / f".{name}.upload"
        slow = self.server.storage.faults.get("bytes_per_s")
        with path.open("wb") as target:
            missing = self.left - len(closing)
            while missing > 0:
                block = self.rfile.read(min(65536 if slow else _BLOCK, missing))
                if not block:
                    path.unlink()
                    raise Refused(400, "Multipart stream is incomplete")
                target.write(block)
                missing -= len(block)
                if slow:
                    time.sleep(len(block) / slow)
        if self.rfile.read(len(closing)) != closing:
            path.unlink()
            raise Refused(400, "Multipart error: Multipart stream is incomplete")
        self.left = 0
        final = path.with_name(name)
        path.rename(final)
        return final


class Server(ThreadingHTTPServer):
    """The server and what it holds."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, storage: Storage, api_key: str, takes_faults: bool) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.storage, self.api_key, self.takes_faults = storage, api_key, takes_faults


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-certificate", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--faults", action="store_true", help="whether PUT /_faults is heeded")
    options = parser.parse_args()
    storage = Storage(options.folder, options.port)
    server = Server(options.port, storage, os.environ.get("QDRANT__SERVICE__API_KEY", ""), options.faults)
    if options.tls_certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_certificate, options.tls_key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
