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
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import docker_cleanup, docker_engine, pods_cleanup
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_model import Wishes
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_plan import plan
from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from integration.containers import Docker
from integration.kubernetes_server import KubernetesServer
from integration.made_images import archive_of
from integration.playbook_runs import Finished, Profile
from tools.engine import NoEngine
from tools.own_engine import OwnEngine
from tools.ports import free_ports
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]
OLD = "2020-01-01T00:00:00Z"


class Ours:
    """What a test has made in the engine; everything has one name in front."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        self.docker, self.folder = docker, folder
        self.name = docker.name("cleanup")

    def load(self, *images: tuple[list[str], str]) -> None:
        """Load images: (tags, built at)."""
        named = [([f"{self.name}/{tag}" for tag in tags], at, f"{self.name} {tags}".encode()) for tags, at in images]
        self.docker("load", "--input", str(archive_of(self.folder / "images.tar", named)))

    def tags(self) -> set[str]:
        """Its tags that are in the engine."""
        return {line.split("/")[1] for line in self._lines("images", "--format", "{{.Repository}}:{{.Tag}}")}

    def networks(self) -> set[str]:
        """Its networks."""
        return {line.removeprefix(f"{self.name}-") for line in self._lines("network", "ls", "--format", "{{.Name}}")}

    def _lines(self, *command: str) -> list[str]:
        return [line for line in self.docker(*command).splitlines() if line.startswith(self.name)]

    def create(self, what: str, image: str, *options: str) -> str:
        """A container that does not run; returns its name."""
        self.docker("create", "--name", f"{self.name}-{what}", *options, f"{self.name}/{image}")
        return f"{self.name}-{what}"

    def end(self) -> None:
        """Remove everything that bears the name."""
        for kind, removing in (("ps --all", "rm --force"), ("volume ls", "volume rm"), ("network ls", "network rm")):
            label = "{{.Names}}" if kind == "ps --all" else "{{.Name}}"
            for one in self._lines(*kind.split(), "--format", label):
                self.docker(*removing.split(), one)
        for tag in self.tags():
            self.docker("rmi", "--force", f"{self.name}/{tag}")


@pytest.fixture
def ours(docker: Docker, tmp_path: Path) -> Iterator[Ours]:
    made = Ours(docker, tmp_path)
    yield made
    made.end()


class CleanupProfile(Profile):
    """An inventory whose clean-up looks at nothing but what the test has made."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(folder)
        self.variables = {
            "service_name": "trial",
            "maintenance_image_prune": {"all": True},
            "maintenance_image_arrived_h": 0,
            "maintenance_only": [f"{name}*"],
            "maintenance_keep": [f"{name}/keep:*"],
            "maintenance_networks_older_than_h": 0,
        }

    def well(self, *options: str) -> Finished:
        done = self.run("cleanup", *options)
        assert done.status == 0, done.output
        return done

    def result(self) -> dict[str, t.Any]:
        """What the last run's record says of the clean-up of the engine."""
        step = next(step for step in self.records()[-1]["steps"] if "container engine" in step["name"])
        return dict(step["facts"])


def operate(ours: Ours, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = {name: spec.get("default") for name, spec in docker_cleanup.OPTIONS.items()}
    return docker_cleanup.operate({**given, "only": [f"{ours.name}*"], "image_arrived_h": 0, **options}, check_mode)


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
    predicted = operate(ours, check_mode=True)
    real = operate(ours)
    assert predicted["removed"] == real["removed"]
    assert [one["name"] for one in real["removed"]] == [f"{ours.name}/old:1"]
    assert real["removed"][0]["size_bytes"] > 0
    assert {one["name"]: one["reason"] for one in real["kept"]} == {
        f"{ours.name}/used:1": f"the container {ours.name}-used uses it, and is stopped"
    }
    assert real["space"]["before"]["free_bytes"] > 0
    assert not operate(ours)["changed"]


def test_what_comes_into_use_after_the_decision_stays_whole(ours: Ours) -> None:
    ours.load((["two:1", "two:2"], OLD), (["one:1"], OLD), (["moved:1"], OLD), (["gone:1"], OLD))
    ours.docker("network", "create", f"{ours.name}-net")
    wishes = Wishes(image_arrived_h=0, networks_older_than_h=0, only=[f"{ours.name}*"])
    decided = plan(docker_engine.facts(datetime.now(UTC), ""), wishes)
    assert len(decided.remove) == 5
    ours.create("late", "two:2", f"--network={ours.name}-net")
    ours.create("later", "one:1")
    ours.docker("rmi", f"{ours.name}/gone:1")
    ours.docker("tag", f"{ours.name}/one:1", f"{ours.name}/moved:1")
    notes: list[str] = []
    docker_cleanup._Work(decided, notes, Progress("x", "")).carry_out(wishes)
    assert ours.tags() == {"two:1", "two:2", "one:1", "moved:1"}, "the name that means another image now is still there"
    assert ours.networks() == {"net"}
    assert [one.name for one in decided.remove] == [f"{ours.name}/moved:1"], "the image that had that name is gone"
    assert sum("the engine kept it" in one.reason or "is in it" in one.reason for one in decided.kept) == 3, decided.kept
    assert len(notes) == 1
    assert "gone:1 was removed by somebody else" in notes[0]


@pytest.mark.needs_root
def test_an_image_that_has_just_come_stays_though_it_was_built_long_ago(ours: Ours) -> None:
    ours.load((["next:1"], OLD))
    arrived = operate(ours, image_arrived_h=1)
    assert not arrived["changed"]
    assert "it came to this host" in arrived["kept"][0]["reason"]
    assert operate(ours, image_arrived_h=0.00001)["changed"]


class Meanwhile:
    """The removal of things, before which others do something. A container that comes between the last look and the removal is not seen."""

    def __init__(self, patch: pytest.MonkeyPatch, before: dict[str, t.Callable[[], object]]) -> None:
        self.before, self.remove = before, docker_engine.remove
        patch.setattr(docker_engine, "remove", self)
        patch.setattr(docker_engine, "users_of", lambda _identity: [])

    def __call__(self, *arguments: str) -> None:
        self.before.pop(arguments[-1], lambda: None)()
        self.remove(*arguments)


def test_an_image_that_the_engine_refuses_gets_its_names_back_but_for_one_that_somebody_removed(
    ours: Ours, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = [f"{ours.name}/two:{number}" for number in (1, 2, 3)]
    ours.load((["two:1", "two:2", "two:3"], OLD))
    identity = ours.docker("image", "inspect", "--format", "{{.Id}}", tags[0])
    ours.create("user", "two:1")
    Meanwhile(monkeypatch, {tags[2]: lambda: ours.docker("rmi", tags[2])})
    with pytest.raises(docker_engine.StillNeeded) as told:
        docker_engine.remove_image(identity, tags)
    assert ours.tags() == {"two:1", "two:2"}
    assert "lost" not in str(told.value)


def test_a_name_that_means_another_image_by_then_is_left_to_that_and_told(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.load((["two:1", "two:2"], OLD), (["new:1"], OLD))
    identity, new = (ours.docker("image", "inspect", "--format", "{{.Id}}", f"{ours.name}/{tag}") for tag in ("two:1", "new:1"))
    ours.create("user", "two:1")
    Meanwhile(monkeypatch, {identity: lambda: ours.docker("tag", new, f"{ours.name}/two:2")})
    with pytest.raises(docker_engine.StillNeeded, match=f"it has lost these names: {ours.name}/two:2"):
        docker_engine.remove_image(identity, [f"{ours.name}/two:1", f"{ours.name}/two:2"])
    assert ours.docker("image", "inspect", "--format", "{{.Id}}", f"{ours.name}/two:2") == new


def test_what_was_removed_is_told_when_the_engine_cannot_add_up_the_rest(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.load((["old:1"], OLD))
    looks = [docker_engine.space()]

    def space() -> dict[str, t.Any]:
        if not looks:
            raise CommandFailed("docker system df failed", why="deadline exceeded")
        return looks.pop()

    monkeypatch.setattr(docker_engine, "space", space)
    done = operate(ours)
    assert (done["changed"], [one["name"] for one in done["removed"]]) == (True, [f"{ours.name}/old:1"])
    assert any("deadline exceeded" in note for note in done["notes"])


def test_stopped_containers_go_only_where_that_is_asked_for_and_their_images_with_them(ours: Ours) -> None:
    ours.load((["job:1"], OLD))
    ours.create("job", "job:1")
    running = f"{ours.name}-runs"
    ours.docker("run", "--detach", "--name", running, "--network=none", f"{ours.name}/job:1")
    assert not operate(ours)["changed"]
    assert [one["name"] for one in operate(ours, containers_older_than_h=0)["removed"]] == [f"{ours.name}-job"]
    ours.docker("kill", running)
    assert [one["kind"] for one in operate(ours, containers_older_than_h=0)["removed"]] == ["container", "image"]


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
    predicted = operate(ours, True, images="none", volumes=[volume], backup_folder=str(profile.backups))
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
    again = operate(ours, images="none", volumes=[volume], backup_folder=str(profile.backups))
    assert (again["changed"], again["notes"]) == (False, [f"There is no volume {volume}"])


def test_a_volume_of_a_container_is_refused_before_anything_is_removed(ours: Ours, tmp_path: Path) -> None:
    ours.load((["old:1"], OLD), (["used:1"], OLD))
    ours.docker("volume", "create", f"{ours.name}-data")
    ours.create("user", "used:1", f"--volume={ours.name}-data:/data")
    for options in ({"backup_folder": str(tmp_path)}, {"safety_copy": False}):
        with pytest.raises(BadInput, match=f"{ours.name}-user"):
            operate(ours, volumes=[f"{ours.name}-data"], **options)
    ours.docker("volume", "create", f"{ours.name}-free")
    with pytest.raises(BadInput, match="no folder is named"):
        operate(ours, volumes=[f"{ours.name}-free"])
    assert ours.tags() == {"old:1", "used:1"}


def test_an_engine_that_does_not_answer_is_told_in_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(BadInput, match="The Docker Engine does not answer"):
        docker_engine.space()


def test_only_what_the_engine_itself_says_is_taken_for_its_reason(ours: Ours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(docker_engine.Gone):
        docker_engine.remove("volume", "rm", f"{ours.name}-conflict")
    client = tmp_path / "docker"
    for said, expected in (
        ("Error response from daemon: unlinkat /srv/a: permission denied", "docker volume rm a failed"),
        ("Got permission denied while trying to connect to the Docker daemon socket", "does not answer"),
        ("permission denied while trying to connect to the docker API at unix:///var/run/docker.sock", "does not answer"),
    ):
        client.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
        client.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(RunbookError, match=expected):
            docker_engine.remove("volume", "rm", "a")
        monkeypatch.undo()


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
