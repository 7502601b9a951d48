# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The verbs of a service on Kubernetes: look, decide, change, wait, and go back when it does not become healthy."""

from __future__ import annotations

import datetime
import json
import re
import typing as t

from ...errors import BadInput
from ...progress import Progress
from ..asked import replicas_asked
from ..output import CUT_NOTE, NOT_RUN
from ..state import State
from . import autoscaler as autoscalers
from . import plan as plans
from .api import METADATA_ONLY, Api, Document
from .changes import Changes
from .client import connect
from .configuration import applied, has_come_since, taken_back
from .exec import PodCommand, argv_of, chosen
from .plan import Call, Plan, Step
from .scale import scaled
from .state import KINDS, is_ending, part, replicas_wanted, rollout_of, state_of
from .wait import Paths, Waiter

_WORK = {
    "status": "Looking at {}",
    "back": "Putting {} back",
    "wait": "Waiting for {}",
    "exec": "Running a command in {}",
    "start": "Starting {}",
    "stop": "Stopping {}",
    "restart": "Restarting {}",
    "scale": "Scaling {}",
    "limits": "Setting the limits of {}",
    "apply": "Applying the configuration of {}",
}
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NAMED = {
    "workload_name": "service_kube_workload",
    "namespace": "service_kube_namespace",
    "config_map": "service_kube_config_map",
    "secret": "service_kube_secret",
    "autoscaler": "service_kube_autoscaler",
}
"""Options that become parts of paths of the API, and the variables in which a profile has them."""
_CORRECT = "service_kube_workload, service_kube_namespace or service_kube_context"


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
    for option, variable in _NAMED.items():
        if parameters[option] and not _NAME.fullmatch(parameters[option]):
            raise BadInput(f"{parameters[option]!r} is no name of Kubernetes", next_step=f"correct {variable}")
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
        workload = self._api.get(self._paths.workload, correct=_CORRECT)
        workload.setdefault("kind", KINDS[str(self._parameters["workload_kind"]).lower()])
        pods = self._waiter.pods_of(workload)
        before = self._state(workload, pods)
        if self._verb == "exec":
            return self._exec(before, pods, check_mode)
        plan = self._plan(workload, pods)
        self._notes += plan.notes
        if check_mode:
            return self._result(before, self._predicted(before, plan), plan, ())
        changes = Changes(self._api, self._paths, self._waiter, workload, pods, self._parameters["container"])
        if self._verb == "back":
            workload = changes.put_back([call for step in plan.steps for call in step.calls])
        elif plan.steps:
            workload = changes.carry_out(plan.steps)
        elif self._waits(plan) and not self._is_up(workload, before):
            workload = self._waiter.rollout(workload, set())
        after = before if not plan.steps and self._verb == "status" else self._state(workload, self._waiter.pods_of(workload))
        return self._result(before, after, plan, changes.back(plan.steps) if self._parameters["keep_back"] else ())

    def _exec(self, before: State, pods: t.Sequence[Document], check_mode: bool) -> t.Dict[str, t.Any]:
        """Run the command in a pod; it is taken for a change, as nobody knows what it does."""
        parameters, argv = self._parameters, argv_of(self._parameters)
        pod = chosen(pods, parameters["command_replica"], parameters["container"])
        command = PodCommand(self._api, pod, parameters["container"], argv, parameters["command_timeout_s"], parameters["output_bytes"])
        said = NOT_RUN if check_mode else command.run()
        self._notes += [CUT_NOTE] * said["cut"]
        conclusion = "The command would run" if check_mode else f"The command ended with {said['exit_status']}"
        return {**self._result(before, before, Plan((Step(command.where, ()),)), ()), **said, "conclusion": conclusion}

    def _waits(self, plan: Plan) -> bool:
        """Whether it waits even where all is set as wanted: an earlier run may have been ended before it had seen that all is well."""
        return self._verb in ("wait", "start", "apply", "limits") or (self._verb == "scale" and plan.wanted is not None)

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
            wanted = autoscalers.Limits(parameters["scale_minimum"], parameters["scale_maximum"])
            found = self._autoscaler(workload, number is not None or any(wanted), any(wanted))
            return scaled(workload, number, wanted, found.autoscaler, found.file)
        if self._verb == "apply":
            return self._applied(workload, pods)
        if self._verb == "back":
            calls = tuple(Call(**{name: one.get(name, "") for name in Call._fields}) for one in parameters["back"])
            return Plan((Step("Put back what was there before", calls),) if calls else ())
        return Plan()

    def _applied(self, workload: Document, pods: t.Sequence[Document]) -> Plan:
        former, is_new = self._parameters["former_annotations"], bool(self._parameters["configuration_is_new"])
        if former is not None:
            is_new = has_come_since(pods, former, self._parameters["former_replicas"], self._parameters["container"])
            if not is_new:
                return taken_back(workload, pods, former)
        config_map = self._named("config_map", self._paths.config_maps, "application/json")
        secret = self._named("secret", self._paths.secrets, METADATA_ONLY)
        return applied(workload, pods, config_map, secret, self._now(workload), is_new)

    @staticmethod
    def _now(workload: Document) -> str:
        """The moment for the annotation, UTC; one second on where the annotation has it already, or nothing would be restarted."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        if part(workload, "spec", "template", "metadata", "annotations").get(plans.RESTARTED_AT) == text:
            text = (now + datetime.timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return text

    def _named(self, option: str, folder: str, accept: str = "application/json") -> t.Optional[Document]:
        name = self._parameters[option]
        return self._api.get(f"{folder}/{name}", accept=accept, correct=_NAMED[option]) if name else None

    def _autoscaler(self, workload: Document, wants: bool, wants_limits: bool) -> autoscalers.Found:
        """The autoscaler of the workload; where nothing is wanted of it, what it does is noted."""
        name, file = self._parameters["autoscaler"], self._parameters["autoscaler_file"]
        found = autoscalers.look(self._api, self._paths, workload, name, file, wants, wants_limits)
        self._notes += found.notes
        if found.autoscaler is not None and not wants:
            self._notes.append(autoscalers.shown(found.autoscaler))
        return found

    def _predicted(self, before: State, plan: Plan) -> State:
        return before if plan.wanted is None or not plan.steps else State(wanted=plan.wanted, replicas=before.replicas)

    def _result(self, before: State, after: State, plan: Plan, back: t.Sequence[Call]) -> t.Dict[str, t.Any]:
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
            **({"back": [call._asdict() for call in back]} if self._parameters["keep_back"] else {}),
        }
