# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Point in time on a real server with pgBackRest: back to the moment before an accident, and what cannot be had."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.choice import moment, utc
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.look import information, verify
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.restore import describe_restore, restore_to
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.setup import set_up
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.take import take
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.replaced import prune_folders
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import undo_folder
from integration.pitr_server import PASSPHRASE, ArchivedServer, archived_server, bucket_over_https
from integration.playbook_runs import Profile, picture
from tools.waiting import wait_until

pytestmark = pytest.mark.slow
ACCIDENT = "DROP TABLE billing.invoices CASCADE; TRUNCATE response_history; DELETE FROM documents"


@pytest.fixture(scope="module")
def server() -> Iterator[ArchivedServer]:
    """A server with a full backup; every test leaves it serving."""
    with archived_server() as one:
        yield one


def test_the_playbooks_bring_a_server_back_to_the_moment_before_an_accident_and_back_again(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    tmp_path.chmod(0o755)
    with archived_server(with_backup=False) as server:
        profile = Profile(tmp_path, server)
        profile.store["pitr"] = server.option()
        before = picture(server.home / "repository")
        rehearsed = profile.run("pitr_setup", "--check", "--diff")
        assert rehearsed.status == 0, rehearsed.output
        assert picture(server.home / "repository") == before
        outputs = [rehearsed.output]

        def run(playbook: str, *options: str) -> str:
            done = profile.run(playbook, *options)
            assert done.status == 0, done.output
            outputs.append(done.output)
            return done.output

        run("pitr_setup")
        server.sql("ANALYZE", "reference")
        content, at = server.content("reference"), server.now()
        server.sql(ACCIDENT, "reference")
        accident = server.content("reference")
        run("pitr_backup")
        run("restore_point_in_time", "--check", "--diff", "-e", f"restore_time={at}", "-e", "confirm=reference")
        assert server.content("reference") == accident
        refused = profile.run("restore_point_in_time", "-e", f"restore_time={at}")
        assert refused.status != 0
        assert "confirm" in refused.message
        assert server.content("reference") == accident
        run("restore_point_in_time", "-e", f"restore_time={at}", "-e", "confirm=reference")
        assert server.content("reference") == content
        measured = {name: one["value"] for name, one in profile.records()[-1]["measurements"].items()}
        assert 0 < measured["cut_off_s"] < measured["rto_s"] < 120
        assert 0 <= measured["rpo_s"] < 300
        run("pitr_verify")
        run("restore_undo", "-e", "confirm=reference", "-e", "restore_method=physical")
        assert server.content("reference") == accident
        told = "\n".join([*outputs, *(path.read_text(errors="replace") for path in profile.state.rglob("*") if path.is_file())])
        for secret in (PASSPHRASE, server.password):
            assert secret not in told
        assert (Path(server.archive.config_file).stat().st_mode & 0o777) == 0o600
        tell(f"point in time by playbook, small server: serving after {measured['rto_s']} s, cut off {measured['cut_off_s']} s")


def test_a_moment_that_cannot_be_had_is_refused_before_anything_is_done_with_what_can_be(server: ArchivedServer) -> None:
    server.sql("CREATE TABLE later (i int)", "reference")
    folder, live = server.data.stat().st_ino, server.content("reference")
    known = information(server.archive)
    for text, why in (("2020-01-01T00:00:00Z", "before the oldest"), ("2090-01-01T00:00:00Z", "after the end")):
        with pytest.raises(BadInput, match=why) as caught:
            restore_to(server.archive, "reference", text)
        assert known["oldest_restorable_at"] in caught.value.message
        assert caught.value.facts["oldest_restorable_at"] == known["oldest_restorable_at"]
    assert (server.data.stat().st_ino, server.content("reference"), server.beside()) == (folder, live, set())


def test_a_quiet_server_can_be_restored_to_a_moment_after_its_last_commit(server: ArchivedServer) -> None:
    server.sql("CREATE TABLE quiet AS SELECT generate_series(1, 10) AS i", "reference")
    content = server.content("reference")
    time.sleep(1.1)
    at = server.now()
    told = restore_to(server.archive, "reference", at)
    assert server.content("reference") == content
    assert moment(told["restored_to"]) <= moment(at)
    assert server.sql("SHOW archive_mode") == "on"


def test_all_that_was_archived_comes_back_when_the_server_and_its_data_are_lost(
    server: ArchivedServer, tell: Callable[[str], None]
) -> None:
    server.sql("CREATE TABLE counted AS SELECT generate_series(1, 500) AS i", "reference")
    server.sql("SELECT pg_switch_wal()")
    take(server.archive, "incremental")
    content = server.content("reference")
    server.stop("fast")
    shutil.rmtree(server.data)
    Path(server.archive.config_file).unlink()
    lost = information(server.archive)
    assert lost["server_answers"] is False
    assert lost["rpo_s"] < 120
    told = restore_to(server.archive, "reference", "latest")
    assert server.content("reference") == content
    assert told["kept_as"] == ""
    tell(f"all lost, {told['comparison']['compared']['rows']} rows back from the archive: serving after {told['serving_after_s']} s")


def test_after_an_undo_moments_are_those_of_the_servers_own_history(server: ArchivedServer) -> None:
    first = server.now()
    server.sql("CREATE TABLE kept (i int)", "reference")
    restore_to(server.archive, "reference", first)
    server.sql("CREATE TABLE on_the_second_timeline (i int)", "reference")
    take(server.archive)
    timeline = information(server.archive)["timeline"]
    time.sleep(1.1)
    second = server.now()
    server.sql("DROP TABLE on_the_second_timeline", "reference")
    undo_folder(server.service)
    server.sql("CREATE TABLE after_undo (i int)", "reference")
    third = server.now()
    server.sql("DROP TABLE after_undo", "reference")
    restore_to(server.archive, "reference", third)
    shown = server.sql(
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname IN ('kept', 'after_undo')", "reference"
    )
    assert shown == "after_undo kept"
    restore_to(server.archive, "reference", second, timeline=timeline)
    assert server.sql("SELECT to_regclass('on_the_second_timeline')", "reference") == "on_the_second_timeline"
    assert server.beside() == set()
    assert len(prune_folders(server.service, 0)["dropped"]) >= 3
    verify(server.archive)


def test_a_second_set_up_changes_nothing_and_other_archiving_is_not_replaced_unasked(server: ArchivedServer) -> None:
    assert set_up(server.archive)["changed"] is False
    server.sql("ALTER SYSTEM SET archive_command = 'cp %p /elsewhere/%f'")
    server.sql("SELECT pg_reload_conf()")
    with pytest.raises(BadInput, match="by other means"):
        set_up(server.archive)
    assert server.sql("SHOW archive_command") == "cp %p /elsewhere/%f"
    assert set_up(server.archive, replace_archiving=True)["changed"] is True
    assert set_up(server.archive)["plan"] == []


def test_the_wrong_servers_archive_is_refused(server: ArchivedServer) -> None:
    from dataclasses import replace

    wrong = replace(server.archive, expected_identifier="1234567890")
    with pytest.raises(WrongTarget, match="1234567890"):
        take(wrong)
    with pytest.raises(WrongTarget, match="1234567890"):
        restore_to(wrong, "reference", "latest")


def test_a_rehearsal_reads_every_row_and_leaves_no_trace(server: ArchivedServer) -> None:
    beside = sorted(path.name for path in server.folder.iterdir())
    told = rehearse(server.archive, "reference")
    rows = server.content("reference")
    assert told["row_counts"] == {name: table["rows"] for name, table in rows.items()}
    assert sorted(path.name for path in server.folder.iterdir()) == beside


def test_full_differential_and_incremental_backups_build_on_one_another_and_old_ones_go(server: ArchivedServer) -> None:
    from dataclasses import replace

    kinds = [take(server.archive, kind)["backup"] for kind in ("differential", "incremental")]
    assert [one["type"] for one in kinds] == ["diff", "incr"]
    assert kinds[1]["builds_on"] == kinds[0]["label"]
    sparing = replace(server.archive, keep_full=1)
    set_up(sparing)
    told = take(sparing, "full")
    assert len(told["removed"]) >= 3
    assert [one["type"] for one in information(sparing)["backups"]] == ["full"]
    with pytest.raises(BadInput, match="before the oldest"):
        describe_restore(sparing, utc(moment(told["backup"]["finished_at"]) - 5))


def test_the_recovery_report_knows_the_loss_from_the_archive_and_fails_with_the_reason_when_archiving_has_stopped(
    server: ArchivedServer, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    profile = Profile(tmp_path, server)
    profile.store.update(pitr=server.option(), rto_s=None, rpo_s=300)
    profile.variables = {"service_name": "reference", "schedule_entries": [{"procedure": "pitr_backup", "at": "every 60 min"}]}
    take(server.archive, "full")
    server.sql("CREATE TABLE reported (i int)", "reference")
    time.sleep(1.1)
    assert 1 <= information(server.archive)["rpo_s"] < 20, "it counts from the first commit that is not archived"
    well = profile.run("recovery_report")
    assert well.status == 0, well.output
    (report,) = (json.loads(path.read_text()) for path in (profile.state / "reports").rglob("*recovery_report.json"))
    assert "log archived continuously, backup into the archive every 60 min" in json.dumps(report)

    server.sql("ALTER SYSTEM SET archive_command = '/bin/false'; SELECT pg_reload_conf(); SELECT pg_switch_wal()")
    try:
        wait_until("the archive fails", lambda: information(server.archive)["archive_failing"], 60, every_s=0.2)
        stopped = profile.run("recovery_report")
        assert stopped.status != 0
        assert "archive_command fails, and nothing was archived since 20" in stopped.message
        server.sql("ALTER SYSTEM SET archive_command = ''; SELECT pg_reload_conf()")
        wait_until("it is told", lambda: "the server does not archive" in information(server.archive)["archive_problem"], 20, every_s=0.2)
        server.sql("ALTER SYSTEM SET archive_command = '/bin/true'; SELECT pg_reload_conf(); SELECT pg_switch_wal()")
        wait_until("it is told", lambda: "and it is not there" in information(server.archive)["archive_problem"], 60, every_s=0.2)
    finally:
        set_up(server.archive, replace_archiving=True)
    assert "is missing in the archive" in information(server.archive)["archive_problem"]
    take(server.archive, "full")
    assert information(server.archive)["archive_problem"] == ""


def test_a_repository_in_an_object_store_over_https_serves_as_well() -> None:
    for repository in bucket_over_https():
        with archived_server(repository=repository) as server:
            content, at = server.content("reference"), server.now()
            server.sql(ACCIDENT, "reference")
            restore_to(server.archive, "reference", at)
            assert server.content("reference") == content
            verify(server.archive)
