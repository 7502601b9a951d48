# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log files by age and size: what the rules mean, and what becomes of real files."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils import files
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NoSpace, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import log_compress, log_files_age
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.log_compress import Stays, compress
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.log_files_age import operate
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.log_rules import DAY_S, LogFile, LogPlan, decide, rules_of
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.log_writers import Written, unwritten

# As the profile paralegal has them.
RULES: list[dict[str, t.Any]] = [
    {"name": "rotate", "source": "app", "write_to": "/logs/app_%Y%m%d.log", "follow_to": "/logs/app_current.log"},
    {"name": "compress", "path": "/logs", "pattern": "*.log", "compress_after_days": 30},
    {"name": "delete", "path": "/logs", "pattern": "*.gz", "delete_after_days": 90},
]


def in_folder(folder: Path, rules: t.Sequence[dict[str, t.Any]] = RULES) -> list[dict[str, t.Any]]:
    return [
        {key: str(value).replace("/logs", str(folder)) if isinstance(value, str) else value for key, value in one.items()} for one in rules
    ]


def log(folder: Path, name: str, days: float, text: str = "a line\n", times: int = 100) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text * times)
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path


def run(folder: Path, rules: t.Sequence[dict[str, t.Any]] = RULES, check_mode: bool = False) -> dict[str, t.Any]:
    return operate({"rules": in_folder(folder, rules), "quiet_s": 60}, check_mode)


def paths(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_logs_are_compressed_after_thirty_days_and_deleted_after_ninety_and_the_second_run_does_nothing(tmp_path: Path) -> None:
    old = log(tmp_path, "app_20250101.log", 40)
    old.chmod(0o640)
    status = old.stat()
    log(tmp_path, "app_20240101.log", 100)
    log(tmp_path, "app_20240102.log.gz", 100)
    log(tmp_path, "app_20250201.log", 10)
    log(tmp_path, "notes.txt", 500)
    before = paths(tmp_path)
    predicted = run(tmp_path, check_mode=True)
    assert paths(tmp_path) == before
    real = run(tmp_path)
    for key in ("deleted", "kept"):
        assert predicted[key] == real[key] or [one["path"] for one in predicted[key]] == [one["path"] for one in real[key]]
    assert [one["to"] for one in predicted["compressed"]] == [one["to"] for one in real["compressed"]] == [f"{old}.gz"]
    assert paths(tmp_path) == {"app_20250101.log.gz", "app_20250201.log", "notes.txt"}
    packed = Path(f"{old}.gz")
    assert gzip.decompress(packed.read_bytes()).decode() == "a line\n" * 100
    assert (packed.stat().st_mtime_ns, packed.stat().st_mode, packed.stat().st_uid) == (status.st_mtime_ns, status.st_mode, status.st_uid)
    assert real["saved_bytes"] == 3 * 700 - packed.stat().st_size
    assert not run(tmp_path)["changed"]


def test_the_current_log_the_target_of_a_link_and_todays_file_are_never_touched(tmp_path: Path) -> None:
    rules = [{**RULES[1], "compress_after_days": 0}, RULES[0], {**RULES[2], "pattern": "*.log", "delete_after_days": 1}]
    today = log(tmp_path, time.strftime("app_%Y%m%d.log", time.gmtime()), 100)
    target = log(tmp_path, "app_20200101.log", 100)
    (tmp_path / "app_current.log").symlink_to(target.name)
    twice = log(tmp_path, "twice.log", 100)
    os.link(twice, tmp_path / "other name")
    done = run(tmp_path, rules)
    assert not done["changed"]
    reasons = {Path(one["path"]).name: one["reason"] for one in done["kept"]}
    assert "app_current.log points to it" in reasons[target.name]
    assert "written to now" in reasons[today.name]
    assert "2 names" in reasons["twice.log"]
    assert (tmp_path / "app_current.log").is_symlink()


def test_a_large_log_is_compressed_whatever_its_age_and_folders_below_only_where_that_is_asked_for(tmp_path: Path) -> None:
    large: list[dict[str, t.Any]] = [{"name": "large", "path": "/logs", "pattern": "*.log", "compress_above_bytes": 1000}]
    log(tmp_path, "large.log", 0.1, times=200)
    log(tmp_path, "small.log", 300)
    log(tmp_path, "below/large.log", 0.1, times=200)
    assert [Path(one["path"]).name for one in run(tmp_path, large)["compressed"]] == ["large.log"]
    assert paths(tmp_path) == {"large.log.gz", "small.log", "below/large.log"}
    deep = [{"name": "deep", "path": "/logs", "pattern": "**/*.log", "delete_after_days": 7}, {**large[0], "pattern": "**/*.log"}]
    run(tmp_path, deep)
    assert paths(tmp_path) == {"large.log.gz", "below/large.log.gz"}


@pytest.mark.parametrize("spelt", ["{}/", "{}/./", "{}/../linked/"])
def test_todays_file_is_spared_however_its_folder_is_spelt(spelt: str, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    today = log(folder, time.strftime("app_%Y%m%d.log", time.gmtime()), 100)
    current = log(folder, "app_current.log", 100)
    (tmp_path / "linked").symlink_to("logs")
    where = spelt.format(folder)
    rules = [
        {"name": "rotate", "write_to": f"{where}/app_%Y%m%d.log", "follow_to": f"{where}/app_current.log"},
        {"name": "delete", "path": str(folder), "pattern": "*.log", "delete_after_days": 1},
    ]
    assert not operate({"rules": rules, "quiet_s": 60}, False)["changed"]
    assert today.exists()
    assert current.exists()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in which everybody may work, this process as somebody without rights."""
    if os.geteuid() != 0:
        pytest.skip("only root can work as another account")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_log_of_another_account_stays_where_nobody_but_root_can_see_who_writes_to_it(check_mode: bool, shared: Path) -> None:
    path = log(shared, "app.log", 100)
    old: list[dict[str, t.Any]] = [{"name": "old", "path": str(shared), "pattern": "*.log", "delete_after_days": 90}]
    with as_nobody():
        done = run(shared, old, check_mode)
    assert not done["changed"]
    assert "only root can see" in done["kept"][0]["reason"]
    assert "become: true" in done["notes"][0]
    assert path.exists()
    os.chown(path, 65534, 65534)
    with as_nobody():
        assert run(shared, old, check_mode)["changed"], "to its owner the kernel tells it"


def test_a_folder_that_cannot_be_read_is_told_and_nothing_is_done(shared: Path) -> None:
    log(shared, "app.log", 100)
    (shared / "below").mkdir(mode=0o700)
    deep: list[dict[str, t.Any]] = [{"name": "old", "path": str(shared), "pattern": "**/*.log", "delete_after_days": 90}]
    with as_nobody(), pytest.raises(BadInput, match=r"below.*become: true"):
        run(shared, deep)
    assert paths(shared) == {"app.log"}


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EPERM])
def test_what_was_done_is_told_when_a_later_file_cannot_be_removed(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = log(tmp_path, "a.log", 100), log(tmp_path, "b.log", 100)
    unlink = os.unlink

    def refuse(path: str) -> None:
        if path == str(second):
            raise OSError(code, os.strerror(code))
        unlink(path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(RunbookError, match=os.strerror(code)) as told:
        run(tmp_path, [{"name": "old", "path": "/logs", "pattern": "*.log", "delete_after_days": 90}])
    assert told.value.changed
    assert told.value.facts["deleted"] == [str(first)]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_file_that_goes_while_it_is_looked_at_is_told_in_check_mode_too(
    check_mode: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = log(tmp_path, "a.log", 40)

    def decided(*given: t.Any) -> LogPlan:
        plan = decide(*given)
        path.unlink()
        return plan

    monkeypatch.setattr(log_files_age, "decide", decided)
    done = run(tmp_path, check_mode=check_mode)
    assert not done["changed"]
    assert "removed by somebody else" in done["kept"][0]["reason"]


def test_a_log_whose_name_says_open_is_not_told_to_be_open(tmp_path: Path) -> None:
    log(tmp_path, "opened_20200101.log", 100)
    (tmp_path / "open.log").symlink_to("opened_20200101.log")
    done = run(tmp_path, [{"name": "old", "path": "/logs", "pattern": "*.log", "delete_after_days": 90}])
    assert "points to it" in done["kept"][0]["reason"]
    assert not done["notes"]


def test_nothing_is_compressed_into_the_room_that_stays_free_for_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(tmp_path, "app.log", 40)
    monkeypatch.setattr(files, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(NoSpace, match="almost full") as told:
        run(tmp_path)
    assert not told.value.changed
    assert paths(tmp_path) == {"app.log"}


def test_a_log_that_is_being_written_to_stays_and_so_does_every_line(tmp_path: Path) -> None:
    path = log(tmp_path, "app.log", 40)
    with path.open("a") as writer:
        os.utime(path, (1, time.time() - 40 * DAY_S))
        for check_mode in (True, False):
            done = run(tmp_path, check_mode=check_mode)
            assert not done["changed"]
            assert "open for writing" in done["kept"][0]["reason"] or "opened it" in done["kept"][0]["reason"]
            assert "maintenance_log_rotations" in done["notes"][0]
        writer.write("the last line\n")
    assert path.read_text().endswith("the last line\n")
    os.utime(path, (1, time.time() - 40 * DAY_S))
    assert run(tmp_path)["changed"]


def test_another_process_that_writes_is_named(tmp_path: Path) -> None:
    path = log(tmp_path, "app.log", 40)
    code = "import sys, time; stream = open(sys.argv[1], 'a'); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(Written, match=rf"the process {process.pid} \(python"), unwritten(str(path)):
                pass
        finally:
            process.kill()


def test_where_there_are_no_leases_a_writer_is_found_among_all_processes(tmp_path: Path) -> None:
    log(tmp_path, "free.log", 40)
    path = log(tmp_path, "app.log", 40)
    code = "import sys, time; stream = open(sys.argv[1], 'r+'); print('open', flush=True); time.sleep(60)"
    done: list[dict[str, t.Any]] = []
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            # Leases are told of by a signal, which only the main thread can take.
            thread = threading.Thread(target=lambda: done.append(run(tmp_path)))
            thread.start()
            thread.join()
        finally:
            process.kill()
    assert paths(tmp_path) == {"app.log", "free.log.gz"}
    assert f"the process {process.pid}" in done[0]["kept"][0]["reason"]


def test_a_process_that_opens_the_log_while_it_is_compressed_keeps_it_and_waits_no_longer_than_a_moment(tmp_path: Path) -> None:
    path = log(tmp_path, "app.log", 40, os.urandom(500).hex() + "\n", 60_000)
    code = (
        "import sys, time; began = time.monotonic(); stream = open(sys.argv[1], 'a');"
        "stream.write('late\\n'); stream.close(); print(time.monotonic() - began)"
    )
    late: list[subprocess.Popen[str]] = []

    def open_it(done: int) -> None:
        if done > 10_000_000 and not late:
            late.append(subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True))
        elif late:
            time.sleep(0.02)

    with pytest.raises((Written, Stays)):
        compress(str(path), open_it)
    (process,) = late
    waited = float(process.communicate()[0])
    assert path.read_text().endswith("late\n")
    assert waited < 2
    assert paths(tmp_path) == {"app.log"}, "nothing is left beside it"


def test_what_a_killed_run_has_left_is_completed_or_removed(tmp_path: Path) -> None:
    path = log(tmp_path, "app.log", 40)
    Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / ".other.log.gz.4194305.partial").write_text("half")
    own = tmp_path / f".mine.log.gz.{os.getpid()}.partial"
    own.write_text("somebody works on it")
    done = run(tmp_path)
    assert paths(tmp_path) == {"app.log.gz", own.name}
    assert done["compressed"][0]["to"] == f"{path}.gz"
    assert any("killed run" in line for line in done["plan"])


def test_a_compressed_log_of_the_same_name_is_never_overwritten(tmp_path: Path) -> None:
    path = log(tmp_path, "app.log", 40)
    Path(f"{path}.gz").write_bytes(gzip.compress(b"last week's"))
    (to,) = [one["to"] for one in run(tmp_path)["compressed"]]
    assert Path(to).name.startswith("app.2")
    assert to.endswith("Z.log.gz")
    assert gzip.decompress(Path(f"{path}.gz").read_bytes()) == b"last week's"
    assert gzip.decompress(Path(to).read_bytes()).decode() == "a line\n" * 100


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:], lambda _data: b""])
def test_a_compressed_log_that_cannot_be_read_again_never_replaces_the_log(
    damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(tmp_path, "app.log", 40, os.urandom(40).hex(), 50)
    pack = log_compress._pack

    def damaged(watch: t.Any, temporary: str, *rest: t.Any) -> tuple[str, int]:
        told = pack(watch, temporary, *rest)
        Path(temporary).write_bytes(damage(Path(temporary).read_bytes()))
        return told

    monkeypatch.setattr(log_compress, "_pack", damaged)
    with pytest.raises(RunbookError, match="cannot be read again"):
        run(tmp_path)
    assert paths(tmp_path) == {"app.log"}


def test_a_folder_that_is_not_there_is_a_note(tmp_path: Path) -> None:
    done = run(tmp_path / "no")
    assert not done["changed"]
    assert "There is no folder" in done["notes"][0]


@pytest.mark.parametrize(
    "rule",
    [
        {"path": "/", "pattern": "*.log", "delete_after_days": 1},
        {"path": "logs", "pattern": "*.log", "delete_after_days": 1},
        {"path": "/logs", "pattern": "*", "delete_after_days": 1},
        {"path": "/logs", "pattern": "../*.log", "delete_after_days": 1},
        {"path": "/logs", "pattern": "", "delete_after_days": 1},
        {"path": "/logs", "pattern": "*.log", "delete_after_days": "soon"},
        {"path": "/logs", "pattern": "*.log", "delete_after_days": -1},
        {"path": "/logs", "pattern": "*.log", "delete_after_days": True},
        {"path": "/logs", "pattern": "*.log", "compress_after_day": 1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, t.Any]) -> None:
    with pytest.raises(BadInput):
        rules_of([{"name": "wrong", **rule}])


FILES = st.lists(
    st.builds(
        LogFile,
        st.sampled_from(["/logs/a.log", "/logs/b.log.gz", "/logs/c.txt", "/logs/below/d.log", "/other/e.log"]),
        st.integers(0, 10**9),
        st.floats(0, 200 * DAY_S),
        st.sampled_from(["", "in use"]),
    ),
    unique_by=lambda one: one.path,
)


@given(FILES, st.floats(0, 100), st.integers(0, 10**9), st.floats(0, 100))
def test_whatever_the_rules_a_file_in_use_young_and_small_or_elsewhere_stays(
    found: list[LogFile], compress_days: float, above: int, delete_days: float
) -> None:
    rules = rules_of(
        [
            {"name": "a", "path": "/logs", "pattern": "*.log", "compress_after_days": compress_days, "compress_above_bytes": above},
            {"name": "b", "path": "/logs", "pattern": "*.gz", "delete_after_days": delete_days},
        ]
    )
    decided = decide(rules, found)
    touched = {step.path for step in (*decided.delete, *decided.compress)}
    assert len(touched) == len(decided.delete) + len(decided.compress)
    for one in found:
        inside = one.path in ("/logs/a.log", "/logs/b.log.gz")
        old = one.age_s > (delete_days if one.path.endswith(".gz") else compress_days) * DAY_S
        large = one.path == "/logs/a.log" and one.size_bytes > above
        assert (one.path in touched) == (inside and not one.needed and (old or large)), one
