# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of the library that run in the task's own process on the controller, where that is the host in question.

A module task costs 170 ms, most of it for packing, copying and starting Python; the same operation in this process 15 ms.
"""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase

from ansible_collections.sre.runbooks.plugins.module_utils.checks.redaction import Redactor, secrets_within
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import failure


class OnController(ActionBase):
    """Runs `operate` in this process when the task is for this very host and account, else the module on its host.

    To use it, derive `ActionModule` from it and name `module`, `options` and `operate`; the module itself calls the same library
    function through `outcome.conclude`. Arguments never appear in the result, nor their secrets in a message.

    Attributes:
        module: Full name of the module.
        options: Its argument spec.
        constraints: The other arguments of ArgumentSpecValidator and AnsibleModule, such as `required_if`.
    """

    module: t.ClassVar[str]
    options: t.ClassVar[t.Mapping[str, t.Any]]
    constraints: t.ClassVar[t.Mapping[str, t.Any]] = {}

    _supports_check_mode = True
    _supports_async = True

    def operate(self, parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
        """Do the work with valid `parameters` and return the result, as the module does.

        Raises:
            RunbookError: It cannot be done; becomes the task's failure.
        """
        raise NotImplementedError

    def arguments(self, task_vars: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """The module's arguments: those of the task, and what only the controller knows."""
        return dict(self._task.args)

    def is_here(self, arguments: t.Mapping[str, t.Any]) -> bool:
        """Whether the work can be done in this process: same host, same account, and somebody waits for it."""
        return self._connection.transport == "local" and not self._task.become and not self._task.async_val

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Ansible's entry point."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = self.arguments(task_vars or {})
        if self.is_here(arguments):
            result.update(self._here(arguments))
            result["warnings"] = [*result.get("warnings", []), *(result.get("notes") or [])]
        else:
            result.update(
                self._execute_module(
                    module_name=self.module, module_args=arguments, task_vars=task_vars, wrap_async=bool(self._task.async_val)
                )
            )
        return result

    def _here(self, given: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        arguments = plain(given)
        validated = ArgumentSpecValidator(dict(self.options), **self.constraints).validate(arguments)
        if validated.error_messages:
            said = "; ".join(
                f"Unsupported parameters for {self.module}: {error}" if isinstance(error, UnsupportedError) else str(error)
                for error in validated.errors
            )
            return {"failed": True, "msg": Redactor(secrets_within(arguments)).text(said)}
        with self._environment():
            try:
                return self.operate(validated.validated_parameters, bool(self._task.check_mode))
            except (RunbookError, OSError) as error:
                return {"failed": True, **failure(error)}

    @contextmanager
    def _environment(self) -> t.Iterator[None]:
        """The task's `environment`, in which the module would run; taken back, as a loop's next item runs in this process too."""
        wanted: t.Dict[str, t.Any] = {}
        if any(self._task.environment or ()):
            self._compute_environment_string(wanted)  # type: ignore[no-untyped-call]
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update({name: str(value) for name, value in wanted.items()})
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def plain(value: t.Any) -> t.Any:
    """`value` as a module gets it, without what Ansible notes about each part, such as where it comes from: that is slow to copy."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, t.Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else value


__all__ = ["OnController", "plain"]
