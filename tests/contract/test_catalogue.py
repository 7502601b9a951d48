# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue, the playbooks and the list of requirements say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.planned import WORKS_ON

from .tree import PLAYBOOKS, REPOSITORY, capability_ids, catalogue, load, requirement_ids, status_rows, text_of

STATES = {"open", "partly", "done"}
needs_playbooks = pytest.mark.skipif(not PLAYBOOKS, reason="there is no playbook yet")


def test_every_playbook_is_in_the_catalogue_and_every_entry_has_its_playbook() -> None:
    assert sorted(catalogue()) == PLAYBOOKS


@needs_playbooks
@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_entry_says_what_the_procedure_does_and_needs(name: str) -> None:
    entry = catalogue()[name]
    assert entry["title"]
    assert len(entry["title"]) <= 100
    assert entry["changes"] in {"reads", "changes", "destroys"}
    assert isinstance(entry.get("required_variables", []), list)
    unknown = set(entry.get("requirements") or []) - {*requirement_ids(), *capability_ids()}
    assert not unknown, f"no such requirement: {sorted(unknown)}"
    inverse = entry.get("inverse")
    assert not inverse or inverse in catalogue(), f"the inverse {inverse} is no procedure"


@needs_playbooks
@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_playbook_takes_its_hosts_from_a_variable_with_a_default(name: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    for play in load(f"playbooks/{name}.yml"):
        if "ansible.builtin.import_playbook" in play:
            continue
        # Where a group may be missing another takes its place; `..._store_hosts`, `..._main` are gathered by an earlier play.
        one = r"'[\w:]+(\[0\])?'"
        pattern = rf"\{{\{{ \w+ \| default\({one}( if '\w+' in groups else {one})?(, true)?\) \}}\}}|\w+_(store_hosts|main)"
        assert re.fullmatch(pattern, play["hosts"]), f"{play['name']}: hosts: {play['hosts']}"


@needs_playbooks
@pytest.mark.parametrize("name", PLAYBOOKS)
def test_what_is_done_to_one_store_is_done_by_one_host(name: str) -> None:
    for play in load(f"playbooks/{name}.yml"):
        if re.search(r"__\w+_target\.name", str(play.get("vars", {}).get("procedure_resource", ""))):
            hosts = re.findall(r"'(\w+(?:\[0\])?)'(?! in)", play["hosts"])
            assert hosts
            assert all(host.endswith("[0]") for host in hosts), f"{play['hosts']}: each of several hosts would do it"


def test_the_status_page_has_every_requirement_once() -> None:
    assert [row[0] for row in status_rows()] == requirement_ids()


def test_a_requirement_is_claimed_by_a_procedure_or_open_and_never_both() -> None:
    claimed = {name for entry in catalogue().values() for name in entry.get("requirements") or []}
    wrong = []
    for requirement, _asked, state, shown in status_rows():
        if state not in STATES:
            wrong.append(f"{requirement}: {state!r} is none of {sorted(STATES)}")
        elif state == "open" and requirement in claimed:
            wrong.append(f"{requirement}: a procedure claims it, the status page calls it open")
        elif state != "open" and not shown:
            wrong.append(f"{requirement}: {state}, and nothing shows it")
    assert not wrong, "\n".join(wrong)


def test_no_playbook_lies_in_a_sub_folder() -> None:
    assert not [path for path in (REPOSITORY / "playbooks").iterdir() if path.is_dir()]


def test_what_promises_are_judged_by_is_how_the_playbooks_choose_their_stores() -> None:
    texts = {name: text_of(Path(f"playbooks/{name}.yml")) for name in PLAYBOOKS}
    chosen = {name: re.search(r"sre\.runbooks\.(stores_named|store)\((\w+) \|", text) for name, text in texts.items()}
    assert {name: (found[2], found[1] == "stores_named") for name in WORKS_ON if (found := chosen[name])} == WORKS_ON
    takes = {name for name, text in texts.items() if re.search(r"backup, tasks_from: take_all|pitr, tasks_from: backup", text)}
    # pitr_setup takes the first one, once.
    assert takes - {"pitr_setup"} <= set(WORKS_ON), "a procedure that takes backups has to count for what can be lost"
