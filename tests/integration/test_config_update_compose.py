# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of a real Compose service is changed; with a broken value it is back on the old one, serving."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.rollback import OPTIONS, operate
from integration.compose_project import ComposeProject, running_project
from integration.containers import Docker
from integration.playbook_runs import finish, kill
from integration.service_runs import Runs
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
HEALTH_TIMEOUT_S = 20
DEFAULT_TIMEOUT_S = 100
"""Of the role: what a user has who names none."""
SECRET = "hush-4711-secret"


@pytest.fixture(scope="module")
def project(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """Two replicas, which say their COLOUR and GREETING."""
    folder = tmp_path_factory.mktemp("c")
    with running_project(
        docker, docker.name("config"), folder, replicas=2, has_proxy=False, health_interval="300ms", GREETING="hello"
    ) as one:
        yield one


@pytest.fixture(scope="module")
def runs(project: ComposeProject, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs of the playbooks for it."""
    return Runs(tmp_path_factory.mktemp("runs"), {**project.variables(), "service_health_timeout_s": HEALTH_TIMEOUT_S})


@pytest.fixture
def file(project: ComposeProject) -> Path:
    """Its environment file."""
    return project.folder / project.environment_file


def said(project: ComposeProject) -> list[tuple[str, str]]:
    """What each replica says, of those that run."""
    answers = []
    for name in project.replicas(running=True):
        text = project.docker("exec", name, "python3", "-c", ASK)
        answers.append((json.loads(text)["COLOUR"], json.loads(text)["GREETING"]))
    return answers


ASK = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000/', timeout=5).read().decode())"


def points(runs: Runs) -> list[Path]:
    """The folders of the rollback points, the oldest first."""
    return sorted(path for path in (runs.folder / "state" / "rollback_points").iterdir() if not path.name.startswith("."))


def starts(project: ComposeProject) -> dict[str, str]:
    """When each replica was started, by its identity: one that is made anew is another one."""
    return {one["Id"]: one["State"]["StartedAt"] for one in project.inspected()}


def nothing_is_left(runs: Runs, project: ComposeProject) -> None:
    """Neither a note of an unfinished change nor a temporary file."""
    assert not list((runs.folder / "state" / "rollback_points").glob(".*.json"))
    assert not [path for path in project.folder.iterdir() if path.name.endswith((".partial", ".restoring"))]


def test_a_change_is_applied_and_a_second_run_changes_nothing(project: ComposeProject, runs: Runs, file: Path) -> None:
    wanted = {"configuration_values": {"COLOUR": "green"}, "configuration_secret_values": {"GREETING": SECRET}}
    file.write_text(f"# of the service\n{file.read_text()}")
    file.chmod(0o640)
    before, text = project.picture(), file.read_text()
    predicted = runs.run("config_update", "--check", "--diff", **wanted)
    assert predicted.status == 0, predicted.output
    assert "changed=1" in predicted.output and "COLOUR=green" in predicted.output and SECRET not in predicted.output
    assert (project.picture(), file.read_text()) == (before, text)
    done = runs.run("config_update", "-v", **wanted)
    assert done.status == 0, done.output
    assert said(project) == [("green", SECRET)] * 2
    assert (file.read_text().startswith("# of the service\n"), file.stat().st_mode & 0o777) == (True, 0o640)
    assert SECRET not in done.output
    after, count = project.picture(), len(points(runs))
    again = runs.run("config_update", **wanted)
    assert (again.status, "changed=0" in again.output) == (0, True), again.output
    assert (project.picture(), len(points(runs))) == (after, count)
    nothing_is_left(runs, project)


def test_a_broken_value_is_back_on_the_old_configuration_and_serving_within_the_health_timeout(
    project: ComposeProject, runs: Runs, file: Path, tell: Callable[[str], None]
) -> None:
    text, former, replicas, timeout_s = file.read_bytes(), said(project), project.picture(), DEFAULT_TIMEOUT_S
    done = runs.run("config_update", configuration_values={"HEALTH": "never"}, service_health_timeout_s=timeout_s)
    assert done.status != 0
    assert "could not be applied" in done.message, done.output
    found = re.search(r"The former configuration serves again, ([0-9.]+) s after the change began", done.message)
    assert found, done.output
    assert (file.read_bytes(), said(project)) == (text, former)
    # One replica was tried beside those that serve, which went on all the time.
    assert project.picture() == replicas
    project.wait_healthy(2, 1)
    nothing_is_left(runs, project)
    assert SECRET not in done.output
    tell(f"config_update on Compose, never healthy: serving again {found[1]} s after the change began (health timeout here {timeout_s} s)")
    assert float(found[1]) < timeout_s


def test_replicas_that_do_not_stay_healthy_while_they_are_watched_lead_back_to_the_former_configuration(
    project: ComposeProject, runs: Runs, file: Path, tell: Callable[[str], None]
) -> None:
    text, former, (first, second) = file.read_bytes(), said(project), project.replicas()
    run = runs.start("config_update", configuration_values={"COLOUR": "fading"}, configuration_watch_s=12)
    assert run.stdout
    begun = next((line for line in run.stdout if "Let the time pass" in line), "it has ended before")
    assert said(project) == [("fading", former[0][1])] * 2, begun
    project.docker("exec", second, "python3", "-c", ASK.replace(":8000/", ":8000/ill"))
    project.docker("restart", "--time", "0", first)
    done = finish(run)
    assert done.status != 0
    words = " ".join(done.message.split())
    assert f"could not be verified: It was healthy, and did not stay so for 12 s: {first} ended and started again" in words, done.output
    assert f"{second} is unhealthy" in words
    found = re.search(r"The former configuration serves again, ([0-9.]+) s after the change began", words)
    assert found, done.output
    assert (file.read_bytes(), said(project)) == (text, former)
    project.wait_healthy(2, 1)
    nothing_is_left(runs, project)
    tell(f"config_update on Compose, ill while it is watched (12 s): serving again {found[1]} s after the change began")


def test_what_cannot_be_validated_never_reaches_the_service(project: ComposeProject, runs: Runs, file: Path) -> None:
    text, before = file.read_bytes(), project.picture()
    refused = runs.run("config_update", configuration_values={"COLOUR": "red"}, configuration_validate=[["test", "1", "-gt", "2"]])
    assert "could not be changed" in refused.message and "the service was not touched" in refused.message, refused.output
    compose = (project.folder / "compose.yaml").read_text()
    # Files may be named by their whole paths, too.
    broken = runs.run(
        "config_update",
        configuration_files=[{"path": "compose.yaml", "content": compose.replace('"services"', '"servicez"')}],
        service_compose_files=[str(project.folder / "compose.yaml")],
    )
    assert "servicez" in broken.message and "the service was not touched" in broken.message, broken.output
    assert (file.read_bytes(), (project.folder / "compose.yaml").read_text(), project.picture()) == (text, compose, before)
    nothing_is_left(runs, project)


def killed_when(runs: Runs, true: Callable[[], t.Any], **variables: t.Any) -> None:
    """Begin a change, and kill everything of it when something has happened."""
    run = runs.start("config_update", **variables)
    try:
        wait_until("the moment to kill it", true, run=run)
        assert run.poll() is None, "the run had ended before"
    finally:
        kill(run)


def test_a_change_whose_run_was_killed_is_completed_by_the_next_or_taken_back(
    project: ComposeProject, runs: Runs, file: Path, tell: Callable[[str], None]
) -> None:
    text, former, replicas, more = file.read_bytes(), said(project), project.picture(), project.folder / "more.conf"
    killed_when(runs, lambda: file.read_bytes() != text, configuration_values={"COLOUR": "violet"})
    assert b"violet" in file.read_bytes()
    # A later change that fails goes back to what there was before the one that was killed.
    # So does a file that only the later one places.
    more.write_text("former\n")
    placed = [{"path": more.name, "content": "other\n"}]
    failed = runs.run("config_update", configuration_values={"EXIT_STATUS": "3"}, configuration_files=placed, service_health_timeout_s=60)
    found = re.search(r"The former configuration serves again, ([0-9.]+) s after the change began", failed.message)
    assert found, failed.output
    tell(f"config_update on Compose, refuses to start: serving again {found[1]} s after the change began (health timeout here 60 s)")
    assert float(found[1]) < 60
    assert (file.read_bytes(), said(project), more.read_text()) == (text, former, "former\n")
    assert project.picture() == replicas
    # The same change again is completed, though the file says it already.
    killed_when(runs, lambda: file.read_bytes() != text, configuration_values={"COLOUR": "violet"})
    done = runs.run("config_update", configuration_values={"COLOUR": "violet"})
    assert done.status == 0 and "began a change" in done.output, done.output
    assert {colour for colour, _greeting in said(project)} == {"violet"}
    nothing_is_left(runs, project)


LOUD = ('os.environ.get(name, "")', 'os.environ.get(name, "").upper()')
BROKEN = "import sys\nsys.exit('there is no such language')\n"
BROKEN_WHERE_IT_SERVES = """import socket, sys
if socket.gethostbyname(socket.gethostname()) in socket.gethostbyname_ex("app")[2]:
    sys.exit("broken in a replica, and not in one that is only tried")
"""


def placed(project: ComposeProject, content: str) -> dict[str, t.Any]:
    """The variables of a change of the program, which is mounted into every replica and no part of what Compose compares."""
    return {"configuration_files": [{"path": "replica.py", "content": content}]}


def test_a_file_that_only_the_program_reads_is_read_by_every_replica_and_a_run_that_was_killed_is_completed(
    project: ComposeProject, runs: Runs
) -> None:
    file, kept = project.folder / "replica.py", points(runs)
    text, former, before = file.read_text(), said(project), starts(project)
    loud, change = [(colour.upper(), greeting.upper()) for colour, greeting in former], placed(project, text.replace(*LOUD))
    predicted = runs.run("config_update", "--check", **change)
    assert (predicted.status, starts(project), "restarted or made anew" in predicted.output) == (0, before, True), predicted.output
    killed_when(runs, lambda: file.read_text() != text, **change)
    assert (said(project), starts(project)) == (former, before)
    project.docker("restart", "--time", "1", project.replicas()[0])
    project.wait_healthy(2)
    first = starts(project)
    checked = runs.run("config_update", "--check", **change)
    assert (checked.status, "changed=1" in checked.output, starts(project)) == (0, True, first), checked.output
    done = runs.run("config_update", **change)
    assert (done.status, said(project)) == (0, loud), done.output
    now = starts(project)
    assert set(now) == set(before), "a file that is mounted takes no new container"
    assert [now[one] == first[one] for one in first].count(True) == 1, "the first replica had read it already"
    again = runs.run("config_update", **change)
    assert (again.status, "changed=0" in again.output, starts(project)) == (0, True, now), again.output
    point = next(one.name for one in points(runs) if one not in kept)
    restored = runs.run("rollback_point_restore", confirm=project.name, configuration_point=point)
    assert (restored.status, said(project), file.read_text()) == (0, former, text), restored.output
    assert not set(starts(project).values()) & set(now.values())
    nothing_is_left(runs, project)


def test_a_broken_file_that_only_the_program_reads_is_taken_back_and_only_what_has_read_it_restarts(
    project: ComposeProject, runs: Runs
) -> None:
    file = project.folder / "replica.py"
    text, former = file.read_text(), said(project)
    # A trial beside what serves finds the one, the first replica the other.
    for content, reached in ((BROKEN, 0), (BROKEN_WHERE_IT_SERVES + text.replace("from __future__ import annotations", ""), 1)):
        before = starts(project)
        failed = runs.run("config_update", **placed(project, content))
        assert "The former configuration serves again" in failed.message, failed.output
        assert (said(project), file.read_text()) == (former, text)
        assert [starts(project)[one] == before[one] for one in before].count(False) == reached, failed.output
        nothing_is_left(runs, project)


def test_a_service_with_fewer_replicas_than_normal_is_changed_as_well(project: ComposeProject, runs: Runs) -> None:
    few: dict[str, t.Any] = {"service_replicas": {"normal": 3, "down": 2}}
    done = runs.run("config_update", configuration_values={"COLOUR": "amber"}, **few)
    assert (done.status, {colour for colour, _greeting in said(project)}) == (0, {"amber"}), done.output
    failed = runs.run("config_update", configuration_values={"HEALTH": "never"}, **few)
    assert "The former configuration serves again" in failed.message, failed.output
    assert "of 3 replicas" not in failed.message


def test_a_service_that_went_down_by_what_was_changed_is_not_taken_for_one_that_did_not_run(
    project: ComposeProject, runs: Runs, file: Path
) -> None:
    former, broken = said(project), {"EXIT_STATUS": "3"}
    stops = ["stop", "--time", "1", *project.replicas()]
    options = {name: told.get("default") for name, told in OPTIONS.items()}
    options |= {"operation": "create", "service": project.name, "paths": [str(file)], "state_folder": str(runs.folder / "state")}
    # Either its own change stops it, or that of a run which was killed did.
    for validate in ([["docker", *stops]], []):
        if not validate:
            operate({**options, "begins_change": True}, False)
            project.docker(*stops)
        done = runs.run("config_update", configuration_values=broken, configuration_validate=validate, service_health_timeout_s=2)
        words = " ".join(done.message.split())
        assert "in its place again, but the service does not serve with it" in words, done.output
        assert re.search(r"service_diagnose for why it does not serve; the former configuration is in \S+/rollback_points/", words), words
        project.docker("start", *project.replicas())
        project.wait_healthy(2)
        assert said(project) == former
        nothing_is_left(runs, project)


def test_a_change_that_no_container_reads_leaves_a_stopped_service_stopped(project: ComposeProject, runs: Runs) -> None:
    project.docker("stop", "--time", "1", *project.replicas())
    done = runs.run("config_update", configuration_files=[{"path": "unread.txt", "content": "for the next start\n"}])
    assert done.status == 0, done.output
    assert "is in its place. The service does not run: start it with service_start" in " ".join(done.output.split())
    assert ((project.folder / "unread.txt").read_text(), project.replicas(running=True)) == ("for the next start\n", [])
    project.docker("start", *project.replicas())
    project.wait_healthy(2)
    nothing_is_left(runs, project)


def test_points_are_taken_listed_restored_and_pruned(project: ComposeProject, runs: Runs, file: Path) -> None:
    text, colours = file.read_bytes(), said(project)
    taken = runs.run("rollback_point_create")
    assert taken.status == 0, taken.output
    manifest = json.loads((points(runs)[-1] / "manifest.json").read_text())
    assert {one["container"] for one in manifest["images"]} == set(project.replicas())
    assert all(one["image_id"].startswith("sha256:") for one in manifest["images"])
    file.write_bytes(text + b"MORE=1\n")
    restored = runs.run("rollback_point_restore", confirm=project.name)
    assert restored.status == 0, restored.output
    assert (file.read_bytes(), said(project)) == (text, colours)
    # What was replaced is a point with the images that ran, which a clean-up leaves then.
    safety = [one for one in (json.loads((path / "manifest.json").read_text()) for path in points(runs)) if one["before_restore_of"]]
    assert {one["image_id"] for one in safety[-1]["images"]} == {one["image_id"] for one in manifest["images"]}
    picture = project.picture()
    again = runs.run("rollback_point_restore", confirm=project.name)
    assert (again.status, "changed=0" in again.output, project.picture()) == (0, True, picture), again.output
    listed = runs.run("rollback_point_list")
    assert all(path.name in listed.output for path in points(runs)), listed.output
    pruned = runs.run("rollback_point_prune", configuration_keep_last=1, configuration_keep_days=0)
    assert (pruned.status, len(points(runs))) == (0, 1), pruned.output
    assert SECRET not in "".join(one.output for one in (taken, restored, again, listed, pruned))


@pytest.fixture
def recorded(runs: Runs) -> Runs:
    """Runs of which one was given the secret."""
    assert runs.run("config_update", configuration_secret_values={"GREETING": SECRET}).status == 0
    return runs


def test_no_secret_is_in_any_record(recorded: Runs) -> None:
    runs = recorded
    assert runs.records()
    for path in (runs.folder / "state").rglob("*"):
        if path.is_file() and "rollback_points" not in path.parts:
            assert SECRET.encode() not in path.read_bytes(), path


def test_what_keeps_a_service_from_starting_is_mended_while_nothing_of_it_is_there(project: ComposeProject, runs: Runs, file: Path) -> None:
    project.compose("down", "--timeout", "1")
    text = file.read_text()
    changes: list[tuple[str, dict[str, t.Any]]] = [
        ("", {"configuration_values": {"REPAIRED": "yes"}}),
        ("COLOUR='never ends\n", {"configuration_files": [{"path": file.name, "content": f"{text}REPAIRED=yes\n"}]}),
    ]
    for broken, change in changes:
        file.write_text(text + broken)
        done = runs.run("config_update", **change)
        assert done.status == 0, done.output
        assert "is in its place. The service does not run: start it with service_start" in " ".join(done.output.split())
        assert ("REPAIRED=yes" in file.read_text(), project.replicas()) == (True, [])
        nothing_is_left(runs, project)
