# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold in the container after `converge`; asked from outside, not by the playbooks themselves."""

from __future__ import annotations

import json
import typing as t

testinfra_hosts = ["docker://sre-runbooks-molecule-database"]


def sql(host: t.Any, statement: str, database: str = "reference") -> str:
    answer = host.run(f'runuser -u postgres -- psql -X -At -c "{statement}" {database}')
    assert answer.rc == 0, answer.stderr
    return str(answer.stdout.strip())


def test_the_dropped_table_and_the_deleted_rows_are_back(host: t.Any) -> None:
    assert sql(host, "SELECT count(*) FROM billing.invoices") == "500"
    assert sql(host, "SELECT count(*) FROM documents") == "750"
    assert sql(host, "SELECT count(*) FROM response_history") == "20000"


def test_the_replaced_databases_are_kept_and_hold_the_damage(host: t.Any) -> None:
    kept = sql(host, "SELECT datname FROM pg_database WHERE datname ~ '^reference_(before|undone)_' ORDER BY 1").split()
    assert [name.split("_")[1] for name in kept] == ["before", "before", "undone"], kept
    assert sql(host, "SELECT count(*) FROM documents", kept[0]) == "0"


def test_no_half_restored_database_and_no_half_written_set_is_left(host: t.Any) -> None:
    assert sql(host, "SELECT count(*) FROM pg_database WHERE datname ~ '_restoring_'") == "0"
    assert host.run("find /var/backups/sre-runbooks -maxdepth 1 -name '.*' -mindepth 1").stdout.strip() == ""


def test_the_newest_set_is_proven_and_for_its_owner_alone(host: t.Any) -> None:
    newest = sorted(host.file("/var/backups/sre-runbooks").listdir())[-1]
    folder = f"/var/backups/sre-runbooks/{newest}"
    states = [entry["state"] for entry in json.loads(host.file(f"{folder}/proof.json").content_string)["entries"]]
    assert states == ["verified", "proven"]
    assert host.file(folder).mode == 0o700
    manifest = host.file(f"{folder}/manifest.json")
    assert manifest.mode == 0o600
    assert "only-in-this-container" not in manifest.content_string


def test_the_application_can_still_use_its_database(host: t.Any) -> None:
    assert sql(host, "SELECT datallowconn, datconnlimit FROM pg_database WHERE datname = 'reference'") == "t|-1"
