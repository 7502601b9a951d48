# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Let running servers take over their new files, and see whether they did.

Prometheus: https://prometheus.io/docs/prometheus/latest/management_api/. Alertmanager: .../docs/alerting/latest/management_api/.
"""

from __future__ import annotations

import json
import os
import time
import typing as t
from dataclasses import dataclass

from ..errors import RunbookError, Unreachable
from ..files import write_json
from .files import Content
from .rules import rule_file
from .web import Server

_LOADED_WITHIN_S = 5.0
_NOT_ALLOWED = (403, 404, 405)


class ReloadFailed(RunbookError):
    """A server did not take over its new file; the former files are back."""


@dataclass(frozen=True)
class Loaded:
    """Where a server is.

    Attributes:
        server: `Prometheus` or `Alertmanager`.
        reloaded: Whether it was told to read its files again, and did.
        current: Whether it has what the files say; None when that could not be seen.
        next_step: What a person has to do; empty for nothing.
    """

    server: str
    reloaded: bool
    current: t.Optional[bool]
    next_step: str

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For a module's result."""
        return {"server": self.server, "reloaded": self.reloaded, "current": self.current, "next_step": self.next_step}


def load(server: Server, has_it: t.Callable[[Server], bool], *, reload: bool, path: str) -> Loaded:
    """Let a server read its files again where `reload` says so, and see whether it has what they say.

    Args:
        has_it: Whether the running server has it.
        path: The file, for what is said to the reader.

    Raises:
        ReloadFailed: It refused the file.
        Unreachable: It did not answer.
    """
    reloaded, by_hand = False, ""
    if reload:
        reply = server.call("POST", "/-/reload")
        reloaded = reply.status == 200
        if reply.status in _NOT_ALLOWED:
            by_hand = (
                f"{server.name} does not take a reload by HTTP (it answered {reply.status}: {reply.said[:120]}); send its process SIGHUP"
                + (", or start it with --web.enable-lifecycle" if server.name == "Prometheus" else "")
            )
        elif not reloaded:
            raise ReloadFailed(
                f"{server.name} refused its new file",
                where=f"{server.shown}, {path}",
                why=f"it answered {reply.status}: {reply.said}",
                next_step="correct what it complains about; if its other files are at fault, mend those first",
            )
    current = _soon(server, has_it, _LOADED_WITHIN_S if reloaded else 0)
    if by_hand and current:
        by_hand = ""
    elif current is False and not by_hand:
        what = "add it to rule_files in prometheus.yml" if server.name == "Prometheus" else "start it with --config.file set to it"
        by_hand = f"{server.name} at {server.shown} does not have what {path} says: {what}, then reload it"
    return Loaded(server.name, reloaded, current, by_hand)


class Pending:
    """Which servers have yet to read a file that was written: a run may be killed, or told not to reload, before they have.

    Attributes:
        kinds: Kinds of files.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, ".reload-pending.json")
        try:
            with open(self._path, encoding="utf-8") as stream:
                self.kinds = frozenset(str(kind) for kind in json.load(stream))
        except (OSError, ValueError, TypeError):
            self.kinds = frozenset()

    def set(self, kinds: t.Iterable[str]) -> None:
        """Note these, and no others."""
        wanted = frozenset(kinds)
        if wanted and wanted != self.kinds:
            write_json(self._path, sorted(wanted))
        elif self.kinds and not wanted:
            os.unlink(self._path)
        self.kinds = wanted


def prometheus_has(content: Content) -> t.Callable[[Server], bool]:
    """Whether a Prometheus has the rules: all groups with the same expressions (`GET /api/v1/rules`)."""
    wanted = {
        (group["name"], rule.get("record") or rule.get("alert")) for group in rule_file(content.rules)["groups"] for rule in group["rules"]
    }

    def has(server: Server) -> bool:
        document = server.call("GET", "/api/v1/rules").document(server.shown)
        groups = document.get("data", {}).get("groups", []) if isinstance(document, dict) else []
        there = {(group.get("name"), rule.get("name")) for group in groups for rule in group.get("rules", [])}
        ours = {name for name, _rule in wanted}
        return {pair for pair in there if pair[0] in ours} == wanted

    return has


def alertmanager_has(content: Content) -> t.Callable[[Server], bool]:
    """Whether an Alertmanager has all the receivers (`GET /api/v2/receivers`)."""
    wanted = {receiver["name"] for receiver in content.routing.config["receivers"]}

    def has(server: Server) -> bool:
        document = server.call("GET", "/api/v2/receivers").document(server.shown)
        known = {one.get("name") for one in document if isinstance(one, dict)} if isinstance(document, list) else set()
        return known >= wanted if content.routing.shared else known == wanted

    return has


def _soon(server: Server, has_it: t.Callable[[Server], bool], within_s: float) -> t.Optional[bool]:
    until = time.monotonic() + within_s
    while True:
        try:
            found: t.Optional[bool] = has_it(server)
        except (Unreachable, AttributeError, TypeError):
            # What could not be read says nothing about the files, which are in place.
            found = None
        if found or time.monotonic() >= until:
            return found
        time.sleep(0.1)
