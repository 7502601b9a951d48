# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what runs has read its files as they are now."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.configuration import rollback, unfinished
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import Container
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.rolling_plan import Wanted, make_plan
from ansible_collections.sre.runbooks.plugins.module_utils.service.reading import Reading, changed_at, ctime_of, reading_of

DAY_S = 86400


def named(*files: Path, since: str = "") -> Reading:
    return reading_of({"files": list(map(str, files)), "started_since": since})


def test_what_runs_since_before_a_file_changed_is_outdated_and_what_has_started_behind_it_is_not(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.touch()
    changed = file.stat().st_ctime
    reading = named(file)
    assert (reading.is_outdated(changed - 1), reading.is_outdated(changed), named().is_outdated(0)) == (True, False, False)
    assert reading.is_outdated(time.time() + DAY_S), "the clock was set back since"


def test_a_file_that_came_back_with_its_old_times_by_rename_has_changed_when_it_came(tmp_path: Path) -> None:
    draft, file = tmp_path / ".draft", tmp_path / "app.yaml"
    began = time.time()
    draft.write_text("former")
    os.utime(draft, (DAY_S, DAY_S))
    draft.rename(file)
    assert file.stat().st_mtime == DAY_S
    assert changed_at(str(file)) > began - 1


def test_of_a_folder_what_is_in_it_counts_and_of_what_is_gone_the_folder_that_it_was_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, apart = tmp_path / "conf", tmp_path / "apart"
    for one in (folder, apart):
        (one / "d").mkdir(parents=True)
        (one / "d" / "a").touch()
    (folder / "link").symlink_to(apart / "d" / "a")
    times = {folder: 5.0, folder / "d": 3.0, folder / "d" / "a": 9.0, folder / "link": 4.0, apart / "d" / "a": 2.0}

    with monkeypatch.context() as patched:
        module = "ansible_collections.sre.runbooks.plugins.module_utils.service.reading"
        patched.setattr(f"{module}.ctime_of", lambda path: times.get(Path(path), 0.0))
        assert changed_at(str(folder)) == 9.0
        assert changed_at(str(folder / "d" / "gone" / "deeper")) == 3.0
    (apart / "d" / "a").chmod(0o600)
    assert changed_at(str(folder / "link")) == (apart / "d" / "a").stat().st_ctime


def test_on_the_way_back_only_what_has_started_since_is_outdated(tmp_path: Path) -> None:
    reading = named(tmp_path, since="2026-11-22T05:15:48Z")
    assert reading.started_since is not None
    assert [reading.is_outdated(reading.started_since + more) for more in (-0.1, 0, 1)] == [False, True, True]
    assert not named(since="2026-11-22T05:15:48Z").is_outdated(time.time()), "nothing that it reads came back"
    with pytest.raises(BadInput, match="'yesterday' is no moment"):
        named(since="yesterday")


def test_what_cannot_be_looked_at_is_no_change(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert changed_at(str(loop)) == loop.lstat().st_ctime
    assert ctime_of(str(tmp_path / ("n" * 300))) == 0


def replica(number: int, source: Path, started_at: str = "2026-01-01T00:00:00.5Z", config: str = "same") -> Container:
    mounts = [{"Type": "bind", "Source": str(source)}, {"Type": "volume", "Name": "data", "Source": "/var/lib/data"}]
    return Container(str(number), f"app-{number}", number, "running", "healthy", started_at, config_hash=config, details={"Mounts": mounts})


def test_a_container_sees_what_is_mounted_into_it_under_whatever_name(tmp_path: Path) -> None:
    real, link, other = tmp_path / "releases", tmp_path / "current", tmp_path / "releases-2"
    for folder in (real, other):
        folder.mkdir()
        (folder / "app.yaml").touch()
    link.symlink_to(real)
    of_folder, of_file = replica(1, link), replica(2, real / "app.yaml")
    assert of_folder.sight_of(str(real / "app.yaml")) == [str(real / "app.yaml")]
    assert of_folder.sight_of(str(link / "gone.yaml")) == [str(link / "gone.yaml")]
    assert of_file.sight_of(str(link)) == [str(real / "app.yaml")]
    assert (of_file.sight_of(str(real / "gone.yaml")), of_folder.sight_of(str(other))) == ([], [])


def test_a_replica_is_restarted_for_a_file_and_made_anew_for_its_settings_and_else_left_alone(tmp_path: Path) -> None:
    there = [replica(1, tmp_path, config="other"), replica(2, tmp_path), replica(3, tmp_path / "no"), replica(4, tmp_path, "")]
    (tmp_path / "app.yaml").touch()
    time.sleep(0.02)
    fresh = replica(5, tmp_path, datetime.now(UTC).isoformat())
    wanted = Wanted("same", {}, named(tmp_path / "app.yaml"))
    plan = make_plan([*there, fresh], way="recreate", wanted=wanted)
    assert [(one.name, plan.way_of(one)) for one in plan.order] == [("app-1", "recreate"), ("app-2", "restart")]
    assert [one.name for one in plan.untouched] == ["app-3", "app-4", "app-5"]
    assert "Restart app-2" in plan.sentences("", 9)[1]


def test_a_change_that_goes_on_from_one_that_was_killed_has_begun_when_that_one_did(tmp_path: Path) -> None:
    options = {name: told.get("default") for name, told in rollback.OPTIONS.items()}
    options |= {"operation": "create", "service": "app", "state_folder": str(tmp_path / "state"), "begins_change": True}
    first, second = tmp_path / "a", tmp_path / "b"
    begun = rollback.operate({**options, "paths": [str(first)]}, False)
    home = str(tmp_path / "state" / "rollback_points")
    unfinished.begin(home, "app", begun["point"], "", "2026-01-01T00:00:00Z")
    for paths in ([first], [first, second]):
        assert rollback.operate({**options, "paths": list(map(str, paths))}, False)["begun_at"] == "2026-01-01T00:00:00Z"
    assert unfinished.noted(home, "app")["at"] == "2026-01-01T00:00:00Z"
