# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module on_call_check: try everything, read-only, and list what has rotted."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

from ..checks.redaction import Redactor, secrets_within
from ..profile.conformity import plain
from ..profile.finding import ERROR, items
from ..profile.operation import check as profile_findings
from ..profile.options import OPTIONS as PROFILE
from ..profile.source import read
from ..run_record import Runs
from ..state import state_folder, utc_now
from . import contacts, credentials, endpoints, procedures, programs
from .item import GOOD, ROTTEN, UNTESTED, Item, ordered

KINDS = ("profile", "credential", "endpoint", "metric", "log", "context", "contact", "channel", "tool", "procedure", "proof")
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **PROFILE,
    "playbooks": {"type": "dict", "default": {}},
    "ansible_playbook": {"type": "path", "default": "ansible-playbook"},
    "profile": {"type": "str", "default": ""},
    "proven_within_days": {"type": "dict", "default": {}},
    "kinds": {"type": "list", "elements": "str", "choices": list(KINDS), "default": list(KINDS)},
    "timeout_s": {"type": "float", "default": 10.0},
    "state_folder": {"type": "path"},
    "fail_on": {"type": "list", "elements": "str", "choices": [ROTTEN, UNTESTED], "default": [ROTTEN]},
}
"""Described in plugins/modules/on_call_check.py."""
_PROMISES = frozenset(("rpo", "rto", "retention", "deadlines", "crossing", "overlap", "gap"))
"""What profile_check finds of promises and not of expressions: it keeps nobody from working at night."""
_IN_MAIN_THREAD = frozenset(("endpoint", "metric"))
_SHOWN = 500


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Try what the profile in `parameters` (valid for OPTIONS) names; nothing is changed, so check mode does the same.

    Returns:
        `items`, `table`, `counts`, `rotten`, `msg`; `failed` when there is an item with a verdict of `fail_on`.

    Raises:
        BadInput: There is no profile in the folder.
        ToolMissing: YAML cannot be read here.
    """
    source = read(str(parameters["folder"]))
    unresolved = {str(name): str(why) for name, why in parameters["unresolved"].items()}
    variables = {str(name): plain(value) for name, value in parameters["variables"].items() if str(name) not in unresolved}
    found = ordered(_tried(parameters, variables, unresolved, source))
    redactor = Redactor(secrets_within(variables))
    found = [Item(one.kind, redactor.text(one.name), one.verdict, redactor.text(one.reason), redactor.text(one.next_step)) for one in found]
    counts = {verdict: sum(item.verdict == verdict for item in found) for verdict in (GOOD, ROTTEN, UNTESTED)}
    rotten = [item for item in found if item.verdict == ROTTEN]
    said = (
        f"{counts[GOOD]} of {len(found)} things that people on call rely on are good, {counts[ROTTEN]} rotten, {counts[UNTESTED]} untested."
    )
    outcome: t.Dict[str, t.Any] = {
        "changed": False,
        "msg": said,
        "counts": counts,
        "results": [item.as_dict() for item in found[:_SHOWN]],
        "table": [item.line for item in found[:_SHOWN]],
        "rotten": [item.line for item in rotten[:_SHOWN]],
    }
    if any(counts[verdict] for verdict in parameters["fail_on"]):
        outcome["failed"] = True
        outcome["msg"] = f"{said} Rotten: " + "; ".join(f"{item.kind} {item.name}" for item in rotten)[:2000]
    return outcome


def _tried(
    parameters: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any], unresolved: t.Mapping[str, str], source: t.Any
) -> t.List[Item]:
    """All kinds at once: each waits for others than this machine."""
    timeout_s, catalogue = float(parameters["timeout_s"]), parameters["procedures"]
    used = endpoints.used_by_checks(source.values)

    def profile() -> t.List[Item]:
        found = profile_findings(
            str(parameters["folder"]), variables, unresolved=unresolved, role_options=parameters["role_options"], procedures=catalogue
        )
        wrong = [finding for finding in found if finding.level == ERROR and finding.kind not in _PROMISES]
        if not wrong:
            return [Item("profile", "expressions", GOOD, "every variable can be evaluated and has its shape")]
        return [Item("profile", finding.where or "profile", ROTTEN, finding.what, finding.next_step) for finding in wrong]

    def proofs() -> t.List[Item]:
        runs = Runs(state_folder(parameters["state_folder"]))
        limits = parameters["proven_within_days"]
        return procedures.proofs(variables, catalogue, runs, str(parameters["profile"]), limits, utc_now())

    work: t.Mapping[str, t.Callable[[], t.List[Item]]] = {
        "profile": profile,
        "credential": lambda: credentials.credentials(source, variables, unresolved, used) + credentials.object_store(variables),
        "endpoint": lambda: endpoints.endpoints(variables, timeout_s),
        "metric": lambda: endpoints.metrics(variables, timeout_s),
        "log": lambda: endpoints.logs(variables),
        "context": lambda: programs.contexts(variables, timeout_s),
        "contact": lambda: contacts.contacts(variables),
        "channel": lambda: contacts.channels(variables),
        "tool": lambda: programs.tools(variables),
        "procedure": lambda: (
            procedures.required(variables, catalogue)
            + procedures.syntax(parameters["playbooks"], str(parameters["ansible_playbook"]), str(parameters["folder"]))
        ),
        "proof": proofs,
    }
    wanted = [kind for kind in KINDS if kind in parameters["kinds"]]
    with ThreadPoolExecutor(max_workers=len(KINDS)) as pool:
        parts = [(kind, pool.submit(work[kind])) for kind in wanted if kind not in _IN_MAIN_THREAD]
        # Checks are judged under a limit of processor time, which works by a signal, and signals are for the main thread.
        own = {kind: work[kind]() for kind in wanted if kind in _IN_MAIN_THREAD}
        others = {kind: part.result() for kind, part in parts}
    found = [item for kind in wanted for item in {**own, **others}[kind]]
    return found + _checklist(variables, catalogue, found)


def _checklist(variables: t.Mapping[str, t.Any], catalogue: t.Mapping[str, t.Any], found: t.Sequence[Item]) -> t.List[Item]:
    """What of incident_on_call_checklist nothing else has tried: variables that must not be empty, procedures that must exist."""
    verdicts = {item.name: item.verdict for item in found if item.kind == "endpoint"}
    more = []
    for _position, entry in items(variables.get("incident_on_call_checklist")):
        wrong = [f"{name} is empty" for name in entry.get("not_empty") or [] if variables.get(str(name)) in (None, "", [], {})]
        wrong += [f"the check {name} is {verdicts[str(name)]}" for name in entry.get("checks") or [] if verdicts.get(str(name)) == ROTTEN]
        if entry.get("procedure") and str(entry["procedure"]) not in catalogue:
            wrong.append(f"there is no procedure {entry['procedure']}")
        verdict = ROTTEN if wrong else GOOD
        more.append(Item("checklist", str(entry.get("title") or entry.get("name")), verdict, "; ".join(wrong), "see the other items"))
    return more
