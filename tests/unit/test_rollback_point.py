# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollback points: what they keep comes back exactly, and nothing secret is shown."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.objects import cleaned
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.survey import ABSENT
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.swap_plan import compare
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.tests.unit.rollback_service import CONFIG_MAP, Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_everything_comes_back_with_mode_and_owner_and_what_was_not_there_goes(service: Service) -> None:
    if os.geteuid() == 0:
        os.chown(service.conf / "a.conf", 1234, 2345)
    before, names = service.picture(), service.names()
    point = service.create()["point"]
    service.disturb()
    disturbed = service.picture()
    predicted = service.call("restore", check_mode=True)
    assert service.picture() == disturbed
    done = service.call("restore")
    assert (service.picture(), service.names()) == (before, names)
    assert (predicted["plan"], predicted["changed"]) == (done["plan"], True)
    assert service.call("restore")["changed"] is False
    # What was replaced is a point of its own, by which the restore is taken back.
    service.call("restore", point=done["safety_point"])
    assert service.picture() == disturbed
    service.call("restore", point=point)
    assert service.picture() == before


def test_a_point_that_holds_what_there_is_already_is_not_taken_twice(service: Service) -> None:
    assert service.create(check_mode=True)["changed"] is True
    assert not service.home.exists()
    first = service.create()
    again = service.create()
    assert (first["changed"], again["changed"], again["point"]) == (True, False, first["point"])
    service.disturb()
    assert service.create(check_mode=True)["changed"] is True
    assert service.create()["changed"] is True


def test_points_are_for_their_owner_alone_and_no_less_strict_than_the_source(service: Service) -> None:
    service.env.chmod(0o400)
    folder = Path(service.create()["point_folder"])
    for path in [service.home, folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == 0o700 if path.is_dir() else not mode & ~0o600, (path, oct(mode))
    assert stat.S_IMODE((folder / "files" / str(service.env)[1:]).stat().st_mode) == 0o400


def test_secret_content_is_in_no_result(service: Service) -> None:
    marked = service.conf / "sub" / "b.conf"
    marked.write_text("hidden-3\n")
    results = [service.create(secret_paths=[str(marked.parent)])]
    service.env.write_text("TOKEN=hidden-4\n")
    marked.write_text("hidden-5\n")
    (service.conf / "a.conf").write_text("limit=2\npassword: hidden-6\n")
    results += [service.call("restore", check_mode=True), service.call("restore"), service.info(verify=True)]
    assert "hidden-" not in json.dumps(results)
    assert "limit=2" in json.dumps(results[1]["diff"])
    assert str(service.env) in json.dumps(results[1]["diff"])


def test_objects_are_kept_without_what_the_server_writes_and_secrets_only_given_on_request(service: Service) -> None:
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "rag7-prod", "annotations": {"deployment.kubernetes.io/revision": "4"}},
        "spec": {"replicas": 2},
        "status": {"replicas": 2},
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "rag7-prod"}, "data": {"K": "aGlkZGVu"}}
    done = service.call("create", objects=[CONFIG_MAP, workload], secret_objects=[json.dumps(secret)])
    told = service.info(verify=True)
    assert [one["revision"] for one in told["points"][0]["objects"]] == ["", "4", ""]
    assert "aGlkZGVu" not in json.dumps([done, told, service.call("restore")])
    kept = service.info(with_objects=True)["objects"]
    assert kept[0]["metadata"] == {
        "name": "rag7-config",
        "namespace": "rag7-prod",
        "labels": {"app": "rag7"},
        "annotations": {"team": "platform"},
    }
    assert (kept[1]["spec"], "status" in kept[1], kept[2]) == ({"replicas": 2}, False, secret)
    assert cleaned(kept[0]) == kept[0]


TREES = st.dictionaries(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), st.one_of(st.none(), st.binary(max_size=3)), max_size=6
)


def plant(top: Path, tree: dict[str, bytes | None]) -> None:
    """Files and (None) folders; what lies below a file, or would take a folder's place, is left out."""
    top.mkdir(parents=True)
    for name, content in sorted(tree.items()):
        path = top / name
        if any(parent.is_file() for parent in path.parents) or path.exists():
            continue
        if content is None:
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@given(then=TREES, now=TREES)
@settings(max_examples=40)
def test_whatever_became_of_a_folder_it_comes_back_or_nothing_is_changed(
    tmp_path_factory: pytest.TempPathFactory, then: dict[str, bytes | None], now: dict[str, bytes | None]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    service = Service(folder)
    service.roots = [folder / "top"]
    plant(folder / "top", then)
    before = service.picture()
    service.create()
    (folder / "top").rename(folder / "old")
    plant(folder / "top", now)
    present = service.picture()
    try:
        compare(list(before.values()), list(present.values()))
        possible = True
    except BadInput:
        possible = False
    if possible:
        service.call("restore")
        assert {path: one for path, one in service.picture().items() if one.kind != ABSENT} == before
    else:
        with pytest.raises(BadInput):
            service.call("restore")
        assert service.picture() == present
