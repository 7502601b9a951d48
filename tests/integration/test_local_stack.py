# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The embedded stack, by its real playbooks: up, again, damaged, killed, and down without a trace."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore
from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.local_ports import listener
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection
from integration.local_stack import PROCESSES, CommandLines, Stack, inhabitants, listeners
from integration.playbook_runs import picture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NOBODY = 65534


@pytest.fixture(scope="module")
def parent() -> Iterator[Path]:
    """A folder that every account may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stack(parent: Path) -> Iterator[Stack]:
    """A running stack; the tests that stop it start it again."""
    one = Stack(parent / "stack")
    done = one.up()
    assert done.status == 0, done.output
    yield one
    one.down()
    one.kill()


def database(stack: Stack, user: str = "postgres", password: str = "postgresql") -> Connection:
    tools = Place(tool_folder=str(stack.folder / "postgresql" / "bin"))
    return Connection(host="127.0.0.1", port=stack.port("postgresql"), user=user, password=stack.secret(password), place=tools)


def store(stack: Stack) -> ObjectStore:
    return ObjectStore(
        "sre-runbooks-backups",
        endpoint=f"http://127.0.0.1:{stack.port('object_store')}",
        access_key=stack.secret("access_key"),
        secret_key=stack.secret("secret_key"),
        tool_folder=str(Path(sys.executable).parent),
    )


def test_everything_runs_answers_and_listens_on_loopback_alone(stack: Stack) -> None:
    assert set(stack.pids()) == set(PROCESSES)
    assert stack.get("/version", "blue")[1]["colour"] == "blue"
    assert stack.get("/version", "green")[1]["colour"] == "green"
    status, health = stack.get("/health")
    assert status == 200
    assert health["healthy"] is True
    assert {port for port in stack.ports.values() if not listener(port)} == set()
    with_grpc = [port + further for port in stack.ports.values() for further in (0, 10_000)]
    assert listeners(with_grpc) == {"127.0.0.1"}


def test_the_application_owns_its_database_and_is_no_superuser(stack: Stack) -> None:
    application = database(stack, "reference_app", "application")
    said = application.ask("SELECT rolsuper, pg_has_role(datdba, 'USAGE') FROM pg_roles, pg_database "
                           "WHERE rolname = current_user AND datname = 'reference'", database="reference")  # fmt: skip
    assert said.strip() == "f|t"
    assert application.ask("SELECT count(*) FROM cases", database="reference").strip().isdigit()


def test_the_bucket_takes_and_returns_files_and_refuses_a_wrong_key(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(3_000_000))
    store(stack).call("copyto", str(tmp_path / "file"), store(stack).remote("trial/file"))
    store(stack).call("copyto", store(stack).remote("trial/file"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_second_start_changes_nothing(stack: Stack) -> None:
    before = stack.pids()
    done = stack.up()
    assert done.status == 0, done.output
    assert "changed=0 " in done.output
    assert stack.pids() == before


def test_data_is_put_in_once(stack: Stack) -> None:
    first = stack.enter("data", local_stack_data_megabytes=2)
    assert "changed=1 " in first.output, first.output
    assert stack.get("/cases/1")[0] == 200
    again = stack.enter("data", local_stack_data_megabytes=3)
    assert "changed=0 " in again.output, again.output


def test_status_tells_which_processes_run_and_changes_nothing(stack: Stack) -> None:
    done = stack.enter("status")
    assert "changed=0 " in done.output, done.output
    for name, pid in stack.pids().items():
        assert f"{name}: runs as process {pid}, port {stack.port(name)}" in done.output


def test_a_profile_reads_the_running_stack_and_the_inventory_holds_before_there_is_one(stack: Stack, parent: Path) -> None:
    program = str(Path(sys.executable).parent / "ansible-inventory")
    for folder, expected in ((stack.folder, 0), (parent / "none", 0)):
        command = [program, "-i", "inventories/local", "--list"]
        done = subprocess.run(command, env={**os.environ, "SRE_RUNBOOKS_LOCAL_STACK": str(folder)}, capture_output=True, text=True)
        assert done.returncode == expected, done.stderr


def test_after_kill_9_of_everything_the_next_start_brings_it_back_with_its_data(stack: Stack, tmp_path: Path) -> None:
    database(stack).do("CREATE TABLE survivor AS SELECT 42 AS answer", database="reference")
    (tmp_path / "file").write_bytes(os.urandom(1_000_000))
    store(stack).call("copyto", str(tmp_path / "file"), store(stack).remote("trial/survivor"))
    stack.kill()
    assert stack.get("/healthz")[0] == 0
    done = stack.up()
    assert done.status == 0, done.output
    assert stack.get("/ready")[0] == 200
    assert database(stack).ask("SELECT answer FROM survivor", database="reference").strip() == "42"
    store(stack).call("copyto", store(stack).remote("trial/survivor"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_single_dead_process_is_started_again_and_the_others_stay(stack: Stack) -> None:
    before = stack.pids()
    os.kill(before["green"], 9)
    done = stack.up()
    assert done.status == 0, done.output
    after = stack.pids()
    assert after["green"] != before["green"]
    assert {**after, "green": 0} == {**before, "green": 0}


def test_a_busy_port_is_named_with_its_setting_and_its_owner_before_anything_is_started(parent: Path) -> None:
    stack = Stack(parent / "busy")
    with socket.create_server(("127.0.0.1", stack.port("green"))), socket.create_server(("127.0.0.1", stack.port("object_store") + 10_000)):
        done = stack.up()
    assert done.status != 0
    assert f"port {stack.port('green')} (local_stack_green_port of green) by " in done.message
    assert f"(process {os.getpid()})" in done.message
    assert "local_stack_object_store_port + 10000" in done.message
    assert "nothing was started" in done.message
    assert not stack.folder.exists()


def test_check_mode_predicts_a_first_start_and_touches_nothing(parent: Path) -> None:
    stack = Stack(parent / "checked")
    done = stack.up("--check", "--diff")
    assert done.status == 0, done.output
    assert "changed=1 " in done.output
    assert not stack.folder.exists()


def test_check_mode_on_a_running_stack_predicts_no_change_and_stopping_it_is_only_predicted(stack: Stack) -> None:
    before = stack.pids()
    assert "changed=0 " in stack.up("--check").output
    assert "changed=2 " in stack.down("--check").output
    assert stack.pids() == before
    assert stack.get("/ready")[0] == 200


def test_a_folder_that_no_stack_has_made_is_neither_filled_nor_removed(parent: Path) -> None:
    stack = Stack(parent / "precious")
    (stack.folder / "photos").mkdir(parents=True)
    (stack.folder / "photos" / "one").write_text("precious")
    before = picture(stack.folder)
    for done in (stack.up(), stack.down()):
        assert done.status != 0
        assert "no stack has made it" in done.message
    assert picture(stack.folder) == before


def test_no_secret_is_on_a_command_line_or_in_the_output_and_nothing_is_left_behind(parent: Path) -> None:
    stack = Stack(parent / "discreet")
    try:
        with CommandLines() as lines:
            up = stack.up("-vvvv")
            data = stack.enter("data", "-vvvv", local_stack_data_megabytes=1)
            assert up.status == data.status == 0, up.output + data.output
            secrets = stack.secrets()
            assert len(secrets) == 5
            readable = [path for path in (stack.folder / "secrets").iterdir() if path.stat().st_mode & 0o077]
            assert not readable
            down = stack.down("-vvvv")
        assert down.status == 0, down.output
        for secret in secrets:
            assert not [line for line in lines.seen if secret in line]
            assert secret not in up.output + data.output + down.output
        assert not stack.folder.exists()
        assert not inhabitants(stack.folder)
        assert not [path for port in stack.ports.values() for path in Path("/tmp").glob(f"seaweedfs-*{port + 10_000}.sock")]
        assert "changed=0 " in stack.down().output, "there is nothing left to do"
    finally:
        stack.kill()


def test_a_kept_stack_comes_back_with_its_passwords_and_data(parent: Path) -> None:
    stack = Stack(parent / "kept")
    try:
        assert stack.up().status == 0
        secrets = sorted(stack.secrets())
        database(stack).do("CREATE TABLE survivor AS SELECT 42 AS answer", database="reference")
        assert stack.down(local_stack_keep=True).status == 0
        assert not inhabitants(stack.folder)
        assert stack.up().status == 0
        assert sorted(stack.secrets()) == secrets
        assert database(stack).ask("SELECT answer FROM survivor", database="reference").strip() == "42"
    finally:
        stack.down()
        stack.kill()


def may_run_python_as_nobody() -> bool:
    # By way of `env`: what setpriv itself starts still finds its way through root's folders.
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", sys.executable, "-c", "import ansible"]
    return os.geteuid() == 0 and shutil.which("setpriv") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.needs_root
def test_it_works_without_root(parent: Path) -> None:
    if not may_run_python_as_nobody():
        pytest.skip("this interpreter cannot be run by another account")
    home = parent / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env"]
    local = {"ANSIBLE_LOCAL_TEMP": f"{home}/local", "ANSIBLE_REMOTE_TMP": f"{home}/remote"}
    stack = Stack(home / ".local" / "state" / "stack", become, HOME=str(home), USER="nobody", PYTHONDONTWRITEBYTECODE="1", **local)
    try:
        up = stack.up()
        assert up.status == 0, up.output
        assert {os.stat(f"/proc/{pid}").st_uid for pid in stack.pids().values()} == {NOBODY}
        assert stack.get("/ready")[0] == 200
        assert "changed=0 " in stack.up().output
        assert stack.down().status == 0
        assert not inhabitants(stack.folder)
        assert not stack.folder.exists()
    finally:
        stack.kill()
