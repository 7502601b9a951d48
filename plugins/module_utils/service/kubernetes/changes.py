# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Changes to a workload of Kubernetes, each with what is waited for then, and the way back when one fails."""

from __future__ import annotations

import typing as t

from ...errors import BadInput, RunbookError
from . import undo
from .api import JSON_PATCH, Api, Document, NotThere
from .manifest import is_made_so
from .plan import TEMPLATE_BACK, Call, Step
from .state import Object, is_present, is_ready, part, replicas_wanted, state_of
from .wait import Paths, RolloutStuck, Waiter


class Changes:
    """The changes of one verb to one workload.

    Args:
        api: The API server.
        paths: Where the workload is.
        waiter: Who waits for it.
        before: The workload before.
        pods: Its pods before.
        container: The container that matters.
    """

    def __init__(self, api: Api, paths: Paths, waiter: Waiter, before: Document, pods: t.Sequence[Document], container: str) -> None:
        self._api, self._paths, self._waiter = api, paths, waiter
        self._before, self._pods, self._container = before, pods, container
        self._written: t.Optional[Document] = None

    def carry_out(self, steps: t.Sequence[Step]) -> Document:
        """Do the steps and return the workload as it is then; where one fails, bring the former state back and say so.

        Raises:
            RunbookError: One failed.
        """
        done: t.List[Step] = []
        workload = self._before
        for step in steps:
            changes = self._api.changes
            try:
                workload = self._step(step)
            except RunbookError as error:
                # What was refused has changed nothing; where the answer was lost, it may have.
                if self._api.changes > changes:
                    done.append(step)
                if self._api.changed:
                    self._go_back(done, error)
                raise
            done.append(step)
        return workload

    def put_back(self, calls: t.Sequence[Call]) -> Document:
        """Put back what an earlier verb has changed, wait until all is well, and return the workload as it is then.

        Raises:
            RunbookError: It could not be put back, or is not well; the message says which.
        """
        for call in calls:
            self._call(call)
        try:
            return self._well_again()
        except RunbookError as error:
            _add(error, "the former configuration is back all the same")
            raise

    def _step(self, step: Step) -> Document:
        for call in step.calls:
            self._call(call)
        if not step.until:
            return self._before
        known = _uids(self._pods)
        if step.until == "replaced":
            names = {call.name for call in step.calls}
            deleted = _uids(pod for pod in self._pods if part(pod, "metadata", "name") in names)
            self._waiter.replaced(self._before, deleted, known)
        workload = self._api.get(self._paths.workload)
        if step.until == "gone":
            self._waiter.gone(workload)
        return self._waiter.rollout(workload, known) if step.until == "rollout" else workload

    def _call(self, call: Call) -> None:
        if call.target == "pod":
            self._delete(next(pod for pod in self._pods if part(pod, "metadata", "name") == call.name))
            return
        if call.target in ("new_autoscaler", "made_autoscaler"):
            (self._make if call.target == "new_autoscaler" else self._unmake)(call)
            return
        paths = {"workload": self._paths.workload, "scale": self._paths.scale, "autoscaler": f"{self._paths.autoscalers}/{call.name}"}
        try:
            answer = self._api.patch(paths[call.target], call.body, call.content_type, [("fieldManager", call.manager or "sre-runbooks")])
        except RunbookError:
            if call.content_type != JSON_PATCH or not self._is_settled(call.body):
                raise
            return
        if call.target == "workload":
            self._written = answer

    def _delete(self, pod: Object) -> None:
        """Delete this very pod; one that has come in its place meanwhile stays."""
        metadata = part(pod, "metadata")
        self._api.delete(f"{self._paths.pods}/{metadata['name']}", {"preconditions": {"uid": metadata["uid"]}})

    def _make(self, call: Call) -> None:
        """Make an autoscaler."""
        path = self._paths.autoscalers_in(call.body["apiVersion"], call.body["metadata"]["namespace"])
        if not self._api.create(path, call.body, [("fieldManager", "sre-runbooks")]):
            raise BadInput(
                f"There is a horizontalpodautoscaler {call.name} already",
                why="it scales something else, or others have made it meanwhile",
                next_step="look at it (kubectl get hpa), and correct service_kube_autoscaler where it is not this service's",
                changed=self._api.changed,
            )

    def _unmake(self, call: Call) -> None:
        """Delete the autoscaler that was made; one that others have put in its place stays."""
        try:
            there = self._api.get(f"{self._paths.autoscalers}/{call.name}")
        except NotThere:
            return
        if not is_made_so(there, call.body):
            raise RunbookError(f"others have changed horizontalpodautoscaler {call.name} meanwhile, and it was left")
        self._api.delete(f"{self._paths.autoscalers}/{call.name}", {"preconditions": {"uid": part(there, "metadata")["uid"]}})

    def _is_settled(self, patch: undo.Patch) -> bool:
        """Whether a patch that failed was applied all the same, by a try whose answer was lost; raises where others were faster."""
        now = self._api.get(self._paths.workload)
        if undo.is_back(patch, now):
            return True
        if undo.is_overtaken(patch, now):
            raise RunbookError("others have changed the same meanwhile, and what they made of it was left")
        return False

    def back(self, steps: t.Sequence[Step]) -> t.List[Call]:
        """The requests that bring back what there was before these steps."""
        calls = [call for step in reversed(steps) for call in step.back]
        if TEMPLATE_BACK not in calls:
            return calls
        patch = undo.back_to(self._before, self._written or self._api.get(self._paths.workload))
        template = [Call("workload", patch, JSON_PATCH)] if patch else []
        return [call for one in calls for call in (template if one == TEMPLATE_BACK else [one])]

    def _former_pods_are_there(self) -> bool:
        """Whether none of the pods from before is gone or ending."""
        return _uids(filter(is_present, self._pods)) <= _uids(filter(is_present, self._waiter.pods_of(self._before)))

    def _go_back(self, done: t.Sequence[Step], error: RunbookError) -> None:
        """Bring the state before the steps back, and tell it in `error`."""
        try:
            # Where it was not seen how far the rollout has come, pods may be about to go.
            if any(step.early for step in done) and isinstance(error, RolloutStuck) and self._former_pods_are_there():
                done = [step._replace(back=step.early) for step in done]
            for call in self.back(done):
                self._call(call)
        except RunbookError as failed:
            said = f"its former configuration could not be brought back: {_told(failed)}"
        else:
            if any(step.back for step in done):
                said = self._healthy_again(error)
            elif any(call.target == "workload" for step in done for call in step.calls):
                said = "its pods were left as they are: others would start with the same ConfigMap and Secret"
            else:
                said = "nothing of its configuration was changed, so there is nothing to put back"
        _add(error, said)
        error.facts["went_back"] = said

    def _healthy_again(self, error: RunbookError) -> str:
        """Wait until the former configuration, which is back, runs, and say how that went."""
        said = "its former configuration is back"
        try:
            now = self._well_again()
            state = state_of(now, self._waiter.pods_of(now), self._container)
        except RunbookError as failed:
            return f"{said}, but it was not seen healthy again: {_told(failed)}"
        error.changed = False
        return f"{said} ({state.conclusion[0].lower() + state.conclusion[1:]})"

    def _well_again(self) -> Document:
        now = self._released(self._api.get(self._paths.workload))
        return self._waiter.rollout(now, _uids(self._waiter.pods_of(now))) if replicas_wanted(now) else now

    def _released(self, workload: Document) -> Document:
        """The workload, after the pods of a revision that has come since and that are not ready are deleted: a StatefulSet waits for them.

        See "Forced rollback" in the documentation of StatefulSets. Pods of revisions that there were before are left as they are.
        """
        if workload.get("kind") != "StatefulSet":
            return workload
        workload = self._waiter.seen(workload)
        former = {_revision(pod) for pod in self._pods} | {part(workload, "status").get("updateRevision")}
        for pod in self._waiter.pods_of(workload):
            if is_present(pod) and not is_ready(pod) and _revision(pod) not in former:
                self._delete(pod)
        return workload


def _revision(pod: Object) -> t.Any:
    return part(pod, "metadata", "labels").get("controller-revision-hash")


def _uids(pods: t.Iterable[Object]) -> t.Set[str]:
    return {str(part(pod, "metadata", "uid")) for pod in pods}


def _add(error: RunbookError, said: str) -> None:
    error.why = "; ".join(filter(None, (error.why, said)))
    error.args = (error.message,)


def _told(error: RunbookError) -> str:
    return error.what + (f": {error.why}" if error.why else "")
