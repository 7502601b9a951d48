# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What systemd runs of a service: one unit, or the instances of a template (systemd.unit(5))."""

from __future__ import annotations

import glob
import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ...checks.model import NoAnswer
from ...checks.systemd import judge_unit, parse_properties
from ...command import Command, run
from ...errors import BadInput, Unreachable
from ..state import RUNNING, Replica, State

PROPERTIES = (
    "Id,LoadState,LoadError,ActiveState,SubState,Type,MainPID,ExecMainCode,ExecMainStatus,ExecStart,NRestarts,Result,InvocationID,"
    "MemoryCurrent,MemoryMax,MemoryHigh,MemorySwapMax,CPUQuotaPerSecUSec,ControlGroup,ActiveEnterTimestamp,"
    "ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic,StateChangeTimestamp,UnitFileState,FragmentPath,DropInPaths,NeedDaemonReload,"
    "TimeoutStopUSec,User,Group,WorkingDirectory,Environment,EnvironmentFiles"
)
"""org.freedesktop.systemd1(5); one that an older systemd does not know is left out by it."""
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "unit": {"type": "str", "default": ""},
    "instances": {"type": "list", "elements": "str", "default": []},
}
"""Of modules for services that systemd runs; described in plugins/modules/unit_replicas.py."""
VERB_OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {**OPTIONS, "service": {"type": "str", "default": ""}}
"""Of those that do a verb of the role service."""
ALIVE = ("active", "reloading", "refreshing")
_TIMEOUT_S = 30.0
_ENDS = {"1": 0, "exited": 0, "2": 128, "killed": 128, "3": 128, "dumped": 128}
"""ExecMainCode (CLD_EXITED, CLD_KILLED, CLD_DUMPED of wait(2)) -> what its status counts from."""
FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}")
_TYPE = re.compile(r"\.(service|socket|timer|path|target|mount|automount|swap|slice|scope|device)\Z")
_SPAN = re.compile(r"([\d.]+)\s*(us|ms|s|min|h|d|w|month|y)\b")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800, "month": 2629800, "y": 31557600}
"""Lengths that systemd.time(7) gives its units."""


@dataclass(frozen=True)
class Target:
    """Which units a service is.

    Attributes:
        unit: Full name of the unit or template, such as `app.service` or `app@.service`.
        instances: Names of the template's instances; empty for those that systemd knows.
    """

    unit: str
    instances: t.Tuple[str, ...] = ()

    @property
    def is_template(self) -> bool:
        """Whether it has instances."""
        return "@." in self.unit

    def of(self, instance: str) -> str:
        """Full name of the unit of an instance."""
        return self.unit.replace("@.", f"@{instance}.", 1)

    def instance(self, unit: str) -> str:
        """Name of the instance that a unit is; empty for a plain unit."""
        return unit.partition("@")[2].rpartition(".")[0] if self.is_template else ""

    def named(self, replica: str) -> str:
        """Full name of the unit that a person calls `replica`: a unit's name, with or without its type, or an instance's."""
        if self.is_template and "@" not in replica:
            return self.of(replica)
        return replica if _TYPE.search(replica) else f"{replica}.service"


def target_of(unit: str, instances: t.Sequence[str] = ()) -> Target:
    """The units that are meant.

    Raises:
        BadInput: The names make no sense.
    """
    if not unit:
        raise BadInput("No unit is named", next_step="give service_systemd_unit the unit, or the template, of the service")
    name = unit if _TYPE.search(unit) else f"{unit}.service"
    wrong = [one for one in (unit, *instances) if not _NAME.fullmatch(one) or one.startswith(("-", "."))]
    if wrong:
        raise BadInput(
            "There can be no such unit",
            where=", ".join(repr(one) for one in wrong),
            next_step="give service_systemd_unit the name of one unit or template, such as app.service or app@.service",
        )
    target = Target(name, tuple(dict.fromkeys(str(one) for one in instances)))
    if instances and not target.is_template:
        raise BadInput(
            "A unit that is no template has no instances",
            where=f"{name}, instances {', '.join(target.instances)}",
            next_step="name the template (app@.service), or leave service_systemd_instances empty",
        )
    return target


class Unit(t.Dict[str, str]):
    """The properties of a unit, as systemd says them."""

    @property
    def name(self) -> str:
        """Full name."""
        return self["Id"]

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self.get("ActiveState") in ALIVE

    @property
    def enabled(self) -> bool:
        """Whether it starts with the machine, by itself."""
        return self.get("UnitFileState") in ("enabled", "enabled-runtime", "linked", "linked-runtime")

    @property
    def forgotten(self) -> bool:
        """Whether nothing of it runs, failed, or shall run."""
        return not self.enabled and self.get("ActiveState") == "inactive"

    @property
    def exit_status(self) -> t.Optional[int]:
        """Status of its last end, as a shell would tell it (128 and the number for a signal); None while it runs or when it never did."""
        status, code = number(self.get("ExecMainStatus", "")), self.get("ExecMainCode", "")
        if self.active or status is None or code not in _ENDS:
            return None
        return int(status) + _ENDS[code]

    @property
    def restarts(self) -> int:
        """How often systemd has started it again by itself."""
        return int(number(self.get("NRestarts", "")) or 0)

    @property
    def environment_files(self) -> t.List[t.Tuple[str, bool]]:
        """Patterns of the files with its environment, each with whether it may be missing."""
        lines = self.get("EnvironmentFiles", "").splitlines()
        return [(line.rpartition(" (")[0], line.endswith("=yes)")) for line in lines if " (" in line]

    def replica(self) -> Replica:
        """The unit as a replica of the service."""
        try:
            findings = judge_unit(self, {"oneshot": False}).findings
            reason = "; ".join(finding.reason for finding in findings)
        except NoAnswer as error:
            reason = str(error)
        program = re.search(r"path=([^ ;]+)", self.get("ExecStart", ""))
        stopped = self.get("ActiveState") == "inactive" and self.get("Result") == "success" and self.get("LoadState") == "loaded"
        return Replica(
            name=self.name,
            state=RUNNING if self.active else self.get("ActiveState", "") or "unknown",
            health="starting" if self.get("ActiveState") == "activating" else "",
            image=program.group(1) if program else "",
            started_at=moment(self.get("ActiveEnterTimestamp", "")) if self.active else "",
            restarts=self.restarts,
            exit_status=self.exit_status,
            limits={"memory_bytes": number(self.get("MemoryMax", "")), "cpus": seconds(self.get("CPUQuotaPerSecUSec", ""))},
            reason="" if stopped else reason,
        )


def number(text: str) -> t.Optional[float]:
    """A count or a size in bytes; None where there is none (`infinity`, `[not set]`)."""
    return float(text) if text.isdecimal() and len(text) < 19 else None


def seconds(text: str) -> t.Optional[float]:
    """A span of time such as `1min 30s` in seconds; None where there is none."""
    found = _SPAN.findall(text)
    return round(sum(float(amount) * _SECONDS[unit] for amount, unit in found), 6) if found else None


def moment(text: str) -> str:
    """A moment as systemctl says it in UTC (`Sun 2026-11-22 05:15:48 UTC`) in ISO 8601; empty for none."""
    found = re.search(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)", text)
    if not found:
        return ""
    said = datetime.strptime(" ".join(found.groups()), "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return said.strftime("%Y-%m-%dT%H:%M:%SZ")


def show(names: t.Sequence[str]) -> t.List[Unit]:
    """What systemd says of units, in one call, each once, by name in natural order; patterns mean the units that it has in memory.

    Raises:
        Unreachable: systemd does not answer here.
    """
    argv = ["systemctl", "show", "--no-pager", f"--property={PROPERTIES}", "--", *names]
    done = run(Command(argv, environment={"TZ": "UTC"}, timeout_s=_TIMEOUT_S), check=False)
    if done.status != 0:
        why = done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"systemctl ended with {done.status}"
        raise Unreachable(
            "systemd does not answer",
            where="this host",
            why=why,
            next_step="see that systemd is process 1 there, and that the account may ask it (become: true)",
        )
    found = (unit_from(block) for block in done.stdout.split("\n\n"))
    units = {unit["Id"]: unit for unit in found if unit.get("Id")}
    return sorted(units.values(), key=lambda unit: natural(unit.name))


def unit_from(block: str) -> Unit:
    """A unit from what systemctl says of it. Its environment files, a line each, become one property of as many lines."""
    files = [line.partition("=")[2] for line in block.splitlines() if line.startswith("EnvironmentFiles=")]
    return Unit({**parse_properties(block), "EnvironmentFiles": "\n".join(files)})


def natural(name: str) -> t.Tuple[t.Any, ...]:
    """Key by which `app@9` comes before `app@10`."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name))


def enabled_instances(target: Target) -> t.List[str]:
    """Units of a template that start with the machine: links in the folders `*.wants` and `*.requires` of the units' folders."""
    pattern = target.unit.replace("@.", "@*.", 1)
    paths = (path for top in FOLDERS for kind in ("wants", "requires") for path in glob.glob(f"{top}/*.{kind}/{pattern}"))
    return sorted({path.rpartition("/")[2] for path in paths} - {target.unit}, key=natural)


def units_of(target: Target) -> t.List[Unit]:
    """The units of a service, running or not. Instances that are neither wanted nor remembered are left out.

    Raises:
        BadInput: systemd knows no such unit.
        Unreachable: It does not answer.
    """
    if not target.is_template:
        names = [target.unit]
    elif target.instances:
        names = [target.of(instance) for instance in target.instances]
    else:
        names = [target.unit.replace("@.", "@*.", 1), *enabled_instances(target)]
    units = show(names) or show([target.of("1")])
    missing = [unit.name for unit in units if unit.get("LoadState") == "not-found" and unit.get("ActiveState") == "inactive"]
    if missing:
        raise BadInput(
            "systemd knows no such unit",
            where=", ".join(missing),
            next_step="correct service_systemd_unit, or install the unit's file and run systemctl daemon-reload",
        )
    return remembered(target, units)


def remembered(target: Target, units: t.Sequence[Unit]) -> t.List[Unit]:
    """Those of units that the service has: of a template none that neither runs nor shall, unless it is named and none is enabled."""
    if target.is_template and (not target.instances or any(unit.enabled for unit in units)):
        return [unit for unit in units if not unit.forgotten]
    return list(units)


def as_verb(verb: str, parameters: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """What results of verbs begin with."""
    return {"verb": verb, "runtime": "systemd", "service": parameters["service"] or parameters["unit"]}


def state_of(units: t.Sequence[Unit]) -> State:
    """The state that units make."""
    return State(wanted=len(units) or None, replicas=tuple(unit.replica() for unit in units))


def read(parameters: t.Mapping[str, t.Any]) -> State:
    """The state now, of the service that `parameters`, valid for OPTIONS and with `wanted`, name.

    Raises:
        BadInput: They name none.
        Unreachable: systemd does not answer.
    """
    units = units_of(target_of(parameters["unit"], parameters["instances"]))
    wanted = parameters.get("wanted")
    return State(len(units) or None if wanted is None else wanted, tuple(unit.replica() for unit in units))
