# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that hold for files whatever is in them."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import REPOSITORY, files, text_of

GPL = "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)"
GPL_ID = "# SPDX-License-Identifier: GPL-3.0-or-later"
BSD = "# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)"
BSD_ID = "# SPDX-License-Identifier: BSD-2-Clause"

LONGEST_FILE = 300
# Longer files, each with the reason why it is not split.
LONG_FILES: dict[str, str] = {
    "plugins/modules/health_check.py": "most of it is the documentation of the options of two dozen types of checks",
    "plugins/modules/log_scan.py": "most of it is the documentation of sources, questions and their answers",
    "plugins/modules/metrics_gate.py": "most of it is the documentation of the keys of a metric and of its result",
}

PYTHON = [path for path in files() if path.suffix == ".py"]
PLUGINS = [path for path in PYTHON if path.parts[0] == "plugins"]
ON_HOSTS = [path for path in PLUGINS if path.parts[1] in {"modules", "module_utils"}]
ALLOWED_IMPORTS = ("ansible.module_utils", "ansible_collections.sre.runbooks.plugins.module_utils")


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_the_file_says_under_which_licence_it_is(path: Path) -> None:
    head = text_of(path).splitlines()[:6]
    if not head:
        return  # an empty file that marks a package
    expected = {BSD, BSD_ID} if path.parts[:2] == ("plugins", "module_utils") else {GPL, GPL_ID}
    assert expected <= set(head)


def test_no_file_of_the_library_is_long() -> None:
    lengths = {str(path): len(text_of(path).splitlines()) for path in PYTHON if path.parts[0] in {"plugins", "src"}}
    long = {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE and path not in LONG_FILES}
    assert not long, f"over {LONGEST_FILE} lines: {long}"
    assert not [path for path in LONG_FILES if lengths.get(path, 0) <= LONGEST_FILE], "an exception is not needed any more"


@pytest.mark.parametrize("path", ON_HOSTS, ids=str)
def test_what_runs_on_a_host_imports_only_what_is_there(path: Path) -> None:
    """The standard library, Ansible's module_utils and our own; anything else inside a function or guarded by try."""
    foreign = [name for name in unguarded_imports(ast.parse(text_of(path)).body) if not at_hand(name)]
    assert not foreign


def unguarded_imports(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the full names of what a module imports when it is loaded and cannot do without."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def at_hand(name: str) -> bool:
    """Whether every managed host has the package."""
    return name.split(".")[0] in sys.stdlib_module_names or name.startswith(ALLOWED_IMPORTS)


def test_the_api_imports_nothing_of_the_collection() -> None:
    sources = [path for path in PYTHON if path.parts[0] == "src"]
    guilty = [str(path) for path in sources if re.search(r"^\s*(from|import) ansible_collections", text_of(path), re.MULTILINE)]
    assert not guilty


def test_nothing_holds_only_on_the_machine_where_it_was_written() -> None:
    """No path of a workshop, no name of a private package index or mirror, in any file."""
    # Spelt so that this file does not match itself.
    patterns = [r"(?<![\w.])/wor[k]/", r"/tmp/la[b]\b", r"(?<![\w.])/roo[t]/(?!\.ssh)", *map(re.escape, private_hosts())]
    pattern = re.compile("|".join(patterns))
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in files()
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def private_hosts() -> list[str]:
    """Return the hosts that this machine gets its packages from, the public ones that everybody uses left out."""
    public = {"pypi.org", "files.pythonhosted.org", "deb.debian.org", "security.debian.org", "archive.ubuntu.com", "security.ubuntu.com"}
    sources = [Path("/etc/pip.conf"), Path.home() / ".pip/pip.conf", Path.home() / ".config/pip/pip.conf", Path("/etc/apt/sources.list")]
    sources += Path("/etc/apt/sources.list.d").glob("*") if Path("/etc/apt/sources.list.d").is_dir() else []
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sources if path.is_file()]
    texts += [value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))]
    hosts = {host for text in texts for host in re.findall(r"https?://(?:[^/@\s]*@)?([\w.-]+)", text)}
    return sorted(host for host in hosts - public if "." in host and not host.startswith("127."))


def test_the_link_by_which_a_checkout_finds_this_collection_is_there() -> None:
    link = REPOSITORY / "collections" / "ansible_collections" / "sre" / "runbooks"
    assert link.is_symlink()
    assert str(link.readlink()) == "../../.."
