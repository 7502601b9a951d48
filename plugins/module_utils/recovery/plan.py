# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From which set each store would be restored, how its restore is called, and what must be true afterwards."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..backup_set.catalogue import is_before, named
from ..readable import span
from ..redis.discovery import IN_A_POD

_RANK = {"proven": 0, "verified": 1, "written": 2}
_UNSOUND = "failed"
RESTORED = "restored"
"""Status of a store in the record of a recovery."""


def assess(
    stores: t.Sequence[t.Mapping[str, t.Any]],
    listed: t.Sequence[t.Mapping[str, t.Any]],
    now: datetime,
    *,
    main_host: str = "",
    method: str = "logical",
    words: str = "",
    offsite: t.Optional[t.Mapping[str, t.Any]] = None,
) -> t.Dict[str, t.List[str]]:
    """From which set each store would be restored.

    Args:
        stores: The stores that shall be recovered.
        listed: What each host answered that keeps sets: `item` (its name) and `backup_sets` (the newest first), or `msg`, why it did not.
        now: The time.
        main_host: Host of the stores that name none (`on_host`).
        method: The method of PostgreSQL sets, `logical` or `physical`; sets of other kinds have one method each.
        words: Which sets may be taken, as `backup_set.catalogue.named` reads it.
        offsite: What the object store answered, `offsite_sets` or `msg`; None when it was not asked.

    Returns:
        `said`, a sentence for each store, and whether their sets were taken together; `missing`, the stores without a usable set here;
        `nowhere`, a sentence for each without one off-site either (a host that does not answer may have sets, once it does);
        `obstacles`, a sentence for each store that cannot be restored from any set.

    Raises:
        BadInput: `words` name no moment.
    """
    sets = [one for answer in listed for one in answer.get("backup_sets") or ()]
    silent = {str(answer.get("item")): str(answer.get("msg") or "") for answer in listed if "backup_sets" not in answer}
    copies = (offsite or {}).get("offsite_sets") or []
    unknown = f", and the off-site copies could not be listed: {offsite['msg']}" if offsite and offsite.get("msg") else ""
    found: t.Dict[str, t.List[str]] = {"said": [], "missing": [], "nowhere": [], "obstacles": []}
    chosen = []
    for store in stores:
        name, host = str(store["name"]), str(store.get("on_host") or main_host)
        here, there = (_best(store, some, method, words) for some in (sets, copies))
        best = here or there
        if here is None:
            found["missing"].append(name)
        if store.get("kind") == "redis" and store.get("pod"):
            said = f"CANNOT BE RESTORED: {IN_A_POD}"
            found["obstacles"].append(f"{name}: {said}")
        elif best is not None:
            said = _described(store, best, now)
            chosen.append(best)
        elif host in silent:
            said = f"UNKNOWN, as {host} could not be asked for its sets ({silent[host]}), and nothing is known off-site{unknown}"
        else:
            said = f"NO usable set, neither here nor off-site{unknown}"
            found["nowhere"].append(f"{name}: {said}")
        found["said"].append(f"{name}: {said}")
    records = [one for answer in listed for one in answer.get("service_sets") or ()]
    found["said"] += taken_together(chosen, [*records, *((offsite or {}).get("offsite_service_sets") or ())], now)
    return found


def _best(
    store: t.Mapping[str, t.Any], sets: t.Iterable[t.Mapping[str, t.Any]], method: str, words: str
) -> t.Optional[t.Mapping[str, t.Any]]:
    wanted = named(words)
    if wanted.get("name"):
        return next((one for one in sets if one["id"] == wanted["name"]), None)
    own = [one for one in sets if one.get("store") == store["name"] and one.get("state") != _UNSOUND and not one.get("damage")]
    own = [one for one in own if store.get("kind") != "postgresql" or one.get("method") == method]
    own = [one for one in own if "before" not in wanted or is_before(str(one.get("consistent_at") or ""), wanted["before"])]
    return min(own, key=lambda one: _RANK.get(str(one.get("state")), 3), default=None)  # the first of a rank is its newest


def _described(store: t.Mapping[str, t.Any], one: t.Mapping[str, t.Any], now: datetime) -> str:
    age_s, allowed = _age(one, now), store.get("rpo_s")
    late = ", MORE THAN may be lost" if allowed is not None and age_s is not None and age_s > float(allowed) else ""
    age, server = "of unknown age" if age_s is None else f"{span(age_s)} old", (one.get("server") or {}).get("address")
    origin = ("" if one.get("folder", "here") else ", off-site") + (f", from {server}" if server else "")
    return f"{one['id']} ({one['state']}, {age}{origin}{late})"


def taken_together(sets: t.Sequence[t.Mapping[str, t.Any]], records: t.Sequence[t.Mapping[str, t.Any]], now: datetime) -> t.List[str]:
    """Whether these sets show the service at one moment: a sentence, or none where fewer than two stores have a set.

    Args:
        sets: One for each store, as backup_set_info lists it.
        records: The service sets (`service_sets` of backup_set_info), those off-site included.
        now: The time.
    """
    chosen = {str(one["id"]) for one in sets}
    if len(chosen) < 2:
        return []
    for record in records:
        if chosen <= {str(member.get("set")) for member in record.get("members", [])}:
            if record.get("consistent"):
                return [f"These sets were taken together ({record['id']}), with writes held: they show {record.get('consistent_at')}"]
            return [f"These sets were taken together ({record['id']}), their moments lie {float(record.get('spread_s') or 0):g} s apart"]
    ages = [age_s for age_s in (_age(one, now) for one in sets) if age_s is not None]
    apart = f": their moments lie up to {span(max(ages) - min(ages))} apart" if ages else ""
    return [f"No record says that these sets were taken together{apart}"]


def restore_steps(
    stores: t.Sequence[t.Mapping[str, t.Any]],
    known: t.Mapping[str, t.Mapping[str, t.Any]],
    recovery: str,
    now: datetime,
    settings: t.Mapping[str, t.Any],
) -> t.List[t.Dict[str, t.Any]]:
    """The calls of the procedure restore for the stores that are not restored yet, as steps of the module recovery_run.

    Args:
        stores: The stores that shall be recovered.
        known: What the record of the recovery knows of each store.
        recovery: Its id.
        now: The time, for names of runs that no other run has.
        settings: Further variables of every restore.
    """
    steps = []
    for number, store in enumerate(stores):
        name = str(store["name"])
        if known.get(name, {}).get("status") == RESTORED:
            continue
        run_id = f"RUN-{now:%Y%m%dT%H%M%SZ}-restore-{recovery[-4:]}{number:02d}"
        confirm = str(store.get("database") or name)
        variables = {**settings, "restore_store": name, "confirm": confirm, "procedure_run_id": run_id}
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


def _age(one: t.Mapping[str, t.Any], now: datetime) -> t.Optional[float]:
    try:
        text = str(one.get("consistent_at"))[:19]
        return max(0.0, (now - datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)).total_seconds())
    except ValueError:
        return None
