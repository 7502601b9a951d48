# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service is lost and recovered, phase by phase, by the real playbook against a real server: gates, failures, kills, deadlines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import upload
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set, utc_now
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import start_of
from integration.object_store import running_store
from integration.playbook_runs import HOSTS, ROOT, Finished, Profile, picture
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
GO = ("-e", "confirm=trial")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with running_server() as one:
        yield one


class Service(Profile):
    """A service with one database, and what was in it."""

    def __init__(self, folder: Path, server: PostgresqlServer) -> None:
        super().__init__(folder, server)
        self.server = server
        self.content: dict[str, dict[str, object]] = {}
        self.variables = {
            "service_name": "trial",
            "service_components": [
                {"name": "api", "stateless": True, "rto_s": 1800, "rpo_s": 0},
                {"name": "database", "rto_s": 3600, "rpo_s": 3600},
            ],
            "restore_proofs": [{"name": "cases are there", "store": "reference", "query": "SELECT count(*) FROM cases", "fail_below": 1}],
            "recovery_verify_wait_s": 0,
            "restore_analyze": False,
        }
        self.store["component"] = "database"

    def hook(self, name: str, code: str = "", **more: t.Any) -> list[dict[str, t.Any]]:
        """A step that leaves a mark each time it runs, then does what `code` says."""
        mark = f"open({str(self.folder / name)!r}, 'a').write('x')"
        return [{"name": name, "command": [sys.executable, "-c", f"{mark}\n{code}"], **more}]

    def marks(self, name: str) -> int:
        """How often the step ran."""
        path = self.folder / name
        return len(path.read_text()) if path.exists() else 0

    def state_of(self) -> dict[str, t.Any]:
        """The newest recovery."""
        path = sorted((self.state / "recoveries").glob("REC-*/recovery.json"))[-1]
        return dict(json.loads(path.read_text()))

    def phases(self) -> dict[str, str]:
        """Phase -> status."""
        return {phase["name"]: phase["status"] for phase in self.state_of()["phases"]}

    def recover(self, *options: str) -> Finished:
        """Run the procedure."""
        return self.run("disaster_recovery", *GO, *options)


@pytest.fixture
def service(server: PostgresqlServer, tmp_path: Path) -> Service:
    """A service with a backup; then its database is lost."""
    if "reference" in server.names():
        server.connection.do('DROP DATABASE "reference" WITH (FORCE)')
    server.load_reference("reference")
    one = Service(tmp_path, server)
    back_up_logically(BackupRequest(server.connection, "reference", "reference", str(one.backups))).add_proof("proven")
    one.content = server.content("reference")
    server.connection.do('DROP DATABASE "reference" WITH (FORCE)')
    return one


def test_a_lost_service_is_recovered_phase_by_phase_and_what_is_done_is_not_done_again(
    service: Service, server: PostgresqlServer, tell: t.Callable[[str], None]
) -> None:
    broken = service.folder / "broken"
    broken.touch()
    code = f"import os, sys; sys.exit('the network is down' if os.path.exists({str(broken)!r}) else 0)"
    service.variables.update(
        recovery_infrastructure=service.hook("machines"), recovery_smoke=service.hook("smoke"), recovery_resume=service.hook("names", code)
    )
    (proof,) = service.variables["restore_proofs"]
    proof["fail_below"] = 10**9
    unwell = service.recover("-e", "recovery_confirmed=all")
    assert unwell.status != 0
    assert "proof: cases are there" in unwell.message
    assert service.phases() == {"assess": "done", "infrastructure": "done", "data": "done", "verify": "failed", "resume": "pending"}
    assert [service.marks(name) for name in ("machines", "smoke", "names")] == [1, 0, 0]
    restored = server.sql("SELECT oid FROM pg_database WHERE datname = 'reference'")
    proof["fail_below"] = 1
    failed = service.recover("-e", "recovery_confirmed=all")
    assert failed.status != 0
    assert "The step names failed" in failed.message
    assert "the network is down" in failed.message
    assert service.phases() == {"assess": "done", "infrastructure": "done", "data": "done", "verify": "done", "resume": "failed"}
    assert server.content("reference") == service.content
    broken.unlink()
    done = service.recover("-e", "recovery_confirmed=all")
    assert done.status == 0, done.output
    assert server.sql("SELECT oid FROM pg_database WHERE datname = 'reference'") == restored
    assert [service.marks(name) for name in ("machines", "smoke", "names")] == [1, 1, 2]
    assert service.state_of()["status"] == "complete"
    found = [one for one in service.records() if one["procedure"] == "disaster_recovery"][-1]["measurements"]
    assert 0 < found["rto_database_s"]["value"] < found["rto_api_s"]["value"] <= found["rto_s"]["value"]
    assert found["rto_database_s"]["target"] == 3600
    tell(f"disaster recovery of a service with one small database: the database after {found['rto_database_s']['value']:.1f} s")


def test_a_dead_host_of_the_database_does_not_stop_the_assessment(service: Service) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"db ansible_host=127.0.0.1 ansible_port={closed.getsockname()[1]} ansible_connection=ssh"
        (service.folder / "inventory" / "hosts.ini").write_text(HOSTS.replace("[postgresql]\nlocalhost", f"[postgresql]\n{dead}"))
        stopped = service.recover()
        (one,) = [read_set(str(service.backups / name)) for name in service.sets()]
        with running_store(service.folder / "s3") as store:
            upload(store, one)
            copied = service.recover("-e", json.dumps({"backup_offsite": vars(store), "recovery_again": "assess"}))
    for run in (stopped, copied):
        assert "Nobody has confirmed the phase infrastructure" in run.message, run.output
    assert "reference: UNKNOWN, as db could not be asked for its sets" in stopped.output
    assert f"reference: {one.id} (proven, " in copied.output and "old, off-site" in copied.output
    assert service.phases()["assess"] == "done"
    assert [(run["procedure"], run["status"]) for run in service.records()] == [("disaster_recovery", "failed")] * 2


def test_a_step_runs_on_the_host_that_it_names_and_one_that_hangs_is_ended_there_by_its_deadline(service: Service) -> None:
    account = service.server.account or "nobody"
    with (service.folder / "inventory" / "hosts.ini").open("a") as stream:
        stream.write("elsewhere ansible_connection=local ansible_become=true ansible_become_method=su")
        stream.write(f" ansible_become_user={account} ansible_python_interpreter=/usr/bin/python3\n")
    step: dict[str, t.Any] = {
        "name": "there",
        "command": ["sh", "-c", "id -un; echo '{{ no template }}' $WORD"],
        "on_host": "elsewhere",
    }
    step["environment"] = {"WORD": "okapi"}
    extra = service.folder / "hooks.yml"

    def recover(**changed: t.Any) -> Finished:
        (service.folder / "marks").unlink(missing_ok=True)
        hooks = [*service.hook("marks"), {**step, **changed}]
        extra.write_text(json.dumps({"recovery_infrastructure": hooks}).replace('"id -un', '!unsafe "id -un'))
        return service.recover("-e", f"@{extra}", "-e", "recovery_confirmed=infrastructure")

    hung = recover(command=["sleep", "7193"], deadline_s=4)
    assert "did not end within 4 s" in hung.message
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x007193" in path.read_bytes()]
    done = recover()
    assert "Nobody has confirmed the phase data" in done.message, done.output
    logs = sorted((service.state / "recoveries").glob("REC-*/*-there.log"), key=lambda path: path.stat().st_mtime)
    assert account in logs[-1].read_text()
    assert "{{ no template }} okapi" in logs[-1].read_text()


def test_without_anybody_who_says_go_it_stops_and_a_file_or_the_terminal_lets_it_go_on(service: Service) -> None:
    service.variables["recovery_infrastructure"] = service.hook("machines")
    stopped = service.recover()
    assert stopped.status != 0
    assert "Nobody has confirmed the phase infrastructure" in stopped.message
    assert service.marks("machines") == 0
    folder = service.state / "recoveries" / service.state_of()["id"]
    assert str(folder / "go-infrastructure") in stopped.message
    (folder / "go-infrastructure").touch()
    command, environment = service.command("disaster_recovery", *GO), t.cast("os._Environ[str]", service.environment())
    terminal = pexpect.spawn(command[0], command[1:], env=environment, cwd=str(ROOT), encoding="utf-8", timeout=60, dimensions=(50, 400))
    terminal.expect("begin the phase data[?] Type go")
    assert service.marks("machines") == 1
    terminal.send("go\r")
    terminal.expect("begin the phase verify[?] Type go")
    assert service.phases()["data"] == "done"
    terminal.send("why?\r")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus != 0
    assert "'why?' was typed, not 'go'" in terminal.before


def test_killed_while_it_restores_it_goes_on_where_it_was(service: Service, server: PostgresqlServer) -> None:
    service.variables["recovery_infrastructure"] = service.hook("machines")
    run = subprocess.Popen(
        service.command("disaster_recovery", *GO, "-e", "recovery_confirmed=all"),
        env=service.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_until("the restore has begun", lambda: any(one["procedure"] == "restore" for one in service.records()))
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until("all of it has ended", lambda: not marked(service.folder), 60, every_s=0.05)
    done = service.recover("-e", "recovery_confirmed=all")
    assert done.status == 0, done.output
    assert server.content("reference") == service.content
    assert service.marks("machines") == 1
    assert len(list((service.state / "recoveries").glob("REC-*"))) == 1, "it is the same recovery"
    assert not list((service.state / "recoveries").glob("*/.private-*"))


def test_check_mode_tells_what_would_be_done_and_changes_nothing(service: Service, server: PostgresqlServer) -> None:
    service.variables["recovery_infrastructure"] = service.hook("machines")
    before, names = picture(service.backups), server.names()
    (name,) = service.sets()
    done = service.recover("--check", "--diff")
    assert done.status == 0, done.output
    assert f"reference: {name} (proven, " in done.output
    assert f"machines: runs the command {sys.executable}" in done.output
    assert "Restore reference: runs the procedure restore" in done.output
    assert service.marks("machines") == 0
    assert server.names() == names
    assert picture(service.backups) == before
    assert not service.state.exists()


def test_a_store_without_any_set_stops_it_before_anything_is_touched(service: Service) -> None:
    service.variables.update(
        recovery_infrastructure=service.hook("machines"),
        backup_stores=[service.store, {**service.store, "name": "archive", "database": "archive"}],
    )
    done = service.recover("-e", "recovery_confirmed=all")
    assert done.status != 0
    assert "no usable backup set" in done.message
    assert "archive" in done.message
    assert service.marks("machines") == 0


def test_the_recovery_report_is_made_though_a_host_cannot_be_reached_and_is_never_good_then(service: Service) -> None:
    with (service.folder / "inventory" / "hosts.ini").open("a") as stream:
        stream.write("gone ansible_host=127.0.0.1 ansible_port=1\n")
    service.store.update(on_host="gone", pitr={})
    service.variables["schedule_entries"] = [{"procedure": "pitr_backup", "at": "every 60 min"}]
    done = service.run("recovery_report")
    assert done.status != 0
    assert "nobody could ask how far the archived log of reference reaches" in done.message
    assert "the backup sets of reference could not be looked at" in done.message
    assert list((service.state / "reports").rglob("*_recovery_report.html"))


def test_corrupted_data_is_found_table_by_table_and_recovered_from_before_the_damage_once_somebody_says_go(
    server: PostgresqlServer, service: Service
) -> None:
    server.load_reference("reference")
    content = server.content("reference")
    for folder in service.backups.glob("[!.]*"):
        shutil.rmtree(folder)
    request = BackupRequest(server.connection, "reference", "reference", str(service.backups))
    good = back_up_logically(request)
    good.add_proof("proven")
    server.sql("DELETE FROM documents WHERE id % 2 = 0; DROP TABLE attachments", "reference")
    wait_until("the next second", lambda: utc_now() > good.consistent_at)
    damaged = back_up_logically(request)
    damaged.add_proof("proven")
    service.variables.update(recovery_stop_writes=service.hook("stopped"), recovery_resume_writes=service.hook("resumed"))
    corruption = ("data_corruption", "-e", "confirm=reference")
    seen = service.run(*corruption, "-e", json.dumps({"recovery_set": f"before {damaged.consistent_at}"}))
    assert seen.status != 0
    assert f"Compared with {good.id}, which would be restored" in seen.output
    assert "Nobody has confirmed the phase restore" in seen.message
    said = " ".join(seen.output.split())
    assert "1 are missing (public.attachments)" in said
    assert "1 have fewer rows (public.documents)" in said
    assert "public.documents: fewer rows, rows 150 in the set, 75 now" in said
    assert (service.marks("stopped"), service.marks("resumed")) == (1, 0)
    (proof,) = service.variables["restore_proofs"]
    proof["fail_below"] = 10**9
    unwell = service.run(*corruption, "-e", "recovery_confirmed=restore,resume")
    assert unwell.status != 0
    assert (service.phases()["verify"], service.phases()["resume"]) == ("failed", "pending")
    assert (service.marks("stopped"), service.marks("resumed")) == (2, 0), "writes stay stopped, and are in every run"
    assert server.content("reference") == content
    restored = server.sql("SELECT oid FROM pg_database WHERE datname = 'reference'")
    proof["fail_below"] = 1
    done = service.run(*corruption, "-e", "recovery_confirmed=resume")
    assert done.status == 0, done.output
    assert server.sql("SELECT oid FROM pg_database WHERE datname = 'reference'") == restored
    assert (service.marks("stopped"), service.marks("resumed")) == (3, 1)
    assert service.state_of()["status"] == "complete"


def marked(folder: Path) -> list[int]:
    """Processes that name a folder on their command line, servers apart."""
    found = []
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            continue
        if str(folder) in line and start_of(pid):
            found.append(pid)
    return found
