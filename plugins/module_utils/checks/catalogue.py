# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The types of checks, by the name that the inventory uses.

A type's module is imported when a check needs it: importing all of them would cost every task more than its checks.
"""

from __future__ import annotations

import typing as t

from .model import Question


def _http() -> t.Type[Question]:
    from .http import Http

    return Http


def _json() -> t.Type[Question]:
    from .http import Json

    return Json


def _postgresql() -> t.Type[Question]:
    from .postgresql import PostgreSQL

    return PostgreSQL


def _redis() -> t.Type[Question]:
    from .redis import Redis

    return Redis


def _tcp() -> t.Type[Question]:
    from .tcp import Tcp

    return Tcp


def _command() -> t.Type[Question]:
    from .program import CommandEnds

    return CommandEnds


def _compose_service() -> t.Type[Question]:
    from .compose import ComposeService

    return ComposeService


def _cpu() -> t.Type[Question]:
    from .usage import Cpu

    return Cpu


def _disk() -> t.Type[Question]:
    from .disk import Disk

    return Disk


def _kubernetes_workload() -> t.Type[Question]:
    from .kubernetes import KubernetesWorkload

    return KubernetesWorkload


def _log() -> t.Type[Question]:
    from .log import Log

    return Log


def _log_freshness() -> t.Type[Question]:
    from .freshness import LogFreshness

    return LogFreshness


def _memory() -> t.Type[Question]:
    from .usage import Memory

    return Memory


def _process() -> t.Type[Question]:
    from .process import ProcessRuns

    return ProcessRuns


def _systemd_unit() -> t.Type[Question]:
    from .systemd import SystemdUnit

    return SystemdUnit


def _alertmanager() -> t.Type[Question]:
    from .alertmanager import Alertmanager

    return Alertmanager


def _dns() -> t.Type[Question]:
    from .dns import Dns

    return Dns


def _grafana() -> t.Type[Question]:
    from .services import Grafana

    return Grafana


def _prometheus() -> t.Type[Question]:
    from .prometheus import Prometheus

    return Prometheus


def _prometheus_server() -> t.Type[Question]:
    from .services import PrometheusServer

    return PrometheusServer


def _promql() -> t.Type[Question]:
    from .promql import PromQL

    return PromQL


def _qdrant() -> t.Type[Question]:
    from .qdrant import Qdrant

    return Qdrant


def _statuspage() -> t.Type[Question]:
    from .services import StatusPage

    return StatusPage


def _tls() -> t.Type[Question]:
    from .tls import TlsEndpoint

    return TlsEndpoint


TYPES: t.Mapping[str, t.Callable[[], t.Type[Question]]] = {
    "alertmanager": _alertmanager,
    "command": _command,
    "compose_service": _compose_service,
    "cpu": _cpu,
    "disk": _disk,
    "dns": _dns,
    "grafana": _grafana,
    "http": _http,
    "json": _json,
    "kubernetes_workload": _kubernetes_workload,
    "log": _log,
    "log_freshness": _log_freshness,
    "memory": _memory,
    "postgresql": _postgresql,
    "process": _process,
    "prometheus": _prometheus,
    "prometheus_server": _prometheus_server,
    "promql": _promql,
    "qdrant": _qdrant,
    "redis": _redis,
    "statuspage": _statuspage,
    "systemd_unit": _systemd_unit,
    "tcp": _tcp,
    "tls": _tls,
}
