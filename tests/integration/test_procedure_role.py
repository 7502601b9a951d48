# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role procedure in real ansible-playbook runs: it succeeds, fails, is rehearsed, refused, killed, nested."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from integration.playbook_runs import PROGRAMS, ROOT
from integration.procedure_trial import Trial

SECRET = "correct-horse-battery"

SLOW = (
    "import json, os, time\n"
    "for n in range(30):\n"
    "    line = dict(work='Dumping reference', step='', done=n * 1e7, total=3e8, unit='bytes', time=time.time())\n"
    "    open(os.environ['SRE_RUNBOOKS_PROGRESS_FILE'], 'a').write(json.dumps(line) + chr(10))\n"
    "    time.sleep(0.1)\n"
)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_a_run_that_succeeds_shows_its_progress_names_its_report_and_leaves_its_record(trial: Trial) -> None:
    done = trial.run("-e", json.dumps({"trial_code": SLOW}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Began RUN-\d{8}T\d{6}Z-trial-[0-9a-f]{4}, with the lease on postgresql:reference until ", done.stderr)
    shown = re.findall(r"^  … Dumping reference: (\d+) of 300 MB(?:, \d s)?$", done.stderr, re.MULTILINE)
    assert "…" not in done.stdout
    (record,) = trial.records()
    assert 1 <= len(shown) <= record["steps"][0]["duration_s"], "a line a second at most, of the thirty that were written"
    assert (record["status"], record["profile"], record["title"]) == ("succeeded", "inventory", "Try it")
    assert [(step["name"], step["status"]) for step in record["steps"]] == [
        ("Work a little", "ok"),
        ("Work more", "ok"),
        ("Check the work", "ok"),
    ]
    assert record["steps"][0]["duration_s"] > 2.5
    assert record["steps"][2]["facts"]["stdout"] == "nothing"
    assert record["measurements"]["rto_s"] == {"value": 12.25, "target": 3600, "unit": "s", "better": "lower", "met": True}
    assert set(record["versions"]) == {"ansible-core", "sre.runbooks", "Python"}
    assert f"Report: {trial.state}/runs/{record['run_id']}/report.md" in done.stderr
    assert trial.leases() == []
    assert not list((trial.folder / "tmp").glob("sre-runbooks-*"))


def test_a_step_that_fails_is_told_word_for_word_recorded_and_frees_the_lease(trial: Trial) -> None:
    done = trial.run("-e", "broken=true")
    assert done.returncode == 2
    last = done.stdout.rpartition("TASK [")[2]
    assert "msg: 'Work more: The pump is dry'" in last
    assert len(last.splitlines()) < 20
    assert "Traceback" not in done.stdout + done.stderr
    (record,) = trial.records()
    assert record["status"] == "failed"
    assert record["error"]["step"] == "Work more"
    assert [(step["name"], step["status"]) for step in record["steps"]] == [
        ("Work a little", "ok"),
        ("Work more", "failed"),
        ("Check the work", "not reached"),
    ]
    assert record["steps"][0]["facts"]["rc"] == 0
    assert "report.md" in done.stderr
    assert trial.leases() == []


def test_check_mode_writes_nothing_at_all_and_tells_what_the_real_run_will_ask_for(trial: Trial) -> None:
    done = trial.run("--check", "--diff", "-e", "destroys=true")
    assert done.returncode == 0, done.stdout
    assert "The real run will ask for confirmation: -e confirm=reference" in done.stdout + done.stderr
    assert "the lease on postgresql:reference is free" in done.stderr
    assert not trial.state.exists()


def test_what_destroys_and_is_not_confirmed_stops_before_the_first_step_with_what_to_type(trial: Trial) -> None:
    done = trial.run("-e", "destroys=true", "-e", "confirm=production")
    assert done.returncode == 2
    assert "TASK [Work a little]" not in done.stdout
    said = " ".join(done.stdout.rpartition("TASK [")[2].split())
    assert "-e confirm=reference" in said
    assert "''production'' was confirmed instead" in said
    assert not trial.state.exists()
    assert trial.run("-e", "destroys=true", "-e", "confirm=reference").returncode == 0


def test_an_unknown_kind_of_value_is_refused_before_the_lease_is_taken(trial: Trial) -> None:
    done = trial.run("-e", "procedure_lease_s=soon")
    assert done.returncode == 2
    assert "procedure_lease_s" in done.stdout
    assert not trial.state.exists()


def until_there(file: Path) -> str:
    """Work that lasts until the test says that it is enough."""
    return f"import os, time\nwhile not os.path.exists({str(file)!r}): time.sleep(0.05)"


def test_two_runs_at_once_one_works_and_the_other_is_told_who_does(trial: Trial, tmp_path: Path) -> None:
    over = tmp_path / "over"
    first = trial.start("-e", json.dumps({"trial_code": until_there(over)}))
    trial.wait_for_lease(first)
    second = trial.run()
    rehearsed = trial.run("--check")
    assert (second.returncode, rehearsed.returncode) == (2, 2)
    (running,) = trial.records()
    for refused in (second, rehearsed):
        said = " ".join(refused.stdout.split())
        assert "Another run works on postgresql:reference" in said
        assert f"-e procedure_takeover={running['run_id']}" in said
        assert "TASK [Work a little]" not in refused.stdout
    over.touch()
    assert first.wait(60) == 0
    assert [record["status"] for record in trial.records()] == ["succeeded"]


def test_a_run_killed_with_signal_9_frees_its_lease_at_once_and_is_marked_as_abandoned(trial: Trial) -> None:
    killed = trial.start("-e", json.dumps({"trial_code": "import time; time.sleep(60)"}))
    trial.wait_for_lease(killed)
    time.sleep(1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = trial.run()
    assert done.returncode == 0, done.stdout
    assert "as abandoned: its process" in " ".join((done.stdout + done.stderr).split())
    assert [record["status"] for record in trial.records()] == ["abandoned", "succeeded"]
    assert trial.leases() == []
    assert not list((trial.folder / "tmp").glob("sre-runbooks-*"))


def test_naming_a_run_breaks_its_lease_and_the_loser_tells_that_it_lost_it(trial: Trial, tmp_path: Path) -> None:
    over = tmp_path / "over"
    first = trial.start("-e", json.dumps({"trial_code": until_there(over)}))
    trial.wait_for_lease(first)
    (running,) = trial.records()
    done = trial.run("-e", f"procedure_takeover={running['run_id']}")
    assert done.returncode == 0, done.stdout
    over.touch()
    assert first.wait(60) == 0
    lost, won = trial.records()
    assert "as asked" in won["decisions"][0]
    assert lost["status"] == "succeeded"


def test_on_several_hosts_there_is_one_run_and_a_failure_on_one_ends_it_as_failed(trial: Trial) -> None:
    assert trial.run("-e", "trial_hosts=db1:db2").returncode == 0
    done = trial.run("-e", "trial_hosts=db1:db2", "-e", "broken=true")
    assert done.returncode == 2
    good, bad = trial.records()
    assert (good["status"], bad["status"]) == ("succeeded", "failed")
    assert good["steps"][0]["hosts"] == ["db1", "db2"]
    each = sorted((step for step in good["steps"] if step["name"] == "Check the work"), key=lambda step: step["hosts"])
    assert [(step["hosts"], step["facts"]["stdout"], step["duration_s"] > 0) for step in each] == [
        (["db1"], "nothing", True),
        (["db2"], "nothing", True),
    ]
    report = next(path for path in trial.state.rglob("report.md") if good["run_id"] in str(path)).read_text()
    assert "Check the work (db2)" in report.replace("\\", "")
    assert bad["error"]["message"] == "Work more: The pump is dry"
    assert bad["error"]["host"] == "db2"
    assert "msg: 'Work more: The pump is dry'" in done.stdout.rpartition("TASK [")[2]
    assert trial.leases() == []


def test_a_procedure_made_of_procedures_has_a_record_for_each_and_shares_the_lease(trial: Trial) -> None:
    begin = "ansible.builtin.import_role: {name: sre.runbooks.procedure, tasks_from: begin}"
    finish = "ansible.builtin.import_role: {name: sre.runbooks.procedure, tasks_from: finish}"
    (trial.folder / "outer.yml").write_text(f"""
- name: Begin the drill
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Begin
      {begin}
      vars: {{procedure_name: rehearsal, procedure_resource: ["postgresql:reference", stack]}}
- name: The procedure inside
  ansible.builtin.import_playbook: trial.yml
  vars: {{trial_hosts: db1}}
- name: Finish the drill
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Finish
      {finish}
""")
    done = trial.run(playbook="outer.yml")
    assert done.returncode == 0, done.stdout
    outer, inner = trial.records()
    assert (outer["procedure"], inner["procedure"]) == ("rehearsal", "trial")
    assert (outer["status"], inner["status"]) == ("succeeded", "succeeded")
    assert [step["name"] for step in outer["steps"]] == ["Work a little", "Work more", "Check the work"]
    assert "of which this is a part" in inner["decisions"][0]
    assert trial.leases() == []


def test_no_secret_reaches_the_state_folder_not_even_when_a_step_prints_it(trial: Trial) -> None:
    assert trial.run("-e", f"trial_secret={SECRET}").returncode == 0
    (record,) = trial.records()
    assert record["steps"][2]["facts"]["stdout"] == "********"
    assert [path for path in trial.state.rglob("*") if path.is_file() and SECRET in path.read_text()] == []


def test_an_operator_host_that_is_not_this_one_is_reached_by_the_module(trial: Trial) -> None:
    plugins = trial.folder / "connection_plugins"
    plugins.mkdir()
    (plugins / "distant.py").write_text(
        "from ansible.plugins.connection.local import Connection as Local\n"
        "DOCUMENTATION = 'name: distant\\nshort_description: as if far away\\ndescription: as if far away\\noptions: {}\\n'\n"
        "class Connection(Local):\n    transport = 'distant'\n"
    )
    options = ["-e", "procedure_operator=db2", "-e", "trial_secret=" + SECRET]
    (trial.folder / "inventory" / "host_vars").mkdir()
    (trial.folder / "inventory" / "host_vars" / "db2.yml").write_text("ansible_connection: distant\n")
    done = trial.run(*options)
    assert done.returncode == 0, done.stdout + done.stderr
    failed = trial.run(*options, "-e", "broken=true")
    assert "msg: 'Work more: The pump is dry'" in failed.stdout.rpartition("TASK [")[2]
    good, bad = trial.records()
    assert (good["status"], bad["status"]) == ("succeeded", "failed")
    assert [step["name"] for step in good["steps"]] == ["Work a little", "Work more", "Check the work"]
    assert trial.leases() == []


def test_without_the_callback_plugin_the_record_holds_the_results_that_it_was_given(trial: Trial) -> None:
    plain = trial.folder / "ansible.cfg"
    plain.touch()
    done = trial.run(ANSIBLE_CONFIG=str(plain), ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"))
    assert done.returncode == 0, done.stdout
    (record,) = trial.records()
    assert [(step["name"], step["status"]) for step in record["steps"]] == [
        ("Work a little", "ok"),
        ("Work more", "ok"),
        ("Check the work", "ok"),
    ]
    assert "Report:" not in done.stdout + done.stderr


def test_a_lock_taken_by_hand_keeps_procedures_away_until_it_is_given_back(trial: Trial) -> None:
    def lock(operation: str, *options: str) -> dict[str, Any]:
        arguments = f"operation={operation} resource=postgresql:reference holder=freeze reason='a change freeze'"
        done = subprocess.run(
            [
                str(PROGRAMS / "ansible"),
                "localhost",
                "-i",
                str(trial.folder / "inventory"),
                "-m",
                "sre.runbooks.procedure_lock",
                "-a",
                arguments,
                *options,
            ],
            cwd=ROOT,
            env=trial.environment(ANSIBLE_CALLBACK_RESULT_FORMAT="json"),
            capture_output=True,
            text=True,
            timeout=60,
        )
        found: dict[str, Any] = json.loads(done.stdout.partition("=>")[2])
        return found

    assert lock("acquire", "--check")["changed"] is True
    assert not trial.state.exists()
    assert lock("acquire")["lease"]["holder"] == "freeze"
    assert lock("acquire")["changed"] is False
    refused = trial.run()
    assert refused.returncode == 2
    assert "a change freeze" in refused.stdout
    assert lock("renew")["changed"] is True
    assert lock("release")["changed"] is True
    assert lock("release")["changed"] is False
    assert trial.run().returncode == 0
