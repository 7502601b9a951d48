# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run records: complete, honest about killed runs, without secrets."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.controller import Controller
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, LeaseHeld, NotConfirmed, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.lease import Leases
from ansible_collections.sre.runbooks.plugins.module_utils.procedure import OPTIONS, ProcedureFailed, operate
from ansible_collections.sre.runbooks.plugins.module_utils.procedure_lookup import look_up
from ansible_collections.sre.runbooks.plugins.module_utils.run_record import Runs
from ansible_collections.sre.runbooks.tests.unit.controllers import dead_process

RESOURCE = "postgresql:reference"
SECRET = "correct-horse'\"\\battery"


@pytest.fixture(autouse=True)
def _no_state_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)


def own() -> dict[str, Any]:
    return Controller.of(os.getpid()).as_dict()


def other() -> dict[str, Any]:
    """Another living process of this machine."""
    return Controller.of(os.getppid()).as_dict()


def dead() -> dict[str, Any]:
    return dead_process().as_dict()


def do(operation: str, state: Path, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in OPTIONS.items()}
    given_by_default = {"state_folder": str(state), "procedure": "trial", "controller": own(), "resources": [RESOURCE]}
    return operate({**defaults, **given_by_default, "operation": operation, **options}, check_mode)


def tree(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def test_a_run_leaves_its_record_and_reports_and_no_lease(tmp_path: Path) -> None:
    begun = do("begin", tmp_path, title="Try it", target="reference", profile="local", incident="INC-20260301-031500")
    assert Leases(str(tmp_path)).look(RESOURCE) is not None
    running = json.loads(Path(begun["record"]).read_text())
    assert running["status"] == "running"
    ended = do("finish", tmp_path, measurements={"rto_s": 12.5}, targets={"rto_s": 3600}, decisions=["Took the newest set"])
    record = json.loads(Path(ended["record"]).read_text())
    assert record["format"] == "sre.runbooks/run/1"
    assert (record["status"], record["title"], record["target"], record["profile"]) == ("succeeded", "Try it", "reference", "local")
    assert record["measurements"]["rto_s"] == {"value": 12.5, "target": 3600, "unit": "s", "better": "lower", "met": True}
    assert record["decisions"] == ["Took the newest set"]
    assert record["incident"] == "INC-20260301-031500"
    assert Path(ended["report"]).is_file()
    assert Path(ended["report_html"]).is_file()
    assert Leases(str(tmp_path)).all() == []
    assert not list((tmp_path / "active").iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))


def test_check_mode_leaves_no_trace_and_tells_that_the_lease_is_free(tmp_path: Path) -> None:
    state = tmp_path / "state"
    begun = do("begin", state, check_mode=True, destroys=True, target="reference")
    assert begun["leases"] == [RESOURCE]
    assert begun["notes"] == ["The real run will ask for confirmation: -e confirm=reference"]
    do("finish", state, check_mode=True)
    with pytest.raises(ProcedureFailed):
        do("fail", state, check_mode=True, failed_result={"msg": "broken"})
    assert not state.exists()


def test_check_mode_refuses_when_another_run_holds_the_lease_and_changes_nothing(tmp_path: Path) -> None:
    do("begin", tmp_path, controller=other())
    before = tree(tmp_path)
    with pytest.raises(LeaseHeld):
        do("begin", tmp_path, check_mode=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("confirmed", ["", "Reference", "reference "])
def test_what_destroys_asks_for_the_name_of_its_target_before_anything_is_written(tmp_path: Path, confirmed: str) -> None:
    state = tmp_path / "state"
    with pytest.raises(NotConfirmed) as refused:
        do("begin", state, destroys=True, target="reference", title="Restore a database", confirmed=confirmed)
    assert "-e confirm=reference" in refused.value.message
    assert RESOURCE in refused.value.message
    assert not state.exists()
    assert do("begin", state, destroys=True, target="reference", confirmed="reference")["run_id"]


def test_what_destroys_without_naming_a_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not say what"):
        do("begin", tmp_path, destroys=True)


def test_a_refused_beginning_leaves_no_record_and_no_lease_behind(tmp_path: Path) -> None:
    do("begin", tmp_path, controller=other(), resources=["b"])
    before = tree(tmp_path)
    with pytest.raises(LeaseHeld):
        do("begin", tmp_path, resources=["a", "b", "c"])
    assert {name for name in tree(tmp_path) if not name.endswith(".lock")} == {name for name in before if not name.endswith(".lock")}
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_failed_step_is_told_again_word_for_word_and_its_run_is_recorded_as_failed(tmp_path: Path) -> None:
    do("begin", tmp_path)
    cause = {
        "msg": "The disk is full (/backup): no space. Next: free space.",
        "error": {"kind": "NoSpace", "what": "The disk is full", "where": "/backup", "why": "no space", "next_step": "free space"},
    }
    with pytest.raises(ProcedureFailed) as failed:
        do("fail", tmp_path, failed_result=cause, failed_task="Take the backup")
    assert failed.value.message == cause["msg"]
    assert failed.value.facts["kind"] == "NoSpace"
    record = json.loads(Path(failed.value.facts["record"]).read_text())
    assert record["status"] == "failed"
    assert record["error"]["step"] == "Take the backup"
    assert record["error"]["message"] == cause["msg"]
    assert Leases(str(tmp_path)).all() == []


def test_a_failure_before_the_run_began_is_told_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(ProcedureFailed) as failed:
        do("fail", tmp_path, failed_result={"msg": "Not confirmed."})
    assert failed.value.message == "Not confirmed."
    assert not list(tmp_path.iterdir())


def test_the_steps_own_message_comes_first_even_when_the_record_cannot_be_written(tmp_path: Path) -> None:
    begun = do("begin", tmp_path)
    Path(begun["record"]).write_text("flipped")
    with pytest.raises(ProcedureFailed) as failed:
        do("fail", tmp_path, failed_result={"msg": "The restore failed"}, failed_task="Restore")
    assert failed.value.message.startswith("Restore: The restore failed")
    assert "could not be completed" in failed.value.message


def test_a_full_disk_at_the_end_blocks_neither_the_message_nor_the_next_procedure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    do("begin", tmp_path)

    def full(self: Runs, *arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Runs, "end", full)
    with pytest.raises(OSError, match="No space"):
        do("finish", tmp_path)
    assert Leases(str(tmp_path)).all() == []


def test_a_killed_run_is_marked_as_abandoned_by_the_next_one_and_its_leases_are_freed(tmp_path: Path) -> None:
    killed = do("begin", tmp_path, controller=dead(), resources=[RESOURCE, "traffic"])
    begun = do("begin", tmp_path, resources=["something else"])
    assert killed["run_id"] in begun["notes"][0]
    record = Runs(str(tmp_path)).read(killed["run_id"])
    assert record["status"] == "abandoned"
    assert record["finished_at"] is None
    assert "is gone" in record["error"]["message"]
    assert (Path(killed["record"]).parent / "report.html").is_file()
    assert [lease.resource for lease in Leases(str(tmp_path)).all()] == ["something else"]


def test_a_run_that_still_works_is_left_alone(tmp_path: Path) -> None:
    working = do("begin", tmp_path, controller=other())
    assert do("begin", tmp_path, resources=["something else"])["notes"] == []
    assert Runs(str(tmp_path)).read(working["run_id"])["status"] == "running"


def test_a_run_on_another_machine_is_given_up_only_when_its_time_is_over(tmp_path: Path) -> None:
    elsewhere = Controller.of(os.getpid())
    elsewhere = replace(elsewhere, machine=replace(elsewhere.machine, host="awx-7", machine_id="", boot_id="other"))
    do("begin", tmp_path, controller=elsewhere.as_dict(), lease_s=3600)
    runs = Runs(str(tmp_path), lambda: datetime.now(UTC) + timedelta(seconds=3600))
    assert runs.dead() == []
    later = Runs(str(tmp_path), lambda: datetime.now(UTC) + timedelta(seconds=3700))
    assert len(later.dead()) == 1


def test_procedures_within_a_procedure_end_from_the_inside_out_and_share_its_lease(tmp_path: Path) -> None:
    outer = do("begin", tmp_path, procedure="drill")["run_id"]
    inner = do("begin", tmp_path, procedure="restore")["run_id"]
    assert do("finish", tmp_path)["run_id"] == inner
    held = Leases(str(tmp_path)).look(RESOURCE)
    assert held is not None
    assert held.holder == outer
    assert do("finish", tmp_path)["run_id"] == outer
    with pytest.raises(BadInput, match="no run to finish"):
        do("finish", tmp_path)


def test_an_id_that_is_given_is_used_once_and_must_be_a_plain_name(tmp_path: Path) -> None:
    assert do("begin", tmp_path, run_id="20260301T031500Z-5f3a9c")["run_id"] == "20260301T031500Z-5f3a9c"
    do("finish", tmp_path)
    assert do("begin", tmp_path, run_id="20260301T031500Z-5f3a9c")["run_id"].startswith("RUN-")
    for name in ("../runs", "a/b", ".hidden", "", "x" * 200):
        with pytest.raises(BadInput):
            Runs(str(tmp_path)).folder(name)


def test_a_lease_that_was_lost_during_the_run_is_told_at_the_end(tmp_path: Path) -> None:
    run_id = do("begin", tmp_path, resources=[RESOURCE])["run_id"]
    do("begin", tmp_path, controller=other(), takeover=run_id)
    (lease,) = (tmp_path / "leases").glob("*.json")  # taken in the same millisecond: times alone do not tell the two apart
    started_at = json.loads((tmp_path / "runs" / run_id / "record.json").read_text())["started_at"]
    lease.write_text(json.dumps({**json.loads(lease.read_text()), "acquired_at": started_at}))
    ended = do("finish", tmp_path)
    assert "was lost before the end" in ended["notes"][0]
    assert Leases(str(tmp_path)).look(RESOURCE) is not None


def test_runs_are_found_the_newest_first_and_by_procedure_and_status(tmp_path: Path) -> None:
    ids = []
    for name in ("backup", "restore", "backup"):
        ids.append(do("begin", tmp_path, procedure=name)["run_id"])
        do("finish", tmp_path)
    (tmp_path / "runs" / ids[1] / "record.json").write_text("{")
    found = look_up({"state_folder": str(tmp_path), "run_id": "", "procedure": "backup", "status": "succeeded", "limit": 20})
    assert [record["run_id"] for record in found["runs"]] == [ids[2], ids[0]]
    assert found["unreadable"] == [ids[1]]
    with pytest.raises(RunbookError):
        look_up({"state_folder": str(tmp_path), "run_id": "RUN-none", "procedure": "", "status": None, "limit": 20})


def test_no_secret_is_in_any_file_whatever_it_was_called_and_wherever_it_stood(tmp_path: Path) -> None:
    do("begin", tmp_path, secrets=[SECRET], reason=f"because of {SECRET}", title=f"Try {SECRET}")
    result = {
        "changed": True,
        "login_password": "by-its-name",
        "private_key": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        "url": "postgresql://anna:in-the-url@db/reference",
        "text": f"it said {SECRET} and password=in-the-text; Authorization: Bearer in-the-header",
        "deep": [{"list": [{"api_key": "deep-down"}]}],
        SECRET: "as a key",
        "diff": {"before": f"old {SECRET}", "after": {"token": "in-the-diff"}},
        "msg": f"Done with {SECRET}",
    }
    options: dict[str, Any] = {
        "secrets": [{"database": SECRET}],
        "results": [{"name": "Step", "result": result}],
        "decisions": [f"Used {SECRET}"],
    }
    with pytest.raises(ProcedureFailed) as failed:
        do("fail", tmp_path, failed_result={"msg": f"FATAL: {SECRET} is wrong"}, failed_task=f"Log in with {SECRET}", **options)
    written = b"\n".join(tree(tmp_path).values()).decode() + failed.value.message
    hidden = ["correct-horse", "battery", "by-its-name", "AAAA", "in-the-url", "in-the-text", "in-the-header", "deep-down", "in-the-diff"]
    assert [secret for secret in hidden if secret in written] == []
    assert "********" in written
