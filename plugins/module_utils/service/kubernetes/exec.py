# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A command in a pod of a workload of Kubernetes, bounded in time and in what it may print."""

from __future__ import annotations

import json
import math
import typing as t

from ...errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError, Unreachable
from ...progress import Progress
from ..output import TIMED_OUT, Kept, mask_of, told_of
from ..state import RUNNING
from .api import Api
from .state import Object, container_name, is_present, part, replica_of

STDOUT, STDERR, ENDED = 1, 2, 3
"""Channels of the protocol v4.channel.k8s.io; what comes on the last one is a Status object."""
_GRACE_S, _PROBE_S = 10.0, 20.0
_KILL_AFTER_S = 5


def chosen(pods: t.Sequence[Object], name: str, container: str) -> Object:
    """The pod that is meant: the named one, else one that runs and is well.

    Raises:
        BadInput: There is none.
    """
    replicas = [(replica_of(pod, container), pod) for pod in pods if is_present(pod)]
    fit = [(one.health, one.name, pod) for one, pod in replicas if (one.name == name if name else one.state == RUNNING)]
    if not fit:
        raise BadInput(
            f"There is no pod {name!r} of the workload" if name else "No pod runs in which the command could run",
            why="; ".join(one.sentence for one, _pod in replicas) or "it has no pod",
            next_step="name one with service_exec_replica, or none for any that is well"
            if name
            else "start it, or see why it does not run",
        )
    return min(fit, key=lambda one: one[:2])[2]


class PodCommand:
    """A command in a container of a pod.

    Args:
        api: The API server.
        pod: The pod.
        container: The container; by default the one that kubectl takes.
        argv: The command.
        timeout_s: Seconds after which it is ended.
        most: How many bytes of each stream are kept: the last.
    """

    def __init__(self, api: Api, pod: Object, container: str, argv: t.Sequence[str], timeout_s: float, most: int) -> None:
        self._api, self._pod = api, pod
        self._container = container_name(part(pod, "spec"), part(pod, "metadata", "annotations"), container)
        self._argv, self._timeout_s, self._most = list(argv), timeout_s, most
        self._mask = mask_of(_environment(pod, self._container))
        self.where = f"{argv[0]} in pod {part(pod, 'metadata', 'name')}"

    def run(self) -> t.Dict[str, t.Any]:
        """Run it to its end and return what it said.

        Raises:
            CommandFailed: It could not be started, or ended with another status than 0.
            DeadlineExceeded: It did not end in time.
            RunbookError: The API server refuses it, or the connection broke.
        """
        out, err, began = Kept(self._most), Kept(self._most), self._api.clock()
        keeper = _ended_by(math.ceil(self._timeout_s)) if self._has_timeout() else []
        # What ends it in the pod leaves time to say so.
        status = self._ended([*keeper, *self._argv], out, err, self._timeout_s + (_GRACE_S if keeper else 0))
        took = self._api.clock() - began
        told = told_of(out, err, self._mask, status, took)
        last = (told["stderr"] or told["stdout"]).strip()[-500:]
        if status is None or (took >= self._timeout_s and status in TIMED_OUT):
            raise DeadlineExceeded(
                f"The command did not end within {self._timeout_s:g} s" + (" and was ended" if keeper else ""),
                where=self.where,
                why="; ".join(filter(None, (last, "" if keeper else "the container has no program `timeout`, so it may go on there"))),
                next_step="give it more time (service_exec_timeout_s), or look at what it waits for",
                changed=True,
                facts=told,
            )
        if status != 0:
            raise CommandFailed(f"The command ended with {status}", where=self.where, why=last, changed=True, facts=told)
        return told

    def _has_timeout(self) -> bool:
        """Whether the container has what ends a command there; a connection that ends leaves it running."""
        try:
            return self._ended([*_ended_by(1), "true"], Kept(1), Kept(1), _PROBE_S) == 0
        except CommandFailed:
            return False
        except RunbookError as error:
            error.changed = False
            raise

    def _ended(self, argv: t.Sequence[str], out: Kept, err: Kept, seconds: float) -> t.Optional[int]:
        """Its exit status; None when the time was up."""
        until, progress, said = self._api.clock() + seconds, Progress(f"Running {self.where}"), b""
        for channel, data in self._api.command(self._pod, self._container, argv):
            progress.say("it runs")
            if channel == ENDED:
                said += data
            elif channel in (STDOUT, STDERR):
                (out if channel == STDOUT else err).add(data)
            if self._api.clock() >= until:
                return None
        return self._status(said)

    def _status(self, said: bytes) -> int:
        try:
            ended = json.loads(said)
        except ValueError:
            raise Unreachable(
                "The connection to the pod broke before the command had ended",
                where=self.where,
                next_step="check that the pod and its node run; the command may have gone on",
                changed=True,
            ) from None
        if part(ended, "status") == "Success":
            return 0
        codes = [one.get("message") for one in part(ended, "details", "causes") or () if one.get("reason") == "ExitCode"]
        if codes and str(codes[0]).isdecimal():
            return int(codes[0])
        why = str(part(ended, "message") or "no reason is given")[:500]
        raise CommandFailed("The command could not be run", where=self.where, why=why, next_step="see that the container has this program")


def _ended_by(seconds: int) -> t.List[str]:
    """What ends a command; the first BusyBox whose `timeout` knows `-k` is 1.35."""
    return ["timeout", "-k", str(_KILL_AFTER_S), str(seconds)]


def _environment(pod: Object, container: str) -> t.Dict[str, str]:
    """The variables of a container that its pod names with their values; those of Secrets are not read."""
    specs = (one for one in part(pod, "spec", "containers") or () if one.get("name") == container)
    return {str(one["name"]): str(one.get("value") or "") for spec in specs for one in spec.get("env") or () if one.get("name")}


def argv_of(parameters: t.Mapping[str, t.Any]) -> t.List[str]:
    """The command that the options name.

    Raises:
        BadInput: There is none, or no time for it.
    """
    argv = [str(word) for word in parameters["command"]]
    if not argv or not argv[0]:
        raise BadInput(
            "There is no command to run", next_step='give it as a list: -e {"service_exec_command": ["<program>", "<argument>"]}'
        )
    if parameters["command_timeout_s"] <= 0:
        raise BadInput("The command gets no time", next_step="correct service_exec_timeout_s")
    return argv
