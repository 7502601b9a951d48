# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is wrong beforehand: one clear message, nothing changed, no traceback. With the real playbooks against a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import typing as t
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.in_use import CHOSEN
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import verify
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.lease import Leases
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.tool_check import tool_problems
from integration.playbook_runs import Profile, picture, server_picture
from integration.postgresql_server import PostgresqlServer, running_server
from tools.ports import free_port

OLD_TOOLS = Path("/usr/lib/postgresql/15/bin")
CONFIRM = ("-e", "confirm=reference")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server with the reference database."""
    with running_server() as one:
        one.load_reference("reference", 1)
        yield one


@pytest.fixture(scope="module")
def good_set(server: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> BackupSet:
    """A set of it."""
    return back_up_logically(BackupRequest(server.connection, "reference", "reference", str(tmp_path_factory.mktemp("sets"))))


@pytest.fixture
def profile(server: PostgresqlServer, good_set: BackupSet, tmp_path: Path) -> Profile:
    """An inventory for it, with that set."""
    one = Profile(tmp_path, server)
    shutil.copytree(good_set.folder, one.backups / good_set.id)
    return one


def sets_picture(profile: Profile) -> dict[str, str]:
    """All sets, but for the note by which retention spares one that was chosen."""
    return {path: seen for path, seen in picture(profile.backups).items() if Path(path).name != CHOSEN}


@cache
def as_it_was(server: PostgresqlServer) -> dict[str, t.Any]:
    """The server's picture before the first test; none of them may change it."""
    return server_picture(server, "reference")


def refused(profile: Profile, server: PostgresqlServer, playbook: str, *options: str) -> str:
    """Run a playbook that must fail before it changes anything; returns its one message."""
    before, sets = as_it_was(server), sets_picture(profile)
    done = profile.run(playbook, *options)
    assert done.status == 2, done.output
    assert (server_picture(server, "reference"), sets_picture(profile)) == (before, sets)
    assert "Traceback" not in done.output
    assert not list((profile.state / "leases").glob("*.json")) or "Another run works" in done.output
    headlines: list[str] = re.findall(
        r"^\[ERROR\]: (?:Task failed: )?(?:Action failed: |Module failed: )?(.*?)$(?=\nOrigin:|\n\n)", done.output, re.MULTILINE | re.DOTALL
    )
    assert headlines, done.output
    core = headlines[0]
    assert all(core in line or line in core for line in headlines), f"more than one message: {headlines}"
    assert len(core) < 900, f"too long to be read at night: {core}"
    return core


def test_a_database_that_does_not_exist(profile: Profile, server: PostgresqlServer) -> None:
    profile.store["database"] = "referense"
    message = refused(profile, server, "backup")
    assert "There is no database 'referense'" in message
    assert f"127.0.0.1:{server.port}" in message
    assert "the server has 'postgres', 'reference'" in message
    assert "Next: correct the name in the inventory's backup_stores" in message


def test_a_set_that_does_not_exist(profile: Profile, server: PostgresqlServer, good_set: BackupSet) -> None:
    message = refused(profile, server, "restore", *CONFIRM, "-e", "restore_set=20200101T000000Z-none")
    assert "There is no usable backup set '20200101T000000Z-none'" in message
    assert good_set.id in message and str(profile.backups) in message


def test_no_set_at_all(profile: Profile, server: PostgresqlServer) -> None:
    shutil.rmtree(profile.backups)
    message = refused(profile, server, "restore", *CONFIRM)
    assert "There is no usable backup set of reference by the logical method" in message
    assert "none is there. Next: " in message and "take a backup first" in message


def test_only_sets_of_another_server_or_method(profile: Profile, server: PostgresqlServer, good_set: BackupSet) -> None:
    profile.store["system_identifier"] = "1234567890"
    message = refused(profile, server, "restore", *CONFIRM)
    identity = good_set.manifest["server"]["system_identifier"]
    assert f"{good_set.id} is from another server (127.0.0.1:{server.port}, system identifier {identity})" in message
    del profile.store["system_identifier"]
    message = refused(profile, server, "restore", *CONFIRM, "-e", "restore_method=physical")
    assert f"{good_set.id} was taken by the logical method" in message


@pytest.mark.parametrize("playbook", ["backup", "restore"])
def test_a_wrong_password(profile: Profile, server: PostgresqlServer, playbook: str) -> None:
    profile.store["login_password"] = "wrong-password"
    message = refused(profile, server, playbook, *CONFIRM)
    assert "PostgreSQL refused the login" in message
    assert f"127.0.0.1:{server.port}, role postgres" in message
    assert "Next: check the role and its password in the inventory's secrets" in message


def test_a_server_that_does_not_run(profile: Profile, server: PostgresqlServer) -> None:
    profile.store["login_port"] = free_port()
    message = refused(profile, server, "backup")
    assert "PostgreSQL cannot be reached" in message
    assert f"127.0.0.1:{profile.store['login_port']}" in message
    assert "Next: check that the server runs and that host and port" in message


@pytest.mark.parametrize(("playbook", "tool"), [("backup", "psql"), ("restore", "pg_restore")])
def test_a_program_that_is_missing(profile: Profile, server: PostgresqlServer, playbook: str, tool: str) -> None:
    tools = profile.folder / "tools"
    tools.mkdir()
    for name in os.listdir(server.tools):
        if name != tool:
            (tools / name).symlink_to(Path(server.tools) / name)
    profile.store["tool_folder"] = str(tools)
    message = refused(profile, server, playbook, *CONFIRM)
    assert f"The program {tool} is missing (folder {tools})" in message
    assert f"Next: install the package that holds {tool}, or name its folder" in message


@pytest.mark.skipif(not OLD_TOOLS.is_dir(), reason="needs the older client programs of the package postgresql-client-15")
@pytest.mark.parametrize(("playbook", "tool"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_programs_older_than_the_server(profile: Profile, server: PostgresqlServer, playbook: str, tool: str) -> None:
    profile.store["tool_folder"] = str(OLD_TOOLS)
    message = refused(profile, server, playbook, *CONFIRM)
    assert re.search(rf"{tool} 15\.\d+ is too old for a PostgreSQL 17 server", message)
    assert "Next: install the PostgreSQL 17 client programs, or name their folder" in message


@pytest.mark.skipif(not OLD_TOOLS.is_dir(), reason="needs the older client programs of the package postgresql-client-15")
def test_a_set_that_older_programs_cannot_read_is_not_called_damaged(server: PostgresqlServer, tmp_path: Path) -> None:
    request = BackupRequest(server.connection, "reference", "reference", str(tmp_path))
    one = back_up_logically(request)
    verified = verify(one, tool_check=partial(tool_problems, tool_folder=str(OLD_TOOLS)))["backup_set"]
    assert verified["state"] == "verified"
    assert "no tool of the store has looked at it: pg_restore is older than the dump" in verified["proofs"][-1]["detail"]


@pytest.mark.needs_root("mounting a small file system needs root")
def test_too_little_room_for_the_set(profile: Profile, server: PostgresqlServer) -> None:
    profile.backups = profile.folder / "small"
    profile.backups.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(profile.backups)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        message = refused(profile, server, "backup")
        assert f"There is too little room ({profile.backups})" in message
        assert re.search(r"about \d+ MB are needed, of which 64 MB stay free; [34] MB are free", message)
        assert "Next: free space, prune old sets or choose another folder" in message
    finally:
        subprocess.run(["umount", str(profile.backups)], check=True)


def test_a_backup_folder_that_is_a_file(profile: Profile, server: PostgresqlServer) -> None:
    profile.backups = profile.folder / "file" / "backups"
    profile.backups.parent.write_text("not a folder")
    message = refused(profile, server, "backup")
    assert "backup folder cannot be written to" in message
    assert str(profile.backups) in message
    assert "Next: choose another folder" in message


@pytest.mark.parametrize(
    ("playbook", "confirmed"), [("restore", ()), ("restore", ("-e", "confirm=production")), ("restore_undo", ())], ids=str
)
def test_destruction_that_is_not_confirmed(profile: Profile, server: PostgresqlServer, playbook: str, confirmed: tuple[str, ...]) -> None:
    message = refused(profile, server, playbook, *confirmed)
    assert "Next: if 'reference' is what you mean, run it again with -e confirm=reference" in message
    assert ("'production' was confirmed instead" in message) == bool(confirmed)


def test_an_undo_with_nothing_to_undo(profile: Profile, server: PostgresqlServer) -> None:
    message = refused(profile, server, "restore_undo", *CONFIRM)
    assert "No replaced database of 'reference' is kept" in message
    assert "Next: restore an earlier backup set instead" in message


def test_a_lease_that_another_run_holds(profile: Profile, server: PostgresqlServer) -> None:
    leases = Leases(str(profile.state))
    leases.acquire(leases.wanted("postgresql:reference", "freeze", who="somebody", reason="a change freeze", duration_s=3600))
    today = time.strftime("%Y-%m-%d", time.gmtime())
    for playbook in ("backup", "restore", "restore_undo"):
        message = refused(profile, server, playbook, *CONFIRM)
        assert "Another run works on postgresql:reference" in message
        assert "freeze" in message and "a change freeze" in message
        assert len(re.findall(rf"(?:since|until) {today}", message)) == 2, f"since when and until when: {message}"
        assert "Next: " in message


def test_a_store_that_the_profile_does_not_have(profile: Profile, server: PostgresqlServer) -> None:
    for playbook, option in (("backup", "backup_store=billing"), ("restore", "restore_store=billing")):
        message = refused(profile, server, playbook, *CONFIRM, "-e", option)
        assert "The profile has no store 'billing'" in message
        assert "it has: reference (postgresql). Next: name one of these" in message


def test_a_profile_without_stores(profile: Profile, server: PostgresqlServer) -> None:
    profile.variables["backup_stores"] = []
    message = refused(profile, server, "backup")
    assert "The profile has no store" in message and "it has: none" in message


def test_a_server_that_is_not_the_one_that_the_inventory_means(profile: Profile, server: PostgresqlServer, good_set: BackupSet) -> None:
    profile.store["system_identifier"] = "7000000000000000001"
    for playbook, options in (("backup", ()), ("restore", ("-e", f"restore_set={good_set.id}"))):
        message = refused(profile, server, playbook, *CONFIRM, *options)
        assert "This is not the server that the inventory means" in message
        assert (
            f"its system identifier is {good_set.manifest['server']['system_identifier']}, the inventory says 7000000000000000001"
            in message
        )


def test_a_value_that_a_role_does_not_know(profile: Profile, server: PostgresqlServer) -> None:
    message = refused(profile, server, "backup", "-e", "backup_method=phisical")
    assert "value of backup_method must be one of: logical, physical, incremental, got: phisical" in message


def test_a_compression_that_the_tools_do_not_know(profile: Profile, server: PostgresqlServer) -> None:
    message = refused(profile, server, "backup", "-e", "backup_compression=brotli:3")
    assert "brotli" in message
    assert "Next: choose a compression that this program knows (backup_compression), or auto" in message


def test_a_physical_restore_without_a_data_folder(profile: Profile, server: PostgresqlServer, tmp_path: Path) -> None:
    from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.base_backup import back_up_physically

    back_up_physically(BackupRequest(server.connection, "reference", "reference", str(profile.backups)))
    del profile.store["data_folder"]
    message = refused(profile, server, "restore", *CONFIRM, "-e", "restore_method=physical")
    assert "A physical set needs to know the server's data folder" in message
    assert "Next: name it in the store of the profile (data_folder)" in message


def test_a_person_s_own_postgresql_settings_do_not_lead_to_another_server(profile: Profile, server: PostgresqlServer) -> None:
    service = profile.folder / "pg_service.conf"
    service.write_text("[elsewhere]\nhost=127.0.0.9\nport=1\ndbname=postgres\n")
    done = profile.run(
        "backup",
        PGSERVICE="elsewhere",
        PGSERVICEFILE=str(service),
        PGHOSTADDR="127.0.0.9",
        PGHOST="127.0.0.9",
        PGPORT="1",
        PGDATABASE="nothing",
        PGUSER="nobody",
        PGPASSWORD="nothing",
        PGOPTIONS="-c search_path=nowhere -c default_transaction_read_only=on",
    )
    assert done.status == 0, done.output
    assert len(profile.sets()) == 2
