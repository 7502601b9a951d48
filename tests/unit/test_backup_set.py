# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets: sealed whole or not at all, every change noticed, proofs that cannot be forged by accident."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import seal, verify
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import (
    BackupSet,
    SetWriter,
    read_set,
    remove_leftovers,
    set_id,
)
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, SetDamaged, SetNotFound
from ansible_collections.sre.runbooks.plugins.module_utils.tool_checks import problems_by_tool
from ansible_collections.sre.runbooks.tests.unit.small_sets import FILES, described, make_set

STATES = st.lists(st.sampled_from(["verified", "proven", "failed"]), max_size=8)


def test_a_sealed_set_reads_back_as_it_was_written(tmp_path: Path) -> None:
    made = make_set(tmp_path, label='é " \\ \u2028')
    again = read_set(made.folder)
    assert again.manifest == made.manifest
    assert (again.state, again.damage, again.problems()) == ("written", [], [])
    assert again.size_bytes == sum(len(content) for content in FILES.values())
    assert os.listdir(tmp_path) == [made.id]
    assert all(not path.stat().st_mode & 0o077 for path in [Path(made.folder), *Path(made.folder).glob("*.json*")])


@settings(max_examples=40, deadline=None)
@given(
    files=st.dictionaries(
        st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1, max_size=40).filter(
            lambda name: name not in (".", "..", "manifest.json", "manifest.json.sha256", "proof.json") and len(name.encode()) <= 200
        ),
        st.binary(max_size=300),
        min_size=1,
        max_size=5,
    ),
    store=st.text(min_size=1, max_size=80),
    position=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_whatever_the_files_are_called_a_set_is_whole_until_one_bit_changes(
    files: dict[str, bytes], store: str, position: float, bit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = make_set(Path(folder), files, store=store.encode(errors="ignore").decode() or "x")
        assert read_set(made.folder).problems() == []
        assert os.path.basename(made.folder) == made.id and "/" not in made.id and len(made.id) < 100
        for path in sorted(Path(made.folder).rglob("*")):
            content = path.read_bytes() if path.is_file() else b""
            if content:
                at = int(len(content) * position)
                path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
                problems = read_set(made.folder).problems()
                assert len(problems) == 1 and path.name in problems[0]
                path.write_bytes(content)


def test_every_single_bit_of_the_seals_counts(tmp_path: Path) -> None:
    made = make_set(tmp_path, {"a": b"1"})
    made.add_proof("proven", detail="restored")
    for name in ("manifest.json", "manifest.json.sha256", "proof.json"):
        path = Path(made.path(name))
        content = path.read_bytes()
        for number in range(len(content) * 8):
            changed = bytearray(content)
            changed[number // 8] ^= 1 << number % 8
            path.write_bytes(changed)
            seen = read_set(made.folder)
            assert seen.state == "failed" and name in seen.damage[0], f"{name}, bit {number}"
        path.write_bytes(content)
    assert read_set(made.folder).state == "proven"


@given(STATES)
def test_the_last_word_of_the_proofs_counts_and_a_weaker_one_takes_nothing_back(states: list[str]) -> None:
    state = described("x", "2026-11-21T02:00:00Z", states).state
    since = states[len(states) - states[::-1].index("failed") :] if "failed" in states else states
    if "failed" in states and not since:
        assert state == "failed"
    else:
        assert state == ("proven" if "proven" in since else "verified" if "verified" in since else "written")


def test_a_set_that_is_left_before_it_is_sealed_leaves_nothing(tmp_path: Path) -> None:
    with SetWriter(str(tmp_path), "reference", "logical") as writer:
        Path(writer.folder, "half").write_text("x")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_writer_left_is_removed_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import SetWriter\n"
        "writer = SetWriter(sys.argv[1], 'reference', 'logical').__enter__()\n"
        "print(writer.id, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        (tmp_path / "not-ours").mkdir()
        (tmp_path / ".hidden").mkdir()
        assert remove_leftovers(str(tmp_path)) == []
    finally:
        process.kill()
        process.wait()
    assert remove_leftovers(str(tmp_path), dry_run=True) == [f".{name}.partial"]
    assert (tmp_path / f".{name}.partial").is_dir()
    assert remove_leftovers(str(tmp_path)) == [f".{name}.partial"]
    assert sorted(os.listdir(tmp_path)) == [".hidden", "not-ours"]
    assert remove_leftovers(str(tmp_path / "absent")) == []


def test_names_are_safe_in_paths_and_sort_by_time() -> None:
    for store in ("reference", "../../etc", "a/b", "", "É", "x" * 500, "A B;C"):
        name = set_id(store, "logical")
        assert "/" not in name and not name.startswith(".") and len(name) < 100
    assert len({set_id("x", "logical") for _number in range(50)}) > 45


def test_a_manifest_of_another_format_is_not_guessed_at(tmp_path: Path) -> None:
    import hashlib

    made = make_set(tmp_path)
    text = json.dumps({**made.manifest, "format": "sre.runbooks/backup-set/2"}).encode()
    Path(made.path("manifest.json")).write_bytes(text)
    Path(made.path("manifest.json.sha256")).write_text(f"{hashlib.sha256(text).hexdigest()}  manifest.json\n")
    assert "backup-set/2" in read_set(made.folder).damage[0]
    # The checksum is of the form that everybody's tool reads.
    shutil.rmtree(made.folder)
    made = make_set(tmp_path)
    subprocess.run(["sha256sum", "--check", "--quiet", "manifest.json.sha256"], cwd=made.folder, check=True)


def test_a_verification_is_written_down_and_so_is_what_it_found(tmp_path: Path) -> None:
    made = make_set(tmp_path)
    assert verify(made, run_id="RUN-1")["backup_set"]["state"] == "verified"
    assert read_set(made.folder).proofs[-1]["run_id"] == "RUN-1"
    with pytest.raises(SetDamaged, match="the tool says no"):
        verify(read_set(made.folder), tool_check=lambda one: ["the tool says no"])
    assert read_set(made.folder).state == "failed"
    verify(read_set(made.folder))
    assert read_set(made.folder).state == "verified"
    assert verify(read_set(made.folder), dry_run=True)["changed"] is False
    assert len(read_set(made.folder).proofs) == 3


def test_only_known_proofs_are_written(tmp_path: Path) -> None:
    made = make_set(tmp_path)
    for state in ("written", "great", ""):
        with pytest.raises(BadInput):
            made.add_proof(state)
    assert not Path(made.path("proof.json")).exists()
    with pytest.raises(SetNotFound):
        read_set(str(tmp_path / "absent"))


def test_plain_files_need_no_tool_and_a_set_of_an_unknown_kind_is_refused_instead_of_passed(tmp_path: Path) -> None:
    assert problems_by_tool(make_set(tmp_path, kind="files", method="archive")) == []
    assert problems_by_tool(make_set(tmp_path, kind="letters", method="letters")) == [], "sealed of files"
    with pytest.raises(BadInput, match="kind 'letters' cannot be verified"):
        problems_by_tool(make_set(tmp_path, kind="letters"))


def test_files_of_others_become_a_set_and_their_folder_is_gone(tmp_path: Path) -> None:
    source = tmp_path / ".incoming"
    (source / "sub").mkdir(parents=True)
    (source / "dump.rdb").write_bytes(b"REDIS")
    (source / "sub" / "x").write_bytes(b"")
    assert seal(str(source), str(tmp_path), "cache", "redis", dry_run=True) == {"changed": True, "files": ["dump.rdb", "sub/x"]}
    summary = seal(str(source), str(tmp_path), "cache", "redis")["backup_set"]
    one: BackupSet = read_set(summary["folder"])
    assert (one.problems(), one.manifest["store"], one.manifest["kind"]) == ([], "cache", "redis")
    with pytest.raises(BadInput, match="holds no files"):
        seal(str(source), str(tmp_path), "cache", "redis")
    with pytest.raises(BadInput, match="must exist"):
        seal(str(tmp_path / "absent"), str(tmp_path), "cache", "redis")
