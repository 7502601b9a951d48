# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of configuration does: which files and objects it is about, why it failed, and that nothing secret is shown."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from unit.rollback_service import CONFIG_MAP

from ansible_collections.sre.runbooks.plugins.module_utils.command import Completed
from ansible_collections.sre.runbooks.plugins.module_utils.configuration import change_files, in_place, sources, validity
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.patches import cause, patches, placed, restorable, secrets_of
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import project, rehearsal, rolling_project

UNTERMINATED = "failed to read /srv/.env: line 4: unterminated quoted value 'hunter2 and more\nhunter2 goes on\n"
"""Docker Compose 5.0 of a value whose quotes do not end."""
NO_NAME = 'level=warning msg="hunter2"\nfailed to read /srv/.env: line 4: unexpected character "$" in variable name "hunter2 and"\n'


def test_a_workload_comes_back_as_it_was_but_for_its_replicas_and_restarts() -> None:
    def workload(image: str, replicas: int, **annotations: str) -> dict[str, t.Any]:
        template = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "app", "image": image}]}}
        metadata = {"name": "api", "namespace": "n", "annotations": {"team": "platform"}}
        spec = {"replicas": replicas, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    kept, now = workload("app:1", 3, note="a"), workload("app:1", 5, note="a", **restarted)
    assert restorable([kept], [now]) == []
    now["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2"
    back = restorable([kept], [now])[0]
    assert back["spec"]["template"]["spec"]["containers"][0]["image"] == "app:1"
    assert (back["spec"]["replicas"], back["spec"]["template"]["metadata"]["annotations"]) == (5, {"note": "a", **restarted})
    assert restorable([kept], []) == [kept]
    assert restorable([kept], [now], ["ConfigMap"]) == []


def test_the_cause_of_a_failure_is_one_line_without_secrets() -> None:
    assert cause({"msg": "It failed. ", "cmd": None}) == "It failed"
    said = cause({"msg": "non-zero return code", "cmd": ["/usr/bin/tool", "-x"], "rc": 3, "stderr": "bad\nvalue hush-4711"}, ["hush-4711"])
    assert said == "tool says: bad value ********"
    assert cause({"msg": "non-zero return code", "cmd": ["tool", "-x"], "rc": 3, "stderr": ""}) == "tool -x ended with status 3"
    # A program that is not there: Ansible tells its command as one text, and the reason nowhere else.
    missing = {"msg": "[Errno 2] No such file or directory: b'nginx'", "cmd": "nginx -t", "rc": 2, "stderr": ""}
    assert cause(missing) == "nginx -t ended with status 2: [Errno 2] No such file or directory: b'nginx'"
    assert cause({"msg": "One or more items failed", "results": [{"failed": False}, {"failed": True, "msg": "this one"}]}) == "this one"
    assert cause({}) == "a task failed without a message"


def test_only_what_differs_is_patched_and_secret_values_are_not_told() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"K": "b25l", "OLD": "eA=="}}
    change = patches(CONFIG_MAP, secret, {"LIMIT": 1, "MORE": True}, {"K": "two"}, ["OLD"])
    assert change["config_map"]["data"] == {"MORE": "true"}
    assert change["secret"]["data"] == {"K": "dHdv", "OLD": None}
    assert (change["added"], change["updated"], change["removed"]) == (["MORE"], ["K"], ["OLD"])
    assert "two" not in change["before"] + change["after"] and "dHdv" not in change["after"]
    assert patches(CONFIG_MAP, {}, {"LIMIT": "1"}, {}, ["OLD"])["changed"] is False
    with pytest.raises(BadInput, match="service_kube_secret"):
        patches(CONFIG_MAP, {}, {}, {"K": "x"}, [])
    with pytest.raises(BadInput, match="no key"):
        patches(CONFIG_MAP, {}, {"a b": "x"}, {}, [])
    with pytest.raises(BadInput, match="OLD shall be set and removed at once"):
        patches(CONFIG_MAP, secret, {}, {"OLD": "x"}, ["OLD"])


def test_a_key_of_binary_data_is_removed_and_set_anew_as_any_other() -> None:
    binary = {**CONFIG_MAP, "data": {"LIMIT": "1"}, "binaryData": {"logo": "eA==", "font": "eQ=="}}
    gone = patches(binary, {}, {}, {}, ["logo"])
    assert (gone["config_map"]["data"], gone["config_map"]["binaryData"]) == ({}, {"logo": None})
    assert (gone["changed"], gone["removed"], gone["before"]) == (True, ["logo"], "logo=(not shown)\n")
    # A key cannot be in both.
    text = patches(binary, {}, {"font": "text"}, {}, [])
    assert (text["config_map"]["data"], text["config_map"]["binaryData"]) == ({"font": "text"}, {"font": None})
    assert (text["added"], text["updated"]) == ([], ["font"])
    assert "binaryData" not in patches(binary, {}, {"LIMIT": "2"}, {}, [])["config_map"]


@pytest.mark.parametrize("said", [UNTERMINATED, NO_NAME])
def test_what_compose_says_of_a_broken_environment_file_is_told_without_its_text(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (project, rolling_project, rehearsal, sources, validity):
        monkeypatch.setattr(module, "run", lambda _command, **_how: Completed("", said, 15))
    monkeypatch.setattr(project, "docker", lambda *_words, **_how: Completed("", "", 0))
    (tmp_path / "compose.yaml").touch()
    here = project.Project(str(tmp_path), service="app")
    options = {**{name: told.get("default") for name, told in project.OPTIONS.items()}, "project_folder": str(tmp_path)}
    calls: list[t.Callable[[], t.Any]] = [
        lambda: project.containers_of(here),
        lambda: rolling_project.call(here, "config"),
        lambda: rehearsal.service_definition(here),
        lambda: validity.operate({"compose": options}, False),
    ]
    for call in calls:
        with pytest.raises(RunbookError) as failed:
            call()
        assert "hunter2" not in str(failed.value), failed.value
        assert "/srv/.env: line 4" in failed.value.why
    monkeypatch.setattr(sources, "running_images", lambda _options: ([], []))
    (note,) = sources.of_compose(options).notes
    assert "/srv/.env: line 4" in note and "hunter2" not in note


def test_files_of_a_profile_are_told_as_the_module_takes_them() -> None:
    files: list[dict[str, t.Any]] = [{"path": "a", "content": 1}, {"path": "/b", "source": "x", "secret": True, "mode": "0640"}]
    assert placed(files, ["text"], "/srv") == [{"path": "/srv/a", "content": "1"}, {"path": "/b", "secret_content": "text", "mode": "0640"}]
    for wrong in ({"content": "x"}, {"path": "/a"}, {"path": "/a", "content": "x", "source": "y"}):
        with pytest.raises(BadInput, match="not described"):
            placed([wrong], [])
    for nothing in (None, {"a": 1}, ["a"]):
        with pytest.raises(BadInput, match="no text"):
            placed([{"path": "/a", "content": nothing}], [])
    with pytest.raises(BadInput, match="not absolute"):
        placed([{"path": "a", "content": "x"}], [])


def write(files: dict[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    empty: dict[str, t.Any] = {"content": None, "secret_content": None, "mode": ""}
    return change_files.operate({"files": [{**empty, "path": path, **told} for path, told in files.items()]}, check_mode)


def test_files_are_placed_all_or_none(tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    Path(first).write_text("old\n")
    Path(first).chmod(0o640)
    wanted: dict[str, t.Any] = {first: {"content": "new\n"}, second: {"secret_content": "hidden-1\n"}}
    predicted = write(wanted, check_mode=True)
    assert not Path(second).exists()
    assert predicted == write(wanted)
    assert "hidden-1" not in str(predicted)
    assert [stat.S_IMODE(Path(path).stat().st_mode) for path in (first, second)] == [0o640, 0o600]
    assert write(wanted)["changed"] is False
    assert write({first: {"content": "new\n", "mode": "0600"}})["diff"][0]["after"].startswith(("mode", "(other"))
    with pytest.raises(BadInput, match="folder of the file is not there"):
        write({first: {"content": "third\n"}, str(tmp_path / "no" / "file"): {"content": "x"}})
    assert Path(first).read_text() == "new\n"


def test_content_that_only_its_owner_shall_read_is_in_no_diff(tmp_path: Path) -> None:
    path = str(tmp_path / "key.pem")
    assert "hush-4711" not in str(write({path: {"content": "hush-4711\n", "mode": "0600"}}))
    opened = write({path: {"content": "hush-4711\n", "mode": "0644"}}, check_mode=True)
    assert (opened["changed"], "hush-4711" in str(opened)) == (True, False)


def test_the_lines_of_secret_files_are_masked_like_secret_values() -> None:
    files: list[dict[str, t.Any]] = [
        {"path": "/a", "content": '{\n  "a": "hush-4711"\n}\n', "secret": True},
        {"path": "/b", "content": "plain-4711\n"},
    ]
    sources = [{"path": "/c", "source": "c"}, *files, {"path": "/d", "source": "d", "secret": True}]
    assert secrets_of({}, sources, ["plain-4711\n", "hush-4712\n"]) == ['"a": "hush-4711"', "hush-4712"]
    # What is not described well, or not there, is told by others.
    assert secrets_of({}, [{}, {"secret": True}, {"source": "d", "secret": True}]) == []
    assert secrets_of({"A": 17}, files) == ["17", '"a": "hush-4711"']
    said = cause({"msg": "non-zero return code", "cmd": ["tool"], "stderr": 'line 2: "a": "hush-4711" is odd'}, secrets_of({}, files))
    assert said == "tool says: line 2: ******** is odd"


MASKED = """
import sys
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
init_plugin_loader([f"{sys.argv[1]}/collections"])
loader = DataLoader()
known = InventoryManager(loader, sources=[sys.argv[2]])
seen = VariableManager(loader, known)
(play,) = Playbook.load(f"{sys.argv[1]}/playbooks/config_update.yml", variable_manager=seen, loader=loader).get_plays()
variables = seen.get_vars(play=play, host=known.get_host("here"))
print(*Templar(loader=loader, variables=variables).template(variables["procedure_secrets"]), sep="\\n")
"""
"""What the record of config_update masks, asked of Ansible, which changes how collections are imported."""


def test_the_record_masks_secret_files_that_come_from_the_controller(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "source").write_text("key: hush-4711\n")
    inventory = tmp_path / "inventory.yml"
    files = [{"path": "/b", "content": "plain-4711"}, {"path": "/a", "source": str(tmp_path / "source"), "secret": True}]
    variables = {"service_name": "rag7", "configuration_secret_values": {"A": "hush-4712"}, "configuration_files": files}
    inventory.write_text(json.dumps({"all": {"hosts": {"here": {}}, "vars": variables}}))
    done = subprocess.run([sys.executable, "-c", MASKED, str(repository), str(inventory)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["hush-4712", "key: hush-4711"], done.stderr


def test_a_secret_is_masked_whatever_spaces_it_has_and_wherever_the_message_is_cut() -> None:
    files = [{"path": "/a", "content": "user:  hush-4711\tx\n", "secret": True}]
    key = "-----BEGIN KEY-----\nhush-4713\n  hush-4714  y\n"
    secrets = secrets_of({"KEY": key}, files)
    said = f"user:  hush-4711\tx\r\nhush-4714  y\n {key}"
    for result in ({"cmd": ["tool"], "stderr": said}, {"msg": said}, {"cmd": f"tool {said}"}):
        told = cause(result, secrets)
        assert "hush" not in told and "\n" not in told, told
    # Half of it is cut off, with the end of the output behind it.
    assert "4711" not in cause({"cmd": ["tool"], "stderr": "x hush-4711-" + "a" * 590}, ["hush-4711-" + "a" * 20])


def test_a_mode_that_yaml_has_read_as_a_number_is_refused(tmp_path: Path) -> None:
    for mode in (str(0o640), "640", "0980", "7777", "rw"):
        with pytest.raises(BadInput, match=r"is no file mode.*'0600'"):
            write({str(tmp_path / "file"): {"content": "x", "mode": mode}})
    assert write({str(tmp_path / "file"): {"content": "x", "mode": "0o640"}})["changed"] is True


def test_a_pipe_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="a device or a pipe"):
        write({str(tmp_path / "pipe"): {"content": "x"}})


def test_files_written_before_a_failure_get_their_content_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    paths[0].write_text("old\n")
    really = in_place.replace

    def replace(found: t.Any, *more: t.Any) -> None:
        if found.path.endswith("/c"):
            raise RunbookError("The disk is broken")
        really(found, *more)

    monkeypatch.setattr(change_files, "replace", replace)
    with pytest.raises(RunbookError, match="broken"):
        write({str(path): {"content": "new\n"} for path in paths})
    assert ([path.exists() for path in paths], paths[0].read_text()) == ([True, False, False], "old\n")


def test_a_file_that_cannot_get_its_content_back_is_named_and_the_others_get_theirs(tmp_path: Path) -> None:
    """The limit of the size of files (setrlimit(2)) lets small contents through, and neither the large new one nor the large former one."""
    former = {"first": b"1" * 200_000, "second": b"small", "third": b"old", "new": None}
    for name, data in former.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    contents = {"first": "new", "second": "new", "new": "new", "third": "3" * 200_000}
    files = [{"path": str(tmp_path / name), "content": text, "secret_content": None, "mode": ""} for name, text in contents.items()]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(RunbookError, match="could not all be put back") as failed:
            change_files.operate({"files": files}, False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (failed.value.where, failed.value.changed) == (str(tmp_path / "first"), True)
    assert "third" in failed.value.why
    left = {name: path.read_bytes() if (path := tmp_path / name).exists() else None for name in former}
    assert left == {**former, "first": b"new"}
