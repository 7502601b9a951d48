# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small images made byte by byte: of any age, with a program that waits for ever, loaded into an engine without a build."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import struct
import tarfile
import typing as t
from pathlib import Path

import pytest

_PAUSE = bytes.fromhex("6a22580f05ebf9")
"""pause(2) again and again, for x86-64."""
WAIT = "/wait"
"""The program in every image."""


def _program() -> bytes:
    if platform.machine() != "x86_64":
        pytest.skip(f"the made images hold a program for x86-64, and this is {platform.machine()}")
    base, head = 0x400000, 64 + 56
    size = head + len(_PAUSE)
    elf = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + _PAUSE


def _tar(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def archive_of(path: Path, images: t.Iterable[tuple[list[str], str, bytes]]) -> Path:
    """Write an archive for `docker load`: images as (names, built at, content of a file of its own)."""
    files: dict[str, bytes] = {}
    manifest = []
    for names, created, content in images:
        layer = _tar({WAIT.lstrip("/"): _program(), "content": content})
        digest = hashlib.sha256(layer).hexdigest()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {"Cmd": [WAIT]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": created}],
        }
        text = json.dumps(config).encode()
        name = f"{hashlib.sha256(text).hexdigest()}.json"
        files[name], files[f"{digest}/layer.tar"] = text, layer
        manifest.append({"Config": name, "RepoTags": names, "Layers": [f"{digest}/layer.tar"]})
    path.write_bytes(_tar({**files, "manifest.json": json.dumps(manifest).encode()}))
    return path
