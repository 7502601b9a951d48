# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Waits for what a change to a workload of Kubernetes brings: by watches, which cost a request every few seconds and tell at once."""

from __future__ import annotations

import typing as t

from ...checks.redaction import Redactor
from ...errors import DeadlineExceeded, RunbookError
from ...progress import Progress
from .api import Api, Document, WatchEnded
from .patience import Patience, grace_s, progress_of
from .state import (
    Object,
    Trouble,
    is_ending,
    is_observed,
    is_present,
    is_ready,
    name_of,
    part,
    replica_of,
    replicas_wanted,
    rollout_of,
    selector_of,
    trouble_of,
)

_WINDOWS_S = (1.0, 2.0, 4.0, 5.0)
"""Seconds of the watches, one after the other; between them the pods are looked at. The last goes on."""
_POLL_S = 2.0
_LOG_LINES = 5


class RolloutStuck(RunbookError):
    """A rollout does not get on, or takes too long."""


class Paths:
    """Where the API has a workload and what belongs to it."""

    def __init__(self, namespace: str, kind: str, name: str) -> None:
        apps = f"/apis/apps/v1/namespaces/{namespace}"
        core = f"/api/v1/namespaces/{namespace}"
        self.workloads = f"{apps}/{kind}s"
        self.workload = f"{self.workloads}/{name}"
        self.scale = f"{self.workload}/scale"
        self.replica_sets = f"{apps}/replicasets"
        self.pods, self.events = f"{core}/pods", f"{core}/events"
        self.config_maps, self.secrets = f"{core}/configmaps", f"{core}/secrets"
        # Limits of autoscalers are in v1 as in v2, and v1 is in every version of Kubernetes.
        self.autoscalers = f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"


class Waiter:
    """Waits at one workload.

    Args:
        api: The API server.
        paths: Where the workload is.
        timeout_s: Seconds within which there must be progress.
        progress: Who is told.
    """

    def __init__(self, api: Api, paths: Paths, timeout_s: float, progress: Progress) -> None:
        self._api, self._paths, self._timeout_s, self._progress = api, paths, timeout_s, progress
        self._can_watch = True

    def pods_of(self, workload: Object) -> t.List[Document]:
        """The pods that its selector finds."""
        return self._api.items(self._paths.pods, selector_of(workload))[0]

    def rollout(self, workload: Document, known: t.AbstractSet[str]) -> Document:
        """Wait until its rollout has ended and return it as it is then.

        Args:
            workload: As the change left it.
            known: UIDs of the pods that there were before: what is wrong with them is not the new version's fault.

        Raises:
            RolloutStuck: It does not get on; says why, by the pod in question.
            RunbookError: The API server cannot be asked any more.
        """
        patience, window = Patience(self._api.clock, self._timeout_s), 0
        while True:
            judged = rollout_of(workload)
            if judged.finished:
                return workload
            self._progress.say(judged.said)
            if judged.stuck:
                raise self._stuck(workload, known, judged.stuck)
            if window:
                self._see_to(self.pods_of(workload), workload, known)
            left = patience.left_s(progress_of(workload))
            if left <= 0 and not (any(map(is_ending, self.pods_of(workload))) and patience.longer(grace_s(workload))):
                raise self._stuck(workload, known, f"after {self._timeout_s:.0f} s without progress {judged.said}")
            workload = self._next(workload, _window_s(window, left), _is_decided)
            window += 1

    def seen(self, workload: Document) -> Document:
        """Wait until its controller has seen the newest change and return it as it is then; raises as `rollout` does."""
        until = self._api.clock() + self._timeout_s
        while not is_observed(workload) and self._api.clock() < until:
            workload = self._next(workload, _window_s(0, until - self._api.clock()), is_observed)
        return workload

    def _next(self, workload: Document, seconds: float, enough: t.Callable[[Object], bool]) -> Document:
        """The workload after so many seconds, or as soon as it is `enough`."""
        query = [("fieldSelector", f"metadata.name={part(workload, 'metadata', 'name')}")]
        version = part(workload, "metadata", "resourceVersion")
        if self._can_watch:
            query += [("resourceVersion", str(version))] if version else []
            try:
                for kind, seen in self._api.watch(self._paths.workloads, query, seconds):
                    if kind in ("ADDED", "MODIFIED"):
                        workload = seen
                        self._progress.say(rollout_of(workload).said)
                        if enough(workload):
                            return workload
                    elif kind == "DELETED":
                        return self._api.get(self._paths.workload)  # another of its name may have come
                return workload
            except WatchEnded:
                self._can_watch = False
        self._api.pause(min(seconds, _POLL_S))
        return self._api.get(self._paths.workload)

    def _see_to(self, pods: t.Iterable[Object], workload: Object, known: t.AbstractSet[str]) -> None:
        """Raise RolloutStuck when a new pod cannot become ready."""
        for pod in pods:
            if _is_new(pod, known) and trouble_of(pod).hopeless:
                raise self._stuck(workload, known, "", pod)

    def gone(self, workload: Object) -> None:
        """Wait until none of its pods is left, those included that are ending.

        Raises:
            DeadlineExceeded: Some do not end.
            RunbookError: The API server cannot be asked any more.
        """
        left = self._pods_until(workload, lambda pods: not pods, lambda pods: -len(pods), "{} pods are still ending")
        if left:
            names = ", ".join(str(part(pod, "metadata", "name")) for pod in left[:5])
            raise DeadlineExceeded(
                f"{len(left)} pods of {name_of(workload)} do not end",
                why=f"{names} are still there, and none has ended for {self._timeout_s + grace_s(workload):.0f} s",
                next_step="see whether their nodes are reachable: kubectl describe pod",
                changed=True,
            )

    def replaced(self, workload: Object, deleted: t.AbstractSet[str], known: t.AbstractSet[str]) -> None:
        """Wait until the deleted pods have successors that are ready.

        Args:
            workload: Whose pods they are.
            deleted: Their UIDs.
            known: UIDs of all pods that there were before, as of `rollout`; raises as that does.
        """
        wanted = replicas_wanted(workload)

        def there(pods: t.Sequence[Object]) -> t.List[Object]:
            return [pod for pod in pods if is_present(pod) and part(pod, "metadata", "uid") not in deleted]

        def done(pods: t.Sequence[Object]) -> bool:
            return len(there(pods)) >= wanted and all(map(is_ready, there(pods)))

        left = self._pods_until(workload, done, lambda pods: sum(map(is_ready, there(pods))), "{} pods, not all of them ready", known)
        if left is not None:
            waited_s = self._timeout_s + grace_s(workload)
            raise self._stuck(workload, known, f"not all pods are ready, and none has become so for {waited_s:.0f} s")

    def _pods_until(
        self,
        workload: Object,
        done: t.Callable[[t.Sequence[Object]], bool],
        progress: t.Callable[[t.Sequence[Object]], int],
        words: str,
        known: t.Optional[t.AbstractSet[str]] = None,
    ) -> t.Optional[t.List[Document]]:
        """Wait until `done` says so of the pods; None then, else those that are there when nothing has got on for too long.

        With `known`, the UIDs of the pods that there were before, the wait ends as soon as another one cannot become ready.
        """
        patience, window, selector = Patience(self._api.clock, self._timeout_s + grace_s(workload)), 0, selector_of(workload)
        while True:
            pods, version = self._api.items(self._paths.pods, selector)
            if done(pods):
                return None
            self._progress.say(words.format(len(pods)))
            if window and known is not None:
                self._see_to(pods, workload, known)
            left = patience.left_s((progress(pods),))
            if left <= 0:
                return pods
            self._pods_change(pods, done, version, selector, _window_s(window, left))
            window += 1

    def _pods_change(
        self, pods: t.Sequence[Document], done: t.Callable[[t.Sequence[Object]], bool], version: str, selector: str, seconds: float
    ) -> None:
        there = {part(pod, "metadata", "uid"): pod for pod in pods}
        if self._can_watch:
            try:
                for kind, pod in self._api.watch(self._paths.pods, [("labelSelector", selector), ("resourceVersion", version)], seconds):
                    there[part(pod, "metadata", "uid")] = pod
                    if kind == "DELETED":
                        del there[part(pod, "metadata", "uid")]
                    if done(list(there.values())):
                        return
                return
            except WatchEnded:
                self._can_watch = False
        self._api.pause(min(seconds, _POLL_S))

    def _stuck(self, workload: Object, known: t.AbstractSet[str], why: str, pod: t.Optional[Object] = None) -> RolloutStuck:
        try:
            pods = [pod] if pod else [one for one in self.pods_of(workload) if _is_new(one, known) and not is_ready(one)]
            told, next_step = self._of_pods(pods)
        except RunbookError as error:
            told, next_step = f"the pods could not be looked at: {error.what}", ""
        return RolloutStuck(
            f"{name_of(workload)} does not become healthy",
            why="; ".join(filter(None, (told, why))),
            next_step=next_step or "look at its pods and events: playbook service_diagnose",
            changed=self._api.changed,
        )

    def _of_pods(self, pods: t.Sequence[Object]) -> t.Tuple[str, str]:
        """What is wrong with the worst of these pods, with its last words, and what to do about it."""
        if not pods:
            return "", ""
        pod = max(pods, key=lambda one: (trouble_of(one).hopeless, bool(trouble_of(one).said)))
        trouble, name = trouble_of(pod), part(pod, "metadata", "name")
        said = trouble.said or replica_of(pod).sentence.split(" ", 1)[-1]
        words = self.last_words(pod, trouble)
        return f"pod {name}: {said}" + (f"; its last words: {words}" if words else ""), _next_step(trouble)

    def last_words(self, pod: Object, trouble: Trouble, lines: int = _LOG_LINES) -> str:
        """The last lines of a container's log, in one; empty when it has none."""
        if "Image" in trouble.said.split(":")[0] or (part(pod, "status", "phase") == "Pending" and not trouble.crashed):
            return ""
        query = [("tailLines", str(lines))] + ([("container", trouble.container)] if trouble.container else [])
        try:
            text = self._api.text(
                f"{self._paths.pods}/{part(pod, 'metadata', 'name')}/log", query + [("previous", "true")] * trouble.crashed
            )
        except RunbookError:
            return ""
        redactor = Redactor()
        return " | ".join(redactor.text(line.strip()) for line in text.splitlines() if line.strip())


def _next_step(trouble: Trouble) -> str:
    reason = trouble.said.split(":")[0].split(";")[0]
    if "Image" in reason:
        return "see that the image is in the registry under this very name and that the cluster may pull it, then try again"
    if reason == "CrashLoopBackOff":
        return "mend what its last words complain about, then try again"
    if reason.startswith("CreateContainer"):
        return "see that the ConfigMaps and Secrets that the pod names are there, with the keys that it asks for"
    if reason == "Unschedulable":
        return "make room on the nodes, or ask for less memory and processors (service_limits)"
    return ""


def _is_decided(workload: Object) -> bool:
    judged = rollout_of(workload)
    return judged.finished or bool(judged.stuck)


def _window_s(number: int, left_s: float) -> float:
    return min(_WINDOWS_S[min(number, len(_WINDOWS_S) - 1)], max(left_s, 0.2))


def _is_new(pod: Object, known: t.AbstractSet[str]) -> bool:
    return is_present(pod) and part(pod, "metadata", "uid") not in known
