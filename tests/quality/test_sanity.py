# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-test sanity on the oldest and on the newest ansible-core that this collection supports.

What judges the text alone, or what each file imports, looks at it once, on the newest, where both are there (ONCE): its rules are taken to
be no fewer than those of the oldest, on which every other test imports these files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tools.ansible_test import copy_tree, seed_installer
from tools.process import Done, run_shown, with_venv

from .conftest import Controller

ONCE = ("changelog", "import", "pep8", "pylint", "yamllint")


def sanity(controller: Controller, home: Path, tree: Path, without: tuple[str, ...] = ()) -> Done:
    """Run every test of ansible-test but those, whose environments and downloads are kept in `home`."""
    # pip goes on to read the person's settings.
    pip_settings = Path.home() / ".config" / "pip" / "pip.conf"
    environment = {**os.environ, "HOME": str(home), "PIP_CACHE_DIR": str(home / "pip")}
    if pip_settings.exists() and "PIP_CONFIG_FILE" not in environment:
        environment["PIP_CONFIG_FILE"] = str(pip_settings)
    return run_shown(
        ["ansible-test", "sanity", "--venv", "--python", controller.version, "--color", "no", *(f"--skip-test={name}" for name in without)],
        folder=tree,
        environment=with_venv(environment, controller.python),
        timeout_s=850,
    )


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, repository: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Done]]]:
    """The run on each controller asked for, side by side, as each keeps one processor busy."""
    asked = {item.callspec.params["controller"] for item in request.session.items if item.path == request.path}  # type: ignore[attr-defined]
    found: dict[str, Controller] = {}
    for name in sorted(asked):
        try:
            found[name] = request.getfixturevalue(f"{name}_controller")
        except pytest.skip.Exception:  # said by the test itself
            continue
    home = cache / "ansible-test"
    for controller in found.values():
        seed_installer(home, controller.site_packages)
    trees = {name: copy_tree(repository, tmp_path_factory.mktemp(name)) for name in found}
    with ThreadPoolExecutor() as pool:
        yield {
            name: pool.submit(sanity, controller, home, trees[name], ONCE if name == "this" and "newest" in found else ())
            for name, controller in found.items()
        }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ansible_test_finds_nothing(controller: Controller, runs: dict[str, Future[Done]], request: pytest.FixtureRequest) -> None:
    done = runs[request.node.callspec.params["controller"]].result()
    errors = [line for line in done.output.splitlines() if line.startswith(("ERROR", "FATAL"))]
    assert done.returncode == 0, "\n".join([f"ansible-core {controller.core}:", *errors]) if errors else done.last_words()
    assert "All targets skipped" not in done.output, done.last_words()
