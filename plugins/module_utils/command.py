# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One way to reach a program: on this host, in a container or in a pod.

Programs get argument lists, never shell strings. Secrets travel in the environment and never on a command line. A program
that we started ends when we do, however we end (PR_SET_PDEATHSIG, prctl(2)), so that nothing works on behind a dead run.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import typing as t
from dataclasses import dataclass, field

from .errors import BadInput, CommandFailed, DeadlineExceeded, RunbookError, ToolMissing
from .pod import kubectl_failure, own_status, own_words, telling_its_end
from .process_tree import below, end_all

RUN_MARK = "SRE_RUNBOOKS_RUN_ID"
"""Variable that marks every process of a run: when the Python API cancels a run it ends all that carry the mark."""
_PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""

try:
    _libc: t.Optional[ctypes.CDLL] = ctypes.CDLL(None, use_errno=True)
except (OSError, TypeError):
    _libc = None


def _end_with_parent() -> None:
    if _libc is not None and hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@dataclass(frozen=True)
class Place:
    """Where a program runs.

    Attributes:
        container: Name of a container; empty for none.
        engine: Client program of the container engine, `docker` or `podman`.
        pod: Name of a Kubernetes pod; empty for none.
        namespace: Namespace of the pod; empty for the context's own.
        pod_container: Container in the pod; empty for its default.
        context: Context of the kubeconfig; empty for the current one.
        tool_folder: Folder of the programs there; empty to use the search path.
    """

    container: str = ""
    engine: str = "docker"
    pod: str = ""
    namespace: str = ""
    pod_container: str = ""
    context: str = ""
    tool_folder: str = ""

    def __post_init__(self) -> None:
        if self.container and self.pod:
            raise BadInput(
                "Both a container and a pod are named",
                where=f"container {self.container!r}, pod {self.pod!r}",
                next_step="name the one in which the client programs are",
            )

    @property
    def is_host(self) -> bool:
        """Whether programs run on this host itself."""
        return not (self.container or self.pod)

    def __str__(self) -> str:
        if self.container:
            return f"container {self.container}"
        if self.pod:
            return f"pod {self.namespace + '/' if self.namespace else ''}{self.pod}"
        return "this host"

    def program(self, name: str) -> str:
        """The path by which the program `name` is called in this place.

        Raises:
            ToolMissing: It is not on this host (in a container or pod the call itself tells).
        """
        if self.tool_folder:
            path = os.path.join(self.tool_folder, name)
            if self.is_host and not os.access(path, os.X_OK):
                raise _missing(name, f"folder {self.tool_folder}")
            return path
        if self.is_host and shutil.which(name) is None:
            raise _missing(name, "the search path of this host")
        return name

    def argv(self, argv: t.Sequence[str], environment: t.Iterable[str] = (), *, stdin: bool = False) -> list[str]:
        """The argument list which, run on this host, runs `argv` in this place.

        Args:
            argv: Program and arguments.
            environment: Names of variables of our own environment that the program must see; their values are not in the list.
            stdin: Whether the program reads its standard input.

        Raises:
            BadInput: Environment was asked for in a pod; kubectl cannot pass it without showing it.
        """
        if self.container:
            passed = [part for name in environment for part in ("--env", name)]
            return [self.engine, "exec", *(["--interactive"] if stdin else []), *passed, self.container, *argv]
        if self.pod:
            return [
                "kubectl",
                *(["--context", self.context] if self.context else []),
                *(["--namespace", self.namespace] if self.namespace else []),
                "exec",
                *(["--stdin"] if stdin else []),
                *(["--container", self.pod_container] if self.pod_container else []),
                self.pod,
                "--",
                *argv,
            ]
        return list(argv)


def _missing(name: str, place: str) -> ToolMissing:
    return ToolMissing(
        f"The program {name} is missing",
        where=place,
        next_step=f"install the package that holds {name}, or name its folder",
        facts={"tool": name},
    )


@dataclass
class Command:
    """A program to run in a place.

    Attributes:
        argv: Program and arguments.
        place: Where it runs.
        environment: Variables that are no secret. In a pod they are given by `env`.
        secrets: Variables that must be on no command line.
        timeout_s: Seconds after which it is ended; None for no limit.
        account: Account of this host to run it as; empty for our own. Only root may name another.
        folder: Its working folder; empty for ours.
        outlives: Whether it, or what it leaves behind, shall outlive the run, such as a server; it gets a session of its own.
        without: Variables of our own environment that it must not see.
    """

    argv: t.Sequence[str]
    place: Place = field(default_factory=Place)
    environment: t.Mapping[str, str] = field(default_factory=dict)
    secrets: t.Mapping[str, str] = field(default_factory=dict)
    timeout_s: t.Optional[float] = None
    account: str = ""
    folder: str = ""
    outlives: bool = False
    without: t.Sequence[str] = ()

    @property
    def name(self) -> str:
        """The program's bare name, for messages."""
        return os.path.basename(self.argv[0])

    def start(
        self, *, stdin: t.Any = subprocess.DEVNULL, stdout: t.Any = subprocess.PIPE, stderr: t.Any = None
    ) -> "subprocess.Popen[bytes]":
        """Start it; the caller waits. Standard error goes to `stderr` (default: nowhere).

        Raises:
            ToolMissing: The program, docker or kubectl is not on this host.
        """
        argv, visible = list(self.argv), dict(self.environment)
        if self.place.pod:
            if self.secrets:
                raise BadInput(
                    "A secret cannot be passed into a pod without showing it on a command line",
                    where=str(self.place),
                    next_step="let the client in the pod log in without a password, or through a password file that is in the pod",
                )
            argv = telling_its_end(["env", *(f"{key}={value}" for key, value in visible.items()), *argv] if visible else argv)
        full = self.place.argv(argv, [*visible, *self.secrets], stdin=stdin is not subprocess.DEVNULL)
        inherited = {key: value for key, value in os.environ.items() if key not in self.without}
        environment = {**inherited, "LC_ALL": "C", **visible, **self.secrets}
        if self.outlives:
            environment.pop(RUN_MARK, None)
        try:
            # This is the one place that starts programs: pipes between them are beyond AnsibleModule.run_command.
            return subprocess.Popen(  # pylint: disable=ansible-bad-function
                full,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.DEVNULL if stderr is None else stderr,
                env=environment,
                start_new_session=self.outlives,
                preexec_fn=None if self.outlives else _end_with_parent,
                cwd=self.folder or ("/" if self.account else None),
                **self._identity(environment),
            )
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(os.path.basename(full[0]), "the search path of this host" if "/" not in full[0] else full[0]) from None
        except PermissionError as error:
            raise CommandFailed(f"{self.name} could not be started", where=full[0], why=str(error.strerror)) from error

    def _identity(self, environment: t.Dict[str, str]) -> t.Dict[str, t.Any]:
        if not self.account or os.geteuid() != 0:
            return {}
        entry = pwd.getpwnam(self.account)
        environment.update(HOME=entry.pw_dir, USER=self.account, LOGNAME=self.account)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(self.account, entry.pw_gid)}

    def status(self, ended: "subprocess.Popen[bytes]") -> int:
        """The program's exit status, wherever it ran."""
        return own_status(ended.returncode) if self.place.pod else ended.returncode

    def failure(self, status: int, said: str) -> RunbookError:
        """The error for an exit status other than 0, with the end of what the program said."""
        if self.place.pod:
            unreachable, said = kubectl_failure(self.name, str(self.place), status, said), own_words(said)
            if unreachable:
                return unreachable
        why = _last_words(said) or f"exit status {status}"
        if status < 0:
            why = f"ended by signal {signal.Signals(-status).name}" + (f"; {_last_words(said)}" if said.strip() else "")
        missing = status in (126, 127) and not self.place.is_host
        return CommandFailed(
            f"{self.name} failed",
            where=str(self.place),
            why=why,
            next_step=f"check that {self.name} is installed there" if missing else "",
            facts={"tool": self.name, "exit_status": status},
        )


@dataclass(frozen=True)
class Completed:
    """What a finished program left: its output and error text, and its exit status."""

    stdout: str
    stderr: str
    status: int


def run(command: Command, *, stdin: t.Union[str, bytes, None] = None, check: bool = True) -> Completed:
    """Run a command to its end and return what it printed.

    Args:
        command: What to run.
        stdin: Text for its standard input; None for none.
        check: Whether an exit status other than 0 is an error.

    Raises:
        CommandFailed: It failed (only with `check`).
        ToolMissing: It is not there.
        DeadlineExceeded: It took longer than `command.timeout_s` and was ended.
    """
    process = command.start(stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stderr=subprocess.PIPE)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        out, err = process.communicate(data, timeout=command.timeout_s)
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded(
            f"{command.name} did not end within {command.timeout_s:g} s",
            where=str(command.place),
            next_step="see what it waits for (a lock, the network), or allow more time",
        ) from None
    finally:
        end(process)
    done = Completed(out.decode(errors="replace"), err.decode(errors="replace"), command.status(process))
    if check and done.status != 0:
        raise command.failure(done.status, done.stderr)
    return done


def end(process: "subprocess.Popen[bytes]", grace_s: float = 2.0) -> None:
    """End a process that may still run, and what it leaves behind: politely, after `grace_s` seconds for good; its pipes are closed."""
    if process.poll() is None:
        children = below(process.pid)
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        end_all(children, grace_s)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                pass


def _last_words(text: str, lines: int = 6) -> str:
    kept = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return "; ".join(kept[-lines:])[-1500:]
