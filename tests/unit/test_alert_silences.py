# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which silence is touched, and which is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.moments import moment_of
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.silence_model import Matcher, Silence
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.silences import Decision, decide

NOW = datetime(2026, 3, 1, 3, 15, tzinfo=UTC)
MATCHERS: tuple[Matcher, ...] = (("service", "calendar", False, True),)


def silence(
    minutes: float = 60, *, by: str = "sre.runbooks", comment: str = "Deployment [run RUN-1]", state: str = "active", **more: Any
) -> Silence:
    """A silence that ends so many minutes from now."""
    return Silence(
        more.get("id", "one"),
        more.get("matchers", MATCHERS),
        NOW - timedelta(hours=1),
        NOW + timedelta(minutes=minutes),
        state,
        by,
        comment,
    )


def decided(operation: str, *there: Silence, run_id: str = "RUN-1", silence_id: str = "", duration_s: float = 3600) -> Decision:
    """What is to be done about these."""
    wanted = {"operation": operation, "run_id": run_id, "silence_id": silence_id, "duration_s": duration_s, "created_by": "sre.runbooks"}
    return decide(there, wanted, () if silence_id else MATCHERS, NOW)


def test_where_there_is_none_one_is_created_and_where_there_is_one_nothing_is_done() -> None:
    assert decided("create").action == "create"
    assert decided("create", silence(60)).action == "none"
    assert decided("create", silence(55)).action == "none"


def test_one_that_ends_much_too_early_is_extended_to_the_time_that_is_asked() -> None:
    found = decided("create", silence(10))
    assert (found.action, found.ends_at) == ("extend", NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    "other",
    [
        silence(by="somebody"),
        silence(comment="by hand"),
        silence(comment="of another run [run RUN-2]"),
        silence(state="expired"),
        silence(matchers=(("service", "other", False, True),)),
        silence(matchers=(*MATCHERS, ("severity", "warning", False, True))),
        silence(matchers=(("service", "calendar", True, True),)),
    ],
)
def test_a_silence_that_is_not_ours_or_is_about_other_alerts_is_left_alone(other: Silence) -> None:
    assert decided("create", other).silence is None
    assert decided("expire", other).action == "none"
    with pytest.raises(BadInput, match="no silence of ours to extend"):
        decided("extend", other)


def test_without_a_run_any_silence_of_this_collection_is_ours() -> None:
    assert decided("expire", silence(comment="x [run RUN-2]"), run_id="").action == "expire"
    assert decided("expire", silence(comment="x [no run]"), run_id="").action == "expire"
    assert decided("expire", silence(comment="x"), run_id="").action == "none"


def test_of_several_the_one_that_lasts_longest_counts() -> None:
    found = decided("create", silence(10, id="short"), silence(70, id="long"))
    assert found.silence is not None
    assert (found.action, found.silence.id) == ("none", "long")


def test_naming_somebody_else_s_silence_is_refused() -> None:
    assert decided("expire", silence(id="a"), silence_id="a").action == "expire"
    assert decided("expire", silence(id="a", state="expired"), silence_id="a").action == "none"
    for other in (silence(id="a", by="somebody"), silence(id="a", comment="x [run RUN-2]")):
        with pytest.raises(WrongTarget, match="somebody else's"):
            decided("expire", other, silence_id="a")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T03:15:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("2026-03-01T04:15:00+01:00", NOW),
        ("2026-02-28T22:15:00-05:00", NOW),
        ("yesterday", None),
        ("2026-13-01T00:00:00Z", None),
        (None, None),
    ],
)
def test_times_of_alertmanager_are_read(text: str | None, moment: datetime | None) -> None:
    assert moment_of(text) == moment
