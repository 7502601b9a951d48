# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`--check --diff` changes nothing and foretells what the real run does.

Compared before and after: the folders of the sets and of the state, byte for byte with modes and times; and of the server the databases
with owner, rights and settings, the roles, every row of the database, and how much was written to its log of changes. The data folder
itself is not compared byte by byte: a server writes statistics and hint bits into it whenever it is read.
"""

from __future__ import annotations

import re
import shutil
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.base_backup import back_up_physically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.restoring.names import derived_name
from integration.playbook_runs import Finished, Profile, picture, server_picture
from integration.postgresql_server import PostgresqlServer, running_server

CONFIRM = ("-e", "confirm=reference")
STAMP = re.compile(r"\d{8}T\d{6}Z")


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    """A server with the reference database; nothing but us writes to it."""
    with running_server({"autovacuum": "off"}) as one:
        one.load_reference("reference", 1)
        yield one


@pytest.fixture
def profile(server: PostgresqlServer, tmp_path: Path) -> Profile:
    """An inventory for it."""
    return Profile(tmp_path, server)


def everything(profile: Profile, server: PostgresqlServer) -> dict[str, t.Any]:
    """What a procedure could change."""
    folders = picture(profile.backups, profile.state, profile.folder / "tmp")
    beside = sorted(path.name for path in server.folder.iterdir())
    rows = server.sql("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables", "reference")
    return {"folders": folders, "beside": beside, "server": server_picture(server, "reference"), "writes": rows}


def rehearsed(profile: Profile, server: PostgresqlServer, playbook: str, *options: str) -> tuple[list[str], list[str]]:
    """Run in check mode, see that nothing was changed; returns the diffs' lines and the tasks that would change something."""
    profile.command(playbook)
    profile.state.mkdir(exist_ok=True)
    before = everything(profile, server)
    done = profile.run(playbook, "--check", "--diff", *options)
    assert done.status == 0, done.output
    assert everything(profile, server) == before
    return [line[1:] for line in done.output.splitlines() if re.match(r"[+-](?![+-])", line)], changed_tasks(done)


def changed_tasks(done: Finished) -> list[str]:
    """Names of the tasks that say `changed`."""
    parts = re.split(r"^TASK \[(.*?)\] \*+$", done.output, flags=re.MULTILINE)
    return [name for name, said in zip(parts[1::2], parts[2::2], strict=True) if re.search(r"^changed: ", said, re.MULTILINE)]


def test_a_rehearsed_backup_changes_nothing_and_foretells_the_real_one(profile: Profile, server: PostgresqlServer) -> None:
    profile.variables.update(backup_keep_last=1, backup_keep_days=0)
    profile.backups.mkdir()
    (profile.backups / ".20200101T000000Z-reference-logical-0000.partial").mkdir()
    told, would_change = rehearsed(profile, server, "backup")
    assert "remove .20200101T000000Z-reference-logical-0000.partial, left half written by a run that was killed" in told
    promise = next(line for line in told if line.startswith("back up the database reference"))
    assert f"PostgreSQL 17.10 at 127.0.0.1:{server.port}" in promise
    assert f"as a new logical set in {profile.backups}" in promise
    at_most = int(re.search(r"at most (\d+) MB", promise)[1])  # type: ignore[index]

    real = profile.run("backup")
    assert real.status == 0, real.output
    # Both the backup and the pruning tell of the leftover; in the real run the first one removes it.
    assert would_change == ["sre.runbooks.backup : Take a backup set", "sre.runbooks.backup : Remove the sets that no rule keeps"]
    assert changed_tasks(real)[0] == would_change[0]
    (name,) = profile.sets()
    assert sorted(path.name for path in profile.backups.iterdir()) == [name], "the leftover is gone, as was told"
    assert sum(path.stat().st_size for path in (profile.backups / name).rglob("*")) < at_most * 1e6


def test_a_rehearsed_prune_names_what_the_real_one_removes(profile: Profile, server: PostgresqlServer) -> None:
    for _number in range(3):
        back_up_logically(BackupRequest(server.connection, "reference", "reference", str(profile.backups)))
    profile.variables.update(backup_keep_last=1, backup_keep_days=0)
    before = profile.sets()
    told = {line.split()[1] for line in rehearsed(profile, server, "backup")[0] if line.startswith("goes ")} & set(before)
    assert told
    assert profile.run("backup").status == 0
    # The real run takes a set of its own, which may let one more go.
    assert told <= set(before) - set(profile.sets())


def test_a_rehearsed_restore_changes_nothing_and_foretells_the_real_one(profile: Profile, server: PostgresqlServer) -> None:
    name = back_up_logically(BackupRequest(server.connection, "reference", "reference", str(profile.backups))).id
    leftover = derived_name("reference", "restoring", "20200101T000000Z")
    server.sql(f'CREATE DATABASE "{leftover}"; CREATE ROLE gone SUPERUSER; CREATE ROLE unused')
    server.sql("GRANT SELECT ON clients TO gone", "reference")
    back_up_logically(BackupRequest(server.connection, "reference", "reference", str(profile.folder / "newer")))
    (newer,) = (profile.folder / "newer").glob("2*")
    shutil.move(newer, profile.backups / newer.name)
    server.sql("DROP OWNED BY gone; DROP ROLE gone, unused", "reference")
    option = ("-e", f"restore_set={newer.name}")

    told, would_change = rehearsed(profile, server, "restore", *CONFIRM, *option)
    before = server.names()
    assert f"drop the leftover database {leftover} of a run that was killed" in told
    assert "create the role gone (superuser)" in told and not any("unused" in line for line in told)
    assert any(line.startswith(f"restore {newer.name} into the new database reference_restoring_") for line in told)
    promised = next(line for line in told if line.startswith("in one transaction rename reference to reference_before_"))

    real = profile.run("restore", "--diff", *CONFIRM, *option)
    assert real.status == 0, real.output
    assert would_change == changed_tasks(real)
    done = [line[1:] for line in real.output.splitlines() if re.match(r"[+](?![+])", line)]
    assert [STAMP.sub("TIME", line) for line in done] == [STAMP.sub("TIME", line) for line in told]
    kept = server.names() - before
    assert [STAMP.sub("TIME", one) for one in kept] == ["reference_before_TIME"]
    assert STAMP.sub("TIME", promised).count("reference_before_TIME") == 1
    assert leftover not in server.names()
    assert server.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'gone'") == "1"

    undoing, _tasks = rehearsed(profile, server, "restore_undo", *CONFIRM)
    assert next(iter(kept)) in undoing
    assert profile.run("restore_undo", *CONFIRM).status == 0
    assert next(iter(kept)) not in server.names()
    assert name in profile.sets()


def test_a_rehearsed_restore_finds_what_would_stop_the_real_one(profile: Profile, server: PostgresqlServer) -> None:
    name = back_up_logically(BackupRequest(server.connection, "reference", "reference", str(profile.backups))).id
    (profile.backups / name / "globals.sql").write_text("damaged")
    before = everything(profile, server)
    check = profile.run("restore", "--check", *CONFIRM)
    assert everything(profile, server) == before
    real = profile.run("restore", *CONFIRM)
    assert (check.status, real.status) == (2, 2)
    for done in (check, real):
        assert f"{name}: globals.sql has" in done.output


def test_a_rehearsed_physical_restore_changes_nothing(profile: Profile, server: PostgresqlServer) -> None:
    physical = ("-e", "backup_method=physical", "-e", "restore_method=physical")
    told, _tasks = rehearsed(profile, server, "backup", *physical)
    assert any(line.startswith("back up the whole server") for line in told)
    name = back_up_physically(BackupRequest(server.connection, "reference", "reference", str(profile.backups))).id
    told, _tasks = rehearsed(profile, server, "restore", *CONFIRM, *physical)
    assert any(line.startswith(f"unpack {name} into {server.data}_restoring_") for line in told)
    assert any(line.startswith(f"stop the server, let {server.data} and {server.data}_restoring_") for line in told)
    done = profile.run("restore", *CONFIRM, *physical)
    assert done.status == 0, done.output
    assert [STAMP.sub("TIME", path.name) for path in server.folder.glob("data_*")] == ["data_before_TIME"]
