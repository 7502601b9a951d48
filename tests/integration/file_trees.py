# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Folders with everything that a file system can hold, and a picture of a folder that was taken by other means than the library's."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore

SECRET = "DATABASE_PASSWORD=correct-horse-battery-staple\n"
HOLE_BYTES = 64 << 20
AWKWARD_NAMES = [
    b"with space",
    b"new\nline",
    b'quote"and\\backslash',
    b"-rf",
    b"--directory=x",
    b"tab\there",
    "Übergrößenträger 日本語".encode(),
    b"no utf-8 \xff\xfe\x80",
    b"*?[a]",
    b"octal\\141",
    b"x" * 255,
]


def odd_tree(top: Path) -> None:
    """A folder with files of many sizes, awkward names, links of both kinds, holes, a pipe, attributes, modes, owners and times."""
    top.mkdir(parents=True)
    for number, size in enumerate([0, 1, 511, 512, 513, 10_240, 1 << 20, (1 << 20) + 1, 3_000_001]):
        (top / f"size{number}").write_bytes(random.Random(number).randbytes(size))
    (top / "names").mkdir()
    for number, name in enumerate(AWKWARD_NAMES):
        Path(os.fsdecode(os.path.join(os.fsencode(top), b"names", name))).write_bytes(b"%d" % number)
    deep = top
    for level in range(12):
        deep /= f"level {level} " + "d" * 40
    deep.mkdir(parents=True)
    (deep / ("f" * 200)).write_text("deep")
    os.link(top / "size5", top / "second name")
    os.link(top / "size5", top / "names" / "third name")
    (top / "to a file").symlink_to("size1")
    (top / "to nothing").symlink_to("gone/" + "n" * 300)
    (top / "to a folder").symlink_to("names")
    with (top / "hole").open("wb") as stream:
        stream.write(b"begin")
        stream.seek(HOLE_BYTES)
        stream.write(b"end")
    with (top / "hole at the end").open("wb") as stream:
        stream.write(b"begin")
        stream.truncate(HOLE_BYTES)
    with (top / "only a hole").open("wb") as stream:
        stream.truncate(HOLE_BYTES)
    os.mkfifo(top / "pipe")
    (top / "empty folder").mkdir(mode=0o711)
    for number, mode in enumerate([0o000, 0o400, 0o4755, 0o2750, 0o1777, 0o666]):
        (top / f"mode{number}").write_text(oct(mode))
        (top / f"mode{number}").chmod(mode)
    if os.geteuid() == 0:
        os.chown(top / "size3", 12345, 54321)
        os.chown(top / "to a file", 12345, 54321, follow_symlinks=False)
        os.chown(top / "empty folder", 4_000_000, 4_000_000)  # more than fits seven octal digits
    try:
        os.setxattr(top / "size2", "user.origin", b"a\0b\xff")
        os.setxattr(top / "names", "user.folder", b"yes")
    except OSError:
        pass  # this file system has none
    for number, moment in enumerate([0, 1, 1_234_567_890_123_456_789, -5_000_000_000, 4_294_967_296_000_000_001]):
        (top / f"time{number}").touch()
        os.utime(top / f"time{number}", ns=(moment, moment))
    os.utime(top / "empty folder", ns=(7, 1_111_111_111_222_222_222))
    os.utime(top, ns=(7, 1_111_111_111_333_333_333))


def small_tree(top: Path, files: int = 300, seed: int = 1) -> None:
    """A folder with text files of a few kilobytes."""
    content = random.Random(seed)
    for number in range(files):
        folder = top / f"d{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}.txt").write_text(f"{content.random()} " * content.randint(1, 400))


def picture(top: Path) -> dict[bytes, tuple[t.Any, ...]]:
    """Every name of a folder, or of one file, with all that a restore must bring back, read with plain system calls."""
    base = os.fsencode(top)
    found = [b""]
    for folder, folders, names in os.walk(base):
        found += [os.path.relpath(os.path.join(folder, name), base) for name in [*folders, *names]]
    links: dict[int, list[bytes]] = {}
    for name in found:
        links.setdefault(os.lstat(os.path.join(base, name) if name else base).st_ino, []).append(name)
    result = {}
    for name in found:
        path = os.path.join(base, name) if name else base
        status = os.lstat(path)
        content: t.Any = ""
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        is_sparse = status.st_blocks * 512 < status.st_size // 2 and size > 1 << 20
        try:
            attributes = {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)}
        except OSError:
            attributes = {}
        same = sorted(links[status.st_ino]) if stat.S_ISREG(status.st_mode) else []
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else ()
        result[name] = (status.st_mode, owner, status.st_mtime_ns, size, content, is_sparse, sorted(attributes.items()), same)
    return result


def store(*paths: Path, name: str = "files", **more: t.Any) -> FilesStore:
    """A store of these paths."""
    return FilesStore(name, tuple(str(path) for path in paths), **more)


def age_key(age_keygen: str, folder: Path) -> tuple[str, Path]:
    """A new key of age: the public key, and the file with the private one."""
    file = folder / "age-key.txt"
    said = subprocess.run([age_keygen, "-o", str(file)], capture_output=True, text=True, check=True)
    return said.stderr.split("Public key:")[1].strip(), file


def gpg_key(folder: Path) -> tuple[Path, Path]:
    """A new key of GnuPG: the file with the public key, and the one with the private one."""
    public, private = folder / "public.asc", folder / "private.asc"
    # The path of the agent's socket in it must be short.
    with tempfile.TemporaryDirectory(prefix="sre-gpg-", dir="/tmp") as home:
        call = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        generate = ["--quick-generate-key", "backup@example.org", "rsa2048", "encrypt", "never"]
        subprocess.run([*call, *generate], check=True, capture_output=True)
        public.write_bytes(subprocess.run([*call, "--export", "--armor"], capture_output=True, check=True).stdout)
        private.write_bytes(subprocess.run([*call, "--export-secret-keys", "--armor"], capture_output=True, check=True).stdout)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    return public, private
