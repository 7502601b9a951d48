# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Are the files of a set what its manifest says?"""

from __future__ import annotations

import os
import typing as t

from ..errors import SetDamaged
from .hashing import hash_file, new_md5, parallel
from .in_use import CHOSEN


def check_files(
    folder: str,
    files: t.Sequence[t.Mapping[str, t.Any]],
    *,
    jobs: int = 2,
    on_bytes: t.Optional[t.Callable[[int], None]] = None,
    hashed: t.Optional[t.Mapping[str, str]] = None,
    md5: t.Optional[t.Dict[str, str]] = None,
) -> t.List[str]:
    """Compare files with what a manifest says of them.

    Args:
        folder: The set's folder.
        files: Entries `path`, `size_bytes`, `sha256`.
        jobs: How many to read at once.
        on_bytes: Called with the number of bytes checked so far.
        hashed: SHA-256 of files that were read already since they were written.
        md5: Gets path -> MD5 of every file that is read, of the very bytes that have that SHA-256.

    Returns:
        One sentence for every file that is not as it should be; empty when all are. Files that the manifest does not know count too.
    """
    known = {entry["path"] for entry in files}
    done = [0]

    def read(name: str) -> str:
        digests = [] if md5 is None else [new_md5()]
        found = hash_file(os.path.join(folder, name), *digests)[0]
        if md5 is not None:
            md5[name] = digests[0].hexdigest()
        return found

    def check(entry: t.Mapping[str, t.Any]) -> str:
        path = os.path.join(folder, entry["path"])
        try:
            size = os.lstat(path).st_size
            if size != entry["size_bytes"]:
                return f"{entry['path']} has {size} bytes instead of {entry['size_bytes']}"
            found = (hashed or {}).get(entry["path"], "")
            if found != entry["sha256"]:  # not read yet, or before it was whole
                found = read(entry["path"])
        except FileNotFoundError:
            return f"{entry['path']} is missing"
        except OSError as error:
            return f"{entry['path']} cannot be read: {error.strerror}"
        done[0] += size
        if on_bytes is not None:
            on_bytes(done[0])
        return (
            ""
            if found == entry["sha256"]
            else f"{entry['path']} has another content (SHA-256 {found[:12]}… instead of {entry['sha256'][:12]}…)"
        )

    largest_first = sorted(files, key=lambda entry: -int(entry["size_bytes"]))
    problems = [text for text in parallel([lambda e=entry: check(e) for entry in largest_first], jobs) if text]  # type: ignore[misc]
    return problems + [f"{path} does not belong to the set" for path in sorted(_present(folder) - known)]


def _present(folder: str) -> t.Set[str]:
    return {os.path.relpath(os.path.join(top, name), folder) for top, _folders, names in os.walk(folder) for name in names} - SEAL_FILES


SEAL_FILES = frozenset({"manifest.json", "manifest.json.sha256", "proof.json", CHOSEN})
"""Files of a set that its manifest does not list: itself, its own checksum, the proofs that come later, and the note that it was chosen."""


def damaged(
    folder: str,
    problems: t.Sequence[str],
    what: str = "backup set",
    next_step: str = "use another set (restore does so by itself unless one was named) or fetch the off-site copy",
) -> SetDamaged:
    """The error that names what is wrong with a set."""
    shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    return SetDamaged(
        f"The {what} {os.path.basename(folder)} is damaged",
        where=folder,
        why=shown,
        next_step=next_step,
        facts={"problems": list(problems)},
    )
