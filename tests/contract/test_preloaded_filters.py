# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every filter is loaded before Ansible forks a process for each task: one that is forgotten would be compiled in all of them."""

from __future__ import annotations

import ast
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


def test_each_file_of_filters_is_loaded_by_the_action_that_begins_every_procedure() -> None:
    imports = [one for one in ast.walk(ast.parse((PLUGINS / "action" / "procedure_run.py").read_text())) if isinstance(one, ast.ImportFrom)]
    loaded = {name.name for one in imports if one.module and one.module.endswith("plugins.filter") for name in one.names}
    assert loaded == {path.stem for path in (PLUGINS / "filter").glob("*.py") if path.stem != "__init__"}


def test_a_file_of_filters_brings_no_more_with_it_than_errors_until_a_filter_is_called() -> None:
    """All of them are loaded in every run, and few runs use one: 120 ms of 850 went into what the others need."""
    brought = {}
    for path in (PLUGINS / "filter").glob("*.py"):
        tree = ast.parse(path.read_text())
        modules = [one.module or "" for one in tree.body if isinstance(one, ast.ImportFrom)]
        brought[path.name] = [one for one in modules if ".module_utils." in one and not one.endswith(".module_utils.errors")]
    assert len(brought) > 5
    assert {name: found for name, found in brought.items() if found} == {}
