# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From which set each store would be restored, how its restore is called, and what must be true afterwards."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..readable import span
from ..redis.discovery import IN_A_POD

_RANK = {"proven": 0, "verified": 1, "written": 2}
_UNSOUND = "failed"
RESTORED = "restored"
"""Status of a store in the record of a recovery."""


def plan_stores(
    stores: t.Sequence[t.Mapping[str, t.Any]], sets: t.Sequence[t.Mapping[str, t.Any]], method: str, now: datetime
) -> t.List[t.Dict[str, t.Any]]:
    """What would be restored, store by store.

    Args:
        stores: The stores that shall be recovered.
        sets: What backup_set_info lists, the newest first; one without a folder is off-site.
        method: The method of PostgreSQL sets, `logical` or `physical`; sets of other kinds have one method each.
        now: The time.

    Returns:
        For each store `store`, `kind`, `component`, `confirm` (what its restore asks for), `set` and `state` (empty when there is none
        here), `age_s` (None when unknown), `obstacle` (why it cannot be restored from any set; empty when it can), and `said`.
    """
    found = []
    for store in stores:
        name, kind = str(store.get("name")), str(store.get("kind"))
        own = [one for one in sets if one.get("store") == name and one.get("state") != _UNSOUND and not one.get("damage")]
        if kind == "postgresql":
            own = [one for one in own if one.get("method") == method]
        best = min(own, key=lambda one: _RANK.get(str(one.get("state")), 3), default=None)  # the first of a rank is its newest
        age_s = _age(best, now)
        obstacle = IN_A_POD if kind == "redis" and store.get("pod") else ""
        if obstacle:
            said = f"{name}: CANNOT BE RESTORED: {obstacle}"
        elif best is None:
            said = f"{name}: no usable set here"
        else:
            allowed = store.get("rpo_s")
            late = ", MORE THAN may be lost" if allowed is not None and age_s is not None and age_s > float(allowed) else ""
            age = "of unknown age" if age_s is None else f"{span(age_s)} old"
            server = (best.get("server") or {}).get("address")
            origin = ("" if best.get("folder", "here") else ", off-site") + (f", from {server}" if server else "")
            said = f"{name}: {best['id']} ({best['state']}, {age}{origin}{late})"
        found.append(
            {
                "store": name,
                "kind": kind,
                "component": str(store.get("component") or name),
                "confirm": str(store.get("database") or name),
                "set": str(best["id"]) if best else "",
                "state": str(best["state"]) if best else "",
                "age_s": age_s,
                "obstacle": obstacle,
                "said": said,
            }
        )
    return found


def taken_together(plan: t.Sequence[t.Mapping[str, t.Any]], records: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """Whether the sets of a plan show the service at one moment: a sentence, or none where fewer than two stores have a set.

    Args:
        plan: As `plan_stores` gives it.
        records: The service sets (`service_sets` of backup_set_info), those off-site included.
    """
    chosen = {str(one["set"]) for one in plan if one["set"]}
    if len(chosen) < 2:
        return []
    for record in records:
        if chosen <= {str(member.get("set")) for member in record.get("members", [])}:
            if record.get("consistent"):
                return [f"These sets were taken together ({record['id']}), with writes held: they show {record.get('consistent_at')}"]
            return [f"These sets were taken together ({record['id']}), their moments lie {float(record.get('spread_s') or 0):g} s apart"]
    ages = [float(one["age_s"]) for one in plan if one["set"] and one["age_s"] is not None]
    apart = f": their moments lie up to {span(max(ages) - min(ages))} apart" if ages else ""
    return [f"No record says that these sets were taken together{apart}"]


def restore_steps(
    plan: t.Sequence[t.Mapping[str, t.Any]],
    known: t.Mapping[str, t.Mapping[str, t.Any]],
    recovery: str,
    now: datetime,
    settings: t.Mapping[str, t.Any],
) -> t.List[t.Dict[str, t.Any]]:
    """The calls of the procedure restore for the stores that are not restored yet, as steps of the module recovery_run.

    Args:
        plan: As `plan_stores` gives it.
        known: What the record of the recovery knows of each store.
        recovery: Its id.
        now: The time, for names of runs that no other run has.
        settings: Further variables of every restore.
    """
    steps = []
    for number, store in enumerate(plan):
        name = str(store["store"])
        if known.get(name, {}).get("status") == RESTORED:
            continue
        run_id = f"RUN-{now:%Y%m%dT%H%M%SZ}-restore-{recovery[-4:]}{number:02d}"
        variables = {**settings, "restore_store": name, "confirm": str(store["confirm"]), "procedure_run_id": run_id}
        steps.append({"name": name, "title": f"Restore {name}", "procedure": "restore", "variables": variables})
    return steps


def proofs_as_checks(
    proofs: t.Sequence[t.Mapping[str, t.Any]], stores: t.Sequence[t.Mapping[str, t.Any]]
) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.List[str]]:
    """Queries that must be true after a restore, as checks of the type postgresql; and what cannot be asked."""
    by_name = {str(store.get("name")): store for store in stores}
    checks, problems = [], []
    for proof in proofs:
        store = by_name.get(str(proof.get("store")))
        if store is None or store.get("kind") != "postgresql" or not proof.get("query"):
            problems.append(f"{proof.get('name')}: it names no PostgreSQL store of the profile, or has no query")
            continue
        check: t.Dict[str, t.Any] = {"name": f"proof: {proof['name']}", "type": "postgresql", "query": proof["query"]}
        for own, of_store in _CONNECTION.items():
            if store.get(of_store) not in (None, ""):
                check[own] = store[of_store]
        check.update({limit: proof[limit] for limit in ("fail_below", "fail_above") if proof.get(limit) is not None})
        checks.append(check)
    return checks, problems


_CONNECTION = {
    "host": "login_host",
    "port": "login_port",
    "user": "login_user",
    "password": "login_password",
    "database": "database",
    **{key: key for key in ("ssl_mode", "ca_file", "tool_folder", "container", "container_engine")},
    **{key: key for key in ("pod", "pod_namespace", "pod_container", "kube_context")},
}
"""Option of the check -> key of the store."""


def _age(one: t.Optional[t.Mapping[str, t.Any]], now: datetime) -> t.Optional[float]:
    try:
        text = str((one or {}).get("consistent_at"))[:19]
        return max(0.0, (now - datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)).total_seconds())
    except ValueError:
        return None
