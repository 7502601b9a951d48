# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environment file and drop-ins of units of a real systemd are changed; with a broken value they are as before, and the units serve."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.environment import plan
from integration.containers import Docker
from integration.systemd_hosts import PROGRAM, Host, Hosts, systemd_hosts

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
DEFAULT_TIMEOUT_S = 100
"""Of the role: what a user has who names none."""
SECRET = "hush-4711-secret"
FILE = "/etc/app.env"
PROGRAM_PATH = "/srv/app.py"
DROP_IN = "/etc/systemd/system/app@.service.d/50-limits.conf"
BROKEN = {"path": "/etc/systemd/system/single.service.d/50-broken.conf", "content": "[Service]\nExecStartPre=/bin/false\n"}
PORTS = (8001, 8002, 8003)


@pytest.fixture(scope="module")
def hosts(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Two hosts with three instances of a template each. But for one test all is done on the first."""
    with systemd_hosts(docker, tmp_path_factory.mktemp("hosts"), 2) as found:
        found.variables["configuration_environment_file"] = FILE
        for one in found.hosts:
            one.write(FILE, "# of the service\nCOLOUR=green\n")
            one.write(DROP_IN, "[Service]\nLimitNOFILE=8192\n")
            one("chmod 0640 /etc/app.env && systemctl daemon-reload && systemctl restart 'app@*.service'")
        yield found


@pytest.fixture
def host(hosts: Hosts) -> Host:
    return hosts.hosts[0]


def colours(host: Host) -> set[str]:
    return {answer.split()[0] for answer in host.answers(*PORTS)}


def test_variables_and_a_drop_in_reach_every_unit_and_a_second_run_changes_nothing(hosts: Hosts, host: Host) -> None:
    wanted: dict[str, t.Any] = {
        "configuration_values": {"COLOUR": "red"},
        "configuration_secret_values": {"API_TOKEN": SECRET},
        "configuration_files": [{"path": DROP_IN, "content": "[Service]\nLimitNOFILE=4096\n"}],
    }
    picture = host.picture()
    predicted = hosts.run("config_update", "--check", "--diff", **wanted)
    assert (predicted.status, host.picture() == picture) == (0, True), predicted.output
    done = hosts.run("config_update", "-v", **wanted)
    assert done.status == 0, done.output
    assert colours(host) == {"red"}
    assert host.properties("app@01.service", "LimitNOFILE") == {"LimitNOFILE": "4096"}
    assert host(f"stat -c %a {FILE}; head -1 {FILE}").splitlines() == ["640", "# of the service"]
    picture = host.picture()
    again = hosts.run("config_update", **wanted)
    assert (again.status, host.picture() == picture) == (0, True), again.output
    assert SECRET not in predicted.output + done.output + again.output


def test_a_broken_value_is_back_on_the_old_configuration_and_serving_within_the_health_timeout(
    hosts: Hosts, host: Host, tell: Callable[[str], None]
) -> None:
    text, former, limit = host(f"cat {FILE} {DROP_IN}"), colours(host), host.properties("app@02.service", "LimitNOFILE")
    done = hosts.run(
        "config_update",
        configuration_values={"FAULT": "exit", "COLOUR": "black"},
        configuration_files=[{"path": DROP_IN, "content": "[Service]\nLimitNOFILE=2048\n"}],
        service_health_timeout_s=DEFAULT_TIMEOUT_S,
    )
    assert done.status != 0
    found = re.search(r"The former configuration serves again, ([0-9.]+) s after the change began", done.message)
    assert found, done.output
    assert (host(f"cat {FILE} {DROP_IN}"), colours(host)) == (text, former)
    assert host.properties("app@02.service", "LimitNOFILE") == limit
    assert not host("find /var/lib/sre-runbooks/rollback_points -maxdepth 1 -name '.*.json'").strip()
    tell(
        f"config_update on systemd: the old configuration serves {found[1]} s after the change began (health timeout {DEFAULT_TIMEOUT_S} s)"
    )
    assert float(found[1]) < DEFAULT_TIMEOUT_S


def test_a_file_that_only_the_program_reads_is_read_by_every_unit_or_taken_back(hosts: Hosts, host: Host) -> None:
    before, former, kept = host.running(), colours(host), points(host)
    loud = {colour.upper() for colour in former}
    change: dict[str, t.Any] = {
        "configuration_files": [{"path": PROGRAM_PATH, "content": PROGRAM.replace('("COLOUR", "")', '("COLOUR", "").upper()')}]
    }
    done = hosts.run("config_update", **change)
    assert (done.status, colours(host)) == (0, loud), done.output
    now = host.running()
    assert not set(before.values()) & set(now.values())
    again = hosts.run("config_update", **change)
    assert (again.status, host.running()) == (0, now), again.output
    # The first unit shows that it is broken; the others have never read it.
    broken: dict[str, t.Any] = {
        "configuration_files": [{"path": PROGRAM_PATH, "content": "import sys\nsys.exit('there is no such language')\n"}]
    }
    failed = hosts.run("config_update", **broken)
    assert "The former configuration serves again" in failed.message, failed.output
    assert colours(host) == loud
    assert [unit for unit, process in host.running().items() if process != now[unit]] == ["app@01.service"]
    first = min(points(host) - kept)
    restored = hosts.run("rollback_point_restore", confirm="app", configuration_point=first)
    assert (restored.status, colours(host)) == (0, former), restored.output
    assert not set(host.running().values()) & set(now.values())


def points(host: Host) -> set[str]:
    """Names of the rollback points; the smallest is the oldest."""
    return set(host("ls /var/lib/sre-runbooks/rollback_points 2>/dev/null || true").split())


def test_a_unit_that_systemd_does_not_understand_is_never_applied(hosts: Hosts, host: Host) -> None:
    text, running = host(f"cat {DROP_IN}"), host.running()
    refused = hosts.run("config_update", configuration_files=[{"path": DROP_IN, "content": "[Service]\nType=nonsense\nExecStart=\n"}])
    assert refused.status != 0 and "the service was not touched" in refused.message, refused.output
    assert (host(f"cat {DROP_IN}"), host.running()) == (text, running)


def test_a_point_keeps_units_drop_ins_and_environment_files_and_brings_them_back(hosts: Hosts, host: Host) -> None:
    host.write("/etc/app.d/more.env", "MORE=1\n")
    host.write(f"{DROP_IN}.more.conf", "[Service]\nEnvironmentFile=/etc/app.d/*.env\n")
    host("systemctl daemon-reload")
    text, former = host(f"cat {FILE} {DROP_IN} /etc/systemd/system/app@.service /etc/app.d/more.env"), colours(host)
    taken = hosts.run("rollback_point_create")
    assert taken.status == 0, taken.output
    host(f"rm {DROP_IN} /etc/app.d/more.env; echo COLOUR=grey > {FILE}; touch /etc/systemd/system/app@.service.d/99-more.conf")
    restored = hosts.run("rollback_point_restore", confirm="app")
    assert restored.status == 0, restored.output
    assert host(f"cat {FILE} {DROP_IN} /etc/systemd/system/app@.service /etc/app.d/more.env") == text
    assert host("ls /etc/systemd/system/app@.service.d").split() == ["50-limits.conf", "50-limits.conf.more.conf"]
    assert colours(host) == former


def notes(host: Host) -> str:
    """Notes of changes that have not ended."""
    return host("find /var/lib/sre-runbooks/rollback_points -maxdepth 1 -name '.*.json' 2>/dev/null || true").strip()


def test_a_unit_named_without_its_type_is_changed_and_one_that_does_not_run_need_not_run_behind_it(hosts: Hosts, host: Host) -> None:
    single: dict[str, t.Any] = {
        "service_name": "single",
        "service_systemd_unit": "single",
        "service_replicas": {"normal": 1, "up": 1},
        "service_ready_checks": [],
    }
    host("systemctl start single.service")
    done = hosts.run("config_update", configuration_values={"COLOUR": "violet"}, **single)
    assert (done.status, [line.split()[0] for line in host.answers(8099)]) == (0, ["violet"]), done.output
    host("systemctl stop single.service; mkdir -p /etc/systemd/system/single.service.d")
    text = host(f"cat {FILE}")
    stopped = hosts.run("config_update", configuration_values={"COLOUR": "white"}, configuration_files=[BROKEN], **single)
    assert "(the service did not run before)" in stopped.message, stopped.output
    assert (host(f"cat {FILE}"), notes(host)) == (text, "")
    assert host("systemctl is-active single.service || true").strip() == "inactive"


def test_when_one_host_fails_all_go_back(hosts: Hosts, host: Host) -> None:
    other = hosts.hosts[1]
    texts, running = [one(f"cat {FILE}") for one in hosts.hosts], [one.running() for one in hosts.hosts]
    host("touch /etc/only-here")
    wanted: dict[str, t.Any] = {"service_hosts": "app", "configuration_values": {"COLOUR": "orange"}}
    refused = hosts.run("config_update", configuration_validate=[["test", "-e", "/etc/only-here"]], **wanted)
    # The first host has the cause of the second.
    told = re.findall(r"could not be changed: test -e /etc/only-here ended with status 1", refused.output)
    assert (refused.status != 0, len(told) >= 2) == (True, True), refused.output
    assert ([one(f"cat {FILE}") for one in hosts.hosts], [notes(one) for one in hosts.hosts]) == (texts, ["", ""]), refused.output
    other.bash("mkdir /etc/odd && touch $'/etc/odd/\\xff.conf'")
    unkept = hosts.run("config_update", configuration_point_paths=["/etc/odd"], **wanted)
    assert "could not be kept: A name is no text in UTF-8" in unkept.output and "Nothing was changed" in unkept.output, unkept.output
    assert ([one(f"cat {FILE}") for one in hosts.hosts], [notes(one) for one in hosts.hosts]) == (texts, ["", ""]), unkept.output
    assert [one.running() for one in hosts.hosts] == running


NASTY = [
    "",
    " ",
    "a b",
    "it's",
    'say "x"',
    "back\\slash",
    "$HOME ${A} `id`",
    "tab\there",
    "two\nlines",
    "# no comment",
    "a # b",
    "\\",
    "x\\\ny",
    "end\\",
    "=;:%i %%",
    "ä ü",
]


def test_systemd_gives_a_program_exactly_the_values_that_were_written(host: Host) -> None:
    made: list[str] = []
    strategy = st.lists(st.sampled_from([*list("'\"\\$`#= \t%n;\n"), "\\n", "a"]), max_size=8).map("".join)

    @given(strategy)
    @settings(max_examples=150, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def collect(value: str) -> None:
        made.append(value)

    collect()
    wanted = {f"V{number}": value for number, value in enumerate([*NASTY, *made])}
    host.write("/etc/values.env", plan("", "systemd", wanted, ()).text)
    program = "import json,os;print(json.dumps({n: v for n, v in os.environ.items() if n[0] == 'V' and n[1:].isdigit()}))"
    host.write("/srv/values.py", program)
    start = "ExecStart=/usr/bin/python3 /srv/values.py\nStandardOutput=truncate:/run/values.json\n"
    unit = f"[Service]\nType=oneshot\nEnvironmentFile=/etc/values.env\n{start}"
    host.write("/etc/systemd/system/values.service", unit)
    host("systemctl daemon-reload && systemctl start values.service")
    assert json.loads(host("cat /run/values.json")) == wanted
