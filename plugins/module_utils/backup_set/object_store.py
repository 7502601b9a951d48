# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""An object store, reached by rclone: questions, transfers, and what rclone says when either fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import typing as t
from dataclasses import dataclass, field, replace

from ..command import Command, Place, run
from ..errors import CommandFailed, DeadlineExceeded, Unreachable
from ..pipeline import Pipeline
from ..progress import Progress

LONG_PATIENCE = ("--retries", "3", "--low-level-retries", "5")
_SHORT_PATIENCE = ("--retries", "1", "--low-level-retries", "2", "--timeout", "5s")
"""For transfers, and for questions: somebody waits for the answer, and a dead store must be told within seconds."""
_QUESTION_S = 45.0
STALLED_S = 60.0
"""After a failure something must come through again within this time; rclone would try every file that is left, each for minutes."""


@dataclass(frozen=True)
class ObjectStore:
    """Where the copies are kept.

    Attributes:
        endpoint: URL of an S3 service; empty for Amazon's own.
        bucket: Bucket, which must exist.
        prefix: Folder in the bucket.
        region: Region; empty for the service's default.
        access_key: Access key.
        secret_key: Secret key.
        ca_file: Certificates that the service's must lead to; empty for the system's.
        tool_folder: Folder of rclone; empty for the search path.
    """

    bucket: str
    endpoint: str = ""
    prefix: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    ca_file: str = ""
    tool_folder: str = ""

    def __str__(self) -> str:
        return f"s3://{self.path()}" + (f" at {self.endpoint}" if self.endpoint else "")

    def path(self, *parts: str) -> str:
        """Bucket, prefix and further parts as one path."""
        return "/".join([self.bucket, *(part.strip("/") for part in (self.prefix, *parts) if part.strip("/"))])

    def remote(self, *parts: str) -> str:
        """The same in rclone's words; the remote is described by the environment (rclone manual, Environment Variables)."""
        return "offsite:" + self.path(*parts)

    def command(self, *arguments: str) -> Command:
        """A call of rclone that can reach the store; the keys are in its environment alone."""
        place = Place(tool_folder=self.tool_folder)
        environment = {
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_OFFSITE_TYPE": "s3",
            "RCLONE_CONFIG_OFFSITE_PROVIDER": "Other" if self.endpoint else "AWS",
            "RCLONE_CONFIG_OFFSITE_ENDPOINT": self.endpoint,
            "RCLONE_CONFIG_OFFSITE_REGION": self.region,
            "RCLONE_CONFIG_OFFSITE_FORCE_PATH_STYLE": "true" if self.endpoint else "false",
            "RCLONE_CONFIG_OFFSITE_NO_CHECK_BUCKET": "true",
            "RCLONE_CA_CERT": self.ca_file,
        }
        secrets = {"RCLONE_CONFIG_OFFSITE_ACCESS_KEY_ID": self.access_key, "RCLONE_CONFIG_OFFSITE_SECRET_ACCESS_KEY": self.secret_key}
        if not self.access_key:
            environment["RCLONE_CONFIG_OFFSITE_ENV_AUTH"] = "true"
        return Command(
            [place.program("rclone"), "--contimeout", "10s", "--timeout", "60s", *arguments],
            environment={key: value for key, value in environment.items() if value},
            secrets={key: value for key, value in secrets.items() if value},
        )

    def call(self, *arguments: str) -> str:
        """Run a short rclone command and return what it prints.

        Raises:
            Unreachable: The store did not answer or refused.
        """
        try:
            return run(replace(self.command(*arguments, *_SHORT_PATIENCE), timeout_s=_QUESTION_S)).stdout
        except CommandFailed as error:
            raise self.unreachable(error.why) from error
        except DeadlineExceeded as error:
            raise self.unreachable(f"it did not answer within {_QUESTION_S:g} s") from error

    def transfer(
        self, progress: Progress, step: str, total: int, *arguments: str, environment: t.Optional[t.Mapping[str, str]] = None
    ) -> None:
        """Run a long rclone command, reporting its progress; `environment` has further settings of rclone.

        Raises:
            Unreachable: The store failed, also when rclone would try it in vain with every file that is left.
        """
        command = self.command(*arguments, *LONG_PATIENCE, "--stats", "1s", "--use-json-log", "--stats-log-level", "NOTICE")
        command = replace(command, environment={**command.environment, **(environment or {})})
        moved_bytes, moved_at = 0, time.monotonic()

        def look() -> None:
            nonlocal moved_bytes, moved_at
            said = pipeline.said(0)
            stats = _stats(said)
            done = int(stats.get("bytes", 0))
            progress.say(step, done, total, "bytes")
            if done != moved_bytes or not stats.get("errors"):
                moved_bytes, moved_at = done, time.monotonic()
            elif time.monotonic() - moved_at > STALLED_S:
                raise self.unreachable("; ".join([*said.splitlines()[1:], str(stats.get("lastError", ""))]))

        try:
            with Pipeline(command, stdout=subprocess.DEVNULL) as pipeline:
                pipeline.watch(look)
        except CommandFailed as error:
            raise self.unreachable(error.why) from error

    def unreachable(self, said: str) -> Unreachable:
        """The error for a call that failed, with the cause among what rclone said."""
        return Unreachable(
            "The object store could not be used",
            where=str(self),
            why=_cause(said),
            next_step="check that it runs, that the bucket exists and that its keys in the inventory's secrets are right; "
            "what was uploaded is kept and completed by the next run",
        )


def _stats(said: str) -> t.Dict[str, t.Any]:
    """The last statistics that rclone told (`bytes`, `errors`, `lastError`); empty before the first."""
    for line in reversed(said.splitlines()):
        try:
            return dict(json.loads(line)["stats"])
        except (ValueError, KeyError, TypeError):
            continue
    return {}


def _cause(said: str) -> str:
    """What an S3 service or the network said, without what rclone says around it, each thing once."""
    messages = []
    for part in said.split("; "):
        try:
            entry = json.loads(part)
        except ValueError:
            messages.append(_PREFIX.sub("", part))
            continue
        if entry.get("level") in ("error", "critical"):
            messages.append(entry.get("msg", ""))
    telling = [found for message in messages for found in _TELLING.findall(message)]
    text = "; ".join(dict.fromkeys(text.strip() for text in telling or messages if text.strip())) or said
    return text.replace("directory not found", "the bucket was not found")[-600:]


_PREFIX = re.compile(r"^\d{4}/\d\d/\d\d [\d:]{8} [A-Z]+ *: *")
_TELLING = re.compile(r"(?<=api error )\w+: .*?(?=\.?$)|dial tcp.*|x509: .*|tls: .*|net/http: .*|directory not found")
