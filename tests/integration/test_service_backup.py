# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All stores of a service are backed up together: on several hosts, with writes held, and what fails is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.checking import SEAL_FILES
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import prune, select, verify
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.prune import Keep
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set, utc_now
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.tests.unit.small_sets import make_set
from integration.playbook_runs import Profile, finish, start
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

LOCAL = 'ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"'


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """The server of all stores."""
    with running_server() as running:
        running.load_reference("reference", 1)
        running.sql("CREATE DATABASE billing")
        running.sql("CREATE TABLE invoices AS SELECT generate_series(1, 1000) AS id", "billing")
        yield running


@pytest.fixture
def profile(tmp_path: Path, server: PostgresqlServer) -> Profile:
    """A service with one store on its main host and one on another."""
    made = Profile(tmp_path, server)
    hosts = made.folder / "inventory" / "hosts.ini"
    hosts.write_text(f"[operator]\nlocalhost {LOCAL}\n[postgresql]\nlocalhost\n[app]\nsecond {LOCAL}\n")
    made.variables["service_name"] = "clinic"
    made.variables["backup_stores"] = [made.store, {**made.store, "name": "billing", "database": "billing", "on_host": "second"}]
    return made


def service_sets(profile: Profile) -> list[dict[str, Any]]:
    """The service sets, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted((profile.backups / "services").glob("*.json"))]


def test_stores_of_two_kinds_on_two_hosts_are_backed_up_and_one_record_says_which_sets_belong_together(profile: Profile) -> None:
    (profile.folder / "configuration").mkdir()
    (profile.folder / "configuration" / "clinic.ini").write_text("[clinic]\n")
    profile.variables["backup_stores"].append({"kind": "files", "name": "settings", "paths": [str(profile.folder / "configuration")]})
    done = profile.run("backup")
    assert done.status == 0, done.output
    (record,) = service_sets(profile)
    assert record["complete"] is True and record["consistent"] is False and record["service"] == "clinic"
    assert [(one["store"], one["host"], one["elsewhere"]) for one in record["members"]] == [
        ("reference", "localhost", False),
        ("settings", "localhost", False),
        ("billing", "second", True),
    ]
    assert sorted(one["set"] for one in record["members"]) == profile.sets()
    assert {read_set(str(profile.backups / name)).state for name in profile.sets()} == {"verified"}
    (run,) = profile.records()
    assert run["status"] == "succeeded" and run["target"] == "clinic"
    assert {"billing_backup_s", "reference_size_bytes", "size_bytes"} <= set(run["measurements"])


def test_a_host_that_waits_keeps_the_other_host_from_nothing(profile: Profile, server: PostgresqlServer) -> None:
    lock = subprocess.Popen(
        [str(Path(server.tools) / "psql"), "-X", "-q", "-d", "reference"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**profile.environment(), **login(server)},
        text=True,
    )
    assert lock.stdin is not None and lock.stdout is not None
    try:
        lock.stdin.write("BEGIN; LOCK TABLE documents IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n")
        lock.stdin.flush()
        assert lock.stdout.readline() == "locked\n"
        running = started(profile)
        wait_until("the set of billing is there", lambda: [name for name in profile.sets() if "-billing-" in name], 60, run=running)
        assert not [name for name in profile.sets() if "-reference-" in name]
    finally:
        lock.kill()
        lock.communicate()
    done = finish(running)
    assert done.status == 0, done.output
    assert service_sets(profile)[0]["complete"] is True


def started(profile: Profile) -> subprocess.Popen[str]:
    """A backup that has begun."""
    return start(profile.command("backup"), profile.environment())


def login(server: PostgresqlServer) -> dict[str, str]:
    """How a client of libpq reaches the server."""
    return {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres", "PGPASSWORD": server.password}


def holding(profile: Profile) -> Path:
    """Let the profile hold writes by commands that note what they did in a file, and in those that are appended; returns that file."""
    noted = profile.folder / "held.txt"
    note = [sys.executable, "-c", "import sys; [open(f, 'a').write(sys.argv[2] + '\\n') for f in (sys.argv[1], *sys.argv[3:])]", str(noted)]
    profile.variables["backup_quiesce_host"] = "localhost"
    profile.variables["backup_quiesce"] = [
        {"name": "orders", "hold": {"command": [*note, "hold orders"]}, "release": {"command": [*note, "release orders"]}},
        {"name": "jobs", "hold": {"command": [*note, "hold jobs"]}, "release": {"command": [*note, "release jobs"]}},
    ]
    return noted


def test_writes_are_held_meanwhile_so_that_all_sets_show_one_moment_and_are_released_when_a_store_fails(profile: Profile) -> None:
    noted = holding(profile)
    profile.variables["backup_stores"][1]["database"] = "no_such_database"
    done = profile.run("backup")
    assert done.status == 2
    assert "Not backed up: billing." in done.message and "no_such_database" in done.message and "Traceback" not in done.output
    (good,) = profile.sets()
    assert f"The sets of the others are good and stay: {good}." in done.message
    assert noted.read_text().split("\n") == ["hold orders", "hold jobs", "release jobs", "release orders", ""]
    (record,) = service_sets(profile)
    assert record["complete"] is False and [one["store"] for one in record["failed"]] == ["billing"]
    assert record["consistent"] is True and record["held"]["what"] == ["orders", "jobs"] and record["spread_s"] == 0
    assert [run["status"] for run in profile.records()] == ["failed"]


def test_what_a_killed_run_left_held_is_released_by_the_next_even_for_other_stores(profile: Profile) -> None:
    noted = holding(profile)
    profile.variables["backup_quiesce"][0]["stores"] = ["reference"]
    running = started(profile)
    wait_until("jobs are held", lambda: "hold jobs" in noted.read_text(), 60, run=running)
    running.kill()
    running.communicate()
    assert "release" not in noted.read_text()
    done = profile.run("backup", "-e", "backup_store=billing")
    assert done.status == 0, done.output
    assert "an earlier run left held: orders, jobs; it was released first" in done.output
    both = ["hold orders", "hold jobs", "release jobs", "release orders"]
    assert noted.read_text().splitlines() == [*both, "hold jobs", "release jobs"]
    assert not list((profile.state / "held").iterdir())


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("hold", "its host could not be reached"),
        ("release", "The host main could not be reached any more. Next: see whether it runs and answers"),
    ],
)
def test_a_main_host_lost_while_sets_are_taken_or_checked_is_told_and_what_was_held_is_released(
    profile: Profile, when: str, said: str
) -> None:
    lost = profile.folder / "lost"
    noted = holding(profile)
    profile.variables["backup_quiesce_host"] = "second"
    profile.variables["backup_quiesce"][1][when]["command"].append(str(lost))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        # It is reached here until the writes are held or released, and from then on by SSH, where nothing answers.
        gone = f"ansible_host=127.0.0.1 ansible_port={closed.getsockname()[1]}"
        way = f"ansible_connection=\"{{{{ 'ssh' if '{lost}' is exists else 'local' }}}}\""
        hosts = f"[operator]\nlocalhost {LOCAL}\n[postgresql]\nmain {LOCAL.split(' ', 1)[1]} {gone} {way}\n[app]\nsecond {LOCAL}\n"
        (profile.folder / "inventory" / "hosts.ini").write_text(hosts)
        done = profile.run("backup")
    assert done.status == 2, done.output
    assert f"Not backed up: reference. reference: {said}" in done.message
    assert noted.read_text().split("\n") == ["hold orders", "hold jobs", "release jobs", "release orders", ""]
    (good,) = [name for name in profile.sets() if "-billing-" in name]
    assert f"The sets of the others are good and stay: {good}." in done.message and state(profile, good) == "verified"
    assert "It could not be noted which sets belong together: " in done.message
    assert [(run["procedure"], run["status"]) for run in profile.records()] == [("backup", "failed")]


def test_on_a_day_that_the_schedule_does_not_mean_nothing_at_all_is_done(profile: Profile) -> None:
    noted = holding(profile)
    other_day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
    schedule = {"name": "weekly", "at": f"{other_day} 02:00", "look": True}
    offsite = {"bucket": "none", "endpoint": "http://127.0.0.1:9"}
    done = profile.run("backup", "-e", json.dumps({"procedure_schedule": schedule, "backup_offsite": offsite}))
    assert done.status == 0, done.output
    assert "which is not today" in done.output
    assert not noted.exists() and not profile.backups.exists()
    assert profile.records() == []


def test_a_pruning_or_a_list_of_sets_that_fails_is_the_outcome_of_the_run(profile: Profile) -> None:
    profile.variables["backup_stores"] = [profile.store]
    done = profile.run("backup", "-e", "backup_time_zone=Nowhere/None")
    assert done.status == 2 and "Nowhere/None" in done.message and "localhost: " in done.message, done.output
    assert len(profile.sets()) == 1
    profile.backups.rename(profile.folder / "aside")
    profile.backups.touch()
    listed = profile.run("backup_verify")
    assert listed.status == 2 and "Not a directory" in listed.message, listed.output
    assert [(run["procedure"], run["status"]) for run in profile.records()] == [("backup", "failed"), ("backup_verify", "failed")]


def test_a_step_that_cannot_be_held_stops_the_backup_and_releases_the_others(profile: Profile) -> None:
    noted = holding(profile)
    profile.variables["backup_quiesce"][1]["hold"] = {"url": "http://127.0.0.1:9/hold", "token": "hold-me-tight"}
    done = profile.run("backup")
    assert done.status == 2 and "jobs could not be held" in done.message and "hold-me-tight" not in done.output
    assert noted.read_text().split("\n") == ["hold orders", "release jobs", "release orders", ""]
    assert profile.sets() == []


def test_a_set_that_verifies_but_does_not_restore_is_marked_failed_reported_and_passed_over(
    profile: Profile, server: PostgresqlServer
) -> None:
    profile.variables["backup_stores"] = [profile.store]
    request = BackupRequest(server.connection, "reference", "reference", str(profile.backups))
    earlier = back_up_logically(request)
    wait_until("the next second", lambda: utc_now() > earlier.consistent_at)
    good, wrong = earlier.id, back_up_logically(request).id
    wrong_dump(profile, server, wrong)
    for name in (good, wrong):
        assert verify(read_set(str(profile.backups / name)))["changed"], "its files are what its manifest says"
    proved = profile.run("backup_verify", "-e", "backup_verify_all=true", "-e", "backup_verify_prove=true")
    assert proved.status == 2
    assert f"1 of 2 backup sets were found wanting. {wrong}:" in proved.message and f"Good: {good}." in proved.message
    assert (state(profile, good), state(profile, wrong)) == ("proven", "failed")
    assert profile.records()[-1]["status"] == "failed"
    chosen = profile.run("restore", "--check", "--diff", "-e", "confirm=reference")
    assert chosen.status == 0, chosen.output
    assert f"restore {good} into the new database reference_restoring_" in chosen.output
    passed_over = select(str(profile.backups), Wanted(store="reference"), None, dry_run=True)["passed_over"]
    assert passed_over == [f"{wrong}: failed its last check"]


def state(profile: Profile, name: str) -> str:
    """How far a set is proven."""
    return read_set(str(profile.backups / name)).state


def wrong_dump(profile: Profile, server: PostgresqlServer, name: str) -> None:
    """Make the dump of a set anew, of other rows, and seal it with right checksums: its files are intact, and it is wrong."""
    folder = profile.backups / name
    manifest = json.loads((folder / "manifest.json").read_text())
    server.sql("CREATE DATABASE wrong TEMPLATE reference")
    server.sql("UPDATE documents SET title = title || '!' WHERE id = (SELECT min(id) FROM documents)", "wrong")
    shutil.rmtree(folder / "dump")
    options = ["--format=directory", f"--file={folder / 'dump'}", "wrong"]
    subprocess.run([str(Path(server.tools) / "pg_dump"), *options], env={**os.environ, **login(server)}, check=True)
    server.sql("DROP DATABASE wrong")
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in SEAL_FILES]
    manifest["files"] = [
        {
            "path": str(path.relative_to(folder)),
            "size_bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
    ]
    text = (json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    (folder / "manifest.json").write_bytes(text)
    (folder / "manifest.json.sha256").write_text(f"{hashlib.sha256(text).hexdigest()}  manifest.json\n")


def test_a_pruning_lists_every_set_with_its_reason_as_its_rehearsal_does(profile: Profile) -> None:
    profile.variables["backup_stores"] = [profile.store]
    sets = [make_set(profile.backups, at=f"2020-0{month}-01T00:00:00Z") for month in range(1, 6)]
    sets[0].add_proof("proven")
    profile.variables.update(backup_keep_last=1, backup_keep_days=0, backup_keep_monthly=2)
    told = prune(str(profile.backups), Keep(last=1, days=0, monthly=2), dry_run=True)["listing"]
    assert len(profile.sets()) == 5
    expected = [
        f"stays {sets[4].id} (written, 5036 bytes): the newest good set always stays",
        f"stays {sets[3].id} (written, 5036 bytes): the newest of its month (2020-04), of which 2 are kept",
        f"goes  {sets[2].id} (written, 5036 bytes): older than 0 days and not one of the newest 1, "
        "nor the newest of one of the last 2 months with a set",
        f"stays {sets[0].id} (proven, 5036 bytes): the newest proven set always stays",
    ]
    assert [line for line in expected if line not in told] == [], told
    done = profile.run("backup_prune", "--diff")
    assert done.status == 0, done.output
    said = " ".join(done.output.split())
    assert [line for line in told if " ".join(line.split()) not in said] == [], done.output
    assert profile.sets() == sorted([sets[0].id, sets[3].id, sets[4].id])
    assert profile.records()[-1]["measurements"]["freed_bytes"]["value"] == 2 * sets[2].size_bytes
