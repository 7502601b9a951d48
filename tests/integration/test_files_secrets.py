# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secret files are in a set only encrypted, by age and by GnuPG, and come back with the private key alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import verify
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.encryption import Encryption
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.selection import Selection
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.tools import Tools
from integration.file_trees import SECRET, age_key, gpg_key, picture, small_tree, store
from tools.debian_packages import NoPackage, program


def _encryption(tool: str, folder: Path, cache: Path) -> Encryption:
    """A new key, and the program that uses it."""
    folder.mkdir()
    if tool == "gpg":
        if not shutil.which("gpg"):
            pytest.skip("there is no gpg here")
        public, private = gpg_key(folder)
        return Encryption("gpg", (str(public),), str(private))
    try:
        age, keygen = program("age", "age", cache), program("age-keygen", "age", cache)
    except NoPackage as error:
        pytest.skip(str(error))
    public_key, file = age_key(keygen, folder)
    return Encryption("age", (public_key,), str(file), os.path.dirname(age))


@pytest.mark.parametrize("tool", ["age", "gpg"])
def test_a_secret_is_nowhere_in_clear_and_comes_back_with_the_key(
    tool: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encryption = _encryption(tool, tmp_path / "key", cache)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    tree, single = tmp_path / "live" / "config", tmp_path / "live" / ".env"
    small_tree(tree, 10)
    (tree / "deep" / "er").mkdir(parents=True)
    for path in (single, tree / ".env", tree / "deep" / "er" / "tls.key"):
        path.write_text(SECRET)
        path.chmod(0o600)
    os.link(tree / ".env", tree / "deep" / ".env")
    os.utime(tree / "deep", ns=(1, 1_222_333_444_555_666_777))
    wanted = picture(tree), picture(single)
    files = store(tree, single, selection=Selection(encrypt=[".env", "deep/*.key"]), encryption=encryption)
    result = back_up(FilesBackup(files, str(tmp_path / "sets")))
    one = read_set(result["backup_set"]["folder"])
    assert result["content"]["encrypted_files"] == 4

    for part in ("correct-horse", "DATABASE_PASSWORD"):
        assert part not in json.dumps(one.manifest)
        assert part not in json.dumps(result)
    for archive in Path(one.folder).iterdir():
        clear = archive.read_bytes()
        if archive.suffix == ".zst":
            clear = subprocess.run(["zstd", "-dc", archive], capture_output=True, check=True).stdout
        assert SECRET.encode() not in clear
        assert (b"age-encryption" in clear or tool == "gpg") if "secret" in archive.name else b"deep/.env" not in clear
    assert list(temporary.iterdir()) == []

    assert verify(one)["backup_set"]["state"] == "verified", "without the private key"
    shutil.rmtree(tree)
    single.write_text("lost")
    blind = Encryption(tool, encryption.recipients, "", encryption.tool_folder)
    with pytest.raises(BadInput, match="private key"):
        restore_files(FilesRestore(store(tree, single, encryption=blind), one))
    with pytest.raises(BadInput, match="private key"):
        rehearse(one, Tools(encryption=blind))
    assert read_set(one.folder).state == "verified", "that the key is not here is not the set's fault"
    restore_files(FilesRestore(files, one))
    assert (picture(tree), picture(single)) == wanted
    rehearse(one, Tools(encryption=encryption))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("tool", ["age", "gpg"])
def test_another_key_opens_nothing_and_changes_nothing(tool: str, tmp_path: Path, cache: Path) -> None:
    encryption, other = _encryption(tool, tmp_path / "key", cache), _encryption(tool, tmp_path / "other", cache)
    secret = tmp_path / ".env"
    secret.write_text(SECRET)
    one = read_set(
        back_up(FilesBackup(store(secret, selection=Selection(encrypt=[".env"]), encryption=encryption), str(tmp_path / "sets")))[
            "backup_set"
        ]["folder"]
    )
    secret.write_text("newer")
    with pytest.raises(RunbookError, match=tool):
        restore_files(FilesRestore(store(secret, encryption=other), one))
    assert secret.read_text() == "newer"
    assert sorted(path.name for path in tmp_path.iterdir() if "restoring" in path.name) == []
    with pytest.raises(RunbookError, match=tool):
        rehearse(one, Tools(encryption=other))
    assert read_set(one.folder).state == "written", "that the key is another one is not the set's fault"


def test_a_store_with_secrets_is_not_backed_up_without_a_usable_key(tmp_path: Path, cache: Path) -> None:
    encryption = _encryption("age", tmp_path / "key", cache)
    (tmp_path / ".env").write_text(SECRET)
    selection = Selection(encrypt=[".env"])
    for wrong in (
        None,
        Encryption("age", (), "", encryption.tool_folder),
        Encryption("age", ("age1nonsense",), "", encryption.tool_folder),
    ):
        request = FilesBackup(store(tmp_path / ".env", selection=selection, encryption=wrong), str(tmp_path / "sets"))
        for operation in (describe, back_up):
            with pytest.raises(BadInput, match="encrypted"):
                operation(request)
    assert not (tmp_path / "sets").exists()
