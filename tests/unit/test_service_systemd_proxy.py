# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units behind a proxy: whatever fails, and whenever a run is killed, none that serves stays without requests."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import CommandFailed, RunbookError, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.service import draining
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxy import Reach
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd import control, proxy, replicas, state

PORTS = {f"app@{number}.service": 8000 + number for number in (1, 2, 3)}


class Killed(BaseException):
    """The run was killed; nothing of it may be done any more."""


class Machine:
    """A systemd and a proxy in memory, each instance at its own port.

    Attributes:
        runs: The instances that run, each with the number of its start.
        enabled: Those that start with the machine.
        drained: Ports that the proxy sends no requests.
        dead: Ports of servers that are down though their instance runs.
        checked: Whether the proxy checks its servers.
        before: Called with each act before it is done; what it raises, the act fails with.
    """

    def __init__(self) -> None:
        self.runs, self.enabled = dict.fromkeys(PORTS, 1), set(PORTS)
        self.drained, self.dead = set[str](), set[str]()
        self.checked = True
        self.before: t.Callable[[str], None] = lambda act: None

    def show(self, names: Sequence[str]) -> list[state.Unit]:
        meant = [name for name in PORTS if name in names or "app@*.service" in names]
        return [
            state.unit_from(
                f"Id={name}\nLoadState=loaded\nActiveState={'active' if name in self.runs else 'inactive'}\nSubState=running\n"
                f"UnitFileState={'enabled' if name in self.enabled else 'disabled'}\n"
                f"InvocationID={self.runs.get(name, '')}\nActiveEnterTimestampMonotonic=1\n"
            )
            for name in meant
        ]

    def systemctl(self, *words: str, **_options: t.Any) -> str:
        self.before(words[0])
        names = words[words.index("--") + 1 :]
        if words[0] in ("start", "restart"):
            self.runs.update({name: self.runs.get(name, 1) + 1 for name in names})
        elif words[0] in ("enable", "disable"):
            self.enabled = self.enabled | set(names) if words[0] == "enable" else self.enabled - set(names)
        return ""

    def end_units(self, units: Sequence[state.Unit]) -> None:
        for unit in units:
            self.before(f"stop {unit.name}")
            self.runs.pop(unit.name, None)

    def reach_of(self, unit: state.Unit) -> Reach:
        return Reach(frozenset({str(PORTS[unit.name])}) if unit.name in self.runs else frozenset())

    def __str__(self) -> str:
        return "the proxy"

    def servers(self, reach: Reach) -> list[str]:
        return sorted(reach.addresses - self.drained)

    def is_held_back(self, reach: Reach) -> bool:
        return bool(reach.addresses & self.drained)

    def drain(self, servers: Sequence[str]) -> None:
        self.before("drain")
        self.drained |= set(servers)

    def in_flight(self, _servers: Sequence[str]) -> int:
        return 0

    def ready(self, servers: Sequence[str], _reach: Reach) -> list[str]:
        self.before("ready")
        self.drained -= set(servers)
        return []

    def up(self) -> set[str]:
        return {str(PORTS[name]) for name in self.runs} - self.drained - self.dead

    def is_up(self, reach: Reach) -> bool:
        return bool(reach.addresses & self.up())

    def others_up(self, servers: Sequence[str]) -> int:
        return len(self.up() - set(servers))

    def is_checked(self, _servers: Sequence[str]) -> bool:
        return self.checked


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Three instances, all of them up."""
    made = Machine()
    monkeypatch.setenv("SRE_RUNBOOKS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(draining, "_OTHERS_WAIT_S", 0.0)
    monkeypatch.setattr(proxy, "reach_of", made.reach_of)
    monkeypatch.setattr(replicas, "proxy_from", lambda options, _address_of: made if options else None)
    monkeypatch.setattr(replicas, "reload_and_check", lambda *_units, **_how: [])
    monkeypatch.setattr(replicas, "end_units", made.end_units)
    for module in (replicas, control):
        monkeypatch.setattr(module, "systemctl", made.systemctl)
    for module in (replicas, control, state):
        monkeypatch.setattr(module, "show", made.show)
    monkeypatch.setattr(replicas, "require_root", lambda: None)
    return made


def operate(operation: str, check_mode: bool = False, **parameters: t.Any) -> dict[str, t.Any]:
    defaults = {name: option.get("default") for name, option in replicas.OPTIONS.items()}
    given = {"unit": "app@.service", "operation": operation, "settle_s": 0, "health_timeout_s": 1, "proxy": {"backend": "app"}}
    return replicas.operate({**defaults, **given, **parameters}, check_mode)


def fail_at(act: str) -> t.Callable[[str], None]:
    def before(now: str) -> None:
        if now == act:
            raise CommandFailed(f"{act} failed")

    return before


def kill_at(act: str) -> t.Callable[[str], None]:
    def before(now: str) -> None:
        if now == act:
            raise Killed

    return before


def test_instances_that_were_to_go_and_did_not_serve_again(machine: Machine) -> None:
    machine.dead = {"8001"}
    with pytest.raises(RunbookError, match="leave nobody to serve") as failed:
        operate("scale", scale_to=1)
    assert failed.value.changed
    assert (machine.drained, set(machine.runs)) == (set(), set(PORTS))


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
def test_after_a_stop_that_fails_those_that_still_run_serve_and_what_was_done_is_said(machine: Machine, checked: bool) -> None:
    machine.checked, machine.before = checked, fail_at("stop app@3.service")
    with pytest.raises(RunbookError, match=r"stop app@3\.service failed") as failed:
        operate("scale", scale_to=1)
    assert failed.value.changed
    assert "8003" not in machine.drained
    assert set(machine.runs) == {"app@1.service", "app@3.service"}


def test_an_instance_that_stays_out_of_a_proxy_without_checks_is_let_in_when_it_is_well_again(machine: Machine) -> None:
    machine.checked, machine.before = False, fail_at("restart")
    with pytest.raises(RunbookError, match="restart failed"):
        operate("restart", way="one", replica="1")
    assert machine.drained == set(), "it was not touched"
    machine.before = lambda act: None
    operate("scale", scale_to=2)
    assert machine.drained == {"8003"}, "nobody would notice that it is gone"
    assert not operate("scale", scale_to=2)["changed"]
    operate("scale", scale_to=3)
    assert machine.drained == set()


@pytest.mark.parametrize("act", ["drain", "restart", "ready"])
def test_what_a_killed_run_had_drained_the_next_one_lets_in_and_check_mode_says_so(machine: Machine, act: str) -> None:
    machine.before = kill_at(act)
    with pytest.raises(Killed):
        operate("restart")
    machine.before = lambda act: None
    drained = set(machine.drained)
    predicted = operate("scale", check_mode=True, scale_to=3)
    assert machine.drained == drained
    done = operate("scale", scale_to=3)
    assert machine.drained == set()
    assert (predicted["changed"], predicted["steps"]) == (done["changed"], done["steps"])
    assert done["steps"] == ["let the proxy send requests to app@1.service again, as a run before this one could not"]
    assert not operate("scale", scale_to=3)["changed"]


def test_an_instance_that_somebody_has_let_in_after_a_kill_is_drained_before_it_is_restarted(machine: Machine) -> None:
    machine.checked, machine.before = False, kill_at("ready")
    with pytest.raises(Killed):
        operate("restart", way="one", replica="1")
    assert machine.drained == {"8001"}
    machine.drained = set()
    acts: list[str] = []
    machine.before = acts.append
    operate("restart", way="one", replica="1")
    assert acts.index("drain") < acts.index("restart")
    assert machine.drained == set()


def test_asking_how_many_there_are_lets_in_what_a_killed_run_had_drained(machine: Machine) -> None:
    machine.before = kill_at("ready")
    with pytest.raises(Killed):
        operate("restart")
    machine.before = lambda act: None
    assert operate("scale")["changed"]
    assert machine.drained == set()


def test_what_somebody_has_drained_by_hand_stays_so(machine: Machine) -> None:
    machine.drained = {"8002"}
    done = operate("restart")
    assert machine.drained == {"8002"}
    assert any("was drained before, which stays so" in note for note in done["notes"])


def test_when_a_stop_hangs_after_others_are_down_the_error_does_not_say_that_nothing_was_changed(machine: Machine) -> None:
    machine.before = fail_at("stop app@3.service")
    with pytest.raises(RunbookError) as failed:
        operate("stop")
    assert (failed.value.changed, set(machine.runs)) == (True, {"app@3.service"})


def test_a_systemd_that_no_longer_answers_does_not_hide_what_failed_nor_that_something_was_changed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_arguments: t.Any) -> t.Any:
        raise Unreachable("systemd does not answer")

    def fail(act: str) -> None:
        if act == "restart":
            for name in ("show", "units_of"):
                monkeypatch.setattr(replicas, name, gone)
        fail_at("restart")(act)

    machine.before = fail
    with pytest.raises(RunbookError, match="restart failed") as failed:
        operate("restart", way="all")
    assert failed.value.changed
    assert "systemd does not answer" in failed.value.why


@pytest.mark.parametrize("operation", ["start", "scale"])
def test_what_a_failed_start_has_left_is_told_though_systemd_no_longer_answers(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    def gone(*_arguments: t.Any) -> t.Any:
        raise Unreachable("systemd does not answer")

    def fail(act: str) -> None:
        if act == "start":
            for name in ("show", "units_of"):
                monkeypatch.setattr(replicas, name, gone)
        fail_at("start")(act)

    machine.before = fail
    machine.runs.pop("app@3.service")
    with pytest.raises(RunbookError, match="start failed") as failed:
        operate(operation, scale_to=3 if operation == "scale" else "")
    assert failed.value.changed
