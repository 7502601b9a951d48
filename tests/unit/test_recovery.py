# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recoveries: their records and gates, what is restored from what, what is started and ended, what was measured."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import typing as t
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NotConfirmed, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import start_of
from ansible_collections.sre.runbooks.plugins.module_utils.recovery import runs
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.calls import Call, Ended, run_calls
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.operation import CONSTRAINTS, OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.plan import assess, proofs_as_checks, taken_together
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.record import FILE, read
from ansible_collections.sre.runbooks.plugins.module_utils.redis.client import Server
from ansible_collections.sre.runbooks.plugins.module_utils.redis.discovery import Wishes, find

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STORES: list[dict[str, t.Any]] = [
    {"name": "cases", "kind": "postgresql", "component": "database", "database": "cases_prod", "rto_s": 3600, "rpo_s": 3600},
    {"name": "cache", "kind": "redis", "component": "cache", "rto_s": 900},
]


class Trial:
    """Recoveries in a state folder."""

    def __init__(self, folder: Path) -> None:
        self.state, self.id = folder / "state", ""

    def do(self, operation: str, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = {"operation": operation, "state_folder": str(self.state), "kind": "disaster", "service": "trial", **options}
        given.setdefault("recovery", self.id)
        validated = ArgumentSpecValidator(dict(OPTIONS), **CONSTRAINTS).validate(given)
        assert not validated.error_messages, validated.error_messages
        found = operate(validated.validated_parameters, check_mode)
        self.id = found["recovery"] or self.id
        return found

    def open(self, **options: t.Any) -> dict[str, t.Any]:
        return self.do("open", **options)

    def through(self, *phases: str) -> None:
        """Do these phases."""
        for phase in phases:
            self.do("enter", phase=phase, run_id="RUN-1")
            self.do("leave", phase=phase, told=[f"{phase} is done"])

    def record(self, run_id: str, status: str = "succeeded", rto_s: float = 10.0) -> None:
        """A run record as restore.yml leaves it."""
        folder = self.state / "runs" / run_id
        folder.mkdir(parents=True)
        error = {"message": "the disk is full"} if status == "failed" else None
        content = {
            "format": "sre.runbooks/run/1",
            "run_id": run_id,
            "procedure": "restore",
            "status": status,
            "started_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "finished_at": None,
            "measurements": {"rto_s": {"value": rto_s, "target": None}},
            "error": error,
        }
        (folder / "record.json").write_text(json.dumps(content))


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    one = Trial(tmp_path)
    one.open()
    return one


def test_a_recovery_is_taken_up_where_it_ended_and_a_phase_that_was_cut_off_is_told(trial: Trial) -> None:
    first = trial.id
    trial.through("assess")
    trial.do("enter", phase="infrastructure", run_id="RUN-7")
    again = trial.open()
    assert again["recovery"] == first
    assert [phase["status"] for phase in again["phases"]] == ["done", "failed", "pending", "pending", "pending"]
    assert any("infrastructure was under way when its run RUN-7 was ended" in note for note in again["notes"])


def aged(trial: Trial, hours: float) -> None:
    """Let everything in the recovery have happened so long before."""
    found = read(trial.do("look", phase="verify")["folder"])
    began = datetime.fromtimestamp(time.time() - hours * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    found.content.update(began_at=began, taken_up_at=began)
    for phase in found.content["phases"]:
        phase.update({key: began for key in ("began_at", "finished_at") if phase[key]})
    found.save()


def test_what_was_done_for_other_stores_or_long_ago_counts_only_when_somebody_says_so(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    first = trial.open(stores=STORES)["recovery"]
    trial.through("assess", "infrastructure", "data")
    with pytest.raises(BadInput, match=f"it recovers cases, cache, and now cases .*recovery_take_up={first}"):
        trial.open(stores=STORES[:1])
    aged(trial, 11)
    assert trial.open(stores=STORES)["recovery"] == first
    aged(trial, 13)
    with pytest.raises(BadInput, match=r"nothing was done in it for 13 h, .*recovery_begin_anew=true"):
        trial.open(stores=STORES, check_mode=True)
    go = trial.state / "recoveries" / first / "go-verify"
    go.touch()
    assert trial.open(stores=STORES[:1], take_up=first)["recovery"] == first
    assert not go.exists(), "that was agreed to long ago"
    with pytest.raises(BadInput, match=r"now cases, cache is to be recovered[^;]*recovery_begin_anew"):
        trial.open(stores=STORES, take_up=first)
    with pytest.raises(BadInput, match="REC-none cannot be taken up"):
        trial.open(stores=STORES, take_up="REC-none")
    anew = trial.open(stores=STORES, begin_anew=True)
    assert anew["recovery"] != first and anew["phases"][0]["status"] == "pending"
    assert trial.open(stores=STORES)["recovery"] == anew["recovery"], "the older one is given up"


def test_in_every_run_after_a_corruption_writes_are_stopped_and_resumed(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.open(kind="corruption")
    trial.through("stop_writes", "scope", "restore", "verify", "resume")
    again = trial.open(kind="corruption")
    assert [phase["status"] for phase in again["phases"]] == ["pending", "done", "done", "done", "pending"]


def test_the_set_that_was_compared_is_restored_until_another_one_is_asked_for(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    before = "before 2026-11-20T12:00:00Z"
    assert trial.open(kind="corruption", stores=STORES[:1], set=before)["set"] == before
    trial.through("stop_writes")
    trial.do("enter", phase="scope", kind="corruption")
    trial.do("leave", phase="scope", kind="corruption", set="friday")
    trial.do("enter", phase="restore", kind="corruption")
    assert trial.open(kind="corruption", stores=STORES[:1])["set"] == "friday"
    other = trial.open(kind="corruption", stores=STORES[:1], set="thursday")
    assert other["set"] == "thursday" and [phase["status"] for phase in other["phases"]][1:3] == ["pending", "pending"]
    with pytest.raises(BadInput, match="a set of one store"):
        trial.open(stores=STORES, set="friday")
    with pytest.raises(BadInput, match="names no moment"):
        trial.open(stores=STORES, set="before Friday")


def test_a_phase_is_not_entered_before_those_that_come_before_it(trial: Trial) -> None:
    with pytest.raises(BadInput, match="comes after assess"):
        trial.do("enter", phase="data")


def test_a_phase_done_again_takes_back_all_behind_it_and_their_go(trial: Trial) -> None:
    trial.through("assess", "infrastructure", "data")
    folder = Path(trial.do("look", phase="data")["folder"])
    (folder / "go-infrastructure").touch()
    trial.open(again=["infrastructure"], check_mode=True)
    assert (folder / "go-infrastructure").exists(), "a rehearsal touches nothing"
    found = trial.open(again=["infrastructure"])
    assert [phase["status"] for phase in found["phases"]][:3] == ["done", "pending", "pending"]
    assert not (folder / "go-infrastructure").exists()
    with pytest.raises(BadInput, match="no phase 'lunch'"):
        trial.open(again=["lunch"])


def test_silence_is_never_a_go(trial: Trial) -> None:
    with pytest.raises(NotConfirmed, match="go-data"):
        trial.do("gate", phase="data")
    began = time.monotonic()
    with pytest.raises(NotConfirmed, match=r"within 0\.2 s"):
        trial.do("gate", phase="data", wait_s=0.2)
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("way", [{"answer": "go"}, {"answer": " GO \n"}, {"confirmed": ["data"]}, {"confirmed": ["all"]}, "file"])
def test_a_go_is_typed_or_named_beforehand_or_a_file(trial: Trial, way: t.Any) -> None:
    if way == "file":
        (Path(trial.do("look", phase="data")["folder"]) / "go-data").touch()
        way = {}
    assert trial.do("gate", phase="data", **way)["confirmed_by"]


@pytest.mark.parametrize("way", [{"answer": "no"}, {"answer": "gone", "confirmed": ["all"]}, {"confirmed": ["verify"]}, {"answer": "\n"}])
def test_anything_else_is_no_go(trial: Trial, way: dict[str, t.Any]) -> None:
    with pytest.raises(NotConfirmed):
        trial.do("gate", phase="data", **way)


def test_only_a_phase_that_is_known_to_have_no_gate_begins_unasked(trial: Trial) -> None:
    assert trial.do("gate", phase="data", gates=["infrastructure", " verify"])["confirmed_by"] == "it has no gate"
    assert trial.do("look", phase="data", gates=[])["confirmed_by"] == "it has no gate"
    gated: list[dict[str, t.Any]] = [{"gates": ["infrastructure", " data"]}, {}]
    for options in gated:
        with pytest.raises(NotConfirmed):
            trial.do("gate", phase="data", **options)
    with pytest.raises(BadInput, match="no phase 'dat'"):
        trial.do("gate", phase="data", gates=["dat"])


def test_a_file_that_says_stop_outweighs_every_go(trial: Trial) -> None:
    (Path(trial.do("look", phase="data")["folder"]) / "stop").touch()
    with pytest.raises(NotConfirmed, match="not let through"):
        trial.do("gate", phase="data", confirmed=["all"], answer="go")


def test_a_record_that_was_changed_is_not_believed(trial: Trial) -> None:
    path = Path(trial.do("look", phase="data")["folder"]) / FILE
    path.write_text(path.read_text().replace('"pending"', '"done"'))
    with pytest.raises(RunbookError, match="is not what was written"):
        trial.open()
    path.write_text("{")
    with pytest.raises(RunbookError, match="is not what was written"):
        read(str(path.parent))


def test_a_rehearsal_writes_nothing_and_asks_nobody(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.open(check_mode=True)
    for phase in ("assess", "infrastructure", "data"):
        assert trial.do("gate", phase=phase, check_mode=True)["todo"]
        trial.do("enter", phase=phase, check_mode=True)
        trial.do("leave", phase=phase, check_mode=True)
    assert len(trial.do("restores", stores=STORES, check_mode=True)["steps"]) == 2
    trial.do("close", components=[], stores=STORES, check_mode=True)
    assert not trial.state.exists()


def test_a_store_that_no_set_can_restore_is_told_before_anything_is_touched() -> None:
    in_a_pod = {**STORES[1], "pod": "cache-0", "pod_namespace": "prod"}
    (obstacle,) = assess([STORES[0], in_a_pod], [], NOW)["obstacles"]
    assert obstacle.startswith("cache: CANNOT BE RESTORED: ") and "pod cannot be exchanged" in obstacle
    with pytest.raises(BadInput, match="in a pod cannot be exchanged"):
        find(Server(place=Place(pod="cache-0")), Wishes())


@pytest.mark.parametrize("name", ["../other", "", ".hidden", "a/b"])
def test_no_id_leads_out_of_the_folder(trial: Trial, name: str) -> None:
    with pytest.raises(BadInput):
        trial.do("look", phase="data", recovery=name)


@pytest.mark.parametrize("since", ["yesterday", "2999-01-01T00:00:00Z", "2026-13-01T00:00:00Z"])
def test_the_begin_of_a_disaster_is_a_moment_of_the_past(tmp_path: Path, since: str) -> None:
    with pytest.raises(BadInput):
        Trial(tmp_path).open(since=since)


def test_only_what_is_not_restored_yet_is_restored_again(trial: Trial) -> None:
    trial.through("assess", "infrastructure")
    first = trial.do("restores", stores=STORES, settings={"restore_method": "logical"})["steps"]
    assert [step["variables"]["confirm"] for step in first] == ["cases_prod", "cache"]
    trial.record(first[0]["variables"]["procedure_run_id"])
    trial.record(first[1]["variables"]["procedure_run_id"], "failed")
    found = trial.do("restored")
    assert found["left"] == ["cache"]
    assert found["stores"]["cache"]["problem"] == "the disk is full"
    later = trial.do("restores", stores=STORES)["steps"]
    assert [step["name"] for step in later] == ["cache"]
    assert later[0]["variables"]["procedure_run_id"] != "" and trial.do("restored")["left"] == ["cache"]
    assert trial.do("restores", stores=STORES[:1])["steps"] == []
    assert trial.do("restored")["left"] == [], "the store that is given up does not stand in the way"


def test_recovery_times_are_measured_from_the_disaster_by_component(trial: Trial) -> None:
    since = (datetime.now(UTC).timestamp()) - 1000
    trial.open(since=datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    trial.through("assess", "infrastructure")
    steps = trial.do("restores", stores=STORES)["steps"]
    for step, seconds in zip(steps, (50.0, -200.0), strict=True):
        trial.record(step["variables"]["procedure_run_id"], rto_s=seconds)
    trial.do("restored")
    trial.through("data", "verify", "resume")
    components = [
        {"name": "api", "rto_s": 500},
        {"name": "database", "rto_s": 3600},
        {"name": "cache", "rto_s": 900},
        {"name": "x", "external": True},
    ]
    closed = trial.do("close", components=components, stores=STORES)
    measured = closed["measurements"]
    assert measured["rto_database_s"] == pytest.approx(1050, abs=5)
    assert measured["rto_cache_s"] == pytest.approx(800, abs=5)
    assert measured["rto_api_s"] == pytest.approx(1000, abs=5)
    assert closed["targets"] == {"rto_api_s": 500, "rto_database_s": 3600, "rto_cache_s": 900}
    assert any("api: back after" in said and "MORE THAN" in said for said in closed["times"])
    assert trial.open()["recovery"] != closed["recovery"], "it is over"


def _set(name: str, state: str, at: str, **more: t.Any) -> dict[str, t.Any]:
    return {"id": name, "store": "cases", "state": state, "consistent_at": at, "method": "logical", "damage": [], **more}


SETS = [
    _set("e", "failed", "2026-11-21T11:50:00Z"),
    _set("d", "written", "2026-11-21T11:40:00Z"),
    _set("c", "proven", "2026-11-21T11:30:00Z", damage=["manifest.json is missing"]),
    _set("f", "proven", "2026-11-21T11:20:00Z", method="physical"),
    _set("b", "proven", "2026-11-21T10:00:00Z"),
    _set("a", "proven", "2026-11-20T10:00:00Z"),
]
ANSWERED: list[dict[str, t.Any]] = [{"item": "db", "backup_sets": SETS}]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({}, "cases: b (proven, 2 h old, MORE THAN may be lost)"),
        ({"method": "physical"}, "cases: f (proven, 40 min old)"),
        ({"words": "before 2026-11-21T10:00:00Z"}, "cases: a (proven, 26 h old, MORE THAN may be lost)"),
        ({"words": "d"}, "cases: d (written, 20 min old)"),
        ({"words": "before 2026-11-20T10:00:00Z"}, "cases: NO usable set, neither here nor off-site"),
    ],
)
def test_a_store_is_restored_from_its_newest_proven_set_or_the_one_that_is_asked_for(choice: dict[str, t.Any], said: str) -> None:
    assert assess(STORES[:1], ANSWERED, NOW, main_host="db", **choice)["said"] == [said]


def test_what_a_dead_host_may_have_is_unknown_and_what_nobody_has_is_nowhere() -> None:
    silent: list[dict[str, t.Any]] = [{"item": "db", "unreachable": True, "msg": "no route to host"}, {"item": "other", "backup_sets": []}]
    stores = [STORES[0], {**STORES[1], "on_host": "other"}]
    found = assess(stores, silent, NOW, main_host="db")
    assert (found["missing"], found["nowhere"]) == (["cases", "cache"], ["cache: NO usable set, neither here nor off-site"])
    assert found["said"][0].startswith("cases: UNKNOWN, as db could not be asked for its sets (no route to host)")
    copies = assess(
        stores, silent, NOW, main_host="db", offsite={"offsite_sets": [{**SETS[4], "folder": "", "server": {"address": "db1:5432"}}]}
    )
    assert copies["said"][0] == "cases: b (proven, 2 h old, off-site, from db1:5432, MORE THAN may be lost)"
    lost = assess(stores, silent, NOW, main_host="db", offsite={"unreachable": True, "msg": "no such host"})
    assert lost["said"][1].endswith("and the off-site copies could not be listed: no such host") and lost["nowhere"] == lost["said"][1:]


def test_the_assessment_says_whether_the_sets_were_taken_together() -> None:
    sets = [_set("c", "proven", "2026-11-21T11:30:00Z"), {**_set("k", "verified", "2026-11-21T11:29:00Z"), "store": "cache"}]
    record = {"id": "S", "members": [{"set": "c"}, {"set": "k"}, {"set": "x"}], "consistent": False, "spread_s": 60.0}
    found = assess(STORES, [{"item": "db", "backup_sets": sets, "service_sets": [record]}], NOW, main_host="db")
    assert found["said"][2:] == ["These sets were taken together (S), their moments lie 60 s apart"]
    held = {**record, "consistent": True, "consistent_at": "2026-11-21T11:29:00Z"}
    assert taken_together(sets, [held], NOW) == ["These sets were taken together (S), with writes held: they show 2026-11-21T11:29:00Z"]
    (apart,) = taken_together(sets, [{**record, "members": [{"set": "c"}]}, {"id": "D", "damage": "it is not what was written"}], NOW)
    assert apart.startswith("No record says that these sets were taken together: their moments lie up to")
    assert taken_together(sets[:1], [record], NOW) == []


def test_proofs_become_checks_of_the_store_that_they_name() -> None:
    proof = {"name": "cases", "store": "cases", "query": "SELECT 1", "fail_below": 1}
    checks, problems = proofs_as_checks([proof, {"name": "keys", "store": "cache", "query": "DBSIZE"}], STORES)
    assert checks == [{"name": "proof: cases", "type": "postgresql", "query": "SELECT 1", "database": "cases_prod", "fail_below": 1}]
    assert len(problems) == 1


@pytest.mark.parametrize("hosts", [[], ["db"]])
def test_a_step_on_a_host_that_the_inventory_lacks_stops_before_anything_ran(tmp_path: Path, hosts: list[str]) -> None:
    mark = tmp_path / "mark"
    steps = [{"name": "first", "command": ["touch", str(mark)]}, {"name": "there", "command": ["true"], "on_host": "nowhere"}]
    given = {"steps": steps, "recovery": "REC-1", "hosts": hosts, "state_folder": str(tmp_path / "state")}
    validated = ArgumentSpecValidator(dict(runs.OPTIONS)).validate(given)
    with pytest.raises(BadInput, match=r"The step 'there' cannot be run \(nowhere\): the inventory has no such host"):
        runs.operate(validated.validated_parameters, False)
    assert not mark.exists()


def test_a_step_that_fails_is_told_with_its_exit_status(tmp_path: Path) -> None:
    (ended,) = run_calls([call(tmp_path, "failing", "raise SystemExit(7)")])
    assert (ended.ok, ended.status, ended.problem) == (False, 7, "exit status 7")


def call(tmp_path: Path, name: str, code: str, deadline_s: float = 20) -> Call:
    return Call(name, [sys.executable, "-c", code], deadline_s, str(tmp_path / f"{name}.log"))


def test_calls_run_at_the_same_time_and_each_says_what_became_of_it(tmp_path: Path) -> None:
    meets = (
        "import pathlib, time; folder = pathlib.Path({folder!r}); (folder / '{number}.here').touch()\n"
        "while len(list(folder.glob('*.here'))) < 3: time.sleep(0.02)"
    )
    calls = [call(tmp_path, f"{number}", meets.format(folder=str(tmp_path), number=number)) for number in range(3)]
    ended = run_calls([*calls, call(tmp_path, "liar", "import sys; sys.exit('no such host')")], at_once=4)
    assert [one.ok for one in ended] == [True, True, True, False]
    assert "no such host" in ended[-1].problem


def test_after_a_failure_nothing_further_begins(tmp_path: Path) -> None:
    seen: list[Ended] = []
    ended = run_calls([call(tmp_path, "first", "raise SystemExit(3)"), call(tmp_path, "second", "pass")], on_end=seen.append)
    assert [one.name for one in ended] == ["first"] == [one.name for one in seen]
    assert not (tmp_path / "second.log").exists()


def test_what_hangs_is_ended_with_its_grandchildren_in_other_sessions(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '432'], start_new_session=True)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(432)"
    )
    ended = run_calls([call(tmp_path, "hanging", code, 1.5)])
    assert "did not end within 1.5 s" in ended[0].problem
    assert not start_of(int((tmp_path / "pid").read_text()))


def test_a_server_that_a_step_has_started_stays_when_the_step_ends_well(tmp_path: Path) -> None:
    code = f"import subprocess; p = subprocess.Popen(['sleep', '433']); open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))"
    assert run_calls([call(tmp_path, "starter", code)])[0].ok
    pid = int((tmp_path / "pid").read_text())
    assert start_of(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    ended = run_calls([Call("nobody", ["/no/such/program"], 5, str(tmp_path / "log"))])
    assert not ended[0].ok
    assert "missing" in ended[0].problem
