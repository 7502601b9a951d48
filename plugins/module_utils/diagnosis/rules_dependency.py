# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the service needs of others: services before it, and servers that its variables name."""

from __future__ import annotations

import typing as t

from .model import CAUSE, LIKELY, NOTE, Address, Clue, Observation, Rule
from .phrases import said


def dependency_down(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.dependencies:
        if one.state:
            yield Clue(
                f"{one.name}, which must run before, {one.state}",
                f"diagnose and start {one.name} first",
                severity=NOTE if seen.is_well else "",
            )


def _address(
    problem: str, what: t.Callable[[Address], str], next_step: t.Callable[[Address], str]
) -> t.Callable[[Observation], t.Iterator[Clue]]:
    def look(seen: Observation) -> t.Iterator[Clue]:
        for one in seen.addresses:
            if one.problem == problem:
                evidence = (f"named by the variable {one.variable}, asked from {one.asked_from}",)
                # A server that a healthy service can do without is only worth a note.
                yield Clue(what(one), next_step(one), evidence, NOTE if seen.is_well else "")

    return look


RULES = (
    Rule("dependency_down", CAUSE, "A service or unit that must run before does not, or is not healthy", dependency_down),
    said(
        "dependency_failed",
        CAUSE,
        "Compose or systemd says that something before it failed to start",
        r"dependency failed to start: (.{1,120}?(?= is |$|;)[^;]{0,80})|Dependency failed for ([^.;]{1,100})"
        r"|Job \S+ failed with result 'dependency'()",
        "something that must run before failed to start: {0}{1}",
        "diagnose that first",
        unless=lambda seen: any(one.state for one in seen.dependencies),
    ),
    Rule(
        "server_stopped",
        CAUSE,
        "A server that a variable names is a container that does not run",
        _address(
            "stopped", lambda one: f"the server {one.host}:{one.port} is a container that does not run", lambda one: f"start {one.host}"
        ),
    ),
    Rule(
        "server_other_network",
        CAUSE,
        "A server that a variable names is a container in another network",
        _address(
            "network",
            lambda one: f"the server {one.host}:{one.port} is a container that shares no network with the service",
            lambda one: f"put the service and {one.host} into one network (networks of the compose files)",
        ),
    ),
    Rule(
        "server_without_endpoints",
        CAUSE,
        "A server that a variable names is a Service of Kubernetes without a ready endpoint",
        _address(
            "endpoints",
            lambda one: f"the server {one.host}:{one.port} is a Service without a ready endpoint",
            lambda one: f"see to the pods behind it: kubectl get endpointslices,pods, for {one.host}",
        ),
    ),
    Rule(
        "server_no_service",
        LIKELY,
        "A server that a variable names would be a Service of Kubernetes that is not there",
        _address(
            "service",
            lambda one: f"there is no Service {one.host}",
            lambda one: f"make the Service, or correct the host in {one.variable}",
        ),
    ),
    Rule(
        "server_other_port",
        LIKELY,
        "A server that a variable names is a Service of Kubernetes without such a port",
        _address(
            "service_port",
            lambda one: f"the Service {one.host} has no port {one.port}",
            lambda one: f"correct the port in {one.variable}, or the ports of the Service",
        ),
    ),
    Rule(
        "server_refuses",
        LIKELY,
        "Nothing listens at an address that a variable names",
        _address(
            "refused",
            lambda one: f"nothing listens at {one.host}:{one.port}",
            lambda one: f"check that the server runs and the port of {one.variable} is right",
        ),
    ),
    Rule(
        "server_silent",
        LIKELY,
        "An address that a variable names does not answer",
        _address(
            "timeout",
            lambda one: f"{one.host}:{one.port} does not answer",
            lambda one: f"check the firewall and the route to {one.host}",
        ),
    ),
    Rule(
        "server_unknown",
        LIKELY,
        "The name of a server that a variable names is not known",
        _address(
            "name",
            lambda one: f"the name {one.host} is not known",
            lambda one: f"check the host in {one.variable}, and name resolution",
        ),
    ),
    Rule(
        "server_out_of_reach",
        LIKELY,
        "There is no way to an address that a variable names",
        _address(
            "other",
            lambda one: f"there is no way to {one.host}:{one.port}",
            lambda one: f"check the route and the firewall to {one.host}",
        ),
    ),
)
WEAK_RULES = (
    Rule(
        "server_is_itself",
        LIKELY,
        "A variable names localhost, which in a container is the container itself",
        _address(
            "itself",
            lambda one: f"{one.variable} names {one.host}:{one.port}, and in a container that is the container itself",
            lambda one: f"name the service or the host of the server in {one.variable} instead",
        ),
    ),
)
"""What a word of the log tells better: an address of localhost may be one that only others are told."""
