# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a status page shows, and to whom."""

from __future__ import annotations

import ipaddress
import os
import stat
import typing as t
from dataclasses import dataclass

from ..checks.conditions import THRESHOLDS, number
from ..errors import BadInput

PASSWORD_VARIABLE = "STATUS_PAGE_PASSWORD"  # noqa: S105
"""Environment variable of the program in which its password may be given."""
_SHORTEST_PASSWORD = 8
_WORDS = ("name", "title", "component", "unit")
_LOG_WORDS = ("name", "title", "path", "format", "time_field", "level_field", "message_field")


@dataclass(frozen=True)
class Settings:
    """A page.

    Attributes:
        service: `name`, `title`, `environment` of the service.
        components: `name`, `title`, `availability` (what is promised, as a share) of its parts.
        checks: `name`, `title`, `component`, `weight` of the checks that count; empty for all that the history has.
        metrics: `name`, `title`, `component`, `unit` and thresholds of the metrics that count.
        logs: `name`, `title`, `path` of the files whose latest lines are shown.
        state_folder: Where the history is.
        address: Address that is listened on.
        port: Its port.
        tls_certificate: Certificate file; empty for no TLS.
        tls_key: Its key.
        user: Account of the page.
        names: Host names under which the page may be called; empty for the usual ones.
        stale_after_s: Age in seconds from which on a result says nothing any more and is shown as unknown.
        streams: How many readers of log lines there may be at the same time.
        connections: How many connections there may be at the same time.
    """

    service: t.Mapping[str, str]
    components: t.Sequence[t.Mapping[str, t.Any]]
    checks: t.Sequence[t.Mapping[str, t.Any]]
    metrics: t.Sequence[t.Mapping[str, t.Any]]
    logs: t.Sequence[t.Mapping[str, str]]
    state_folder: str
    address: str = "127.0.0.1"
    port: int = 5000
    tls_certificate: str = ""
    tls_key: str = ""
    user: str = "sre"
    names: t.Sequence[str] = ()
    stale_after_s: float = 900.0
    streams: int = 20
    connections: int = 200

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this host can reach it."""
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def url(self) -> str:
        """Where it is."""
        scheme = "https" if self.tls_certificate else "http"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{scheme}://{host}:{self.port}/"


def settings_of(given: t.Mapping[str, t.Any], *, has_password: bool) -> Settings:
    """The settings that the options describe; of checks and metrics only what may be shown is kept.

    Raises:
        BadInput: They contradict each other, or would show the page to everybody.
    """
    found = Settings(
        service={key: str(given["service"].get(key) or "") for key in ("name", "title", "environment")},
        components=[
            {**_words(one, ("name", "title")), "availability": number(one.get("availability"))} for one in _named(given.get("components"))
        ],
        checks=[_subject(one) for one in _named(given.get("checks"))],
        metrics=[_subject(one) for one in _named(given.get("metrics"))],
        logs=[_words(one, _LOG_WORDS) for one in _named(given.get("logs")) if one.get("path")],
        **{key: given[key] for key in _PLAIN if given.get(key) not in (None, "")},
    )
    mistakes = _mistakes(found)
    if mistakes:
        raise BadInput("The status page cannot be served like this", why="; ".join(mistakes), next_step="correct the settings")
    if not found.is_loopback and not (found.tls_certificate and has_password):
        missing = [name for name, there in (("TLS (certificate and key)", found.tls_certificate), ("password", has_password)) if not there]
        raise BadInput(
            "The status page would be open to the network",
            where=f"{found.address}:{found.port}",
            why=f"it has no {' and no '.join(missing)}",
            next_step="give both (status_page_tls_certificate, status_page_tls_key, status_page_password_file), or listen on 127.0.0.1",
        )
    return found


_PLAIN = (
    "state_folder", "address", "port", "tls_certificate", "tls_key", "user", "names", "stale_after_s", "streams", "connections"
)  # fmt: skip


def password_from(file: str, environment: t.Mapping[str, str]) -> str:
    """The password of the page: the first line of `file` when one is named, else the environment's; empty for none.

    Raises:
        BadInput: The file cannot be read, others may read it, or the password is too short.
    """
    password = environment.get(PASSWORD_VARIABLE, "")
    if file:
        try:
            with open(file, encoding="utf-8") as stream:
                if os.fstat(stream.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise BadInput("Others may read the password of the status page", where=file, next_step=f"chmod 600 {file}")
                password = stream.readline().strip()
        except (OSError, ValueError) as error:
            raise BadInput(
                "The password of the status page cannot be read",
                where=file,
                why=getattr(error, "strerror", None) or "it is no text",
                next_step="name a file that the page's account may read",
            ) from error
    if (password or file) and len(password) < _SHORTEST_PASSWORD:
        raise BadInput(
            "The password of the status page is too short",
            why=f"it has fewer than {_SHORTEST_PASSWORD} characters",
            next_step="choose a longer one, such as openssl rand -base64 24 makes",
        )
    return password


def _mistakes(found: Settings) -> t.List[str]:
    wrong = []
    try:
        ipaddress.ip_address(found.address)
    except ValueError:
        wrong.append(f"{found.address!r} is no IP address")
    if not 1 <= found.port <= 65535:
        wrong.append(f"{found.port} is no port")
    if not found.service["name"]:
        wrong.append("the service has no name")
    if bool(found.tls_certificate) != bool(found.tls_key):
        wrong.append("TLS needs a certificate and its key")
    for path in filter(None, (found.tls_certificate, found.tls_key)):
        if not os.access(path, os.R_OK):
            wrong.append(f"{path} cannot be read")
    if not found.user or ":" in found.user:
        wrong.append("the user's name is empty or has a colon")
    if not 1 <= found.stale_after_s <= 30 * 86400:
        wrong.append("stale_after_s is not between 1 s and 30 days")
    if not (1 <= found.streams <= 200 and found.streams < found.connections <= 2000):
        wrong.append("there may be 1 to 200 streams, and more connections than streams, at most 2000")
    return wrong


def _named(given: t.Any) -> t.List[t.Mapping[str, t.Any]]:
    return [one for one in given or () if isinstance(one, t.Mapping) and one.get("name")]


def _words(given: t.Mapping[str, t.Any], names: t.Iterable[str]) -> t.Dict[str, t.Any]:
    return {name: str(given[name]) for name in names if given.get(name)}


def _subject(given: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    limits = {name: number(given.get(name)) for name in THRESHOLDS}
    weight = number(given.get("weight"))
    kept = {**_words(given, _WORDS), **{name: limit for name, limit in limits.items() if limit is not None}}
    return {**kept, "weight": 1.0 if weight is None else weight}
