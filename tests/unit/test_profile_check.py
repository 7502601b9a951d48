# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What profile_check finds: a profile that is right is made wrong in one way, and that one thing is told, with its file and line."""

# ruff: noqa: E501  (the table of cases has one row a case)

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.profile.operation import check, operate
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.timetable import longest_gap_s
from ansible_collections.sre.runbooks.tests.unit.profiles import GOOD, PROCEDURES, ROLES, found, good, lines, write

Change = t.Callable[[dict[str, t.Any]], t.Any]


def test_nothing_is_found_in_a_good_profile(tmp_path: Path) -> None:
    assert lines(tmp_path, good()) == []


CASES: list[tuple[str, Change, str]] = [
    ("an unknown key", lambda v: v["health_checks"][0].update(ulr="x"), r"ERROR .*health_checks\[0\] has the unknown key 'ulr' \(did you mean 'url'\?\)"),
    ("an unknown variable", lambda v: v.update(health_timout_s=5), r"ERROR .*No role reads the variable 'health_timout_s' \(did you mean 'health_timeout_s'\?\)"),
    ("a variable that nobody reads", lambda v: v.update(shop_colour="red"), r"WARNING .*'shop_colour' is read by nobody"),
    ("a wrong type", lambda v: v["backup_stores"][0].update(rpo_s="an hour"), r"ERROR .*backup_stores\[0\]\.rpo_s is a text, and must be a number"),
    ("a text for a role's number", lambda v: v.update(health_timeout_s="soon"), r"ERROR .*health_timeout_s is a text, and must be a number"),
    ("a missing key", lambda v: v["health_checks"][0].pop("url"), r"ERROR .*health_checks\[0\] has no url"),
    ("a missing variable", lambda v: v.pop("service_url"), r"ERROR .*The variable 'service_url' is missing"),
    ("a word that is none of the choices", lambda v: v.update(service_environment="prod"), r"service_environment is 'prod', and must be one of production, staging"),
    ("an unknown type of check", lambda v: v["health_checks"][0].update(type="htp"), r"health_checks\[0\]\.type is 'htp', and must be one of .*'http'"),
    ("a name twice", lambda v: v["health_checks"][1].update(name="api"), r"ERROR .*health_checks has the name 'api' twice"),
    ("a dependency that is not there", lambda v: v["health_checks"][0].update(depends_on=["databse"]), r"'api' depends on 'databse', which is no check \(did you mean 'database'\?\)"),
    ("dependencies in a circle", lambda v: v["health_checks"][1].update(depends_on=["api"]), r"'api' waits for itself"),
    ("a warning above critical", lambda v: v["health_metrics"][0].update(warn_above=0.2), r"ERROR .*'error_rate' would be critical before it warns: warn_above 0.2 is above fail_above 0.05"),
    ("a warning below critical, downwards", lambda v: v["health_metrics"][0].update(warn_below=0.1, fail_below=0.2, warn_above=None, fail_above=None), r"warn_below 0.1 is below fail_below 0.2"),
    ("one number for both", lambda v: v["health_metrics"][0].update(warn_above=0.05), r"WARNING .*warns and is critical at the same number 0.05"),
    ("numbers that are all bad", lambda v: v["health_metrics"][0].update(warn_below=0.9), r"ERROR .*calls every number bad: below 0.9 and above 0.01"),
    ("thresholds without a number", lambda v: v["health_checks"][0].update(fail_above=3), r"ERROR .*(has thresholds, and its type http gives no number|unknown key 'fail_above')"),
    ("a ratio over one", lambda v: v["health_metrics"][0].update(fail_above=5), r"ERROR .*'error_rate' is a ratio, and fail_above is 5"),
    ("no unit", lambda v: v["health_metrics"][0].pop("unit"), r"WARNING .*The metric 'error_rate' has no unit"),
    ("units that do not match", lambda v: v["service_objectives"][0].update(unit="ms"), r"ERROR .*gives the metric 'error_rate' in ms, and it is measured in ratio: they measure different things"),
    ("an objective of a metric that is not there", lambda v: v["service_objectives"][0].update(metric="errors"), r"service_objectives names the metric 'errors', which health_metrics does not have"),
    ("a dashboard of a metric that is not there", lambda v: v["monitoring_dashboards"][0]["panels"][0].update(metric="x"), r"monitoring_dashboards names the metric 'x'"),
    ("a rule for a check that is not there", lambda v: v["incident_severity_rules"][0].update(any_check_of=["api", "db"]), r"incident_severity_rules names the check 'db'"),
    ("a rule for a severity that is not there", lambda v: v["incident_severity_rules"][0].update(severity="P0"), r"names the severity 'P0'"),
    ("a rule with two conditions", lambda v: v["incident_severity_rules"][1].update(event="x"), r"ERROR .*'half fail' names metric and event: a rule has one"),
    ("a rule without a condition", lambda v: v["incident_severity_rules"][0].pop("any_check_of"), r"ERROR .*'down' has no condition"),
    ("rules that cross", lambda v: v["incident_severity_rules"][1].update(above=0.02), r"ERROR .*'half fail' \(above 0.02\) and 'some fail' \(above 0.05\) of the metric 'error_rate' cross"),
    ("rules that overlap", lambda v: v["incident_severity_rules"][1].update(above=0.05), r"ERROR .*of the metric 'error_rate' overlap"),
    ("a check that two severities grade", lambda v: v["incident_severity_rules"].append({"severity": "P2", "when": "late", "check": "api", "verdict": ["fail"]}), r"ERROR .*'late' grades the check 'api' \(fail\), which a graver rule grades, too"),
    ("a rule in the wrong direction", lambda v: v["incident_severity_rules"][1].update(below=0.5, above=None), r"ERROR .*by `below`, and its thresholds are above limits"),
    ("a rule that can never be true", lambda v: v["health_metrics"][0].pop("fail_above"), r"ERROR .*waits for the verdict fail of the metric 'error_rate', which has no fail threshold: it can never be true"),
    ("a critical metric without a rule", lambda v: v["incident_severity_rules"].__delitem__(slice(1, 3)), r"WARNING .*'error_rate' can be critical, and no severity rule names it"),
    ("a severity to which nothing leads", lambda v: v["incident_severities"].append({"name": "P3", "respond_within_s": 7200}), r"WARNING .*No rule leads to the severity P3"),
    ("a grave severity that is answered later", lambda v: v["incident_severities"][0].update(respond_within_s=7200), r"ERROR .*P2 is answered within 1 h, sooner than the graver P1 \(2 h\)"),
    ("a severity without a deadline", lambda v: v["incident_severities"][1].update(respond_within_s=None), r"WARNING .*P2 has no deadline"),
    ("escalation levels with a gap", lambda v: v["incident_escalation_levels"][1].update(after_s=1800), r"ERROR .*From 15 min to 30 min no escalation level is in charge"),
    ("escalation levels that overlap", lambda v: v["incident_escalation_levels"][1].update(after_s=600), r"ERROR .*L1 and L2 are both in charge from 10 min to 15 min"),
    ("escalation that begins late", lambda v: v["incident_escalation_levels"][0].update(after_s=60), r"ERROR .*first escalation level begins only after 1 min"),
    ("escalation that ends", lambda v: v["incident_escalation_levels"][1].update(until_s=7200), r"ERROR .*After 2 h no escalation level is in charge"),
    ("a contact that is not there", lambda v: v["incident_escalation_levels"][0].update(contact="on-call"), r"names the contact 'on-call'.*did you mean 'on call'"),
    ("a level that is not there", lambda v: v["notify_channels"].pop("warning"), r"names the level 'warning', which notify_channels does not have"),
    ("an RPO that no schedule meets", lambda v: v["schedule_entries"][0].update(at="daily 02:00"), r"ERROR .*shop may lose 2 h \(RPO\), and with its backups as planned \(daily 02:00\) up to 24 h can be lost"),
    ("an RPO that is just met", lambda v: v["schedule_entries"][0].update(at="every 2 h"), r"WARNING .*with its backups as planned \(every 2 h\) just that can be lost"),
    ("a store that nothing backs up", lambda v: v["schedule_entries"].pop(0), r"ERROR .*shop may lose 2 h \(RPO\), and nothing of the schedule backs it up"),
    ("a backup that is switched off", lambda v: v["schedule_entries"][0].update(enabled=False), r"ERROR .*shop may lose 2 h \(RPO\), and nothing of the schedule backs it up"),
    ("a schedule for a store that is not there", lambda v: v["schedule_entries"][0].update(variables={"backup_store": "shop, shpo"}), r"ERROR .*schedule_entries names the store 'shpo', which backup_stores does not have \(did you mean 'shop'\?\)"),
    ("a schedule for an archive that is not there", lambda v: v["schedule_entries"][0].update(procedure="pitr_backup"), r"ERROR .*The schedule runs pitr_backup, and no store of backup_stores has `pitr`"),
    ("an archived log without a backup to build on", lambda v: v["backup_stores"][0].update(pitr={}), r"WARNING .*Nothing of the schedule takes a backup on which the archived log of shop builds"),
    ("a Redis server in a pod", lambda v: v["backup_stores"].append({"name": "cache", "kind": "redis", "pod": "cache-0"}), r"WARNING .*cache can be backed up and not restored: The files of a server in a pod"),
    ("two promises for the same data", lambda v: v["backup_stores"][0].update(rto_s=7200), r"ERROR .*'database' may be gone for 1 h \(RTO\), and its store for longer"),
    ("data that no store holds", lambda v: v["backup_stores"][0].pop("component"), r"WARNING .*'database' may lose 2 h \(RPO\), and no store"),
    ("an RTO over the service level", lambda v: v["service_components"][1].update(availability=0.9999), r"WARNING .*'database' may be gone for 1 h \(RTO\), and 99.9900% availability leaves 4.32 min"),
    ("an RTO before anybody answers", lambda v: v["incident_severities"][0].update(respond_within_s=3600, escalate_after_s=None), r"WARNING .*'api' must be back within 1 h \(RTO\), and nobody has to answer sooner than 1 h"),
    ("alerts that come after the deadline", lambda v: v["schedule_entries"][2].update(at="every 15 min"), r"WARNING .*answered within 15 min, and alerts are evaluated every 15 min"),
    ("one backup alone", lambda v: v.update(backup_keep_last=1, backup_keep_days=0), r"ERROR .*Only one set of shop is ever kept"),
    ("backups that are gone before a rehearsal", lambda v: v.update(backup_keep_days=2), r"WARNING .*shop is kept for 2 days, and one is proved every 7 days"),
    ("an objective that is missed unnoticed", lambda v: v["service_objectives"][0].update(objective=0.005), r"WARNING .*'errors' is 0.005, and the metric warns only above 0.01"),
    ("a rollback on what is only a warning", lambda v: v.update(deploy_rollback_when=[{"metric": "error_rate", "above": 0.01}]), r"WARNING .*taken back when 'error_rate' is above 0.01, which is only a warning otherwise"),
    ("a schedule for no procedure", lambda v: v["schedule_entries"][0].update(procedure="backups"), r"ERROR .*The schedule runs 'backups', which is no procedure \(did you mean 'backup'\?\)"),
    ("a schedule that destroys", lambda v: v["schedule_entries"].append({"procedure": "restore", "at": "daily 01:00"}), r"ERROR .*The schedule runs restore, which destroys"),
    ("a time that cannot be understood", lambda v: v["schedule_entries"][1].update(at="Sunday at two"), r"ERROR .*has the time 'Sunday at two', which cannot be understood"),
    ("an unknown time zone", lambda v: v["schedule_entries"][1].update(time_zone="Mars/Base"), r"ERROR .*unknown time zone 'Mars/Base'"),
    ("a password in clear", lambda v: v["health_checks"][1].update(password="hunter2hunter2"), r"ERROR .*health_checks\[1\]\.password holds a secret in clear"),
    ("a password in an address", lambda v: v.update(monitoring_grafana_url="http://admin:hunter2hunter2@127.0.0.1:3000"), r"ERROR .*monitoring_grafana_url holds an account with its password in an address"),
    ("a token by its look", lambda v: v.update(service_title="ghp_" + "a1B2" * 10), r"ERROR .*service_title holds a token of GitHub in clear"),
    ("no alertmanager", lambda v: v.pop("monitoring_alertmanager_url"), r"WARNING .*No monitoring_alertmanager_url: morning_check will not list alerts"),
    ("no stores", lambda v: [v.pop(name) for name in ("backup_stores", "backup_offsite")], r"WARNING .*No backup_stores: backup, restore and restore_drill have nothing to work on"),
    ("what the engine would refuse", lambda v: v["health_metrics"][0].update(value="error_rate["), r"ERROR .*health_metrics: metric 'error_rate': value: 'error_rate\[' is no JMESPath expression"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), [pytest.param(change, said, id=name) for name, change, said in CASES])
def test_it_is_found(tmp_path: Path, change: Change, said: str) -> None:
    variables = good()
    change(variables)
    told = lines(tmp_path, variables)
    assert any(re.search(said, line) for line in told), "\n".join(told) or "nothing was found"


KEPT: list[tuple[str, Change]] = [
    ("sets that the calendar alone keeps", lambda v: v.update(backup_keep_last=1, backup_keep_days=0, backup_keep_daily=14)),
    ("a second store, by an entry for all", lambda v: v["backup_stores"].append({"name": "cache", "kind": "redis", "rpo_s": 7200})),
    ("an archived log", lambda v: [v["backup_stores"][0].update(pitr={}, rpo_s=300), v["schedule_entries"].__setitem__(0, {"procedure": "pitr_backup", "at": "daily 02:00"})]),
    ("proofs by backup_verify", lambda v: [v.update(backup_keep_days=2), v["schedule_entries"].append({"procedure": "backup_verify", "at": "daily 05:00", "variables": {"backup_verify_prove": True}})]),
]  # fmt: skip


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in KEPT])
def test_what_keeps_a_promise_counts(tmp_path: Path, change: Change) -> None:
    variables = good()
    change(variables)
    assert not [line for line in lines(tmp_path, variables) if "RPO" in line or "kept" in line or "proved" in line]


def test_findings_have_file_and_line_and_the_next_step(tmp_path: Path) -> None:
    variables = good()
    variables["health_metrics"][0]["warn_above"] = 0.2
    (one,) = [finding for finding in found(tmp_path, variables) if finding.kind == "thresholds"]
    file, line = one.where.split(":")
    written = (tmp_path / file).read_text().splitlines()
    assert file == "inventory/group_vars/all/all.yml"
    assert "warn_above: 0.2" in written[int(line) - 1]
    assert one.next_step == "exchange the two"


def test_a_secret_is_never_repeated_in_what_is_found(tmp_path: Path) -> None:
    variables = good()
    variables["health_checks"][1]["password"] = "hunter2hunter2"
    variables["health_checks"][1]["ssl_mode"] = "hunter2hunter2"
    variables["monitoring_grafana_url"] = "http://admin:hunter3hunter3@127.0.0.1"
    said = " ".join(lines(tmp_path, variables))
    assert "in clear" in said
    assert "must be one of" in said
    assert "hunter2" not in said
    assert "hunter3" not in said


def test_look_ups_are_no_secrets_in_clear_and_belong_into_their_file(tmp_path: Path) -> None:
    folder = write(tmp_path, good())
    look_up = {"service_database_password": "{{ lookup('ansible.builtin.env', 'X') }}"}
    write(tmp_path, look_up, "secrets.yml")
    assert not [one for one in check(str(folder), good(), role_options=ROLES, procedures=PROCEDURES) if "secret" in one.kind]
    write(tmp_path, look_up, "service.yml")
    (folder / "group_vars" / "all" / "secrets.yml").unlink()
    assert [one.kind for one in check(str(folder), good(), role_options=ROLES, procedures=PROCEDURES) if "secret" in one.kind] == [
        "secret_place"
    ]


def test_files_that_ansible_reads_in_another_way_than_they_look_are_told(tmp_path: Path) -> None:
    folder = write(tmp_path, good())
    files = folder / "group_vars" / "all"
    (files / "more.yml").write_text("service_name: other\n")
    (files / "twice.yml").write_text("health_timeout_s: 1\nhealth_timeout_s: 2\nbackup_offsite2: {a: 1, a: 2}\n")
    (files / "broken.yml").write_text("a: [1, 2\n")
    (files / "list.yml").write_text("- a\n")
    (files / "binary.yml").write_bytes(b"\xff\xfe\x00")
    (files / "vaulted.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    (files / "tagged.yml").write_text("service_api_key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n")
    kinds = [(one.kind, one.where.rpartition("/")[2]) for one in check(str(folder), good(), role_options=ROLES, procedures=PROCEDURES)]
    assert ("duplicate_variable", "more.yml:1") in kinds
    assert ("duplicate_variable", "twice.yml:2") in kinds
    assert ("duplicate_key", "twice.yml:3") in kinds
    assert ("unreadable", "broken.yml:2") in kinds
    assert ("unreadable", "list.yml") in kinds
    assert ("unreadable", "binary.yml") in kinds
    assert ("secret_place", "tagged.yml:1") in kinds
    assert not [kind for kind, where in kinds if kind == "secret"]


def test_a_variable_that_cannot_be_evaluated_is_told_and_its_users_are_not_blamed(tmp_path: Path) -> None:
    told = found(tmp_path, good(), health_metrics="'error_url' is undefined")
    assert next((one.kind, one.level) for one in told if one.path[:1] == ("health_metrics",)) == ("unresolved", "error")
    assert "'error_url' is undefined" in told[0].line
    assert [one.line for one in told if one.level == "error"] == [told[0].line]


def test_a_documented_answer_that_passes_its_check_and_misses_the_objective_is_told(tmp_path: Path) -> None:
    variables = good()
    variables["health_checks"].append(
        {"name": "health", "type": "json", "url": "http://127.0.0.1:8000/metrics", "conditions": ["status == 'Healthy'"]}
    )
    variables["service_samples"] = [{"check": "health", "answer": {"status": "Healthy", "error_rate": 0.01}}]
    (one,) = [one for one in found(tmp_path, variables) if one.kind == "sample"]
    assert "its error_rate of 0.01 does not meet the objective 'errors' (below 0.01)" in one.what
    variables["service_samples"][0]["answer"] = {"status": "Sick", "error_rate": 0.5}
    (one,) = [one for one in found(tmp_path, variables) if one.kind == "sample"]
    assert "fails its own check" in one.what


def test_a_folder_that_is_no_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no such profile"):
        check(str(tmp_path / "nowhere"), {})
    with pytest.raises(BadInput, match="The profile has no variables"):
        check(str(tmp_path), {})


def test_without_the_schema_library_that_is_said_and_the_rest_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    variables = good()
    variables["health_metrics"][0]["warn_above"] = 0.2
    kinds = [one.kind for one in found(tmp_path, variables)]
    assert kinds.count("no_schema_library") == 1
    assert "thresholds" in kinds


@pytest.mark.parametrize(("fail_on", "failed"), [([], False), (["error"], False), (["error", "warning"], True)])
def test_the_task_fails_for_the_levels_that_it_is_told(tmp_path: Path, fail_on: list[str], failed: bool) -> None:
    variables = good()
    variables.pop("monitoring_alertmanager_url")
    parameters = {"folder": str(write(tmp_path, variables)), "variables": variables, "unresolved": {}, "role_options": ROLES}
    said = operate({**parameters, "procedures": PROCEDURES, "fail_on": fail_on}, True)
    assert said.get("failed", False) is failed
    assert said["errors"] == 0
    assert said["warnings_found"] == 1
    assert not said["changed"]


@pytest.mark.parametrize(
    ("at", "gap_s"),
    [
        ("every 5 min", 300),
        ("every 30 s", 30),
        ("every hour", 3600),
        ("every 2 days", 172800),
        ("daily 09:00", 86400),
        ("daily 06:00, 18:00", 43200),
        ("daily 06:00,10:00", 20 * 3600),
        ("Sun 02:00", 604800),
        ("Mon-Fri 18:00", 3 * 86400),
        ("Sat-Mon 18:00", 5 * 86400),
        ("Mon, Thu 01:30", 4 * 86400),
        ("first Sun 01:00", 35 * 86400),
        ("last Fri 23:59", 35 * 86400),
        ("every 0 min", None),
        ("daily 25:00", None),
        ("Son 02:00", None),
        ("first Son 02:00", None),
        ("whenever", None),
        ("", None),
        (7, None),
    ],
)
def test_the_time_between_two_runs_is_known(at: t.Any, gap_s: float | None) -> None:
    assert longest_gap_s(at) == gap_s


def test_the_good_profile_of_these_tests_is_text_that_people_could_write() -> None:
    assert "{{" not in GOOD
