# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as others get it: built and installed, or as a checkout on an automation platform."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from tools.ansible_test import files_of_the_tree
from tools.process import run_shown

REPOSITORY = Path(__file__).parents[2]
PLAYBOOKS = sorted(path.stem for path in (REPOSITORY / "playbooks").glob("*.yml"))
MODULES = sorted(path.stem for path in (REPOSITORY / "plugins" / "modules").glob("[a-z]*.py"))
needs_playbooks = pytest.mark.skipif(not PLAYBOOKS, reason="there is no playbook yet")


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built from the files that git has or would have."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    for path in files_of_the_tree(REPOSITORY):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, source / path)
    done = run_shown(["ansible-galaxy", "collection", "build", "--output-path", str(folder), str(source)], folder=folder)
    assert done.returncode == 0, done.last_words()
    return next(folder.glob("sre-runbooks-*.tar.gz"))


@pytest.fixture(scope="module")
def installed(tarball: Path) -> dict[str, str]:
    """Environment in which only the installed collection is found, not the checkout."""
    target = tarball.parent / "installed"
    command = ["ansible-galaxy", "collection", "install", "--offline", "--no-deps", "--collections-path", str(target), str(tarball)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(target)}
    done = run_shown(command, folder=tarball.parent, environment=environment)
    assert done.returncode == 0, done.last_words()
    return environment


def test_the_tarball_holds_the_collection_and_nothing_of_the_workshop(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    tops = {name.split("/")[0] for name in names}
    assert {"plugins", "roles", "playbooks", "meta", "README.md", "LICENSE", "MANIFEST.json"} <= tops
    assert not tops & {"collections", "src", "tests", "molecule", ".ci", ".venv", ".cache", ".git", "Makefile"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_every_module_of_the_installed_collection_is_documented(installed: dict[str, str], tmp_path: Path) -> None:
    names = [f"sre.runbooks.{module}" for module in MODULES]
    done = run_shown(["ansible-doc", "--type", "module", "--json", *names], folder=tmp_path, environment=installed)
    assert done.returncode == 0, done.last_words()
    documented = yaml.safe_load(done.output[done.output.index("{") :])
    assert sorted(documented) == sorted(names)


@needs_playbooks
def test_installed_playbooks_are_found_by_their_full_names(installed: dict[str, str], tmp_path: Path) -> None:
    """All in one call: Ansible takes several playbooks, and starting it is most of the cost."""
    names = [f"sre.runbooks.{playbook}" for playbook in PLAYBOOKS]
    command = ["ansible-playbook", "--syntax-check", "--inventory", "localhost,", *names]
    done = run_shown(command, folder=tmp_path, environment=installed)
    assert done.returncode == 0, done.last_words()
    for playbook in PLAYBOOKS:
        assert f"playbook: {tmp_path.anchor}" in done.output
        assert f"/playbooks/{playbook}.yml" in done.output


@needs_playbooks
def test_a_checkout_on_an_automation_platform_finds_everything_from_its_root(tmp_path: Path) -> None:
    """AWX and Semaphore clone the repository, stay in its root, and name a playbook by its relative path."""
    checkout = tmp_path / "project"
    for path in [*files_of_the_tree(REPOSITORY), Path("collections/requirements.yml")]:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, checkout / path)
    link = REPOSITORY / "collections" / "ansible_collections" / "sre" / "runbooks"
    copied = checkout / link.relative_to(REPOSITORY)
    copied.parent.mkdir(parents=True)
    copied.symlink_to(link.readlink())
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment["HOME"] = str(tmp_path)
    command = ["ansible-playbook", "--syntax-check", *(f"playbooks/{playbook}.yml" for playbook in PLAYBOOKS)]
    done = run_shown(command, folder=checkout, environment=environment)
    assert done.returncode == 0, done.last_words()


def test_the_documentation_of_the_collection_passes_its_linter() -> None:
    command = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."]
    done = run_shown(command, folder=REPOSITORY)
    assert done.returncode == 0, done.last_words()
