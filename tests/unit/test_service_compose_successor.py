# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes a replica's place is made as Compose would make it; what keeps from that is told."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.engine import _frames
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.project import Project
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_project import call
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.successor import check_renewable, obstacles, successor_of
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import container

PATTERN = {
    "Id": "ab" * 32,
    "Name": "/shop-app-4",
    "Config": {
        "Hostname": "ab" * 6,
        "Image": "app:2",
        "Volumes": {"/cache": {}},
        "Labels": {"com.docker.compose.container-number": "4", "com.docker.compose.config-hash": "new"},
    },
    "HostConfig": {"NetworkMode": "shop_front", "Binds": None, "Mounts": [{"Type": "volume", "Target": "/data"}], "Memory": 5},
    "NetworkSettings": {
        "Networks": {
            "shop_back": {"Aliases": ["shop-app-4", "app", "ab" * 6], "IPAddress": ""},
            "shop_front": {"Aliases": ["shop-app-4", "app"], "IPAMConfig": {"IPv4Address": "10.1.1.1"}, "MacAddress": "02:42"},
        }
    },
}


def test_a_successor_is_made_as_the_pattern_with_the_replica_s_own_name_number_and_nameless_volumes() -> None:
    volumes = [("c" * 64, "/cache"), ("d" * 64, "/data"), ("named", "/named")]
    before = container(2, Mounts=[{"Type": "volume", "Name": name, "Destination": place} for name, place in volumes])
    pattern = copy.deepcopy(PATTERN)
    made = successor_of(before, pattern)
    assert pattern == PATTERN, "the pattern is used for the next one too"
    body = made.body
    assert "Hostname" not in body
    assert body["Labels"] == {"com.docker.compose.container-number": "2", "com.docker.compose.config-hash": "new"}
    front = {"Aliases": ["shop-app-2", "app"], "IPAMConfig": {"IPv4Address": "10.1.1.1"}}
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"shop_front": front}}
    assert made.networks == {"shop_back": {"Aliases": ["shop-app-2", "app"]}}
    assert body["HostConfig"]["Binds"] == [f"{'c' * 64}:/cache"]
    assert body["HostConfig"]["Mounts"] == [{"Type": "volume", "Target": "/data", "Source": "d" * 64}]
    assert (body["Image"], body["HostConfig"]["Memory"]) == ("app:2", 5)


def test_a_successor_made_from_another_description_bears_the_marks_of_the_project_s_own_files() -> None:
    files = {f"com.docker.compose.project.{name}": f"/srv/{name}" for name in ("config_files", "working_dir")}
    number = {"com.docker.compose.container-number": "1"}
    before = container(1, Config={"Labels": {**number, **files, "com.docker.compose.config-hash": "old"}})
    labels = successor_of(before, PATTERN, "own").body["Labels"]
    assert labels == {**number, "com.docker.compose.config-hash": "own", **files}


def test_what_compose_itself_puts_into_containers_and_a_fixed_name_keep_from_renewal_one_by_one() -> None:
    service = {"secrets": [{"source": "token"}, "file"], "configs": [{"source": "settings"}], "container_name": "one"}
    project = {
        "services": {"app": service, "plain": {}},
        "secrets": {"token": {"environment": "TOKEN"}, "file": {"file": "./x"}},
        "configs": {"settings": {"content": "a"}, "other": {"content": "b"}},
    }
    found = obstacles(project, "app", ["app-1"])
    assert [word for word in ("container_name", "configs settings", "secrets token") if not any(word in one for one in found)] == []
    assert not any("file" in one.split() or "other" in one for one in found)
    assert obstacles(project, "plain", ["app-1"]) == []
    assert "container_name" not in str(obstacles(project, "app", ["one"])), "the name is that of what is there"


def test_compose_is_given_the_project_without_the_fixed_name_of_the_one_replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"name": "shop", "services": {"app": {"image": "x", "container_name": "one"}, "db": {"container_name": "db"}}}
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\ncase "$*" in *config*) echo \'{json.dumps(described)}\' ;; *) echo "$*"; cat ;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    project = Project(str(tmp_path), ("a.yml", "b.yml"), ".env.prod", service="app")
    text = check_renewable(project, [replace(container(1), name="one")])
    assert json.loads(text)["services"] == {"app": {"image": "x"}, "db": {"container_name": "db"}}
    words, _newline, read = call(project, "up", described=text).partition("\n")
    assert words == f"compose --file - --env-file .env.prod --project-directory {tmp_path} up"
    assert read == text
    assert check_renewable(replace(project, service="other"), [container(1)]) == ""
    with pytest.raises(BadInput, match="container_name is one, and there is shop-app-1"):
        check_renewable(project, [container(1)])


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_logs_are_read_in_frames_and_bare(lines: list[bytes]) -> None:
    framed = b"".join(b"\1\0\0\0" + len(line).to_bytes(4, "big") + line for line in lines)
    assert _frames(framed) == b"".join(lines)
    assert _frames(b"plain text of a terminal\n") == b"plain text of a terminal\n"
