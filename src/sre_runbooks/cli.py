# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The console command `sre-runbooks`. It is built on argparse: five subcommands need no further dependency."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from . import __version__
from .api import run_async
from .catalogue import Procedure, find_procedure, procedures
from .collection import find_collection
from .errors import BadInput, RunbooksError, RunNotFound
from .handle import Handle
from .new_profile import add_command, init
from .record import read_record
from .result import Result
from .terminal import Display

SUCCESSFUL, FAILED, BAD_INPUT, ENDED = 0, 1, 2, 3
_EXIT = {"successful": SUCCESSFUL, "failed": FAILED, "unreachable": FAILED, "timeout": ENDED, "canceled": ENDED}
_EPILOG = """\
exit status:
  0  the procedure succeeded
  1  the procedure failed, or a host could not be reached
  2  bad input: nothing was run
  3  the run was ended at its time limit, or canceled (Ctrl-C, SIGTERM, SIGHUP)
"""
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_CHANGES = {"reads": "reads only", "changes": "changes the service", "destroys": "destroys; asks for --confirm"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's own) and return its exit status."""
    options = _parser().parse_args(argv)
    try:
        return int(options.command(options))
    except RunbooksError as error:
        print(f"sre-runbooks: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return ENDED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); Python would complain once more while it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESSFUL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sre-runbooks",
        description="Operational runbooks that run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="the procedures, one a line")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(command=_list)

    show = commands.add_parser("show", help="one procedure: what it does, what it needs, how it is taken back")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(command=_show)

    add_command(commands, init)

    run = commands.add_parser(
        "run", help="run a procedure", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    run.add_argument("name", metavar="NAME")
    run.add_argument("-i", "--inventory", action="append", help="inventory of the service, or hosts with a comma; can be given again")
    run.add_argument("-e", "--extra-vars", action="append", default=[], metavar="K=V|@FILE|JSON", help="a variable, or a file of variables")
    run.add_argument("--confirm", metavar="TARGET", help="name of the target that may be destroyed")
    run.add_argument("--check", action="store_true", help="predict and change nothing")
    run.add_argument("--diff", action="store_true", help="show what changes")
    run.add_argument("--timeout", type=_duration, metavar="TIME", help="end the run after this time (90, 90s, 15m, 2h)")
    run.add_argument("--limit", default="", metavar="HOSTS", help="keep to these hosts")
    run.add_argument("--tags", type=_names, default=(), help="only steps with one of these tags, separated by commas")
    run.add_argument("--skip-tags", type=_names, default=(), help="leave out steps with one of these tags")
    run.add_argument("--vault-password-file", metavar="FILE", help="file with the password of Vault-encrypted variables")
    run.add_argument("--json", action="store_true", help="print the result as JSON; what happens meanwhile goes to standard error")
    run.add_argument("--state-dir", metavar="DIR", help="folder of records and artifacts")
    run.set_defaults(command=_run)

    report = commands.add_parser("report", help="the report of a run")
    report.add_argument("run_id", nargs="?", default="latest", metavar="RUN_ID", help="default: latest")
    report.add_argument("--format", choices=("md", "html-path", "json"), default="md", help="default: md")
    report.add_argument("--state-dir", metavar="DIR", help="folder of records and artifacts")
    report.set_defaults(command=_report)
    return parser


def _list(options: argparse.Namespace) -> int:
    known = procedures()
    if options.json:
        print(_json([_plain(procedure) for procedure in known]))
        return SUCCESSFUL
    width = max((len(procedure.name) for procedure in known), default=0)
    for procedure in known:
        print(f"{procedure.name:<{width}}  {procedure.changes:<8}  {procedure.title}")
    return SUCCESSFUL


def _show(options: argparse.Namespace) -> int:
    procedure = find_procedure(options.name)
    if options.json:
        print(_json(_plain(procedure)))
        return SUCCESSFUL
    confirm = " --confirm TARGET" if procedure.changes == "destroys" else ""
    print(
        textwrap.dedent(f"""\
        {procedure.name}: {procedure.title}
          effect        {_CHANGES.get(procedure.changes, procedure.changes)}
          needs         {", ".join(procedure.required_variables) or "nothing beyond the inventory"}
          taken back by {procedure.inverse or "-"}
          requirements  {", ".join(procedure.requirements) or "-"}
          playbook      {procedure.playbook}
          predict       sre-runbooks run {procedure.name} -i INVENTORY --check --diff{confirm}
          run           sre-runbooks run {procedure.name} -i INVENTORY{confirm}""")
    )
    return SUCCESSFUL


def _run(options: argparse.Namespace) -> int:
    procedure = find_procedure(options.name, find_collection())
    variables, files = _variables(options.extra_vars)
    if options.confirm is not None:
        variables["confirm"] = options.confirm
    display = Display(sys.stderr if options.json else sys.stdout)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup(1) a run shall outlive the terminal
            signal.signal(number, signal.default_int_handler)
    handle: Handle | None = None
    try:
        handle = run_async(
            procedure.name,
            inventory=options.inventory,
            extra_vars=variables,
            extra_vars_files=files,
            on_event=display.show,
            timeout_s=options.timeout,
            check=options.check,
            diff=options.diff,
            tags=options.tags,
            skip_tags=options.skip_tags,
            limit=options.limit,
            vault_password_file=options.vault_password_file,
            # What a person types at the console may be a template, as with ansible-playbook.
            templates=True,
            state_dir=options.state_dir,
        )
        display.line(f"{procedure.title}: run {handle.run_id}")
        result = handle.wait()
    except KeyboardInterrupt:
        if handle is None:
            raise
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        display.line("ending the run and everything that it has started")
        handle.cancel()
        result = handle.wait()
    _conclude(result, display, as_json=options.json)
    return _EXIT[result.status]


def _conclude(result: Result, display: Display, *, as_json: bool) -> None:
    display.end()
    if as_json:
        print(_json(_plain(result)))
        return
    if result.error:
        where = f" in the step {result.failed_task!r} on {result.failed_host}" if result.failed_task else ""
        print(f"sre-runbooks: {result.procedure} {result.status}{where}: {result.error}", file=sys.stderr)
    changed = "" if result.status != "successful" else ", changed" if result.changed else ", changed nothing"
    display.line(f"{result.procedure} {result.status}{changed}, {result.duration_s:.1f} s")
    if result.record is not None:
        display.line(f"record {result.record.folder}")
    if result.report is not None:
        display.line(f"report {result.report}")
    if result.record is None or not result.ok:
        display.line(f"artifacts {result.artifacts}")


def _report(options: argparse.Namespace) -> int:
    record = read_record(options.run_id, options.state_dir)
    if options.format == "json":
        print(_json(record.content))
        return SUCCESSFUL
    path = record.report(options.format.removesuffix("-path"))
    if path is None:
        raise RunNotFound(f"Run {record.run_id} has left no report in {record.folder}", next_step="read its record with --format json")
    print(path if options.format == "html-path" else path.read_text(encoding="utf-8").rstrip())
    return SUCCESSFUL


def _variables(given: Sequence[str]) -> tuple[dict[str, Any], list[Path]]:
    """Variables and files of variables from `-e`: `name=value` (a text), `@file`, or a mapping in JSON or YAML notation."""
    variables: dict[str, Any] = {}
    files: list[Path] = []
    for number, text in enumerate(given, start=1):
        name, equals, value = text.partition("=")
        if text.startswith("@"):
            files.append(Path(text[1:]))
        elif text.startswith("{"):
            variables.update(_mapping(text, number))
        elif equals and name.strip().isidentifier():
            variables[name.strip()] = value
        else:
            # The text itself is not repeated: it may hold a secret.
            raise BadInput(
                f"Option -e number {number} is not understood", next_step="write name=value, @file or a mapping in JSON notation"
            )
    return variables, files


def _mapping(text: str, number: int) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        raise BadInput(f"Option -e number {number} is not a mapping in JSON or YAML notation", next_step='write {"name": "value"}')
    return value


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write seconds, or 90s, 15m, 2h")
    return float(match[1]) * _SECONDS[match[2]]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _plain(value: Procedure | Result) -> dict[str, Any]:
    plain = dataclasses.asdict(value)
    if isinstance(value, Result) and value.record is not None:
        plain["record"] = value.record.content
    return plain


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


if __name__ == "__main__":
    sys.exit(main())
