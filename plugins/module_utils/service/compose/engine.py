# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The API of the Docker Engine, asked through the client program, so that its contexts, DOCKER_HOST and TLS settings count.

`docker system dial-stdio` joins its standard input and output to the engine, over whatever way the client has; Docker's own ssh contexts
work by it. One connection serves all requests of a module, so that a question costs milliseconds and not the start of a program.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
import typing as t
from urllib.parse import quote, urlencode

from ...command import Command, end
from ...errors import CommandFailed, RunbookError, Unreachable

_TIMEOUT_S = 30.0
_MOST_LOG_BYTES = 200_000
_WHOLE_LOG_TIMEOUT_S = 900.0
"""Before it answers, the engine reads through everything that is older than what was asked for."""
_PORTION_BYTES = 1 << 18


class NoSuchContainer(RunbookError):
    """The engine does not know the container."""


class Engine:
    """A connection to the engine; closed by `close`.

    Args:
        command: What joins its input and output to the engine.
    """

    def __init__(self, command: t.Sequence[str] = ("docker", "system", "dial-stdio")) -> None:
        self._command = list(command)
        self._connection: t.Optional[http.client.HTTPConnection] = None
        self._process: t.Optional["subprocess.Popen[bytes]"] = None
        self._said: t.Optional[t.IO[bytes]] = None

    def another(self) -> "Engine":
        """One of the same, for another thread."""
        return Engine(self._command)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            end(self._process)
        if self._said is not None:
            self._said.close()
        self._connection = self._process = self._said = None

    def ask(
        self, method: str, path: str, query: t.Optional[t.Mapping[str, t.Any]] = None, body: t.Any = None, timeout_s: float = _TIMEOUT_S
    ) -> t.Any:
        """What the engine answers, parsed; None where it answers nothing.

        Args:
            method: `GET`, `POST`, `DELETE`.
            path: Path of the API, quoted where need be.
            query: Its parameters.
            body: What is sent with it, as JSON.
            timeout_s: Seconds that the answer may take.

        Raises:
            NoSuchContainer: It answers 404.
            CommandFailed: It refuses; `why` holds its own words, `facts` the status.
            Unreachable: It cannot be reached, or does not answer in time.
            ToolMissing: There is no program `docker` on this host.
        """
        status, content = self._exchange(method, path, query, body, timeout_s)
        if status >= 400:
            raise _refusal(method, path, status, content)
        return json.loads(content) if content.strip() and content[:1] in b"{[" else None

    def log(self, container: str, lines: int = 10) -> t.List[str]:
        """The last lines that a container has written; none where it cannot be told."""
        query = {"stdout": 1, "stderr": 1, "tail": lines}
        try:
            _status, content = self._exchange("GET", f"/containers/{quote(container)}/logs", query, None, _TIMEOUT_S)
        except RunbookError:
            return []
        return [line for line in _frames(content).decode(errors="replace").splitlines() if line.strip()][-lines:]

    def whole_log(self, container: str, query: t.Mapping[str, t.Any]) -> t.Iterator[bytes]:
        """A container's log as the engine sends it, in portions, over a connection of its own that ends with it.

        Args:
            container: Its identity.
            query: Parameters of the API.

        Raises:
            NoSuchContainer, CommandFailed: As `ask` does.
            Unreachable: The engine cannot be reached, or ends before the log does.
        """
        path = f"/containers/{quote(container)}/logs"
        with self.another() as engine:
            try:
                connection = engine._connected()
                t.cast(socket.socket, connection.sock).settimeout(_WHOLE_LOG_TIMEOUT_S)
                connection.request("GET", f"{path}?{urlencode(query)}", headers={"Host": "docker"})
                answer = connection.getresponse()
                if answer.status >= 400:
                    raise _refusal("GET", path, answer.status, answer.read())
                while True:
                    portion = answer.read(_PORTION_BYTES)
                    if not portion:
                        return
                    yield portion
            except (OSError, http.client.HTTPException) as error:
                raise engine._unreachable("GET", path, error, _WHOLE_LOG_TIMEOUT_S) from error

    def _exchange(
        self, method: str, path: str, query: t.Optional[t.Mapping[str, t.Any]], body: t.Any, timeout_s: float
    ) -> t.Tuple[int, bytes]:
        target = path + (f"?{urlencode(query)}" if query else "")
        given = None if body is None else json.dumps(body)
        headers = {"Host": "docker", "Content-Type": "application/json"}
        try:
            connection = self._connected()
            t.cast(socket.socket, connection.sock).settimeout(timeout_s)
            connection.request(method, target, given, headers)
            answer = connection.getresponse()
            content = answer.read() if not path.endswith("/logs") else answer.read(_MOST_LOG_BYTES)
            if answer.will_close or path.endswith("/logs"):
                self.close()
            return answer.status, content
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(method, path, error, timeout_s) from error

    def _unreachable(self, method: str, path: str, error: Exception, timeout_s: float) -> Unreachable:
        said = self._last_words()
        self.close()
        return Unreachable(
            "The Docker Engine cannot be reached",
            where=f"{method} {path}",
            why=said or f"no answer within {timeout_s:g} s" if isinstance(error, socket.timeout) else said or str(error),
            next_step="see whether it runs (docker version), and whether this account may use it",
        )

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            self._said = tempfile.TemporaryFile()
            try:
                self._process = Command(self._command).start(stdin=theirs, stdout=theirs, stderr=self._said)
            except RunbookError:
                ours.close()
                raise
            finally:
                theirs.close()
            self._connection = http.client.HTTPConnection("docker")
            self._connection.auto_open = 0  # it must not look for a host of that name
            self._connection.sock = ours
        return self._connection

    def _last_words(self) -> str:
        if self._said is None:
            return ""
        if self._process is not None:
            try:
                self._process.wait(0.5)
            except subprocess.TimeoutExpired:
                return ""
        self._said.seek(0)
        return self._said.read(2000).decode(errors="replace").strip()


def _refusal(method: str, path: str, status: int, content: bytes) -> RunbookError:
    said, facts = _message(content), {"status": status}
    if status == 404:
        return NoSuchContainer("The Docker Engine does not know it", where=path, why=said, facts=facts)
    return CommandFailed("The Docker Engine refuses", where=f"{method} {path}", why=said, facts=facts)


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content[:300].decode(errors="replace").strip()


def _frames(content: bytes) -> bytes:
    """The text of a log: in frames with a head of eight bytes, or bare where the container has a terminal (Engine API, "Stream format")."""
    if len(content) < 8 or content[0] not in (0, 1, 2) or content[1:4] != b"\0\0\0":
        return content
    parts, at = [], 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at + 4 : at + 8], "big")
        parts.append(content[at + 8 : at + 8 + length])
        at += 8 + length
    return b"".join(parts)
