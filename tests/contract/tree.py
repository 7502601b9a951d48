# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the tree for the contract tests: nothing here judges."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import yaml

from tools.ansible_test import files_of_the_tree
from tools.process import run_shown

REPOSITORY = Path(__file__).resolve().parents[2]
NAMESPACE = "sre.runbooks"
MODULES = sorted(path.stem for path in (REPOSITORY / "plugins" / "modules").glob("[a-z]*.py"))
PLAYBOOKS = sorted(path.stem for path in (REPOSITORY / "playbooks").glob("*.yml"))
ROLES = sorted(path.name for path in (REPOSITORY / "roles").iterdir() if (path / "tasks").is_dir())


def load(path: str | Path) -> Any:
    """Return the content of a YAML file, given relative to the repository."""
    return yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))


@functools.cache
def files() -> list[Path]:
    """Return all files that git has or would have, relative to the repository."""
    return files_of_the_tree(REPOSITORY)


def text_of(path: Path) -> str:
    """Return a file's text; empty for one that is not text."""
    try:
        return (REPOSITORY / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@functools.cache
def catalogue() -> dict[str, dict[str, Any]]:
    """Return meta/procedures.yml: the entries by name, whether it lists them or maps them."""
    content = load("meta/procedures.yml")
    entries = content["procedures"]
    return {entry["name"]: entry for entry in entries} if isinstance(entries, list) else dict(entries)


@functools.cache
def requirement_ids() -> list[str]:
    """Return all requirement ids in order."""
    sources = load("tests/contract/requirement_ids.yml")["sources"]
    return [f"{letter}{number}" for letter, source in sources.items() for number in range(1, source["count"] + 1)]


def capability_ids() -> list[str]:
    """Return the ids of what the sources have in common; a procedure may claim them beside requirements."""
    shared = load("tests/contract/requirement_ids.yml")["capabilities"]
    return [f"{shared['letter']}{number}" for number in range(1, shared["count"] + 1)]


def status_rows() -> list[list[str]]:
    """Return the rows of the table in docs/STATUS.md whose first cell is a requirement id; each row as its cells."""
    lines = (REPOSITORY / "docs" / "STATUS.md").read_text(encoding="utf-8").splitlines()
    rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines if line.startswith("|"))
    return [row for row in rows if re.fullmatch(r"[A-Z]\d+", row[0])]


@functools.cache
def module_documentation() -> dict[str, dict[str, Any]]:
    """Return what ansible-doc says of every module, fragments merged in: `doc`, `examples`, `return` by short name."""
    done = run_shown(["ansible-doc", "--type", "module", "--json", *(f"{NAMESPACE}.{module}" for module in MODULES)], folder=REPOSITORY)
    if done.returncode != 0:
        raise RuntimeError(done.last_words())
    documents: dict[str, dict[str, Any]] = json.loads(done.output[done.output.index("{") :])
    return {name.rsplit(".", 1)[1]: document for name, document in documents.items()}
