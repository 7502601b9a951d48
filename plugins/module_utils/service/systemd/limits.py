# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module unit_limits: what a unit may use is written into a drop-in, takes effect at once, and is looked at."""

from __future__ import annotations

import math
import os
import re
import tempfile
import typing as t

from ...errors import BadInput, CommandFailed, RunbookError
from ...files import write_atomically
from ...progress import Progress
from ..sizes import bytes_of, is_none
from .check import verify
from .control import Waiting, require_root, systemctl
from .files import notes_on
from .plan import require_units
from .state import VERB_OPTIONS, Unit, as_verb, number, seconds, show, state_of, target_of, units_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **VERB_OPTIONS,
    "limits": {"type": "dict", "required": True},
    "settle_s": {"type": "float", "default": 1.0},
}
"""Described in plugins/modules/unit_limits.py."""
_UNIT_FOLDER = "/etc/systemd/system"
DROP_IN = "90-sre-runbooks-limits.conf"
_HEAD = "# Written by the module sre.runbooks.unit_limits.\n[Service]\n"
_KEYS = {"memory": "MemoryMax", "memory_high": "MemoryHigh", "memory_swap": "MemorySwapMax", "cpus": "CPUQuota"}
_NO_LIMIT = {"MemoryMax": "infinity", "MemoryHigh": "infinity", "MemorySwapMax": "infinity", "CPUQuota": ""}
_PAGE_BYTES = 4096
"""systemd and the kernel round sizes down to whole pages; a larger page only makes that coarser."""
_SETTINGS: t.Mapping[str, str] = {
    "MemoryMax": "MemoryMax",
    "MemoryHigh": "MemoryHigh",
    "MemorySwapMax": "MemorySwapMax",
    "CPUQuota": "CPUQuotaPerSecUSec",
}
"""Setting of systemd.resource-control(5) -> the property that shows it."""


def size_bytes(text: t.Any, name: str) -> int:
    """A size such as `2g` or `512m` (powers of 1024) in bytes.

    Raises:
        BadInput: It is none.
    """
    value = bytes_of(text)
    if value is None or value < _PAGE_BYTES:
        wrong = "no size" if value is None else "less than a page of memory (4 KiB)"
        raise BadInput(f"{name} is {wrong}", where=repr(text), next_step="write it like 512m or 2g, or none; nothing was changed")
    return value // _PAGE_BYTES * _PAGE_BYTES


def settings_from(limits: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """Limits as settings of systemd: sizes in bytes, processors in percent of one, `none` as what takes the limit of other files away.

    Raises:
        BadInput: One makes no sense.
    """
    unknown = sorted(set(limits) - {*_KEYS, "memory_request", "cpu_request"})
    given = {name: limits[name] for name in _KEYS if limits.get(name) not in (None, "")}
    if unknown or not given:
        raise BadInput(
            f"{', '.join(unknown)} cannot be limited" if unknown else "No limit is given",
            next_step=f"give service_limits some of {', '.join(_KEYS)}; nothing was changed",
        )
    found = {setting: _NO_LIMIT[setting] for name, setting in _KEYS.items() if is_none(given.get(name))}
    sizes = {name: size_bytes(text, name) for name, text in given.items() if name != "cpus" and not is_none(text)}
    if "memory" in sizes:
        found["MemoryMax"] = str(sizes["memory"])
    if "memory_high" in sizes:
        found["MemoryHigh"] = str(sizes["memory_high"])
    if "memory_swap" in sizes:
        # As with Docker it is memory and swap together.
        if sizes["memory_swap"] < sizes.get("memory", sizes["memory_swap"] + 1):
            raise BadInput(
                "memory_swap is memory and swap together, and cannot be less than memory",
                where=f"memory {given.get('memory', 'not given')}, memory_swap {given['memory_swap']}",
                next_step="give both; memory_swap as large as memory means no swap",
            )
        found["MemorySwapMax"] = str(sizes["memory_swap"] - sizes["memory"])
    if sizes.get("memory_high", 0) > sizes.get("memory", math.inf):
        raise BadInput("memory_high is above memory, so it would never be reached", next_step="give a smaller memory_high")
    if "cpus" in given and not is_none(given["cpus"]):
        found["CPUQuota"] = _quota(given["cpus"])
    return found


def _quota(cpus: t.Any) -> str:
    try:
        percent = round(float(cpus) * 100)
    except (TypeError, ValueError, OverflowError):
        percent = 0
    if percent < 1:
        raise BadInput("cpus is no number of processors", where=repr(cpus), next_step="write it like 1.5, or none; nothing was changed")
    return f"{percent}%"


def read_settings(text: str) -> t.Dict[str, str]:
    """The settings of a drop-in that this module has written."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, equals, value in pairs if equals and name in _SETTINGS}


def drop_in_text(settings: t.Mapping[str, str]) -> str:
    """The drop-in with these settings."""
    return _HEAD + "".join(f"{name}={settings[name]}\n" for name in _SETTINGS if name in settings)


def differences(unit: Unit, settings: t.Mapping[str, str]) -> t.List[str]:
    """Settings that a unit does not have, in words."""
    found = []
    for name, value in settings.items():
        said = unit.get(_SETTINGS[name], "")
        if value == _NO_LIMIT[name]:
            same = said == "infinity"
        elif name == "CPUQuota":
            same = seconds(said) is not None and abs((seconds(said) or 0) - float(value[:-1]) / 100) < 1e-6
        else:
            same = number(said) == float(value)
        if not same and said:
            found.append(f"{_SETTINGS[name]} of {unit.name} is {said}, not {value or 'infinity'}")
    return found


def used_bytes(unit: Unit) -> int:
    """Memory that a unit uses now, without files' pages that the kernel would give up first."""
    used = int(number(unit.get("MemoryCurrent", "")) or 0)
    group = unit.get("ControlGroup", "")
    for path, name in (
        (f"/sys/fs/cgroup/memory{group}/memory.stat", "total_inactive_file"),
        (f"/sys/fs/cgroup{group}/memory.stat", "inactive_file"),
    ):
        try:
            with open(path, encoding="ascii") as stream:
                found = re.search(rf"^{name} (\d+)$", stream.read(), re.MULTILINE)
        except OSError:
            continue
        return max(0, used - int(found.group(1))) if found else used
    return used


def require_room(units: t.Sequence[Unit], settings: t.Mapping[str, str]) -> None:
    """Raise BadInput where a unit uses more memory than it shall be able to: the kernel would kill it."""
    if settings.get("MemoryMax", "infinity") == "infinity":
        return
    most = int(settings["MemoryMax"])
    over = [(unit.name, used_bytes(unit)) for unit in units if unit.active and used_bytes(unit) >= most]
    if over:
        raise BadInput(
            "A unit uses more memory than it shall be able to, and would be killed",
            where=f"memory {most / (1 << 20):.0f} MiB",
            why="; ".join(f"{name} uses {used / (1 << 20):.0f} MiB" for name, used in over[:5]),
            next_step="choose a higher limit, or let the service use less first; nothing was changed",
            facts={"used_bytes": dict(over)},
        )


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Set limits; those that are not named stay as they are.

    Raises:
        BadInput: They make no sense, or are below what is used; nothing was changed.
        CommandFailed: They did not take effect, or a unit did not survive them; they are as before.
    """
    wanted = settings_from(parameters["limits"])
    target = target_of(parameters["unit"], parameters["instances"])
    units = units_of(target)
    require_units(target, units)
    folder = os.path.join(_UNIT_FOLDER, f"{target.unit}.d")
    path = os.path.join(folder, DROP_IN)
    former = _content(path)
    text = drop_in_text({**read_settings(former or ""), **wanted})
    differing = [said for unit in units for said in differences(unit, wanted)]
    before = state_of(units)
    shown = ", ".join(f"no {name}" if value == _NO_LIMIT[name] else f"{name}={value}" for name, value in wanted.items())
    answer: t.Dict[str, t.Any] = {
        "changed": text != former or bool(differing),
        **as_verb("limits", parameters),
        "path": path,
        "before": before.as_dict(),
        "after": before.as_dict(),
        "steps": [],
        "conclusion": f"{', '.join(unit.name for unit in units)}: {shown}",
        "notes": notes_on(units),
        "diff": {"before": former or "", "after": text, "before_header": path, "after_header": path},
    }
    if not answer["changed"]:
        return answer
    answer["steps"] = [f"write {path}", "let systemd read it", f"see that it holds for {', '.join(unit.name for unit in units)}: {shown}"]
    require_room(units, wanted)
    if not check_mode:
        require_root()
    if os.access(_UNIT_FOLDER, os.W_OK):
        _require_valid(target.unit, [unit.name for unit in units], text)
    if check_mode:
        return answer
    progress = Progress(f"Limits of {target.unit}")
    _put(path, text)
    try:
        systemctl("daemon-reload")
        after = _see_that_they_hold(units, wanted, Waiting(parameters["settle_s"], progress))
    except RunbookError as error:
        raise _put_back(path, former, units, error) from error
    return {**answer, "after": state_of(after).as_dict()}


def _content(path: str) -> t.Optional[str]:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _put(path: str, text: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.mkdir(folder, 0o755)
    write_atomically(path, text.encode(), 0o644)


def _require_valid(unit: str, names: t.Sequence[str], text: str) -> None:
    """Raise BadInput where systemd-analyze says that the drop-in is wrong; it is not in its place yet."""
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as folder:
        os.mkdir(os.path.join(folder, f"{unit}.d"))
        with open(os.path.join(folder, f"{unit}.d", DROP_IN), "w", encoding="utf-8") as stream:
            stream.write(text)
        wrong = [line for line in verify(names, folder) if DROP_IN in line]
    if wrong:
        raise BadInput("systemd does not take these limits", where=unit, why="; ".join(wrong[:3]), next_step="nothing was changed")


def _see_that_they_hold(units: t.Sequence[Unit], wanted: t.Mapping[str, str], waiting: Waiting) -> t.List[Unit]:
    names = [unit.name for unit in units]
    differing = [said for unit in show(names) for said in differences(unit, wanted)]
    if differing:
        raise CommandFailed(
            "The limits do not take effect",
            why="; ".join(differing[:3]) + "; another drop-in with a later name may say otherwise",
            next_step="look at systemctl cat, and remove what contradicts",
        )
    running = [unit for unit in units if unit.active]
    if running:
        waiting.until_same(running)
    return show(names)


def _put_back(path: str, former: t.Optional[str], units: t.Sequence[Unit], error: RunbookError) -> RunbookError:
    """The former drop-in is in its place again; units that the limits have killed are started again."""
    told = "The former limits could not be put back"
    try:
        if former is None:
            os.unlink(path)
        else:
            _put(path, former)
        systemctl("daemon-reload")
        told = "The former limits are in place again, but not all that ran may run"
        ran = {unit.name for unit in units if unit.active}
        down = [unit.name for unit in show([unit.name for unit in units]) if unit.name in ran and not unit.active]
        if down:
            systemctl("reset-failed", "--", *down, check=False)
            systemctl("start", "--", *down, timeout_s=180, check=False)
        told = "The former limits are in place again" + (f", and {', '.join(down)} started again" if down else "")
        told += f". Now {state_of(show([unit.name for unit in units])).conclusion}"
    except (RunbookError, OSError) as trouble:
        told += f": {trouble}"
    return type(error)(
        error.what, where=error.where, why=f"{error.why}. {told}", next_step=error.next_step, changed=True, facts=dict(error.facts)
    )
