# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs kept from filling the disk: a real logrotate, a real Docker Engine of the test's own, kills, a full disk, loaded logs."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils import files
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NoSpace, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import docker_log_options, log_files_age, logrotate_config
from integration.faults import ROUNDS, SEED
from integration.made_images import archive_of
from integration.playbook_runs import ROOT, Profile, picture
from integration.test_disk_full import free, small_disk
from tools.debian_packages import NoPackage, program_of_suite
from tools.engine import NoEngine, install_packages
from tools.own_engine import OwnEngine

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.timeout(300)]
DAY_S = 86400
ROUNDS_HERE = max(ROUNDS // 3, 1)


@pytest.fixture(scope="module", autouse=True)
def logrotate() -> None:
    """The program, installed where it is missing."""
    if not shutil.which("logrotate"):
        try:
            install_packages("logrotate")
        except NoEngine as error:
            pytest.skip(str(error))


def log(folder: Path, name: str, days: float, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path


def noise(size_bytes: int) -> bytes:
    """Lines that become half as large."""
    return os.urandom(size_bytes // 2).hex().encode()


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """A profile whose rules are those of the source runbooks (C12, D6, B16), with folders of the test."""
    made = Profile(tmp_path / "profile")
    logs = tmp_path / "logs"
    made.variables = {
        "service_name": "trial",
        "maintenance_log_rules": [
            {"name": "rotate", "write_to": f"{logs}/app_%Y%m%d.log", "follow_to": f"{logs}/app_current.log"},
            {"name": "compress", "path": str(logs), "pattern": "*.log", "compress_after_days": 30},
            {"name": "delete", "path": str(logs), "pattern": "*.gz", "delete_after_days": 90},
        ],
        "maintenance_log_rotations": [
            {"name": "logs", "paths": [f"{tmp_path}/open/*.log"], "size": "1k", "rotate": 3, "copytruncate": True}
        ],
        "maintenance_logrotate_folder": str(tmp_path / "logrotate.d"),
        "maintenance_container_log": {"file": str(tmp_path / "daemon.json"), "max_size": "10m", "max_file": 3, "restart": "docker"},
    }
    return made


def test_the_procedure_does_what_it_says_beforehand_and_nothing_the_second_time(
    profile: Profile, tmp_path: Path, tell: t.Callable[[str], None]
) -> None:
    logs = tmp_path / "logs"
    log(logs, "app_20250101.log", 40, b"line\n" * 1000)
    log(logs, "app_20240101.log.gz", 100, b"old")
    today = log(logs, time.strftime("app_%Y%m%d.log", time.gmtime()), 0, b"now")
    (logs / "app_current.log").symlink_to(today.name)
    opened = log(tmp_path / "open", "api.log", 0, b"line\n" * 1000)
    (tmp_path / "daemon.json").write_text('{"data-root": "/srv/docker"}\n')
    before = picture(logs, tmp_path / "open", tmp_path / "daemon.json")
    told = profile.run("log_rotation", "--check", "--diff")
    assert told.status == 0, told.output
    assert picture(logs, tmp_path / "open", tmp_path / "daemon.json") == before
    for part in (
        "compress " + str(logs / "app_20250101.log"),
        "delete " + str(logs / "app_20240101.log.gz"),
        "copytruncate",
        '"max-file": "3"',
    ):
        assert part in told.output, part
    profile.variables["maintenance_docker_restart_command"] = ["touch", str(tmp_path / "restarted")]
    # From the command line it is a text, which is true whatever it says.
    done = profile.run("log_rotation", "-e", "maintenance_docker_restart=false")
    assert "changed=3" in done.output, done.output
    assert not (tmp_path / "restarted").exists()
    assert {path.name for path in logs.iterdir()} == {"app_20250101.log.gz", "app_current.log", today.name}
    assert json.loads((tmp_path / "daemon.json").read_text()) == {
        "data-root": "/srv/docker",
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
    }
    assert "changed=0" in profile.run("log_rotation").output
    with opened.open("ab") as writer:
        rotated = ["logrotate", "--state", str(tmp_path / "state"), str(tmp_path / "logrotate.d" / "trial")]
        subprocess.run(rotated, check=True)
        writer.write(b"after\n")
    assert opened.read_bytes() == b"after\n", "the writer goes on in the emptied log"
    (turned,) = opened.parent.glob("api.log-*.gz")
    assert gzip.decompress(turned.read_bytes()) == b"line\n" * 1000
    refused = profile.run("log_rotation", "-e", "maintenance_docker_restart=true")
    assert refused.status != 0
    assert "confirm=trial" in refused.message
    tell(f"log_rotation.yml: {profile.records()[0]['duration_s']:.1f} s")


def test_an_export_that_cannot_be_carried_out_keeps_no_log_from_being_compressed_and_fails_the_run(
    profile: Profile, tmp_path: Path
) -> None:
    local = 'ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n'
    (profile.folder / "inventory" / "hosts.ini").write_text(f"[operator]\nlocalhost {local}[app]\none {local}two {local}")
    logs = tmp_path / "logs"
    for host in ("one", "two"):
        log(logs / host, "app_20250101.log", 40, b"line\n" * 1000)
    profile.variables["maintenance_log_rules"] = [
        {"name": "rotate", "source": "{{ 'no such log' if inventory_hostname == 'one' else omit }}", "write_to": f"{logs}/app_%Y.log"},
        {"name": "compress", "path": f"{logs}/{{{{ inventory_hostname }}}}", "pattern": "*.log", "compress_after_days": 30},
    ]
    profile.variables["maintenance_docker_restart_command"] = ["touch", str(tmp_path / "restarted")]
    done = profile.run("log_rotation", "-e", "maintenance_docker_restart=true", "-e", "confirm=trial")
    assert done.status != 0
    assert "unknown source (rotate): there is no log" in done.message
    assert sorted(str(path.relative_to(logs)) for path in logs.rglob("*.*")) == ["one/app_20250101.log.gz", "two/app_20250101.log.gz"]
    assert not (tmp_path / "restarted").exists()
    assert "no such log" in str(profile.records()[-1])


RESTART = """#!/bin/sh
echo "$1 begins" >>{log}
sleep 0.3
echo "$1 ends" >>{log}
[ ! -e {fails} ]
"""


@pytest.mark.docker
def test_engines_are_restarted_one_host_after_the_other_and_none_after_one_that_did_not_come_back(
    profile: Profile, tmp_path: Path, engine: OwnEngine
) -> None:
    told, fails, script = tmp_path / "log", tmp_path / "fails", tmp_path / "restart"
    script.write_text(RESTART.format(log=told, fails=fails))
    script.chmod(0o755)
    local = 'ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n'
    hosts = f"[operator]\nlocalhost {local}[app]\none {local}two {local}"
    (profile.folder / "inventory" / "hosts.ini").write_text(hosts)
    logs = str(tmp_path / "logs" / "{{ inventory_hostname }}")
    profile.variables.update(
        maintenance_log_rules=[{"name": "delete", "path": logs, "pattern": "*.log", "delete_after_days": 90}],
        maintenance_logrotate_folder=str(tmp_path / "{{ inventory_hostname }}.d"),
        maintenance_container_log={"file": str(tmp_path / "{{ inventory_hostname }}.json"), "max_size": "10m"},
        maintenance_docker_restart_command=[str(script), "{{ inventory_hostname }}"],
    )
    for host in ("one", "two"):
        log(tmp_path / "logs" / host, "old.log", 100, host.encode())
    wanted = ("-e", "maintenance_docker_restart=true", "-e", "confirm=trial")
    done = profile.run("log_rotation", *wanted, DOCKER_HOST=engine.environment["DOCKER_HOST"])
    assert done.status == 0, done.output
    assert told.read_text().split("\n")[:-1] == ["one begins", "one ends", "two begins", "two ends"]
    record = profile.records()[-1]
    assert record["measurements"]["freed_bytes"]["value"] == len("onetwo")
    assert [Path(decision.split()[1]).parent.name for decision in record["decisions"]] == ["one", "two"]
    assert sum('"max-size": "10m"' in str(diff["after"]) for diff in record["diffs"]) == 2
    told.unlink()
    fails.touch()
    profile.variables["maintenance_container_log"]["max_size"] = "20m"
    former = (tmp_path / "two.json").read_text()
    failed = profile.run("log_rotation", *wanted, DOCKER_HOST=engine.environment["DOCKER_HOST"])
    assert failed.status != 0
    assert "did not come back" in failed.message
    assert "two" not in told.read_text()
    assert (tmp_path / "two.json").read_text() == former


def turn(tmp_path: Path, *rotations: dict[str, t.Any], service: str = "shop", check_mode: bool = False) -> dict[str, t.Any]:
    folder = tmp_path / "logrotate.d"
    folder.mkdir(exist_ok=True)
    return logrotate_config.operate({"service": service, "rotations": list(rotations), "folder": str(folder)}, check_mode)


def test_logrotate_tries_a_configuration_before_it_takes_its_place(tmp_path: Path) -> None:
    logs = log(tmp_path / "logs", "api.log", 0, b"x").parent
    good = {"name": "logs", "paths": [f"{logs}/*.log"], "size": "1M", "frequency": "daily", "account": "root root"}
    path = tmp_path / "logrotate.d" / "shop"
    assert turn(tmp_path, good, check_mode=True)["changed"]
    assert not path.exists()
    assert turn(tmp_path, good)["changed"]
    assert not turn(tmp_path, good)["changed"]
    with pytest.raises(BadInput, match="nobody_of_this_name"):
        turn(tmp_path, {**good, "account": "nobody_of_this_name root"})
    with pytest.raises(BadInput, match="duplicate log entry"):
        turn(tmp_path, good, service="other")
    logs.chmod(0o777)
    with pytest.raises(BadInput, match="insecure permissions"):
        turn(tmp_path, {key: value for key, value in good.items() if key != "account"})
    assert "su root root" in path.read_text(), "what was refused has changed nothing"
    assert [entry.name for entry in path.parent.iterdir()] == ["shop"]
    (path.parent / "own").write_text("# of somebody else\n")
    with pytest.raises(BadInput, match="was not made from the profile"):
        turn(tmp_path, good, service="own")
    assert not turn(tmp_path, service="own")["changed"]
    assert turn(tmp_path)["changed"]
    assert not path.exists()


def test_logrotate_reads_nothing_of_a_killed_run_and_the_next_one_completes_it(tmp_path: Path) -> None:
    logs = log(tmp_path / "logs", "api.log", 0, b"x").parent
    good = {"name": "logs", "paths": [f"{logs}/*.log"], "size": "1M"}
    turn(tmp_path, good)
    folder = tmp_path / "logrotate.d"
    given = {"service": "shop", "rotations": [{**good, "rotate": 3}], "folder": str(folder)}
    code = (
        "import os\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import logrotate_config\n"
        "logrotate_config._try = lambda *_all: None\n"
        "os.rename = lambda *_names: os.kill(os.getpid(), 9)\n"
        f"logrotate_config.operate({given!r}, False)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    assert [path for path in folder.rglob("*") if path.is_file()] != [folder / "shop"], "it was killed while it wrote"
    state = ["logrotate", "--debug", "--state", str(tmp_path / "state"), str(folder)]
    told = subprocess.run(state, capture_output=True, text=True, check=True).stderr
    assert "error" not in told, told
    assert str(logs) in told
    assert turn(tmp_path, {**good, "rotate": 3})["changed"]
    assert [entry.name for entry in folder.iterdir()] == ["shop"]


def test_what_logrotate_skips_and_what_is_wrong_with_others_keeps_no_configuration_from_its_place(tmp_path: Path) -> None:
    logs = log(tmp_path / "logs", "api.log", 0, b"x").parent
    good = {"name": "logs", "paths": [f"{logs}/*.log"], "size": "1M"}
    turn(tmp_path, good, service="other")
    folder = tmp_path / "logrotate.d"
    for name in ("other.dpkg-old", "other.bak", "other~", "other.rpmsave"):
        shutil.copy(folder / "other", folder / name)
    (folder / "other").unlink()
    (folder / "shop2").write_text("/nowhere/*.log {\n    no_such_word\n}\n")
    assert turn(tmp_path, good)["changed"]
    with pytest.raises(BadInput, match="cannot be the name"):
        turn(tmp_path, good, service="shop.ucf-old")


AGE = "from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.log_files_age import operate"


def test_a_run_that_is_killed_at_any_moment_loses_no_log_and_the_next_one_completes_it(tmp_path: Path) -> None:
    logs, rule = tmp_path / "logs", [{"name": "all", "path": str(tmp_path / "logs"), "pattern": "*.log", "compress_after_days": 30}]
    content = {f"app{number}.log": noise(400_000) for number in range(5)}
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    code = f"{AGE}\nprint('began', flush=True)\noperate({{'rules': {rule!r}, 'quiet_s': 60}}, False)"
    states, lasts = set(), 1.0
    for number in range(-1, ROUNDS_HERE):
        shutil.rmtree(logs, ignore_errors=True)
        for name, data in content.items():
            log(logs, name, 40, data)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
        with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            began = time.monotonic()
            if number >= 0:
                time.sleep(lasts * (number + chance.random()) / ROUNDS_HERE)
                process.kill()
            process.wait()
        lasts = time.monotonic() - began if number < 0 else lasts
        states.add(tuple(sorted(path.suffix for path in logs.iterdir())))
        assert recovered(logs) == content
        left = {path: path.stat().st_size for path in logs.glob("app*.log")}
        done = log_files_age.operate({"rules": rule, "quiet_s": 60}, False)
        assert done["saved_bytes"] == sum(size - Path(f"{path}.gz").stat().st_size for path, size in left.items())
        assert sorted(path.name for path in logs.iterdir()) == [f"{name}.gz" for name in sorted(content)]
        assert recovered(logs) == content
    in_the_middle = [one for one in states if set(one) not in ({".log"}, {".gz"})]
    assert in_the_middle or ROUNDS_HERE < 3, states


def recovered(logs: Path) -> dict[str, bytes]:
    """What the logs hold, be they compressed by now or not; where both are there they must be the same."""
    found: dict[str, bytes] = {}
    for path in sorted(logs.iterdir()):
        if path.name.startswith("."):
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert found.setdefault(path.name.removesuffix(".gz"), data) == data
    return found


def test_a_full_disk_leaves_every_log_as_it_was_and_what_is_deleted_makes_room_first(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the disk is full in spite of the reserve, since others write, too.
    monkeypatch.setattr(files, "RESERVE_BYTES", 0)
    with small_disk(16) as disk:
        kept = {f"app{number}.log": noise(4_000_000) for number in range(2)}
        for name, data in kept.items():
            log(disk, name, 40, data)
        rules: list[dict[str, t.Any]] = [{"name": "all", "path": str(disk), "pattern": "*.log", "compress_after_days": 30}]
        log(disk, "filler", 0, b"0" * (free(disk) - 1_000_000))
        with pytest.raises(NoSpace) as told:
            log_files_age.operate({"rules": rules, "quiet_s": 60}, False)
        assert not told.value.changed
        assert sorted(path.name for path in disk.iterdir()) == ["app0.log", "app1.log", "filler"]
        assert recovered(disk) == {**kept, "filler": (disk / "filler").read_bytes()}
        (disk / "filler").rename(disk / "old.gz")
        os.utime(disk / "old.gz", (1, 1))
        rules.append({"name": "old", "path": str(disk), "pattern": "*.gz", "delete_after_days": 90})
        done = log_files_age.operate({"rules": rules, "quiet_s": 60}, False)
        assert done["saved_bytes"] > 6_000_000
        assert recovered(disk) == kept


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    """A Docker Engine that nobody else uses."""
    made = OwnEngine()
    try:
        made.start()
        yield made
    except NoEngine as error:
        pytest.skip(str(error))
    finally:
        made.end()


def limit(engine: OwnEngine, *, restart: bool = False, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = {name: spec.get("default") for name, spec in docker_log_options.OPTIONS.items()}
    command = engine.restart_command if restart else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.environment["DOCKER_HOST"])
        return docker_log_options.operate({**given, "file": str(engine.config), "restart_command": command, **options}, check_mode)


def docker(engine: OwnEngine, *arguments: str) -> str:
    return subprocess.run(["docker", *arguments], env=engine.environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.docker
def test_the_engine_takes_the_log_options_at_a_restart_that_was_asked_for_and_old_containers_are_named(
    engine: OwnEngine, tmp_path: Path
) -> None:
    image = archive_of(tmp_path / "image.tar", [(["trial:1"], "2020-01-01T00:00:00Z", b"")])
    docker(engine, "load", "--input", str(image))
    docker(engine, "run", "--detach", "--name", "before", "--network=none", "trial:1")
    pid = engine.pid
    quiet = limit(engine)
    assert (quiet["changed"], quiet["restarted"], quiet["restart_needed"], engine.pid) == (True, False, True, pid)
    assert quiet["old_containers"] == [{"name": "before", "driver": "json-file", "max_size": "", "max_file": ""}]
    predicted = limit(engine, restart=True, check_mode=True)
    assert (predicted["changed"], predicted["restarted"], engine.pid) == (True, True, pid)
    assert any("before" in note and "started again" in note for note in predicted["notes"])
    real = limit(engine, restart=True)
    assert (real["changed"], real["restarted"], real["restart_needed"]) == (True, True, False)
    assert engine.pid != pid
    assert docker(engine, "ps", "--format", "{{.Names}}") == "before", "it ran before, and runs again"
    docker(engine, "run", "--detach", "--name", "after", "--network=none", "trial:1")
    config = json.loads(docker(engine, "inspect", "--format", "{{json .HostConfig.LogConfig}}", "after"))
    assert config == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    pid = engine.pid
    again = limit(engine, restart=True)
    assert (again["changed"], engine.pid) == (False, pid), "it has read the file: there is no reason to restart it"
    assert [one["name"] for one in again["old_containers"]] == ["before"]


@pytest.mark.docker
def test_an_engine_that_does_not_come_back_gets_its_former_configuration(engine: OwnEngine) -> None:
    engine.config.write_text('{"debug": false}\n')
    pid = engine.pid
    with pytest.raises(RunbookError, match=r"did not come back.*still the former one"):
        limit(engine, restart_command=["true"], restart_timeout_s=1)
    assert (engine.config.read_text(), engine.pid) == ('{"debug": false}\n', pid), "the former process answers, and has read nothing"
    running = set(docker(engine, "ps", "--format", "{{.Names}}").split())
    # As where somebody has changed the unit since the engine was started: it refuses what is in its file and on its command line.
    engine.flags.write_text("--log-opt=max-size=5m")
    with pytest.raises(RunbookError, match="did not come back") as told:
        limit(engine, restart=True, restart_timeout_s=30)
    assert "specified both as a flag and in the configuration file" in told.value.why
    assert "the former configuration is back, and the engine runs with it" in told.value.why
    assert engine.config.read_text() == '{"debug": false}\n'
    assert set(docker(engine, "ps", "--format", "{{.Names}}").split()) == running
    with pytest.raises(BadInput, match="on the command line"):
        limit(engine)


def test_a_new_dockerd_looks_at_the_configuration_before_it_takes_its_place(tmp_path: Path, cache: Path) -> None:
    try:
        dockerd = program_of_suite("dockerd", "docker.io", "trixie", cache)
    except NoPackage as error:
        pytest.skip(str(error))
    file, given = tmp_path / "daemon.json", {name: spec.get("default") for name, spec in docker_log_options.OPTIONS.items()}
    given.update(file=str(file))
    for path, tries in ((str(Path(dockerd).parent), True), ("", False)):
        file.write_text('{"no-such-option": 1}\n')
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"])
            if tries:
                with pytest.raises(BadInput, match="no-such-option"):
                    docker_log_options.operate(given, True)
                file.write_text('{"debug": true}\n')
                assert not any("tried" in note or "try" in note for note in docker_log_options.operate(given, True)["notes"])
            elif shutil.which("dockerd"):
                help_text = subprocess.run(["dockerd", "--help"], capture_output=True, text=True, check=False).stdout
                if "--validate" in help_text:
                    with pytest.raises(BadInput, match="no-such-option"):
                        docker_log_options.operate(given, True)
                else:
                    assert any("cannot try" in note for note in docker_log_options.operate(given, True)["notes"])
