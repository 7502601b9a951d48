# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The words of a check: its question, the answer, and the verdict."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from .network import Network

PASS, WARN, FAIL, UNKNOWN = "pass", "warn", "fail", "unknown"
SEVERITY: t.Mapping[str, int] = {PASS: 0, WARN: 1, UNKNOWN: 2, FAIL: 3}
"""What outweighs what: a failure is certain, so it outweighs what could not be measured; both outweigh a warning."""


def worst(verdicts: t.Iterable[str]) -> str:
    """The verdict that outweighs the others; `pass` for none."""
    return max(verdicts, key=SEVERITY.__getitem__, default=PASS)


class Finding(t.NamedTuple):
    """Something that is not as it should be.

    Attributes:
        verdict: `warn`, `fail` or `unknown`.
        reason: Why, as a part of a sentence.
    """

    verdict: str
    reason: str


@dataclass
class Answer:
    """What was learned.

    Attributes:
        findings: What is wrong with it; none for `pass`.
        observed: Measured values for the reader and for programs (JSON types only).
        retry: Whether what is wrong may be gone in a moment.
        value: The number that the question asks for, finite; None where it has none or none came.
    """

    findings: t.List[Finding] = field(default_factory=list)
    observed: t.Dict[str, t.Any] = field(default_factory=dict)
    retry: bool = False
    value: t.Optional[float] = None


class NoAnswer(Exception):
    """Nothing came back that could be judged.

    Attributes:
        answer: The one finding, and what was seen nevertheless.
    """

    def __init__(self, verdict: str, reason: str, *, retry: bool = False, observed: t.Optional[t.Mapping[str, t.Any]] = None) -> None:
        super().__init__(reason)
        self.answer = Answer([Finding(verdict, reason)], dict(observed or {}), retry)


@dataclass
class Attempt:
    """One attempt at a question.

    Attributes:
        network: Names and TLS contexts that the checks of a run share.
        deadline: Time of the event loop, in seconds, at which the attempt is cut off.
        stage: What is being done, kept up to date by the question so that a timeout can be explained.
    """

    network: "Network"
    deadline: float
    stage: str = "starting"


class Question:
    """A type of check; an object of it is one question. To add a type, derive from this and enter it in `catalogue`.

    Attributes:
        spec: The keys of the type, in the words of an Ansible argument spec. Secrets are marked by `no_log` and bear a
            name by which `redaction.is_secret_name` knows them.
        uses_processes: Whether asking starts programs, of which only a few may run at a time.
        judge_cpu_s: Processor time in seconds after which judging is given up.
    """

    spec: t.ClassVar[t.Mapping[str, t.Mapping[str, t.Any]]] = {}
    uses_processes: t.ClassVar[bool] = False
    judge_cpu_s: float = 0.05

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        """Take the validated `options`; those that were not given are missing."""
        self.options = options

    def mistakes(self) -> t.List[str]:
        """What is wrong with the options beyond what `spec` can tell; called before anything is asked."""
        return []

    @property
    def has_number(self) -> bool:
        """Whether a good answer to this question gives a number, `Answer.value`, on which a metric can stand."""
        return False

    @property
    def of_host(self) -> bool:
        """Whether it is about the very host that asks it, so that no other can ask it in its place."""
        return False

    @property
    def target(self) -> str:
        """What is asked, for the reader, without credentials."""
        raise NotImplementedError

    def prepare(self, network: "Network") -> None:
        """Make what takes this host time before any clock starts, such as reading the certificates that it trusts; asks nothing.

        Raises:
            NoAnswer: It cannot be made; it is tried again, and told, when the question is put.
        """

    async def ask(self, attempt: Attempt) -> t.Any:
        """Ask and return what came back; it is cancelled at the deadline and must then let go at once.

        Raises:
            NoAnswer: Nothing came back that could be judged.
        """
        raise NotImplementedError

    def judge(self, got: t.Any) -> Answer:
        """Judge what `ask` returned; a pure function.

        Raises:
            NoAnswer: It cannot be judged.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Check:
    """A question with its name and terms.

    Attributes:
        timeout_s: Deadline of the whole check, retries included, in seconds.
        attempt_timeout_s: Limit of one attempt in seconds.
        retries: Attempts after the first.
        weight: Share in the score.
        depends_on: Names of checks without whose answer this one is not asked.
        warn_latency_ms: Latency from which on it warns; None for never.
        fail_latency_ms: Latency from which on it fails; None for never.
        title: What reports call it; empty for its name.
        component: The part of the service that it tells of; empty for none.
    """

    name: str
    type: str
    question: Question
    timeout_s: float
    attempt_timeout_s: float
    retries: int = 0
    weight: float = 1.0
    depends_on: t.Tuple[str, ...] = ()
    warn_latency_ms: t.Optional[float] = None
    fail_latency_ms: t.Optional[float] = None
    title: str = ""
    component: str = ""


@dataclass(frozen=True)
class Result:
    """The outcome of a check.

    Attributes:
        latency_ms: Duration of the attempt that decided, in milliseconds; None when there was no answer.
        attempts: How often it was asked; 0 when a dependency kept it from being asked.
        reason: One sentence for the reader; empty for a plain pass.
        title: What reports call it; empty for its name.
        component: The part of the service that it tells of; empty for none.
        value: The number that was asked for; None where the check has none, or none came.
    """

    name: str
    type: str
    target: str
    verdict: str
    latency_ms: t.Optional[float]
    attempts: int
    reason: str
    observed: t.Mapping[str, t.Any]
    weight: float = 1.0
    title: str = ""
    component: str = ""
    value: t.Optional[float] = None
