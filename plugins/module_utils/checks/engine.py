# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ask many questions at once, each with one deadline for everything it does."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import typing as t
from collections import defaultdict

from .model import FAIL, PASS, UNKNOWN, WARN, Answer, Attempt, Check, Finding, NoAnswer, Result, worst
from .network import Network
from .redaction import Redactor

_PROCESSES = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
T = t.TypeVar("T")


def ask(checks: t.Sequence[Check], *, concurrency: int = 100, redactor: t.Optional[Redactor] = None) -> t.List[Result]:
    """Ask all checks and return their results in the same order.

    Args:
        checks: What to ask; names are unique and dependencies free of circles (`plan` sees to it).
        concurrency: Checks under way at the same time.
        redactor: Masks secrets in what came from outside.
    """
    return in_own_loop(Run(checks, redactor or Redactor()).results(concurrency))


def in_own_loop(work: t.Coroutine[t.Any, t.Any, T]) -> T:
    """Run `work` to its end in an event loop of its own, and return what it returns."""
    loop = asyncio.new_event_loop()
    # Broken connections are results here; the loop's own complaints about them would only be noise.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Run:
    """One run over a list of checks.

    Attributes:
        done: The results so far, by the name of the check.
    """

    def __init__(self, checks: t.Sequence[Check], redactor: Redactor) -> None:
        self.checks, self.redactor = checks, redactor
        self.network = Network()
        self.done: t.Dict[str, Result] = {}
        self.waiting = {check.name: len(set(check.depends_on)) for check in checks}
        self.followers: t.Dict[str, t.List[Check]] = defaultdict(list)
        for check in checks:
            for name in set(check.depends_on):
                self.followers[name].append(check)
            try:
                check.question.prepare(self.network)
            except NoAnswer:
                # Told when the check is asked, and not at all when it is not.
                pass

    async def results(self, concurrency: int) -> t.List[Result]:
        """Ask every check once, what depends on others after them."""
        self.ready: "asyncio.Queue[t.Optional[Check]]" = asyncio.Queue()
        self.processes = asyncio.Semaphore(_PROCESSES)
        for check in self.checks:
            if not check.depends_on:
                self.ready.put_nowait(check)
        workers = min(concurrency, len(self.checks))
        await asyncio.gather(*(self.work(workers) for _worker in range(workers)))
        return [self.done[check.name] for check in self.checks]

    async def work(self, workers: int) -> None:
        while True:
            check = await self.ready.get()
            if check is None:
                return
            self.done[check.name] = await self.one(check)
            for follower in self.followers.get(check.name, ()):
                self.waiting[follower.name] -= 1
                if self.waiting[follower.name] == 0:
                    self.ready.put_nowait(follower)
            if len(self.done) == len(self.checks):
                for _worker in range(workers):
                    self.ready.put_nowait(None)

    async def one(self, check: Check) -> Result:
        """Ask one check, retries included, unless what it depends on did not answer well."""
        missing = next((name for name in check.depends_on if self.done[name].verdict in (FAIL, UNKNOWN)), None)
        if missing is not None:
            verdict = self.done[missing].verdict
            reason = f"not asked, because it depends on {missing}, whose answer is {verdict}"
            return self.result(check, Answer([Finding(UNKNOWN, reason)]), None, 0)
        if check.question.uses_processes:
            # The clock starts when there is room for the process, not while waiting for it.
            async with self.processes:
                return await self.with_retries(check)
        return await self.with_retries(check)

    async def with_retries(self, check: Check) -> Result:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + check.timeout_s
        attempts = 0
        while True:
            attempts += 1
            answer, latency_s = await self.once(check, min(deadline, loop.time() + check.attempt_timeout_s))
            if not answer.retry or attempts > check.retries:
                break
            # Full jitter, so that many checks of one server do not come back together.
            pause = random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempts))
            if loop.time() + pause >= deadline:
                break
            await asyncio.sleep(pause)
        return self.result(check, answer, latency_s, attempts)

    async def once(self, check: Check, deadline: float) -> t.Tuple[Answer, t.Optional[float]]:
        loop = asyncio.get_running_loop()
        attempt = Attempt(self.network, deadline)
        begin = loop.time()
        try:
            got = await asyncio.wait_for(check.question.ask(attempt), deadline - begin)
            latency_s = loop.time() - begin
            answer = _within_cpu_time(check.question.judge_cpu_s, lambda: check.question.judge(got))
        except NoAnswer as nothing:
            return nothing.answer, None
        except asyncio.TimeoutError:
            return Answer([Finding(FAIL, f"no complete answer within {deadline - begin:.3g} s ({attempt.stage})")], retry=True), None
        except _TooLong:
            reason = (
                f"the answer could not be judged within {check.question.judge_cpu_s * 1000:g} ms of processor time; simplify the patterns"
            )
            return Answer([Finding(UNKNOWN, reason)]), None
        except Exception as error:  # one check's surprise must not take the others' answers away
            return Answer([Finding(UNKNOWN, f"the check itself failed: {type(error).__name__}: {error}")]), None
        answer.findings += _judge_latency(check, latency_s)
        return answer, latency_s

    def result(self, check: Check, answer: Answer, latency_s: t.Optional[float], attempts: int) -> Result:
        verdict = worst(finding.verdict for finding in answer.findings)
        reasons = [finding.reason for finding in sorted(answer.findings, key=lambda finding: finding.verdict != verdict)]
        if verdict == PASS and attempts > 1:
            reasons.append(f"passed after {attempts} attempts")
        return Result(
            name=check.name,
            type=check.type,
            target=check.question.target,
            verdict=verdict,
            latency_ms=None if latency_s is None else round(latency_s * 1000, 1),
            attempts=attempts,
            reason=self.redactor.text("; ".join(reasons))[:1000],
            observed=self.redactor.value(answer.observed) if answer.observed else {},
            weight=check.weight,
            title=check.title,
            component=check.component,
            value=answer.value,
        )


def _judge_latency(check: Check, latency_s: float) -> t.List[Finding]:
    latency_ms = latency_s * 1000
    for verdict, limit in ((FAIL, check.fail_latency_ms), (WARN, check.warn_latency_ms)):
        if limit is not None and latency_ms > limit:
            return [Finding(verdict, f"took {latency_ms:.0f} ms, more than {limit:g} ms")]
    return []


class _TooLong(BaseException):
    """Derived so that no `except Exception` on the way swallows it."""


def _within_cpu_time(limit_s: float, work: t.Callable[[], Answer]) -> Answer:
    """`work()`, given up after `limit_s` seconds of processor time.

    A pattern can take hours over a hostile text, and would keep all other checks from their deadlines. `re` looks for
    signals while it searches; they arrive in the main thread only, elsewhere there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    armed = True

    def give_up(_number: int, _frame: t.Any) -> None:
        if armed:
            raise _TooLong

    before = signal.signal(signal.SIGVTALRM, give_up)
    try:
        # Again and again: what is raised while Python collects garbage, say, is swallowed there.
        signal.setitimer(signal.ITIMER_VIRTUAL, limit_s, limit_s)
        return work()
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
