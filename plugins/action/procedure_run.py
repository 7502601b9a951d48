# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the module procedure_run: tells it who runs the playbook, and does the work here when it is to be done here.

A procedure begins and ends with this task, so it must cost next to nothing: on the controller it takes 15 ms in this process and
170 ms as a module. Only here is it known which process runs the playbook, what its versions are, and what the callback plugin noted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import re
import typing as t
from pathlib import Path

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version

# Nothing here uses these: a task whose words name one filter loads them all, and what is imported here, before Ansible forks a process for
# each task, need not be compiled in every one of them. They import what they need when they are called: Ansible compiles the files of a
# collection anew in each run.
from ansible_collections.sre.runbooks.plugins.filter import (  # noqa: F401  # pylint: disable=unused-import
    configuration,
    qdrant_connection,
    recovery,
    redis_connection,
    report_log_scan,
    service_backup,
    service_kubernetes,
    store,
)
from ansible_collections.sre.runbooks.plugins.module_utils.controller import Controller
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import failure
from ansible_collections.sre.runbooks.plugins.module_utils.procedure import OPTIONS, REQUIRED_IF, operate

_COLLECTION = Path(__file__).resolve().parent.parent.parent
_TIMELINE = "SRE_RUNBOOKS_TIMELINE_FILE"


class ActionModule(ActionBase):
    """Runs the library's operation in this process, or the module on a distant operator host."""

    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Ansible's entry point."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = self._arguments(task_vars or {})
        if self._connection.transport != "local" or self._task.become:
            result.update(self._execute_module(module_name="sre.runbooks.procedure_run", module_args=arguments, task_vars=task_vars))
        else:
            result.update(self._here(arguments))
            result["warnings"] = [*result.get("warnings", []), *(result.get("notes") or [])]
        if arguments.get("operation") == "fail":
            # The reader gets the message and the report; the parts of the message are in the record.
            told = result.pop("error", {})
            result.update({name: told[name] for name in ("run_id", "record", "report") if name in told})
        return result

    def _arguments(self, task_vars: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        arguments = {**self._task.args}
        arguments["controller"] = Controller.of(_controlling_pid()).as_dict()
        if arguments.get("operation") == "begin":
            entry = _catalogued(str(arguments.get("procedure") or ""))
            arguments["title"] = arguments.get("title") or entry.get("title") or ""
            if arguments.get("destroys") in (None, ""):
                arguments["destroys"] = entry.get("changes") == "destroys"
            arguments["versions"] = {
                "ansible-core": core_version,
                "sre.runbooks": _collection_version(),
                "Python": platform.python_version(),
            }
        else:
            arguments["timeline"] = _timeline(os.environ.get(_TIMELINE, ""))
        if arguments.get("operation") == "fail":
            arguments["results"] = arguments.get("results") or self._results_so_far(task_vars)
            arguments.update(_failure(arguments, task_vars))
        if arguments.get("results"):
            arguments["results"] = list(_on_each_host(arguments["results"], task_vars))
        return arguments

    def _results_so_far(self, task_vars: t.Dict[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
        """The results that the procedure collects, as far as they exist: what a failed run did not reach is not defined."""
        found = []
        given = task_vars.get("procedure_results")
        if isinstance(given, str):  # a procedure with many stores puts its list together when it is asked for
            try:
                given = self._templar.template(given)
            except Exception:
                given = []
        for entry in given if isinstance(given, list) else ():
            try:
                found.append(dict(self._templar.template(entry)))
            except Exception:
                found.append({"name": str(entry.get("name", "")) if isinstance(entry, dict) else "", "result": {}})
        return found

    def _here(self, arguments: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        validated = ArgumentSpecValidator(OPTIONS, required_if=REQUIRED_IF).validate(arguments)
        if validated.error_messages:
            return {"failed": True, "msg": "; ".join(validated.error_messages)}
        try:
            return operate(validated.validated_parameters, bool(self._task.check_mode))
        except (RunbookError, OSError) as error:
            return {"failed": True, **failure(error)}


def _on_each_host(results: t.Iterable[t.Any], task_vars: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
    """The results, with those that are named by the `fact` that holds them taken from every host of the play; this task runs on one."""
    every, hosts = task_vars.get("hostvars") or {}, task_vars.get("ansible_play_hosts_all") or []
    for entry in results:
        if not isinstance(entry, t.Mapping) or "fact" not in entry:
            yield entry
            continue
        for host in hosts:
            result = every[host].get(entry["fact"]) if host in every else None
            told = {"name": entry.get("name", ""), "result": dict(result) if isinstance(result, t.Mapping) else {}}
            yield {**told, "host": str(host)} if len(hosts) > 1 else told


def _failure(arguments: t.Dict[str, t.Any], task_vars: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What failed, and where. With `any_errors_fatal` the rescue may run on a host that has not failed itself: then look at the others."""
    own = str(task_vars.get("inventory_hostname") or "")
    if (arguments.get("failed_result") or {}).get("failed"):
        return {"failed_host": own}
    every = task_vars.get("hostvars") or {}
    for host in task_vars.get("ansible_play_hosts_all") or ():
        failed = every[host].get("ansible_failed_result") if host in every else None
        if failed and failed.get("failed"):
            task = every[host].get("ansible_failed_task") or {}
            return {"failed_result": dict(failed), "failed_task": str(task.get("name") or ""), "failed_host": str(host)}
    return {"failed_host": own}


def _controlling_pid() -> int:
    """Process id of ansible-playbook itself; tasks run in processes that it forks."""
    parent = multiprocessing.parent_process()
    return os.getpid() if parent is None or parent.pid is None else parent.pid


def _catalogued(procedure: str) -> t.Dict[str, t.Any]:
    """The procedure's entry in meta/procedures.yml; empty for a procedure that is not of this collection."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with open(_COLLECTION / "meta" / "procedures.yml", encoding="utf-8") as stream:
            entries = yaml.load(stream, Loader=loader)["procedures"]  # noqa: S506  (both are safe loaders)
        return dict(entries.get(procedure) or {})
    except (OSError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return {}


def _collection_version() -> str:
    for name, pattern in (("MANIFEST.json", r'"version":\s*"([^"]+)"'), ("galaxy.yml", r"(?m)^version:\s*(\S+)")):
        try:
            found = re.search(pattern, (_COLLECTION / name).read_text(encoding="utf-8"))
        except OSError:
            continue
        if found:
            return found.group(1)
    return "unknown"


def _timeline(path: str) -> t.List[t.Dict[str, t.Any]]:
    """What the callback plugin sre.runbooks.progress noted; empty when it is not enabled."""
    try:
        with open(path, encoding="utf-8") as stream:
            return [json.loads(line) for line in stream if line.endswith("\n")]
    except (OSError, ValueError):
        return []


__all__ = ["ActionModule"]
