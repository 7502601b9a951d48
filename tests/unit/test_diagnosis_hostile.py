# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever engines, API servers and programs answer, the diagnosis makes no traceback of it and shows no secret."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks.redaction import Redactor
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis import (
    addresses,
    compose_containers,
    compose_images,
    compose_network,
    compose_project,
    compose_services,
    from_kubernetes,
    host_ports,
    operation,
    unit_facts,
)
from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.model import COMPOSE, Message, Observation
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.environment import shown_environment
from ansible_collections.sre.runbooks.plugins.module_utils.service.systemd.state import unit_from
from ansible_collections.sre.runbooks.tests.unit.diagnosis_cases import CASES

SECRET = "Xk7#pQ-9vRw2"
DEFAULTS = {name: option.get("default") for name, option in operation.OPTIONS.items()}
KEYS = [
    "kind",
    "metadata",
    "name",
    "spec",
    "status",
    "conditions",
    "type",
    "reason",
    "message",
    "phase",
    "containerStatuses",
    "initContainerStatuses",
    "state",
    "lastState",
    "waiting",
    "terminated",
    "running",
    "exitCode",
    "restartCount",
    "ready",
    "replicas",
    "involvedObject",
    "deletionTimestamp",
    "State",
    "Status",
    "Health",
    "Log",
    "Output",
    "ExitCode",
    "Error",
    "HostConfig",
    "Memory",
    "RestartCount",
    "Config",
    "Env",
    "Mounts",
    "NetworkSettings",
    "Networks",
    "Aliases",
    "IPAddress",
    "Name",
    "Id",
    "services",
    "networks",
    "volumes",
    "ports",
    "published",
    "depends_on",
    "environment",
    "image",
    "build",
    "deploy",
    "external",
    "source",
    "target",
    "user",
    "container_name",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["Pod", "Deployment", "Event", "Node", "running", "CrashLoopBackOff", "True", "False", "bind", "volume", "", "8000-7"]),
)
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)),
    max_leaves=30,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), DOCUMENTS, max_size=8)


def diagnose(**parameters: t.Any) -> dict[str, t.Any]:
    return operation.operate({**DEFAULTS, **parameters}, False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(OBJECTS, DOCUMENTS), max_size=5), st.dictionaries(st.text(), st.text(), max_size=2))
def test_any_objects_of_kubernetes_are_diagnosed(objects: list[t.Any], logs: dict[str, str]) -> None:
    seen = from_kubernetes.observe("api", objects, logs)
    result = operation.told(seen)
    json.dumps(result)
    assert result["conclusion"].endswith(".")
    assert not [one for one in result["not_looked_at"] if one.startswith("rule ")]


@settings(max_examples=60, deadline=None)
@given(OBJECTS, st.text(max_size=200))
def test_any_description_of_a_container_or_project_is_read(document: dict[str, t.Any], text: str) -> None:
    found = compose_containers.replica(document, [text])
    compose_containers.addresses_of(document)
    compose_containers.names_of(document, "shop", {"shop_default"})
    compose_containers.ports_of(document)
    compose_containers.network_mode(document)
    environment = {**compose_containers.environment_of(document), **compose_project.environment_of(document)}
    addresses.named_in(environment)
    project = compose_project.read(json.dumps({"services": {"api": document}, "networks": document, "volumes": document}), "api")
    compose_project.published(document)
    compose_network.mounts(project)
    compose_network.paths(project, [document], {str(document.get("Id"))}, document)
    compose_network.named(project, [document], {str(document.get("Id"))})
    container = compose_containers.Container(str(document.get("Id")), "api-1", "running", (), "shop", "api", "/srv")
    ending = compose_services.one_shots(project)
    compose_services.replicas([container], [document], {}, ending)
    compose_services.wanted(compose_services.without_unused_profiles(project, set()), ending)
    compose_services.dependencies(project, [document], [container])
    compose_services.names_taken(project, [container])
    compose_project.ports_of(document)
    compose_images.images({"a": document, "b": text}, document)
    result = operation.told(Observation(COMPOSE, "api", replicas=[found], messages=[Message("compose", text)]))
    json.dumps(result)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_passed_over(text: str) -> None:
    compose_containers.listed(text)
    compose_containers.percentages(text)
    compose_containers.log_lines(text, 5)
    compose_project.missing_in(text)
    compose_project.unset_variables(text)
    compose_project.words(text)
    host_ports.container_of(text)
    unit_facts.journal(text)
    for unit in map(unit_from, f"Id=a.service\n{text}".split("\n\n")):
        unit_facts.replica(unit)
        unit_facts.stream_ports(unit)
    shown_environment(text)
    addresses.named_in({"A_URL": text, "B": text, "C_HOST": text, "C_PORT": text})
    for runtime_said in (text, f"http://{text}"):
        addresses.named_in({"A_URL": runtime_said})


@pytest.mark.parametrize(
    "form", ["{0}", "postgresql://app:{0}@db:5432/x", "password={0}", '{{"token": "{0}"}}', "Authorization: Bearer {0}"]
)
@pytest.mark.parametrize("length", [0, 250, 392, 1990])
def test_a_secret_is_masked_wherever_it_is_said_and_however_it_is_cut(form: str, length: int) -> None:
    text = "x" * length + " " + form.format(SECRET)
    seen = Observation(COMPOSE, "api", 1, secrets={SECRET})
    for observation, _words in CASES.values():
        for one in observation.replicas:
            said: dict[str, t.Any] = {
                "log": (text, *one.log, text),
                "error": f"{one.error} {text}",
                "health_says": (*one.health_says, text),
            }
            seen.replicas.append(replace(one, **said))
        seen.messages += [one._replace(text=f"{one.text} {text}") for one in observation.messages]
        seen.conditions += [one._replace(message=f"{one.message} {text}") for one in observation.conditions]
        seen.images += [one._replace(registry=f"{one.registry} {text}") if one.registry else one for one in observation.images]
    seen.not_looked_at.append(text)
    result = operation.told(seen)
    shown = json.dumps(result)
    assert len(result["findings"]) > 50
    assert SECRET not in shown
    assert SECRET[:8] not in shown


def test_secrets_of_the_environment_are_known_and_never_an_address() -> None:
    environment = {
        "DATABASE_URL": f"postgresql+asyncpg://app:{SECRET}@db.example:6543/shop",
        "REDIS_URL": "redis://cache/0",
        "API_KEY": SECRET,
        "DB_HOST": "db",
        "DB_PORT": "5432",
        "BROKER": "rabbit:5672",
        "TIME": "12:30",
        "LISTEN": "0.0.0.0:80",
    }
    assert addresses.named_in(environment) == [
        ("BROKER", "rabbit", 5672),
        ("DATABASE_URL", "db.example", 6543),
        ("DB_HOST", "db", 5432),
        ("REDIS_URL", "cache", 6379),
    ]
    known = addresses.secrets_in(environment)
    assert SECRET in known
    assert SECRET not in Redactor(known).text(f"it said {SECRET}")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"runtime": "compose", "service": "api"}, "project_folder"),
        ({"runtime": "systemd"}, "unit"),
        ({"runtime": "kubernetes"}, "service"),
        ({"runtime": "systemd", "unit": "-x"}, "unit is no name"),
        ({"runtime": "systemd", "unit": "a b"}, "unit is no name"),
        ({"runtime": "systemd", "unit": "a", "timeout_s": 0.0}, "timeout_s"),
    ],
)
def test_what_makes_no_sense_is_one_clear_message(parameters: dict[str, t.Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        diagnose(**parameters)


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://postgres@postgres/shop", set()),
        ("postgresql://app:swordfish@db:5432/shop", {"swordfish", "app:swordfish"}),
        ("postgresql://app:sw/ord@fish@db/shop", {"sw/ord@fish", "app:sw/ord@fish"}),
        ("redis://:sw%40rdfish@cache", {"sw%40rdfish", ":sw%40rdfish", "sw@rdfish"}),
        ("https://h/?token=swordfish", {"swordfish"}),
        ("redis://:swordfish@a;redis://:haddock@b", {"swordfish", ":swordfish", "haddock", ":haddock"}),
        ("no url", set()),
    ],
)
def test_of_a_url_the_whole_password_is_secret_and_a_user_alone_is_none(url: str, secrets: set[str]) -> None:
    assert addresses.secrets_in({"A_URL": url}) == secrets
