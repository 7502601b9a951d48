# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables in environment files: what is written is what is read back, and everything else stays as it is."""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.configuration import in_place
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.change_environment import operate
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.environment import SYNTAXES, plan, read
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
# What quoting can go wrong with comes often.
AWKWARD = st.sampled_from([*list("'\"\\$`#= \t{}:;!%\n\r"), "\\n", "${A}", "$$", " #", "\\\n", "export "])
VALUES = st.lists(st.one_of(AWKWARD, st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\x00\ufeff")), max_size=12).map(
    "".join
)
ONE_LINE = VALUES.map(lambda text: text.replace("\n", "").replace("\r", ""))
FORMATS = st.sampled_from(list(SYNTAXES))
LINES = {
    "compose": [
        "# a comment\n",
        "\n",
        "A=1 # of A\n",
        "export B='two words'\n",
        'C="x\\ty"\n',
        "D=${A}/x\n",
        "E\n",
        "F: yaml\n",
        "A=again\n",
        "G='a\nb'\n",
        "H=\r\n",
    ],
    "systemd": [
        "; a comment\n",
        "\n",
        "A=1 # not a comment\n",
        "B='two words' \"joined\"\n",
        "C=a\\\nb\n",
        "no assignment\n",
        "# \\\n",
        'D="x\ny"\n',
        "A=\n",
        "E= x \r\n",
    ],
    "raw": [
        "# a comment\n",
        "\n",
        "A='1' # part of it\n",
        "  B=two words \n",
        "C\n",
        "A=$B\n",
        "D=\r\n",
    ],
}
FILES = FORMATS.flatmap(lambda name: st.tuples(st.just(name), st.lists(st.sampled_from(LINES[name]), max_size=6).map("".join)))


def values_for(syntax: str) -> st.SearchStrategy[str]:
    return ONE_LINE if syntax == "raw" else VALUES


@given(FORMATS.flatmap(lambda name: st.tuples(st.just(name), st.dictionaries(NAMES, values_for(name), max_size=4))))
@settings(max_examples=200)
def test_what_is_written_is_what_is_read_back(case: tuple[str, dict[str, str]]) -> None:
    syntax, wanted = case
    written = plan("", syntax, wanted, ()).text
    assert read(written, syntax) == wanted
    assert plan(written, syntax, wanted, ()).changes == []


@given(
    FILES.flatmap(
        lambda case: st.tuples(
            st.just(case[0]),
            st.just(case[1]),
            st.dictionaries(st.sampled_from("ABCDEXYZ"), values_for(case[0]), max_size=4),
            st.sets(st.sampled_from("ABCDEFGHUV"), max_size=3),
            st.booleans(),
        )
    )
)
@settings(max_examples=200)
def test_other_variables_and_comments_stay_as_they_are(case: tuple[str, str, dict[str, str], set[str], bool]) -> None:
    syntax, text, wanted, remove, cut = case
    text = text.rstrip("\n") if cut else text
    remove -= set(wanted)
    before = read(text, syntax)
    after = plan(text, syntax, wanted, remove).text
    assert read(after, syntax) == {**{name: value for name, value in before.items() if name not in remove}, **wanted}
    for line in text.splitlines():
        if line.startswith(("#", ";")):
            assert line in after.splitlines()
    assert plan(after, syntax, wanted, remove).text == after
    assert plan(text, syntax, {}, ()).text == text


@pytest.mark.parametrize(
    ("syntax", "text", "expected"),
    [
        ("compose", "A=1 # note\nB=2\n", "A=9 # note\nB=2\n"),
        ("compose", "export A='1' # note\r\nB=2\r\n", "export A=9 # note\r\nB=2\r\n"),
        ("compose", "A: 1\n", "A: 9\n"),
        ("compose", "A=0\nA='1\n2'\nB=2", "A=0\nA=9\nB=2"),
        ("compose", "A\nB=2\n", "A=9\nB=2\n"),
        ("systemd", "A='1' \"2\"\n# A=1\n", "A=9\n# A=1\n"),
        ("systemd", "A=1\\\n2\nB=2\n", "A=9\nB=2\n"),
        ("raw", "A='1' # x\n", "A=9\n"),
    ],
)
def test_a_variable_is_changed_where_it_stands(syntax: str, text: str, expected: str) -> None:
    assert plan(text, syntax, {"A": "9"}, ()).text == expected


@pytest.mark.parametrize(
    ("syntax", "text", "value"),
    [
        ("compose", r"A='it\'s'", "it's"),
        ("compose", r'A="a\tb\\\"c\$d"', 'a\tb\\"c$d'),
        ("compose", "A=a$$b", "a$b"),
        ("compose", "A= x  # y", "x"),
        ("compose", "A=x#y", "x#y"),
        ("compose", "A=${B:-x}", None),
        ("compose", "A", None),
        ("systemd", "A=a\\$b\\ \n", "a$b "),
        ("systemd", 'A="a\\x\\`"', "a\\x`"),
        ("systemd", "A=x'y'", "x'y'"),
        ("systemd", "A=${B}", "${B}"),
        ("raw", "A='x' ", "'x' "),
    ],
)
def test_values_are_read_as_the_programs_read_them(syntax: str, text: str, value: str | None) -> None:
    assert read(text, syntax) == {"A": value}


@pytest.mark.parametrize("name", ["1A", "A-B", "A B", "", "A=B", "A\n", "Ä", "A.B"])
def test_names_that_are_no_variable_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no name of an environment variable"):
        run(tmp_path / ".env", values={name: "x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("syntax", "value"), [("raw", "a\nb"), ("raw", "a\r"), ("compose", "a\0b"), ("systemd", "a\ufeffb"), ("systemd", "\ufdd0")]
)
def test_values_that_the_format_cannot_hold_are_refused(syntax: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="The value of A has") as error:
        run(tmp_path / ".env", format=syntax, secret_values={"A": value})
    assert value not in error.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["A='s3cr3t\n", "A B=s3cr3t\n", "=s3cr3t\n", "a;b=s3cr3t\n"])
def test_a_file_that_compose_would_refuse_is_left_alone_and_its_line_not_repeated(text: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(f"OK=1\n{text}")
    with pytest.raises(BadInput, match="Line 2 of the file is not understood") as error:
        run(path, values={"X": "1"})
    assert "s3cr3t" not in error.value.message
    assert path.read_text() == f"OK=1\n{text}"


def run(path: Path, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
    defaults: dict[str, t.Any] = {
        "format": "compose",
        "values": {},
        "secret_values": {},
        "remove": [],
        "mode": "0600",
    }
    return operate({"path": str(path), **defaults, **more}, check_mode)


def test_owner_mode_links_and_unchanged_files_are_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.env", tmp_path / ".env"
    real.write_text("A=1\n")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 1234, 2345)
    link.symlink_to(real)
    before = real.stat()
    assert run(link, values={"A": 2, "B": True})["updated"] == ["A"]
    after = real.stat()
    assert (link.is_symlink(), real.read_text()) == (True, "A=2\nB=true\n")
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)
    assert run(link, values={"A": "2", "B": "true"})["changed"] is False
    assert real.stat() == after


def test_check_mode_predicts_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    predicted = run(path, check_mode=True, values={"A": "x y"})
    assert not path.exists()
    assert predicted == run(path, values={"A": "x y"})
    assert predicted["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (predicted["created"], stat.S_IMODE(path.stat().st_mode)) == (True, 0o600)


def test_secret_values_are_in_no_result(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("HIDDEN=old-1\nAPI_TOKEN=old-2\nGONE=old-3\nURL=http://u:old-4@h/\nPLAIN=seen\n")
    values = {"API_TOKEN": "new-2", "URL": "http://u:new-4@h/", "PLAIN": "shown"}
    result = run(path, values=values, secret_values={"HIDDEN": "new-1"}, remove=["GONE", "NEVER"])
    assert "old-" not in str(result) and "new-" not in str(result)
    assert ("PLAIN=seen" in result["diff"]["before"], "PLAIN=shown" in result["diff"]["after"]) == (True, True)
    assert "HIDDEN=changed" in result["diff"]["after"]
    assert (result["updated"], result["removed"]) == (["API_TOKEN", "URL", "PLAIN", "HIDDEN"], ["GONE"])


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    looked = in_place.present

    def somebody_writes(name: str, mode: int = 0o600) -> in_place.Present:
        path.write_text("A=theirs\n")
        return looked(name, mode)

    monkeypatch.setattr(in_place, "present", somebody_writes)
    with pytest.raises(RunbookError, match="was changed meanwhile"):
        run(path, values={"A": "2"})
    assert path.read_text() == "A=theirs\n"


def test_a_statement_written_into_another_is_not_torn_out(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A='1' B=2\nC=3\n")
    assert run(path, remove=["A"])["removed"] == ["A"]
    assert read(path.read_text(), "compose") == {"B": "2", "C": "3"}
