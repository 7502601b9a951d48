# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What passes as a tar archive is read as the standard library reads it, patterns choose what they say, messages of tar are understood."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, SetDamaged
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.contents import (
    Comparison,
    compare,
    compare_links,
    entry_of,
    is_file,
    line,
)
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.messages import read_messages
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import clean
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.selection import Selection, Walk, ancestors
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.tar_stream import Entry, TarReader

NAMES = st.lists(st.binary(min_size=1, max_size=150).filter(lambda name: not set(name) & {0, 0x2F}), min_size=1, max_size=4).map(
    lambda parts: b"/".join(b"n" + part for part in parts)
)
MEMBERS = st.lists(
    st.tuples(
        NAMES,
        st.binary(max_size=2000),
        st.sampled_from([0o644, 0, 0o7777]),
        st.sampled_from([0, 1000, 1 << 30]),
        st.integers(0, 1 << 35) | st.integers(10**9, 2 * 10**9),
    ),
    max_size=8,
)


class Dripping(io.RawIOBase):
    """A source that gives so many bytes at once at most, as a pipe may."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._stream, self._piece = io.BytesIO(data), piece

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._stream.read(min(size, self._piece) if size >= 0 else self._piece)


def archive(members: list[tuple[bytes, bytes, int, int, int]], form: int) -> bytes:
    """An archive written by the standard library."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
        for name, content, mode, owner, moment in members:
            info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            info.size, info.mode, info.uid, info.gid, info.mtime = len(content), mode, owner, owner, moment
            if nanoseconds(moment) % 10**9:
                info.pax_headers = {"mtime": f"{moment}.{moment:09}"[: len(str(moment)) + 10]}
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def nanoseconds(moment: int) -> int:
    """Every other moment is not a whole second, as with files that people write."""
    return moment * 10**9 + (int(f"{moment:09}"[:9]) if moment % 2 else 0)


@settings(max_examples=60, deadline=None)
@given(MEMBERS, st.sampled_from([1, 7, 512, 1000, 1 << 20]))
def test_any_members_are_read_as_they_were_written_however_the_bytes_arrive(
    members: list[tuple[bytes, bytes, int, int, int]], piece: int
) -> None:
    data = archive(members, tarfile.PAX_FORMAT)
    passed = io.BytesIO()
    read = list(TarReader(t.cast("t.IO[bytes]", Dripping(data, piece)), passed.write))
    assert passed.getvalue() == data, "every byte is handed on"
    expected = [
        (name.rstrip(b"/"), "file", mode, owner, owner, nanoseconds(moment), len(content), hashlib.sha256(content).hexdigest(), "")
        for name, content, mode, owner, moment in members
    ]
    assert [tuple(entry) for entry in read] == expected
    assert [entry_of(line(one)) for one in read] == read
    assert all(is_file(line(one)) and not is_file(line(one._replace(type="symlink", content=', "file", "'))) for one in read)


@given(st.integers(0, 3000), st.integers(0, 7))
def test_an_archive_that_is_cut_or_flipped_in_a_header_never_ends_in_anything_but_an_error_or_other_entries(at: int, bit: int) -> None:
    data = archive([(b"n" * 120, b"x" * 700, 0o644, 1000, 10**9), (b"m", b"y", 0o600, 0, 0)], tarfile.PAX_FORMAT)
    whole = list(TarReader(t.cast("t.IO[bytes]", io.BytesIO(data))))
    with pytest.raises(SetDamaged):
        list(TarReader(t.cast("t.IO[bytes]", io.BytesIO(data[:at]))))
    flipped = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
    try:
        read = list(TarReader(t.cast("t.IO[bytes]", io.BytesIO(flipped))))
    except SetDamaged:
        return
    assert len(read) <= len(whole)


def test_each_difference_is_named_and_nothing_is_taken_for_another() -> None:
    def one(name: bytes, **more: t.Any) -> Entry:
        return Entry(name, "file", 0o644, 1, 2, 5, 3, "ab" * 32)._replace(**more)

    expected = [one(b"a"), one(b"b"), one(b"c"), one(b"d")]
    found = [one(b"a", mode=0o600, uid=9), one(b"c", content="cd" * 32), one(b"d"), one(b"e")]
    with_owners, without = Comparison(), Comparison()
    compare(iter(expected), iter(found), with_owners, owners=True)
    compare(iter(expected), iter(found), without, owners=False)
    assert with_owners.differences == [
        "a: mode 0644 became 0600, owner 1 became 9",
        "b is missing",
        "c: content abababababab… became cdcdcdcdcdcd…",
        "e does not belong there",
    ]
    assert without.differences[0] == "a: mode 0644 became 0600"
    assert not with_owners.told()["same"]


def test_a_second_name_that_is_another_file_by_now_or_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("same")
    os.link(tmp_path / "first", tmp_path / "second")
    (tmp_path / "copy").write_text("same")
    links = [Entry(name, "link", 0o644, 1, 2, 5, 0, "first") for name in (b"second", b"copy", b"gone")]
    found = Comparison()
    compare_links(links, os.fsencode(tmp_path), found)
    assert found.differences == ["copy: it is no longer the same file as first", "gone is missing"]
    assert found.tally.links == 3


def test_what_tar_says_of_single_files_is_understood() -> None:
    said = b"\n".join(
        [
            b'tar: "d/new\\nline \\377\\"": file changed as we read it',
            b'/usr/bin/tar: "big: one": File shrank by 17 bytes; padding with zeros',
            b'tar: "gone": Cannot stat: No such file or directory',
            b'tar: "gone too": File removed before we read it',
            b'tar: "s": socket ignored',
            b"tar: Exiting with failure status due to previous errors",
            b'tar: "secret": Cannot open: Permission denied',
            b"tar: write error",
        ]
    )
    told, complaints = read_messages(said)
    assert told.changed == [b'd/new\nline \xff"', b"big: one"]
    assert told.vanished == [b"gone", b"gone too"]
    assert len(told.others) == 1
    assert [text.partition(": ")[2] for text in complaints] == ['"secret": Cannot open: Permission denied', "write error"]


@pytest.mark.parametrize(
    ("selection", "plain", "secret"),
    [
        (Selection(), ["a.log", "b/.env", "b/a.log", "b/c/x", "d"], []),
        (Selection(exclude=["a.log"]), ["b/.env", "b/c/x", "d"], []),
        (Selection(exclude=["/a.log"]), ["b/.env", "b/a.log", "b/c/x", "d"], []),
        (Selection(exclude=["b/*.log", "c"]), ["a.log", "b/.env", "d"], []),
        (Selection(include=["*.log", "b/c/*"]), ["a.log", "b/a.log", "b/c/x"], []),
        (Selection(encrypt=[".env", "b/c/x"]), ["a.log", "b/a.log", "d"], ["b/.env", "b/c/x"]),
        (Selection(encrypt=["*"], exclude=["?"]), [], ["a.log"]),
        (Selection(exclude=["[!b]*"]), [], []),
        (Selection(encrypt=["c"]), ["a.log", "b/.env", "b/a.log", "d"], ["b/c/x"]),
        (Selection(encrypt=["b/c"]), ["a.log", "b/.env", "b/a.log", "d"], ["b/c/x"]),
        (Selection(encrypt=["b*x", "/x"]), ["a.log", "b/.env", "b/a.log", "b/c/x", "d"], []),
    ],
)
def test_patterns_choose_what_they_say(selection: Selection, plain: list[str], secret: list[str], tmp_path: Path) -> None:
    for name in ("a.log", "b/.env", "b/a.log", "b/c/x", "d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    walk = Walk(os.fsencode(tmp_path), selection)
    names = [os.fsdecode(name) for name in walk.names()]
    assert names[0] == "."
    assert sorted(name for name in names if (tmp_path / name).is_file()) == plain
    assert sorted(map(os.fsdecode, walk.secret)) == secret


def test_folders_that_lead_to_names_come_before_them_once() -> None:
    assert ancestors([b"a/b/c", b"a/d", b"e"]) == [b".", b"a", b"a/b"]
    assert ancestors([b".env"], is_folder=False) == []


def test_paths_are_cleaned_and_those_that_make_no_store_are_refused() -> None:
    assert clean(["/a/b/", "/a/../c"]) == ["/a/b", "/c"]
    for wrong in ([], ["a"], ["/"], ["/a", "/a/b"], ["/a", "/a/"], ["/.."]):
        with pytest.raises(BadInput):
            clean(wrong)
