# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL cluster on a person's own machine, and a database in it: made once, filled once, on real servers."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import tempfile
import time
import typing as t
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.local_process import Process
from ansible_collections.sre.runbooks.plugins.module_utils.local_processes import start, stop
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.cluster import create_cluster
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.provision import Script, Wanted, drop, provide
from integration.postgresql_server import PostgresqlServer, running_server, tool_folder
from tools.ports import free_port


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter, as a server needs it when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def server_of(folder: Path, cluster: dict[str, t.Any], port: int) -> Process:
    return Process(
        "postgresql",
        str(folder),
        port,
        [f"{cluster['tool_folder']}/postgres", "-D", cluster["data_folder"]],
        account=cluster["account"],
        own_pid_file=f"{cluster['data_folder']}/postmaster.pid",
        stop_signal="INT",
    )


def make(folder: Path, tools: str, port: int, password: str) -> dict[str, t.Any]:
    settings = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    return create_cluster(str(folder), tools, password, settings)


def test_a_cluster_is_made_once_serves_and_asks_for_its_password(open_folder: Path) -> None:
    folder, port, password = open_folder / "postgresql", free_port(), secrets.token_hex(8)
    cluster = make(folder, tool_folder(), port, password)
    assert cluster["changed"]
    assert not make(folder, tool_folder(), port, password)["changed"]
    server = server_of(folder, cluster, port)
    start([server])
    try:
        connection = Connection(host="127.0.0.1", port=port, password=password, place=Place(tool_folder=str(folder / "bin")))
        assert connection.ask("SHOW data_checksums").strip() == "on"
        identity = connection.ask("SELECT system_identifier FROM pg_control_system()").strip()
        assert (folder / "system_identifier").read_text().strip() == identity
        with pytest.raises(Unreachable, match="refused the login"):
            replace(connection, password="wrong").ask("SELECT 1")
    finally:
        stop([server])


@pytest.mark.needs_root("only root starts servers as another account")
def test_programs_in_a_folder_that_the_servers_account_cannot_enter_are_copied_once(open_folder: Path) -> None:
    private = open_folder / "private"
    shutil.copytree(Path(tool_folder()).parent, private / "pginstall", symlinks=True)
    private.chmod(0o700)
    tools, folder, port = str(private / "pginstall" / "bin"), open_folder / "postgresql", free_port()
    cluster = make(folder, tools, port, "pw-for-test")
    assert cluster["tool_folder"].startswith(str(folder))
    assert not make(folder, tools, port, "pw-for-test")["changed"]
    server = server_of(folder, cluster, port)
    start([server])
    try:
        account = pwd.getpwnam(cluster["account"])
        assert account.pw_uid != 0
        assert os.stat(f"/proc/{server.pid()}").st_uid == account.pw_uid
        assert Path(server.log_file).stat().st_uid == account.pw_uid, "a later start by pg_ctl must be able to write to it"
    finally:
        stop([server])


@pytest.mark.needs_root("only root starts servers as another account")
def test_a_folder_that_the_servers_account_cannot_enter_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o700)
    with pytest.raises(BadInput, match="cannot enter"):
        make(open_folder / "stack" / "postgresql", tool_folder(), free_port(), "pw-for-test")
    assert not list(open_folder.iterdir())


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server that the tests below share."""
    with running_server() as one:
        yield one


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Makes a table with one row for each of :rows."""
    path = tmp_path / "make.sql"
    path.write_text("CREATE TABLE things AS SELECT generate_series(1, :rows) AS id;\n")
    return path


def wanted(name: str, script: Path, **options: t.Any) -> Wanted:
    once = Script(str(script), role="app", unless="SELECT 1 FROM pg_class WHERE relname = 'things'", variables={"rows": "7"})
    return Wanted(name, "app", options.get("password", "app-password-1"), [once])


def test_a_database_is_made_with_its_owner_filled_once_and_dropped(server: PostgresqlServer, script: Path) -> None:
    name = 'my "odd" db; drop'
    assert provide(server.connection, wanted(name, script), dry_run=True)[-1] == "ran make.sql"
    assert name not in server.names()
    assert provide(server.connection, wanted(name, script)) == ["created role app", f"created database {name}", "ran make.sql"]
    assert provide(server.connection, wanted(name, script)) == []
    application = replace(server.connection, user="app", password="app-password-1")
    assert application.ask("SELECT count(*) FROM things", database=name).strip() == "7"
    assert server.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'things'", name) == "app"
    assert drop(server.connection, name, dry_run=True) == [f"dropped database {name}"]
    assert name in server.names()
    assert drop(server.connection, name) == [f"dropped database {name}"]
    assert drop(server.connection, name) == []


def test_the_owners_password_is_set_anew_when_it_is_another_one(server: PostgresqlServer, script: Path) -> None:
    provide(server.connection, wanted("second", script))
    assert provide(server.connection, wanted("second", script, password="it's another")) == ["set the password of role app"]
    assert provide(server.connection, wanted("second", script, password="it's another")) == []


def test_a_script_that_fails_leaves_nothing_behind_and_says_why(server: PostgresqlServer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.sql"
    bad.write_text("CREATE TABLE half (id int);\nSELECT no_such_column FROM half;\n")
    with pytest.raises(CommandFailed, match="no_such_column"):
        provide(server.connection, Wanted("third", scripts=[Script(str(bad))]))
    assert server.sql("SELECT count(*) FROM pg_class WHERE relname = 'half'", "third") == "0"


def test_a_missing_script_stops_it_before_anything_is_made(server: PostgresqlServer, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"missing\.sql"):
        provide(server.connection, Wanted("fourth", scripts=[Script(str(tmp_path / "missing.sql"))]))
    assert "fourth" not in server.names()


def test_a_server_that_was_killed_is_ready_only_once_it_has_replayed_its_log(open_folder: Path) -> None:
    folder, port, password = open_folder / "postgresql", free_port(), secrets.token_hex(8)
    process = replace(server_of(folder, make(folder, tool_folder(), port, password), port), ready_word="ready")
    start([process])
    try:
        connection = Connection(host="127.0.0.1", port=port, password=password, place=Place(tool_folder=str(folder / "bin")))
        connection.do("CREATE TABLE filler AS SELECT repeat(md5(i::text), 20) AS text FROM generate_series(1, 200000) AS i")
        os.killpg(process.pid(), signal.SIGKILL)
        until = time.monotonic() + 10
        while process.pid() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)  # its children let go of their shared memory
        start([process])
        assert connection.ask("SELECT count(*) FROM filler").strip() == "200000"
    finally:
        stop([process])
