# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is in a profile, profile_check answers: no traceback, no hang, no secret; and every threshold order is judged as it is."""

from __future__ import annotations

import contextlib
import itertools
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput as NoVariables
from ansible_collections.sre.runbooks.plugins.module_utils.on_call import contacts, endpoints, procedures, programs
from ansible_collections.sre.runbooks.plugins.module_utils.profile.finding import ERROR, Finding
from ansible_collections.sre.runbooks.plugins.module_utils.profile.operation import check
from ansible_collections.sre.runbooks.plugins.module_utils.profile.shape.document import own_variables, schema
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.timetable import longest_gap_s
from ansible_collections.sre.runbooks.tests.unit.profiles import PROCEDURES, ROLES, found, good, write

NAMES = sorted(own_variables())
KEYS = st.sampled_from(
    ["name", "type", "check", "metric", "verdict", "above", "below", "unit", "at", "procedure", "depends_on", "component", "rpo_s", "rto_s",
     "warn_above", "fail_above", "severity", "when", "any_check_of", "password", "url", "value", "conditions", "panels", "steps", "level",
     "after_s", "until_s", "answer", "objective", "better", "availability"]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["api", "error_rate", "json", "http", "promql", "fail", "P1", "daily 02:00", "every 0 s", "{{ x", "a[", "ratio", "-1e999"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=6), inner, max_size=5),
    max_leaves=25,
)
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@RELAXED
@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=4))
@example(changes={"health_metrics": [{}]})
def test_any_values_of_any_variables_are_answered(tmp_path: Path, changes: dict[str, t.Any]) -> None:
    variables = {**good(), **changes}
    folder = write(tmp_path, good())
    began = time.monotonic()
    told = check(str(folder), variables, role_options=ROLES, procedures=PROCEDURES)
    assert all(isinstance(one, Finding) and one.line and "\n" not in one.line for one in told)
    assert time.monotonic() - began < 10


SECRET = "swordfish-42-value"
WITH_SECRETS = st.recursive(
    SCALARS
    | st.fixed_dictionaries({"password": st.just(SECRET)})
    | st.fixed_dictionaries({"name": st.text(max_size=5), "token": st.just(SECRET)}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@RELAXED
@given(changes=st.dictionaries(st.sampled_from(NAMES), WITH_SECRETS, min_size=1, max_size=4))
def test_no_secret_is_in_what_is_told_wherever_it_stands(tmp_path: Path, changes: dict[str, t.Any]) -> None:
    variables = {**good(), **changes, "service_database_password": SECRET}
    # Where the value is no secret by its name, in a text beside it, it is one all the same.
    variables["service_title"] = SECRET
    variables["service_environment"] = SECRET
    folder = write(
        tmp_path, {**good(), "service_database_password": SECRET, "health_checks": [{"name": "x", "password": SECRET, SECRET: 1}]}
    )
    told = check(str(folder), variables, role_options=ROLES, procedures=PROCEDURES)
    said = " ".join(" ".join(map(str, one.as_dict().values())) + one.line for one in told)
    assert "in clear" in said
    assert SECRET not in said


@RELAXED
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_file_is_answered(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "profile"
    (folder / "group_vars").mkdir(parents=True, exist_ok=True)
    (folder / "group_vars" / "all.yml").write_bytes(content)
    with contextlib.suppress(NoVariables):
        check(str(folder), {})


@RELAXED
@given(value=VALUES, name=st.sampled_from(NAMES))
def test_any_yaml_that_can_be_written_is_read_back_with_its_lines(tmp_path: Path, value: t.Any, name: str) -> None:
    folder = tmp_path / "profile"
    (folder / "group_vars").mkdir(parents=True, exist_ok=True)
    (folder / "group_vars" / "all.yml").write_text(yaml.safe_dump({name: value}, allow_unicode=True), encoding="utf-8", errors="replace")
    assert check(str(folder), {})


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &x [1]\nb: &y [*x, *x, *x, *x, *x, *x, *x, *x]\nc: &z [*y, *y, *y, *y, *y, *y, *y, *y]\n"
        + "d: [*z, *z, *z, *z, *z, *z, *z, *z]\n" * 1,
        "a: " + "[" * 5000,
        "a: " + "{b: " * 2000 + "1" + "}" * 2000,
        "? [a, b]\n: c",
        "a: !!python/object/apply:os.system [id]",
        "a: !!timestamp 2020-99-99",
        "a: !!int x\nb: !!float y\nc: !!binary '***'",
        "a: 1\n--- \nb: 2",
        "<<: {a: 1}\n",
        "\ufeffa: 1",
        "a: .inf\nb: -.NaN\nc: 1e400",
        "service_name: " + "x" * 300_000,
        "x" * 2_000_000,
    ],
    ids=lambda text: text[:24].replace("\n", " "),
)
def test_hostile_yaml_is_answered_at_once(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "profile"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "group_vars" / "all.yml").write_text(text, encoding="utf-8")
    began = time.monotonic()
    told = check(str(folder), {})
    assert time.monotonic() - began < 5
    assert told


def test_many_references_to_one_value_do_not_multiply_the_work(tmp_path: Path) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    folder = tmp_path / "profile"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "group_vars" / "all.yml").write_text("\n".join(layers), encoding="utf-8")
    began = time.monotonic()
    told = check(str(folder), {})
    assert time.monotonic() - began < 10
    assert any("more values than a profile can hold" in one.line for one in told)


@RELAXED
@given(warn=st.floats(0, 1), fail=st.floats(0, 1), direction=st.sampled_from(["above", "below"]))
def test_the_order_of_two_thresholds_is_judged_as_it_is(tmp_path: Path, warn: float, fail: float, direction: str) -> None:
    variables = good()
    metric = variables["health_metrics"][0]
    for key in ("warn_above", "fail_above"):
        metric.pop(key)
    metric.update({f"warn_{direction}": warn, f"fail_{direction}": fail})
    crossed = warn > fail if direction == "above" else warn < fail
    told = [one for one in found(tmp_path, variables) if one.kind == "thresholds" and one.level == ERROR]
    assert bool(told) is crossed


@RELAXED
@given(rpo_min=st.integers(1, 100_000), every_min=st.integers(1, 100_000))
def test_an_objective_is_met_by_a_schedule_exactly_when_its_gap_is_smaller(tmp_path: Path, rpo_min: int, every_min: int) -> None:
    variables = good()
    variables["backup_stores"][0]["rpo_s"] = variables["service_components"][1]["rpo_s"] = rpo_min * 60
    variables["schedule_entries"][0]["at"] = f"every {every_min} min"
    told = [one.level for one in found(tmp_path, variables) if one.kind == "rpo"]
    assert told == (["error"] if every_min > rpo_min else ["warning"] if every_min == rpo_min else [])


@RELAXED
@given(limits=st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_rules_cross_exactly_when_a_graver_one_is_not_farther_out(tmp_path: Path, limits: list[int]) -> None:
    variables = good()
    variables["incident_severities"] = [{"name": f"P{rank}", "response": "soon", "notify": "critical"} for rank in range(len(limits))]
    variables["incident_severity_rules"] = [
        {"severity": f"P{rank}", "when": f"rule {rank}", "metric": "error_rate", "above": limit / 100} for rank, limit in enumerate(limits)
    ] + [{"severity": "P0", "when": "gone", "any_check_of": ["api", "database"], "verdict": ["fail"]}]
    sound = all(graver > milder for graver, milder in itertools.pairwise(limits))
    told = [one for one in found(tmp_path, variables) if one.kind == "crossing"]
    assert bool(told) is not sound


@given(text=st.text(max_size=40))
def test_any_text_is_a_time_or_none(text: str) -> None:
    gap = longest_gap_s(text)
    assert gap is None or gap > 0


@RELAXED
@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=4))
def test_the_check_before_a_shift_reads_any_contacts_tools_and_schedules(changes: dict[str, t.Any]) -> None:
    variables = {**good(), **changes}
    told = [
        *contacts.contacts(variables),
        *contacts.channels(variables),
        *endpoints.logs(variables),
        *procedures.required(variables, PROCEDURES),
    ]
    assert all(one.line for one in told)
    programs._wanted(variables)


def test_the_schema_takes_every_own_variable_and_no_two_mean_the_same_definition() -> None:
    whole = schema(ROLES)
    assert set(NAMES) <= set(whole["properties"])
    referred = {name.rsplit("/", 1)[1] for name in _references(whole)}
    assert referred <= set(whole["$defs"])


def _references(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
