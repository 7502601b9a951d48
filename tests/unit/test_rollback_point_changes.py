# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rollback point of a change that is under way, and of one that a killed run has left."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.points import points_of
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.survey import survey
from ansible_collections.sre.runbooks.tests.unit.rollback_service import CONFIG_MAP, Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_pruning_keeps_the_newest_and_what_a_change_goes_back_to(service: Service) -> None:
    ids = []
    for number in range(5):
        (service.conf / "a.conf").write_text(f"limit={number}\n")
        ids.append(service.create(begins_change=number == 1)["point"])
        if number == 1:
            ids_of_change = ids[-1]
    # While a change is under way its point is returned, and no other is taken, so that only calls without it take more.
    assert service.create(begins_change=True)["point"] == ids_of_change
    predicted = service.call("prune", check_mode=True, keep_last=0, keep_days=0)
    assert len(points_of(str(service.home), "rag7")) == 5
    done = service.call("prune", keep_last=0, keep_days=0)
    assert (done["dropped"], done["kept"]) == (predicted["dropped"], [ids[4], ids[1]])
    assert service.call("prune", keep_last=0, keep_days=0)["changed"] is False
    service.call("settle")
    assert service.call("prune", keep_last=1, keep_days=0)["kept"] == [ids[4]]
    assert service.call("prune", keep_last=0, keep_days=30)["dropped"] == []


def test_an_unfinished_change_is_remembered_until_it_is_settled(service: Service) -> None:
    first = service.create(begins_change=True, run_id="RUN-1")
    service.disturb()
    again = service.create(begins_change=True, run_id="RUN-2")
    assert (again["point"], again["unfinished"]["run_id"], again["changed"]) == (first["point"], "RUN-1", False)
    assert "RUN-1 began a change" in again["notes"][0]
    assert service.info()["unfinished"]["point"] == first["point"]
    assert service.call("settle", check_mode=True)["changed"] is True
    assert service.call("settle")["changed"] is True
    assert service.call("settle")["changed"] is False
    assert service.create(begins_change=True)["point"] != first["point"]


def test_a_change_after_a_killed_one_goes_back_to_what_both_replace(service: Service) -> None:
    other = service.folder / "other"
    (other / "deep").mkdir(parents=True)
    (other / "x.conf").write_text("x=1\n")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"K": "b25l"}}
    before = service.picture()
    first = service.create(begins_change=True, run_id="RUN-1", objects=[CONFIG_MAP])
    service.disturb()
    # Nothing of what the first run left counts as former, where the folders of the second have files of the first in them, either.
    service.roots += [other, service.folder / "current"]
    again = service.create(begins_change=True, run_id="RUN-2", secret_objects=[json.dumps(secret)])
    assert (again["changed"], again["point"] != first["point"], again["unfinished"]["run_id"]) == (True, True, "RUN-1")
    assert service.info()["unfinished"]["point"] == again["point"]
    assert service.create(begins_change=True)["point"] == again["point"]
    then = survey([str(other)])[0]
    (other / "x.conf").write_text("x=2\n")
    (other / "deep").rmdir()
    assert service.call("restore", point=again["point"])["changed"] is True
    service.roots = service.roots[:4]
    assert (service.picture(), survey([str(other)])[0]) == (before, then)
    kept = service.info(with_objects=True, point=again["point"], verify=True)
    assert [one["kind"] for one in kept["objects"]] == ["ConfigMap", "Secret"]
    assert kept["points"][0]["problems"] == []


def test_without_a_name_a_killed_change_is_taken_back_not_what_it_left_half_done(service: Service) -> None:
    before = service.picture()
    first = service.create(begins_change=True)
    service.disturb()
    assert service.create()["point"] != first["point"]
    assert service.call("restore", check_mode=True)["point"] == first["point"]
    assert service.info(with_objects=True)["points"][0]["id"] == first["point"]
    service.call("restore")
    assert service.picture() == before


@pytest.fixture
def project(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    """A Compose project whose file was lost, and an engine that tells of one running container, from what `runs` names."""
    (tmp_path / "bin").mkdir()
    program, runs = tmp_path / "bin" / "docker", tmp_path / "runs"
    runs.write_text("app:2")
    labels = {"com.docker.compose.service": "app"}
    told = {"Name": "/app-1", "State": {"Running": True}, "Config": {"Labels": labels, "Image": "NOW"}, "Image": "sha256:NOW"}
    program.write_text(
        f"""#!/bin/sh
case "$1 $2" in
  "ps --all") printf 'id\\tapp\\t{service.folder}\\t\\tapp\\t1\\n' ;;
  "inspect --type") sed "s/NOW/$(cat {runs})/g" <<'END'
[{json.dumps(told)}]
END
  ;;
  *) exit 1 ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return {"project_folder": str(service.folder), "compose_files": ["lost.yaml"], "environment_file": "", "project_name": ""}


def test_before_a_restore_what_it_replaces_and_the_images_that_run_are_kept(service: Service, project: dict[str, t.Any]) -> None:
    point = service.create()["point"]
    service.disturb()
    safety = service.call("create", before_restore_of=point, begins_change=True, compose=project)
    # Who is not told of the project takes that point for the same.
    done = service.call("restore", point=point)
    assert ([one["image_id"] for one in safety["images"]], done["safety_point"]) == (["sha256:app:2"], safety["point"])
    # Where it is the restore alone that keeps what it replaces, it does so, too.
    service.env.write_text("TOKEN=another\n")
    alone = service.call("restore", point=point, compose=project)["safety_point"]
    assert [one["image"] for one in service.info(point=alone)["points"][0]["images"]] == ["app:2"]


def test_files_that_stay_with_another_image_are_another_point_which_an_unfinished_change_adds_to_its_own(
    service: Service, project: dict[str, t.Any]
) -> None:
    (service.folder / "lost.yaml").write_text("{}")
    first = service.create(compose=project)
    assert service.create(compose=project)["changed"] is False
    (service.folder / "runs").write_text("app:3")
    second = service.create(compose=project, begins_change=True)
    assert [(one["changed"], [image["image"] for image in one["images"]]) for one in (first, second)] == [
        (True, ["app:2"]),
        (True, ["app:3"]),
    ]
    (service.folder / "runs").write_text("app:4")
    service.roots.append(service.folder / "runs")
    more = service.create(compose=project, begins_change=True)
    assert [image["image"] for image in more["images"]] == ["app:3", "app:4"]


def test_what_is_secret_only_for_the_next_change_is_so_in_the_point_of_an_unfinished_one(service: Service) -> None:
    first = service.create(begins_change=True)
    (service.conf / "a.conf").unlink()
    now_secret = [str(service.conf / "a.conf")]
    again = service.create(begins_change=True, secret_paths=now_secret)
    assert again["point"] != first["point"]
    assert service.create(begins_change=True, secret_paths=now_secret)["point"] == again["point"]
    assert "limit=1" in json.dumps(service.call("restore", True, point=first["point"])["diff"])
    assert "limit=1" not in json.dumps(service.call("restore", point=again["point"])["diff"])
    assert (service.conf / "a.conf").read_text() == "limit=1\n"
