# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state folder: where it is, who may write to it, and how names and times are written in it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.state import make_folder, slug, state_folder, utc_text, utc_time


def test_the_state_folder_is_the_environments_then_the_profiles_then_the_users() -> None:
    assert state_folder("/wanted", {"SRE_RUNBOOKS_STATE": "/named"}, 0) == "/named"
    assert state_folder("/wanted", {}, 0) == "/wanted"
    assert state_folder("", {}, 0) == "/var/lib/sre-runbooks"
    assert state_folder(None, {"XDG_STATE_HOME": "/xdg"}, 1000) == "/xdg/sre-runbooks"
    assert state_folder(None, {"XDG_STATE_HOME": "relative"}, 1000) == os.path.expanduser("~/.local/state/sre-runbooks")


def test_a_state_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BadInput, match="by everybody"):
        make_folder(str(folder))


@given(st.text(max_size=300))
def test_a_slug_is_a_plain_file_name_or_empty(text: str) -> None:
    assert slug(slug(text)) == slug(text)
    assert "/" not in slug(text)
    assert not slug(text).startswith(".")


@given(st.floats(min_value=0, max_value=6e9))
def test_times_are_written_in_utc_to_the_millisecond_and_read_back(seconds: float) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    known = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert utc_time(utc_text(known)) == known
