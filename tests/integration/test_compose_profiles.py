# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service of a profile that nobody has chosen is known as any other, as the real Docker Compose tells it; no engine is needed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.project import Project, _check_service
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_project import config_hash
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.successor import check_renewable
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import container
from tools.engine import NoEngine, with_compose

_FILE = """
name: shop
services:
  web: {image: web}
  app: {image: app, profiles: [extra], configs: [settings], container_name: one}
  bare: {image: app, profiles: [extra], container_name: one}
  broken: {image: web, profiles: [other], env_file: not-there.env}
configs: {settings: {content: hello}}
"""
_UNDEFINED = "\n  worse: {image: web, profiles: [other], networks: [undefined]}\nconfigs:"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    try:
        environment = with_compose(dict(os.environ), tmp_path / "cache")
    except (NoEngine, FileNotFoundError) as error:
        pytest.skip(str(error))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    (tmp_path / "compose.yml").write_text(_FILE)
    return Project(str(tmp_path), service="app")


def test_the_hash_of_a_service_is_the_same_whether_its_profile_is_chosen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found = config_hash(project)
    with pytest.raises(CommandFailed, match="no such service"):
        config_hash(replace(project, service="gone"))
    monkeypatch.setenv("COMPOSE_PROFILES", "extra")
    assert found == config_hash(project)


def test_what_ails_a_service_of_another_profile_is_no_matter_for_one_without_profile(project: Project) -> None:
    Path(project.folder, "compose.yml").write_text(_FILE.replace("\nconfigs:", _UNDEFINED))
    assert config_hash(replace(project, service="web"))
    assert check_renewable(replace(project, service="web"), [container(1)]) == ""


def test_what_keeps_a_service_of_a_profile_from_renewal_one_by_one_is_seen(project: Project) -> None:
    with pytest.raises(BadInput, match="configs settings are written by Compose itself"):
        check_renewable(project, [replace(container(1), name="one")])
    assert '"bare"' in check_renewable(replace(project, service="bare"), [replace(container(1), name="one")])


def test_a_service_of_a_profile_that_has_no_container_yet_is_one_of_the_compose_files(project: Project) -> None:
    _check_service(project)
    with pytest.raises(BadInput, match="have no such service"):
        _check_service(replace(project, service="gone"))
