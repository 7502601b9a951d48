# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `kubernetes_workload`."""

from __future__ import annotations

import json
import math
import re
import typing as t

from ..command import Command, Place
from . import conditions
from .model import FAIL, UNKNOWN, WARN, Answer, Attempt, Finding, NoAnswer
from .programs import InPlace, Output, output_of

_KINDS = ("deployment", "statefulset", "daemonset")
_API = {"deployment": "deployments.v1.apps", "statefulset": "statefulsets.v1.apps", "daemonset": "daemonsets.v1.apps"}
_GONE = re.compile(r'\(NotFound\): ([a-z]+)(?:\.apps)? "[^"]*" not found')


class KubernetesWorkload(InPlace):
    """A Deployment, StatefulSet or DaemonSet has the replicas that it wants, ready and up to date; the number is how many are ready."""

    spec = {
        "kind": {"type": "str", "choices": list(_KINDS), "default": "deployment"},
        "workload": {"type": "str", "required": True},
        "namespace": {"type": "str"},
        "kube_context": {"type": "str"},
        "kubeconfig": {"type": "path"},
        "replicas": {"type": "int"},
        "tool_folder": {"type": "path"},
        **conditions.THRESHOLDS,
    }
    of_host = False
    judge_cpu_s = 1.0

    def mistakes(self) -> t.List[str]:
        options = self.options
        found = super().mistakes()
        for name in ("workload", "namespace", "kube_context"):
            if name in options and (
                not options[name] or options[name].startswith("-") or ("/" in options[name] and name != "kube_context")
            ):
                found.append(f"{name} is no name")
        if options.get("replicas", 0) < 0:
            found.append("replicas is less than 0")
        return found

    @property
    def target(self) -> str:
        options = self.options
        return f"{options['kind']} {options['namespace'] + '/' if 'namespace' in options else ''}{options['workload']}"

    async def ask(self, attempt: Attempt) -> Output:
        options = self.options
        argv = ["kubectl"]
        for name, flag in (("kubeconfig", "--kubeconfig"), ("kube_context", "--context"), ("namespace", "--namespace")):
            argv += [flag, options[name]] if name in options else []
        argv += ["get", _API[options["kind"]], "--output=json", "--", options["workload"]]
        return await output_of(attempt, Command(argv, Place(tool_folder=options.get("tool_folder", ""))))

    def judge(self, got: Output) -> Answer:
        if got.status != 0:
            # The API server itself says so: then it is gone, or its whole namespace is, and nothing else is in doubt.
            gone = _GONE.search(got.error)
            what = {"namespaces": "namespace"}.get(gone.group(1), "workload") if gone else ""
            raise NoAnswer(FAIL if gone else UNKNOWN, f"there is no such {what}" if gone else f"kubectl: {got.last_words}")
        try:
            document = json.loads(got.text)
        except (ValueError, RecursionError):
            raise NoAnswer(UNKNOWN, "kubectl printed something else than JSON") from None
        return judge_workload(document, self.options)


class Counts(t.NamedTuple):
    """How many replicas a workload wants, has ready, has of its newest version, and whether its controller has seen that version."""

    wanted: int
    ready: int
    updated: int
    observed: bool
    stuck: str


def judge_workload(document: t.Any, options: t.Mapping[str, t.Any]) -> Answer:
    """Judge a workload by its object of the API.

    Raises:
        NoAnswer: It is no such object.
    """
    counts = counts_of(document)
    observed = {"wanted": counts.wanted, "ready": counts.ready, "updated": counts.updated, "generation_observed": counts.observed}
    answer = Answer(observed=observed, value=float(counts.ready))
    minimum = options.get("replicas", counts.wanted)
    if counts.stuck:
        answer.findings.append(Finding(FAIL, f"its rollout is stuck: {counts.stuck}"))
    if counts.ready < minimum:
        answer.findings.append(Finding(FAIL, f"{counts.ready} of {minimum} replicas are ready"))
        answer.retry = True
    elif minimum == 0 and "replicas" not in options:
        answer.findings.append(Finding(FAIL, "it wants no replica at all"))
    if not counts.observed:
        answer.findings.append(Finding(WARN, "its controller has not yet seen its newest version"))
    elif counts.updated < counts.wanted:
        answer.findings.append(Finding(WARN, f"{counts.updated} of {counts.wanted} replicas are of its newest version"))
    elif counts.ready < counts.wanted and not answer.findings:
        answer.findings.append(Finding(WARN, f"{counts.ready} of {counts.wanted} replicas are ready"))
    answer.findings += conditions.judge_number(float(counts.ready), options, "the number of ready replicas")
    return answer


def counts_of(document: t.Any) -> Counts:
    """The counts in an object of `apps/v1`; what its status leaves out is 0 (Kubernetes leaves out zeros).

    Raises:
        NoAnswer: It is no Deployment, StatefulSet or DaemonSet.
    """
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(document, dict) or str(kind).lower() not in _KINDS:
        raise NoAnswer(UNKNOWN, "kubectl printed something else than the workload")
    metadata, spec, status = (part if isinstance(part, dict) else {} for part in map(document.get, ("metadata", "spec", "status")))
    ready, updated = _count(status, "readyReplicas"), _count(status, "updatedReplicas")
    wanted = _count(spec, "replicas", 1)
    if kind == "DaemonSet":
        wanted = _count(status, "desiredNumberScheduled")
        ready, updated = _count(status, "numberReady"), _count(status, "updatedNumberScheduled")
    strategy = spec.get("updateStrategy")
    if isinstance(strategy, dict) and strategy.get("type") == "OnDelete":
        # Old replicas stay until somebody deletes them: that is no rollout under way.
        updated = wanted
    seen = _count(status, "observedGeneration", -1) >= _count(metadata, "generation", 0)
    return Counts(wanted, ready, updated, seen, _stuck(status.get("conditions")))


def _count(part: t.Mapping[str, t.Any], name: str, missing: int = 0) -> int:
    value = part.get(name, missing)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > 1 << 53:
        raise NoAnswer(UNKNOWN, f"{name} of the workload is no number")
    return int(value)


def _stuck(found: t.Any) -> str:
    """Why a Deployment's rollout does not get on (condition Progressing is false); empty when it does."""
    for condition in found if isinstance(found, list) else ():
        if isinstance(condition, dict) and condition.get("type") == "Progressing" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "no reason is given")[:300]
    return ""
