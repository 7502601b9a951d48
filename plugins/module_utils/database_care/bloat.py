# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How much of a table's or an index's room holds nothing, estimated from the planner's statistics without reading it.

The estimate compares the pages that there are with those that the rows would fill, by the layout of pages, rows and index entries
(PostgreSQL manual, 65.6 and src/include/access/nbtree.h). It knows averages only. Where the extension pgstattuple is there, an index that
looks bloated is measured before it is rebuilt.
"""

from __future__ import annotations

import math
import typing as t

PAGE_HEADER, LINE_POINTER, ROW_HEADER, INDEX_HEADER, SPECIAL = 24, 4, 23, 8, 16
"""Bytes: PageHeaderData, ItemIdData, HeapTupleHeaderData, IndexTupleData, BTPageOpaqueData (its size on a page)."""
ALIGNMENT = 8
"""MAXALIGN of 64-bit machines: rows and entries begin at multiples of it."""
TABLE_FILL, INDEX_FILL = 100, 90
"""Default fillfactor of tables and of B-tree leaves, in percent (manual, CREATE TABLE and CREATE INDEX)."""


def _aligned(size: float) -> int:
    return math.ceil(size / ALIGNMENT) * ALIGNMENT


def _pages(rows: float, row_bytes: int, page: int, fill_percent: float, special: int) -> float:
    room = (page - PAGE_HEADER - special) * fill_percent / 100
    a_page = max(int(room / row_bytes), 1)
    return math.ceil(rows / a_page)


def table_waste(table_bytes: int, rows: float, width: t.Optional[float], columns: int, fill_percent: float, page: int) -> t.Optional[int]:
    """Bytes of a table's main file that hold no row; None where that cannot be told.

    Args:
        table_bytes: Size of the main file.
        rows: Live rows; below 0 for unknown.
        width: Mean bytes of a row's values; None where ANALYZE has not seen the table.
        columns: How many columns it has (a bit each for NULL).
        fill_percent: Its fillfactor.
        page: Bytes of a page (`block_size`).
    """
    if width is None or rows < 0:
        return None
    row = _aligned(ROW_HEADER + math.ceil(columns / 8)) + _aligned(width) + LINE_POINTER
    return max(table_bytes - int(_pages(rows, row, page, fill_percent, 0)) * page, 0)


def index_waste(index_bytes: int, rows: float, width: t.Optional[float], fill_percent: float, page: int) -> t.Optional[int]:
    """Bytes of a B-tree index that hold no entry; None where that cannot be told.

    Equal keys share an entry (PostgreSQL 13 and newer), so an index with many of them is smaller than this expects, and its waste is
    told too low, never too high. Inner pages are counted as one for each hundred leaves, and one page tells about the index.
    """
    if width is None or rows < 0:
        return None
    entry = INDEX_HEADER + _aligned(width) + LINE_POINTER
    leaves = _pages(rows, entry, page, fill_percent, SPECIAL)
    return max(index_bytes - int(leaves + math.ceil(leaves / 100) + 1) * page, 0)


def measured_waste(index_bytes: int, leaf_density_percent: float, fill_percent: float) -> int:
    """Bytes that a rebuild would free, from the density of the leaves that pgstatindex() measured (manual, F.33)."""
    return max(int(index_bytes * (1 - leaf_density_percent / fill_percent)), 0)
