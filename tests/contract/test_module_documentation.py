# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module's documentation promises, checked against the others: ansible-test compares it with the argument spec."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from .tree import MODULES, NAMESPACE, REPOSITORY, load, module_documentation

pytestmark = pytest.mark.skipif(not MODULES, reason="there is no module yet")
TASK_KEYWORDS = {
    "become", "become_user", "changed_when", "check_mode", "delegate_to", "diff", "environment", "failed_when", "loop", "name",
    "no_log", "notify", "register", "retries", "delay", "run_once", "tags", "until", "vars", "when",
}  # fmt: skip


def test_the_action_group_holds_every_module() -> None:
    assert sorted(load("meta/runtime.yml")["action_groups"]["all"]) == MODULES


def test_the_group_postgresql_holds_every_module_with_its_connection_options() -> None:
    """A module that takes other options than the group's others would fail on the group's defaults."""
    fragment = f"{NAMESPACE}.postgresql"
    sharing = [module for module in MODULES if fragment in fragments(module)]
    assert sorted(load("meta/runtime.yml")["action_groups"]["postgresql"]) == sharing


def fragments(module: str) -> list[str]:
    """Return the documentation fragments that a module names."""
    tree = ast.parse((REPOSITORY / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8"))
    texts = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant)
    }
    named = yaml.safe_load(texts["DOCUMENTATION"]).get("extends_documentation_fragment", [])
    return [named] if isinstance(named, str) else list(named)


@pytest.mark.parametrize("module", MODULES)
def test_the_three_attributes_are_documented(module: str) -> None:
    attributes = module_documentation()[module]["doc"].get("attributes", {})
    assert {"check_mode", "diff_mode", "idempotent"} <= set(attributes)
    assert all(attribute.get("support") in {"full", "partial", "none", "N/A"} for attribute in attributes.values())


@pytest.mark.parametrize("module", [name for name in MODULES if name.endswith("_info")])
def test_a_module_that_only_reads_works_in_check_mode(module: str) -> None:
    assert module_documentation()[module]["doc"]["attributes"]["check_mode"]["support"] == "full"


@pytest.mark.parametrize("module", MODULES)
def test_what_the_module_returns_is_documented(module: str) -> None:
    returned = module_documentation()[module]["return"]
    assert returned, "RETURN is empty"
    for name, value in returned.items():
        assert {"description", "returned", "type"} <= set(value), name


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_are_tasks_of_this_module_with_options_that_exist(module: str) -> None:
    document = module_documentation()[module]
    tasks = yaml.safe_load(document["examples"])
    assert isinstance(tasks, list)
    seen = 0
    for task in tasks:
        assert task.get("name"), "an example has no name"
        actions = set(task) - TASK_KEYWORDS
        assert len(actions) == 1, f"{task['name']}: {actions} must be one module and otherwise keywords of a task"
        action = actions.pop()
        assert action.count(".") >= 2, f"{task['name']}: {action} is not a full name"
        if action == f"{NAMESPACE}.{module}":
            seen += 1
            unknown = list(unknown_options(task[action] or {}, document["doc"].get("options", {})))
            assert not unknown, f"{task['name']}: no such option: {unknown}"
    assert seen, "no example uses the module"


def unknown_options(given: Any, options: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the options of an example that the documentation does not have, suboptions included."""
    known = {alias: option for name, option in options.items() for alias in [name, *option.get("aliases", [])]}
    for name, value in given.items():
        if name not in known:
            yield path + name
        elif known[name].get("suboptions"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    yield from unknown_options(item, known[name]["suboptions"], f"{path}{name}.")


@pytest.mark.parametrize("module", MODULES)
def test_the_module_is_thin(module: str) -> None:
    """Its code is an argument spec and a call; what decides belongs to the library."""
    tree = ast.parse((REPOSITORY / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert sum((node.end_lineno or 0) - node.lineno for node in functions) <= 100
