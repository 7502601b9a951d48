# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The programs that archive files, and how they are called."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ..command import Command, Place, run
from ..errors import BadInput, ToolMissing
from .encryption import Encryption

_CREATE = (
    "--create",
    "--format=posix",
    "--pax-option=delete=atime,delete=ctime",
    "--sparse",
    "--quoting-style=c",
    "--null",
    "--no-recursion",
)
_UNPACK = ("--extract", "--verbose", "--quoting-style=escape", "--numeric-owner", "--same-permissions", "--delay-directory-restore")
_RECORDS = ("--blocking-factor=256",)
"""128 KiB at a time, as pipes of that size take them: a fifth less work for the kernel than the 10 KiB of tapes."""


@dataclass(frozen=True)
class Tools:
    """The programs of one piece of work.

    Attributes:
        folder: Where tar and the compressor are; empty for the search path.
        encryption: How secret files are encrypted; None for not at all.
    """

    folder: str = ""
    encryption: t.Optional[Encryption] = None

    def program(self, name: str) -> str:
        """Path of a program, or ToolMissing."""
        return Place(tool_folder=self.folder).program(name)

    def version(self) -> str:
        """What tar says of itself; raises ToolMissing unless it is GNU tar."""
        first = run(Command([self.program("tar"), "--version"], timeout_s=30)).stdout.partition("\n")[0]
        if "GNU tar" not in first:
            raise ToolMissing("GNU tar is needed", where=first or "tar", next_step="install the package tar (GNU) on this host")
        return first

    def creating(self, folder: bytes) -> Command:
        """tar that reads names, each ended by a zero byte, and writes an archive."""
        return Command([self.program("tar"), *_CREATE, *_RECORDS, *_attributes(), "--files-from=-", "--file=-"], folder=os.fsdecode(folder))

    def unpacking(self, folder: str) -> Command:
        """tar that unpacks an archive into a folder, and writes a line before each member."""
        owner = "--same-owner" if os.geteuid() == 0 else "--no-same-owner"
        return Command([self.program("tar"), *_UNPACK, *_RECORDS, owner, *_attributes(), "--file=-"], folder=folder)

    def compressing(self, compression: str) -> t.Tuple[Command, str]:
        """The compressor in the words of a profile (`auto`, `zstd:3`, `gzip:6`), and the ending of its files.

        Raises:
            BadInput: There is no such compression.
        """
        name, _colon, level = compression.partition(":")
        if name == "auto":
            try:
                self.program("zstd")
                name = "zstd"
            except ToolMissing:
                name = "gzip"
        if name not in _COMPRESSORS or not (level or "1").isdigit():
            raise BadInput(f"There is no compression {compression!r}", next_step="say auto, zstd:1 to zstd:19, or gzip:1 to gzip:9")
        ending, arguments = _COMPRESSORS[name]
        return Command([self.program(name), f"-{level or 1}", *arguments]), ending

    def decompressing(self, archive: str) -> Command:
        """What decompresses a file with that ending."""
        name = "zstd" if ".zst" in os.path.basename(archive) else "gzip"
        return Command([self.program(name), "--decompress", "--stdout"])


_COMPRESSORS = {"zstd": (".zst", ("--quiet", "--check", "--stdout")), "gzip": (".gz", ("--stdout",))}


def _attributes() -> t.List[str]:
    # Attributes outside `user.` (capabilities of programs, SELinux) can only be put back by root.
    everything = ["--xattrs-include=*"] if os.geteuid() == 0 else []
    return ["--xattrs", *everything, "--acls"]
