# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a run record: steps, measurements and the error."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.run_steps import error_of, measurements_of, steps_of


def task(name: str, host: str, started: float, finished: float, status: str, *within: str) -> dict[str, Any]:
    timed = {"started": started, "finished": finished}
    return {"task": name, "id": name, "host": host, **timed, "status": status, "within": list(within)}


def test_steps_come_from_the_timeline_one_for_all_hosts_with_the_results_of_the_same_name() -> None:
    timeline = [
        task("Earlier run", "a", 50, 51, "ok"),
        task("Dump", "a", 100, 103.5, "ok"),
        task("Dump", "b", 100.2, 104, "changed"),
        task("Not needed", "a", 104, 104.1, "skipped"),
        task("Swap", "a", 105, 106, "failed"),
    ]
    results: list[dict[str, Any]] = [
        {"name": "Dump", "result": {"changed": True, "rows": 7, "summary": "7 rows", "invocation": {}}},
        {"name": "Compare", "result": None},
    ]
    steps = steps_of(timeline, results, since=90)
    assert [(step["name"], step["status"], step["changed"]) for step in steps] == [
        ("Dump", "ok", True),
        ("Swap", "failed", False),
        ("Compare", "not reached", False),
    ]
    assert steps[0]["duration_s"] == 4
    assert steps[0]["hosts"] == ["a", "b"]
    assert (steps[0]["summary"], steps[0]["facts"]) == ("7 rows", {"rows": 7})
    assert steps[0]["started_at"] == "1970-01-01T00:01:40.000Z"


def test_each_host_has_its_own_step_where_its_result_is_given_and_a_step_of_many_tasks_lasts_as_long_as_they() -> None:
    timeline = [
        task("Look", "a", 100, 101, "ok", "", "Restart the service"),
        task("Look", "b", 100, 101, "ok", "Restart the service"),
        task("Turn", "a", 101, 104, "changed", "Restart the service"),
        task("Turn", "b", 104, 106, "failed", "Restart the service"),
        task("Sweep", "a", 107, 108, "changed"),
        task("Sweep", "b", 107, 109, "ok"),
    ]
    results: list[dict[str, Any]] = [
        {"name": "Restart the service", "host": "a", "result": {"changed": True, "conclusion": "3 of 3 replicas run"}},
        {"name": "Restart the service", "host": "b", "result": {}},
        {"name": "Sweep", "host": "a", "result": {"changed": True, "freed": 1}},
        {"name": "Sweep", "host": "b", "result": {"changed": False, "freed": 0}},
    ]
    steps = [step for step in steps_of(timeline, results, since=90) if step["name"] not in ("Look", "Turn")]
    assert [(step["name"], step["hosts"], step["duration_s"], step["status"], step["changed"]) for step in steps] == [
        ("Sweep", ["a"], 1, "ok", True),
        ("Sweep", ["b"], 2, "ok", False),
        ("Restart the service", ["a"], 4, "ok", True),
        ("Restart the service", ["b"], 6, "failed", False),
    ]
    assert [step["facts"].get("freed") for step in steps] == [1, 0, None, None]
    assert steps[2]["summary"] == "3 of 3 replicas run"


def test_measurements_stand_beside_their_targets_and_a_word_instead_of_a_number_is_refused() -> None:
    given_numbers = {"rto_s": "12.5", "rpo_s": 7200, "success_percent": {"value": 99.5, "target": 99, "better": "higher"}, "size_bytes": 10}
    found = measurements_of(given_numbers, {"rto_s": 3600, "rpo_s": 3600})
    assert {name: (item["unit"], item["met"]) for name, item in found.items()} == {
        "rto_s": ("s", True),
        "rpo_s": ("s", False),
        "success_percent": ("%", True),
        "size_bytes": ("bytes", None),
    }
    with pytest.raises(BadInput, match="rto_s is no number"):
        measurements_of({"rto_s": "soon"}, {})


def test_the_error_of_a_foreign_task_names_the_task_and_holds_its_last_words() -> None:
    error = error_of({"msg": "non-zero return code", "stderr": "one\ntwo\n\nthree\nno such host\n"}, "Call the provider")
    assert error["message"] == "Call the provider: non-zero return code: two; three; no such host"
    looped = error_of({"msg": "One or more items failed", "results": [{"failed": False}, {"failed": True, "msg": "second"}]}, "Loop")
    assert looped["message"] == "Loop: second"
    assert error_of({}, "")["message"] == "The task failed without a message"


def missed(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The failed result of a role's validation, as ansible.builtin.validate_argument_spec words it."""
    errors = ArgumentSpecValidator(spec).validate(given).error_messages
    assert errors
    return {"msg": "Validation of arguments failed:\n" + "\n".join(errors), "argument_errors": errors, "argument_spec_data": spec}


def test_a_variable_that_a_role_misses_is_told_with_what_it_means() -> None:
    spec = {
        "service_runtime": {"description": "What runs it.", "choices": ["compose", "systemd"], "required": True},
        "service_name": {"description": ["A.", "B."], "required": True},
    }
    failed = missed(spec, {})
    error = error_of(failed, "Validating arguments")
    why = "service_name is not set: A. B; service_runtime is not set: What runs it: one of compose, systemd"
    assert error["message"] == f"{failed['msg']}. {why}. Next: set service_name and service_runtime in the profile, or with -e."
    assert error_of({**failed, "argument_spec_data": None}, "")["why"] == ""


def test_a_part_of_a_variable_that_a_role_misses_is_told_with_the_variable_once() -> None:
    store = {"description": ["Name of the store."], "required": True}
    inner = {"type": "dict", "options": {"path": {"required": True}}}
    spec = {"restore_files": {"type": "list", "elements": "dict", "options": {"store": store, "place": inner}}}
    error = error_of(missed(spec, {"restore_files": [{"place": {}}, {}]}), "")
    assert error["why"] == "store of restore_files is not set: Name of the store; path of place of restore_files is not set"
    assert error["next_step"] == "set store of restore_files and path of place of restore_files in the profile, or with -e"
