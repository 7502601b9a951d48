# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs of containers in dated files: which lines are new, where they go, and what is completed after a run that was stopped."""

from __future__ import annotations

import os
import tempfile
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils import files
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed, NoSpace, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import container_log_export, export_files
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.container_log_export import _Work
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.export_files import Writer, missing, part_of, point, require_writable
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.export_lines import (
    LONGEST,
    Bookmark,
    Days,
    Line,
    Window,
    lines_of,
    new_lines,
    seconds_of,
)
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.export_rules import exports_of
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.export_state import State, read_state
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import Container
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.engine import Engine

NOON = 1_772_366_400
"""2026-03-01T12:00:00Z."""


def stamp(nanoseconds: int) -> bytes:
    """A time so many nanoseconds after noon, as the engine writes it."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOON + seconds)) + f".{rest:09d}Z").encode()


def frame(text: bytes, nanoseconds: int, stream: int = 1) -> bytes:
    content = stamp(nanoseconds) + b" " + text
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


def portions(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


def texts(data: bytes, *, terminal: bool = False, ended: bool = False, step: int = 7) -> list[bytes]:
    return [line.text for line in lines_of(portions(data, step), terminal, lambda _stamp: ended)]


class EngineLog:
    """A log as the engine keeps it: it grows at its end, loses at its beginning, and leaves out what is older than what was asked for."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.asked: list[Window] = []

    def read(self, window: Window) -> Iterator[Line]:
        self.asked.append(window)
        for line in list(self.lines):
            seconds = seconds_of(line.stamp.decode())
            if window.since is not None and seconds < window.since:
                continue
            if window.until is not None and seconds > window.until:
                return
            yield line

    def export(self, mark: Bookmark, now: float = NOON + 1e6) -> tuple[list[bytes], int]:
        """What is new, and how many gaps are told; the bookmark is moved."""
        gaps: list[None] = []
        former = Bookmark(mark.at, mark.newest, list(mark.cut))
        found = []
        for one in new_lines(self.read, former, now, lambda: gaps.append(None)):
            mark.move(one)
            if one.is_new:
                found.append(one.line.text)
        return found, len(gaps)


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=30).filter(lambda one: b"\n" not in one)), max_size=8),
)
def test_lines_come_whole_and_in_order_however_the_frames_are_cut_up(step: int, lines: list[tuple[int, bytes]]) -> None:
    data = b"".join(frame(text + b"\n", number, stream) for number, (stream, text) in enumerate(lines))
    assert texts(data, step=step) == [text for _stream, text in lines]


def test_the_parts_of_a_long_line_are_joined_though_the_other_stream_writes_between_them() -> None:
    data = frame(b"a" * 16384, 5) + frame(b"error\n", 6, 2) + frame(b"b\n", 5) + frame(b"next\n", 7)
    assert texts(data, step=1000) == [b"error", b"a" * 16384 + b"b", b"next"]


def test_the_last_words_of_a_process_without_an_end_of_line_are_a_line_once_it_has_ended() -> None:
    data = frame(b"whole\n", 1) + frame(b"last words", 2)
    assert texts(data) == [b"whole"]
    assert texts(data, ended=True) == [b"whole", b"last words"]
    assert texts(data + frame(b"after the restart\n", 3)) == [b"whole", b"last words", b"after the restart"]


def test_last_words_that_were_exported_at_the_end_of_the_log_do_not_come_again_behind_the_other_stream() -> None:
    log, mark = EngineLog(), Bookmark()
    first = frame(b"whole\n", 1) + frame(b"last words", 2)
    log.lines = list(lines_of([first], False, lambda _stamp: True))
    assert log.export(mark) == ([b"whole", b"last words"], 0)
    log.lines = list(lines_of([first + frame(b"error\n", 3, 2)], False, lambda _stamp: True))
    assert log.export(mark) == ([b"error"], 0)
    log.lines = list(lines_of([first + frame(b"error\n", 3, 2) + frame(b"again\n", 4)], False, lambda _stamp: True))
    assert log.export(mark) == ([b"again"], 0)
    assert log.export(mark) == ([], 0)


def test_a_container_that_is_started_again_and_again_and_never_ends_a_line_has_each_of_its_lines_exported_once() -> None:
    log, mark = EngineLog(), Bookmark()
    data = frame(b"error without an end", 0, 2)
    for number in range(40):
        data += frame(b"out%d" % number, number + 1)
        log.lines = list(lines_of([data], False, lambda _stamp: True))
        assert log.export(mark) == ([b"out0", b"error without an end"] if not number else [b"out%d" % number], 0)
        assert log.export(mark) == ([], 0)
        assert len(mark.cut) == 2


def test_a_terminal_has_bare_lines_with_carriage_returns_and_the_time_before_each_part_of_a_long_one() -> None:
    data = stamp(1) + b" one\r\n" + stamp(2) + b" " + b"a" * 16384 + stamp(2) + b" b\r\n" + stamp(3) + b" unfinished"
    assert texts(data, terminal=True, step=100) == [b"one", b"a" * 16384 + b"b"]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("step", [1 << 16, 1 << 20, 1 << 24])
def test_a_log_without_any_end_of_line_becomes_lines_of_a_megabyte_wherever_it_is_cut_up(terminal: bool, step: int) -> None:
    part = b"x" * 16384
    data = b"".join(stamp(1) + b" " + part if terminal else frame(part, 1) for _part in range(150))
    data += stamp(1) + b" end\r\n" if terminal else frame(b"end\n", 1)
    found = texts(data, terminal=terminal, step=step)
    assert [len(text) for text in found] == [LONGEST, LONGEST, 22 * 16384 + 3]
    assert b"".join(found) == part * 150 + b"end"


def test_an_engine_that_fails_while_it_reads_is_an_error_and_no_line_of_a_log_is_told() -> None:
    words = b"error from daemon in stream: unexpected EOF"
    with pytest.raises(CommandFailed, match="unexpected EOF"):
        texts(bytes([3, 0, 0, 0]) + len(words).to_bytes(4, "big") + words)
    with pytest.raises(CommandFailed) as told:
        texts(bytes([1, 0, 0, 0, 0, 0, 0, 6]) + b"secret")
    assert "secret" not in told.value.message


WRITTEN = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 2]), st.sampled_from([b"same", b"other"])), max_size=12)


@given(st.lists(WRITTEN, max_size=6))
def test_every_line_is_new_once_though_times_and_texts_are_the_same(runs: list[list[tuple[int, int, bytes]]]) -> None:
    log, mark, exported = EngineLog(), Bookmark(), list[bytes]()
    at = {1: 0, 2: 0}
    for written in runs:
        for later, stream, text in written:
            at[stream] += later
            log.lines.append(Line(stamp(at[stream]), stream, text))
        found, gaps = log.export(mark)
        exported += found
        assert not gaps
        assert exported == [line.text for line in log.lines]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_what_the_engine_rotated_away_is_told_and_nothing_else_is_lost_or_doubled(runs: list[tuple[int, int]]) -> None:
    log, mark, number, exported = EngineLog(), Bookmark(), 0, list[int]()
    for written, rotated in runs:
        for _line in range(written):
            log.lines.append(Line(stamp(number), 1, b"%d" % number))
            number += 1
        log.lines = log.lines[rotated:]
        before = mark.at
        found, gaps = log.export(mark)
        exported += [int(text) for text in found]
        kept = [int(line.text) for line in log.lines]
        assert bool(gaps) == (before is not None and int(before[0][20:29]) not in kept)
        assert set(kept) <= set(exported)
        if gaps and not found:
            mark.at = None
    assert exported == sorted(set(exported))


def test_lines_are_read_from_an_hour_before_the_bookmark_and_a_clock_that_was_set_back_hides_none() -> None:
    log, mark = EngineLog(), Bookmark()
    log.lines = [Line(stamp(number * 10**9), 1, b"%d" % number) for number in range(3)]
    log.export(mark, NOON + 10)
    assert log.export(mark, NOON + 20) == ([], 0)
    assert log.asked[-1] == Window(NOON + 2 - 3600, NOON + 20)
    log.lines.append(Line(stamp(-7200 * 10**9), 1, b"after the clock was set back"))
    assert log.export(mark, NOON - 7000) == ([b"after the clock was set back"], 0)
    log.lines.append(Line(stamp(-3500 * 10**9), 1, b"later"))
    assert log.export(mark, NOON - 3400) == ([b"later"], 0)
    assert log.export(mark, NOON + 30) == ([], 0)


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "20260228"), ("Europe/Warsaw", "20260301"), ("America/New_York", "20260228"), ("Asia/Tokyo", "20260301")]
)
def test_a_line_goes_to_the_file_of_its_day_in_the_time_zone_of_the_host(zone: str, day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert Days("/logs/app_%Y%m%d.log").path(b"2026-02-28T23:59:59.999999999Z") == f"/logs/app_{day}.log"
    finally:
        monkeypatch.undo()
        time.tzset()


LOGS = [{"name": "app", "compose_service": "app", "project_folder": "/opt"}, {"name": "unit", "systemd_unit": "app.service"}]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"source": "no", "write_to": "/l"}, "there is no log 'no'"),
        ({"source": "unit", "write_to": "/l"}, "Only logs of Docker's containers"),
        ({"source": "app", "write_to": "logs/a.log"}, "no absolute path"),
        ({"source": "app", "write_to": "/logs/"}, "no absolute path"),
        ({"source": "app", "write_to": "/l", "follow_to": "/l"}, "would go to one file"),
    ],
)
def test_a_rule_that_cannot_be_carried_out_is_refused(rule: dict[str, t.Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        exports_of([{"name": "rotate", **rule}], LOGS)


def promised(tmp_path: Path, content: dict[str, bytes]) -> tuple[Writer, str]:
    """A writer whose run was stopped when it had promised the lines, and before it appended any."""
    kept = str(tmp_path / "state")
    writer = Writer(kept, State(), str(tmp_path / "app_%Y.log"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "_append", lambda *_all: None)
        writer.add({str(tmp_path / name): lines for name, lines in content.items()})
    return Writer(kept, read_state(kept), str(tmp_path / "app_%Y.log")), kept


@given(st.binary(max_size=20), st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), st.integers(0, 60))
def test_wherever_a_run_stops_the_next_one_appends_what_is_missing(before: bytes, lines: list[bytes], written: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "app_2026.log"
        path.write_bytes(before)
        content = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
        writer, _kept = promised(Path(name), {path.name: content})
        whole = before + (b"\n" if before and not before.endswith(b"\n") else b"") + content
        path.write_bytes(whole[: max(len(before), min(len(before) + written, len(whole)))])
        writer.redeem(check_mode=False)
        assert path.read_bytes() == whole
        assert not writer.redeem(check_mode=False)
        assert not writer.notes


def test_what_somebody_else_has_appended_stays_and_our_lines_are_there_once(tmp_path: Path) -> None:
    path = tmp_path / "app_2026.log"
    for there in (b"", b"one\n", b"one\ntw", b"one\ntwo\n"):
        path.write_bytes(b"before\n")
        writer, _kept = promised(tmp_path, {path.name: b"one\ntwo\n"})
        path.write_bytes(b"before\n" + there + b"by hand")
        assert bool(writer.redeem(check_mode=True)) == (there != b"one\ntwo\n")
        writer.redeem(check_mode=False)
        lines = path.read_bytes().splitlines()
        assert path.read_bytes().startswith(b"before\n" + there + b"by hand")
        assert (lines.count(b"one"), lines.count(b"two")) == (1, 1)


def test_lines_of_a_file_that_was_replaced_or_removed_after_a_kill_are_written_rather_than_lost(tmp_path: Path) -> None:
    path = tmp_path / "app_2026.log"
    for others in (None, b"", b"of another file, which is longer than the former one\n"):
        path.unlink(missing_ok=True)
        path.write_bytes(b"before\n")
        writer, _kept = promised(tmp_path, {path.name: b"one\n"})
        path.rename(tmp_path / "kept")
        if others is not None:
            path.write_bytes(others)
        writer.redeem(check_mode=False)
        assert path.read_bytes() == (others or b"") + b"one\n"
        assert "was replaced or removed" in writer.notes[0]


def kept_writer(kept: str) -> Writer:
    return Writer(kept, read_state(kept), os.path.join(os.path.dirname(kept), "app_%Y.log"))


@pytest.mark.parametrize("what", ["half written", "rotated", "removed", "of another, with half a line", "somebody has appended"])
def test_runs_that_fail_one_after_the_other_append_an_old_promise_once(what: str, tmp_path: Path) -> None:
    path, then = tmp_path / "app_2026.log", {"half written": b"before\none\ntw", "rotated": b"", "of another, with half a line": b"x"}
    path.write_bytes(b"before\n")
    _writer, kept = promised(tmp_path, {path.name: b"one\ntwo\n"})
    if what == "somebody has appended":
        path.write_bytes(b"before\none\nby hand")
    elif what == "half written":
        path.write_bytes(then[what])
    else:
        path.rename(tmp_path / "kept")
        if what in then:
            path.write_bytes(then[what])
    assert kept_writer(kept).redeem(check_mode=True)
    assert kept_writer(kept).redeem(check_mode=False)
    once = path.read_bytes()
    assert (once.splitlines().count(b"one"), once.splitlines().count(b"two")) == (1, 1)
    for _run in range(3):
        assert not kept_writer(kept).redeem(check_mode=False)
        path.rename(tmp_path / "kept again")
        path.write_bytes(once)
    assert path.read_bytes() == once


def test_a_run_that_is_killed_while_it_completes_another_leaves_a_promise_that_the_next_one_understands(tmp_path: Path) -> None:
    path = tmp_path / "app_2026.log"
    path.write_bytes(b"before\n")
    _writer, kept = promised(tmp_path, {path.name: b"one\ntwo\n"})
    path.write_bytes(b"before\nby hand\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "_append", lambda _self, where, lines: Path(where).open("ab").write(lines[:5]) and 1 / 0)
        for _kill in range(2):
            with pytest.raises(ZeroDivisionError):
                kept_writer(kept).redeem(check_mode=False)
            assert path.read_bytes().startswith(b"before\nby hand\none\nt")
            path.write_bytes(b"before\nby hand\none\nt")
    kept_writer(kept).redeem(check_mode=False)
    assert path.read_bytes() == b"before\nby hand\none\ntwo\n"


def test_an_old_promise_does_not_go_into_the_room_that_stays_free_for_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "app_2026.log"
    writer, _kept = promised(tmp_path, {path.name: b"one\n"})
    monkeypatch.setattr(files, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(NoSpace, match="almost full"):
        writer.redeem(check_mode=False)
    assert not path.exists()


def test_a_new_file_is_like_the_newest_of_its_kind_and_the_first_is_readable_for_the_group(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "state"), State(), str(tmp_path / "logs" / "app_%Y%m%d.log"))
    first, second = tmp_path / "logs" / "app_20260301.log", tmp_path / "logs" / "app_20260302.log"
    writer.add({str(first): b"one\n"})
    assert (first.stat().st_mode & 0o777, first.parent.stat().st_mode & 0o777) == (0o640, 0o750)
    first.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(first, 65534, 65534)
    writer.add({str(second): b"two\n"})
    assert (second.stat().st_mode & 0o777, second.stat().st_uid) == (0o600, first.stat().st_uid)
    writer.close()
    assert read_state(writer.path).data == b""
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


def test_a_link_in_place_of_the_file_leads_no_line_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("of somebody\n")
    link, twice = tmp_path / "app_2026.log", tmp_path / "app_2027.log"
    link.symlink_to("target")
    os.link(tmp_path / "target", twice)
    for path in (link, twice):
        with pytest.raises(BadInput, match="is a link"):
            require_writable(str(path))
        with pytest.raises(BadInput, match="is a link"):
            Writer(str(tmp_path / "state"), State(), str(tmp_path / "app_%Y.log")).add({str(path): b"one\n"})
    assert (tmp_path / "target").read_text() == "of somebody\n"
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        require_writable(str(tmp_path / "file" / "app.log"))


def test_nothing_is_promised_or_written_into_the_room_that_stays_free_for_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(NoSpace, match="almost full"):
        Writer(str(tmp_path / "state"), State(), str(tmp_path / "a_%Y.log")).add({str(tmp_path / "logs" / "a_1.log"): b"one\n"})
    assert not list(tmp_path.iterdir())


def test_damaged_bookmarks_are_told_and_nothing_is_guessed(tmp_path: Path) -> None:
    kept = tmp_path / "state"
    whole = b'{"format": 1, "marks": {"id": {"at": null, "newest": "", "cut": [], "name": ""}}, "newest": "", "parts": [], "gaps": []}\n'
    kept.write_bytes(whole)
    read_state(str(kept))
    damage = [(b'"at": null', b'"at": [1]'), (b'"parts": []', b'"parts": [{"path": 1, "inode": 0, "size": 0, "length": 0}]')]
    damage += [(b'"cut": []', b'"cut": [1]'), (b'"newest": ""', b'"newest": []'), (b'"newest": ""', b'"newest": "now"')]
    damaged = [whole.replace(*one, 1) for one in damage]
    damaged.append(b'{"format": 1, "marks": [], "newest": "", "parts": [], "gaps": []}\n')
    for content in (b"", b"{}\n", whole + b"more", b"\xff", *damaged):
        kept.write_bytes(content)
        with pytest.raises(BadInput, match="cannot be read"):
            read_state(str(kept))


def test_bookmarks_are_read_as_they_were_written(tmp_path: Path) -> None:
    mark = Bookmark(("2026-03-01T12:00:00.000000001Z", 1, 4, 77, 2), "2026-03-01T12:00:00.000000001Z", [("x", 2, 1, 1)])
    part, lines = part_of(str(tmp_path / "a.log"), b"one\n")
    state = State({"id": mark}, {"id": "app-1"}, "/logs/a.log", [part], lines, ["a gap"])
    (tmp_path / "state").write_bytes(state.encoded())
    assert read_state(str(tmp_path / "state")) == state
    assert missing(part, lines) == (b"one\n", "")


def test_the_link_to_the_newest_file_replaces_only_links_to_its_like(tmp_path: Path) -> None:
    link, path, other = tmp_path / "app_current.log", tmp_path / "app_2.log", tmp_path / "app_1.log"
    path.touch()
    assert point(str(link), str(path), check_mode=True) == (True, "")
    assert not link.is_symlink()
    assert point(str(link), str(other), check_mode=False) == (True, "")
    assert point(str(link), str(path), check_mode=False) == (True, "")
    assert point(str(link), str(path), check_mode=False) == (False, "")
    assert os.readlink(link) == "app_2.log"
    for make in (lambda: link.write_text("of somebody"), lambda: link.symlink_to("/elsewhere/file"), link.mkdir):
        link.unlink()
        make()
        changed, note = point(str(link), str(path), check_mode=False)
        assert (changed, "stays as it is" in note) == (False, True)
    assert export_files.FILE_MODE == 0o640


def test_our_own_link_follows_to_the_folder_of_the_next_month_and_a_file_in_its_way_is_removed(tmp_path: Path) -> None:
    link, former, path = tmp_path / "app_current.log", tmp_path / "[logs]/2026-02/app_28.log", tmp_path / "[logs]/2026-03/app_01.log"
    link.symlink_to(former)
    (tmp_path / ".app_current.log.partial").write_text("in the way")
    assert point(str(link), str(path), check_mode=False)[0] is False
    assert point(str(link), str(path), False, str(tmp_path / "[logs]/%Y-%m/app_%d.log")) == (True, "")
    assert os.readlink(link) == "[logs]/2026-03/app_01.log"
    assert [one.name for one in tmp_path.iterdir()] == ["app_current.log"]


class Logs(Engine):
    """An engine that gives one log after the other, and then fails."""

    def __init__(self, *logs: bytes) -> None:
        self.logs = list(logs)

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def whole_log(self, container: str, query: t.Mapping[str, t.Any]) -> Iterator[bytes]:
        """The next one."""
        if not self.logs:
            raise CommandFailed("It fails")
        yield self.logs.pop(0)


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, t.Any]]:
    """Exports the logs of containers to one file each, a line at a time."""
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    monkeypatch.setattr(container_log_export, "_CHUNK", 1)

    def run(engine: Logs, *containers: Container) -> dict[str, t.Any]:
        several = iter(containers)
        monkeypatch.setattr(container_log_export, "Engine", lambda: engine)
        monkeypatch.setattr(container_log_export, "_containers", lambda *_all: [next(several)])
        rules = [
            {"source": "app", "write_to": f"{tmp_path}/{number}_%Y.log", "follow_to": f"{tmp_path}/{number}"}
            for number in range(len(containers))
        ]
        parameters = {"rules": rules, "logs": [{"name": "app", "container": "app"}], "state_folder": str(tmp_path / "state")}
        return container_log_export.operate(parameters, False)

    return run


FAULT = bytes([3, 0, 0, 0, 0, 0, 0, 1]) + b"x"
GONE, NEW = Container("gone", "app-1", 1, "running"), Container("new", "app-2", 2, "running")


def test_what_was_lost_is_told_by_a_run_that_fails_and_again_by_the_next_one_that_does_not(
    export: Callable[..., dict[str, t.Any]], tmp_path: Path
) -> None:
    export(Logs(frame(b"one\n", 1)), GONE)
    with pytest.raises(CommandFailed) as stopped:
        export(Logs(frame(b"two\n", 2) + FAULT), NEW)
    assert "The container app-1 was removed" in stopped.value.message
    assert stopped.value.changed
    assert len(stopped.value.facts["gaps"]) == 1
    assert export(Logs(frame(b"two\n", 2)), NEW)["gaps"] == stopped.value.facts["gaps"]
    assert not export(Logs(frame(b"two\n", 2)), NEW)["gaps"]
    assert (tmp_path / "0_2026.log").read_bytes() == b"one\ntwo\n"


def test_what_one_rule_has_lost_is_told_though_the_next_one_fails(export: Callable[..., dict[str, t.Any]]) -> None:
    export(Logs(frame(b"one\n", 1)), GONE)
    with pytest.raises(CommandFailed, match="It fails") as stopped:
        export(Logs(frame(b"two\n", 2)), NEW, NEW)
    assert "The container app-1 was removed" in stopped.value.message


def test_a_run_that_the_operating_system_stops_says_that_it_has_changed_something(
    export: Callable[..., dict[str, t.Any]], tmp_path: Path
) -> None:
    (tmp_path / ".0.partial").mkdir()
    with pytest.raises(RunbookError, match="operating system refused") as stopped:
        export(Logs(frame(b"one\n", 1)), NEW)
    assert stopped.value.changed
    assert stopped.value.facts["files"][0]["lines"] == 1


@pytest.mark.parametrize(("started", "ended"), [(".812Z", True), (".3Z", False), ("Z", False)])
def test_last_words_before_a_restart_within_the_same_second_are_those_of_a_process_that_has_ended(started: str, ended: bool) -> None:
    container = Container("id", "app", 1, "running", started_at=f"2026-03-01T10:00:00{started}")
    assert _Work._has_ended(container, "2026-03-01T10:00:00.300000000Z") is ended
    assert not _Work._has_ended(Container("id", "app", 1, "running"), "2026-03-01T10:00:00.300000000Z")
