# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text format of metrics: what it says is read, in whatever pieces it comes, and what is broken is told."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.checks.exposition import Broken, Sample, Scan, quantile, sample, samples
from ansible_collections.sre.runbooks.plugins.module_utils.checks.http_message import Malformed
from ansible_collections.sre.runbooks.plugins.module_utils.checks.selector import BadSelector, Selector

NAMES = st.from_regex(r"[a-z_:][a-z0-9_:]{0,8}", fullmatch=True)
LABELS = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True), st.text(max_size=12), max_size=3)
VALUES = st.floats(allow_nan=False)
SPACES = st.sampled_from(["", " ", "\t", "  "])


def written(text: str) -> str:
    """A label's value as the format has it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, Sample]:
    """A line, with blanks where they are allowed, and what it says."""
    name, labels, value = draw(NAMES), draw(LABELS), draw(VALUES)

    def gap() -> str:
        return draw(SPACES)

    inside = ",".join(f'{gap()}{label}{gap()}={gap()}"{written(text)}"{gap()}' for label, text in labels.items())
    last_comma, bare = draw(st.booleans()), draw(st.booleans())
    comma = "," if labels and last_comma else ""
    braces = " " if bare and not labels else f"{{{inside}{comma}{gap()}}}"
    number = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value))
    stamp = draw(st.sampled_from(["", " 1700000000000", " 1700000000.123", ' # {trace_id="x"} 1 2', " 17 # {} 1"]))
    return f"{gap()}{name}{gap()}{braces}{gap()}{number}{stamp}{gap()}", Sample(name, labels, value)


@given(lines())
def test_a_line_says_what_was_written_into_it(line: tuple[str, Sample]) -> None:
    assert sample(line[0]) == line[1]


@given(st.text(max_size=60))
def test_any_line_is_a_sample_or_is_refused_with_a_reason(line: str) -> None:
    try:
        assert isinstance(sample(line).value, float)
    except Broken:
        pass


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "x{",
        "x{a}",
        'x{a="1"',
        'x{a="1" b="2"} 3',
        'x{a="1\\"} 3',
        "x{,} 3",
        "x{a=1} 3",
        "x one",
        "x 1_000",
        "x 0x10",
        "x 1 two",
        "x 1 2 3",
        "9x 1",
        "",
        "{} 1",
    ],
)
def test_what_is_no_line_of_the_format_is_refused(line: str) -> None:
    with pytest.raises(Broken):
        sample(line)


@pytest.mark.parametrize(
    ("text", "value"), [("NaN", math.nan), ("+Inf", math.inf), ("-inf", -math.inf), ("1e3", 1000), (".5", 0.5), ("-0", 0)]
)
def test_all_ways_to_write_a_number_are_read(text: str, value: float) -> None:
    assert sample(f"x {text}").value == pytest.approx(value, nan_ok=True)


@given(
    st.lists(
        st.one_of(lines().map(lambda line: line[0]), st.just("# HELP x y"), st.just(""), st.text("ab {}#\r", max_size=9)), max_size=30
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    NAMES,
)
def test_a_page_means_the_same_in_whatever_pieces_it_comes(page: list[str], sizes: list[int], name: str) -> None:
    text = "\n".join(page).encode()

    def scanned(steps: list[int]) -> tuple[object, ...]:
        scan, at, turn = Scan([name, "x"]), 0, 0
        while at < len(text):
            size = steps[turn % len(steps)]
            scan.feed(text[at : at + size])
            at, turn = at + size, turn + 1
        scan.end()
        return scan.lines, scan.plausible, scan.foreign, scan.complete

    whole = scanned([max(1, len(text))])
    assert scanned(sizes) == whole
    wanted = re.compile(rf"[ \t]*(?:{re.escape(name)}|x)[ \t{{]")
    assert whole[0] == [line.encode() for line in "\n".join(page).split("\n") if wanted.match(line)]


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    scan = Scan(["x"])
    for _ in range(4):
        scan.feed(b"x" * 16384)
    with pytest.raises(Malformed, match="64 KiB"):
        scan.feed(b"x")


def test_of_more_series_than_can_be_kept_the_rest_is_left_out_and_that_is_told() -> None:
    scan = Scan(["x"])
    for number in range(30_000):
        scan.feed(b'x{number="%040d"} 1\n' % number)
    assert scan.overflowing
    assert sum(map(len, scan.lines)) <= 1024 * 1024


def test_of_a_series_that_is_there_twice_the_last_counts() -> None:
    assert samples([b'x{a="1",b="2"} 3', b'x{b="2",a="1"} 4']) == [Sample("x", {"b": "2", "a": "1"}, 4.0)]


def buckets(*counts: tuple[str, float]) -> list[Sample]:
    return [Sample("x_bucket", {"le": bound}, count) for bound, count in counts]


@pytest.mark.parametrize(
    ("share", "counts", "value"),
    [
        # Values from PromQL's definition of histogram_quantile: linear within a bucket, the first begins at 0.
        (0.5, [("1", 10), ("2", 20), ("+Inf", 20)], 1.0),
        (0.75, [("1", 10), ("2", 20), ("+Inf", 20)], 1.5),
        (0.25, [("1", 10), ("2", 20), ("+Inf", 20)], 0.5),
        (0.99, [("1", 10), ("2", 20), ("+Inf", 100)], 2.0),
        (0.5, [("-1", 10), ("2", 10), ("+Inf", 10)], -1.0),
        (0.5, [("1", 0), ("2", 0), ("+Inf", 0)], math.nan),
        (1, [("1", 5), ("2", 10), ("+Inf", 10)], 2.0),
    ],
)
def test_a_quantile_of_a_histogram_is_estimated_as_promql_does(share: float, counts: list[tuple[str, float]], value: float) -> None:
    assert quantile(share, buckets(*counts)) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("counts", [[("1", 1)], [("+Inf", 1)], [("one", 1), ("+Inf", 1)], []])
def test_what_is_no_histogram_is_refused(counts: list[tuple[str, float]]) -> None:
    with pytest.raises(Broken):
        quantile(0.5, buckets(*counts))


@given(st.lists(st.tuples(st.floats(allow_nan=False).map(str), st.floats(0, 1e300)), max_size=6), st.floats(0, 1))
def test_whatever_buckets_there_are_make_a_number_or_are_refused(counts: list[tuple[str, float]], share: float) -> None:
    try:
        assert isinstance(quantile(share, buckets(*counts, ("+Inf", 5))), float)
    except Broken:
        pass


@given(lines(), st.data())
def test_a_selector_made_of_a_series_fits_it_and_no_other(line: tuple[str, Sample], data: st.DataObject) -> None:
    one = line[1]
    text = one.name + "{" + ",".join(f'{label}="{written(value)}"' for label, value in one.labels.items()) + "}"
    selector = Selector.of(text)
    assert selector.fits(one.name, one.labels)
    assert not selector.fits(one.name + "x", one.labels)
    for label in one.labels:
        assert not selector.fits(one.name, {**one.labels, label: one.labels[label] + "?"})


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('x{code=~"5.."}', True),
        ('x{code=~"5"}', False),
        ('x{code!~"4.."}', True),
        ('x{code!="500"}', False),
        ('x{absent=""}', True),
        ('x{absent!=""}', False),
        ('x{code="500",method=~"GET|POST",}', True),
        (" x { } ", True),
    ],
)
def test_conditions_on_labels_are_those_of_promql(text: str, fits: bool) -> None:
    assert Selector.of(text).fits("x", {"code": "500", "method": "GET"}) is fits


@pytest.mark.parametrize("text", ["", "5x", "x{", "x{a}", 'x{a="b"', 'x{a=="b"}', 'x{a=~"("}', "x[5m]", "sum(x)", "x > 1"])
def test_what_selects_no_series_is_refused(text: str) -> None:
    with pytest.raises(BadSelector):
        Selector.of(text)


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_is_refused(text: str) -> None:
    try:
        Selector.of(text)
    except BadSelector:
        pass


def test_what_the_client_library_writes_is_read() -> None:
    client = pytest.importorskip("prometheus_client")
    registry = client.CollectorRegistry()
    requests = client.Counter("requests", "Quoted \\ and \n broken", ["path"], registry=registry)
    requests.labels('/"x"\\\n').inc(3)
    latency = client.Histogram("latency_seconds", "x", registry=registry, buckets=(0.1, 1))
    for value in (0.05, 0.5, 0.5, 2):
        latency.observe(value)
    for page in (client.generate_latest(registry), client.openmetrics.exposition.generate_latest(registry)):
        scan = Scan(["requests_total", "latency_seconds_bucket"])
        scan.feed(page)
        scan.end()
        found = samples(scan.lines)
        assert Sample("requests_total", {"path": '/"x"\\\n'}, 3.0) in found
        assert quantile(0.5, [one for one in found if one.name == "latency_seconds_bucket"]) == pytest.approx(0.55)
