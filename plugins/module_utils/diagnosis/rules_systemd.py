# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Units: loaded, allowed to start, and what systemd's own exit statuses mean (systemd.exec(5), "Process exit codes")."""

from __future__ import annotations

import re
import typing as t

from .model import CAUSE, LIKELY, NOTE, SYMPTOM, SYSTEMD, Clue, Observation, Rule
from .phrases import said
from .rules_host import mounts
from .unit_facts import programs

_UNMET = re.compile(
    r"(?:unmet condition check|condition(?: check)? (?:resulted in|failed)|assertion failed)[^(]{0,80}(?:\((\S[^)]{0,200})\))?",
    re.IGNORECASE,
)
_Unit = t.Mapping[str, str]
STATUSES = {
    200: ("CHDIR", "its working folder does not exist or may not be entered", "check WorkingDirectory and User"),
    201: ("NICE", "its priority could not be set", "check Nice"),
    202: ("FDS", "its open files could not be passed on", "check the sockets of the unit"),
    203: (
        "EXEC",
        "its program does not exist, may not be executed, or is for another architecture",
        "check ExecStart, the rights of the file and the first line of a script",
    ),
    204: ("MEMORY", "there was no memory to start it", "free memory on this host"),
    205: ("LIMITS", "its resource limits could not be set", "check the Limit... settings"),
    206: ("OOM_ADJUST", "its OOMScoreAdjust could not be set", "check OOMScoreAdjust"),
    208: ("STDIN", "its standard input could not be opened", "check StandardInput"),
    209: ("STDOUT", "its standard output could not be opened", "check StandardOutput and the folder of its file"),
    210: ("CHROOT", "its root folder could not be entered", "check RootDirectory"),
    214: ("SETSCHEDULER", "its scheduling could not be set", "check the CPUScheduling... settings"),
    215: ("CPUAFFINITY", "its processors could not be set", "check CPUAffinity"),
    216: ("GROUP", "its group does not exist or could not be taken", "create the group, or check Group and SupplementaryGroups"),
    217: ("USER", "its account does not exist or could not be taken", "create the account, or check User"),
    218: ("CAPABILITIES", "its capabilities could not be set", "check CapabilityBoundingSet and AmbientCapabilities"),
    219: ("CGROUP", "its control group could not be set up", "check the limits, and whether the host delegates control groups"),
    222: ("STDERR", "its standard error could not be opened", "check StandardError and the folder of its file"),
    224: ("PAM", "its PAM session could not be set up", "check PAMName"),
    225: ("NETWORK", "its network could not be set up", "check PrivateNetwork"),
    226: (
        "NAMESPACE",
        "its file system view could not be set up: a path of its sandbox does not exist",
        "check ReadWritePaths, BindPaths, PrivateTmp and their like",
    ),
    227: ("NO_NEW_PRIVILEGES", "NoNewPrivileges could not be set", "check NoNewPrivileges"),
    228: ("SECCOMP", "its system call filter could not be set", "check SystemCallFilter"),
    231: ("APPARMOR_PROFILE", "its AppArmor profile could not be taken", "load the profile, or check AppArmorProfile"),
    233: ("RUNTIME_DIRECTORY", "its runtime folder could not be made", "check RuntimeDirectory"),
    235: ("CHOWN", "the owner of its socket could not be set", "check SocketUser and SocketGroup"),
    238: ("STATE_DIRECTORY", "its state folder could not be made", "check StateDirectory, and the rights of /var/lib"),
    239: ("CACHE_DIRECTORY", "its cache folder could not be made", "check CacheDirectory"),
    240: ("LOGS_DIRECTORY", "its log folder could not be made", "check LogsDirectory"),
    241: ("CONFIGURATION_DIRECTORY", "its configuration folder could not be made", "check ConfigurationDirectory"),
    243: ("CREDENTIALS", "its credentials could not be set up", "check LoadCredential and the files that it names"),
}


def _units(seen: Observation, meant: t.Callable[[_Unit], bool]) -> t.Iterator[t.Tuple[str, _Unit]]:
    return ((name, unit) for name, unit in seen.properties.items() if meant(unit))


def unit_missing(seen: Observation) -> t.Iterator[Clue]:
    for name, _unit in _units(seen, lambda unit: unit.get("LoadState") == "not-found"):
        yield Clue(
            f"there is no unit {name}", "check the name (service_systemd_unit), install the unit, and reload: systemctl daemon-reload"
        )
    if seen.runtime == SYSTEMD and not seen.properties and not seen.messages:
        yield Clue(f"systemd knows no instance of {seen.service}", "name the instances (service_systemd_instances)")


def unit_masked(seen: Observation) -> t.Iterator[Clue]:
    for name, _unit in _units(seen, lambda unit: unit.get("LoadState") == "masked"):
        yield Clue(f"the unit {name} is masked, so nothing may start it", f"find out who masked it and why, then: systemctl unmask {name}")


def unit_invalid(seen: Observation) -> t.Iterator[Clue]:
    for name, unit in _units(seen, lambda unit: unit.get("LoadState") in ("bad-setting", "error")):
        said_by = [one.text for one in seen.messages if one.source == "verify"] or [unit.get("LoadError", "").partition(" ")[2].strip('"')]
        yield Clue(
            f"the unit file {unit.get('FragmentPath') or name} is not valid",
            f"see systemd-analyze verify {name}, mend it, and reload: systemctl daemon-reload",
            tuple(one for one in said_by if one),
        )


def needs_reload(seen: Observation) -> t.Iterator[Clue]:
    for name, _unit in _units(seen, lambda unit: unit.get("NeedDaemonReload") == "yes"):
        yield Clue(
            f"the files of the unit {name} were changed, and systemd still has the old ones",
            f"let it read them: systemctl daemon-reload, then restart {name}",
            severity=NOTE if seen.is_well else "",
        )


def _result(*words: str) -> t.Callable[[_Unit], bool]:
    return lambda unit: unit.get("Result") in words and unit.get("ActiveState") != "active"


def start_limit(seen: Observation) -> t.Iterator[Clue]:
    told = [one.text for one in seen.messages if one.source == "systemd" and "Start request repeated too quickly" in one.text]
    for name, unit in _units(seen, lambda unit: unit.get("ActiveState") == "failed"):
        if unit.get("Result") == "start-limit-hit" or any(text.startswith(f"{name}:") for text in told):
            burst, interval = unit.get("StartLimitBurst", "?"), unit.get("StartLimitIntervalUSec", "?")
            yield Clue(
                f"systemd no longer tries to start {name}: it failed too often ({burst} times within {interval})",
                f"mend what made it fail, then: systemctl reset-failed {name} and start it",
            )


def start_timeout(seen: Observation) -> t.Iterator[Clue]:
    for name, unit in _units(seen, _result("timeout")):
        waits = "; a unit of type notify must say READY=1" if unit.get("Type") in ("notify", "notify-reload") else ""
        yield Clue(
            f"{name} did not say within its time limit ({unit.get('TimeoutStartUSec', '?')}) that it is up{waits}",
            "see in its log what it waits for; check Type and TimeoutStartSec",
        )


def watchdog(seen: Observation) -> t.Iterator[Clue]:
    for name, _unit in _units(seen, _result("watchdog")):
        yield Clue(f"{name} no longer reported to its watchdog and was ended", "see in its log where it hangs; check WatchdogSec")


def protocol(seen: Observation) -> t.Iterator[Clue]:
    for name, unit in _units(seen, _result("protocol")):
        yield Clue(
            f"{name} did not behave as its type {unit.get('Type', '?')} says (no PID file, or it ended before it was ready)",
            "check Type, PIDFile and NotifyAccess",
        )


def resources(seen: Observation) -> t.Iterator[Clue]:
    missing = any(one.kind == "environment_file" for one in seen.missing)
    for name, _unit in _units(seen, _result("resources")):
        if not missing:
            yield Clue(f"systemd could not set up what {name} needs (a file, a socket, memory)", f"read: journalctl --unit {name}")


def account_missing(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.missing:
        if one.kind == "account":
            yield Clue(
                f"the account {one.name} of {one.where} does not exist (217/USER)",
                f"create it (useradd --system {one.name}), or check User",
            )


def systemd_status(seen: Observation) -> t.Iterator[Clue]:
    for name, unit in _units(seen, lambda unit: unit.get("ExecMainCode") == "1" and unit.get("ActiveState") != "active"):
        status = unit.get("ExecMainStatus", "")
        known = STATUSES.get(int(status)) if status.isdecimal() and len(status) < 4 else None
        if known and not _told_by_name(seen, int(status)):
            word, what, step = known
            yield Clue(f"systemd could not start {name}: {what} ({status}/{word})", step, _about(seen))


def _told_by_name(seen: Observation, status: int) -> bool:
    """Whether another rule names the file or account that is missing."""
    problems = {203: ("no_program", "not_executable"), 200: ("no_folder",)}.get(status, ())
    return any(one.problem in problems for one in seen.mounts) or (status == 217 and any(one.kind == "account" for one in seen.missing))


def _about(seen: Observation) -> t.Tuple[str, ...]:
    words = ("Failed at step", "Failed to", "Unable to locate")
    return tuple(one.text for one in seen.messages if one.source == "systemd" and any(word in one.text for word in words))[-2:]


def pre_start_failed(seen: Observation) -> t.Iterator[Clue]:
    for name, unit in _units(seen, lambda unit: unit.get("ActiveState") != "active"):
        for path, code, status in programs(unit.get("ExecStartPre", "")):
            if (code in ("killed", "dumped") or (code == "exited" and status)) and unit.get("Result") not in ("success", ""):
                yield Clue(f"{path}, which {name} runs before it starts, failed ({code}, {status})", "run it by hand and mend what it says")


def condition_not_met(seen: Observation) -> t.Iterator[Clue]:
    for name, unit in _units(seen, lambda unit: unit.get("ActiveState") in ("inactive", "failed")):
        # A unit that nobody has tried to start has no result of its conditions either: what systemd said of it counts.
        told = [one.text for one in seen.messages if one.source == "systemd" and _UNMET.search(one.text)]
        if told and "no" in (unit.get("ConditionResult"), unit.get("AssertResult")):
            found = _UNMET.search(told[-1])
            which = f" ({found.group(1)})" if found and found.group(1) else ""
            yield Clue(
                f"a condition of {name}{which} is not met, so systemd did not start it",
                f"see which: systemctl status {name}; make it true, or take it out of the unit",
                (told[-1],),
            )


def not_started(seen: Observation) -> t.Iterator[Clue]:
    for name, unit in _units(seen, lambda unit: unit.get("ActiveState") == "inactive" and unit.get("LoadState") == "loaded"):
        off = ", and it is not started when the host is (disabled)" if unit.get("UnitFileState") == "disabled" else ""
        yield Clue(
            f"{name} is stopped{off}",
            f"start it (procedure service_start); at boot: systemctl enable {name}" if off else "start it (procedure service_start)",
        )


RULES = (
    said(
        "systemd_missing",
        CAUSE,
        "systemd does not run on this host, or does not answer",
        r"program systemctl is missing|System has not been booted with systemd|Failed to connect to (?:system )?bus|Host is down",
        "systemd does not run on this host, or does not answer",
        "check that this is the right host and service_runtime is right",
        sources=("systemd", "failure"),
    ),
    Rule("unit_missing", CAUSE, "There is no such unit", unit_missing),
    Rule("unit_masked", CAUSE, "The unit is masked", unit_masked),
    Rule("unit_invalid", CAUSE, "The unit file is not valid", unit_invalid),
    Rule("account_missing", CAUSE, "The account of the unit does not exist", account_missing),
    Rule(
        "program_missing",
        CAUSE,
        "The program of a unit (ExecStart) does not exist",
        mounts(
            "no_program",
            lambda one: f"the program {one.source} of the unit does not exist (203/EXEC)",
            lambda one: f"install {one.source}, or mend ExecStart and reload: systemctl daemon-reload",
        ),
    ),
    Rule(
        "program_not_executable",
        CAUSE,
        "The program of a unit (ExecStart) may not be executed (203/EXEC)",
        mounts(
            "not_executable",
            lambda one: f"the program {one.source} of the unit may not be executed (203/EXEC)",
            lambda one: f"make it executable: chmod 0755 {one.source}",
        ),
    ),
    Rule(
        "working_folder_missing",
        CAUSE,
        "The working folder of a unit does not exist",
        mounts(
            "no_folder",
            lambda one: f"the working folder {one.source} of the unit does not exist (200/CHDIR)",
            lambda one: f"create {one.source}",
        ),
    ),
    Rule("systemd_status", CAUSE, "systemd's own exit statuses (200/CHDIR, 203/EXEC, 217/USER, 226/NAMESPACE and 25 more)", systemd_status),
    Rule("pre_start_failed", CAUSE, "A program that runs before the unit starts (ExecStartPre) failed", pre_start_failed),
    Rule("start_timeout", CAUSE, "The unit did not say in time that it is up", start_timeout),
    Rule("watchdog", CAUSE, "The unit no longer reported to its watchdog", watchdog),
    Rule("protocol", CAUSE, "The unit did not behave as its type says", protocol),
    said(
        "environment_file_refused",
        CAUSE,
        "systemd could not read an environment file",
        r"Failed to load environment files: (.{1,80})",
        "systemd could not read an environment file of the unit: {0}",
        "check EnvironmentFile: systemctl show --property EnvironmentFiles",
        sources=("systemd",),
        unless=lambda seen: any(one.kind == "environment_file" for one in seen.missing) or not any(_units(seen, _result("resources"))),
    ),
    Rule("resources", CAUSE, "systemd could not set up what the unit needs", resources),
    Rule("needs_reload", LIKELY, "The unit's files were changed and not read yet", needs_reload),
    said(
        "unit_variable_unset",
        LIKELY,
        "The unit's command uses a variable that is not set",
        r"Referenced but unset environment variable evaluates to an empty string: ([A-Za-z0-9_, ]{1,200})",
        "the command of the unit uses {0}, which is not set and so empty",
        "set {0} in its environment file",
        sources=("systemd",),
        unless=lambda seen: seen.is_well,
    ),
    Rule("start_limit", SYMPTOM, "systemd has given up: the unit failed too often", start_limit),
    Rule("condition_not_met", CAUSE, "A condition of the unit was not met", condition_not_met),
    Rule("not_started", SYMPTOM, "The unit is stopped", not_started),
)
