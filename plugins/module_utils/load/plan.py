# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a load test will send, decided and bounded before the first request."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..checks.conditions import threshold_mistakes
from ..checks.redaction import is_secret_name, shown_url
from ..errors import BadInput, NotConfirmed
from .requests import Request, request_mistakes, request_of

LIMITS: t.Mapping[str, t.Tuple[float, float]] = {
    "total": (1, 100_000),
    "concurrency": (1, 200),
    "rate_per_s": (0, 1000),
    "timeout_s": (0.1, 120),
    "duration_s": (1, 1800),
    "max_body_kb": (1, 10_240),
}
"""Hard limits of a load test. They lie below what one core of the generator can hold, so that its own haste never shows in the figures
(`docs/load_test.md` has the measurements), and no typing error turns a test into an attack."""
METRICS = (
    "error_rate",
    "throughput_per_s",
    "requests_ok",
    "requests_failed",
    "latency_average_ms",
    "latency_minimum_ms",
    "latency_maximum_ms",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
)
"""What thresholds can be put on."""
PRODUCTION = "production"
_THRESHOLD_KEYS = {"metric", "warn_above", "fail_above", "warn_below", "fail_below", "minimum_samples"}
_LONGEST_ROW = 1000


@dataclass(frozen=True)
class Plan:
    """A whole load test.

    Attributes:
        url: What the paths are added to.
        requests: The kinds of requests.
        total: How many are sent in all.
        concurrency: How many may be under way at the same time.
        rate_per_s: How many are scheduled in a second, at even distances; 0 for the next as soon as one is answered.
        timeout_s: Limit of one request, connection and body included.
        duration_s: Limit of the whole test.
        max_body_kb: How much of an answer is read, in KiB.
        verify_tls: Whether the server's certificate is verified.
        ca_file: Certificates that it must lead to; empty for the system's.
        thresholds: What the figures are held against.
    """

    url: str
    requests: t.Tuple[Request, ...]
    total: int
    concurrency: int
    rate_per_s: float
    timeout_s: float
    duration_s: float
    max_body_kb: int
    verify_tls: bool
    ca_file: str
    thresholds: t.Tuple[t.Mapping[str, t.Any], ...]

    @property
    def scheduled_s(self) -> t.Optional[float]:
        """How long the schedule is, in seconds; None without a rate."""
        return self.total / self.rate_per_s if self.rate_per_s else None

    @property
    def _row(self) -> t.Tuple[int, ...]:
        """Which kinds the requests are, in turn, as often as their weights say."""
        return tuple(index for index, request in enumerate(self.requests) for _time in range(request.weight))

    def for_driver(self) -> t.Dict[str, t.Any]:
        """The plan as the driver reads it; it holds the headers and bodies, secrets included."""
        return {
            "url": self.url,
            "row": self._row,
            "total": self.total,
            "concurrency": self.concurrency,
            "rate_per_s": self.rate_per_s,
            "timeout_s": self.timeout_s,
            "duration_s": self.duration_s,
            "max_body_bytes": self.max_body_kb * 1024,
            "verify_tls": self.verify_tls,
            "ca_file": self.ca_file,
            "requests": [
                {
                    "method": request.method,
                    "path": request.path,
                    "headers": dict(request.headers),
                    "body": request.body,
                    "expected_status": list(request.expected_status),
                    "contains": list(request.contains),
                }
                for request in self.requests
            ],
        }

    def shown(self) -> t.Dict[str, t.Any]:
        """The plan for a reader: no header's value whose name speaks of a secret, no body."""
        full, left = divmod(self.total, len(self._row))
        rest = self._row[:left]
        return {
            "url": shown_url(self.url),
            "total": self.total,
            "concurrency": self.concurrency,
            "rate_per_s": self.rate_per_s,
            "scheduled_s": self.scheduled_s,
            "timeout_s": self.timeout_s,
            "duration_s": self.duration_s,
            "requests": [
                {
                    "name": request.name,
                    "method": request.method,
                    "url": shown_url(self.url + request.path),
                    "headers": {name: "********" if is_secret_name(name) else value for name, value in request.headers.items()},
                    "body_bytes": len(request.body.encode()),
                    "expected_status": list(request.expected_status),
                    "count": full * request.weight + rest.count(index),
                }
                for index, request in enumerate(self.requests)
            ],
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """What it would do, in one sentence."""
        pace = (
            f"{self.rate_per_s:g} a second ({self.scheduled_s:.3g} s)"
            if self.scheduled_s is not None
            else "each as soon as the one before it is answered"
        )
        kinds = ", ".join(f"{request.method} {shown_url(self.url + request.path)}" for request in self.requests[:5])
        more = f" and {len(self.requests) - 5} more" if len(self.requests) > 5 else ""
        return (
            f"{self.total} requests ({kinds}{more}), at most {self.concurrency} at the same time, {pace}; "
            f"it ends after {self.duration_s:g} s at the latest"
        )


def plan(options: t.Mapping[str, t.Any]) -> Plan:
    """The load test that the module's options describe.

    Raises:
        BadInput: Something about it makes no sense or is beyond a limit; nothing was sent.
    """
    mistakes = [
        f"{name} is {options[name]:g}, not between {low:g} and {high:g}"
        for name, (low, high) in LIMITS.items()
        if not low <= options[name] <= high
    ]
    mistakes += _url_mistakes(str(options["url"]))
    requests = []
    for position, raw in enumerate(options["requests"], 1):
        wrong = request_mistakes(raw)
        mistakes += [f"request number {position}: {mistake}" for mistake in wrong]
        if not wrong:
            requests.append(request_of(raw))
    if not options["requests"]:
        mistakes.append("there is no request to send")
    if sum(request.weight for request in requests) > _LONGEST_ROW:
        mistakes.append(f"the weights of the requests add up to more than {_LONGEST_ROW}")
    for position, raw in enumerate(options["thresholds"] or [], 1):
        mistakes += [f"threshold number {position}: {mistake}" for mistake in _threshold_mistakes(raw)]
    if not mistakes and options["rate_per_s"] and options["total"] / options["rate_per_s"] > options["duration_s"]:
        needed = options["total"] / options["rate_per_s"]
        mistakes.append(f"{options['total']} requests at {options['rate_per_s']:g} a second need {needed:g} s, more than duration_s")
    if mistakes:
        raise BadInput(
            "The load test makes no sense as it is described",
            why="; ".join(mistakes[:10]),
            next_step="correct these options; nothing was sent",
            facts={"mistakes": mistakes},
        )
    return Plan(
        url=str(options["url"]).rstrip("/"),
        requests=tuple(requests),
        total=options["total"],
        concurrency=min(options["concurrency"], options["total"]),
        rate_per_s=options["rate_per_s"],
        timeout_s=options["timeout_s"],
        duration_s=options["duration_s"],
        max_body_kb=options["max_body_kb"],
        verify_tls=options["verify_tls"],
        ca_file=options["ca_file"] or "",
        thresholds=tuple(dict(one) for one in options["thresholds"] or []),
    )


def refuse_production(environment: str, service: str, confirm: str) -> None:
    """Stop where the service serves real users and nobody has named it.

    Raises:
        NotConfirmed: It is production, and `confirm` is not the service's name.
    """
    if environment != PRODUCTION:
        return
    if not service:
        raise NotConfirmed(
            "A load test on production needs the name of the service",
            next_step="set service_name in the profile, and confirm with that name; nothing was sent",
        )
    if confirm != service:
        raise NotConfirmed(
            "A load test on production was not confirmed",
            where=service,
            why=f"confirm is {confirm!r}" if confirm else "confirm is empty",
            next_step=f"test another environment, or confirm with -e confirm={service}; nothing was sent",
        )


def _url_mistakes(url: str) -> t.List[str]:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return ["url is no http or https URL with a host"]
        if parts.username or parts.password:
            return ["url holds credentials: put them into a header from Vault or the environment"]
        return ["url has a query or a fragment, which belong to the path of a request"] if parts.query or parts.fragment else []
    except ValueError:
        return ["url cannot be read"]


def _threshold_mistakes(raw: t.Any) -> t.List[str]:
    if not isinstance(raw, t.Mapping):
        return ["it is no dictionary"]
    found = [f"unknown key {str(key)!r}" for key in set(raw) - _THRESHOLD_KEYS]
    if raw.get("metric") not in METRICS:
        found.append(f"metric is none of {', '.join(METRICS)}")
    limits = {key: raw[key] for key in raw if key in _THRESHOLD_KEYS - {"metric"}}
    for key, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            found.append(f"{key} is not a number")
    if not set(limits) - {"minimum_samples"}:
        found.append("it names neither warn_above, fail_above, warn_below nor fail_below")
    return found or threshold_mistakes(raw)
