# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Putting right what a rolling action has left that was killed."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

from ...errors import RunbookError
from ..draining import release
from ..proxy import Proxy, Reach
from .containers import Container, of_service
from .rolling_model import SIDE_BY_SIDE, TURN
from .rolling_plan import Repair, left_pattern, make_repairs
from .rolling_turn import Turns
from .successor import remove


def planned_repairs(containers: t.Sequence[Container], noted: t.Mapping[str, t.Any]) -> t.List[str]:
    """What would be put right after a run that was killed, in sentences."""
    pattern = left_pattern(containers, noted)
    told = [repair.sentence for repair in make_repairs([one for one in containers if one is not pattern], noted)]
    return [*told, f"An interrupted run had left {pattern.name}, which is removed"] if pattern else told


def put_right(turns: Turns, project: str, service: str, *, away: str = "") -> t.List[Container]:
    """Put right what a killed run has left; what was done is in the steps.

    Where the proxy cannot be asked, the containers are put right all the same, and its servers stay noted for the next run.

    Args:
        turns: For the replicas.
        project: Name of the project.
        service: Name of the service.
        away: Why the proxy that is named cannot be asked, as far as that is known already.

    Returns:
        The replicas as they are then.

    Raises:
        RunbookError: It cannot be put right.
    """
    noted = turns.journal.read()
    containers = of_service(turns.engine, project, service)
    pattern = left_pattern(containers, noted)
    if pattern is not None:
        remove(turns.engine, pattern.id, with_volumes=True)
        turns.steps.append(f"An interrupted run had left {pattern.name}, which was never started: it is removed")
    left = [one for one in containers if one is not pattern]
    repairs = make_repairs(left, noted)
    drained = {repair.name: repair.servers for repair in repairs if repair.servers}
    servers = [*itertools.chain(*drained.values()), *map(str, noted.get("left") or ())]
    away = away or (_why_away(turns.proxy) if turns.proxy and servers else "")
    if away and servers:
        turns.notes.append(f"The proxy may keep {', '.join(servers)} drained until the next run, since it cannot be asked: {away}")
        repairs = [repair for repair in repairs if repair.act != "open"]
        note_side_by_side(turns, drained)
    by_name = {one.name: one for one in left}
    undone = dict(drained) if away else {}
    for repair in repairs:
        turns.steps.append(repair.sentence)
        if not _repair(replace(turns, proxy=None) if away else turns, repair, by_name) and repair.servers:
            undone[repair.name] = repair.servers
    gone = [server for repair in repairs if repair.act == "open" and repair.name not in by_name for server in repair.servers]
    if not away:
        release_gone(turns, [str(one) for one in noted.get("left") or ()], wait_s=0)
        release_gone(turns, gone)
    note_side_by_side(turns, undone)
    turns.journal.forget(*TURN, "pattern", "pattern_beside")
    return of_service(turns.engine, project, service) if repairs or pattern else containers


def _why_away(proxy: Proxy) -> str:
    """Why a proxy does not answer; empty where it does."""
    try:
        proxy.is_checked([])
    except RunbookError as error:
        return error.message
    return ""


def note_side_by_side(turns: Turns, drained: t.Mapping[str, t.Sequence[str]]) -> None:
    """Note which servers of the proxy are drained for each of several replicas; none of them for an end of the note."""
    if drained:
        turns.journal.note(**{SIDE_BY_SIDE: [{"replica": name, "servers": list(servers)} for name, servers in drained.items()]})
    else:
        turns.journal.forget(SIDE_BY_SIDE)


def _repair(turns: Turns, repair: Repair, by_name: t.Mapping[str, Container]) -> bool:
    """Returns whether nothing of it is left to be done for the next run."""
    name, servers = repair.name, repair.servers
    found, former = by_name.get(name), next((one for one in by_name.values() if one.is_former), None)
    if repair.act == "go_back" and former is not None:
        said, is_done = turns.bring_back(former.id, name, servers)
        if "former" in turns.journal.read():
            raise RunbookError("What an interrupted run has left cannot be put right", why=said, changed=True)
        turns.notes.append(said)
        return is_done
    if repair.act == "finish" and former is not None and found is not None:
        remove(turns.engine, former.id)
        return turns.run_again(found.id, name, servers).is_done
    if repair.act == "start" and found is not None:
        said, is_done = turns.run_again(found.id, name, servers)
        turns.notes.append(f"{name}: {said}")
        return is_done
    if repair.act == "open" and found is not None and found.is_well:
        turns.back_in(found.id, servers)
    elif repair.act == "open" and found is not None and turns.proxy is not None:
        return not release(turns.proxy, servers, found.reach)
    return True


def release_gone(turns: Turns, servers: t.Sequence[str], wait_s: t.Optional[float] = None) -> None:
    """Let the proxy use the servers of replicas that were removed for others, all at once: it notices their end at its own pace.

    Those of which it has not are noted: the next run asks again.
    """
    if not servers:
        return
    left, why = list(servers), "nothing listens there now"
    try:
        left = release(turns.proxy, servers, Reach(), wait_s) if turns.proxy is not None else left
    except RunbookError as error:
        why = error.message
    others = [str(one) for one in turns.journal.read().get("left") or () if one not in servers]
    if left:
        turns.notes.append(f"{turns.proxy or 'The proxy'} keeps {', '.join(left)} drained until the next run: {why}")
    if left or others:
        turns.journal.note(left=[*others, *left])
    else:
        turns.journal.forget("left")
