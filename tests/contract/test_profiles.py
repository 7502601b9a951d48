# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profiles hold what the source runbooks say, have the shape that the schema says, and mean what the roles read."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.profile.finding import ERROR, Finding
from ansible_collections.sre.runbooks.plugins.module_utils.profile.operation import check
from ansible_collections.sre.runbooks.plugins.module_utils.profile.shape.document import own_variables, schema
from ansible_collections.sre.runbooks.plugins.module_utils.profile.shape.language import from_option
from ansible_collections.sre.runbooks.plugins.plugin_utils.profile import procedures, role_options
from tools import profile_schema
from tools.profile_values import evaluated

from .tree import REPOSITORY, load, requirement_ids

PROFILES = sorted(path.name for path in (REPOSITORY / "inventories").iterdir() if (path / "group_vars").is_dir())
VALUES = load("tests/contract/profile_values.yml")
# What the source itself gets wrong and the profile keeps on purpose: profile -> kinds of errors.
KNOWN_ERRORS: dict[str, list[str]] = {"paralegal": ["rpo"]}


@functools.cache
def all_variables() -> dict[str, dict[str, Any]]:
    """What Ansible makes of the variables of all profiles."""
    return evaluated(*(REPOSITORY / "inventories" / profile for profile in PROFILES))


def variables(profile: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What the operator host sees of a profile, and what cannot be evaluated."""
    found = all_variables()[str(REPOSITORY / "inventories" / profile)]
    return found["values"], found["unresolved"]


@functools.cache
def findings(profile: str) -> list[Finding]:
    """What profile_check finds."""
    values, unresolved = variables(profile)
    folder = str(REPOSITORY / "inventories" / profile)
    return check(folder, values, unresolved=unresolved, role_options=role_options(), procedures=procedures())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_has_no_errors_but_those_of_its_source(profile: str) -> None:
    errors = [finding for finding in findings(profile) if finding.level == ERROR]
    assert [finding.kind for finding in errors] == KNOWN_ERRORS.get(profile, []), "\n".join(finding.line for finding in errors)


def test_a_daily_dump_against_an_objective_of_one_hour_is_reported() -> None:
    (found,) = [finding for finding in findings("paralegal") if finding.kind == "rpo" and finding.level == ERROR]
    assert "may lose 1 h (RPO), and with its backups as planned (daily 02:00) up to 24 h can be lost" in found.line
    assert re.match(r"paralegal/group_vars/all/backup\.yml:\d+$", found.where)


def test_the_sample_that_is_called_healthy_and_misses_the_target_is_noted() -> None:
    (found,) = [finding for finding in findings("wrapper_system") if finding.kind == "sample"]
    assert "health_score of 0.95 does not meet the objective 'health_score' (above 0.95)" in found.line


@pytest.mark.parametrize("profile", PROFILES)
def test_every_variable_of_a_profile_is_one_that_the_schema_knows_or_that_another_variable_uses(profile: str) -> None:
    strange = [finding.line for finding in findings(profile) if finding.kind in ("unknown_variable", "unused_variable")]
    assert not strange, "\n".join(strange)


def test_the_schema_in_the_tree_is_the_one_that_the_code_makes() -> None:
    assert profile_schema.FILE.read_text(encoding="utf-8") == profile_schema.content(), "run `make schema`"


def test_the_schema_is_a_schema() -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(json.loads(profile_schema.content()))


@pytest.mark.parametrize("name", sorted(set(own_variables()) & set(role_options())))
def test_a_shape_and_the_argument_spec_of_the_role_that_reads_it_agree(name: str) -> None:
    option = role_options()[name]
    wanted, shape = from_option(option), own_variables()[name]
    allowed = {"integer": {"integer", "number"}, "number": {"integer", "number"}}
    kinds = set(wanted.get("type", [])) if isinstance(wanted.get("type"), list) else {wanted.get("type")}
    own = {shape.get("type")} if isinstance(shape.get("type"), str) else set(shape.get("type") or [])
    fits = all(kind in kinds or kinds & allowed.get(str(kind), set()) for kind in own)
    assert not own or None in kinds or fits, f"the role's spec says {option.get('type', 'str')}, the schema {shape.get('type')}"
    if option.get("choices") and shape.get("enum"):
        assert set(shape["enum"]) <= set(option["choices"])


def test_options_of_roles_are_in_the_schema() -> None:
    missing = set(role_options()) - set(schema(role_options())["properties"])
    assert not missing


def rows() -> list[Any]:
    """The table of values as test cases."""
    return [
        pytest.param(profile, path, value, id=f"{requirement}-{path}")
        for profile, requirements in VALUES.items()
        for requirement, paths in requirements.items()
        for path, value in paths.items()
    ]


@pytest.mark.parametrize(("profile", "path", "value"), rows())
def test_what_the_source_says_is_in_the_profile(profile: str, path: str, value: Any) -> None:
    found = found_at(variables(profile)[0], path)
    if isinstance(value, dict) and set(value) == {"contains"}:
        assert value["contains"] in found
    else:
        assert found == value


def test_every_section_of_the_source_runbooks_has_its_values_in_a_profile() -> None:
    assert sorted(name for requirements in VALUES.values() for name in requirements) == sorted(requirement_ids())


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "local"])
def test_a_comment_above_each_block_names_the_requirements(profile: str) -> None:
    letters = {"insighthub": "A", "rag7": "B", "paralegal": "C", "calendar_api": "D", "wrapper_system": "E"}
    named: set[str] = set()
    for path in sorted((REPOSITORY / "inventories" / profile / "group_vars" / "all").glob("*.yml")):
        named |= set(
            re.findall(r"\b([A-E]\d+)\b", " ".join(line for line in path.read_text().splitlines() if line.lstrip().startswith("#")))
        )
    missing = [name for name in requirement_ids() if name.startswith(letters[profile]) and name not in named]
    assert not missing


@pytest.mark.parametrize("path", sorted((REPOSITORY / "inventories").glob("*/group_vars/all/secrets.yml")), ids=lambda path: path.parts[-4])
def test_secrets_are_look_ups_only(path: Path) -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    clear = [text for text in leaves(yaml.safe_load(path.read_text())) if "lookup(" not in str(text)]
    assert not clear


def found_at(value: Any, path: str) -> Any:
    """The value at a path such as `health_metrics[error_rate].warn_above`."""
    for name, index in re.findall(r"([^.\[\]]+)|\[([^\]]*)\]", path):
        if name:
            value = value[name]
        elif index.isdigit() and not any(item.get("level") == int(index) for item in value if isinstance(item, dict)):
            value = value[int(index)]
        else:
            (value,) = [item for item in value if index in (str(item.get(key)) for key in ("name", "procedure", "level"))]
    return value
