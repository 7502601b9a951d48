# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sends the requests of a plan with Locust; a program of its own, since Locust takes over the sockets of its process.

It reads the plan as JSON from its standard input, and writes a line of JSON to its standard output for each request that has ended:
number, kind, seconds from the beginning of the test at which it was scheduled, sent and ended, status, size in bytes, and what was
wrong (empty when nothing was). Nothing but Locust and the standard library is used, so that the file can be run by itself.

Latency counts from the scheduled moment: a request that had to wait for a free connection because earlier ones were slow has waited
for the service, too. Counting from the moment of sending would hide that ("coordinated omission", Gil Tene, "How NOT to Measure
Latency", 2013).
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import typing as t

NO_LOCUST = 4
"""Exit status: Locust is not installed for this Python."""
_CHUNK_BYTES = 65536
_NUMBER = "{number}"
_CLOCK_S = 0.005
_SPAWNED_S, _LOOK_EVERY_S, _GRACE_S = 0.3, 0.02, 1.0


class Run:
    """One run: hands out the requests in order of their schedule, and notes how they ended."""

    def __init__(self, plan: t.Mapping[str, t.Any], out: t.TextIO) -> None:
        self.plan, self.out = plan, out
        self.next = 0
        self.began = time.perf_counter()
        self.bodies = [request["body"].encode() for request in plan["requests"]]
        self.wanted = [[text.encode() for text in request["contains"]] for request in plan["requests"]]

    def now_s(self) -> float:
        """Seconds since the beginning of the test."""
        return time.perf_counter() - self.began

    def take(self) -> t.Optional[int]:
        """The number of the next request; None when all are taken or the time is over."""
        if self.next >= self.plan["total"] or self.now_s() >= self.plan["duration_s"]:
            return None
        self.next += 1
        return self.next - 1

    def note(self, number: int, kind: int, times: t.Tuple[float, float], status: int, size: int, wrong: str) -> None:
        """Write the line of a request; the times are those at which it was scheduled and sent."""
        self.out.write(json.dumps([number, kind, *(round(at, 6) for at in (*times, self.now_s())), status, size, wrong]) + "\n")
        self.out.flush()


def numbered(text: t.Any, number: int) -> t.Any:
    """A text, or bytes, with the number of the request (from 1) in the place of `{number}`."""
    if isinstance(text, bytes):
        return text.replace(_NUMBER.encode(), str(number).encode()) if _NUMBER.encode() in text else text
    return text.replace(_NUMBER, str(number)) if _NUMBER in text else text


def wrong_with(answer: t.Any, request: t.Mapping[str, t.Any], texts: t.Sequence[bytes], content: bytes, complete: bool) -> str:
    """What is wrong with an answer, as kind and detail; empty when nothing is."""
    if answer.status_code not in request["expected_status"]:
        return f"status {answer.status_code}"
    for number, text in enumerate(texts, 1):
        if text not in content:
            return f"content: expected text number {number} is not in the {'answer' if complete else 'part of the answer that was read'}"
    return ""


def failure(error: BaseException) -> str:
    """What kind of failure an exception stands for; `Timeout` is gevent's, from our own deadline."""
    name, text = type(error).__name__, " ".join(str(error).split())[:120]
    if "Timeout" in name or "timed out" in text:
        return "timeout"
    if "SSL" in name or "certificate" in text.lower():
        return f"tls: {text}"
    if name == "ConnectionRefusedError" or "refused" in text:
        return "connection refused"
    if name in ("gaierror", "herror"):
        return f"name resolution: {text}"
    if name == "HTTPParseError":
        return f"no valid HTTP: {text}"
    return f"connection broken: {text or name}"


def exchange(client: t.Any, run: Run, number: int, kind: int) -> t.Tuple[int, int, str, bool]:
    """Send one request and read the answer up to the limit: status, bytes of the body, what is wrong, whether all of it was read."""
    request, content = run.plan["requests"][kind], bytearray()
    with client.request(
        request["method"],
        numbered(request["path"], number + 1),
        data=numbered(run.bodies[kind], number + 1) or None,
        headers=request["headers"],
        allow_redirects=False,
        catch_response=True,
        stream=True,
    ) as answer:
        answer.success()  # what is good is decided here, not by Locust
        status = int(answer.status_code or 0)
        error = getattr(answer, "error", None)
        if error is not None and not status:
            return 0, 0, failure(error), True
        for chunk in answer.iter_content(_CHUNK_BYTES, decode_content=False):
            content += chunk
            if len(content) >= run.plan["max_body_bytes"]:
                break
        complete = len(content) < run.plan["max_body_bytes"]
        return status, len(content), wrong_with(answer, request, run.wanted[kind], bytes(content), complete), complete


def send(client: t.Any, run: Run, number: int, scheduled: float, timeout_type: t.Any) -> None:
    """Send the request with this number, and note how it ended."""
    kind = run.plan["row"][number % len(run.plan["row"])]
    sent, status, size, complete = run.now_s(), 0, 0, False
    # One deadline for connection, headers and body together: a server that sends a byte a second defeats any other.
    left_s = max(0.001, min(run.plan["timeout_s"], run.plan["duration_s"] - sent))
    cut_off = timeout_type(left_s)
    cut_off.start()
    try:
        status, size, wrong, complete = exchange(client, run, number, kind)
    except BaseException as error:  # the deadline is no Exception
        if error is not cut_off and not isinstance(error, Exception):
            raise
        wrong = failure(error)
    finally:
        cut_off.close()
    # Layers below turn the deadline into errors of their own; the clock tells.
    if wrong and not status and run.now_s() - sent >= left_s - _CLOCK_S:
        wrong = "timeout" if left_s >= run.plan["timeout_s"] else "cut off at the end of the test"
    if not complete:
        client.client.clientpool.close()  # what is left on the connection belongs to nobody
    run.note(number, kind, (scheduled, sent), status, size, wrong)


def sender_type(run: Run, locust: t.Any, gevent: t.Any, ssl: t.Any) -> t.Any:
    """The class of Locust's users for this run. Each is one connection: it takes the next request, waits for its moment, sends it."""
    plan = run.plan

    def context() -> t.Any:
        made = ssl.create_default_context(cafile=plan["ca_file"] or None)
        if not plan["verify_tls"]:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made

    def work(user: t.Any) -> None:
        number = run.take()
        if number is None:
            raise locust.exception.StopUser()
        scheduled = number / plan["rate_per_s"] if plan["rate_per_s"] else run.now_s()
        if scheduled > run.now_s():
            gevent.sleep(scheduled - run.now_s())
        send(user.client, run, number, scheduled, gevent.Timeout)

    settings = {
        "host": plan["url"],
        "insecure": not plan["verify_tls"],
        "ssl_context_factory": staticmethod(context),
        "connection_timeout": plan["timeout_s"],
        "network_timeout": plan["timeout_s"],
        "concurrency": 1,
        "max_retries": 0,
        "tasks": [work],
    }
    return type("Sender", (locust.FastHttpUser,), settings)


def main() -> int:
    """Read the plan, send, write the lines."""
    plan = json.load(sys.stdin)
    # Locust greets with warnings and logs on both streams; only our lines go to the output.
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        importlib.import_module("gevent.monkey").patch_all()
        locust = importlib.import_module("locust")
        gevent = importlib.import_module("gevent")
        environment_type = importlib.import_module("locust.env").Environment
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        return NO_LOCUST
    run = Run(plan, out)
    environment = environment_type(user_classes=[sender_type(run, locust, gevent, importlib.import_module("ssl"))])
    runner = environment.create_local_runner()
    run.began = time.perf_counter()
    runner.start(plan["concurrency"], spawn_rate=plan["concurrency"])
    while (runner.user_count or run.now_s() < _SPAWNED_S) and run.now_s() < plan["duration_s"] + _GRACE_S:
        gevent.sleep(_LOOK_EVERY_S)
    runner.quit()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
