# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided about units of systemd, from what systemctl printed."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, DeadlineExceeded
from ansible_collections.sre.runbooks.plugins.module_utils.service.reading import Reading
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd import files, limits, plan, state
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.environment import shown_environment
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.ready import for_instances

TEMPLATE = state.target_of("app@.service")


def unit(name: str, active: str = "active", enabled: str = "enabled", **more: str) -> state.Unit:
    return state.unit_from(
        f"Id={name}\nLoadState=loaded\nActiveState={active}\nSubState=running\nUnitFileState={enabled}\n"
        + "".join(f"{key}={value}\n" for key, value in more.items())
    )


def moves(found: t.Sequence[plan.Move]) -> list[tuple[str, tuple[str, ...]]]:
    return [(move.verb, move.units) for move in found]


@pytest.mark.parametrize(
    ("here", "spare", "count", "new"),
    [
        ([], [], 2, ["app@1.service", "app@2.service"]),
        (["app@8001.service", "app@8002.service"], [], 1, ["app@8003.service"]),
        (["app@08.service", "app@09.service"], [], 2, ["app@10.service", "app@11.service"]),
        (["app@blue.service"], ["app@blue.service", "app@green.service"], 1, ["app@green.service"]),
        (["app@1.service"], ["app@1.service", "app@5.service"], 2, ["app@5.service", "app@6.service"]),
    ],
)
def test_further_instances_are_those_of_the_profile_and_then_the_next_numbers(
    here: list[str], spare: list[str], count: int, new: list[str]
) -> None:
    assert plan.new_instances(TEMPLATE, here, spare, count) == new


def test_instances_whose_names_are_no_numbers_cannot_be_counted_on() -> None:
    with pytest.raises(BadInput, match="no numbers"):
        plan.new_instances(TEMPLATE, ["app@blue.service"], [], 1)


def test_scaling_mends_what_is_kept_and_takes_away_the_highest_by_number() -> None:
    units = [unit("app@10.service"), unit("app@9.service", "failed"), unit("app@8.service", enabled="disabled")]
    found = plan.scale_plan(TEMPLATE, units, 2)
    assert moves(found) == [("start", ("app@8.service", "app@9.service")), ("stop", ("app@10.service",))]
    assert all(move.lasting for move in found)
    with pytest.raises(BadInput, match="less than one"):
        plan.scale_plan(TEMPLATE, units, 0)


def test_a_rolling_restart_begins_with_what_does_not_run() -> None:
    units = [unit("app@1.service"), unit("app@2.service", "failed"), unit("app@3.service")]
    found = plan.restart_plan(TEMPLATE, units, "rolling")
    assert [move.units for move in found] == [("app@2.service",), ("app@1.service",), ("app@3.service",)]


def test_instances_that_no_start_would_find_again_are_not_stopped() -> None:
    units = [unit("app@1.service"), unit("app@2.service", enabled="disabled"), unit("app@3.service", "failed", enabled="disabled")]
    with pytest.raises(BadInput, match="nobody would know") as error:
        plan.stop_plan(TEMPLATE, units)
    assert error.value.where == "app@2.service"
    with pytest.raises(BadInput, match="nobody would know"):
        plan.restart_plan(TEMPLATE, units, "down_and_up")
    named = state.target_of("app@.service", ["2"])
    assert moves(plan.stop_plan(named, units[1:2])) == [("stop", ("app@2.service",))]
    assert moves(plan.stop_plan(TEMPLATE, [units[0], units[2]])) == [("stop", ("app@1.service",))]


def test_a_masked_unit_is_refused_before_anything_is_started() -> None:
    with pytest.raises(BadInput, match="masked"):
        plan.start_plan(TEMPLATE, [unit("app@1.service", "inactive"), unit("app@2.service", "inactive", LoadState="masked")])


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({"memory": "2g"}, {"MemoryMax": str(2 << 30)}),
        ({"memory": "1.5G", "memory_swap": "2g"}, {"MemoryMax": str(3 << 29), "MemorySwapMax": str(1 << 29)}),
        ({"memory": "512MiB", "memory_swap": "512m", "cpus": "0.25"}, {"MemoryMax": str(1 << 29), "MemorySwapMax": "0", "CPUQuota": "25%"}),
        ({"cpus": 2, "memory_request": "1g"}, {"CPUQuota": "200%"}),
        ({"memory": 100_000_000}, {"MemoryMax": "99999744"}),
        ({"memory": "none", "memory_high": "1m", "cpus": "none"}, {"MemoryMax": "infinity", "MemoryHigh": "1048576", "CPUQuota": ""}),
        ({"memory": "1m", "memory_swap": "none"}, {"MemoryMax": "1048576", "MemorySwapMax": "infinity"}),
    ],
)
def test_limits_become_settings_of_systemd_in_whole_pages(given: dict[str, t.Any], settings: dict[str, str]) -> None:
    assert limits.settings_from(given) == settings
    assert limits.read_settings(limits.drop_in_text(settings)) == settings


@pytest.mark.parametrize(("given", "said"), [(512, "less than a page"), ("4 frogs", "no size")])
def test_a_memory_limit_that_cannot_be_is_refused_with_what_is_wrong(given: t.Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        limits.settings_from({"memory": given})


def test_memory_and_swap_together_cannot_be_limited_where_memory_is_not() -> None:
    with pytest.raises(BadInput, match="cannot be less than memory"):
        limits.settings_from({"memory": "none", "memory_swap": "1g"})


def test_a_limit_that_was_taken_away_is_seen_to_be_gone() -> None:
    gone = {"MemoryMax": "infinity", "CPUQuota": ""}
    assert limits.differences(unit("app@1.service", MemoryMax="infinity", CPUQuotaPerSecUSec="infinity"), gone) == []
    assert limits.differences(unit("app@1.service", MemoryMax="4096", CPUQuotaPerSecUSec="500ms"), gone) == [
        "MemoryMax of app@1.service is 4096, not infinity",
        "CPUQuotaPerSecUSec of app@1.service is 500ms, not infinity",
    ]


def test_limits_that_are_back_are_said_to_be_though_a_unit_does_not_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def systemctl(verb: str, *_words: str, **_options: t.Any) -> str:
        if verb == "start":
            raise DeadlineExceeded("systemctl did not end")
        return ""

    monkeypatch.setattr(limits, "systemctl", systemctl)
    monkeypatch.setattr(limits, "show", lambda names: [unit(name, "failed") for name in names])
    path = tmp_path / "app@.service.d" / limits.DROP_IN
    told = limits._put_back(str(path), "former", [unit("app@1.service")], CommandFailed("It ended"))
    assert path.read_text() == "former"
    assert "The former limits are in place again, but not all that ran may run: systemctl did not end" in told.message


def test_drop_ins_that_systemd_read_elsewhere_are_no_change_and_missing_ones_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FOLDERS", (str(tmp_path),))
    alias, own = tmp_path / "mysql.service.d" / "limits.conf", tmp_path / "mariadb.service.d" / "own.conf"
    for path in (alias, own):
        path.parent.mkdir()
        path.touch()
    assert not files.is_stale(unit("mariadb.service", DropInPaths=f"{alias} {own}"))
    assert files.is_stale(unit("mariadb.service", DropInPaths=f"{alias}"))
    assert files.is_stale(unit("mariadb.service", DropInPaths=f"{alias} {own} {tmp_path}/gone.conf"))


def test_a_file_that_vanishes_while_its_age_is_looked_at_counts_as_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glob.glob", lambda _pattern: [str(tmp_path / "vanished")])
    monkeypatch.setattr(files, "is_stale", lambda _unit: False)
    assert not files.is_outdated(
        unit("app@1.service", FragmentPath="/etc/app@.service", ExecMainStartTimestampMonotonic="1000000"), Reading()
    )


def test_on_the_way_back_a_unit_that_ran_all_along_stays_though_its_own_file_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_stale", lambda _unit: False)
    file = tmp_path / "app.env"
    file.touch()
    now, clock = time.time(), time.clock_gettime(time.CLOCK_MONOTONIC)
    starts = [str(int((clock - ago_s) * 1e6)) for ago_s in (2, 0.5)]
    began = [unit("app@1.service", FragmentPath=str(file), ExecMainStartTimestampMonotonic=start) for start in starts]
    for paths in ((), (str(file),)):
        assert [files.is_outdated(one, Reading(paths, now - 1)) for one in began] == [False, True]
    assert files.is_outdated(began[0], Reading())
    monkeypatch.setattr(files, "is_stale", lambda _unit: True)
    assert files.is_outdated(began[0], Reading((), now - 1)), "systemd has to read its files again"


def test_the_environment_that_systemctl_shows_is_read_with_its_quotes() -> None:
    text = r"""A=b "X=1 2" "Y=a b" "Z=\$q" "Q=it's \"" EMPTY= """ + "$'N=one\\ntwo'"
    assert shown_environment(text) == {"A": "b", "X": "1 2", "Y": "a b", "Z": "$q", "Q": "it's \"", "EMPTY": "", "N": "one\ntwo"}


def test_times_sizes_and_ends_are_told_as_everywhere() -> None:
    assert state.seconds("1min 30s") == 90
    assert state.seconds("500ms") == 0.5
    assert state.seconds("infinity") is None
    assert state.moment("Sun 2026-11-22 05:15:48 UTC") == "2026-11-22T05:15:48Z"
    killed = unit("app@1.service", "failed", ExecMainCode="2", ExecMainStatus="9", Result="signal", MemoryMax="infinity")
    replica = killed.replica()
    assert (replica.state, replica.exit_status, replica.limits) == ("failed", 137, {"memory_bytes": None, "cpus": None})


def test_checks_that_speak_of_an_instance_are_asked_for_each() -> None:
    checks: list[dict[str, t.Any]] = [
        {"name": "ready", "type": "http", "url": "http://h:80%i/"},
        {"name": "all", "type": "tcp", "port": 80},
    ]
    found = for_instances(checks, ["01", "02"])
    assert [one["name"] for one in found] == ["ready-01", "ready-02", "all"]
    assert found[1]["url"] == "http://h:8002/"
    assert for_instances(checks, []) == checks
