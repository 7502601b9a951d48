# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What restores replaced and kept, of whatever kind: which of it stays, and the result of removing the rest."""

from __future__ import annotations

import typing as t

from ..errors import BadInput

Kept = t.TypeVar("Kept")


def parted(found: t.Iterable[Kept], keep: int, time_of: t.Callable[[Kept], str]) -> t.Tuple[t.List[Kept], t.List[Kept]]:
    """What stays and what goes, both the newest first; what bears the same time was replaced together, and counts once.

    Args:
        found: All that is kept.
        keep: How many times stay.
        time_of: Its time stamp.

    Raises:
        BadInput: `keep` is negative.
    """
    if keep < 0:
        raise BadInput(f"{keep} replaced ones cannot be kept", next_step="say 0 or more (restore_keep_replaced)")
    newest_first = sorted(found, key=time_of, reverse=True)
    staying = sorted({time_of(one) for one in newest_first}, reverse=True)[:keep]
    return [one for one in newest_first if time_of(one) in staying], [one for one in newest_first if time_of(one) not in staying]


def stamp_at_end(name: str) -> str:
    """The time stamp with which derived names end, such as 20261121T020000Z."""
    return name[-16:]


def removal(what: str, superfluous: t.Sequence[str], kept: t.Sequence[str], sizes: t.Mapping[str, int]) -> t.Dict[str, t.Any]:
    """The result of a removal: `changed`, `dropped`, `kept`, `freed_bytes`, `plan`, and a diff.

    Args:
        what: What is done to each, the beginning of a sentence.
        superfluous: Names that go.
        kept: Names that stay.
        sizes: Bytes of those that go.
    """
    return {
        "changed": bool(superfluous),
        "dropped": list(superfluous),
        "kept": list(kept),
        "freed_bytes": sum(sizes.values()),
        "plan": [f"{what} {name} ({sizes[name] / 1e6:.0f} MB)" for name in superfluous],
        "diff": {"before": "".join(f"{name}\n" for name in [*kept, *superfluous]), "after": "".join(f"{name}\n" for name in kept)},
    }
