# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python API runs real playbooks of a small collection through ansible-runner."""

from __future__ import annotations

import stat
import threading
import time
from pathlib import Path

import pytest

import sre_runbooks
from integration.api_trial import Trial, files_with
from sre_runbooks.processes import processes_of


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_a_run_returns_its_status_statistics_and_artifacts(trial: Trial) -> None:
    result = trial.run("greet")
    assert (result.status, result.rc, result.error, result.ok, result.changed) == ("successful", 0, "", True, True)
    assert result.hosts == {"app1": sre_runbooks.HostStats(ok=2, changed=1, skipped=1)}
    assert result.artifacts == trial.state / "artifacts" / result.run_id
    assert "Say the greeting" in (result.artifacts / "stdout").read_text()
    assert 0 < result.duration_s < 60


def test_the_second_run_changes_nothing_and_gets_a_folder_of_its_own(trial: Trial) -> None:
    first, second = trial.run("greet"), trial.run("greet")
    assert first.changed
    assert not second.changed
    assert first.artifacts != second.artifacts


def test_check_mode_changes_nothing(trial: Trial) -> None:
    result = trial.run("greet", check=True, diff=True)
    assert result.ok
    assert result.changed
    assert not (trial.folder / "greeting").exists()
    assert "+hello" in (result.artifacts / "stdout").read_text()


def test_the_folder_of_a_run_is_closed_to_others_and_must_be_fresh(trial: Trial) -> None:
    result = trial.run("greet", private_data_dir=trial.top / "own")
    assert result.artifacts == trial.top / "own"
    assert stat.S_IMODE(result.artifacts.stat().st_mode) == 0o700
    with pytest.raises(sre_runbooks.BadInput, match="not empty"):
        trial.run("greet", private_data_dir=trial.top / "own")


def test_events_come_typed_and_in_order(trial: Trial) -> None:
    events: list[sre_runbooks.Event] = []
    trial.run("greet", on_event=events.append)
    assert [event.kind for event in events if event.kind != "warning"][:3] == ["start", "play", "task"]
    assert [(event.task, event.host, event.status) for event in events if event.kind == "host"] == [
        ("Say the greeting", "app1", "ok"),
        ("Write it down", "app1", "changed"),
        ("Leave this out", "app1", "skipped"),
    ]
    assert all(event.duration_s is not None for event in events if event.kind == "host")
    assert (events[-1].kind, events[-1].status) == ("end", "successful")


def test_progress_comes_while_the_work_is_under_way(trial: Trial) -> None:
    seen: list[tuple[float, sre_runbooks.Event]] = []
    trial.run("dump", on_event=lambda event: seen.append((time.monotonic(), event)))
    reports = [(at, event.progress) for at, event in seen if event.progress is not None]
    assert [progress.fraction for _at, progress in reports] == [0.0, 0.5, 1.0]
    assert {event.task for _at, event in seen if event.progress} == {"Dump the database"}
    ended = next(at for at, event in seen if event.kind == "host")
    assert ended - reports[0][0] > 0.5


def test_an_event_handler_that_fails_does_not_stop_the_run(trial: Trial) -> None:
    def fail(event: sre_runbooks.Event) -> None:
        raise RuntimeError(event.kind)

    assert trial.run("greet", on_event=fail).ok


def test_a_failed_task_gives_its_one_message(trial: Trial) -> None:
    events: list[sre_runbooks.Event] = []
    result = trial.run("refuse", on_event=events.append)
    assert (result.status, result.rc, result.failed_task, result.failed_host) == ("failed", 2, "Find the backup set", "app1")
    assert result.error == "No backup set is there (/backups). Next: run the procedure backup."
    assert [event.status for event in events if event.kind == "host"] == ["ignored", "failed"]


def test_a_host_that_cannot_be_reached_is_told_apart_from_a_failure(trial: Trial) -> None:
    trial.inventory.write_text("[all]\nfar ansible_host=127.0.0.1 ansible_port=1 ansible_ssh_common_args='-o ConnectTimeout=2'\n")
    result = trial.run("greet", extra_vars={"folder": "/nowhere"})
    assert (result.status, result.rc, result.failed_host) == ("unreachable", 4, "far")
    assert result.hosts["far"].unreachable == 1
    assert result.error


def test_a_run_that_finds_no_host_is_no_success(trial: Trial) -> None:
    trial.inventory.write_text("[other]\n")
    result = trial.run("greet")
    assert result.status == "failed"
    assert "No host of the inventory matched" in result.error


def test_a_limit_that_fits_no_host_gives_ansibles_own_message(trial: Trial) -> None:
    result = trial.run("greet", limit="nobody")
    assert result.status == "failed"
    assert "no hosts to target" in result.error


def test_values_from_outside_are_taken_literally_unless_templates_are_asked_for(trial: Trial) -> None:
    trial.run("greet", extra_vars={"greeting": "{{ 6 * 7 }}"})
    assert (trial.folder / "greeting").read_text() == "{{ 6 * 7 }}\n"
    trial.run("greet", extra_vars={"greeting": "{{ 6 * 7 }}"}, templates=True)
    assert (trial.folder / "greeting").read_text().strip() == "42"


def test_large_extra_variables_pass_through_the_pipe(trial: Trial) -> None:
    large = "é" * 400_000
    assert trial.run("greet", extra_vars={"greeting": large}, tags=["none_of_these"]).status == "successful"


def test_no_secret_stays_behind_or_is_seen_on_a_command_line(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, other = "Ki7-vanilla-9", "env-Wombat-33"
    monkeypatch.setenv("PGPASSWORD", other)
    command_lines: list[str] = []
    events: list[sre_runbooks.Event] = []

    def look(event: sre_runbooks.Event) -> None:
        started.wait()
        events.append(event)
        if event.kind == "task":
            command_lines.extend(" ".join(process.cmdline()) for process in processes_of(handle.run_id))

    started = threading.Event()
    handle = trial.start("login", extra_vars={"db_password": secret}, on_event=look)
    started.set()
    result = handle.wait()
    assert result.status == "failed"
    assert "The server refused the login of alice" in result.error
    assert command_lines
    assert secret not in " ".join(command_lines)
    assert secret not in repr(result)
    assert secret not in repr(events)
    assert files_with(trial.state, secret) == []
    assert files_with(trial.state, other) == []
    assert not [path for path in result.artifacts.rglob("*") if path.name in ("extravars", "extra_vars", "env", "fact_cache")]


def test_waiting_with_a_limit_leaves_the_run_alone(trial: Trial) -> None:
    handle = trial.start("dump")
    with pytest.raises(TimeoutError):
        handle.wait(0.05)
    assert not handle.done
    kinds = [event.kind for event in handle.events()]
    assert "start" in kinds[:3]
    assert kinds[-1] == "end"
    assert handle.wait().ok


def test_two_runs_at_once_do_not_disturb_each_other(trial: Trial) -> None:
    endless, short = trial.start("beat"), trial.start("greet")
    trial.wait_for("module")
    assert short.wait(30).ok
    endless.cancel(grace_s=1.0)
    assert endless.wait().status == "canceled"


def test_ansible_keeps_the_settings_of_the_folder_it_is_called_in(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trial.folder)
    monkeypatch.delenv("ANSIBLE_HOST_KEY_CHECKING", raising=False)
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    trial.run("configured")
    assert (trial.folder / "configured").read_text() == "True"
    (trial.folder / "ansible.cfg").write_text("[defaults]\nhost_key_checking = False\n")
    trial.run("configured")
    assert (trial.folder / "configured").read_text() == "False"


def test_bad_input_is_refused_before_anything_runs(trial: Trial) -> None:
    with pytest.raises(sre_runbooks.UnknownProcedure, match="did you mean greet"):
        trial.run("gret")
    with pytest.raises(sre_runbooks.BadInput, match="does not exist"):
        trial.run("greet", inventory=trial.top / "nowhere.yml")
    with pytest.raises(sre_runbooks.BadInput, match="extra variables"):
        trial.run("greet", extra_vars={"x": object()})
    with pytest.raises(sre_runbooks.BadInput, match="no time"):
        trial.run("greet", timeout_s=0)
    with pytest.raises(sre_runbooks.CollectionNotFound, match="was not found"):
        trial.run("greet", collections_path=trial.top / "nowhere")
    assert not (trial.state / "artifacts").exists()
