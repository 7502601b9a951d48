# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module environment_file: variables are set and removed in a file; secret values are never shown."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ..checks.redaction import Redactor, is_secret_name
from ..errors import BadInput, RunbookError
from .environment import SYNTAXES, Change, Plan, plan
from .in_place import Present, present, replace

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "path": {"type": "path", "required": True},
    "format": {"type": "str", "choices": list(SYNTAXES), "default": "compose"},
    "values": {"type": "dict", "default": {}},
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
    "remove": {"type": "list", "elements": "str", "default": []},
    "mode": {"type": "str", "default": "0600"},
}
"""Described in plugins/modules/environment_file.py."""
_HIDDEN = "(not shown)"
_MODE = re.compile(r"0o?[4-7][0-7]{2}\Z")


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Change the file in `parameters`, valid for OPTIONS; in check mode only tell what that would change.

    Raises:
        BadInput: What is asked for cannot be in such a file; nothing was changed.
        RunbookError: The file is changed meanwhile, or cannot be written; nothing was changed.
    """
    plain, secret = texts(parameters["values"]), texts(parameters["secret_values"])
    twice = sorted(set(plain) & set(secret))
    if twice:
        raise BadInput(f"{', '.join(twice)} is named in values and in secret_values", next_step="name each variable once")
    found = present(parameters["path"], mode_from(parameters["mode"]))
    try:
        text = (found.data or b"").decode()
        planned = plan(text, parameters["format"], {**plain, **secret}, list(dict.fromkeys(parameters["remove"])))
    except UnicodeDecodeError as error:
        raise BadInput("The file is no text in UTF-8", where=found.path, next_step="correct it, or name another file") from error
    except RunbookError as error:
        raise type(error)(error.what, where=error.where or found.path, why=error.why, next_step=error.next_step) from None
    data = planned.text.encode()
    if planned.changes and not check_mode:
        replace(found, data)
    return _result(found, planned, data, frozenset(secret))


def _result(found: Present, planned: Plan, data: bytes, secret: t.FrozenSet[str]) -> t.Dict[str, t.Any]:
    changes = planned.changes
    return {
        "changed": bool(changes),
        "path": found.path,
        "created": bool(changes) and found.data is None,
        "added": [one.name for one in changes if one.is_new],
        "updated": [one.name for one in changes if not one.is_new and one.after is not None],
        "removed": [one.name for one in changes if one.after is None],
        "sha256": hashlib.sha256(data).hexdigest() if changes else found.sha256,
        "diff": difference(found.path, changes, secret),
    }


def difference(path: str, changes: t.Sequence[Change], secret: t.Collection[str]) -> t.Dict[str, str]:
    """Ansible's diff of the variables that change; of secret ones only the names."""
    before = [_shown(one, one.before, secret) for one in changes if not one.is_new]
    after = [_shown(one, one.after, secret, "changed") for one in changes if one.after is not None]
    return {"before_header": path, "after_header": path, "before": "".join(before), "after": "".join(after)}


def _shown(change: Change, value: t.Optional[str], secret: t.Collection[str], word: str = "") -> str:
    # What a variable held that goes may have been anything.
    if change.name in secret or is_secret_name(change.name) or change.after is None or value is None:
        return f"{change.name}={word or _HIDDEN}\n"
    return Redactor().text(f"{change.name}={value}") + "\n"


def texts(values: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """Values as the text of variables: numbers as they are written, true and false in lower case.

    Raises:
        BadInput: One is neither text nor number.
    """
    found = {}
    for name, value in values.items():
        if isinstance(value, bool):
            found[str(name)] = "true" if value else "false"
        elif isinstance(value, (str, int, float)):
            found[str(name)] = str(value)
        else:
            step = "give a text or a number; name variables that shall go in `remove`"
            raise BadInput(f"The value of {name} is neither text nor number", why=f"it is a {type(value).__name__}", next_step=step)
    return found


def mode_from(text: str) -> int:
    """The file mode that an octal number says. Without a leading zero it may be what YAML made of one, and another mode.

    Raises:
        BadInput: It is none.
    """
    if not _MODE.match(text):
        raise BadInput(f"{text!r} is no file mode", next_step="write it in octal, in quotes and with a leading zero: '0600'")
    return int(text, 8)
