# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which logs of containers go to which files, by the rules of a profile."""

from __future__ import annotations

import hashlib
import os
import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from ..state import slug

CONTAINER, SERVICE = "container", "compose_service"
_ORIGINS = (CONTAINER, SERVICE, "path", "kubernetes_workload", "systemd_unit")


@dataclass(frozen=True)
class Export:
    """A rule that says where the log of containers goes.

    Attributes:
        name: What the profile calls it.
        source: Name of the log.
        log: Which containers, as an item of service_logs.
        write_to: Pattern of the files' absolute paths, as for strftime(3).
        follow_to: A link to the newest; empty for none.
    """

    name: str
    source: str
    log: t.Mapping[str, t.Any]
    write_to: str
    follow_to: str = ""

    @property
    def key(self) -> str:
        """Name of its state, which only a person reads."""
        return f"{slug(os.path.basename(self.write_to), 40)}-{hashlib.sha256(self.write_to.encode()).hexdigest()[:12]}"


def exports_of(rules: t.Sequence[t.Mapping[str, t.Any]], logs: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[Export]:
    """The rules with a source and a file; others are for other modules.

    Raises:
        BadInput: One makes no sense, or names a log that is not one of containers.
    """
    known, found = {str(log.get("name")): log for log in logs}, []
    for rule in rules:
        if not (rule.get("source") and rule.get("write_to")):
            continue
        name, source = str(rule.get("name") or ""), str(rule["source"])
        if source not in known:
            why = f"there is no log {source!r}; there are {', '.join(sorted(known)) or 'none'}"
            raise BadInput("A rule of log files has an unknown source", where=name, why=why, next_step="correct source, or service_logs")
        log = known[source]
        kinds = [kind for kind in _ORIGINS if log.get(kind)]
        if len(kinds) != 1 or kinds[0] not in (CONTAINER, SERVICE) or log.get("engine", "docker") != "docker":
            why = f"the log {source!r} is one of {' and '.join(kinds) or 'nothing'}, engine {log.get('engine', 'docker')}"
            step = "name a log of service_logs with container or compose_service; others are kept by those who write them"
            raise BadInput("Only logs of Docker's containers are written to files", where=name, why=why, next_step=step)
        found.append(Export(name, source, log, _absolute(name, rule, "write_to"), _absolute(name, rule, "follow_to")))
    places = [place for one in found for place in (one.write_to, one.follow_to) if place]
    if len(set(places)) != len(places):
        raise BadInput("Two logs would go to one file", where=", ".join(sorted({one for one in places if places.count(one) > 1})))
    return found


def _absolute(name: str, rule: t.Mapping[str, t.Any], key: str) -> str:
    path = str(rule.get(key) or "")
    if path and (not os.path.isabs(path) or path.endswith("/")):
        raise BadInput("A rule of log files names no absolute path of a file", where=name, why=f"{key} is {path!r}", next_step="correct it")
    return os.path.normpath(path) if path else ""
