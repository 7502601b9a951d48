# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How long each component was gone, measured from the disaster until it served again, against its recovery time objective (RTO)."""

from __future__ import annotations

import re
import typing as t
from datetime import timedelta

from ..state import utc_text, utc_time
from .record import Recovery

_STORES, _LAST = ("data", "restore"), "resume"


def serving_at(run: t.Mapping[str, t.Any]) -> str:
    """When a store served again, by the record of its restore: the run's begin and the recovery time that it measured.

    The restore measures from the choice of the set on, which comes right after the begin of its run (less than a second).
    """
    measured = (run.get("measurements") or {}).get("rto_s")
    value = measured.get("value") if isinstance(measured, t.Mapping) else measured
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return utc_text(utc_time(run["started_at"]) + timedelta(seconds=float(value)))
    return str(run.get("finished_at") or "")


def recovery_times(
    recovery: Recovery, components: t.Sequence[t.Mapping[str, t.Any]], stores: t.Sequence[t.Mapping[str, t.Any]]
) -> t.Tuple[t.Dict[str, float], t.Dict[str, float], t.List[str]]:
    """Measurements and targets by name (`rto_<component>_s`, `rto_s` for the service), and a sentence for each component.

    A component with stores is back when the last of them serves; one without when everything was verified. What was waited for people
    at the gates is part of these times, as it is of an outage, and is told as `waited_s`.
    """
    since = utc_time(recovery.content["since"])
    phases = {entry["name"]: entry for entry in recovery.content["phases"]}
    measured: t.Dict[str, float] = {}
    targets: t.Dict[str, float] = {}
    said: t.List[str] = []
    of_component: t.Dict[str, t.List[t.Mapping[str, t.Any]]] = {}
    for store in stores:
        of_component.setdefault(str(store.get("component") or store.get("name")), []).append(store)
    known = {str(one.get("name")): one for one in components}
    names = [name for name, one in known.items() if not one.get("external") and (one.get("rto_s") is not None or name in of_component)]
    for name in [*names, *(name for name in of_component if name not in known)]:
        key = f"rto_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_') or 'component'}_s"
        own = of_component.get(name, [])
        ends = [str(recovery.content["stores"].get(str(store["name"]), {}).get("serving_at") or "") for store in own]
        end = "" if not all(ends) else max(ends) if ends else str(phases["verify"]["finished_at"] or "")
        wanted = [float(value) for value in [known.get(name, {}).get("rto_s"), *(store.get("rto_s") for store in own)] if value is not None]
        if wanted:
            targets[key] = min(wanted)
        if not end:
            said.append(f"{name}: not recovered, so its recovery time is unknown")
            continue
        measured[key] = round((utc_time(end) - since).total_seconds(), 2)
        kept = (
            "" if not wanted else f", {'within' if measured[key] <= min(wanted) else 'MORE THAN'} the {min(wanted):g} s that it may be gone"
        )
        said.append(f"{name}: back after {measured[key]:g} s{kept}")
    whole = phases[_LAST]["finished_at"]
    if whole:
        measured["rto_s"] = round((utc_time(whole) - since).total_seconds(), 2)
    measured["waited_s"] = round(float(recovery.content["waited_s"]), 2)
    return measured, {key: value for key, value in targets.items() if key in measured}, said
