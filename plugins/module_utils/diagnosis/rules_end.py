# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How replicas ended, what they may use, and what their health checks say."""

from __future__ import annotations

import typing as t

from .model import CAUSE, COMPOSE, KUBERNETES, LIKELY, NOTE, RUNNING, SYMPTOM, SYSTEMD, Clue, Observation, Replica, Rule, some
from .phrases import said
from .rules_systemd import STATUSES

_NEAR_LIMIT = 90.0
_LOOP = 3
"""Restarts by the runtime itself that make a loop."""
_MIB = 1 << 20
_TIMED_OUT = ("health check exceeded timeout", "context deadline exceeded")
_WHO_KILLED = {
    COMPOSE: "docker events --since 1h, journalctl --dmesg --grep oom",
    KUBERNETES: "kubectl get events, kubectl describe pod",
    SYSTEMD: "systemctl status, journalctl --dmesg --grep oom",
}
_NO_PROGRAM = ("executable file not found", "not found", "no such file or directory")


def _those(seen: Observation, meant: t.Callable[[Replica], bool]) -> t.List[Replica]:
    return [one for one in seen.unwell if meant(one)]


def _names(replicas: t.Sequence[Replica]) -> str:
    return some(one.name for one in replicas)


def _limit(replica: Replica) -> str:
    return f" (limit {replica.memory_limit // _MIB} MiB)" if replica.memory_limit >= _MIB else ""


def _last(replica: Replica) -> t.Tuple[str, ...]:
    return (f"its last line: {replica.log[-1]}",) if replica.log else ()


def _where(seen: Observation, in_image: str, on_host: str) -> str:
    """A unit's programs are those of its host; a container's come with its image."""
    return on_host if seen.runtime == SYSTEMD else in_image


def out_of_memory(seen: Observation) -> t.Iterator[Clue]:
    # A container that was started again keeps the mark of its last end only while nothing else ended it.
    found = [one for one in seen.replicas if one.out_of_memory and (not one.is_well or one.restarts)]
    if found:
        yield Clue(
            f"{_names(found)} needed more memory than it may use and was ended by the kernel{_limit(found[0])}",
            "give it more memory (procedure service_limits), or find what uses it",
            (f"exit status {found[0].exit_status}",) if found[0].exit_status is not None else (),
            "" if _those(seen, lambda one: one.out_of_memory) else LIKELY,
        )


def probably_out_of_memory(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.exit_status == 137 and not one.out_of_memory and one.memory_limit > 0)
    if found:
        yield Clue(
            f"{_names(found)} was killed (exit status 137) and may use little memory{_limit(found[0])}, which suggests that it needed more",
            f"see who did it ({_WHO_KILLED[seen.runtime]}), and give it more memory (procedure service_limits)",
        )


def memory_near_limit(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.replicas:
        if one.memory_percent is not None and one.memory_percent >= _NEAR_LIMIT and one.memory_limit:
            yield Clue(
                f"{one.name} uses {one.memory_percent:g} % of the memory that it may use{_limit(one)}",
                "give it more memory (procedure service_limits), or find what uses it",
                severity=NOTE if seen.is_well else LIKELY,
            )


def not_executable(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.exit_status == 126)
    if found:
        yield Clue(
            f"the command of {_names(found)} was found and may not be executed (exit status 126)",
            "check the rights of the program and the first line of a script; chmod 0755 "
            + _where(seen, "when the image is built", "on this host"),
            _last(found[0]),
        )


def command_not_found(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.exit_status == 127)
    if found:
        error = (found[0].error,) if found[0].error else _last(found[0])
        yield Clue(
            f"a command that {_names(found)} wants to run does not exist {_where(seen, 'in its image', 'on this host')} (exit status 127)",
            f"check the command of the service against {_where(seen, 'the image', 'what is installed')}",
            error,
        )


def killed(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.exit_status == 137 and not one.out_of_memory and not one.memory_limit)
    if found:
        yield Clue(
            f"{_names(found)} was killed (exit status 137): by a person, by a stop that took too long, or by the kernel for memory",
            f"see who did it: {_WHO_KILLED[seen.runtime]}",
        )


def crashed(seen: Observation) -> t.Iterator[Clue]:
    meaning = {132: "illegal instruction", 134: "aborted", 135: "bus error", 136: "arithmetic error", 139: "segmentation fault"}
    for status, words in meaning.items():
        found = [one for one in seen.unwell if one.exit_status == status]
        if found:
            yield Clue(
                f"{_names(found)} crashed: {words} (exit status {status})",
                "look for a core dump (coredumpctl), and go back to the version before",
                _last(found[0]),
            )


def ended_on_request(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.exit_status in (143, 130) and one.state != "restarting")
    if found:
        yield Clue(
            f"{_names(found)} was asked to end and did (exit status {found[0].exit_status})", "start it again (procedure service_start)"
        )


def ended_well(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.exit_status == 0 and one.state in ("exited", "Completed", "inactive") and one.started)
    if found:
        yield Clue(
            f"{_names(found)} ended without an error (exit status 0): it was stopped, or its command is not one that goes on running",
            "start it again (procedure service_start); if it ends at once, check its command",
            _last(found[0]),
        )


_EXPLAINED = (0, 126, 127, 130, 132, 134, 135, 136, 137, 139, 143)


def ended_with_status(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.exit_status is not None and one.exit_status not in _EXPLAINED and one.started)
    if seen.runtime == SYSTEMD:
        found = [one for one in found if one.exit_status not in STATUSES]
    if found:
        yield Clue(
            f"{_names(found)} ended by itself with exit status {found[0].exit_status}",
            "read its last lines (procedure service_logs)",
            _last(found[0]),
        )


def restart_loop(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.restarts >= _LOOP or one.state == "restarting")
    if found:
        yield Clue(
            f"{_names(found)} ends and is started again (restarts so far: {max(one.restarts for one in found)})",
            "read its last lines (procedure service_logs)",
        )


def paused(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.state == "paused")
    if found:
        yield Clue(f"{_names(found)} is paused", f"let it go on: docker unpause {found[0].name}")


def never_started(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.state == "created")
    if found:
        yield Clue(
            f"{_names(found)} was created and never started",
            "start it (procedure service_start)",
            (found[0].error,) if found[0].error else (),
        )


def refused_to_start(seen: Observation) -> t.Iterator[Clue]:
    found = (
        _those(seen, lambda one: bool(one.error) and not one.started and one.state in ("created", "exited"))
        if seen.runtime == COMPOSE
        else []
    )
    if found:
        yield Clue(f"the engine could not start {_names(found)}: {found[0].error[-300:]}", "mend what it names, and start the service")


def too_few(seen: Observation) -> t.Iterator[Clue]:
    there = len(seen.replicas)
    if seen.unanswered:
        return
    if seen.wanted == 0 and not there:
        yield Clue("no replica is wanted: the service is scaled to 0", "scale it (procedure service_scale)", severity=CAUSE)
    elif seen.wanted and there < seen.wanted:
        none = "there is no replica of it" if not there else f"there are {there} of {seen.wanted} replicas"
        yield Clue(none, "start it (procedure service_start)")


def health_failing(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.state == RUNNING and one.health == "unhealthy" and bool(one.health_says))
    if found:
        yield Clue(
            f"{_names(found)} runs and its health check fails; it says: {found[0].health_says[-1] or 'nothing'}",
            "ask the health check by hand in the replica (procedure service_exec), and read the log",
            tuple(dict.fromkeys(found[0].health_says)),
        )


def _health_says(words: t.Sequence[str]) -> t.Callable[[Observation], t.List[t.Tuple[Replica, str]]]:
    def look(seen: Observation) -> t.List[t.Tuple[Replica, str]]:
        return [(one, says) for one in seen.unwell for says in one.health_says[-1:] if any(word in says.lower() for word in words)]

    return look


def health_program_missing(seen: Observation) -> t.Iterator[Clue]:
    for one, says in _health_says(_NO_PROGRAM)(seen)[:1]:
        yield Clue(
            f"the health check of {one.name} asks a program or file that its image does not have",
            "change the health check, or add the program to the image",
            (says,),
        )


def health_timeout(seen: Observation) -> t.Iterator[Clue]:
    for one, says in _health_says(_TIMED_OUT)(seen)[:1]:
        yield Clue(
            f"the health check of {one.name} does not end within its time limit",
            "see what the service waits for (processor, a server, a lock); allow the check more time only if its answer is right",
            (says,),
        )


def health_undecided(seen: Observation) -> t.Iterator[Clue]:
    found = _those(seen, lambda one: one.state == RUNNING and one.health == "starting")
    if found:
        yield Clue(f"{_names(found)} runs, and its health check has not decided yet", "wait (procedure service_status), then look again")


RULES = (
    Rule("out_of_memory", CAUSE, "The kernel ended a replica that needed more memory than its limit (OOMKilled)", out_of_memory),
    Rule("probably_out_of_memory", LIKELY, "A replica with a memory limit was killed (137)", probably_out_of_memory),
    Rule("memory_near_limit", LIKELY, "A replica uses nearly all the memory that it may use", memory_near_limit),
    said(
        "limits_refused",
        CAUSE,
        "The engine refuses the limits",
        r"(minimum memory ?(?:swap)? ?limit [^;]{0,100}|memory\s?swap limit should be larger[^;]{0,80}"
        r"|range of CPUs is from [^;]{0,100}|cannot allocate memory)",
        "the engine refuses the limits: {0}",
        "set limits that it takes (procedure service_limits)",
        sources=("engine", "failure"),
    ),
    Rule("command_not_found", CAUSE, "The command does not exist (exit status 127)", command_not_found),
    Rule("not_executable", CAUSE, "The command may not be executed (exit status 126)", not_executable),
    said(
        "command_refused",
        CAUSE,
        "The engine could not start the command",
        r'exec: "?([^":]+)"?: (?:executable file not found|stat [^:]+: no such file|permission denied|no such file)',
        "the command {0} does not exist in the image, or may not be executed",
        "check the command and the entry point of the service against the image",
        unless=lambda seen: any(one.exit_status in (126, 127) for one in seen.unwell),
    ),
    Rule("paused", CAUSE, "A replica is paused", paused),
    Rule("health_program_missing", CAUSE, "The health check asks a program that is not there", health_program_missing),
    Rule("crashed", LIKELY, "A replica crashed (132, 134, 135, 136, 139)", crashed),
    Rule("health_failing", LIKELY, "A replica runs and its health check fails, with its last outputs", health_failing),
    Rule("health_timeout", LIKELY, "The health check does not end in time", health_timeout),
    Rule("refused_to_start", LIKELY, "The engine could not start a replica, for a reason that no other rule knows", refused_to_start),
    Rule("killed", SYMPTOM, "A replica was killed (137)", killed),
    Rule("ended_with_status", SYMPTOM, "A replica ended by itself with an error", ended_with_status),
    Rule("ended_on_request", SYMPTOM, "A replica was asked to end (143, 130)", ended_on_request),
    Rule("ended_well", SYMPTOM, "A replica ended without an error (0)", ended_well),
    Rule("restart_loop", SYMPTOM, "A replica is started again and again", restart_loop),
    Rule("never_started", SYMPTOM, "A container was created and never started", never_started),
    Rule("too_few", SYMPTOM, "There are fewer replicas than wanted, or none is wanted", too_few),
    Rule("health_undecided", SYMPTOM, "A health check has not decided yet", health_undecided),
)
