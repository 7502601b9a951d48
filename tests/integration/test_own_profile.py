# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A profile of one's own: `sre-runbooks init` writes it, the commands of the documentation run on it, and what has rotted is found.

PostgreSQL, Valkey and the service are real; what rots is made to rot for real: a password that is no longer right, a program that is gone,
a run that is too long ago, a cluster that does not know the account any more.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.run_clean import Cleaner
from ansible_collections.sre.runbooks.plugins.module_utils.run_record import Beginning, Ending, Runs
from integration.service_stack import DATABASE, ServiceProcess, Stack
from tools.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BESIDE = Path(sys.executable).parent


@pytest.fixture(scope="module")
def service(stack: Stack) -> Iterator[ServiceProcess]:
    running = stack.service().start()
    wait_until("the service is ready", lambda: running.get("/ready").status == 200)
    yield running
    running.stop()


class Trial:
    """A folder of one's own, in which commands are run as a person would."""

    def __init__(self, folder: Path, stack: Stack, service: ServiceProcess) -> None:
        self.folder, self.stack, self.service = folder, stack, service
        self.state, self.programs = folder / "state", folder / "programs"
        self.programs.mkdir()
        self.inventory = folder / "inventories" / "shop"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SRE_", "PG", "SHOP_", "KUBE"))},
            "PATH": f"{self.programs}:{BESIDE}:{stack.database.tools}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "SRE_RUNBOOKS_STATE": str(self.state),
            "SHOP_DB_PASSWORD": "app-secret",
            "SHOP_CACHE_PASSWORD": stack.cache.password,
            "SHOP_EMAIL_GATEWAY": "json://127.0.0.1:9/{to}",
        }

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        there = {**self.environment, **environment}
        program = shutil.which(command[0], path=there["PATH"]) or command[0]
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env=there,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def facts(self) -> list[str]:
        """The options of `init` for this stack."""
        return [
            "--name=shop",
            "--title=Web shop",
            f"--health-url=http://127.0.0.1:{self.service.port}/health",
            f"--database=reference_app@127.0.0.1:{self.stack.database.port}/{DATABASE}",
            f"--cache=127.0.0.1:{self.stack.cache.port}",
            "--prometheus=none",
            "--contact=on-call@shop.org",
            "--runtime=systemd",
        ]

    def init(self) -> None:
        """Write the profile."""
        done = self.run("sre-runbooks", "init", *self.facts())
        assert done.returncode == 0, done.stdout + done.stderr
        # Nothing here is a unit of systemd; the profile says what else runs it.
        path = self.inventory / "group_vars" / "all" / "service.yml"
        text = path.read_text().replace('service_runtime: systemd\nservice_systemd_unit: "shop"\n', "")
        path.write_text(text.replace('systemd_unit: "{{ service_systemd_unit }}"', f"path: {self.service.log_file}"))

    def change(self, file: str, **variables: t.Any) -> None:
        """Write variables into a file of the profile."""
        path = self.inventory / "group_vars" / "all" / file
        content = (yaml.safe_load(path.read_text()) if path.exists() else None) or {}
        path.write_text(yaml.safe_dump({**content, **variables}))

    def playbook(self, name: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the checkout on the profile."""
        return self.run("ansible-playbook", str(ROOT / "playbooks" / f"{name}.yml"), "-i", str(self.inventory), *options, **environment)

    def on_call(self, *options: str, kinds: str = "", **environment: str) -> dict[str, t.Any]:
        """The result of the module on_call_check, asked for by a playbook of its own."""
        play = self.folder / "on_call.yml"
        task: dict[str, t.Any] = {"folder": "{{ inventory_dir }}", "profile": "shop", "fail_on": [], "timeout_s": 5}
        if kinds:
            task["kinds"] = kinds.split(",")
        tasks = [
            {
                "name": "Try",
                "sre.runbooks.on_call_check": {**task, "proven_within_days": "{{ limits | default({}) }}"},
                "register": "tried",
            },
            {
                "name": "Keep",
                "ansible.builtin.copy": {"content": "{{ tried | to_json }}", "dest": str(self.folder / "tried.json"), "mode": "0600"},
            },
        ]
        play.write_text(json.dumps([{"name": "Try", "hosts": "operator", "gather_facts": False, "tasks": tasks}]))
        done = self.run("ansible-playbook", str(play), "-i", str(self.inventory), *options, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, t.Any] = json.loads((self.folder / "tried.json").read_text())
        return result


@pytest.fixture
def trial(tmp_path: Path, stack: Stack, service: ServiceProcess) -> Trial:
    return Trial(tmp_path, stack, service)


def verdicts(tried: t.Mapping[str, t.Any], kind: str) -> dict[str, str]:
    """The verdict of every item of a kind, by name."""
    return {item["name"]: item["verdict"] for item in tried["results"] if item["kind"] == kind}


def reason(tried: t.Mapping[str, t.Any], name: str) -> str:
    """Why an item is not good."""
    return str(next(item["reason"] for item in tried["results"] if item["name"] == name))


def test_a_profile_is_written_passes_its_check_and_answers_health_questions(trial: Trial) -> None:
    trial.init()
    checked = trial.playbook("profile_check")
    assert checked.returncode == 0, checked.stdout
    assert "ERROR" not in checked.stdout
    healthy = trial.playbook("health_check")
    assert healthy.returncode == 0, healthy.stdout
    for name in ("service", "database", "cache"):
        assert re.search(rf"PASS\s+{name}", healthy.stdout), healthy.stdout


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--database=none", "--cache=none", "--place=/srv/other:web"],
        ["--prometheus=http://127.0.0.1:9090", "--runtime=kubernetes"],
    ],
)
def test_every_profile_that_init_writes_passes_profile_check(trial: Trial, options: list[str]) -> None:
    base = ["--name=other", "--health-url=https://shop.org/health?deep=1", "--title=Quotes \" ' : # {x} 100%"]
    done = trial.run("sre-runbooks", "init", str(trial.inventory), *base, *options)
    assert done.returncode == 0, done.stderr
    checked = trial.playbook("profile_check")
    assert checked.returncode == 0, checked.stdout


def test_init_never_overwrites_and_says_what_is_wrong_with_a_fact(trial: Trial) -> None:
    trial.init()
    before = {path: path.read_bytes() for path in trial.inventory.rglob("*") if path.is_file()}
    again = trial.run("sre-runbooks", "init", *trial.facts())
    assert again.returncode == 2
    assert "is there already, and nothing is overwritten" in again.stderr
    assert {path: path.read_bytes() for path in trial.inventory.rglob("*") if path.is_file()} == before
    wrong = {
        "--name=Web Shop": "is no short name",
        "--health-url=shop.org": "is no address of a web server",
        "--health-url=http://me:secret-77@shop.org": "An account has no place",
        "--database=me:secret-77@db:5432/shop": "A password has no place",
        "--database=db": "is no address of the form user@host:port/database",
        "--cache=cache:99999": "is no address of the form host:port",
        "--title={{ lookup('pipe', 'id') }}": "templates and control characters",
        "--contact=nobody": "is no email address",
        "--place=shop app": "give unit of systemd: --place",
    }
    for option, said in wrong.items():
        facts = [fact for fact in trial.facts() if not fact.startswith(option.split("=")[0] + "=")]
        done = trial.run("sre-runbooks", "init", "fresh", *facts, option)
        assert done.returncode == 2, option
        assert said in done.stderr
        assert "secret-77" not in done.stderr
        assert not (trial.folder / "fresh").exists()
    assert not list(trial.folder.glob(".fresh*"))
    without = trial.run("sre-runbooks", "init", "fresh")
    assert (without.returncode, (trial.folder / "fresh").exists()) == (2, False)


def test_init_asks_in_a_terminal_for_what_is_not_given(trial: Trial) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(BESIDE / "sre-runbooks"), "init", "--title=Web shop", "--runtime=systemd"],
        cwd=trial.folder,
        env=trial.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    answers = {
        "Short name": "shop",
        "Environment": "",
        "Unit of systemd": "web@.service",
        "Address that answers": f"http://127.0.0.1:{trial.service.port}/health",
        "PostgreSQL": "none",
        "Redis": "none",
        "Prometheus": "",
        "Email": "on-call@shop.org",
    }
    seen, deadline = "", time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                seen += os.read(master, 4096).decode()
            except OSError:
                break
            for question in [asked for asked in answers if asked in seen.rpartition("\n")[2]]:
                os.write(master, answers.pop(question).encode() + b"\n")
                seen += "\n"
    assert process.wait(10) == 0, seen
    os.close(master)
    assert answers == {}
    service = yaml.safe_load((trial.inventory / "group_vars" / "all" / "service.yml").read_text())
    assert (service["service_name"], service["service_environment"]) == ("shop", "production")
    assert (service["service_runtime"], service["service_systemd_unit"]) == ("systemd", "web@.service")


def test_the_commands_of_the_documentation_work_as_they_are_written(trial: Trial) -> None:
    text = (ROOT / "docs" / "adopting_a_profile.md").read_text()
    commands = [
        line[2:] for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL) for line in block.splitlines() if line.startswith("$ ")
    ]
    assert len(commands) >= 4
    # Only where the servers are differs here.
    places = {
        "127.0.0.1:8000": f"127.0.0.1:{trial.service.port}",
        "shop@127.0.0.1:5432/shop": f"reference_app@127.0.0.1:{trial.stack.database.port}/{DATABASE}",
        "127.0.0.1:6379": f"127.0.0.1:{trial.stack.cache.port}",
        "playbooks/": f"{ROOT}/playbooks/",
    }
    for command in commands:
        for written, here in places.items():
            command = command.replace(written, here)
        done = trial.run(*shlex.split(command))
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_profile_check_stops_with_what_is_wrong_and_without_a_secret(trial: Trial) -> None:
    trial.init()
    trial.change(
        "checks.yml", health_timout_s=5, health_checks_service=[{"name": "x", "type": "http", "ulr": "y", "password": "swordfish-42"}]
    )
    trial.change("more.yml", service_folder="{{ nowhere }}")
    done = trial.playbook("profile_check", "-vvv")
    assert done.returncode == 2
    flat = " ".join(done.stdout.split())
    assert "has the unknown key ''ulr'' (did you mean ''url''?)" in flat
    assert "No role reads the variable ''health_timout_s'' (did you mean ''health_timeout_s''?)" in flat
    assert "shop/group_vars/all/more.yml:1: The variable ''service_folder'' cannot be evaluated: 'nowhere' is undefined" in flat.replace(
        "''nowhere''", "'nowhere'"
    )
    assert "password holds a secret in clear" in flat
    assert "swordfish-42" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    reported = trial.playbook("profile_check", "-e", '{"profile_fail_on": []}')
    assert reported.returncode == 0


def test_everything_is_good_and_then_each_thing_that_rots_is_told(trial: Trial) -> None:
    trial.init()
    good = trial.on_call()
    for kind in ("profile", "credential", "endpoint", "metric", "log", "contact", "tool", "procedure"):
        found = verdicts(good, kind)
        assert found, kind
        assert "rotten" not in found.values(), [line for line in good["rotten"] if kind in line]
    assert verdicts(good, "endpoint") == {"service": "good", "database": "good", "cache": "good"}

    wrong = trial.on_call(kinds="credential,endpoint", SHOP_DB_PASSWORD="not-it-any-more", SHOP_CACHE_PASSWORD="")
    assert verdicts(wrong, "endpoint") == {"service": "untested", "database": "rotten", "cache": "rotten"}
    assert "password authentication failed" in reason(wrong, "database")
    assert "SHOP_CACHE_PASSWORD is not set" in reason(wrong, "service_cache_password")
    assert "not-it-any-more" not in json.dumps(wrong)

    trial.change("more.yml", service_runtime_tools=["shop-tool"])
    assert verdicts(trial.on_call(kinds="tool"), "tool")["shop-tool"] == "rotten"
    program = trial.programs / "shop-tool"
    program.write_text("#!/bin/sh\necho shop-tool 1.2.3\n")
    program.chmod(0o755)
    assert "1.2.3" in reason(trial.on_call(kinds="tool"), "shop-tool")
    elsewhere = ":".join(part for part in trial.environment["PATH"].split(":") if part != str(trial.stack.database.tools))
    gone = verdicts(trial.on_call(kinds="tool", PATH=elsewhere), "tool")
    assert {name for name, verdict in gone.items() if verdict == "rotten"} <= {"psql", "pg_dump", "pg_restore"}
    if shutil.which("pg_dump", path=elsewhere) is None:
        assert gone["pg_dump"] == "rotten"

    trial.change(
        "contacts.yml",
        incident_contacts=[{"name": "first", "phone": "+48 XXX XXX XXX"}, {"name": "second", "email": "no address"}, {"name": "third"}],
        notify_channels={"critical": ["slack://ops"]},
    )
    people = trial.on_call(kinds="contact,channel")
    assert verdicts(people, "contact") == {"first": "rotten", "second": "rotten", "third": "rotten"}
    assert "is a placeholder" in reason(people, "first")
    assert "there is no gateway for slack" in reason(people, "critical slack://ops")

    trial.change(
        "thresholds.yml",
        health_metrics=[
            {
                "name": "m",
                "type": "json",
                "url": f"http://127.0.0.1:{trial.service.port}/metrics.json",
                "value": "nothing.here",
                "unit": "count",
            }
        ],
    )
    trial.change("schedule.yml", schedule_entries=[{"procedure": "bakcup", "at": "daily 02:00"}])
    rest = trial.on_call(kinds="metric,procedure,profile")
    assert verdicts(rest, "metric") == {"m": "rotten"}
    assert verdicts(rest, "procedure")["bakcup"] == "rotten"
    assert "rotten" in verdicts(rest, "profile").values()


def test_the_playbook_ends_with_an_error_and_the_list_and_its_record_has_all_verdicts(trial: Trial) -> None:
    trial.init()
    done = trial.playbook("on_call_check", SHOP_CACHE_PASSWORD="")
    flat = " ".join(done.stdout.split())
    assert done.returncode == 2
    assert "ROTTEN credential service_cache_password" in flat
    assert "ROTTEN proof backup: it has never succeeded, and must have within 2 days" in flat
    (record,) = [json.loads(path.read_text()) for path in (trial.state / "runs").glob("*/record.json")]
    assert (record["procedure"], record["status"]) == ("on_call_check", "failed")
    assert "service_cache_password" in record["error"]["message"]
    reported = trial.playbook("on_call_check", "-e", '{"on_call_fail_on": []}')
    assert reported.returncode == 0, reported.stdout
    records = [json.loads(path.read_text()) for path in (trial.state / "runs").glob("*/record.json")]
    (succeeded,) = [record for record in records if record["status"] == "succeeded"]
    assert any("GOOD" in decision and "database" in decision for decision in succeeded["decisions"])


def test_a_success_that_is_too_long_ago_is_told_and_one_of_another_profile_proves_nothing(trial: Trial) -> None:
    trial.init()
    proved(trial.state, "restore_drill", "shop", days_ago=40)
    proved(trial.state, "restore_drill", "other", days_ago=1)
    proved(trial.state, "backup", "shop", days_ago=1)
    proved(trial.state, "restore", "shop", days_ago=100)
    tried = trial.on_call(kinds="proof")
    found = verdicts(tried, "proof")
    assert (found["restore_drill"], found["backup"], found["restore"], found["morning_check"]) == ("rotten", "good", "good", "rotten")
    assert re.search(r"last proven \d{4}-\d\d-\d\d .* 40 days ago, and must not be older than 14 days", reason(tried, "restore_drill"))
    stricter = verdicts(trial.on_call("-e", '{"limits": {"restore": 90, "restore_drill": 60}}', kinds="proof"), "proof")
    assert (stricter["restore"], stricter["restore_drill"]) == ("rotten", "good")


def proved(state: Path, procedure: str, profile: str, days_ago: float) -> None:
    """Leave the record of a run that succeeded then."""
    then = datetime.now(UTC) - timedelta(days=days_ago)
    runs = Runs(str(state), clock=lambda: then)
    run_id = runs.reserve(procedure)
    beginning = Beginning(procedure, procedure, profile, "", [], "a test", "a test", {}, then + timedelta(hours=1))
    runs.begin(run_id, beginning, [], Cleaner([]))
    runs.end(run_id, Ending("succeeded"), Cleaner([]))


class _Cluster(BaseHTTPRequestHandler):
    """As much of a Kubernetes API server as `kubectl auth can-i` asks: the list of resources, and whether the account may."""

    allowed = True
    asked: t.ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        """The API's versions and resources."""
        pods = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}
        answers: dict[str, dict[str, t.Any]] = {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [pods]},
        }
        self._answer(answers.get(self.path.partition("?")[0], {"kind": "Status", "status": "Failure", "code": 404}))

    def do_POST(self) -> None:
        """A SelfSubjectAccessReview."""
        # kubectl sends protobuf and takes JSON.
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
        review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": {}}
        self._answer({**review, "status": {"allowed": self.allowed}}, 201)

    def _answer(self, body: t.Mapping[str, t.Any], status: int = 200) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002  (the name is the base class's)
        """Say nothing."""


@pytest.mark.skipif(not (BESIDE / "kubectl").exists() and shutil.which("kubectl") is None, reason="there is no kubectl here")
def test_a_context_is_good_until_the_cluster_refuses_the_account_or_the_kubeconfig_forgets_it(trial: Trial) -> None:
    trial.init()
    trial.change("more.yml", service_runtime="kubernetes", service_kube_context="shop-prod", service_kube_namespace="shop")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = trial.folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "shop-prod", "context": {"cluster": "c", "user": "u"}}],
    }
    config.write_text(yaml.safe_dump(content))
    asking = {"kinds": "context", "KUBECONFIG": str(config), "HOME": str(trial.folder)}
    try:
        assert verdicts(trial.on_call(**asking), "context") == {"shop-prod": "good"}
        assert all(b"shop" in asked and b"pods" in asked for asked in _Cluster.asked)
        _Cluster.allowed = False
        assert "may not look at pods" in reason(trial.on_call(**asking), "shop-prod")
    finally:
        _Cluster.allowed = True
        server.shutdown()
        server.server_close()
    assert "cannot be asked" in reason(trial.on_call(**asking), "shop-prod")
    content["contexts"] = [{"name": "shop-old", "context": {"cluster": "c", "user": "u"}}]
    config.write_text(yaml.safe_dump(content))
    assert "has no such context; it has shop-old" in reason(trial.on_call(**asking), "shop-prod")
