# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Prometheus' text format, and OpenMetrics as far as it differs: the samples of a few metrics out of a text of any length.

Sources: prometheus.io/docs/instrumenting/exposition_formats (text format 0.0.4) and the OpenMetrics specification 1.0.

The parser of the package prometheus_client was not taken: managed hosts do not have it, it reads all families into memory, and it
stops at the first line that it does not like, whosever that is.
"""

from __future__ import annotations

import math
import re
import typing as t

from .http_message import Malformed
from .redaction import EVIDENCE_BYTES
from .selector import NAME, unescaped

_LONGEST_LINE = 64 * 1024
_MOST_KEPT = 1024 * 1024
_SAMPLE = re.compile(rb"[ \t]*[a-zA-Z_:][a-zA-Z0-9_:]*(?:[ \t]*\{|[ \t]+(?:[-+.0-9]|nan|inf))", re.IGNORECASE)
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*', re.DOTALL)
_CLOSING = re.compile(r"[ \t]*\}")
# The value; a time stamp; an exemplar (OpenMetrics), which nobody asks for.
_REST = re.compile(
    r"[ \t]*([-+]?(?:[0-9]+\.?[0-9]*(?:e[-+]?[0-9]+)?|\.[0-9]+(?:e[-+]?[0-9]+)?|inf(?:inity)?|nan))"
    r"(?:[ \t]+[-+]?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?)?[ \t]*(?:#.*)?\Z",
    re.IGNORECASE,
)


class Broken(ValueError):
    """A line of a metric that is asked for is not in the format."""


class Sample(t.NamedTuple):
    """One series and its value at this moment."""

    name: str
    labels: t.Dict[str, str]
    value: float


class Scan:
    """Takes a text in the pieces in which it arrives and keeps the lines of some metrics.

    Attributes:
        lines: The lines kept, at most 1 MiB of them.
        overflowing: Whether there were more.
        plausible: Whether any line was a sample, be it of these metrics or of others.
        foreign: Whether there was a line that is neither a sample nor a comment, before the first sample.
        complete: Whether it ends with OpenMetrics' mark for that.
        beginning: How it begins, for a report.
    """

    def __init__(self, names: t.Iterable[str]) -> None:
        self._names = [name.encode() for name in sorted(set(names))]
        self._wanted = re.compile(rb"^[ \t]*(?:" + b"|".join(map(re.escape, self._names)) + rb")(?=[ \t{])[^\n]*", re.MULTILINE)
        self._rest, self._kept = bytearray(), 0
        self.lines: t.List[bytes] = []
        self.beginning = bytearray()
        self.overflowing = self.plausible = self.foreign = self.complete = False

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            Malformed: A line has no end.
        """
        self.beginning += data[: max(0, EVIDENCE_BYTES - len(self.beginning))]
        end = data.rfind(b"\n")
        if end < 0:
            self._rest += data
        else:
            self._take(bytes(self._rest) + data[:end])
            self._rest[:] = data[end + 1 :]
        if len(self._rest) > _LONGEST_LINE:
            raise Malformed(f"the answer has a line of more than {_LONGEST_LINE // 1024} KiB")

    def end(self) -> None:
        """Nothing follows."""
        self._take(bytes(self._rest))
        self._rest.clear()

    def _take(self, text: bytes) -> None:
        if not self.plausible:
            self._look(text)
        if text.strip():
            self.complete = text.rstrip().endswith(b"# EOF")
        if not any(name in text for name in self._names):
            # By far the most pieces of a long text, and this is several times faster than the pattern.
            return
        for found in self._wanted.finditer(text):
            self._kept += len(found[0])
            if self._kept > _MOST_KEPT:
                self.overflowing = True
                return
            self.lines.append(found[0])

    def _look(self, text: bytes) -> None:
        for line in text.split(b"\n"):
            if _SAMPLE.match(line):
                self.plausible = True
                return
            if line.strip() and not line.lstrip().startswith(b"#"):
                self.foreign = True


def sample(line: str) -> Sample:
    """The sample that a line has.

    Raises:
        Broken: It has none.
    """
    name = NAME.match(line)
    if name is None:
        raise Broken(f"{line[:80]!r} has no name")
    at, labels = name.end(), {}
    if line[at : at + 1] == "{":
        at += 1
        while True:
            closing = _CLOSING.match(line, at)
            if closing is not None:
                at = closing.end()
                break
            label = _LABEL.match(line, at)
            if label is None or line[label.end() : label.end() + 1] not in (",", "}"):
                raise Broken(f"{line[:80]!r} has a label that is not in the format")
            labels[label[1]] = unescaped(label[2])
            at = label.end() + (line[label.end()] == ",")
    elif line[at - 1] not in " \t":
        raise Broken(f"{line[:80]!r} has no value")
    rest = _REST.match(line, at)
    if rest is None:
        raise Broken(f"{line[:80]!r} has no value that is a number")
    return Sample(name[1], labels, float(rest[1]))


def samples(lines: t.Iterable[bytes]) -> t.List[Sample]:
    """The samples of these lines; of a series that is there twice the last.

    Raises:
        Broken: A line has none.
    """
    found: t.Dict[t.Tuple[str, t.FrozenSet[t.Tuple[str, str]]], Sample] = {}
    for line in lines:
        one = sample(line.decode("utf-8", "replace").rstrip("\r"))
        found[one.name, frozenset(one.labels.items())] = one
    return list(found.values())


def quantile(share: float, buckets: t.Sequence[Sample]) -> float:
    """The quantile that a histogram's cumulative buckets give, with the same estimate as PromQL's histogram_quantile.

    Buckets of several series are added up. NaN when nothing was observed.

    Args:
        share: Which quantile, between 0 and 1.
        buckets: Series with the label `le`, the upper bound.

    Raises:
        Broken: They are no histogram.
    """
    counts: t.Dict[float, float] = {}
    for bucket in buckets:
        try:
            bound = float(bucket.labels["le"])
        except (KeyError, ValueError):
            raise Broken(f"a series of {bucket.name} has no bound as its label le, so it is no histogram") from None
        counts[bound] = counts.get(bound, 0.0) + bucket.value
    bounds = sorted(counts)
    if len(bounds) < 2 or bounds[-1] != math.inf:
        raise Broken('the histogram has no bucket le="+Inf", or no other')
    total = counts[math.inf]
    if not total > 0:
        return math.nan
    rank, below, low = share * total, 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank:
            break
        below, low = counts[bound], bound
    if bound == math.inf:
        return bounds[-2]
    if bound == bounds[0] and bound <= 0:
        return bound
    inside = counts[bound] - below
    return low + (bound - low) * ((rank - below) / inside) if inside > 0 else bound
