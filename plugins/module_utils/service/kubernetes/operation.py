# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The verbs of a service on Kubernetes: look, decide, change, wait, and go back when it does not become healthy."""

from __future__ import annotations

import datetime
import json
import typing as t

from ...errors import BadInput, RunbookError
from ...progress import Progress
from ..asked import replicas_asked
from ..state import State
from . import plan as plans
from . import scale as scales
from .api import METADATA_ONLY, Api, Document
from .client import connect
from .configuration import applied
from .plan import Call, Plan, Step
from .state import KINDS, Object, is_ending, part, replicas_wanted, rollout_of, state_of
from .wait import Paths, Waiter

_WORK = {
    "status": "Looking at {}",
    "back": "Putting {} back",
    "wait": "Waiting for {}",
    "start": "Starting {}",
    "stop": "Stopping {}",
    "restart": "Restarting {}",
    "scale": "Scaling {}",
    "limits": "Setting the limits of {}",
    "apply": "Applying the configuration of {}",
}


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool, api: t.Optional[Api] = None) -> t.Dict[str, t.Any]:
    """Do what the module's parameters say and return its result.

    Args:
        parameters: As `options.OPTIONS` describes them.
        check_mode: Whether only to say what would be done.
        api: The API server; by default the one of the kubeconfig.

    Raises:
        RunbookError: It cannot be done, or failed; then all is as before where there was a way back, and the message says so.
    """
    kind = str(parameters["workload_kind"]).lower()
    if kind not in KINDS or not parameters["workload_name"]:
        raise BadInput(
            f"There is no kind of workload {parameters['workload_kind']!r}" if kind not in KINDS else "The workload has no name",
            next_step="set service_kube_workload, such as {kind: deployment, name: app}",
        )
    if api is None:
        api = Api(connect(parameters["kube_config"], parameters["kube_context"]), json.loads)
    return _Verb(parameters, api, Paths(parameters["namespace"], kind, parameters["workload_name"])).run(check_mode)


class _Verb:
    """One verb on one workload."""

    def __init__(self, parameters: t.Mapping[str, t.Any], api: Api, paths: Paths) -> None:
        self._parameters, self._api, self._paths = parameters, api, paths
        self._verb = str(parameters["operation"])
        progress = Progress(_WORK[self._verb].format(parameters["workload_name"]))
        self._waiter = Waiter(api, paths, float(parameters["health_timeout_s"]), progress)
        self._notes: t.List[str] = []

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Do it."""
        workload = self._api.get(self._paths.workload)
        workload.setdefault("kind", KINDS[str(self._parameters["workload_kind"]).lower()])
        pods = self._waiter.pods_of(workload)
        before = self._state(workload, pods)
        plan = self._plan(workload, pods)
        self._notes += plan.notes
        if check_mode:
            return self._result(before, self._predicted(before, plan), plan)
        known = {str(part(pod, "metadata", "uid")) for pod in pods}
        if plan.steps:
            workload = self._carry_out(workload, plan, known, pods)
        elif self._verb in ("wait", "start", "apply") and not self._is_up(workload, before):
            workload = self._waiter.rollout(workload, set())
        after = before if not plan.steps and self._verb == "status" else self._state(workload, self._waiter.pods_of(workload))
        return self._result(before, after, plan)

    @staticmethod
    def _is_up(workload: Document, state: State) -> bool:
        """Whether there is nothing to wait for: all is well, or nothing is wanted."""
        if workload["kind"] != "DaemonSet" and replicas_wanted(workload) == 0:
            return True
        return state.is_well and rollout_of(workload).finished

    def _state(self, workload: Document, pods: t.Sequence[Document]) -> State:
        state = state_of(workload, pods, self._parameters["container"])
        ending = sum(map(is_ending, pods))
        note = f"{ending} {'pod is' if ending == 1 else 'pods are'} ending."
        self._notes = [one for one in self._notes if not one.endswith(("pod is ending.", "pods are ending."))] + [note] * bool(ending)
        return state

    def _plan(self, workload: Document, pods: t.Sequence[Document]) -> Plan:
        parameters = self._parameters
        if self._verb == "restart":
            return plans.restarted(workload, parameters["restart_way"], pods, parameters["restart_replica"], self._now(workload))
        if self._verb == "stop":
            return plans.stopped(workload)
        if self._verb == "start":
            return plans.started(workload, parameters["replicas_named"].get("normal"))
        if self._verb == "limits":
            return plans.limited(workload, parameters["container"], parameters["limits"])
        if self._verb == "scale":
            number = replicas_asked(parameters["scale_to"], parameters["replicas_named"])
            wanted = scales.Limits(parameters["scale_minimum"], parameters["scale_maximum"])
            asked = number is not None or wanted != scales.Limits()
            return scales.scaled(workload, number, wanted, self._autoscaler(workload) if asked else None)
        if self._verb == "apply":
            config_map = self._named(self._paths.config_maps, parameters["config_map"], "application/json")
            secret = self._named(self._paths.secrets, parameters["secret"], METADATA_ONLY)
            return applied(workload, pods, config_map, secret, self._now(workload))
        if self._verb == "back":
            calls = tuple(Call(**{name: one.get(name, "") for name in Call._fields}) for one in parameters["back"])
            return Plan((Step("Put back what was there before", calls, (), "rollout"),) if calls else ())
        return Plan()

    @staticmethod
    def _now(workload: Document) -> str:
        """The moment for the annotation, UTC; one second on where the annotation has it already, or nothing would be restarted."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        if part(workload, "spec", "template", "metadata", "annotations").get(plans.RESTARTED_AT) == text:
            text = (now + datetime.timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return text

    def _named(self, folder: str, name: str, accept: str) -> t.Optional[Document]:
        return self._api.get(f"{folder}/{name}", accept=accept) if name else None

    def _autoscaler(self, workload: Document) -> t.Optional[Object]:
        """The autoscaler of the workload; where the account may not look, that is noted."""
        if self._parameters["autoscaler"]:
            found = self._api.get(f"{self._paths.autoscalers}/{self._parameters['autoscaler']}")
            return {"kind": "HorizontalPodAutoscaler", **found}
        try:
            there = self._api.items(self._paths.autoscalers)[0]
        except RunbookError as error:
            if "(403)" not in error.what and "(404)" not in error.what:
                raise
            self._notes.append("Whether a HorizontalPodAutoscaler scales it could not be seen; one would undo the change.")
            return None
        return scales.autoscaler_of(workload, ({"kind": "HorizontalPodAutoscaler", **one} for one in there))

    def _carry_out(self, workload: Document, plan: Plan, known: t.AbstractSet[str], pods: t.Sequence[Document]) -> Document:
        """Do the steps; where one fails, bring the former state back and say so."""
        done: t.List[Step] = []
        for step in plan.steps:
            before = self._api.changes
            try:
                workload = self._step(workload, step, known, pods)
            except RunbookError as error:
                # What was refused has changed nothing; where no answer came, nobody knows.
                if self._api.changes > before or "does not answer" in error.what:
                    done.append(step)
                if self._api.changed:
                    self._go_back(workload, done, error)
                raise
            done.append(step)
        return workload

    def _step(self, workload: Document, step: Step, known: t.AbstractSet[str], pods: t.Sequence[Document]) -> Document:
        for call in step.calls:
            self._call(call, pods)
        if not step.until:
            return workload
        if step.until == "replaced":
            names = {call.name for call in step.calls}
            deleted = {str(part(pod, "metadata", "uid")) for pod in pods if part(pod, "metadata", "name") in names}
            self._waiter.replaced(workload, deleted)
            return self._api.get(self._paths.workload)
        workload = self._api.get(self._paths.workload)
        if step.until == "gone":
            self._waiter.gone(workload)
            return workload
        return self._waiter.rollout(workload, known)

    def _call(self, call: Call, pods: t.Sequence[Document] = ()) -> None:
        if call.target == "pod":
            uid = next((part(pod, "metadata", "uid") for pod in pods if part(pod, "metadata", "name") == call.name), None)
            self._api.delete(f"{self._paths.pods}/{call.name}", {"preconditions": {"uid": uid}} if uid else None)
            return
        paths = {"workload": self._paths.workload, "scale": self._paths.scale, "autoscaler": f"{self._paths.autoscalers}/{call.name}"}
        self._api.patch(paths[call.target], call.body, call.content_type, [("fieldManager", call.manager or "sre-runbooks")])

    def _go_back(self, workload: Document, done: t.Sequence[Step], error: RunbookError) -> None:
        """Bring the state before the steps back, and tell it in `error`."""
        calls = [call for step in reversed(done) for call in step.back]
        if not calls:
            self._add(error, "nothing of its configuration was changed, so there is nothing to put back")
            return
        try:
            for call in calls:
                self._call(call)
            said = "its former configuration is back"
            now = self._api.get(self._paths.workload)
            if replicas_wanted(now):
                now = self._waiter.rollout(now, set())
            state = state_of(now, self._waiter.pods_of(now), self._parameters["container"])
            said += f" ({state.conclusion[0].lower() + state.conclusion[1:]})"
            error.changed = False
        except RunbookError as failed:
            said = f"its former configuration could not be brought back: {failed.what}" + (f": {failed.why}" if failed.why else "")
        self._add(error, said)
        error.facts["went_back"] = said

    @staticmethod
    def _add(error: RunbookError, said: str) -> None:
        error.why = "; ".join(filter(None, (error.why, said)))
        error.args = (error.message,)

    def _predicted(self, before: State, plan: Plan) -> State:
        return before if plan.wanted is None or not plan.steps else State(wanted=plan.wanted, replicas=before.replicas)

    def _result(self, before: State, after: State, plan: Plan) -> t.Dict[str, t.Any]:
        return {
            "changed": bool(plan.steps),
            "verb": self._verb,
            "runtime": "kubernetes",
            "service": self._parameters["service"] or self._parameters["workload_name"],
            "before": before.as_dict(),
            "after": after.as_dict(),
            "steps": [f"{step.said}." for step in plan.steps],
            "conclusion": f"{after.conclusion}.",
            "notes": list(self._notes),
            "requests": self._api.requests,
            **({"back": [call._asdict() for step in reversed(plan.steps) for call in step.back]} if self._parameters["keep_back"] else {}),
        }
