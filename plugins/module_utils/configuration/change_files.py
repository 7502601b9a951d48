# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module configuration_files: files of configuration get their content, all of them or none."""

from __future__ import annotations

import os
import typing as t

from ..errors import BadInput, RunbookError
from ..files import write_atomically
from .change_environment import mode_from
from .in_place import Present, present, replace, shown

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "secret_content": {"type": "str", "no_log": True},
            "mode": {"type": "str", "default": ""},
        },
        "mutually_exclusive": [("content", "secret_content")],
        "required_one_of": [("content", "secret_content")],
    },
}
"""Described in plugins/modules/configuration_files.py."""
_NEW_MODE = 0o644
_NEW_SECRET_MODE = 0o600
_OTHERS_READ = 0o044


class _Wanted(t.NamedTuple):
    found: Present
    data: bytes
    mode: int
    secret: bool


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Write the files in `parameters`, valid for OPTIONS; in check mode only tell which.

    Raises:
        BadInput: A file cannot be read, or is named twice; nothing was changed.
        RunbookError: A file cannot be written; those written before it are as they were, unless `changed` says otherwise.
    """
    wanted = [_wanted(one) for one in parameters["files"]]
    paths = [one.found.path for one in wanted]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise BadInput(f"{twice[0]} is named twice", next_step="name each file once")
    different = [one for one in wanted if one.found.data != one.data or one.found.mode != one.mode]
    if not check_mode:
        _write(different)
    return {
        "changed": bool(different),
        "written": [one.found.path for one in different],
        "created": [one.found.path for one in different if one.found.data is None],
        "diff": [_difference(one) for one in different],
    }


def _wanted(told: t.Mapping[str, t.Any]) -> _Wanted:
    secret = told["secret_content"] is not None
    found = present(told["path"], _NEW_SECRET_MODE if secret else _NEW_MODE)
    text = told["secret_content"] if secret else told["content"]
    return _Wanted(found, text.encode(), mode_from(told["mode"]) if told["mode"] else found.mode, secret)


def _write(wanted: t.Sequence[_Wanted]) -> None:
    done: t.List[_Wanted] = []
    try:
        for one in wanted:
            replace(one.found, one.data, one.mode)
            done.append(one)
    except (RunbookError, OSError) as error:
        stay = {one.found.path: why for one in reversed(done) for why in [_put_back(one.found)] if why}
        if not stay:
            raise
        why = error.message if isinstance(error, RunbookError) else f"{wanted[len(done)].found.path}: {error.strerror or error}"
        raise RunbookError(
            "Not all files could be written, and those written before could not all be put back",
            where=", ".join(stay),
            why="; ".join([why.rstrip("."), *(f"{path}: {said}" for path, said in stay.items())]),
            next_step="make room, or mend what else it was, then run the procedure again; these files have their new content",
            changed=True,
        ) from error


def _put_back(found: Present) -> str:
    """Give a file its former content; returns why that cannot be done, empty where it is."""
    try:
        if found.data is None:
            os.unlink(found.path)
        else:
            write_atomically(found.path, found.data, found.mode, found.owner)
    except (RunbookError, OSError) as error:
        return error.message.rstrip(".") if isinstance(error, RunbookError) else error.strerror or str(error)
    return ""


def _difference(one: _Wanted) -> t.Dict[str, str]:
    headers = {"before_header": one.found.path, "after_header": one.found.path}
    if one.secret or not one.found.mode & one.mode & _OTHERS_READ:
        return {**headers, "before": "" if one.found.data is None else "(content not shown)\n", "after": "(other content, not shown)\n"}
    texts = [(one.found.data or b"").decode(errors="replace"), one.data.decode(errors="replace")]
    before, after = map(shown, texts)
    if one.found.data == one.data:
        before, after = f"mode {one.found.mode:04o}\n", f"mode {one.mode:04o}\n"
    return {**headers, "before": before, "after": after}
