# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verbs of a service that a real systemd runs on two hosts: by the real playbooks, and with faults by what their tasks call."""

from __future__ import annotations

import subprocess
import time
import typing as t
from collections.abc import Callable, Iterator

import pytest

from integration.containers import Docker
from integration.playbook_runs import Finished
from integration.systemd_hosts import READY, Host, Hosts, systemd_hosts

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
PORTS = (8001, 8002, 8003)
UNITS = ["app@01.service", "app@02.service", "app@03.service"]
DROP_IN = "/etc/systemd/system/app@.service.d/50-test.conf"
PROBE = """
import http.client, sys, time
fewest, until = 9, time.monotonic() + 60
import os
while not os.path.exists("/tmp/probe.end") and time.monotonic() < until:
    serving = 0
    for port in (8001, 8002, 8003):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/")
            serving += connection.getresponse().status == 200
            connection.close()
        except OSError:
            pass
    fewest = min(fewest, serving)
    open("/tmp/probe.said", "w").write(str(fewest))
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def hosts(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Two hosts, on each three instances of a template."""
    with systemd_hosts(docker, tmp_path_factory.mktemp("hosts"), 2) as found:
        yield found


@pytest.fixture
def host(hosts: Hosts) -> Host:
    """The first host, as at the beginning."""
    hosts.hosts[0].reset()
    return hosts.hosts[0]


def fewest_serving(host: Host, action: Callable[[], t.Any]) -> int:
    """How many of the three instances answered at the worst moment of an action."""
    host.write("/tmp/probe.py", PROBE)
    host("rm -f /tmp/probe.said /tmp/probe.end")
    host.docker("exec", "--detach", host.name, "python3", "/tmp/probe.py")
    while host("cat /tmp/probe.said 2>/dev/null || true") != "3":
        time.sleep(0.05)
    action()
    return int(host("cat /tmp/probe.said; touch /tmp/probe.end"))


def three_times(
    hosts: Hosts, host: Host, playbook: str, given: dict[str, t.Any], **variables: t.Any
) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Do a verb in check mode, by its playbook, and again: the first and last change nothing. Returns what the first two said.

    Args:
        given: What the playbook's task gives to its module (`limits` where that is among it, else `replicas`).
        variables: Of the playbook.
    """
    module = "limits" if "limits" in given else "replicas"
    before = host.picture()
    predicted = host.operate(module, check_mode=True, ready_checks=[READY], **given)
    assert host.picture() == before
    done = hosts.run(playbook, **variables)
    result, after = hosts.result(done), host.picture()
    again = host.operate(module, ready_checks=[READY], **given)
    assert again["changed"] is False, again
    assert host.picture() == after
    assert hosts.changes(done) == 1
    assert predicted["changed"] is result["changed"] is True
    assert predicted["steps"] == result["steps"]
    return predicted, result


def states(result: dict[str, t.Any]) -> dict[str, str]:
    """The state by replica after a verb."""
    return {replica["name"]: replica["state"] for replica in result["after"]["replicas"]}


def test_status_says_what_runs_since_when_with_which_limits(hosts: Hosts, host: Host) -> None:
    host("systemctl set-property --runtime app@02.service MemoryMax=64M CPUQuota=50%; systemctl stop app@03.service")
    before = host.picture()
    said = hosts.result(hosts.run("service_status"))
    assert host.picture() == before
    assert (said["after"]["wanted"], said["after"]["running"]) == (3, 2)
    first, second, third = said["after"]["replicas"]
    assert (first["state"], first["image"], first["limits"]["memory_bytes"]) == ("running", "/usr/bin/python3", None)
    assert second["limits"] == {"memory_bytes": 64 << 20, "cpus": 0.5}
    assert (third["name"], third["state"]) == ("app@03.service", "inactive")
    assert said["conclusion"].startswith("2 of 3 replicas run; app@03.service is inactive")
    host("rm -rf /run/systemd/system.control; systemctl daemon-reload")


def test_stop_and_start_do_what_check_mode_says_and_nothing_the_second_time(hosts: Hosts, host: Host) -> None:
    predicted, stopped = three_times(hosts, host, "service_stop", {"operation": "stop"})
    assert states(predicted) == states(stopped) == dict.fromkeys(UNITS, "inactive")
    assert host.running() == {}
    picture = host.picture()
    checked = hosts.run("service_start", "--check")
    assert (hosts.changes(checked), host.picture()) == (1, picture)
    predicted, started = three_times(hosts, host, "service_start", {"operation": "start"})
    assert hosts.result(checked)["steps"] == started["steps"]
    assert states(predicted) == states(started) == dict.fromkeys(UNITS, "running")
    assert sorted(host.running()) == UNITS


def test_rolling_restart_takes_one_instance_at_a_time_and_the_others_serve(hosts: Hosts, host: Host) -> None:
    before, picture = host.running(), host.picture()
    predicted = host.operate("replicas", operation="restart", ready_checks=[READY], check_mode=True)
    assert (predicted["changed"], host.picture()) == (True, picture)
    runs: list[Finished] = []
    fewest = fewest_serving(host, lambda: runs.append(hosts.run("service_restart")))
    result, after = hosts.result(runs[0]), host.running()
    assert fewest == 2
    assert result["steps"] == predicted["steps"]
    assert len(result["steps"]) == 3
    assert sorted(after) == UNITS
    assert not set(before.values()) & set(after.values())


def test_behind_a_proxy_a_rolling_restart_and_scaling_lose_no_request(host: Host, tell: Callable[[str], None]) -> None:
    proxy = {"kind": "haproxy", "backend": "app", "socket": "/srv/proxy/admin.sock"}
    ways: list[dict[str, t.Any]] = [{"operation": "scale", "scale_to": 4}, {"operation": "restart"}, {"operation": "scale", "scale_to": 3}]
    with host.proxy() as load:
        script = "echo $$ > /tmp/wrk.pid; exec wrk -t1 -c4 -d300s http://127.0.0.1:8080/"
        command = ["docker", "exec", load, "sh", "-c", script]
        with subprocess.Popen(command, env=host.docker.environment, stdout=subprocess.PIPE, text=True) as wrk:
            time.sleep(1)
            for way in ways:
                done = host.operate("replicas", proxy=proxy, ready_checks=[READY], settle_s=0, **way)
                assert done.get("changed"), done
                assert done["notes"] == [], done
            host.docker("exec", load, "sh", "-c", "kill -INT $(cat /tmp/wrk.pid)")
            said = wrk.communicate()[0]
        assert "Socket errors" not in said, said
        assert "Non-2xx" not in said, said
        tell(
            f"units of systemd behind HAProxy: 0 of {said.split(' requests in')[0].split()[-1]} requests failed while scaled and restarted"
        )
        # With nobody else to serve, none is taken out.
        host("systemctl stop app@02 app@03")
        time.sleep(1)
        refused = host.operate("replicas", operation="restart", way="one", replica="01", proxy=proxy)
        assert "leave nobody to serve" in refused["msg"]
        assert (refused["changed"], "app@01.service" in host.running()) == (False, True)
        away = host.operate("replicas", operation="restart", proxy={**proxy, "backend": "other"})
        assert (away["changed"], "other" in away["msg"]) == (False, True)


def test_scale_enables_further_instances_and_disables_the_highest(hosts: Hosts, host: Host) -> None:
    _predicted, result = three_times(hosts, host, "service_scale", {"operation": "scale", "scale_to": 4}, service_scale_to="up")
    assert sorted(states(result)) == [*UNITS, "app@04.service"]
    assert host.properties("app@04", "UnitFileState", "ActiveState") == {"UnitFileState": "enabled", "ActiveState": "active"}
    down = host.operate("replicas", operation="scale", scale_to=2)
    assert down["steps"] == ["disable and stop app@03.service, app@04.service"]
    assert host.properties("app@04", "UnitFileState", "ActiveState") == {"UnitFileState": "disabled", "ActiveState": "inactive"}
    wrong = host.operate("replicas", operation="scale", scale_to="more", replicas_named={"up": 4})
    assert "'more' is no number of replicas: the profile knows up (4)" in wrong["msg"]
    shown = host.operate("replicas", operation="scale")
    assert (shown["changed"], shown["conclusion"]) == (False, "2 of 2 replicas run")
    assert host.operate("replicas", operation="scale", scale_to=3)["changed"]
    assert sorted(host.running()) == UNITS


def test_limits_take_effect_at_once_and_are_put_back_where_they_do_not(hosts: Hosts, host: Host) -> None:
    pids, wanted = host.running(), {"memory": "96m", "cpus": 0.5}
    _predicted, result = three_times(hosts, host, "service_limits", {"limits": wanted}, service_limits=wanted)
    assert [replica["limits"] for replica in result["after"]["replicas"]] == [{"memory_bytes": 96 << 20, "cpus": 0.5}] * 3
    assert host.running() == pids
    group = host.properties("app@02", "ControlGroup")["ControlGroup"]
    assert host(f"cat /sys/fs/cgroup/memory{group}/memory.limit_in_bytes /sys/fs/cgroup{group}/memory.max 2>/dev/null || true") == str(
        96 << 20
    )
    more = host.operate("limits", limits={"memory_high": "80m"})
    assert "MemoryMax=100663296\nMemoryHigh=83886080\nCPUQuota=50%\n" in more["diff"]["after"]
    before = host.picture()
    low = host.operate("limits", limits={"memory": "2m"})
    assert "app@01.service uses" in low["msg"]
    assert "nothing was changed" in low["msg"]
    for wrong in ({"memory": "much"}, {"cpus": -1}, {}, {"disk": "1g"}, {"memory": "1g", "memory_swap": "512m"}):
        assert host.operate("limits", limits=wrong)["error"]["kind"] == "BadInput"
    assert host.picture() == before
    host.write("/etc/systemd/system/app@.service.d/99-later.conf", "[Service]\nMemoryMax=90M\n")
    host("systemctl daemon-reload")
    overruled = host.operate("limits", limits={"memory": "128m"})
    assert "MemoryMax of app@01.service is 94371840, not 134217728" in overruled["msg"]
    assert "The former limits are in place again" in overruled["msg"]
    assert "MemoryMax=100663296" in host("cat /etc/systemd/system/app@.service.d/90-sre-runbooks-limits.conf")
    assert host.running() == pids


def test_limits_are_taken_away_at_once_also_those_of_a_units_own_file(hosts: Hosts, host: Host) -> None:
    host.write("/etc/systemd/system/app@.service.d/10-own.conf", "[Service]\nMemoryMax=200M\nCPUQuota=80%\n")
    host("systemctl daemon-reload")
    host.operate("limits", limits={"memory": "96m", "cpus": 0.5})
    pids, wanted = host.running(), {"memory": "none", "cpus": "none"}
    _predicted, result = three_times(hosts, host, "service_limits", {"limits": wanted}, service_limits=wanted)
    assert [replica["limits"] for replica in result["after"]["replicas"]] == [{"memory_bytes": None, "cpus": None}] * 3
    assert result["conclusion"].endswith(": no MemoryMax, no CPUQuota")
    group = host.properties("app@02", "ControlGroup")["ControlGroup"]
    quota = f"/sys/fs/cgroup/cpu{group}/cpu.cfs_quota_us"  # systemd gives a unit whose processors are not limited no group for them
    limits = host(f"cat /sys/fs/cgroup/memory{group}/memory.limit_in_bytes; if [ -e {quota} ]; then cat {quota}; else echo -1; fi").split()
    assert (int(limits[0]) >= 1 << 62, limits[1]) == (True, "-1")
    host.write("/etc/systemd/system/app@.service.d/99-later.conf", "[Service]\nMemoryMax=90M\n")
    host("systemctl daemon-reload")
    host.operate("limits", limits={"memory": "90m"})
    overruled = host.operate("limits", limits={"memory": "none"})
    assert "MemoryMax of app@01.service is 94371840, not infinity" in overruled["msg"]
    assert "The former limits are in place again" in overruled["msg"]
    assert host("cat /etc/systemd/system/app@.service.d/90-sre-runbooks-limits.conf").endswith("MemoryMax=94371840\nCPUQuota=")
    assert host.running() == pids


def test_a_command_runs_as_the_unit_does_and_no_secret_of_it_is_shown(hosts: Hosts, host: Host) -> None:
    host.write("/etc/app.env", "DATABASE_PASSWORD='it is geheim'\nLEVEL=\"a b\"\n")
    done = hosts.run(
        "service_exec", service_exec_command=["sh", "-c", 'id -un; pwd; env; echo $DATABASE_PASSWORD; printf %s "$*"', "x", "a;b c"]
    )
    result = hosts.result(done)
    lines = result["stdout"].splitlines()
    assert lines[:2] == ["games", "/srv"]
    assert {"COLOUR=blue", "LEVEL=a b", "HOME=/usr/games", "API_TOKEN=********", "DATABASE_PASSWORD=********"} <= set(lines)
    assert lines[-2:] == ["********", "a;b c"]
    assert "geheim" not in done.output + str(result)
    assert "tok-4711" not in done.output + str(result)
    would = host.operate("exec", check_mode=True, command=["touch", "/tmp/made"])
    assert (would["changed"], would["steps"]) == (True, ["run touch as games in /srv, with the environment of app@01.service"])
    assert host("ls /tmp/made 2>/dev/null || echo none") == "none"
    ended = host.operate("exec", command=["sh", "-c", "yes & yes"], timeout_s=1)
    assert (ended["error"]["kind"], len(ended["error"]["stdout"]) < 140_000) == ("DeadlineExceeded", True)
    assert host("pgrep -x yes || echo none") == "none"
    assert host.operate("exec", command=["sh", "-c", "echo bad >&2; exit 3"])["error"]["exit_status"] == 3
    assert "nope" in host.operate("exec", command=["nope"])["msg"]
    assert "'09' is no unit" in host.operate("exec", command=["id"], replica="09")["msg"]


def test_a_command_runs_whatever_the_search_path_of_the_unit_is(host: Host) -> None:
    host.write(DROP_IN, "[Service]\nEnvironment=PATH=/opt/app/bin\n")
    host("systemctl daemon-reload")
    assert host.operate("exec", command=["/usr/bin/id", "-un"])["stdout"] == "games\n"
    assert "nope" in host.operate("exec", command=["nope"])["msg"]


def test_logs_are_the_journal_of_all_instances_searched_or_followed(hosts: Hosts, host: Host) -> None:
    host.answers(*PORTS)
    done = hosts.run("service_logs", service_log_pattern="begins with blue", service_log_lines=2)
    result = hosts.result(done)
    assert len(result["lines"]) == 2
    assert all("begins with blue" in line for line in result["lines"])
    followed = hosts.run("service_logs", service_log_follow_s=0.5, service_log_lines=3)
    assert any("asked for /" in line for line in hosts.result(followed)["lines"])


def test_apply_restarts_those_that_run_with_former_files_and_stops_at_the_first_that_fails(host: Host) -> None:
    def apply(**options: t.Any) -> dict[str, t.Any]:
        return host.operate("replicas", operation="apply", ready_checks=[READY], **options)

    assert not apply()["changed"]
    host.write("/etc/app.env", "COLOUR=green\n")
    predicted = apply(check_mode=True)
    assert [answer.split()[0] for answer in host.answers(*PORTS)] == ["blue"] * 3
    done = apply()
    assert (predicted["changed"], predicted["steps"]) == (True, done["steps"])
    assert [answer.split()[0] for answer in host.answers(*PORTS)] == ["green"] * 3
    assert not apply()["changed"]
    host.write(DROP_IN, "[Service]\nEnvironment=COLOUR=ignored LEVEL=2\n")
    assert apply()["notes"] == [f"systemd has read the changed files of {', '.join(UNITS)}"]
    assert not apply()["changed"]
    host.write("/etc/app.env", "FAULT=exit\n")
    failed = apply()
    assert failed["msg"].startswith("app@01.service does not run: app@01.service: it ended with status 1. It said last: no database")
    assert "hunter2" not in str(failed)
    assert failed["error"]["untouched"] == UNITS[1:]
    assert [answer.split()[0] for answer in host.answers(*PORTS)] == ["-", "green", "green"]
    host.write("/etc/app.env", "FAULT=sick\n")
    sick = apply(health_timeout_s=1)
    assert "ready-01: answered 500" in sick["msg"]
    assert [answer.split()[0] for answer in host.answers(*PORTS)] == ["-", "green", "green"]
    host.write("/etc/app.env", "COLOUR=red\n")
    assert apply()["changed"]
    assert [answer.split()[0] for answer in host.answers(*PORTS)] == ["red"] * 3


def test_other_procedures_let_a_changed_configuration_take_effect_and_wait(hosts: Hosts, host: Host) -> None:
    host.write("/etc/app.env", "COLOUR=green\n")
    _predicted, result = three_times(hosts, host, "apply", {"operation": "apply"})
    assert (result["verb"], result["runtime"], result["service"]) == ("apply", "systemd", "app")
    assert [answer.split()[0] for answer in host.answers(*PORTS)] == ["green"] * 3
    waited = hosts.result(hosts.run("wait"))
    assert (waited["changed"], waited["after"]["running"]) == (False, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Service]\nExecStart=\nExecStart=/opt/nothing\n", "Command /opt/nothing is not executable"),
        ("[Service]\nExecStart=/usr/bin/true\n", "more than one ExecStart="),
    ],
)
def test_a_unit_whose_files_could_not_start_it_is_not_stopped(host: Host, text: str, said: str) -> None:
    before = host.running()
    host.write(DROP_IN, text)
    for check_mode in (True, False):
        refused = host.operate("replicas", operation="apply", check_mode=check_mode)
        assert said in refused["msg"]
        assert "nothing was restarted" in refused["msg"]
        assert (refused["changed"], host.running()) == (False, before)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Service]\nExecStart=\nExecStart=/bin/sh -c 'echo out of luck; exit 4'\n", "it ended with status 4. It said last: out of luck"),
        ("[Service]\nType=notify\nTimeoutStartSec=1\n", "it did not start, or end, in the time that its unit gives it"),
        ("[Service]\nMemoryMax=40M\nEnvironment=FAULT=eat\n", "MemoryMax is 40 MiB"),
        ("[Service]\nWorkingDirectory=/srv/gone\n", "its working folder is missing"),
        ("[Service]\nUser=nobody-here\n", "its user does not exist"),
        ("[Service]\nExecStart=\nExecStart=/bin/false\nRestart=always\nRestartSec=100ms\n", "ended"),
    ],
    ids=["exit status", "start timeout", "memory", "working folder", "user", "again and again"],
)
def test_an_instance_that_does_not_start_again_ends_the_restart_with_its_cause(host: Host, text: str, said: str) -> None:
    before = host.running()
    host.write(DROP_IN, text)
    failed = host.operate("replicas", operation="apply", ready_checks=[READY])
    assert said in failed["msg"]
    assert failed["error"]["untouched"] == UNITS[1:]
    assert {name: pid for name, pid in host.running().items() if name != UNITS[0]} == {name: before[name] for name in UNITS[1:]}


def test_instances_that_do_not_become_healthy_are_scaled_away_again(host: Host) -> None:
    before = host.running()
    host.write("/etc/app.env", "FAULT=exit\n")
    failed = host.operate("replicas", operation="scale", scale_to=5, ready_checks=[READY])
    assert "no database" in failed["msg"]
    assert "app@04.service, app@05.service stopped and disabled again" in failed["msg"]
    assert host.running() == before
    assert host.operate("info", runtime="systemd")["state"]["wanted"] == 3


def test_the_ways_of_a_restart_touch_the_units_that_they_mean(host: Host) -> None:
    def restarted(way: str, **options: t.Any) -> set[str]:
        before = host.running()
        answer = host.operate("replicas", operation="restart", way=way, ready_checks=[READY], **options)
        assert answer.get("changed"), answer
        after = host.running()
        assert sorted(after) == UNITS
        return {name for name in UNITS if before[name] != after[name]}

    assert restarted("one", replica="02") == {"app@02.service"}
    assert restarted("all") == set(UNITS)
    assert fewest_serving(host, lambda: restarted("down_and_up")) == 0
    for way, replica, said in (
        ("one", "", "It is not said which"),
        ("one", "7", "'7' is no unit"),
        ("to_zero_and_back", "", "down_and_up"),
    ):
        assert said in host.operate("replicas", operation="restart", way=way, replica=replica)["msg"]


def test_a_plain_unit_has_all_verbs_but_scale(host: Host) -> None:
    assert host.operate("replicas", unit="single", operation="start")["after"]["running"] == 1
    assert not host.operate("replicas", unit="single", operation="start")["changed"]
    assert host.operate("replicas", unit="single", operation="restart", way="one")["changed"]
    assert host.operate("replicas", unit="single.service", operation="wait")["steps"] == ["wait until single.service runs steadily"]
    assert "cannot be scaled" in host.operate("replicas", unit="single", operation="scale", scale_to=2)["msg"]
    assert host.operate("exec", unit="single", command=["id", "-un"])["stdout"] == "games\n"
    stopped = host.operate("replicas", unit="single", operation="stop")
    assert (stopped["changed"], stopped["conclusion"]) == (True, "0 of 1 replicas run; single.service is inactive")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": "nothing"}, "systemd knows no such unit (nothing.service)"),
        ({"unit": "nothing@.service"}, "systemd knows no such unit"),
        ({"unit": ""}, "No unit is named"),
        ({"unit": "../etc"}, "There can be no such unit"),
        ({"unit": "single", "instances": ["1"]}, "has no instances"),
        ({"instances": ["a b"]}, "There can be no such unit"),
        ({"ready_checks": [{"name": "ready", "type": "nonsense"}]}, "nonsense"),
        ({"user": "games"}, "become: true"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_message_and_nothing_is_changed(host: Host, options: dict[str, t.Any], said: str) -> None:
    before = host.picture()
    refused = host.operate("replicas", operation="restart", **options)
    assert said in refused["msg"]
    assert (refused["changed"], host.picture()) == (False, before)


def test_hosts_take_turns_and_a_host_that_fails_keeps_the_others_from_theirs(hosts: Hosts, host: Host) -> None:
    second = hosts.hosts[1]
    second.reset()
    before = second.running()
    host.write("/etc/app.env", "FAULT=exit\n")
    failed = hosts.run("service_restart", service_hosts="app")
    assert failed.status == 2
    assert "app@01.service does not run" in failed.message
    assert "no database" in failed.message
    assert second.running() == before
    assert sorted(host.running()) == UNITS[1:]
    host.write("/etc/app.env", "COLOUR=blue\n")
    second.write("/etc/app.env", "FAULT=exit\n")
    failed = hosts.run("service_restart", service_hosts="app")
    assert "no database" in failed.message
    assert sorted(host.running()) == UNITS, failed.output
    assert sorted(second.running()) == UNITS[1:]
    second.write("/etc/app.env", "COLOUR=blue\n")
    done = hosts.run("service_restart", service_hosts="app")
    assert done.status == 0, done.output
    last_of_first, first_of_second = (
        one(f"systemctl show --value --property=ExecMainStartTimestampMonotonic {unit}")
        for one, unit in ((host, "app@03"), (second, "app@01"))
    )
    assert int(last_of_first) < int(first_of_second)
