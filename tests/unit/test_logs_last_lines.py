# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For the last lines of a log no more is read than they are, wherever in its generations they begin."""

from __future__ import annotations

import gzip
import time
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.logs.operation import operate
from ansible_collections.sre.runbooks.plugins.module_utils.logs.options import plan_of
from ansible_collections.sre.runbooks.plugins.module_utils.logs.reading import Clock
from ansible_collections.sre.runbooks.plugins.module_utils.logs.remote import segments_of

from .log_scans import NOW

LENGTHS = st.lists(st.integers(1, 300), min_size=0, max_size=40)


def scanned(path: Path, lines: int, **more: t.Any) -> dict[str, t.Any]:
    """The result of a scan for the last lines."""
    return operate(
        {"sources": [{"name": "app", "path": [str(path)], "format": "plain"}], "questions": [{"name": "q", "lines": lines}], **more}
    )


def texts(result: dict[str, t.Any]) -> list[str]:
    return [str(one["text"]) for one in result["answers"][0]["lines"]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(generations=st.tuples(LENGTHS, LENGTHS, LENGTHS), wanted=st.integers(1, 60), ended=st.booleans())
def test_the_last_lines_are_the_same_as_when_everything_is_read(
    tmp_path: Path, generations: tuple[list[int], ...], wanted: int, ended: bool
) -> None:
    number = 0
    for name, lengths in zip(("app.log.2.gz", "app.log.1", "app.log"), generations, strict=True):
        data = b""
        for length in lengths:
            data += b"line %d " % number + b"x" * length * 17 + b"\n"
            number += 1
        data = data if ended or name != "app.log" else data[:-1]
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    whole, last = scanned(tmp_path / "app.log", wanted), scanned(tmp_path / "app.log", wanted, last_lines=wanted)
    assert texts(last) == texts(whole)
    assert len(texts(last)) == min(wanted, number) == last["logs"][0]["lines"], "the counts are those of the last lines"


def test_of_a_packed_generation_no_more_lines_count_than_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"a\nb\nc\n")
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(b"".join(b"%d %s\n" % (number, b"x" * 3000) for number in range(1000)) + b"open"))
    result = scanned(tmp_path / "app.log", 5, last_lines=5)
    assert (result["answers"][0]["count"], [text[:4] for text in texts(result)]) == (5, ["999 ", "open", "a", "b", "c"])


def test_of_a_long_log_only_its_end_is_read_and_older_generations_are_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "app.log").open("wb") as stream:
        stream.truncate(3 << 30)
        stream.seek(0, 2)
        stream.write(b"\nfirst\n" + b"y" * 200_000 + b"\nlast\n")
    (tmp_path / "app.log.1.gz").write_bytes(b"no gzip at all")
    began = time.process_time()
    result = scanned(tmp_path / "app.log", 3, last_lines=3)
    assert time.process_time() - began < 2
    assert [text[:5] for text in texts(result)] == ["first", "yyyyy", "last"]
    assert result["logs"][0]["bytes_read"] < 300_000
    assert result["logs"][0]["notes"] == []


@pytest.mark.parametrize("wrong", [{"last_lines": -1}, {"last_lines": 5, "until": "1h"}])
def test_last_lines_that_make_no_sense_are_refused(tmp_path: Path, wrong: dict[str, t.Any]) -> None:
    with pytest.raises(BadInput, match="last_lines"):
        scanned(tmp_path / "app.log", 1, **wrong)


@pytest.mark.parametrize(
    ("source", "option"),
    [
        ({"container": "app"}, "--tail 7 -- app"),
        ({"container": "app", "engine": "podman"}, "--tail 7 -- app"),
        ({"compose_service": "app"}, "--tail 7 -- app"),
        ({"container": "app", "path": ["/log"]}, "tail -n 7 -- /log"),
        ({"systemd_unit": "app.service"}, "--lines 7"),
    ],
)
def test_a_program_that_keeps_a_log_is_asked_for_its_end(source: dict[str, t.Any], option: str) -> None:
    plan = plan_of({"sources": [{"name": "app", **source}], "last_lines": 7}, NOW)
    (segment,) = segments_of(plan.sources[0], 0, plan, 0, Clock(5), lambda _text: None)
    assert " ".join(segment.argv).endswith(option)
