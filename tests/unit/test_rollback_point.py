# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollback points: what they keep comes back exactly, all of it or nothing, and nothing secret is shown."""

from __future__ import annotations

import json
import os
import stat
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.configuration import swap, taking
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.objects import cleaned
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.points import points_of
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.rollback import INFO_OPTIONS, OPTIONS, inform, operate
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.survey import ABSENT, survey
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.swap_plan import compare
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError, SetDamaged, SetNotFound


class Service:
    """A service with a folder of configuration, an environment file, a link, and a file that is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "state" / "rollback_points"
        self.conf, self.env, self.link, self.later = folder / "conf.d", folder / ".env", folder / "current", folder / "later"
        (self.conf / "sub").mkdir(parents=True)
        (self.conf / "a.conf").write_text("limit=1\n")
        (self.conf / "sub" / "b.conf").write_text("b\n")
        (self.conf / "a.conf").chmod(0o640)
        self.env.write_text("TOKEN=hidden-1\n")
        self.env.chmod(0o600)
        self.link.symlink_to("conf.d/a.conf")
        self.roots = [self.conf, self.env, self.link, self.later]

    def call(self, operation: str, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
        options = {name: told.get("default") for name, told in OPTIONS.items()}
        options.update(operation=operation, service="rag7", state_folder=str(self.home.parent), **more)
        return operate(options, check_mode)

    def create(self, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return self.call("create", check_mode, paths=[str(path) for path in self.roots], **more)

    def info(self, **more: t.Any) -> dict[str, t.Any]:
        options = {name: told.get("default") for name, told in INFO_OPTIONS.items()}
        return inform({**options, "service": "rag7", "state_folder": str(self.home.parent), **more}, False)

    def disturb(self) -> None:
        (self.conf / "a.conf").write_text("limit=2\n")
        (self.conf / "a.conf").chmod(0o600)
        (self.conf / "sub" / "b.conf").unlink()
        (self.conf / "sub").rmdir()
        (self.conf / "new" / "deep").mkdir(parents=True)
        (self.conf / "new" / "deep" / "c.conf").write_text("c\n")
        self.env.write_text("TOKEN=hidden-2\n")
        self.link.unlink()
        self.link.symlink_to("conf.d/new/deep/c.conf")
        self.later.write_text("later\n")

    def picture(self) -> dict[str, t.Any]:
        return {one.path: one for one in survey([str(path) for path in self.roots])[0]}

    def names(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if self.home.parent not in [path, *path.parents]
        )


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


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "add", "manifest"])
def test_a_damaged_point_is_refused_and_nothing_changed(service: Service, damage: str) -> None:
    folder = Path(service.create()["point_folder"])
    kept = folder / "files" / str(service.env)[1:]
    if damage == "flip":
        kept.write_bytes(kept.read_bytes()[:-2] + b"X\n")
    elif damage == "truncate":
        kept.write_bytes(b"")
    elif damage == "remove":
        kept.unlink()
    elif damage == "add":
        (folder / "files" / "more").write_text("x")
    else:
        text = (folder / "manifest.json").read_text().replace(str(service.env), str(service.folder / "evil"))
        (folder / "manifest.json").write_text(text)
    service.disturb()
    before = service.picture()
    with pytest.raises(SetDamaged, match="is damaged"):
        service.call("restore", point=folder.name)
    assert service.picture() == before
    assert service.info(verify=True)["points"][0]["problems"]


def test_a_point_that_is_not_there_is_told_with_those_that_are(service: Service) -> None:
    with pytest.raises(SetNotFound, match="none was taken yet"):
        service.call("restore")
    point = service.create()["point"]
    with pytest.raises(SetNotFound, match=point):
        service.call("restore", point="another")
    with pytest.raises(SetNotFound):
        service.call("restore", point="../home")


def test_a_failure_in_the_middle_puts_back_what_was_swapped(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.create()
    service.disturb()
    before, names = service.picture(), service.names()
    really, count = os.rename, [0]

    def rename(source: t.Any, target: t.Any, **more: t.Any) -> None:
        if str(source).endswith(".restoring"):
            count[0] += 1
            if count[0] == 3:
                raise OSError(30, "Read-only file system", str(target))
        really(source, target, **more)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(RunbookError, match="Read-only file system") as error:
        service.call("restore")
    assert (error.value.changed, "everything is as it was" in error.value.message) == (False, True)
    assert (service.picture(), service.names()) == (before, names)


def test_a_restore_that_died_is_taken_back_by_the_next_call(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.create()
    service.disturb()
    before, names = service.picture(), service.names()
    really, count = os.rename, [0]

    def rename(source: t.Any, target: t.Any, **more: t.Any) -> None:
        if str(source).endswith(".restoring"):
            count[0] += 1
            if count[0] == 3:
                os._exit(1)  # as a lost machine: only the process of the exchange is in here
        really(source, target, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(RunbookError, match="was interrupted") as error:
            service.call("restore")
    assert (error.value.changed, service.info()["interrupted"]) == (True, True)
    assert service.picture() != before
    assert "would be taken back" in str(service.call("prune", check_mode=True)["notes"])
    result = service.call("prune")
    assert (result["changed"], "had been interrupted" in result["notes"][0]) == (True, True)
    assert (service.picture(), service.names()) == (before, names)


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


def test_a_note_that_was_half_written_goes_with_the_next_call_and_that_of_another_service_stays(service: Service) -> None:
    service.create()
    left, other = (service.home / f"..{name}.change.json.4711.partial" for name in ("rag7", "other"))
    left.write_text("{")
    other.write_text("{")
    service.call("prune")
    assert (left.exists(), other.exists()) == (False, True)


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


def test_points_are_never_in_what_a_point_keeps(service: Service) -> None:
    service.create()
    for root in (service.folder, service.home, service.home.parent):
        with pytest.raises(BadInput, match="rollback points themselves are in"):
            service.call("create", paths=[str(root)])
    assert len(points_of(str(service.home))) == 1


def test_a_name_that_is_no_text_is_told_and_no_point_taken(service: Service) -> None:
    odd = os.fsdecode(b"\xff.conf")
    (service.conf / odd).write_text("x")
    with pytest.raises(BadInput, match=r"no text in UTF-8.*xff\.conf"):
        service.create()
    (service.conf / odd).unlink()
    (service.conf / "link").symlink_to(odd)
    with pytest.raises(BadInput, match="no text in UTF-8"):
        service.create()
    assert points_of(str(service.home)) == []


def test_what_cannot_be_put_back_is_told_with_where_its_files_are(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.create()
    service.disturb()

    def somebody_writes(_point: t.Any) -> None:
        later = service.folder / "current"
        later.unlink()
        later.mkdir()
        raise RunbookError("The files are not as the point has them")

    monkeypatch.setattr(swap, "_must_be_as", somebody_writes)
    with pytest.raises(RunbookError, match=r"could not be put back.*was a link then and is a folder now.*the files are in") as error:
        service.call("restore")
    assert (error.value.changed, service.info()["interrupted"]) == (True, True)


def test_too_much_and_unreadable_input_is_refused_before_anything_is_written(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    (service.conf / "data").write_bytes(b"x" * 2000)
    monkeypatch.setattr(taking, "MOST_BYTES", 1000)
    with pytest.raises(BadInput, match="too much for a rollback point"):
        service.create()
    with pytest.raises(BadInput, match="Nothing is named"):
        service.call("create")
    with pytest.raises(BadInput, match="no absolute path"):
        service.call("create", paths=["relative"])
    with pytest.raises(BadInput, match="no object of Kubernetes"):
        service.call("create", objects=[{"kind": "ConfigMap"}])
    with pytest.raises(BadInput, match="no JSON object"):
        service.call("create", secret_objects=["hidden-1"])
    assert points_of(str(service.home)) == []


def test_a_file_that_became_a_folder_is_told_and_left(service: Service) -> None:
    service.create()
    (service.conf / "a.conf").unlink()
    (service.conf / "a.conf").mkdir()
    with pytest.raises(BadInput, match="was a file then and is a folder now"):
        service.call("restore")


CONFIG_MAP: dict[str, t.Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "rag7-config",
        "namespace": "rag7-prod",
        "uid": "1",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{}],
        "labels": {"app": "rag7"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "platform"},
    },
    "data": {"LIMIT": "1"},
}


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
