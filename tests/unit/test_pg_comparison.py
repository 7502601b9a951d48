# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a difference between a backup and what was restored from it."""

from __future__ import annotations

import typing as t

from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.comparison import compare


def fingerprint(**tables: tuple[int, str | None]) -> dict[str, t.Any]:
    """A fingerprint with tables of so many rows and such a hash (none: a materialised view)."""
    found = {f'"public"."{name}"': {"rows": rows, "hash": digest} for name, (rows, digest) in tables.items()}
    return {"method": "m", "tables": found, "sequences": {}, "extensions": {}, "large_objects": None, "schema": "s"}


def test_a_materialised_view_that_was_stale_when_it_was_backed_up_is_told_and_is_no_difference() -> None:
    found = compare(fingerprint(orders=(3, "7"), daily=(9, None)), fingerprint(orders=(3, "7"), daily=(0, None)), same_versions=True)
    assert found.same
    assert 'materialised view "public"."daily": it had 9 rows, its query now gives 0' in found.unknown


def test_a_table_with_other_rows_or_other_content_or_that_is_missing_is_a_difference() -> None:
    expected = fingerprint(orders=(3, "7"), clients=(1, "1"), daily=(9, None))
    found = compare(expected, fingerprint(orders=(2, "7"), clients=(1, "2")), same_versions=True)
    assert found.differences == [
        'table "public"."orders" has 2 rows instead of 3',
        'table "public"."clients" has the right number of rows (1) but other content',
        'table "public"."daily" is missing',
    ]
