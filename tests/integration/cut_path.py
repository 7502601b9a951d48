# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network path to a server of this machine that breaks after so many bytes, and stays broken until it is mended."""

from __future__ import annotations

import contextlib
import socket
import threading


class CutPath:
    """Relays connections to a port.

    Attributes:
        port: Where it listens.
        left: Bytes that still go through, by direction: `up` to the server, `down` from it; without an entry there is no limit.
        flip_at: After how many bytes one arrives as another, by direction.
        flipped: Whether one did.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: list[socket.socket] = []
        self.left: dict[str, int] = {}
        self.flip_at: dict[str, int] = {}
        self.flipped = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listen()

    def _listen(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was cut
            while True:
                client, _address = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for source, sink, way in ((client, server, "up"), (server, client, "down")):
                    threading.Thread(target=self._pump, args=(source, sink, way), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                if way in self.left:
                    self.left[way] -= len(data)
                    if self.left[way] < 0:
                        self.cut()
                        return
                if way in self.flip_at:
                    data = self._flip(data, way)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _flip(self, data: bytes, way: str) -> bytes:
        self.flip_at[way] -= len(data)
        if self.flip_at[way] > 0:
            return data
        del self.flip_at[way]
        self.flipped = True
        return data[:-1] + bytes([data[-1] ^ 1])

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open = []

    def mend(self) -> None:
        """Let everything through again."""
        self.left = {}
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listen()
