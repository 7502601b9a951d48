# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which proxies there are, and the options that name one."""

from __future__ import annotations

import os
import typing as t

from ..errors import BadInput
from .haproxy import HAProxy, Runtime
from .proxy import Proxy

PROXY_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "kind": {"type": "str", "choices": ["haproxy"], "default": "haproxy"},
    "backend": {"type": "str"},
    "socket": {"type": "path"},
    "address": {"type": "str"},
    "container": {"type": "str"},
}
"""The suboptions of `proxy`; all empty means that there is none."""
_MOST_LINKS = 40
"""As many as the kernel follows: path_resolution(7)."""


def proxy_from(options: t.Optional[t.Mapping[str, t.Any]], address_of: t.Callable[[str], t.Tuple[str, int]]) -> t.Optional[Proxy]:
    """The proxy that `options` (as PROXY_OPTIONS has them) name; None where they are empty.

    Args:
        options: The options.
        address_of: Says of a container, by name, its first address, empty for none, and the number of its first process.

    Raises:
        BadInput: They make no sense.
    """
    given = {name: value for name, value in (options or {}).items() if value}
    if not set(given) - {"kind"}:
        return None
    unknown = sorted(set(given) - set(PROXY_OPTIONS))
    ways = [name for name in ("socket", "address") if given.get(name)]
    problem = ""
    if unknown:
        problem = f"it has no {', '.join(unknown)}"
    elif given.get("kind", "haproxy") != "haproxy":
        problem = f"it is no {given['kind']}: only haproxy can be asked"
    elif not given.get("backend"):
        problem = "backend is missing"
    elif len(ways) != 1:
        problem = "it needs either socket or address"
    if problem:
        raise BadInput("The proxy of the service is not described well", where="proxy", why=problem, next_step="correct service_proxy")
    if "address" in given:
        host, port = _address(str(given["address"]), needs_host="container" not in given)
        host = host or address_of(given["container"])[0]
        if not host:
            raise BadInput(
                "The container of the proxy has no address of its own",
                where=given["container"],
                next_step="write the address of its runtime interface as host:port, or name its socket (service_proxy)",
            )
        return HAProxy(Runtime(host=host, port=port), given["backend"])
    path = str(given["socket"])
    if "container" in given:
        # The file system of a process of this host, container or not: proc(5), /proc/pid/root.
        path = inside(os.path.join("/proc", str(address_of(given["container"])[1]), "root"), path)
    return HAProxy(Runtime(path=path), given["backend"])


def inside(root: str, path: str) -> str:
    """Where `path` of the file system below `root` is: its links are followed there; the kernel would follow an absolute one from `/`.

    Raises:
        BadInput: Its links lead round in a circle.
    """
    left, at, links = path.split("/")[::-1], t.cast("t.List[str]", []), 0
    while left:
        part = left.pop()
        if part == "..":
            at = at[:-1]
        elif part not in ("", "."):
            try:
                target = os.readlink(os.path.join(root, *at, part))
            except OSError:  # no link, or not there
                at.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise BadInput("The path of the proxy's socket has links in a circle", where=path, next_step="correct service_proxy")
            at = [] if target.startswith("/") else at
            left += target.split("/")[::-1]
    return os.path.join(root, *at)


def _address(text: str, needs_host: bool) -> t.Tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536 or (needs_host and not host):
        raise BadInput(
            "The address of the proxy's runtime interface is none",
            where=f"address {text}",
            next_step="write it as host:port, or as port where container names the proxy",
        )
    return host.strip("[]"), int(port)
