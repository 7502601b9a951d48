# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controlling processes: one is called dead only where that is certain."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.controller import Controller, Machine
from ansible_collections.sre.runbooks.tests.unit.controllers import HOST, controller, dead_process


def test_a_living_process_is_alive_and_a_finished_one_is_not() -> None:
    assert Controller.of(os.getpid()).alive() is True
    assert dead_process().alive() is False


def test_another_process_that_has_got_the_same_id_is_not_taken_for_the_holder() -> None:
    own = Controller.of(os.getpid())
    assert replace(own, started=own.started - 1).alive() is False


@pytest.mark.parametrize(
    ("there", "here", "known"),
    [
        (HOST, replace(HOST, boot_id="boot-b"), False),
        (HOST, replace(HOST, boot_id="boot-b", host="control2"), None),
        (HOST, replace(HOST, boot_id="boot-b", machine_id="4567"), None),
        (replace(HOST, machine_id=""), replace(HOST, machine_id="", boot_id="boot-b"), None),
        (replace(HOST, pid_namespace="pid:[4026532211]"), replace(HOST, boot_id="boot-b"), None),
        (replace(HOST, pid_namespace="pid:[4026532211]"), HOST, None),
        (replace(HOST, boot_id=""), HOST, None),
    ],
    ids=[
        "the machine was started again",
        "another machine from the same image",
        "another machine of the same name",
        "machines without an id",
        "a container with the machine id of its image",
        "a container on this machine, whose process ids are its own",
        "nothing known about the boot",
    ],
)
def test_a_process_is_called_dead_only_where_that_is_certain(there: Machine, here: Machine, known: bool | None) -> None:
    assert controller(there).alive(here) is known


def test_what_is_known_of_a_process_survives_being_written_and_nonsense_is_no_process() -> None:
    own = Controller.of(os.getpid())
    assert Controller.from_dict(json.loads(json.dumps(own.as_dict()))) == own
    for nonsense in (None, {}, {"pid": 1}, {"machine": {}, "pid": "x", "started": 1, "user": ""}):
        assert Controller.from_dict(nonsense) is None
