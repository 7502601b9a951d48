# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs together, what is due, and what is held: decided from what hosts noted and sets tell of themselves."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.sre.runbooks.plugins.filter.service_backup import (
    backup_outcome,
    sets_due,
    stores_named,
    stores_on,
    verify_outcome,
)
from ansible_collections.sre.runbooks.plugins.filter.store import store_family
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import information, prune
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.prune import Keep
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.service_sets import describe, list_service_sets, write
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.quiesce import hold, release, steps_from
from ansible_collections.sre.runbooks.tests.unit.small_sets import make_set

STORES = [
    {"name": "db", "kind": "postgresql"},
    {"name": "cache", "kind": "redis", "on_host": "second"},
    {"name": "data", "kind": "volume"},
]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def member(store: str, at: str = "2026-11-21T02:00:00Z", **more: Any) -> dict[str, Any]:
    return {"store": store, "set": f"set-{store}", "host": "first", "consistent_at": at, "size_bytes": 10, "duration_s": 2.0, **more}


def test_stores_are_found_by_their_names_and_hosts_and_an_unknown_one_is_refused() -> None:
    assert [one["name"] for one in stores_named(STORES, "data, db")] == ["db", "data"]
    assert stores_named(STORES) == STORES
    with pytest.raises(AnsibleFilterError, match="no store 'nothing'; it has: db"):
        stores_named(STORES, "db,nothing")
    assert [one["name"] for one in stores_on(STORES, "first", "first")] == ["db", "data"]
    assert [one["name"] for one in stores_on(STORES, "second", "first")] == ["cache"]
    assert store_family(STORES[2]) == "files"
    with pytest.raises(AnsibleFilterError, match="has the kind 'tape'"):
        store_family({"name": "old", "kind": "tape"})


def test_a_store_of_which_no_host_says_anything_is_a_failure_and_one_found_wanting_is_no_member() -> None:
    hosts = [
        {"backup_members": [member("db"), member("data")], "backup_failures": [{"store": "data", "why": "It is damaged."}]},
        {},
    ]
    outcome = backup_outcome(hosts, STORES)
    assert [one["store"] for one in outcome["members"]] == ["db"]
    assert outcome["message"] == (
        "Not backed up: data, cache. data: It is damaged. cache: its host could not be reached"
        " The sets of the others are good and stay: set-db."
    )
    assert outcome["measurements"] == {"backup_s": 2.0, "size_bytes": 10, "db_backup_s": 2.0, "db_size_bytes": 10}
    good = backup_outcome([{"backup_members": [member("db", duration_s=3.0), member("x", host="second")]}], STORES[:1])
    assert good["message"] == "" and good["measurements"]["backup_s"] == 3.0, "hosts work at the same time"


def listed(name: str, *proofs: tuple[str, str], state: str = "verified", store: str = "db", method: str = "logical") -> dict[str, Any]:
    found = [{"state": what, "at": at} for what, at in proofs]
    return {"id": name, "folder": f"/b/{name}", "store": store, "method": method, "state": state, "proofs": found, "damage": []}


def test_due_is_the_newest_of_every_method_or_all_whose_last_good_finding_is_too_old() -> None:
    sets = [
        listed("d", ("verified", "2026-11-21T00:00:00Z")),
        listed("c", state="failed"),
        listed("b", ("proven", "2026-11-01T00:00:00Z"), ("verified", "2026-11-20T00:00:00Z"), state="proven"),
        listed("a", state="written", method="physical"),
        listed("z", state="written", store="gone"),
    ]
    assert [one["set"] for one in sets_due(sets, STORES, now=NOW)] == ["d", "a"]
    assert [one["set"] for one in sets_due(sets, STORES, every=True, now=NOW)] == ["a"]
    assert [one["set"] for one in sets_due(sets, STORES, every=True, prove=True, now=NOW)] == ["d", "b", "a"]
    assert [one["set"] for one in sets_due(sets, STORES, "c", now=NOW)] == ["c"]


def test_a_host_that_says_nothing_of_its_sets_could_not_be_reached() -> None:
    hosts = [{"inventory_hostname": "first", "backup_checked": [{"set": "a", "restored_after_s": 4.0}], "backup_failures": []}]
    found = verify_outcome(hosts, ["first", "second"])
    assert found["message"] == "The host second could not be reached. Good: a."
    assert found["measurements"] == {"longest_restore_s": 4.0}
    assert verify_outcome(hosts, ["first"])["message"] == ""


def test_all_sets_show_one_moment_only_when_writes_were_held_before_the_first_and_until_after_the_last() -> None:
    members = [member("db", "2026-11-21T02:00:05Z"), member("cache", "2026-11-21T02:00:09Z")]
    held: dict[str, Any] = {"held": ["api"], "held_at": "2026-11-21T02:00:05Z", "released_at": "2026-11-21T02:00:09Z"}
    whole = describe("clinic", members, **held)
    assert (whole["consistent"], whole["consistent_at"], whole["spread_s"]) == (True, "2026-11-21T02:00:05Z", 0)
    late: list[dict[str, Any]] = [{"held_at": "2026-11-21T02:00:06Z"}, {"released_at": "2026-11-21T02:00:08Z"}, {"held": []}]
    for changed in late:
        told = describe("clinic", members, **{**held, **changed})
        assert (told["consistent"], told["consistent_at"], told["spread_s"]) == (False, "2026-11-21T02:00:09Z", 4)
    with pytest.raises(BadInput):
        describe("clinic", [])


def test_a_record_is_listed_a_changed_one_is_called_damaged_and_one_without_sets_goes_with_the_last(tmp_path: Path) -> None:
    one, kept = make_set(tmp_path, at="2020-01-01T00:00:00Z"), make_set(tmp_path, at="2020-02-01T00:00:00Z")
    first = write(str(tmp_path), describe("clinic", [member("reference", set=one.id)]))["service_set"]
    second = write(str(tmp_path), describe("clinic", [member("reference", set=kept.id)]))["service_set"]
    assert {entry["id"] for entry in information(str(tmp_path), Wanted())["service_sets"]} == {first["id"], second["id"]}
    assert len(information(str(tmp_path), Wanted())["backup_sets"]) == 2, "the folder of the records is no set"
    result = prune(str(tmp_path), Keep(1, 0))
    assert (result["removed"], result["service_sets"]) == ([one.id], [first["id"]])
    path = Path(second["path"])
    path.write_text(path.read_text().replace("clinic", "clinik"))
    assert [entry["damage"] for entry in list_service_sets(str(tmp_path))] == ["it is not what was written"]


def step(name: str, target: Path, fail: str = "") -> dict[str, Any]:
    def note(word: str) -> dict[str, Any]:
        code = f"import sys; open({str(target)!r}, 'a').write('{word} {name} '); sys.exit({int(word == fail)})"
        return {"command": [sys.executable, "-c", code]}

    return {"name": name, "hold": note("hold"), "release": note("release")}


def test_a_step_is_held_for_the_stores_that_it_names_or_for_all_and_released_by_a_run_for_others(tmp_path: Path) -> None:
    target, note = tmp_path / "done", tmp_path / "held" / "clinic.json"
    entries = [{**step("one", target), "stores": ["db"]}, step("any", target), {**step("other", target), "stores": ["logs"]}]
    steps = steps_from(entries)
    assert hold(steps, str(note), dry_run=True)["held"] == ["one", "any", "other"]
    assert hold(steps, str(note), stores=["db", "cache"])["held"] == ["one", "any"]
    assert hold(steps_from([entries[0], entries[2]]), str(note.parent / "none.json"), stores=["cache"])["held"] == []
    target.write_text("")
    later = hold(steps, str(note), stores=["logs"])
    assert later["held"] == ["any", "other"] and "left held: one, any" in later["notes"][0]
    assert target.read_text() == "release any release one hold any hold other "


def test_what_cannot_be_released_stays_noted_and_the_others_are_released(tmp_path: Path) -> None:
    target, note = tmp_path / "done", tmp_path / "held" / "clinic.json"
    steps = steps_from([step("a", target), step("b", target, fail="release"), step("c", target)])
    assert hold(steps, str(note), dry_run=True)["held"] == ["a", "b", "c"] and not note.exists()
    hold(steps, str(note))
    target.write_text("")
    with pytest.raises(RunbookError, match="Still held: b") as found:
        release(steps, str(note))
    assert found.value.changed is True
    assert target.read_text() == "release c " + "release b " * 3 + "release a "
    assert json.loads(note.read_text())["steps"] == ["b"]
    mended = steps_from([step("b", target)])
    assert release(mended, str(note))["released"] == ["b"] and not note.exists()
    assert release(mended, str(note))["changed"] is False
    note.write_text("not what was written")
    with pytest.raises(RunbookError, match="look by hand what is held"):
        hold(mended, str(note))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"name": "a", "hold": {"url": "http://x"}, "release": {}}], "how to release it"),
        ([{"name": "a", "hold": {"url": "http://x", "command": ["x"]}, "release": {"url": "http://x"}}], "how to hold it"),
        ([{"name": "a", "hold": {"url": "x"}, "release": {"url": "x"}}] * 2, "the same name"),
    ],
)
def test_a_step_that_does_not_say_how_is_refused_before_anything_is_held(entries: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        steps_from(entries)
