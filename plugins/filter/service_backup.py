# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for the backup of all stores of a service."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.sre.runbooks.plugins.filter.store import store

Store = t.Mapping[str, t.Any]


def stores_named(stores: t.Any, names: t.Union[str, t.Sequence[str]] = "") -> t.List[Store]:
    """The stores of these names (a list, or separated by commas), in the profile's order; all when none is named."""
    wanted = [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)
    for name in wanted or [""]:
        store(stores, name)  # says clearly what there is when there is no such store
    return [one for one in stores if not wanted or one["name"] in wanted]


def stores_on(stores: t.Sequence[Store], host: str, main_host: str) -> t.List[Store]:
    """Those stores that lie on a host: their C(on_host), or the main host where they name none."""
    return [one for one in stores if (one.get("on_host") or main_host) == host]


def backup_member(one: Store, result: t.Mapping[str, t.Any], host: str, main_host: str) -> t.Dict[str, t.Any]:
    """What a service set says of a store that was backed up, from the result of its backup (in check mode there is no set yet)."""
    made = result.get("backup_set") or {}
    return {
        "store": one["name"],
        "kind": one["kind"],
        "method": made.get("method") or "",
        "set": made.get("id") or "",
        "host": host,
        "elsewhere": host != main_host,
        "consistent_at": made.get("consistent_at") or "",
        "size_bytes": int(made.get("size_bytes") or 0),
        "duration_s": float(result.get("duration_s") or 0),
    }


def backup_outcome(hosts: t.Iterable[t.Mapping[str, t.Any]], wanted: t.Sequence[Store]) -> t.Dict[str, t.Any]:
    """What became of each wanted store, from what each host noted.

    A store of which no host says anything lies on one that could not be reached. One whose set was taken but found wanting afterwards
    is a failure, and no member.
    """
    every = list(hosts)
    members, failures, steps = ([entry for host in every for entry in host.get(key) or []] for key in _NOTED)
    failed = {entry["store"] for entry in failures}
    told = failed | {entry["store"] for entry in members}
    failures += [{"store": one["name"], "why": "its host could not be reached"} for one in wanted if one["name"] not in told]
    good = [entry for entry in members if entry["store"] not in failed]
    measured: t.Dict[str, t.Any] = {}
    if good:
        seconds = [sum(entry["duration_s"] for entry in good if entry["host"] == host) for host in {entry["host"] for entry in good}]
        measured = {"backup_s": round(max(seconds), 2), "size_bytes": sum(entry["size_bytes"] for entry in good)}
        if len(wanted) > 1:
            for entry in good:
                measured[f"{entry['store']}_backup_s"] = entry["duration_s"]
                measured[f"{entry['store']}_size_bytes"] = entry["size_bytes"]
    return {"members": good, "failures": failures, "steps": steps, "measurements": measured, "message": _message(good, failures)}


_NOTED = ("backup_members", "backup_failures", "backup_host_steps")


def _message(good: t.Sequence[t.Mapping[str, t.Any]], failures: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    if not failures:
        return ""
    causes = " ".join(f"{entry['store']}: {entry['why']}" for entry in failures)
    if len(failures) == 1 and not good:
        return str(failures[0]["why"])
    kept = ", ".join(f"{entry['set'] or entry['store']}" for entry in good)
    rest = f" The sets of the others are good and stay: {kept}." if kept else " No store was backed up."
    return f"Not backed up: {', '.join(entry['store'] for entry in failures)}. {causes}{rest}"


def sets_due(
    sets: t.Sequence[t.Mapping[str, t.Any]],
    stores: t.Sequence[Store],
    name: str = "",
    every: bool = False,
    prove: bool = False,
    every_days: float = 7,
    now: t.Optional[datetime.datetime] = None,
) -> t.List[t.Dict[str, t.Any]]:
    """Which sets a verification looks at, of those that C(backup_set_info) lists (newest first).

    The one that is named; else of these stores the newest of each method, or, with C(every), all whose last good finding (with C(prove)
    the last proof) is older than so many days. What has failed before is known to be wanting and only looked at again when it is named.
    """
    known = {one["name"] for one in stores}
    if name:
        found = [one for one in sets if one["id"] == name and (one.get("store") in known or one.get("damage"))]
        stand_in = stores[0]["name"] if stores else ""
        return [{"set": one["id"], "folder": one["folder"], "store": one.get("store") or stand_in} for one in found]
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    newest: t.Set[t.Tuple[t.Any, t.Any]] = set()
    due = []
    for one in sets:
        group = (one.get("store"), one.get("method"))
        if one.get("store") not in known or one["state"] == "failed":
            continue
        wanted = _age_days(one, ("proven",) if prove else ("verified", "proven"), moment) >= every_days if every else group not in newest
        newest.add(group)
        if wanted:
            due.append({"set": one["id"], "folder": one["folder"], "store": one["store"]})
    return due


def _age_days(one: t.Mapping[str, t.Any], states: t.Container[str], now: datetime.datetime) -> float:
    times = [proof["at"] for proof in one.get("proofs") or [] if proof["state"] in states]
    if not times:
        return float("inf")
    last = datetime.datetime.strptime(max(times), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return (now - last).total_seconds() / 86400


def verify_outcome(hosts: t.Iterable[t.Mapping[str, t.Any]], expected: t.Sequence[str]) -> t.Dict[str, t.Any]:
    """What a verification found, from what each host noted; an expected host that says nothing could not be reached."""
    every = list(hosts)
    checked, failures, steps = (
        [entry for host in every for entry in host.get(key) or []] for key in ("backup_checked", "backup_failures", "backup_host_steps")
    )
    told = {str(host.get("inventory_hostname")) for host in every if host.get("backup_checked") is not None}
    silent = [host for host in expected if host not in told]
    sentences = [f"{entry['set']}: {entry['why']}" for entry in failures] + [f"The host {host} could not be reached." for host in silent]
    good = ", ".join(entry["set"] for entry in checked)
    message = f"{len(failures)} of {len(failures) + len(checked)} backup sets were found wanting. " if failures else ""
    message = message + " ".join(sentences) + (f" Good: {good}." if good else "") if sentences else ""
    times = [entry["restored_after_s"] for entry in checked if entry.get("restored_after_s") is not None]
    measured = {"longest_restore_s": max(times)} if times else {}
    return {"checked": checked, "failures": failures, "steps": steps, "measurements": measured, "message": message}


class FilterModule:
    """Filters for the backup of all stores of a service."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {
            "stores_named": stores_named,
            "stores_on": stores_on,
            "backup_member": backup_member,
            "backup_outcome": backup_outcome,
            "sets_due": sets_due,
            "verify_outcome": verify_outcome,
        }
