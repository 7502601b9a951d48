# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run procedures: `run` waits for the end, `run_async` returns a handle."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

from .catalogue import find_procedure
from .collection import PathLike, ansible_environment, find_collection
from .events import Event
from .handle import Handle
from .preparation import Request
from .record import STATE_VARIABLE, state_folder
from .result import Result

_P = ParamSpec("_P")


def run_async(
    procedure: str,
    *,
    inventory: PathLike | Sequence[PathLike] | None = None,
    extra_vars: Mapping[str, Any] | None = None,
    extra_vars_files: Sequence[PathLike] = (),
    on_event: Callable[[Event], None] | None = None,
    timeout_s: float | None = None,
    check: bool = False,
    diff: bool = False,
    tags: Sequence[str] = (),
    skip_tags: Sequence[str] = (),
    limit: str = "",
    verbosity: int = 0,
    vault_password_file: PathLike | None = None,
    templates: bool = False,
    environment: Mapping[str, str] | None = None,
    collections_path: PathLike | Sequence[PathLike] | None = None,
    state_dir: PathLike | None = None,
    private_data_dir: PathLike | None = None,
) -> Handle:
    """Start a procedure and return at once.

    Args:
        procedure: Its name in the catalogue (`restore`).
        inventory: Path of an inventory, a host list with a comma (`localhost,`), or several of these; None for the one that
            Ansible's configuration names.
        extra_vars: Variables that win over those of the inventory. They reach Ansible through a pipe and are written nowhere.
        extra_vars_files: YAML or JSON files of variables, Vault-encrypted ones too; `extra_vars` wins over them.
        on_event: Called with every event, one at a time, from a thread of the run. What it raises is logged and changes nothing.
        timeout_s: Seconds after which the run is ended with everything that it has started.
        check: Predict and change nothing.
        diff: Show what changes.
        tags: Run only steps with one of these tags.
        skip_tags: Leave out steps with one of these tags.
        limit: Pattern of the hosts to keep to.
        verbosity: Ansible's verbosity, 0 to 6.
        vault_password_file: File with the password of Vault-encrypted variables.
        templates: Whether `{{ ... }}` in `extra_vars` is evaluated. Leave it off for values that come from outside.
        environment: Further environment variables of the run.
        collections_path: Folder that holds `ansible_collections/sre/runbooks`; None to find it.
        state_dir: Folder of run records and artifacts; None for that of `state_folder`.
        private_data_dir: Fresh folder for the artifacts; None for `<state_dir>/artifacts/<run id>`.

    Raises:
        BadInput: An argument makes no sense, or names something that is not there.
        UnknownProcedure: The catalogue does not have the procedure.
        CollectionNotFound: The collection is not installed.
        AnsibleMissing: ansible-core is not installed.
    """
    collection = find_collection(collections_path)
    request = Request(
        procedure=find_procedure(procedure, collection),
        inventory=inventory,
        extra_vars=extra_vars or {},
        extra_vars_files=extra_vars_files,
        timeout_s=timeout_s,
        check=check,
        diff=diff,
        tags=tags,
        skip_tags=skip_tags,
        limit=limit,
        verbosity=verbosity,
        vault_password_file=vault_password_file,
        templates=templates,
        artifacts=None if private_data_dir is None else Path(private_data_dir).expanduser().absolute(),
    )
    state = state_folder(state_dir)
    environment = {**ansible_environment(collection), **(environment or {})}
    if state_dir is not None:
        # Only then: the variable outweighs the folder that a profile names.
        environment[STATE_VARIABLE] = str(state)
    return Handle(request, environment, state, on_event).start()


def _to_its_end(start: Callable[_P, Handle]) -> Callable[_P, Result]:
    @functools.wraps(start)
    def run(*args: _P.args, **options: _P.kwargs) -> Result:
        handle = start(*args, **options)
        try:
            return handle.wait()
        except BaseException:
            # An interrupted wait (Ctrl-C) leaves nothing running behind it.
            handle.cancel()
            raise

    run.__name__ = run.__qualname__ = "run"
    _summary, _blank, details = (start.__doc__ or "").partition("\n\n")
    run.__doc__ = f"Run a procedure to its end and return its result; the arguments are those of `run_async`.\n\n{details}"
    return run


run = _to_its_end(run_async)
