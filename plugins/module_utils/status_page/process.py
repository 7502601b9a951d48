# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Starting and stopping the page on the operator host.

The program is copied beside its settings, out of the library that is at hand (a checkout, an installed collection, or the archive of the
module on a distant host). So it runs on every operator host, and an update of the collection cannot pull it away from under a running
page: the next start brings the new program.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import typing as t

from ..command import Command, run
from ..errors import CommandFailed, RunbookError, ToolMissing
from ..files import write_atomically
from ..local_process import Process
from ..local_processes import plan_start, running, start, stop
from ..state import make_folder, state_folder
from . import server
from .app import folder_name
from .settings import PASSWORD_VARIABLE, Settings, password_from, settings_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "service": {"type": "dict", "required": True},
    "components": {"type": "list", "elements": "dict", "default": []},
    "checks": {"type": "list", "elements": "dict", "default": []},
    "metrics": {"type": "list", "elements": "dict", "default": []},
    "logs": {"type": "list", "elements": "dict", "default": []},
    "state_folder": {"type": "path"},
    "address": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 5000},
    "tls_certificate": {"type": "path"},
    "tls_key": {"type": "path", "no_log": False},
    "user": {"type": "str", "default": "sre"},
    "password": {"type": "str", "default": "", "no_log": True},
    "password_file": {"type": "path", "no_log": False},
    "names": {"type": "list", "elements": "str", "default": []},
    "stale_after_s": {"type": "float", "default": 900.0},
    "python": {"type": "path"},
}
"""The module's argument spec."""
_PACKAGE = "sre_runbooks_library"
_PROGRAM = "program-"
_NAME = "status_page"


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Start or stop the page; in check mode only say whether it would be.

    Raises:
        BadInput: The settings contradict each other, would show the page to everybody, or the port is taken.
        ToolMissing: Starlette or uvicorn is not installed.
        RunbookError: The program ended, or did not answer in time.
    """
    top = state_folder(parameters["state_folder"])
    folder = os.path.join(top, _NAME, folder_name(str(parameters["service"].get("name") or "")))
    if parameters["state"] == "stopped":
        return _stopped(parameters, folder, check_mode)
    password = password_from(parameters["password_file"] or "", {PASSWORD_VARIABLE: parameters["password"]})
    settings = settings_of({**parameters, "state_folder": top}, has_password=bool(password))
    python = parameters["python"] or sys.executable
    _need_libraries(python)
    program = _program()
    process = _process(settings, parameters, folder, python, password, _digest(program))
    if check_mode:
        names = plan_start([process]).names
    else:
        make_folder(folder)
        _install(folder, program)
        names = start([process])
        _remove_old(folder, _digest(program))
    told = "serves" if not names else "would serve" if check_mode else "now serves"
    return {
        "changed": bool(names),
        "msg": f"The status page of {settings.service['name']} {told} {settings.url}",
        "url": settings.url,
        "folder": folder,
        "log_file": process.log_file,
        "pid": running([process]).get(_NAME, 0),
    }


def _stopped(parameters: t.Mapping[str, t.Any], folder: str, check_mode: bool) -> t.Dict[str, t.Any]:
    process = Process(name=_NAME, folder=folder, port=parameters["port"])
    names = list(running([process])) if check_mode else stop([process])
    if not check_mode:
        _remove_old(folder, "")
    said = ("would be stopped" if check_mode else "was stopped") if names else "does not run"
    return {"changed": bool(names), "msg": f"The status page {said}", "url": "", "folder": folder, "log_file": process.log_file, "pid": 0}


def _process(settings: Settings, given: t.Mapping[str, t.Any], folder: str, python: str, password: str, digest: str) -> Process:
    certificates = [_content_digest(path) for path in (settings.tls_certificate, settings.tls_key) if path]
    return Process(
        name=_NAME,
        folder=folder,
        port=settings.port,
        address=settings.address,
        ports={"status_page_port": settings.port},
        argv=[python, "-m", f"{_PACKAGE}.{server.__name__.partition('.module_utils.')[2]}", "settings.json"],
        # A renewed certificate means a new start, as new settings do.
        environment={
            "PYTHONPATH": os.path.join(folder, _PROGRAM + digest),
            "PYTHONDONTWRITEBYTECODE": "1",
            "STATUS_PAGE_TLS": " ".join(certificates),
        },
        secrets={PASSWORD_VARIABLE: password},
        files={"settings.json": json.dumps(_kept(settings), indent=1, sort_keys=True)},
        timeout_s=20.0,
    )


def _kept(settings: Settings) -> t.Dict[str, t.Any]:
    """The settings as `settings_of` takes them."""
    return {name: getattr(settings, name) for name in Settings.__dataclass_fields__}


def _need_libraries(python: str) -> None:
    wanted = "import starlette, uvicorn, h11"
    try:
        run(Command([python, "-I", "-c", wanted], timeout_s=60))
    except CommandFailed as error:
        raise ToolMissing(
            "The status page needs Starlette and uvicorn",
            where=python,
            why=error.why,
            next_step=f"install them ({python} -m pip install starlette uvicorn), or name another interpreter in status_page_python",
            facts={"tool": "starlette"},
        ) from error


def _program() -> t.Dict[str, str]:
    """File -> text of the program: `server`, and of the library whatever it imports."""
    root = server.__name__.rpartition(".status_page.")[0]
    found: t.Dict[str, str] = {}
    wanted = [server.__name__]
    while wanted:
        name = wanted.pop()
        path = name[len(root) + 1 :].replace(".", "/")
        if not name.startswith(root + ".") or f"{path}.py" in found or f"{path}/__init__.py" in found:
            continue
        spec = _spec(name)
        if spec is None or spec.loader is None:
            continue
        text: t.Optional[str] = t.cast("t.Any", spec.loader).get_source(name)
        if text is None:
            raise RunbookError("The program of the status page cannot be read", where=name, next_step="install the collection anew")
        is_package = spec.submodule_search_locations is not None
        found[f"{path}/__init__.py" if is_package else f"{path}.py"] = text
        wanted.append(name.rpartition(".")[0])
        wanted += _imports(text, name if is_package else name.rpartition(".")[0])
    return {"__init__.py": "", **found}


def _spec(name: str) -> t.Any:
    """The module of that name; None where it is no module, but something in one."""
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None


def _imports(text: str, package: str) -> t.Iterator[str]:
    """Full names of what a text imports relatively; some may be names in a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
            source = f"{base}.{node.module}" if node.module else base
            yield source
            for alias in node.names:
                if not alias.name[:1].isupper():
                    yield f"{source}.{alias.name}"


def _digest(program: t.Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(program, sort_keys=True).encode()).hexdigest()[:16]


def _content_digest(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()[:16]


def _install(folder: str, program: t.Mapping[str, str]) -> None:
    top = os.path.join(folder, _PROGRAM + _digest(program))
    for name, text in program.items():
        path = os.path.join(top, _PACKAGE, *name.split("/"))
        if not os.path.exists(path):  # written whole or not at all, and never changed: its folder bears its digest
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            write_atomically(path, text.encode())


def _remove_old(folder: str, digest: str) -> None:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.startswith(_PROGRAM) and name != _PROGRAM + digest:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
