# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server in a real pod, reached by `kubectl exec`: backed up, restored, put back, missed, killed.

Runs where SRE_RUNBOOKS_TEST_POD names a pod (`namespace/pod`; kubectl's own configuration applies) whose server lets the superuser
`postgres` in on 127.0.0.1:5432: without a password, or with SRE_RUNBOOKS_TEST_POD_PASSWORD, which lies in a password file in the pod
meanwhile. It makes databases whose names begin with `sre_runbooks_pod`, and drops them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.command import Command, Place, run
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.base_backup import back_up_physically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection, Session, identifier
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.fingerprint import TableHasher, tables
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, restore_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.server_info import server_info
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.undo import undo
from integration.faults import FEWER, Operation, Series, naming, own_process
from integration.playbook_runs import Profile
from integration.postgresql_server import SCHEMA
from integration.test_secrets import Watcher
from tools.waiting import wait_until

NAMESPACE, _slash, NAME = os.environ.get("SRE_RUNBOOKS_TEST_POD", "").rpartition("/")
PASSWORD = os.environ.get("SRE_RUNBOOKS_TEST_POD_PASSWORD", "")
DATABASE = "sre_runbooks_pod"
DAMAGE = "DROP TABLE billing.invoices; DELETE FROM documents WHERE id % 3 = 0; ALTER TABLE clients DROP COLUMN email CASCADE"
OURS = "PGAPPNAME=sre.runbooks"
ROUNDS = max(FEWER // 2, 1)
PUT_PASSWORD_FILE = "umask 077; if [ -e ~/.pgpass ]; then echo there; else cat > ~/.pgpass; fi"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NAME, reason="SRE_RUNBOOKS_TEST_POD=namespace/pod names no pod with a PostgreSQL server in it"),
]


class Pod:
    """The server in the pod."""

    place = Place(pod=NAME, namespace=NAMESPACE)
    connection = Connection(host="127.0.0.1", place=place)

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run SQL as the superuser and return what it prints."""
        return self.connection.ask(text, database=database).strip()

    def names(self) -> set[str]:
        """The databases that the test made."""
        return set(self.sql(f"SELECT datname FROM pg_database WHERE datname LIKE '{DATABASE}%'").splitlines())

    def content(self, database: str = DATABASE) -> dict[str, dict[str, object]]:
        """Rows and row hashes of every table."""
        hasher = TableHasher(self.connection, database, server_info(self.connection).version_num, jobs=1)
        with Session(self.connection, database) as session:
            for table in tables(session):
                hasher.add(table)
        return hasher.finish()

    def clear(self) -> None:
        """Drop what the test made."""
        for name in self.names():
            self.sql(f"DROP DATABASE {identifier(name)} WITH (FORCE)")

    def load(self, megabytes: int = 2) -> None:
        """The reference database, made anew; its unlogged table, which no backup could promise, becomes a logged one."""
        self.clear()
        self.sql(f"CREATE DATABASE {DATABASE}")
        for name in ("schema.sql", "data.sql"):
            command = self.connection.command("psql", "-qX", "-v", f"megabytes={megabytes}", "-f", "-", database=DATABASE)
            run(command, stdin=(SCHEMA / name).read_text())
        self.sql("ALTER TABLE session_cache SET LOGGED", DATABASE)

    def request(self, folder: Path, **changed: t.Any) -> BackupRequest:
        """A backup of the reference database, of this server or one that differs from it in its place."""
        place = replace(self.place, **changed)
        return BackupRequest(replace(self.connection, place=place), DATABASE, "in-a-pod", str(folder))


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    """The pod with the reference database; afterwards it is as it was."""
    one, line = Pod(), "127.0.0.1:5432:*:postgres:" + PASSWORD.replace("\\", "\\\\").replace(":", "\\:") + "\n"
    made = bool(PASSWORD) and not run(Command(["sh", "-c", PUT_PASSWORD_FILE], place=one.place), stdin=line).stdout
    try:
        one.load()
        yield one
        one.clear()
    finally:
        if made:
            run(Command(["sh", "-c", "rm ~/.pgpass"], place=one.place))


def calls() -> list[str]:
    """The calls of kubectl that the library has made and that run."""
    return list(naming("kubectl", OURS).values())


def test_a_database_is_backed_up_damaged_restored_and_put_back_and_no_command_line_shows_the_password(pod: Pod, tmp_path: Path) -> None:
    before = pod.content()
    with Watcher([PASSWORD or "there is no password"]) as watcher:
        taken = back_up_logically(pod.request(tmp_path))
        assert taken.problems() == []
        assert {name: table["rows"] for name, table in taken.manifest["fingerprint"]["tables"].items()} == {
            name: table["rows"] for name, table in before.items()
        }
        pod.sql(DAMAGE, DATABASE)
        damaged = pod.content()
        result = restore_logically(RestoreRequest(pod.connection, DATABASE, taken))
        assert result["comparison"]["differences"] == []
        assert result["comparison"]["unknown"] == []
        assert result["notes"] == []
        assert pod.content() == before
        assert pod.names() == {DATABASE, result["kept_as"]}
        undone = undo(pod.connection, DATABASE)
        assert pod.content() == damaged
        assert pod.names() == {DATABASE, undone["kept_as"]}
        restore_logically(RestoreRequest(pod.connection, DATABASE, taken, analyze=False))
        assert pod.content() == before
    assert watcher.looks > 100
    assert any(name.startswith("kubectl") for name in watcher.programs), "the watcher missed the calls"
    assert watcher.told == []


def test_a_password_that_would_have_to_be_shown_is_refused_before_anything_is_called(pod: Pod, tmp_path: Path) -> None:
    connection = replace(pod.connection, password="Zebra7Quokka")
    with Watcher() as watcher, pytest.raises(BadInput, match="cannot be passed into a pod") as refused:
        back_up_logically(BackupRequest(connection, DATABASE, "in-a-pod", str(tmp_path)))
    assert "password file that is in the pod" in refused.value.message
    assert "Zebra7Quokka" not in refused.value.message
    assert watcher.told == []
    assert list(tmp_path.iterdir()) == []


def test_the_whole_server_is_streamed_out_of_the_pod(pod: Pod, tmp_path: Path) -> None:
    if pod.sql("SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user") != "t":
        pytest.skip("the role may not replicate")
    taken = back_up_physically(pod.request(tmp_path))
    assert taken.problems() == []
    with tarfile.open(taken.path("base.tar.gz")) as archive:
        sizes = {entry.name: entry.size for entry in archive if entry.isfile()}
        text = t.cast("t.IO[bytes]", archive.extractfile("backup_manifest")).read()
    checked, mark, checksum = text.partition(b'"Manifest-Checksum"')
    assert mark and hashlib.sha256(checked).hexdigest().encode() in checksum
    listed = {entry["Path"]: entry["Size"] for entry in json.loads(text)["Files"]}
    assert len(listed) > 500
    assert {path: sizes.get(path) for path in listed} == listed
    assert [path for path in sizes if path.startswith("pg_wal/0000")], "the log that makes the copy consistent is missing"


WRONG: dict[str, tuple[dict[str, t.Any], str, str]] = {
    # what is wrong in the place, part of the cause, part of the next step
    "no such pod": ({"pod": "no-such-pod"}, "not found", "pod"),
    "no such namespace": ({"namespace": "no-such-namespace"}, "not found", "namespace"),
    "no such container": ({"pod_container": "no-such-container"}, "no-such-container", "pod_container"),
    "no such context": ({"context": "no-such-context"}, "no-such-context", "kube_context"),
    "no such program": ({"tool_folder": "/no/such/folder"}, "/no/such/folder/psql", "installed there"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_there_gives_one_clear_message_and_changes_nothing(what: str, pod: Pod, tmp_path: Path) -> None:
    changed, why, next_step = WRONG[what]
    request = pod.request(tmp_path, **changed)
    operations: list[Callable[[], object]] = [
        lambda: back_up_logically(request),
        lambda: back_up_physically(request),
        lambda: undo(request.connection, DATABASE),
    ]
    before = pod.names()
    for operation in operations:
        with pytest.raises(RunbookError) as found:
            operation()
        message = found.value.message
        assert str(request.connection.place) in message
        assert why in found.value.why and next_step in found.value.next_step
        assert "command terminated" not in message and "Defaulted container" not in message and len(message) < 500
        assert found.value.message.count("Next:") == 1
    assert list(tmp_path.iterdir()) == []
    assert pod.names() == before


def test_the_playbooks_work_through_the_pod_and_say_what_is_not_there(pod: Pod, tmp_path: Path) -> None:
    nowhere: t.Any = SimpleNamespace(port=5432, password="", tools="", data="", folder=tmp_path)
    profile = Profile(tmp_path, nowhere, DATABASE)
    kept = ("kind", "name", "database", "rto_s", "rpo_s", "login_host")
    profile.store = {key: profile.store[key] for key in kept} | {"pod": NAME, "pod_namespace": NAMESPACE}
    before = pod.content()
    for playbook, options in (("backup", ()), ("restore", ("-e", f"confirm={DATABASE}")), ("restore_undo", ("-e", f"confirm={DATABASE}"))):
        done = profile.run(playbook, *options)
        assert done.status == 0, done.output[-3000:]
        assert pod.content() == before
    for key, value, said in (
        ("pod", "no-such-pod", "check pod"),
        ("pod_namespace", "no-such-namespace", "check pod"),
        ("tool_folder", "/no/such/folder", "check that psql is installed there"),
    ):
        right = dict(profile.store)
        profile.store[key] = value
        done = profile.run("backup")
        assert done.status == 2
        assert value in done.message and f"Next: {said}" in done.message
        assert "Traceback" not in done.output
        profile.store = right


@pytest.fixture
def whole(pod: Pod, tmp_path: Path) -> BackupSet:
    """A set of the reference database."""
    return back_up_logically(pod.request(tmp_path / "whole"))


def order(pod: Pod, operation: str, **more: t.Any) -> dict[str, t.Any]:
    """What operation.py reads."""
    return {"operation": operation, "connection": asdict(pod.connection), "database": DATABASE, **more}


def test_a_backup_that_is_killed_leaves_no_kubectl_and_the_next_one_works(pod: Pod, tmp_path: Path, tell: Callable[[str], None]) -> None:
    folder, before = tmp_path / "sets", pod.content()
    series = Series("a backup through a pod", own_process, ROUNDS)
    for moment in series.moments(Operation(order(pod, "backup", backup_folder=str(folder)))):
        shutil.rmtree(folder)
        with series.round():
            series.strike(Operation(order(pod, "backup", backup_folder=str(folder))), moment)
            wait_until("kubectl ends with the operation", lambda: not calls(), 5)
            made = back_up_logically(pod.request(folder))
            assert [one.problems() for one in list_sets(str(folder))] == [[]] * len(list_sets(str(folder)))
            assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
            assert made.id in [one.id for one in list_sets(str(folder))]
            assert pod.content() == before
    series.conclude(tell)


def test_a_restore_that_is_killed_leaves_no_kubectl_and_the_live_database_and_the_next_one_works(
    pod: Pod, whole: BackupSet, tell: Callable[[str], None]
) -> None:
    good = pod.content()
    series = Series("a restore through a pod", own_process, ROUNDS)
    wanted = order(pod, "restore", set_folder=whole.folder)
    for moment in series.moments(Operation(wanted)):
        with series.round():
            pod.sql(DAMAGE, DATABASE)
            damaged = pod.content()
            series.strike(Operation(wanted), moment)
            wait_until("kubectl ends with the operation", lambda: not calls(), 5)
            assert pod.content() in (damaged, good)
            restore_logically(RestoreRequest(pod.connection, DATABASE, whole, analyze=False))
            assert pod.content() == good
            assert not [name for name in pod.names() if "_restoring_" in name]
            for name in pod.names() - {DATABASE}:
                pod.sql(f"DROP DATABASE {identifier(name)} WITH (FORCE)")
    series.conclude(tell)


def test_what_still_runs_in_the_pod_for_a_dead_run_does_not_stop_the_next(pod: Pod, whole: BackupSet, tmp_path: Path) -> None:
    before = pod.content()
    sleep = "BEGIN; LOCK TABLE clients IN ACCESS SHARE MODE; SELECT pg_sleep(120)"
    call = pod.connection.command("psql", "-X", "-q", "-c", sleep, database=DATABASE).start()
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(120)' AND pid <> pg_backend_pid()"
    wait_until("the session begins", lambda: pod.sql(sleeping) == "1", 10)
    call.kill()
    call.communicate()
    assert pod.sql(sleeping) == "1", "nothing is left in the pod"
    assert back_up_logically(pod.request(tmp_path / "more")).problems() == []
    restore_logically(RestoreRequest(pod.connection, DATABASE, whole, analyze=False))
    assert pod.content() == before
    assert pod.sql(sleeping) == "0", "the replaced database is still in use"
