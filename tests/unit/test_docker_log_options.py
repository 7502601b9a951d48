# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log options in daemon.json: merged into what is there, refused where that is no JSON, written at once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import docker_daemon, docker_log_options
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.logrotate import render

WANTED = ("json-file", "10m", 3)


@pytest.fixture(autouse=True)
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine is asked, and no dockerd is found."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("PATH", str(tmp_path))


def operate(file: Path, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given_options = {name: spec.get("default") for name, spec in docker_log_options.OPTIONS.items()}
    return docker_log_options.operate({**given_options, "file": str(file), **options}, check_mode)


def test_the_options_are_merged_and_everything_else_stays_with_a_copy_of_the_former_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    former = (
        '{\n    "data-root": "/srv/docker",\n    "log-opts": {"labels": "a", "max-size": "1g"},\n    "registry-mirrors": ["https://m"]\n}\n'
    )
    file.write_text(former)
    file.chmod(0o640)
    predicted = operate(file, check_mode=True)
    assert (predicted["changed"], file.read_text()) == (True, former)
    real = operate(file)
    assert real["diff"] == predicted["diff"]
    written = json.loads(file.read_text())
    assert written == {
        "data-root": "/srv/docker",
        "log-opts": {"labels": "a", "max-size": "10m", "max-file": "3"},
        "registry-mirrors": ["https://m"],
        "log-driver": "json-file",
    }
    assert '\n    "data-root"' in file.read_text(), "indented as it was"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    copy = Path(real["former_file"])
    assert (copy.read_text(), stat.S_IMODE(copy.stat().st_mode)) == (former, 0o640)
    again = operate(file)
    assert (again["changed"], again["former_file"]) == (False, "")
    assert again["restart_needed"]


def test_a_file_that_is_not_there_is_made_with_its_folder_and_a_link_goes_on_to_point_where_it_did(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "daemon.json"
    assert operate(file)["former_file"] == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    link = tmp_path / "link.json"
    link.symlink_to(file)
    operate(link, max_file=5)
    assert link.is_symlink()
    assert json.loads(file.read_text())["log-opts"]["max-file"] == "5"


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"log-opts": []}', "{'a': 1}", "\xff"])
def test_what_is_no_configuration_is_refused_and_not_changed(text: str, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"daemon\.json"):
        operate(file)
    assert file.read_bytes() == text.encode("latin-1")
    assert [path.name for path in tmp_path.iterdir()] == ["daemon.json"]


def test_secrets_of_the_configuration_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    secret = {"proxies": {"http-proxy": "http://me:s3cret@proxy:3128"}, "log-driver": "splunk", "log-opts": {"splunk-token": "s3cret"}}
    file.write_text(json.dumps(secret, indent=2))
    told = operate(file, check_mode=True)
    assert "s3cret" not in json.dumps(told)
    assert '"max-file": "3"' in told["diff"]["after"]
    operate(file)
    assert json.loads(file.read_text())["proxies"] == secret["proxies"], "only what is shown is masked"


def test_an_edit_that_somebody_makes_meanwhile_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"debug": false}\n')
    monkeypatch.setattr(docker_log_options, "_validate", lambda _text: [file.write_text('{"debug": true}\n')][:0])
    with pytest.raises(RunbookError, match="changed meanwhile"):
        operate(file)
    assert file.read_text() == '{"debug": true}\n'


def test_nothing_was_changed_when_the_engine_fails_before_the_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("{}\n")
    # It has answered once, and is gone when it is asked for live-restore.
    monkeypatch.setattr(docker_log_options, "_running", lambda: [{"Id": "a", "Name": "/a"}])
    with pytest.raises(RunbookError, match="docker"):
        operate(file, restart_command=["true"])
    assert file.read_text() == "{}\n"


ENGINE = """
import os, sys, time
if sys.argv[1] != "/":
    os.chroot(sys.argv[1])
print("runs", flush=True)
time.sleep(60)
"""


@pytest.mark.needs_root
@pytest.mark.parametrize("contained", [False, True])
def test_an_engine_in_a_container_reads_another_file_of_the_same_name(contained: bool, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("{}")
    words = ["dockerd", "-c", ENGINE, str(tmp_path) if contained else "/", f"--config-file={file}"]
    with subprocess.Popen(words, executable=sys.executable, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert docker_log_options._engine(str(file)).pid == (0 if contained else process.pid)
            os.seteuid(65534)
            assert docker_log_options._engine(str(file)).pid == process.pid, "others than root cannot tell, and see what would change"
        finally:
            os.seteuid(0)
            process.kill()


@pytest.mark.parametrize("options", [{"max_size": "10 MB"}, {"max_size": "0"}, {"max_size": ""}, {"max_file": 0}, {"max_size": "-1"}])
def test_limits_that_the_engine_would_not_take_are_refused(options: dict[str, t.Any], tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        operate(tmp_path / "daemon.json", **options)


def test_options_of_another_driver_go_since_the_engine_would_not_start_with_them() -> None:
    now = {"log-driver": "syslog", "log-opts": {"syslog-address": "udp://x"}}
    assert docker_daemon.merged(now, *WANTED)["log-opts"] == {"max-size": "10m", "max-file": "3"}
    assert not docker_daemon.has({"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": 3}}, *WANTED), (
        "a number is refused"
    )


def test_containers_with_other_options_are_named() -> None:
    def container(name: str, **options: str) -> dict[str, t.Any]:
        config = {key.replace("_", "-"): value for key, value in options.items()}
        return {"Name": f"/{name}", "HostConfig": {"LogConfig": {"Type": "json-file", "Config": config}}}

    found = docker_daemon.old_options([container("old"), container("new", max_size="10m", max_file="3")], *WANTED)
    assert found == [{"name": "old", "driver": "json-file", "max_size": "", "max_file": ""}]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (["--log-driver=journald"], ["--log-driver"]),
        (["--log-opt", "max-size=1m"], ["--log-opt"]),
        (["--log-level=debug", "-H", "fd://"], []),
    ],
)
def test_flags_that_the_file_must_not_repeat_are_seen(line: list[str], found: list[str]) -> None:
    assert docker_daemon.flags_in_the_way(line) == found
    assert docker_daemon.names_file([*line, "--config-file", "/x"], "/y") == "/x"
    assert docker_daemon.names_file([*line, "--config-file=/x"], "/y") == "/x"
    assert docker_daemon.names_file(line, "/y") == "/y"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["log-driver", "log-opts", "hosts", "é"]), JSON))
def test_whatever_was_there_nothing_but_the_log_options_changes_and_the_result_is_what_is_wanted(content: dict[str, t.Any]) -> None:
    text = json.dumps(content)
    try:
        now = docker_daemon.parse(text.encode(), "x")
    except BadInput:
        assert not isinstance(content["log-opts"], dict)
        return
    after = docker_daemon.merged(now, *WANTED)
    assert docker_daemon.has(after, *WANTED)
    assert docker_daemon.merged(after, *WANTED) == after
    assert {key: after[key] for key in after if not key.startswith("log-")} == {
        k: v for k, v in content.items() if not k.startswith("log-")
    }
    assert docker_daemon.parse(docker_daemon.text_of(after, text).encode(), "x") == after


def test_a_rotation_becomes_what_logrotate_reads() -> None:
    entry = {
        "name": "logs",
        "paths": ["/srv/a b/*.log", "/srv/c.log"],
        "frequency": "daily",
        "size": "100M",
        "rotate": 14,
        "max_age_days": 30,
        "create": "0640 app app",
        "account": "app app",
        "postrotate": ["docker", "kill", "--signal=USR1", "web; rm"],
    }
    lines = render("shop", [entry]).splitlines()
    assert '"/srv/a b/*.log" "/srv/c.log" {' in lines
    assert "        docker kill --signal=USR1 'web; rm'" in lines
    for line in ("daily", "maxsize 100M", "rotate 14", "maxage 30", "compress", "create 0640 app app", "su app app", "missingok"):
        assert f"    {line}" in lines, line
    assert render("shop", []) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"paths": []},
        {"paths": ["a.log"]},
        {"paths": ['/a"b']},
        {"paths": ["/a\n}"]},
        {"size": "100 MB"},
        {"size": None},
        {"frequency": "sometimes"},
        {"rotate": -1},
        {"rotate": "7"},
        {"copytruncate": "yes"},
        {"copytruncate": True, "create": "0640 a a"},
        {"create": "rw a a"},
        {"account": "root"},
        {"postrotate": "kill -HUP 1"},
        {"postrotate": ["a\nb"]},
        {"shred": True},
        {"name": "a\nb"},
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(BadInput):
        render("shop", [{"name": "logs", "paths": ["/srv/*.log"], "size": "1M", **wrong}])
