# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Regular expressions of others, on lines of others: a search that does not end is given up.

Python's `re` looks for signals while it searches, so a timer of processor time ends it. Signals arrive in the main thread only;
`scan` puts a scan that has patterns and is called from another thread into a process of its own.
"""

from __future__ import annotations

import re
import signal
import threading
import typing as t
from contextlib import contextmanager

TICK_S = 0.25
"""A single search ends after one to two ticks of processor time."""


_ANYTHING_FIRST = re.compile(r"^(?:\.\*\??)+(?![*+?{])")


class TooSlow(Exception):
    """A search was given up."""


class Watch:
    """Ends searches that take too long.

    Attributes:
        searches: How many searches have begun; the watch knows by it that one is still the same.
    """

    def __init__(self) -> None:
        self.searches = 0
        self._searching = False
        self._seen = -1

    @staticmethod
    def works_here() -> bool:
        """Whether searches can be ended in this thread."""
        return threading.current_thread() is threading.main_thread()

    @contextmanager
    def on(self) -> t.Iterator[None]:
        """Watch as long as the block runs; what others set for the signal is put back after it."""
        if not self.works_here():
            yield
            return
        before = signal.signal(signal.SIGVTALRM, self._tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, TICK_S, TICK_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)

    def search(self, pattern: "t.Pattern[t.AnyStr]", text: t.AnyStr, position: int = 0) -> "t.Optional[t.Match[t.AnyStr]]":
        """`pattern.search(text, position)`.

        Raises:
            TooSlow: It took too long.
        """
        self.searches += 1
        self._searching = True
        try:
            return pattern.search(text, position)
        except RecursionError:
            raise TooSlow from None
        finally:
            self._searching = False

    def _tick(self, _number: int, _frame: t.Any) -> None:
        if self._searching and self._seen == self.searches:
            self._searching = False
            raise TooSlow
        self._seen = self.searches


class LineSearch:
    """Finds the lines of a block in which a pattern is found, as if each were searched by itself.

    A search of the whole block tells where it may be; the line there is then searched alone, which decides. That is right for
    patterns without look-around: what is found in a line alone is found in the block from the same place on, or from an earlier one.

    Args:
        pattern: The regular expression.
        ignore_case: Whether capitals and small letters are alike.
        watch: Ends searches that take too long.
    """

    def __init__(self, pattern: str, ignore_case: bool, watch: Watch) -> None:
        flags = re.IGNORECASE if ignore_case else 0
        # What may be anything before it changes nothing but the time that the search takes.
        pattern = _ANYTHING_FIRST.sub("", pattern)
        self._watch = watch
        self._alone = re.compile(pattern, flags)
        self._in_block = re.compile(pattern, flags | re.MULTILINE) if is_local(pattern) else None

    def found_in(self, text: str) -> bool:
        """Whether the pattern is found in a line.

        Raises:
            TooSlow: The search took too long.
        """
        return self._watch.search(self._alone, text) is not None

    def lines(self, block: str) -> t.Iterator[str]:
        """The lines of `block`, which ends with a line's end, in which the pattern is found, without their ends.

        Raises:
            TooSlow: The search of one line took too long.
        """
        position, length = 0, len(block)
        while self._in_block is not None and position < length:
            try:
                match = self._watch.search(self._in_block, block, position)
            except TooSlow:
                # Too slow for many lines at once is not yet too slow for each.
                self._in_block = None
                break
            if match is None:
                return
            # A match at the very end of the block would belong to a line that is not there.
            place = min(match.start(), length - 1)
            begin = block.rfind("\n", 0, place) + 1
            end = block.find("\n", place)
            if self.found_in(block[begin:end]):
                yield block[begin:end]
            position = end + 1
        for line in block[position:-1].split("\n") if position < length else ():
            if self.found_in(line):
                yield line


def is_local(pattern: str) -> bool:
    """Whether what the pattern finds in a line alone is surely found in a text of many lines from the same place on."""
    try:
        parser: t.Any = getattr(re, "_parser", None)
        if parser is None:
            import sre_parse as parser
        return _local(parser.parse(pattern))
    except (re.error, RecursionError, OverflowError, ImportError):
        return False


_PLAIN = frozenset(("LITERAL", "NOT_LITERAL", "ANY", "IN", "CATEGORY", "RANGE", "NEGATE"))
_PLACES = frozenset(("AT_BEGINNING", "AT_END", "AT_BOUNDARY", "AT_NON_BOUNDARY"))


def _local(parsed: t.Any) -> bool:
    if getattr(getattr(parsed, "state", None), "flags", 0) & (re.MULTILINE | re.DOTALL | re.VERBOSE | re.LOCALE | re.ASCII):
        return False
    for operation, value in parsed:
        name = str(operation)
        if name in _PLAIN:
            continue
        if name == "AT" and str(value) in _PLACES:
            continue
        if name in ("MAX_REPEAT", "MIN_REPEAT") and _local(value[2]):
            continue
        if name == "BRANCH" and all(_local(branch) for branch in value[1]):
            continue
        if name == "SUBPATTERN" and not value[1] and not value[2] and _local(value[3]):
            continue
        return False
    return True
