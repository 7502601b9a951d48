# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clean-up of a real Docker Engine, limited to what the test itself has made."""

from __future__ import annotations

import json
import subprocess
import typing as t
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.taking import Contents, create
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import docker_cleanup, pods_cleanup
from integration.containers import Docker
from integration.docker_leftovers import OLD, CleanupProfile, Ours, clean_up
from integration.kubernetes_server import KubernetesServer
from tools.engine import NoEngine
from tools.own_engine import OwnEngine
from tools.ports import free_ports
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def ours(docker: Docker, tmp_path: Path) -> Iterator[Ours]:
    made = Ours(docker, tmp_path)
    yield made
    made.end()


def test_the_procedure_removes_what_is_old_and_unused_and_nothing_else_and_says_so_beforehand(
    ours: Ours, tmp_path: Path, tell: t.Callable[[str], None]
) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ours.load((["old:1", "old:again"], OLD), (["used:1"], OLD), (["keep:1"], OLD), (["young:1"], now), (["point:1"], OLD))
    for network in ("empty", "stopped", "project"):
        label = f"--label=com.docker.compose.project={ours.name if network == 'project' else 'gone'}"
        ours.docker("network", "create", label, f"{ours.name}-{network}")
    project = f"--label=com.docker.compose.project={ours.name}"
    ours.create("used", "used:1", f"--network={ours.name}-stopped", project)
    ours.docker("volume", "create", f"{ours.name}-data")
    before = (ours.tags(), ours.networks())
    profile = CleanupProfile(ours.name, tmp_path / "profile")
    (tmp_path / "settings").write_text("of then")
    image = {"image": f"{ours.name}/point:1", "image_id": ours.docker("image", "inspect", "--format", "{{.Id}}", f"{ours.name}/point:1")}
    contents = Contents([str(tmp_path / "settings")], images=[{**image, "service": "app", "container": "app-1", "digests": []}])
    create(str(profile.state / "rollback_points"), "trial", contents)
    told = profile.well("--check", "--diff").output
    assert (ours.tags(), ours.networks()) == before
    assert f"remove the image {ours.name}/old:1, {ours.name}/old:again" in told
    assert "no container uses it, and it was built" in told
    done = profile.well().output
    assert "changed=1" in done
    result = profile.result()
    assert before[0] - ours.tags() == {"old:1", "old:again"}
    assert before[1] - ours.networks() == {"empty"}
    assert ours.docker("volume", "ls", "--quiet", "--filter", f"name={ours.name}"), "volumes go by name only"
    again = profile.well().output
    assert "changed=0" in again
    record = profile.records()[-2]
    assert record["measurements"]["freed_bytes"]["value"] == result["space"]["freed_bytes"]
    assert result["space"]["expected_bytes"] > 0
    assert {one["name"] for one in result["removed"]} == {f"{ours.name}/old:1, {ours.name}/old:again", f"{ours.name}-empty"}
    assert any(f"{ours.name}/old:1" in decision for decision in record["decisions"])
    tell(f"cleanup.yml of 3 things: {record.get('duration_s', 0):.1f} s")


def test_check_mode_and_the_real_run_list_the_same_with_sizes_and_reasons(ours: Ours) -> None:
    ours.load((["old:1"], OLD), (["used:1"], OLD))
    ours.create("used", "used:1")
    predicted = clean_up(ours, check_mode=True)
    real = clean_up(ours)
    assert predicted["removed"] == real["removed"]
    assert [one["name"] for one in real["removed"]] == [f"{ours.name}/old:1"]
    assert real["removed"][0]["size_bytes"] > 0
    assert {one["name"]: one["reason"] for one in real["kept"]} == {
        f"{ours.name}/used:1": f"the container {ours.name}-used uses it, and is stopped"
    }
    assert real["space"]["before"]["free_bytes"] > 0
    assert not clean_up(ours)["changed"]


@pytest.mark.needs_root
def test_an_image_that_has_just_come_stays_though_it_was_built_long_ago(ours: Ours) -> None:
    ours.load((["next:1"], OLD))
    arrived = clean_up(ours, image_arrived_h=1)
    assert not arrived["changed"]
    assert "it came to this host" in arrived["kept"][0]["reason"]
    assert clean_up(ours, image_arrived_h=0.00001)["changed"]


def test_stopped_containers_go_only_where_that_is_asked_for_and_their_images_with_them(ours: Ours) -> None:
    ours.load((["job:1"], OLD))
    ours.create("job", "job:1")
    running = f"{ours.name}-runs"
    ours.docker("run", "--detach", "--name", running, "--network=none", f"{ours.name}/job:1")
    assert not clean_up(ours)["changed"]
    assert [one["name"] for one in clean_up(ours, containers_older_than_h=0)["removed"]] == [f"{ours.name}-job"]
    ours.docker("kill", running)
    assert [one["kind"] for one in clean_up(ours, containers_older_than_h=0)["removed"]] == ["container", "image"]


def test_a_volume_goes_by_its_name_with_a_confirmation_and_after_a_copy(ours: Ours, tmp_path: Path) -> None:
    volume, other = f"{ours.name}-data", f"{ours.name}-other"
    for one in (volume, other):
        ours.docker("volume", "create", one)
    data = Path(ours.docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume))
    (data / "content").write_text("dear")
    profile = CleanupProfile(ours.name, tmp_path / "profile")
    naming = ("-e", json.dumps({"maintenance_volumes": [volume], "maintenance_image_prune": {}}))
    refused = profile.run("cleanup", *naming)
    assert refused.status != 0
    assert f"confirm={volume}" in refused.message
    predicted = clean_up(ours, True, images="none", volumes=[volume], backup_folder=str(profile.backups))
    assert predicted["plan"][0].startswith(f"remove the volume {volume} (4 bytes)")
    assert (data / "content").exists()
    assert not profile.sets()
    profile.well(*naming, "-e", f"confirm={volume}")
    assert not data.exists()
    assert Path(ours.docker("volume", "inspect", "--format", "{{.Mountpoint}}", other)).exists()
    (name,) = profile.sets()
    archives = [path for path in (profile.backups / name).rglob("*") if ".tar" in path.name]
    assert archives, list((profile.backups / name).rglob("*"))
    listed = subprocess.run(["tar", "--list", "--auto-compress", "--file", str(archives[0])], capture_output=True, text=True, check=True)
    assert "content" in listed.stdout
    again = clean_up(ours, images="none", volumes=[volume], backup_folder=str(profile.backups))
    assert (again["changed"], again["notes"]) == (False, [f"There is no volume {volume}"])


def test_pods_that_are_over_go_by_their_uid_and_those_that_a_controller_looks_after_stay(tmp_path: Path) -> None:
    with KubernetesServer(free_ports(1)[0]) as server:
        profile = CleanupProfile("nobody", tmp_path / "profile")
        profile.variables.update(
            maintenance_image_prune={},
            maintenance_finished_pods={"namespace": "default", "phases": ["Succeeded", "Failed"], "older_than_h": 1},
            maintenance_kube_config=server.kubeconfig(tmp_path / "config"),
        )
        server.create("jobs", {"metadata": {"name": "nightly-1", "ownerReferences": [_owner("CronJob", "nightly")]}, "spec": {}})
        nightly = _owner("Job", "nightly-1", server.get("jobs", "nightly-1")["metadata"]["uid"])
        for name, phase, ended, owners in (
            ("evicted", "Failed", OLD, [_owner("ReplicaSet", "app")]),
            ("by-hand", "Succeeded", OLD, []),
            ("just-now", "Failed", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), []),
            ("counted", "Failed", OLD, [nightly]),
        ):
            state = {"terminated": {"exitCode": 1, "finishedAt": ended}}
            status = {"phase": phase, "containerStatuses": [{"name": "main", "ready": False, "state": state}]}
            about = {"name": name, "ownerReferences": owners, "deletionTimestamp": None}
            server.create("pods", {"metadata": about, "spec": {"containers": [{"name": "main", "image": "app:1"}]}, "status": status})
            server.change("pods", name, {"status": status})
        given = {
            **profile.variables["maintenance_finished_pods"],
            "kube_config": server.kubeconfig(tmp_path / "config"),
            "kube_context": "",
        }
        assert [pod["name"] for pod in pods_cleanup.operate(given, True)["removed"]] == ["by-hand", "evicted"]
        assert not [line for line in server.seen if not line.startswith("GET")]
        done = profile.well()
        assert "changed=1" in done.output, done.output
        assert sorted(line for line in server.seen if line.startswith("DELETE")) == [
            "DELETE /api/v1/namespaces/default/pods/by-hand",
            "DELETE /api/v1/namespaces/default/pods/evicted",
        ]
        wait_until("they are gone", lambda: {one["metadata"]["name"] for one in server.pods()} == {"just-now", "counted"})
        assert not pods_cleanup.operate(given, False)["changed"]
        (note,) = pods_cleanup.operate({**given, "namespace": "defualt"}, False)["notes"]
        assert "no pods at all in the namespace defualt" in note


def test_build_cache_goes_by_its_age_and_never_that_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OwnEngine()
    try:
        engine.start()
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        # The client of Docker 20.10 needs no plugin for BuildKit.
        client = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
        build = [client, "build", "--quiet", "--tag=built", str(tmp_path)]
        done = subprocess.run(build, env={**engine.environment, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"nothing can be built with BuildKit here: {done.stderr.strip()[-300:]}")
        monkeypatch.setenv("DOCKER_HOST", engine.environment["DOCKER_HOST"])
        given = {**{name: spec.get("default") for name, spec in docker_cleanup.OPTIONS.items()}, "images": "none"}
        assert not docker_cleanup.operate({**given, "build_cache_older_than_h": 1}, False)["changed"]
        given["build_cache_older_than_h"] = 0
        predicted, real = docker_cleanup.operate(given, True), docker_cleanup.operate(given, False)
        assert {one["kind"] for one in real["removed"]} == {"build cache"}
        assert [one["id"] for one in predicted["removed"]] == [one["id"] for one in real["removed"]]
        assert real["space"]["before"]["build_cache_bytes"] > 0 == real["space"]["after"]["build_cache_bytes"]
        assert not docker_cleanup.operate(given, False)["changed"]
    except NoEngine as error:
        pytest.skip(str(error))
    finally:
        engine.end()


def _owner(kind: str, name: str, uid: str = "u") -> dict[str, t.Any]:
    return {"kind": kind, "name": name, "uid": uid, "controller": True}
