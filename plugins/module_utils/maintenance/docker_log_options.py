# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module docker_log_options: the logs of containers have a largest size, by the engine's own configuration."""

from __future__ import annotations

import os
import tempfile
import time
import typing as t
from datetime import datetime, timezone

from ..checks.redaction import Redactor
from ..command import Command, run
from ..configuration.in_place import Present, replace, shown
from ..errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError, ToolMissing
from ..files import fsync_path, write_atomically
from ..process_tree import start_of
from ..progress import Progress
from . import docker_daemon
from .config_file import found
from .docker_daemon import JSON_FILE, LOCAL
from .docker_engine import docker, inspected

DEFAULT_FILE = "/etc/docker/daemon.json"
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "file": {"type": "path", "default": DEFAULT_FILE},
    "driver": {"type": "str", "choices": [JSON_FILE, LOCAL], "default": JSON_FILE},
    "max_size": {"type": "str", "default": "10m"},
    "max_file": {"type": "int", "default": 3},
    "restart_command": {"type": "list", "elements": "str", "default": []},
    "restart_timeout_s": {"type": "float", "default": 120},
}
"""Described in plugins/modules/docker_log_options.py."""
_Containers = t.Optional[t.Sequence[t.Mapping[str, t.Any]]]
_ASK_EVERY_S = 0.3
_VALIDATE_TIMEOUT_S = 60.0


class _Engine(t.NamedTuple):
    """The engine that reads the file: its process, when that was started (as `start_of` tells, and in seconds since 1970); `pid` is 0 when
    none does."""

    pid: int = 0
    born: str = ""
    since: float = 0.0
    command_line: t.Sequence[str] = ()


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Bring the options in `parameters`, valid for OPTIONS, into daemon.json; in check mode only tell what that would change.

    Raises:
        BadInput: The file, or an option, is not what the engine takes; nothing was changed.
        RunbookError: The engine did not come back with the new options. It runs with the former again, or the message says otherwise.
    """
    path, wanted = parameters["file"], (parameters["driver"], parameters["max_size"], parameters["max_file"])
    docker_daemon.check(*wanted[1:])
    there = found(path)
    now = docker_daemon.parse(there.data, path)
    changed = not docker_daemon.has(now, *wanted)
    before = (there.data or b"").decode("utf-8-sig")
    after = docker_daemon.text_of(docker_daemon.merged(now, *wanted), before) if changed else before
    engine, notes = _engine(path), []
    in_the_way = docker_daemon.flags_in_the_way(engine.command_line)
    if in_the_way:
        step = "take them off the command line of dockerd (systemctl cat docker) first"
        why = f"dockerd was started with {', '.join(in_the_way)}, and does not start when its file says the same"
        raise BadInput("The log options are on the command line of the Docker Engine", where=path, why=why, next_step=step)
    if changed:
        notes += _validate(after)
    running = _running()
    # A file that is younger than the engine has not been read by it. Where no engine is of this file, none can, unless it is down.
    unread = changed or (os.stat(path).st_mtime > engine.since if engine.pid else running is None)
    if running is not None and not engine.pid:
        notes.append(f"No dockerd that can be seen here reads {path}; see with which --config-file yours was started")
    old = docker_daemon.old_options(running or [], *wanted)
    restart = bool(parameters["restart_command"]) and unread
    stopped = _stopped_by_restart(running) if restart else []
    copy = _replace(there, after) if changed and not check_mode else ""
    if restart and not check_mode:
        _restart(parameters, path, there if changed else None, running, engine)
    notes += _notes(running, old, unread and not restart, stopped)
    return {
        "changed": changed or restart,
        "file": path,
        "former_file": copy,
        "before": _told({"log-driver": "", "log-opts": {}, **now}),
        "after": _told(docker_daemon.merged(now, *wanted)),
        "restarted": restart,
        "restart_needed": unread and not restart,
        "old_containers": old,
        "notes": notes,
        "diff": {"before_header": path, "after_header": path, "before": shown(before), "after": shown(after)},
    }


def _told(content: t.Mapping[str, t.Any]) -> t.Any:
    """The log options of a configuration, without the tokens of log servers."""
    return Redactor().value({"log-driver": content["log-driver"], "log-opts": content["log-opts"] or {}})


def _replace(there: Present, text: str) -> str:
    """Replace the file; returns the path of the copy of the former one, empty where there was none."""
    copy = ""
    if there.data is not None:
        copy = f"{there.path}.{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.former"
        write_atomically(copy, there.data, there.mode, there.owner)
    os.makedirs(os.path.dirname(there.path), mode=0o755, exist_ok=True)
    replace(there, text.encode())
    return copy


def _put_back(there: Present) -> None:
    if there.data is None:
        os.unlink(there.path)
        fsync_path(os.path.dirname(there.path))
    else:
        write_atomically(there.path, there.data, there.mode, there.owner)


def _notes(running: _Containers, old: t.Sequence[t.Mapping[str, t.Any]], needed: bool, stopped: t.Sequence[str]) -> t.List[str]:
    notes = []
    if running is None:
        notes.append("The engine does not answer, so that it cannot be told which containers have old log options")
    if needed:
        notes.append("The engine takes the log options at its next start; restart it when the service can bear that")
    if old:
        names = ", ".join(one["name"] for one in old)
        notes.append(f"These containers keep their old log options until they are made anew (not only restarted): {names}")
    if stopped:
        notes.append(f"The restart of the engine ends these containers, and they are started again after it: {', '.join(stopped)}")
    return notes


def _engine(path: str) -> _Engine:
    """The dockerd whose configuration the file is."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                words = [word.decode(errors="replace") for word in stream.read().split(b"\0") if word]
        except OSError:
            continue
        if not words or os.path.basename(words[0]) != "dockerd" or not _sees_our_files(pid):
            continue
        file = os.path.join(_folder_of(pid), docker_daemon.names_file(words[1:], DEFAULT_FILE))
        if os.path.realpath(file) == os.path.realpath(path):
            born = start_of(int(pid))
            seconds = float(born or 0) / os.sysconf("SC_CLK_TCK")
            return _Engine(int(pid), born, time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + seconds, words[1:])
    return _Engine()


def _sees_our_files(pid: str) -> bool:
    """Whether a path means the same to a process as to us; one in a container has other files. Only root is told so."""
    try:
        return os.path.samefile(f"/proc/{pid}/root", "/")
    except PermissionError:
        return True
    except OSError:
        return False


def _folder_of(pid: str) -> str:
    """The working folder of a process, from which its relative paths start."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return "/"


def _validate(text: str) -> t.List[str]:
    """Let dockerd itself look at the configuration before it takes its place, where it can (Docker Engine 23 and newer).

    Raises:
        BadInput: It does not take it.
    """
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as folder:
        draft = os.path.join(folder, "daemon.json")
        write_atomically(draft, text.encode())
        try:
            done = run(Command(["dockerd", "--validate", "--config-file", draft], timeout_s=_VALIDATE_TIMEOUT_S), check=False)
        except (ToolMissing, CommandFailed):
            return ["There is no program dockerd here, so that the configuration was not tried beforehand"]
    said = " ".join((done.stderr or done.stdout).split())
    if done.status == 0:
        return []
    if "unknown flag" in said and "validate" in said:
        return ["This dockerd (older than 23) cannot try a configuration beforehand"]
    step = "correct the file first; nothing was changed"
    raise BadInput("The Docker Engine does not take the configuration", where="dockerd --validate", why=said[-1000:], next_step=step)


def _running() -> t.Optional[t.List[t.Dict[str, t.Any]]]:
    """The running containers as the engine tells of them; None when it does not answer."""
    try:
        return inspected("container", docker("ps", "--quiet", "--no-trunc").stdout.split())
    except RunbookError:
        return None


def _stopped_by_restart(running: _Containers) -> t.List[str]:
    """Containers that a restart of the engine ends and that it does not start by itself: none with live-restore."""
    if not running or docker("info", "--format", "{{.LiveRestoreEnabled}}").stdout.strip() == "true":
        return []
    policy = {str(one["Name"]).lstrip("/"): ((one.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") for one in running}
    return sorted(name for name, word in policy.items() if word not in ("always", "unless-stopped"))


def _restart(parameters: t.Mapping[str, t.Any], path: str, former: t.Optional[Present], running: _Containers, engine: _Engine) -> None:
    """Restart the engine; where it does not come back with a file that was replaced, with the `former` one.

    Raises:
        RunbookError: It did not come back.
    """
    command, timeout_s = parameters["restart_command"], parameters["restart_timeout_s"]
    progress = Progress("Restarting the Docker Engine")
    try:
        _start(command, timeout_s, progress, engine)
    except RunbookError as error:
        if former is None:
            error.changed = True
            raise
        progress.say("it did not come back; putting the former configuration back")
        _put_back(former)
        try:
            _start(command, timeout_s, progress, engine)
            _start_again(running)
            now = "the former configuration is back, and the engine runs with it"
        except RunbookError as second:
            now = f"the former configuration is back, but the engine does not start with it either ({second.why or second.what})"
        raise RunbookError(
            "The Docker Engine did not come back with the new log options",
            where=path,
            why=f"{error.why or error.what}; {now}",
            next_step="look at the engine's own messages: journalctl -u docker",
            changed=True,
        ) from error
    _start_again(running)


def _start(command: t.Sequence[str], timeout_s: float, progress: Progress, former: _Engine) -> None:
    """Restart the engine and wait until another process than the former one answers.

    Raises:
        CommandFailed, DeadlineExceeded: None does.
    """
    until = time.monotonic() + timeout_s
    if os.path.basename(command[0]) == "systemctl" and len(command) > 2:
        # A unit that failed to start several times is not started again before it is forgiven.
        run(Command([command[0], "reset-failed", *command[2:]], timeout_s=30), check=False)
    progress.say(" ".join(command))
    run(Command(list(command), timeout_s=timeout_s))
    while True:
        # The command may have returned while the former process still answers.
        why = "its process is still the former one" if former.born and start_of(former.pid) == former.born else ""
        try:
            docker("version", timeout_s=10)
            if not why:
                return
        except RunbookError as error:
            why = error.why
        if time.monotonic() > until:
            raise DeadlineExceeded(f"The Docker Engine did not answer within {timeout_s:g} s", why=why)
        time.sleep(_ASK_EVERY_S)


def _start_again(running: _Containers) -> None:
    """Start the containers that ran before and do not run now.

    Raises:
        CommandFailed: One does not start.
    """
    ids = [str(one["Id"]) for one in running or ()]
    now = set(docker("ps", "--quiet", "--no-trunc").stdout.split())
    missing = [one for one in ids if one not in now]
    if missing:
        done = docker("start", *missing, check=False, timeout_s=300)
        if done.status != 0 and "no such container" not in done.stderr.lower():
            raise CommandFailed("Containers that ran before the restart do not start", why=" ".join(done.stderr.split()), changed=True)
