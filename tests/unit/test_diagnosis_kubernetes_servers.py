# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the servers that a workload names are Services of its cluster, and what its template and ConfigMaps say of them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.diagnosis.kubernetes_servers import environments_of, maps_of, service_of


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("db", ("prod", "db", True)),
        ("DB.other", ("other", "db", False)),
        ("db.other.svc", ("other", "db", True)),
        ("db.other.svc.cluster.local", ("other", "db", True)),
        ("api.example.com", None),
        ("localhost", None),
        ("10.0.0.7", None),
        ("db_1", None),
        ("fd00::1", None),
        ("", None),
    ],
)
def test_hosts_are_services_as_the_names_of_the_cluster_say(host: str, wanted: tuple[str, str, bool] | None) -> None:
    assert service_of(host, "prod") == wanted


def test_variables_come_from_the_template_and_its_config_maps_and_secrets_stay_unread() -> None:
    container: dict[str, t.Any] = {
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "APP_"}, {"secretRef": {"name": "secret"}}],
        "env": [
            {"name": "HOST", "value": "db"},
            {"name": "URL", "value": "redis://$(HOST):$(PORT)"},
            {"name": "PORT", "valueFrom": {"configMapKeyRef": {"name": "ports", "key": "db"}}},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "password"}}},
            {"name": "LATER", "value": "$(HOST):$(PORT)"},
        ],
    }
    workload = {"spec": {"template": {"spec": {"containers": [container, {"env": [{"name": "OTHER", "value": "$(HOST)"}]}]}}}}
    assert maps_of(workload) == ["settings", "ports"]
    first, second = environments_of(workload, {"settings": {"LEVEL": "info"}, "ports": {"db": "5432"}})
    assert first == {"APP_LEVEL": "info", "HOST": "db", "URL": "redis://db:$(PORT)", "PORT": "5432", "LATER": "db:5432"}
    assert second == {"OTHER": "$(HOST)"}
    assert environments_of({}, {}) == []


@pytest.mark.parametrize("own", [{"valueFrom": {"secretKeyRef": {"name": "secret", "key": "url"}}}, {"value": ""}, {}])
def test_a_variable_of_the_template_takes_the_place_of_the_config_map_s_even_where_its_value_is_not_known(own: dict[str, t.Any]) -> None:
    container = {"envFrom": [{"configMapRef": {"name": "settings"}}], "env": [{"name": "DATABASE_URL", **own}]}
    workload = {"spec": {"template": {"spec": {"containers": [container]}}}}
    (known,) = environments_of(workload, {"settings": {"DATABASE_URL": "postgres://olddb", "LEVEL": "info"}})
    assert known == {"LEVEL": "info"}
