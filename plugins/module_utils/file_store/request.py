# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a backup or a restore of files is asked to do."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput
from .encryption import Encryption
from .selection import Selection
from .volume import Volume


@dataclass(frozen=True)
class FilesStore:
    """A store of files, as the profile describes it.

    Attributes:
        name: Its name.
        paths: Folders and files, absolute.
        volume: The Docker volume whose files they are, instead of `paths`.
        into: Folder in the set.
        selection: Which files.
        encryption: How secret ones are encrypted; None when there is no key.
        tool_folder: Folder of tar and zstd; empty for the search path.
    """

    name: str
    paths: t.Sequence[str] = ()
    volume: t.Optional[Volume] = None
    into: str = ""
    selection: Selection = field(default_factory=Selection)
    encryption: t.Optional[Encryption] = None
    tool_folder: str = ""

    @property
    def kind(self) -> str:
        """`volume` or `files`."""
        return "volume" if self.volume else "files"

    def sources(self) -> t.List[str]:
        """The paths, clean, or the mount point of the volume.

        Raises:
            BadInput: There are none, one is not absolute or is `/`, or one lies in another.
        """
        if self.volume:
            return [self.volume.mount_point()]
        return clean(self.paths)


def clean(paths: t.Sequence[str]) -> t.List[str]:
    """Absolute paths without a slash at the end; raises BadInput for those that cannot be one store."""
    if not paths:
        raise BadInput("No paths are named", next_step="give paths, or volume, in the store of the profile")
    cleaned = []
    for path in paths:
        if not os.path.isabs(path) or os.path.normpath(path) == "/":
            raise BadInput(f"{path!r} is no path that can be backed up", next_step="name folders or files by their absolute path, not /")
        cleaned.append(os.path.normpath(path))
    for one in cleaned:
        for other in cleaned:
            if one != other and other.startswith(one + "/"):
                raise BadInput("One path lies in another", where=f"{other} in {one}", next_step="name only the outer one")
    if len(set(cleaned)) != len(cleaned):
        raise BadInput("A path is named twice", where=", ".join(cleaned), next_step="name each once")
    return cleaned
