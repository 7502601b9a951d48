# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python API and the console command run real playbooks of a small collection through ansible-runner."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sre_runbooks
from sre_runbooks.processes import processes_of

HEARTBEAT = """
import os, signal, sys, time
from ansible.module_utils.basic import AnsibleModule

def beat(path):
    while True:
        with open(path, "w") as stream:
            stream.write(str(os.getpid()))
        time.sleep(0.05)

def main():
    module = AnsibleModule(argument_spec={"folder": {"type": "str", "required": True}, "stubborn": {"type": "bool", "default": False}})
    folder = module.params["folder"]
    if module.params["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            beat(os.path.join(folder, "orphan"))
        os._exit(0)
    os.wait()
    beat(os.path.join(folder, "module"))

main()
"""

LOGIN = """
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"password": {"type": "str", "no_log": True}, "fail": {"type": "bool", "default": False}})
    if module.params["fail"]:
        module.fail_json(msg="The server refused the login of alice with %s. Next: correct the password." % module.params["password"])
    module.exit_json(changed=False)

main()
"""

SWAP = """
import os, signal, subprocess, time
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"folder": {"type": "str", "required": True}})
    folder = module.params["folder"]
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(os.path.join(folder, "swapping"), "w").close()
        subprocess.check_call(["sleep", "1.5"])
        open(os.path.join(folder, "swapped"), "w").close()
        os._exit(0)
    os.wait()
    module.exit_json(changed=True)

main()
"""

SERVE = """
import subprocess
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"folder": {"type": "str", "required": True}})
    server = ["env", "-u", "SRE_RUNBOOKS_RUN_ID", "sh", "-c", "echo $$ > %s/server; exec sleep 60" % module.params["folder"]]
    subprocess.Popen(server, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    module.exit_json(changed=True)

main()
"""

DUMP = """
import json, os, time
from ansible.module_utils.basic import AnsibleModule

def main():
    module = AnsibleModule(argument_spec={"pause_s": {"type": "float", "default": 0.3}})
    for done in (0, 50, 100):
        with open(os.environ["SRE_RUNBOOKS_PROGRESS_FILE"], "a") as stream:
            line = {"work": "Dumping reference", "step": "orders", "done": done * 1e6, "total": 1e8, "unit": "bytes", "time": time.time()}
            stream.write(json.dumps(line) + "\\n")
        time.sleep(module.params["pause_s"])
    module.exit_json(changed=True)

main()
"""

PLAYBOOKS = {
    "greet": """
        - name: Greet
          hosts: all
          gather_facts: false
          tasks:
            - name: Say the greeting
              ansible.builtin.debug:
                msg: "{{ greeting | default('hello') }}"
            - name: Write it down
              ansible.builtin.copy:
                content: "{{ greeting | default('hello') }}\\n"
                dest: "{{ folder }}/greeting"
                mode: "0600"
            - name: Leave this out
              ansible.builtin.debug:
              when: false
        """,
    "refuse": """
        - name: Refuse
          hosts: all
          gather_facts: false
          tasks:
            - name: Try something that may fail
              ansible.builtin.fail:
                msg: not this one
              ignore_errors: true
            - name: Find the backup set
              ansible.builtin.fail:
                msg: "No backup set is there (/backups). Next: run the procedure backup."
        """,
    "beat": """
        - name: Beat
          hosts: all
          gather_facts: false
          tasks:
            - name: Beat for ever
              sre.runbooks.heartbeat:
                folder: "{{ folder }}"
                stubborn: "{{ stubborn | default(false) }}"
            - name: Never reached
              ansible.builtin.copy:
                content: reached
                dest: "{{ folder }}/reached"
                mode: "0600"
        """,
    "login": """
        - name: Log in
          hosts: all
          gather_facts: true
          tasks:
            - name: Log in properly
              sre.runbooks.login:
                password: "{{ db_password }}"
            - name: Forget what must not be shown
              ansible.builtin.debug:
                msg: "the password is {{ db_password }}"
            - name: Log in and fail
              sre.runbooks.login:
                password: "{{ db_password }}"
                fail: true
        """,
    "swap": """
        - name: Swap
          hosts: all
          gather_facts: false
          tasks:
            - name: Swap two folders
              sre.runbooks.swap:
                folder: "{{ folder }}"
            - name: Never reached
              ansible.builtin.copy:
                content: reached
                dest: "{{ folder }}/reached"
                mode: "0600"
        """,
    "serve": """
        - name: Serve
          hosts: all
          gather_facts: false
          tasks:
            - name: Start the server
              sre.runbooks.serve:
                folder: "{{ folder }}"
            - name: Beat for ever
              sre.runbooks.heartbeat:
                folder: "{{ folder }}"
        """,
    "dump": """
        - name: Dump
          hosts: all
          gather_facts: false
          tasks:
            - name: Dump the database
              sre.runbooks.dump:
                pause_s: 0.4
        """,
    "configured": """
        - name: Look at the configuration
          hosts: all
          gather_facts: false
          tasks:
            - name: Ask for host key checking
              ansible.builtin.copy:
                content: "{{ lookup('ansible.builtin.config', 'HOST_KEY_CHECKING') }}"
                dest: "{{ folder }}/configured"
                mode: "0600"
        """,
}

CATALOGUE = """
---
procedures:
  greet: {title: Say hello, changes: changes, required_variables: [folder], inverse: forget, requirements: [A1, B2]}
  refuse: {title: Fail on purpose, changes: reads}
  beat: {title: Never end, changes: destroys}
  login: {title: Handle a secret, changes: reads, required_variables: [db_password]}
  swap: {title: Finish what must not be cut short, changes: changes}
  serve: {title: Start a server, changes: changes}
  dump: {title: Report progress, changes: reads}
  configured: {title: Show the configuration, changes: reads}
"""

INVENTORY = """
all:
  hosts:
    app1:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
  vars:
    folder: "{{ lookup('ansible.builtin.env', 'TRIAL_FOLDER') }}"
"""


class Trial:
    """A small collection, an inventory and a state folder."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.collections = top / "collections"
        self.state = top / "state"
        self.inventory = top / "inventory.yml"
        self.folder = top / "work"
        self.folder.mkdir()
        collection = self.collections / "ansible_collections" / "sre" / "runbooks"
        files = {
            "galaxy.yml": "namespace: sre\nname: runbooks\nversion: 0.1.0\nreadme: README.md\nauthors: [a]\n",
            "meta/procedures.yml": CATALOGUE,
            "plugins/modules/heartbeat.py": HEARTBEAT,
            "plugins/modules/login.py": LOGIN,
            "plugins/modules/dump.py": DUMP,
            "plugins/modules/swap.py": SWAP,
            "plugins/modules/serve.py": SERVE,
            **{f"playbooks/{name}.yml": textwrap.dedent(text) for name, text in PLAYBOOKS.items()},
        }
        for name, text in files.items():
            (collection / name).parent.mkdir(parents=True, exist_ok=True)
            (collection / name).write_text(text)
        self.inventory.write_text(INVENTORY)

    @property
    def options(self) -> dict[str, Any]:
        return {
            "inventory": self.inventory,
            "state_dir": self.state,
            "collections_path": self.collections,
            "environment": {"TRIAL_FOLDER": str(self.folder)},
        }

    def run(self, name: str, **options: Any) -> sre_runbooks.Result:
        return sre_runbooks.run(name, **{**self.options, **options})

    def start(self, name: str, **options: Any) -> sre_runbooks.Handle:
        return sre_runbooks.run_async(name, **{**self.options, **options})

    def console(self, *argv: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sre_runbooks.cli", *argv],
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self, **more: str) -> dict[str, str]:
        source = str(Path(sre_runbooks.__file__).parents[1])
        return {
            **os.environ,
            "PYTHONPATH": source,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "SRE_RUNBOOKS_STATE": str(self.state),
            "TRIAL_FOLDER": str(self.folder),
            **more,
        }

    def wait_for(self, name: str, timeout_s: float = 30.0) -> int:
        """Wait for a heartbeat file and return the process id in it."""
        path = self.folder / name
        _until(lambda: path.exists() and path.read_text().strip().isdigit(), timeout_s)
        return int(path.read_text())

    def still_beats(self, name: str) -> bool:
        path = self.folder / name
        before = path.stat().st_mtime_ns
        time.sleep(0.4)
        return path.stat().st_mtime_ns != before


def _until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _holds(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


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
    assert _holds(trial.state, secret) == []
    assert _holds(trial.state, other) == []
    assert not [path for path in result.artifacts.rglob("*") if path.name in ("extravars", "extra_vars", "env", "fact_cache")]


@pytest.mark.parametrize("stubborn", [False, True], ids=["polite", "ignores_sigterm"])
def test_cancel_ends_the_whole_process_tree(trial: Trial, stubborn: bool) -> None:
    handle = trial.start("beat", extra_vars={"stubborn": stubborn})
    for name in ("module", "orphan"):
        trial.wait_for(name)
    assert len(processes_of(handle.run_id)) >= 4
    begun = time.monotonic()
    handle.cancel(grace_s=1.0)
    assert time.monotonic() - begun < 8
    assert handle.done
    assert processes_of(handle.run_id) == []
    assert not trial.still_beats("module")
    assert not trial.still_beats("orphan")
    result = handle.wait()
    assert (result.status, result.rc) == ("canceled", 254), result.error
    assert "'Beat for ever'" in result.error
    assert not (trial.folder / "reached").exists()


def test_cancel_lets_a_process_finish_that_ignores_sigterm_for_a_while(trial: Trial) -> None:
    handle = trial.start("swap")
    _until(lambda: (trial.folder / "swapping").exists(), 30)
    handle.cancel()
    assert handle.wait().status == "canceled"
    assert (trial.folder / "swapped").exists()
    assert not (trial.folder / "reached").exists()
    assert processes_of(handle.run_id) == []


def test_a_server_that_was_started_without_the_mark_outlives_a_cancel(trial: Trial) -> None:
    handle = trial.start("serve")
    server = trial.wait_for("server")
    trial.wait_for("module")
    handle.cancel()
    try:
        assert not trial.still_beats("module")
        os.kill(server, 0)
    finally:
        os.kill(server, signal.SIGKILL)


def test_the_time_limit_ends_the_whole_process_tree(trial: Trial) -> None:
    result = trial.run("beat", timeout_s=4)
    assert (result.status, result.rc) == ("timeout", 254)
    assert "4 s" in result.error
    assert 4 <= result.duration_s < 12
    assert processes_of(result.run_id) == []
    assert not trial.still_beats("module")
    assert not trial.still_beats("orphan")


def test_cancel_at_any_moment_of_the_start_leaves_nothing(trial: Trial) -> None:
    for delay_s in (0.0, 0.02, 0.1, 0.3, 0.6):
        handle = trial.start("beat")
        time.sleep(delay_s)
        handle.cancel(grace_s=1.0)
        assert handle.wait(10).status == "canceled"
        assert processes_of(handle.run_id) == []


def test_cancel_from_within_an_event_handler_does_not_lock_up(trial: Trial) -> None:
    handles: list[sre_runbooks.Handle] = []
    ready = threading.Event()

    def stop(event: sre_runbooks.Event) -> None:
        ready.wait()
        if event.kind == "task":
            handles[0].cancel(grace_s=1.0)

    handles.append(trial.start("beat", on_event=stop))
    ready.set()
    assert handles[0].wait(20).status == "canceled"
    assert processes_of(handles[0].run_id) == []


def test_a_cancel_after_the_end_changes_nothing(trial: Trial) -> None:
    handle = trial.start("greet")
    result = handle.wait()
    handle.cancel()
    assert handle.wait() is result
    assert result.ok


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


FRAMED = """
- name: Frame
  hosts: all
  gather_facts: false
  tasks:
    - name: Frame the work
      block:
        - name: Begin the procedure
          ansible.builtin.import_role:
            name: sre.runbooks.procedure
            tasks_from: begin
          vars:
            procedure_name: framed
            procedure_target: reference
            procedure_resource: trial:reference
        - name: Do the work
          ansible.builtin.command: "true"
          changed_when: true
        - name: Beat for ever
          ansible.builtin.command: sleep 60
          when: endless | default(false) | bool
          changed_when: true
        - name: Check the work
          ansible.builtin.fail:
            msg: "The work is not good (reference). Next: do it again."
          when: spoiled | default(false) | bool
        - name: Finish the procedure
          ansible.builtin.import_role:
            name: sre.runbooks.procedure
            tasks_from: finish
          vars:
            procedure_measurements: {rto_s: 12.5}
            procedure_targets: {rto_s: 3600}
      rescue:
        - name: Finish the procedure that failed
          ansible.builtin.import_role:
            name: sre.runbooks.procedure
            tasks_from: fail
"""


@pytest.fixture
def framed(trial: Trial, repository: Path) -> Trial:
    """The trial collection with the real collection's roles and plugins: a procedure that leaves a record."""
    collection = trial.collections / "ansible_collections" / "sre" / "runbooks"
    shutil.rmtree(collection / "plugins")
    for name in ("plugins", "roles"):
        shutil.copytree(repository / name, collection / name, ignore=shutil.ignore_patterns("__pycache__"))
    (collection / "meta" / "procedures.yml").write_text("procedures:\n  framed: {title: Do framed work, changes: changes}\n")
    (collection / "playbooks" / "framed.yml").write_text(FRAMED)
    return trial


def test_the_record_of_the_procedure_is_found_and_typed(framed: Trial) -> None:
    result = framed.run("framed")
    assert result.ok, result.error
    record = result.record
    assert record is not None
    assert (record.run_id, record.procedure, record.title, record.status) == (result.run_id, "framed", "Do framed work", "succeeded")
    assert record.folder == framed.state / "runs" / result.run_id
    assert [(step.name, step.status, step.changed) for step in record.steps] == [("Do the work", "ok", True)]
    assert record.steps[0].duration_s is not None
    assert record.measurements["rto_s"] == sre_runbooks.Measurement(12.5, 3600, "s", "lower", True)
    assert result.report == record.folder / "report.html"
    assert sre_runbooks.read_record("latest", framed.state) == record


def test_a_failed_procedure_tells_the_step_that_failed_not_the_one_that_closed_the_record(framed: Trial) -> None:
    result = framed.run("framed", extra_vars={"spoiled": True})
    assert (result.status, result.failed_task) == ("failed", "Check the work")
    assert "The work is not good (reference). Next: do it again" in result.error
    assert result.record is not None
    assert result.record.status == "failed"


def test_after_a_cancel_the_next_run_gets_the_lease_and_marks_the_first_as_abandoned(framed: Trial) -> None:
    events: list[sre_runbooks.Event] = []
    handle = framed.start("framed", extra_vars={"endless": True}, on_event=events.append)
    _until(lambda: any(event.task == "Beat for ever" for event in events), 30)
    handle.cancel()
    first = handle.wait()
    assert first.record is not None
    assert (first.status, first.record.status) == ("canceled", "running")
    assert framed.run("framed").ok
    assert sre_runbooks.read_record(first.run_id, framed.state).status == "abandoned"


def test_a_profile_may_keep_its_records_in_a_folder_of_its_own(framed: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(framed.top / "xdg"))
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    elsewhere = framed.top / "elsewhere"
    result = framed.run(
        "framed",
        state_dir=None,
        private_data_dir=framed.top / "artifacts",
        extra_vars={"procedure_state_folder": str(elsewhere)},
    )
    assert result.record is not None
    assert result.record.folder == elsewhere / "runs" / result.run_id


def test_the_console_shows_the_report_of_a_run(framed: Trial) -> None:
    ran = framed.console("run", "framed", "-i", str(framed.inventory))
    out, err = ran.communicate()
    assert (ran.returncode, err) == (0, "")
    assert "report.html" in out
    report, _ = framed.console("report").communicate()
    assert report.startswith("# ")
    assert "RTO" in report
    path, _ = framed.console("report", "latest", "--format", "html-path").communicate()
    assert Path(path.strip()).read_text().startswith("<!")
    run_id = Path(path.strip()).parent.name
    as_json, _ = framed.console("report", run_id, "--format", "json").communicate()
    assert json.loads(as_json)["status"] == "succeeded"


def test_the_console_lists_and_shows_procedures(trial: Trial) -> None:
    listed, _ = trial.console("list").communicate()
    assert [line.split()[0] for line in listed.splitlines()] == ["greet", "refuse", "beat", "login", "swap", "serve", "dump", "configured"]
    shown, _ = trial.console("show", "greet").communicate()
    assert "needs         folder" in shown
    assert "taken back by forget" in shown
    as_json, _ = trial.console("show", "beat", "--json").communicate()
    assert json.loads(as_json)["changes"] == "destroys"


def test_the_console_runs_and_its_exit_status_tells_how_it_went(trial: Trial) -> None:
    good = trial.console("run", "greet", "-i", str(trial.inventory), "-e", "greeting=good morning")
    out, err = good.communicate()
    assert (good.returncode, err) == (0, "")
    assert "changed     Write it down (app1" in out
    assert "\x1b" not in out
    assert (trial.folder / "greeting").read_text() == "good morning\n"
    failed = trial.console("run", "refuse", "-i", str(trial.inventory))
    out, err = failed.communicate()
    assert failed.returncode == 1
    assert "in the step 'Find the backup set' on app1: No backup set is there" in err
    assert len(err.splitlines()) == 1
    late = trial.console("run", "beat", "-i", str(trial.inventory), "--timeout", "3s")
    _, err = late.communicate()
    assert late.returncode == 3
    assert "3 s" in err


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "gret"],
        ["run", "greet", "-i", "/nowhere"],
        ["run", "greet", "-e", "hunter2"],
        ["run", "greet", "-e", "{hunter2"],
        ["run", "greet", "-e", "@/nowhere"],
        ["run", "greet", "--timeout", "soon"],
        ["report"],
    ],
    ids=" ".join,
)
def test_the_console_refuses_bad_input_with_one_message(trial: Trial, argv: list[str]) -> None:
    process = trial.console(*argv)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert "Traceback" not in err
    assert "hunter2" not in err
    assert err.splitlines()[-1].startswith("sre-runbooks")


def test_the_console_gives_the_result_as_json(trial: Trial) -> None:
    process = trial.console("run", "greet", "-i", str(trial.inventory), "--json")
    out, err = process.communicate()
    result = json.loads(out)
    assert (result["status"], result["hosts"]["app1"]["changed"]) == ("successful", 1)
    assert "Write it down" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_the_console_ends_the_whole_tree_and_says_where_the_traces_are(trial: Trial, number: signal.Signals) -> None:
    process = trial.console("run", "beat", "-i", str(trial.inventory))
    trial.wait_for("module")
    trial.wait_for("orphan")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "canceled" in err
    assert str(trial.state / "artifacts") in out
    assert not trial.still_beats("module")
    assert not trial.still_beats("orphan")


def test_on_a_terminal_progress_rewrites_one_line_and_in_a_log_it_does_not(trial: Trial) -> None:
    argv = [sys.executable, "-m", "sre_runbooks.cli", "run", "dump", "-i", str(trial.inventory)]
    leader, follower = pty.openpty()
    process = subprocess.Popen(argv, env=trial.environment(), stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    while process.poll() is None or select.select([leader], [], [], 0)[0]:
        if select.select([leader], [], [], 0.2)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break
    os.close(leader)
    assert process.wait() == 0
    assert b"\r\x1b[K" in shown
    assert b"Dumping reference: orders, 50.0 MB of 100.0 MB (50%)" in shown
    logged, _ = trial.console("run", "dump", "-i", str(trial.inventory)).communicate()
    assert "\r" not in logged
    assert logged.count("Dumping reference: orders") == 1
