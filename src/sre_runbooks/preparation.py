# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run needs before it starts: a checked request, a folder of its own, and extra variables that touch no disk."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .catalogue import Procedure
from .collection import PathLike
from .errors import BadInput
from .record import STATE_VARIABLE

RUN_ID_VARIABLE = "procedure_run_id"
"""The extra variable by which the role `procedure` learns the id of its run."""


@dataclass(frozen=True)
class Request:
    """What is to be run; see `run_async` for the meaning of each attribute."""

    procedure: Procedure
    inventory: PathLike | Sequence[PathLike] | None = None
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    extra_vars_files: Sequence[PathLike] = ()
    timeout_s: float | None = None
    check: bool = False
    diff: bool = False
    tags: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    limit: str = ""
    verbosity: int = 0
    vault_password_file: PathLike | None = None
    templates: bool = False
    artifacts: Path | None = None

    def __post_init__(self) -> None:
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise BadInput(f"A time limit of {self.timeout_s:g} s leaves no time", next_step="give a positive number of seconds, or none")
        for name, value in (("tags", self.tags), ("skip_tags", self.skip_tags)):
            if isinstance(value, str):
                raise BadInput(f"{name} is the text {value!r}", next_step="give a list of names")

    def inventories(self) -> list[str]:
        """The inventory sources as Ansible takes them: absolute paths, and host lists (they hold a comma) as they are.

        Raises:
            BadInput: A path does not exist.
        """
        if self.inventory is None:
            return []
        sources = [self.inventory] if isinstance(self.inventory, (str, os.PathLike)) else self.inventory
        return [self._inventory(os.fspath(source)) for source in sources]

    @staticmethod
    def _inventory(source: str) -> str:
        path = Path(source).expanduser()
        if path.exists():
            return str(path.absolute())
        if "," in source:
            return source
        raise BadInput(f"The inventory {source} does not exist", next_step="name a file or folder, or a host with a comma (`localhost,`)")

    def options(self) -> list[str]:
        """The options of `ansible-playbook` that ansible-runner has no argument of its own for.

        Raises:
            BadInput: A file of variables or the Vault password file does not exist.
        """
        options = ["--check"] if self.check else []
        options += ["--diff"] if self.diff else []
        if self.vault_password_file is not None:
            options += ["--vault-password-file", _existing(self.vault_password_file, "Vault password file")]
        for file in self.extra_vars_files:
            options += ["--extra-vars", f"@{_existing(file, 'file of variables')}"]
        return options

    def variables(self, run_id: str) -> str:
        """The extra variables as JSON, the id of the run included.

        Unless `templates` is set, texts are marked so that Ansible takes them as they are: `{{ ... }}` in a value that came from
        outside is never evaluated.

        Raises:
            BadInput: A value is none that JSON knows.
        """
        values = {**self.extra_vars, RUN_ID_VARIABLE: run_id}
        try:
            return json.dumps(values if self.templates else _literally(values), default=_plain)
        except (TypeError, ValueError) as error:
            next_step = "use texts, numbers, booleans, lists and mappings"
            raise BadInput(f"The extra variables cannot be passed on: {error}", next_step=next_step) from None


def _existing(file: PathLike, what: str) -> str:
    path = Path(file).expanduser()
    if not path.is_file():
        raise BadInput(f"The {what} {path} does not exist", next_step="correct the path")
    return str(path.absolute())


def _literally(value: Any) -> Any:
    if isinstance(value, str):
        # The notation of Ansible's own JSON for a text that is not to be trusted as a template.
        return {"__ansible_unsafe": value} if "{" in value else value
    if isinstance(value, Mapping):
        return {name: _literally(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_literally(inner) for inner in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r} has no form in JSON")


def new_run_id(procedure: str) -> str:
    """An id in the form of the role `procedure` (`RUN-20260301T031500Z-restore-5f3a9c`)."""
    return f"RUN-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{procedure}-{secrets.token_hex(3)}"


def new_folder(path: Path) -> Path:
    """Make `path` as an empty folder that only its owner can enter.

    Raises:
        BadInput: It cannot be made, or already holds something: what an earlier run left there would have an effect on this one.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        if any(path.iterdir()):
            raise BadInput(f"The folder {path} is not empty", next_step="give each run a fresh folder, or none and let one be made")
    except OSError as error:
        raise BadInput(
            f"The folder {path} for the run cannot be used: {error.strerror}", next_step=f"name another one in {STATE_VARIABLE}"
        ) from error
    return path


class OneReading:
    """A text that can be read exactly once, by one process of this user, through a named pipe: it never is in a file.

    Attributes:
        path: The name of the pipe.
    """

    def __init__(self, text: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="sre-runbooks-")
        self.path = os.path.join(self._folder, "extra_vars")
        os.mkfifo(self.path, 0o600)
        self._data = text.encode()
        self._writer = threading.Thread(target=self._write, name="sre-runbooks-extra-vars", daemon=True)
        self._writer.start()

    def _write(self) -> None:
        with contextlib.suppress(OSError), open(self.path, "wb") as pipe:
            pipe.write(self._data)

    def close(self) -> None:
        """Remove the pipe, whether it was read or not."""
        if self._writer.is_alive():
            # The writer waits for a reader: be one until it has gone.
            reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
            while self._writer.is_alive():
                with contextlib.suppress(BlockingIOError):
                    os.read(reader, 65536)
                self._writer.join(0.01)
            os.close(reader)
        shutil.rmtree(self._folder, ignore_errors=True)
