# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small HTTP service that runs in containers of the tests, with the Python of their image and nothing else.

What it does is in its environment: COLOUR is in every answer, HEALTH (`good`, `never`) says what /health answers, START_DELAY_S lets it
listen later, EXIT_STATUS lets it end at once. Once it was asked for /ill its /health fails. SIGTERM lets it answer what has
begun, for at most five seconds, and end with status 0.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time

NAME = socket.gethostname()
ENVIRONMENT = {name: os.environ.get(name, "") for name in ("COLOUR", "GREETING")}
is_healthy = os.environ.get("HEALTH", "good") == "good"
in_flight = 0


def log(level: str, message: str) -> None:
    print(json.dumps({"timestamp": time.time(), "level": level, "message": message, "replica": NAME}), flush=True)


async def body_of(path: str, query: str) -> tuple[int, dict[str, object]]:
    global is_healthy
    if path == "/slow":
        await asyncio.sleep(float(query or 3))
    if path == "/error":
        log("ERROR", "TimeoutError: connection refused")
        return 500, {"error": "TimeoutError"}
    if path == "/ill":
        is_healthy = False
    if path == "/health":
        return (200, {"status": "healthy"}) if is_healthy else (503, {"status": "unhealthy"})
    return 200, {"replica": NAME, "in_flight": in_flight, **ENVIRONMENT}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global in_flight
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            target, _, query = request.split(b" ", 2)[1].decode().partition("?")
            in_flight += 1
            try:
                status, content = await body_of(target, query)
                body = json.dumps(content).encode()
                head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nX-Replica: {NAME}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
            finally:
                in_flight -= 1
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    if os.environ.get("EXIT_STATUS"):
        log("CRITICAL", "the setting EXIT_STATUS is wrong")
        sys.exit(int(os.environ["EXIT_STATUS"]))
    await asyncio.sleep(float(os.environ.get("START_DELAY_S") or 0))
    server = await asyncio.start_server(serve, "0.0.0.0", 8000, backlog=1024)
    log("INFO", f"{NAME} listens")
    await asked_to_end.wait()
    server.close()
    until = time.monotonic() + 5
    while in_flight and time.monotonic() < until:
        await asyncio.sleep(0.02)
    log("INFO", f"{NAME} has ended")


asyncio.run(main())
