# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The servers that a service's environment names, and whether they can be reached. Values with secrets never leave this file."""

from __future__ import annotations

import re
import socket
import typing as t
from urllib.parse import urlsplit

from ..checks.redaction import is_secret_name, secrets_of_url
from .model import Address

_PORTS = {
    "amqp": 5672,
    "amqps": 5671,
    "http": 80,
    "https": 443,
    "mongodb": 27017,
    "mysql": 3306,
    "nats": 4222,
    "postgres": 5432,
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "smtp": 25,
    "valkey": 6379,
}
"""Registered ports of the schemes (IANA), for URLs that name none."""
_MOST = 12
_LONGEST = 2000
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?|[0-9A-Fa-f:.]{2,45}")
_NUMBER = re.compile(r"[0-9]+")
_PAIR = re.compile(r"(?i)(.*?)_?HOST(NAME)?$")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def named_in(environment: t.Mapping[str, str]) -> t.List[t.Tuple[str, str, int]]:
    """Variable, host and port of the servers that variables name as a URL, as host:port, or as a pair X_HOST and X_PORT."""
    found: t.List[t.Tuple[str, str, int]] = []
    for name, value in sorted(environment.items()):
        if not value or len(value) > _LONGEST or (is_secret_name(name) and "://" not in value):
            continue
        pair = _PAIR.match(name)
        if "://" in value:
            found += [(name, host, port) for host, port in _of_url(value)]
        elif pair and _HOST.fullmatch(value):
            port = environment.get(f"{pair.group(1)}_PORT" if pair.group(1) else "PORT", "")
            found += [(name, value, int(port))] if _is_port(port) else []
        else:
            host, _colon, port = value.rpartition(":")
            found += [(name, host, int(port))] if _is_port(port) and _is_host(host) else []
    unique = {(host, port): (name, host, port) for name, host, port in reversed(found) if host not in ("0.0.0.0", "::")}  # noqa: S104
    return sorted(unique.values())[:_MOST]


def _is_host(text: str) -> bool:
    """A host before a port; 12:30 is a time."""
    return _HOST.fullmatch(text) is not None and ":" not in text and not _NUMBER.fullmatch(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536


def _of_url(value: str) -> t.Iterator[t.Tuple[str, int]]:
    try:
        parts = urlsplit(value.strip())
        # postgresql+asyncpg://, redis+sentinel://, mongodb+srv://: the first word says what the server is.
        default = _PORTS.get(parts.scheme.partition("+")[0].lower())
        netloc = parts.netloc
        if "@" not in netloc and parts.fragment:  # a password with a # in it, as a person wrote it
            netloc = re.split(r"[/?]", parts.fragment.rpartition("@")[2])[0]
        hosts = netloc.rpartition("@")[2].split(",")
    except ValueError:
        return
    for one in hosts[:3]:
        host, colon, port = one.rpartition(":") if not one.endswith("]") else (one, "", "")
        host = (host if colon else one).strip("[]")
        number = int(port) if _is_port(port) else default
        if number and _HOST.fullmatch(host) and (not colon or _is_port(port)):
            yield host, number


def secrets_in(environment: t.Mapping[str, str]) -> t.Set[str]:
    """Values of secret variables, and what is secret in URLs."""
    found = set()
    for name, value in environment.items():
        if is_secret_name(name) and len(value) > 3:
            found.add(value)
        found |= {secret for secret in secrets_of_url(value) if len(secret) > 3}
    return found


def connect(host: str, port: int, timeout_s: float) -> str:
    """Empty when a TCP connection can be made, else the problem, as Address has it."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return ""
    except socket.gaierror:
        return "name"
    except ConnectionRefusedError:
        return "refused"
    except socket.timeout:
        return "timeout"
    except (OSError, UnicodeError):
        return "other"


def asked(variable: str, host: str, port: int, timeout_s: float, target: str = "", asked_from: str = "this host") -> Address:
    """The address with what became of a connection to `target`, which is where the name leads inside the service's network."""
    return Address(variable, host, port, connect(target or host, port, timeout_s), asked_from)


CONNECT = """import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).close()
except ConnectionRefusedError:
    print("refused")
except socket.timeout:
    print("timeout")
except OSError:
    print("other")
else:
    print("reached")
"""
"""The same as `connect` for a Python of its own, in another network."""
