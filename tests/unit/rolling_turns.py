# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns of a rolling action with a scripted engine and a scripted proxy, in which nothing is waited for long."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from ansible_collections.sre.runbooks.plugins.module_utils.service import draining
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose import rolling_turn
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.engine import Engine
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_model import Limits
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_turn import Turns
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.successor import Pattern
from ansible_collections.sre.runbooks.plugins.module_utils.service.journal import Journal
from ansible_collections.sre.runbooks.tests.unit.rolling_fakes import FakeEngine, FakeProxy, container


class PatternHeld(Pattern):
    """A pattern that is there already."""

    def __init__(self, engine: FakeEngine) -> None:
        labels = {"com.docker.compose.container-number": "9", "com.docker.compose.config-hash": "new"}
        config = {"Image": "app:2", "Hostname": f"{9:064x}"[:12], "Labels": labels}
        self._engine, self._made = t.cast(Engine, engine), container(9, "created", "", Config=config)
        self._own_hash = ""


def turns(engine: FakeEngine, proxy: FakeProxy | None, folder: Path, **limits: t.Any) -> Turns:
    """Turns in which nothing is waited for long."""
    given = {"drain_s": 0.05, "stop_s": 1, "health_s": 0.05, "settle_s": 0.0, **limits}
    return Turns(t.cast(Engine, engine), proxy, Journal(str(folder), "shop", "app"), Limits(**given), Progress("test", path=""))


def without_pauses(patch: pytest.MonkeyPatch) -> None:
    """Questions follow one another at once."""
    for name in ("_POLL_S", "_OTHERS_WAIT_S"):
        patch.setattr(draining, name, 0.001)
    for name in ("_POLL_S", "_UNKNOWN_WAIT_S"):
        patch.setattr(rolling_turn, name, 0.001)
