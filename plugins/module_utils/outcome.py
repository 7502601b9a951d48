# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The only place where the library and Ansible meet: errors become `fail_json`, results `exit_json`."""

from __future__ import annotations

import json
import typing as t

from .errors import RunbookError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def conclude(module: AnsibleModule, operation: t.Callable[[], t.Mapping[str, t.Any]]) -> t.NoReturn:
    """Run `operation` and end the module with its result, or with its one clear error.

    Args:
        module: The module that was called.
        operation: Does the work and returns the module's result, `changed` included. Its `notes` are shown as warnings; with
            `failed` true and a `msg` the module fails, and the rest of the result goes with the failure.
    """
    try:
        result = dict(operation())
    except (RunbookError, OSError) as error:
        module.fail_json(**failure(error))
    for note in result.get("notes") or []:
        module.warn(note)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def failure(error: t.Union[RunbookError, OSError]) -> t.Dict[str, t.Any]:
    """What a failed task returns for `error`: `msg` for the reader, `error` for programs."""
    if isinstance(error, RunbookError):
        facts = json.loads(json.dumps(error.facts, default=str))
        told = {"kind": error.kind, "what": error.what, "where": error.where, "why": error.why, "next_step": error.next_step, **facts}
        return {"msg": error.message, "changed": error.changed, "error": told}
    return {
        "msg": f"The operating system refused ({error.filename or 'no file named'}): {error.strerror or error}.",
        "error": {"kind": "OSError", "what": str(error), "where": str(error.filename or ""), "why": error.strerror, "next_step": ""},
    }
