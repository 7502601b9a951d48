# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module container_exec: a command in a container, bounded in time and in what it may print."""

from __future__ import annotations

import json
import math
import subprocess
import time
import typing as t

from ...checks.redaction import Redactor
from ...command import Command, Place, end, run
from ...errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError
from ...progress import Progress
from ..output import CUT_NOTE, KEPT_BYTES, NOT_RUN, TIMED_OUT, Tail, mask_of, told_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "container": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "required": True},
    "timeout_s": {"type": "float", "default": 60},
    "output_bytes": {"type": "int", "default": KEPT_BYTES},
}
"""Described in plugins/modules/container_exec.py."""
_GRACE_S = 10.0


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Run the command of `parameters`, valid for OPTIONS, to its end.

    Raises:
        BadInput: There is no command.
        CommandFailed: It ended with another status than 0.
        DeadlineExceeded: It did not end in time; it was ended in the container, where that has the program `timeout`.
    """
    argv = [str(word) for word in parameters["argv"]]
    if not argv or not argv[0]:
        raise BadInput("There is no command to run", next_step="give it as a list of words (service_exec_command)")
    if parameters["container"].startswith("-") or parameters["timeout_s"] <= 0:
        raise BadInput("The container or the time makes no sense", where=f"{parameters['container']}, {parameters['timeout_s']:g} s")
    where = f"{argv[0]} in {parameters['container']}"
    answer: t.Dict[str, t.Any] = {"changed": True, "replica": parameters["container"], "steps": [f"Run {where}"], "notes": []}
    if check_mode:
        return {**answer, **NOT_RUN, "conclusion": "The command would run"}
    place = Place(container=parameters["container"])
    mask, began = _mask(place), time.monotonic()
    keeper = _keeper(place, parameters["timeout_s"])
    status, out, err = _run([*keeper, *argv], place, parameters)
    took = time.monotonic() - began
    told = told_of(out, err, mask, status, took)
    last = (told["stderr"] or told["stdout"]).strip()[-500:]
    if took >= parameters["timeout_s"] and status in (None, *TIMED_OUT):
        raise DeadlineExceeded(
            f"The command did not end within {parameters['timeout_s']:g} s"
            + (" and was ended" if keeper else "; it may run on there, since the container has no program `timeout` that could end it"),
            where=where,
            why=last,
            next_step="give it more time (service_exec_timeout_s), or look at what it waits for",
            changed=True,
            facts=told,
        )
    if status != 0:
        raise CommandFailed(f"The command ended with {status}", where=where, why=last, changed=True, facts=told)
    conclusion = f"The command ended with {status} after {took:.1f} s"
    return {**answer, **told, "notes": [CUT_NOTE] if told["cut"] else [], "conclusion": conclusion}


def _mask(place: Place) -> Redactor:
    """Masks the secrets of the container's environment. One that cannot be looked at cannot run a command either, and that is told then."""
    try:
        said = run(Command([place.engine, "inspect", "--format", "{{json .Config.Env}}", "--", place.container], timeout_s=20))
        variables = json.loads(said.stdout) or []
    except (RunbookError, ValueError):
        variables = []
    return mask_of(dict(one.partition("=")[::2] for one in variables))


def _run(argv: t.Sequence[str], place: Place, parameters: t.Mapping[str, t.Any]) -> t.Tuple[t.Optional[int], Tail, Tail]:
    process = Command(argv, place).start(stderr=subprocess.PIPE)
    out, err = (Tail(t.cast("t.IO[bytes]", stream), parameters["output_bytes"]) for stream in (process.stdout, process.stderr))
    progress, give_up = Progress(f"Running {parameters['argv'][0]} in {place}"), time.monotonic() + parameters["timeout_s"] + _GRACE_S
    try:
        while process.poll() is None and time.monotonic() < give_up:
            progress.say("It runs", lambda: float(out.total + err.total), None, "bytes")
            time.sleep(0.05)
        return process.poll(), out, err
    finally:
        end(process)


def _keeper(place: Place, timeout_s: float) -> t.List[str]:
    """What ends the command in the container; a client that is ended leaves it running there (moby#9098)."""
    probe = Command(["timeout", "1", "true"], place, timeout_s=20).start(stdout=subprocess.DEVNULL)
    try:
        has_timeout = probe.wait(20) == 0
    except subprocess.TimeoutExpired:
        has_timeout = False
    finally:
        end(probe)
    return ["timeout", "-k", "5", str(math.ceil(timeout_s))] if has_timeout else []
