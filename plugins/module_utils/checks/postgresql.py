# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `postgresql`."""

from __future__ import annotations

import asyncio
import math
import typing as t

from ..command import Command, Completed, run
from ..errors import DeadlineExceeded, RunbookError, ToolMissing
from ..place import place_from
from ..postgresql.connection import Connection
from . import conditions
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding, NoAnswer, Question
from .network import in_thread
from .postgresql_measures import MEASURES
from .programs import PLACE
from .tcp import endpoint, port_mistakes

_COLUMN = "\x1f"
_NOT_REACHED = (
    # What the engine or the cluster says when the fault lies on the way, so that nothing is known of the database.
    "cannot connect to the docker daemon",
    "permission denied while trying to connect",
    "unable to connect to the server",
    "the connection to the server",
    "kubectl exec ended first",
    "error dialing backend",
    "timeout occured",  # kubectl's spelling
    "could not translate host name",
    "executable file not found",
)
_PASSING = ("connection refused", "the database system is", "server closed the connection", "could not receive data")


class PostgreSQL(Question):
    """Log in with psql and run a query, read-only; the first column of the first row may be held against thresholds."""

    spec = {
        "host": {"type": "str", "default": ""},
        "port": {"type": "int", "default": 5432},
        "user": {"type": "str", "default": "postgres"},
        "password": {"type": "str", "no_log": True},
        "database": {"type": "str", "default": "postgres"},
        "query": {"type": "str"},
        "measure": {"type": "str", "choices": sorted(MEASURES)},
        "ssl_mode": {"type": "str", "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]},
        "ca_file": {"type": "path"},
        **PLACE,
        **conditions.THRESHOLDS,
    }
    uses_processes = True

    @property
    def has_number(self) -> bool:
        return True

    @property
    def of_host(self) -> bool:
        host = self.options["host"]
        # Without a host, or with a folder for it, psql goes to a socket.
        return "container" in self.options or ("pod" not in self.options and (not host or host.startswith("/")))

    def mistakes(self) -> t.List[str]:
        found = port_mistakes({"port": self.options["port"]}) + conditions.threshold_mistakes(self.options)
        if not self._query.strip() or self._query.lstrip().startswith("\\"):
            found.append("query is not SQL")
        if "query" in self.options and "measure" in self.options:
            found.append("both query and measure are given; a measure is a query of its own")
        if "\0" in "".join(str(value) for value in self.options.values()):
            found.append("an option has a NUL in it")
        if "pod" in self.options and "password" in self.options:
            found.append("no password can be passed into a pod without showing it; let psql in the pod log in without one")
        if "pod" in self.options and "container" in self.options:
            found.append("both a container and a pod are named; name the one in which psql is")
        return found

    @property
    def target(self) -> str:
        options = self.options
        server = endpoint(options["host"], options["port"]) if options["host"] else f"local socket:{options['port']}"
        place = place_from(self.options)
        return f"{options['user']}@{server}/{options['database']}" + ("" if place.is_host else f" in {place}")

    @property
    def _query(self) -> str:
        return str(self.options.get("query", MEASURES.get(self.options.get("measure", ""), "SELECT 1")))

    async def ask(self, attempt: Attempt) -> Completed:
        left_s = max(0.1, attempt.deadline - asyncio.get_running_loop().time())
        options = self.options
        connection = Connection(
            host=options["host"],
            port=options["port"],
            user=options["user"],
            password=options.get("password", ""),
            ssl_mode=options.get("ssl_mode", ""),
            ca_file=options.get("ca_file", ""),
            connect_timeout_s=math.ceil(left_s),
            place=place_from(self.options),
        )
        # In one transaction, so that nothing clings to the session of a connection pooler; the server's own time limit ends
        # the query also where our end of a `docker exec` was cut off.
        statements = ("BEGIN READ ONLY", f"SET LOCAL statement_timeout = {math.ceil(left_s * 1000)}", self._query, "ROLLBACK")
        arguments = [
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--no-password",
            f"--field-separator={_COLUMN}",
            "--set=ON_ERROR_STOP=1",
        ]
        attempt.stage = "waiting for psql"
        try:
            command = connection.command(
                "psql", *arguments, *(f"--command={sql}" for sql in statements), database=options["database"], timeout_s=left_s
            )
            done = await in_thread(lambda: _run(command))
            if done.status != 0:
                raise connection.explain(command.failure(done.status, done.stderr), options["database"])
        except ToolMissing as error:
            raise NoAnswer(UNKNOWN, f"{error.what} on {error.where}") from None
        except DeadlineExceeded:
            raise NoAnswer(FAIL, f"psql had no answer within {left_s:.3g} s", retry=True) from None
        except RunbookError as error:
            raise _explained(error) from None
        return done

    def judge(self, got: Completed) -> Answer:
        rows = got.stdout.split("\n")
        text = rows[0].split(_COLUMN)[0] if got.stdout else None
        value = number_of(text)
        answer = Answer(observed={"value": value}, value=conditions.number(value))
        measure = self.options.get("measure")
        if measure and answer.value is None:
            answer.findings.append(Finding(UNKNOWN, f"{measure} cannot be measured: {text or 'no answer'}"))
        else:
            answer.findings += conditions.judge_number(value, self.options, measure or "the value")
        return answer


def number_of(text: t.Optional[str]) -> t.Any:
    """The number that `text` is; `text` itself when it is none."""
    if text is None or len(text) > 40:
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _run(command: Command) -> Completed:
    return run(command, check=False)


def _explained(error: RunbookError) -> NoAnswer:
    why = error.why.lower()
    words = f"{error.what}: {error.why}" if error.why else error.what
    if any(said in why for said in _NOT_REACHED) or error.facts.get("exit_status") in (126, 127):
        return NoAnswer(UNKNOWN, words)
    return NoAnswer(FAIL, words, retry=any(said in why for said in _PASSING))
