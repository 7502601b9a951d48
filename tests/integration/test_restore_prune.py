# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What restores replaced goes when somebody says so, the newest excepted, and nothing else ever goes with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Session
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.replaced import prune_databases, prune_folders
from integration.playbook_runs import Profile
from integration.postgresql_server import PostgresqlServer, running_server

REPLACED = ["reference_before_20260103T000000Z", "reference_undone_20260102T000000Z", "reference_before_20260101T000000Z"]
UNTOUCHED = ["reference", "reference_before_the_move", "reference_copy_before_20200101T000000Z", "my_reference_before_20200101T000000Z"]


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    """A server with replaced databases, and others whose names are like theirs."""
    with running_server() as one:
        for name in [*REPLACED, *UNTOUCHED]:
            one.sql(f'CREATE DATABASE "{name}"')
        yield one


def test_the_procedure_names_what_would_go_asks_for_a_confirmation_and_drops_just_that(server: PostgresqlServer, tmp_path: Path) -> None:
    profile, before = Profile(tmp_path, server), server.names()
    assert profile.run("restore_prune").status == 2
    told = profile.run("restore_prune", "--check", "--diff", "-e", "confirm=reference")
    assert told.status == 0, told.output
    assert [line[1:] for line in told.output.splitlines() if line.startswith("-reference")] == REPLACED[1:]
    assert server.names() == before

    done = profile.run("restore_prune", "-e", "confirm=reference")
    assert done.status == 0, done.output
    assert before - server.names() == set(REPLACED[1:])
    assert profile.records()[-1]["measurements"]["freed_bytes"]["value"] > 0
    assert profile.run("restore_prune", "-e", "confirm=reference").status == 0
    assert before - server.names() == set(REPLACED[1:])
    assert profile.run("restore_undo", "-e", "confirm=reference").status == 0, "the newest is there to go back to"


def test_none_stay_when_none_shall(server: PostgresqlServer) -> None:
    result = prune_databases(server.connection, "reference", 0)
    assert (result["dropped"], result["kept"]) == (REPLACED, [])
    assert server.names() == {"postgres", *UNTOUCHED}
    assert not prune_databases(server.connection, "reference", 0)["changed"]


def test_nothing_goes_while_somebody_is_connected_to_any_of_it(server: PostgresqlServer) -> None:
    before = server.names()
    with Session(server.connection, REPLACED[2]), pytest.raises(BadInput, match=rf"{REPLACED[2]}: 1 connections"):
        prune_databases(server.connection, "reference", 1)
    assert server.names() == before


def test_a_number_below_nought_is_refused(server: PostgresqlServer) -> None:
    with pytest.raises(BadInput, match="-1 replaced ones cannot be kept"):
        prune_databases(server.connection, "reference", -1)


def test_replaced_data_folders_go_but_none_that_a_server_runs_in(server: PostgresqlServer, tmp_path: Path) -> None:
    service = replace(server.service, data_folder=str(tmp_path / "data"))
    folders = [tmp_path / name for name in ("data_before_20260103T000000Z", "data_before_20260102T000000Z", "data_before_20260101T000000Z")]
    for path in [tmp_path / "data", tmp_path / "data_before_long", *folders]:
        (path / "base").mkdir(parents=True)
        (path / "base" / "1").write_bytes(b"x" * 5000)
    shutil.copy(server.data / "postmaster.pid", folders[2])
    with pytest.raises(BadInput, match="in use") as refused:
        prune_folders(service, 1)
    assert str(folders[2]) in refused.value.message and str(folders[1]) not in refused.value.message
    assert all(path.exists() for path in folders)

    (folders[2] / "postmaster.pid").unlink()
    told = prune_folders(service, 1, dry_run=True)
    assert all(path.exists() for path in folders)
    result = prune_folders(service, 1)
    assert result == told
    assert (result["dropped"], result["kept"]) == ([str(folders[1]), str(folders[2])], [str(folders[0])])
    assert result["freed_bytes"] >= 10000
    assert [path.exists() for path in folders] == [True, False, False]
    assert (tmp_path / "data").exists() and (tmp_path / "data_before_long").exists()
