# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Addresses of people as a profile writes them, and the gateways by which a message gets there.

A channel is `kind://address`, such as `slack://team-alerts` or `email://on-call@example.com`. How it is sent is a secret of its own:
the gateway of the kind, an Apprise address with `{to}` where the channel's address belongs. A channel may also be an Apprise address
itself (`json://127.0.0.1:8080/hook`).
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ..checks.redaction import MASK, is_secret_name

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_PLAIN_HOST = re.compile(r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[0-9a-f:]*:[0-9a-f:.]+)\Z")
_NAMES = frozenset(("slack", "email", "sms", "phone", "tel", "teams", "pagerduty", "opsgenie"))
"""Kinds whose channels are mere names: without a gateway nothing can be sent to them."""
_OPEN_PARAMETERS = frozenset(
    ("to", "cc", "bcc", "from", "name", "mode", "format", "smtp", "verify", "overflow", "rto", "cto", "method", "batch")
)
"""Parameters of Apprise addresses that hold no secret."""


class NoWay(Exception):
    """Nothing can be sent to the channel; the text says why and what would help."""


@dataclass(frozen=True)
class Way:
    """Where a message goes.

    Attributes:
        shown: The channel for the reader, without secrets.
        address: The Apprise address, a secret.
        secrets: What must not be seen of it in any text.
    """

    shown: str
    address: str
    secrets: t.FrozenSet[str]


def way_to(channel: str, gateways: t.Mapping[str, str]) -> Way:
    """How to reach a channel.

    Args:
        channel: `kind://address`.
        gateways: Apprise addresses by kind, with `{to}`.

    Raises:
        NoWay: There is no gateway for its kind, or it is no channel.
    """
    kind, separator, rest = channel.strip().partition("://")
    if not separator or not _KIND.match(kind) or not rest:
        raise NoWay("it is not of the form kind://address")
    gateway = str(gateways.get(kind.lower()) or "").strip()
    if gateway:
        address = gateway.replace("{to}", quote(unquote(rest.strip("/")), safe="@+#"))
        return Way(shown(channel), address, secrets_of(gateway) | secrets_of(channel))
    if kind.lower() in _NAMES and not _is_whole_address(rest):
        raise NoWay(f"there is no gateway for {kind.lower()}; set notify_gateways.{kind.lower()} to an Apprise address with {{to}} in it")
    return Way(shown(channel), channel.strip(), secrets_of(channel))


def shown(channel: str) -> str:
    """A channel for the reader: as it is where it is a mere name, else without account, path and parameters."""
    kind, separator, rest = channel.strip().partition("://")
    if not separator or not _KIND.match(kind):
        return "an address that cannot be read"
    if kind.lower() in _NAMES and not _is_whole_address(rest):
        return f"{kind}://{rest}"
    try:
        parts = urlsplit(channel.strip())
        # Apprise has tokens for hosts in many kinds; only what is plainly a host's name or address is shown.
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        host, port = "", ""
    return f"{kind}://{host}{port}" if _PLAIN_HOST.match(host) else f"{kind}://{MASK}"


def secrets_of(address: str) -> t.FrozenSet[str]:
    """What in an address could be a secret: account, host where it may be a token, the path's parts, values of parameters."""
    kind, _separator, rest = address.partition("://")
    if kind.lower() in _NAMES and not _is_whole_address(rest):
        return frozenset()
    try:
        parts = urlsplit(address)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        host = parts.hostname or ""
    except ValueError:
        return frozenset((address,))
    account, _at, place = parts.netloc.rpartition("@")
    found = {part for part in re.split("[:@]", account) if part}
    found |= {part for part in parts.path.split("/") if len(part) >= 6 and "{to}" not in part}
    found |= {value for name, value in pairs if is_secret_name(name) or name.lower() not in _OPEN_PARAMETERS}
    if kind.lower() in _NAMES or not _PLAIN_HOST.match(host):
        found |= {place, *place.split(":")}
    return frozenset({form for one in found for form in (one, unquote(one)) if len(form) >= 4})


def _is_whole_address(rest: str) -> bool:
    """Whether this is Apprise's own form, with tokens or an account, and not a name alone."""
    path = rest.partition("?")[0].strip("/")
    return "/" in path or ":" in path.rpartition("@")[0] or "?" in rest
