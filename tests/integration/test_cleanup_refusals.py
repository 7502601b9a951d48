# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clean-up harms nothing that others use or make meanwhile, and tells what the engine refuses."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import docker_cleanup, docker_engine
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_model import Wishes
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_plan import plan
from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from integration.containers import Docker
from integration.docker_leftovers import OLD, Ours, clean_up

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def ours(docker: Docker, tmp_path: Path) -> Iterator[Ours]:
    made = Ours(docker, tmp_path)
    yield made
    made.end()


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
    done = clean_up(ours)
    assert (done["changed"], [one["name"] for one in done["removed"]]) == (True, [f"{ours.name}/old:1"])
    assert any("deadline exceeded" in note for note in done["notes"])


def test_a_volume_of_a_container_is_refused_before_anything_is_removed(ours: Ours, tmp_path: Path) -> None:
    ours.load((["old:1"], OLD), (["used:1"], OLD))
    ours.docker("volume", "create", f"{ours.name}-data")
    ours.create("user", "used:1", f"--volume={ours.name}-data:/data")
    for options in ({"backup_folder": str(tmp_path)}, {"safety_copy": False}):
        with pytest.raises(BadInput, match=f"{ours.name}-user"):
            clean_up(ours, volumes=[f"{ours.name}-data"], **options)
    ours.docker("volume", "create", f"{ours.name}-free")
    with pytest.raises(BadInput, match="no folder is named"):
        clean_up(ours, volumes=[f"{ours.name}-free"])
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
