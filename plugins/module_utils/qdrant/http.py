# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""HTTP as Qdrant speaks it: JSON for questions, streams for snapshots, and its refusals as errors that a person can act on.

The API key goes into a header of the request and nowhere else. Snapshots pass in blocks of one MiB, whatever their size is.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import secrets
import socket
import ssl
import time
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import BadInput, CommandFailed, DeadlineExceeded, NoSpace, RunbookError, Unreachable

BLOCK_BYTES = 1 << 20
_MOST_ANSWER_BYTES = 256 << 20
_ERROR_CHARACTERS = 500
OnBytes = t.Optional[t.Callable[[int], None]]


class Refused(CommandFailed):
    """Qdrant answered, and would not do it.

    Attributes:
        status: HTTP status.
    """

    status = 0

    @property
    def about_snapshot(self) -> bool:
        """Whether the refusal of a recovery is about what was sent, not about rights, load or the server's state (HTTP, RFC 9110, 15)."""
        return self.status in (400, 409, 413, 422, 500)


@dataclass(frozen=True)
class Http:
    """How a server is reached.

    Attributes:
        url: Its address, with the path in front of the API where a proxy has one.
        api_key: Key that requests bear; empty for none.
        ca_file: Certificates that the server's must lead to; empty for the system's.
        verify_tls: Whether the certificate is looked at.
        timeout_s: Seconds that an answer to a question may take, and a stream may stand still.
        work_timeout_s: Seconds that a snapshot or a recovery may take.
    """

    url: str
    api_key: str = ""
    ca_file: str = ""
    verify_tls: bool = True
    timeout_s: float = 30.0
    work_timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or re.search(r"[\s\x00-\x1f]", self.url):
            raise BadInput(f"{_shown(self.url)!r} is no address of a Qdrant server", next_step="write it as http://host:6333 (url)")
        if parts.username is not None or parts.query or parts.fragment:
            raise BadInput(
                "The address of the Qdrant server holds an account, a query or a fragment",
                where=_shown(self.url),
                next_step="give the key as api_key, and nothing behind the path (url)",
            )
        if not self.api_key.isprintable() or not self.api_key.isascii():
            raise BadInput("The API key has a character that no header can carry", where=self.url, next_step="correct api_key")

    def __str__(self) -> str:
        return self.url

    def ask(self, method: str, path: str, body: t.Any = None, timeout_s: float = 0.0) -> t.Any:
        """One request with a JSON answer; returns its `result`.

        Raises:
            Refused: The server would not.
            Unreachable, DeadlineExceeded, NoSpace: As their names say.
        """
        data = None if body is None else json.dumps(body).encode()
        with self._open(timeout_s or self.timeout_s) as connection:
            answer = self._exchange(connection, method, path, data, {"Content-Type": "application/json"} if data else {})
            return self._result(answer, method, path)

    def download(self, path: str, write: t.Callable[[memoryview], None]) -> int:
        """Read a file in blocks; returns its size in bytes.

        Raises:
            Unreachable: The connection broke before the end.
            RunbookError: As `ask`.
        """
        with self._open(self.timeout_s) as connection:
            answer = self._exchange(connection, "GET", path, None, {})
            if answer.status != 200:
                self._result(answer, "GET", path)
            expected, size = answer.length, 0
            block = bytearray(BLOCK_BYTES)
            view = memoryview(block)
            while True:
                try:
                    count = answer.readinto(block)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    raise self._gone(error, f"GET {path}") from error
                if not count:
                    break
                write(view[:count])
                size += count
        if expected is not None and size != expected:
            raise self._gone(ConnectionResetError(f"{size} of {expected} bytes came"), f"GET {path}")
        return size

    def upload(self, path: str, field: str, name: str, source: t.IO[bytes], size_bytes: int, on_bytes: OnBytes = None) -> t.Any:
        """Send a file as the one field of a form (multipart/form-data, RFC 7578) and wait for the answer's `result`.

        Raises:
            RunbookError: As `ask`.
        """
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        front = f"{head}Content-Type: application/octet-stream\r\n\r\n".encode()
        back = f"\r\n--{boundary}--\r\n".encode()
        with self._open(self.timeout_s) as connection:
            headers = {
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(len(front) + size_bytes + len(back)),
            }
            try:
                self._send(connection, path, headers, front, source, back, size_bytes, on_bytes)
                # Everything is sent: what follows is the server's work.
                if connection.sock is not None:
                    connection.sock.settimeout(self.work_timeout_s)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have said why before it closed
            except (OSError, http.client.HTTPException) as error:
                raise self._gone(error, f"POST {path}") from error
            try:
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self._gone(error, f"POST {path}") from error
            return self._result(answer, "POST", path)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        headers: t.Mapping[str, str],
        front: bytes,
        source: t.IO[bytes],
        back: bytes,
        size_bytes: int,
        on_bytes: OnBytes,
    ) -> None:
        connection.putrequest("POST", self._path(path))
        for name, value in {**headers, **self._key()}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(front)
        done = 0
        while done < size_bytes:
            block = source.read(min(BLOCK_BYTES, size_bytes - done))
            if not block:
                raise BadInput(f"The snapshot ended after {done} of {size_bytes} bytes", next_step="verify the backup set")
            connection.send(block)
            done += len(block)
            if on_bytes is not None:
                on_bytes(done)
        connection.send(back)

    def _open(self, timeout_s: float) -> "_Opened":
        parts = urlsplit(self.url)
        host, port = str(parts.hostname), parts.port
        if parts.scheme == "http":
            return _Opened(http.client.HTTPConnection(host, port, timeout=timeout_s))
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise BadInput(f"The certificates in {self.ca_file} cannot be read", why=str(error), next_step="correct ca_file") from error
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return _Opened(http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context))

    def _key(self) -> t.Dict[str, str]:
        return {"api-key": self.api_key} if self.api_key else {}

    def _path(self, path: str) -> str:
        return urlsplit(self.url).path.rstrip("/") + path

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, data: t.Optional[bytes], headers: t.Mapping[str, str]
    ) -> http.client.HTTPResponse:
        try:
            connection.request(method, self._path(path), body=data, headers={**headers, **self._key()})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error, f"{method} {path}") from error

    def _result(self, answer: http.client.HTTPResponse, method: str, path: str) -> t.Any:
        text, give_up = bytearray(), time.monotonic() + self.timeout_s
        try:
            while True:
                block = answer.read1(BLOCK_BYTES)
                text += block
                if not block or len(text) > _MOST_ANSWER_BYTES:
                    break
                if time.monotonic() > give_up:  # byte by byte, for ever
                    raise socket.timeout
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error, f"{method} {path}") from error
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        if answer.status != 200:
            raise self._refusal(answer.status, content, bytes(text), f"{method} {path}")
        if not isinstance(content, dict):
            raise self._stranger(f"{method} {path}")
        return content.get("result", content)

    def _refusal(self, status: int, content: t.Any, text: bytes, request: str) -> RunbookError:
        told = content.get("status") if isinstance(content, dict) else None
        said = str(told.get("error", told)) if isinstance(told, dict) else str(told or text.decode(errors="replace"))
        why = f"{request} was answered with {status}: {said[:_ERROR_CHARACTERS]}"
        if status in (401, 403) and ("API key" in said or "JWT" in said or status == 401):
            return Unreachable("Qdrant refused the API key", where=self.url, why=why, next_step="correct the store's api_key")
        if status == 507 or "No space left" in said or "os error 28" in said:
            return NoSpace(
                "The Qdrant server's disk is full", where=self.url, why=why, next_step="free space on the server, then run it again"
            )
        refused = Refused("Qdrant would not do it", where=self.url, why=why, next_step="look at the server's log", facts={"status": status})
        refused.status = status
        return refused

    def _stranger(self, request: str) -> RunbookError:
        return Unreachable(
            "What answers there is not Qdrant", where=self.url, why=f"{request} brought no JSON object", next_step="correct the store's url"
        )

    def _gone(self, error: Exception, request: str) -> RunbookError:
        if isinstance(error, (socket.timeout, TimeoutError)):
            return DeadlineExceeded(
                "Qdrant did not answer in time",
                where=self.url,
                why=request,
                next_step="look at the server; allow more time (timeout_s, work_timeout_s)",
            )
        if isinstance(error, ssl.SSLError):
            return Unreachable(
                "The connection to Qdrant cannot be trusted", where=self.url, why=str(error), next_step="give the right ca_file, or address"
            )
        code = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
        told = os.strerror(error.errno) if code and isinstance(error, OSError) and error.errno else str(error) or type(error).__name__
        return Unreachable(
            "The Qdrant server cannot be reached, or is gone",
            where=self.url,
            why=f"{request}: {told}",
            next_step="start it, or correct the store's url",
        )


class _Opened:
    """A connection that is closed in the end."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def __enter__(self) -> http.client.HTTPConnection:
        return self._connection

    def __exit__(self, *_error: t.Any) -> None:
        self._connection.close()


def _shown(url: str) -> str:
    """The address without what might be a password."""
    return re.sub(r"//[^@/]*@", "//...@", url)[:200]
