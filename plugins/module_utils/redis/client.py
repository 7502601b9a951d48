# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A connection to a Redis or Valkey server: over the network, through a socket file, or out of a container or pod.

The password is a part of the protocol, wherever the server is: it is on no command line and in no environment.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import typing as t
from dataclasses import dataclass, field, replace

from ..command import Place, end
from ..errors import BadInput, CommandFailed, RunbookError, Unreachable
from .protocol import ProtocolError, Replies, ServerError, Word, encode, fields_of
from .transport import connected, secured, through_tunnel

_READ_BYTES = 1 << 16
_REFUSALS = {
    "NOAUTH": "it wants a password",
    "WRONGPASS": "it refuses the user and password",
    "NOPERM": "this user may not do that",
}
_AWAY = ("LOADING", "MASTERDOWN")
_WAIT_S = 0.05


@dataclass(frozen=True)
class Server:
    """How to reach a server.

    Attributes:
        host: Name or address, as seen from `place`.
        port: Its port.
        user: User of its ACL; empty for the default one.
        password: Of the user; empty for none.
        socket_file: Socket file on this host instead of host and port; empty for none.
        tls: Whether it speaks TLS.
        ca_file: Certificates that its certificate must lead to; empty for the machine's own.
        verify_tls: Whether its certificate is looked at.
        timeout_s: Seconds to wait for a connection, and for an answer.
        place: Where its client programs and its files are.

    Raises:
        BadInput: A socket file in a container or pod is named.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    user: str = ""
    password: str = field(default="", repr=False)
    socket_file: str = ""
    tls: bool = False
    ca_file: str = ""
    verify_tls: bool = True
    timeout_s: float = 10.0
    place: Place = field(default_factory=Place)

    def __post_init__(self) -> None:
        if self.socket_file and not self.place.is_host:
            raise BadInput(
                "A socket file in a container or pod cannot be reached",
                where=f"{self.socket_file} in {self.place}",
                next_step="name the port on which the server listens there, with host 127.0.0.1",
            )

    def __str__(self) -> str:
        return self.socket_file or f"{self.host}:{self.port}" + ("" if self.place.is_host else f" in {self.place}")

    def connect(self) -> "Client":
        """A new connection, logged in.

        Raises:
            Unreachable: There is no server, or it refuses us.
            ToolMissing: docker or kubectl is not on this host.
        """
        client = Client(self)
        try:
            client.open()
        except BaseException:
            client.close()
            raise
        return client

    def wait_until_it_serves(
        self, timeout_s: float, look: t.Optional[t.Callable[[], None]] = None, silent_s: t.Optional[float] = None
    ) -> "Client":
        """A connection to a server that may be just starting and loading its data.

        Args:
            timeout_s: Seconds until it must serve.
            look: Called again and again meanwhile; what it raises ends the waiting.
            silent_s: Seconds for which it may be silent, not even saying that it loads its data; None for as long as it takes.

        Raises:
            Unreachable: It does not serve in time.
        """
        give_up = time.monotonic() + timeout_s
        heard = time.monotonic()
        while True:
            if look is not None:
                look()
            client = Client(replace(self, timeout_s=max(1.0, min(self.timeout_s, timeout_s))))
            try:
                client.open()
                client.call("PING")
                return client
            except RunbookError as error:
                client.close()
                refused, now = error.facts.get("code"), time.monotonic()
                heard = now if refused else heard
                if now > give_up or (refused and refused not in _AWAY) or (silent_s is not None and now - heard > silent_s):
                    raise
            time.sleep(_WAIT_S)

    def is_up(self) -> bool:
        """Whether something answers there, be it that it still loads its data or wants another password."""
        try:
            self.connect().close()
        except Unreachable as error:
            return "code" in error.facts
        return True


class Client:
    """One connection; use it as a context manager.

    Attributes:
        server: Whose it is.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._socket: t.Optional[socket.socket] = None
        self._tunnel: "t.Optional[subprocess.Popen[bytes]]" = None
        self._said: t.Optional[t.IO[bytes]] = None
        self._replies = Replies()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: t.Any) -> None:
        self.close()

    def open(self) -> None:
        """Connect and log in; as `Server.connect`."""
        server = self.server
        try:
            if server.place.is_host:
                self._socket = connected(server)
            else:
                self._socket, self._tunnel, self._said = through_tunnel(server)
            self._socket = secured(self._socket, server)
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from error
        if server.password:
            self.call("AUTH", *([server.user] if server.user else []), server.password)
        self.call("PING", accept=_AWAY)

    def close(self) -> None:
        """Close it; nothing happens when it is closed already."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._tunnel is not None:
            end(self._tunnel, grace_s=0.5)
            self._tunnel = None
        if self._said is not None:
            self._said.close()
            self._said = None

    def wait_at_most(self, seconds: float) -> None:
        """Change how long an answer may take."""
        if self._socket is not None:
            self._socket.settimeout(seconds)

    def call(self, *words: Word, accept: t.Container[str] = ()) -> t.Any:
        """Send a command and return its reply.

        Args:
            words: Command and arguments.
            accept: Codes of errors that are returned as the reply (`ServerError`) instead of raised.

        Raises:
            CommandFailed: The server refused the command.
            Unreachable: The connection broke, or the server cannot be used.
        """
        reply = self.pipeline([words])[0]
        if isinstance(reply, ServerError) and reply.code not in accept:
            raise self._refused(str(words[0]), reply)
        return reply

    def text(self, *words: Word) -> str:
        """`call` for replies that are text."""
        return text_of(self.call(*words))

    def pipeline(self, commands: t.Sequence[t.Sequence[Word]]) -> t.List[t.Any]:
        """Send commands in one piece and return their replies in order, errors as `ServerError`.

        A server takes up what one connection has sent at once before it turns to others, so nothing comes in between a few small ones.

        Raises:
            Unreachable: The connection broke.
        """
        self.send(b"".join(encode(*words) for words in commands))
        return [self._reply() for _command in commands]

    def info(self, *sections: str) -> t.Dict[str, t.Any]:
        """The fields of INFO."""
        fields: t.Dict[str, t.Any] = {}
        for section in sections or ("default",):
            fields.update(fields_of(self.text("INFO", section)))
        return fields

    def setting(self, name: str) -> str:
        """A setting of the server (CONFIG GET); empty when there is none of that name, or when we may not ask."""
        reply = self.pipeline([("CONFIG", "GET", name)])[0]
        if isinstance(reply, ServerError) or not reply:
            return ""
        return os.fsdecode(reply[1])

    def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            Unreachable: The connection broke.
        """
        try:
            self._open_socket.sendall(data)
        except OSError as error:
            raise self._unreachable(str(error)) from error

    def receive(self, largest_bytes: int = _READ_BYTES) -> bytes:
        """The next bytes as they come, at least one.

        Raises:
            Unreachable: The connection broke, or nothing came in time.
        """
        rest = self._replies.take()
        if rest:
            return rest
        try:
            data = self._open_socket.recv(largest_bytes)
        except socket.timeout as error:
            raise self._unreachable(f"no answer within {self.server.timeout_s:g} s") from error
        except OSError as error:
            raise self._unreachable(str(error)) from error
        if not data:
            raise self._unreachable("the connection was closed")
        return data

    @property
    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise self._unreachable("the connection was closed")
        return self._socket

    def _reply(self) -> t.Any:
        try:
            while True:
                whole, reply = self._replies.next()
                if whole:
                    return reply
                self._replies.feed(self.receive())
        except ProtocolError as error:
            raise self._unreachable(str(error)) from error

    def _refused(self, command: str, reply: ServerError) -> RunbookError:
        if reply.code in (*_REFUSALS, *_AWAY):
            return Unreachable(
                f"The Redis server does not let us {'in' if command in ('AUTH', 'PING') else command}",
                where=str(self.server),
                why=f"{_REFUSALS.get(reply.code, '')} ({reply[:200]})".strip(),
                next_step="wait until it has loaded its data" if reply.code in _AWAY else "check user and password of the store",
                facts={"code": reply.code},
            )
        return CommandFailed(f"The Redis server refused {command}", where=str(self.server), why=reply[:300], facts={"code": reply.code})

    def _unreachable(self, why: str) -> Unreachable:
        said = ""
        if self._said is not None and self._said.seek(0) == 0:
            said = " ".join(self._said.read()[-500:].decode(errors="replace").split())
        return Unreachable(
            "The Redis server cannot be reached",
            where=str(self.server),
            why=f"{why}; {said}" if said else why,
            next_step="check that it runs, and host, port, container or pod of the store",
        )


def text_of(reply: t.Any) -> str:
    """A reply as text, whichever way the server sends it."""
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
