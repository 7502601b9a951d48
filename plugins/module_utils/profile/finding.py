# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is found in a profile, and how values of unknown shape are read without stumbling."""

from __future__ import annotations

import difflib
import math
import typing as t
from dataclasses import asdict, dataclass

ERROR, WARNING = "error", "warning"
_LONGEST = 80


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        level: `error` (it cannot be as it is written) or `warning` (it can, but somebody should know).
        kind: Short name of the rule that found it, for programs (`unknown_key`).
        path: Where in the profile's variables: names and positions (from 0).
        what: What is wrong, as a sentence without its full stop.
        why: Why that is wrong; may be empty.
        next_step: What to do.
        where: File and line, where known.
    """

    level: str
    kind: str
    path: t.Tuple[t.Union[str, int], ...]
    what: str
    why: str = ""
    next_step: str = ""
    where: str = ""

    def as_dict(self) -> t.Dict[str, t.Any]:
        """JSON types only."""
        return {**asdict(self), "path": spoken_path(self.path)}

    @property
    def line(self) -> str:
        """One line for the reader."""
        text = f"{self.level.upper():<8}{self.where + ': ' if self.where else ''}{self.what}"
        text += f": {self.why.rstrip('.')}" if self.why else ""
        return text + (f". Next: {self.next_step.rstrip('.')}." if self.next_step else ".")


def spoken_path(path: t.Sequence[t.Union[str, int]]) -> str:
    """A path as people write it: `health_checks[2].url`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def clip(value: t.Any, length: int = _LONGEST) -> str:
    """A value's text, on one line, cut where it is long."""
    text = " ".join(str(value).split())
    return text if len(text) <= length else text[: length - 3] + "..."


def near(name: t.Any, known: t.Iterable[t.Any]) -> str:
    """` (did you mean 'x'?)`, or nothing."""
    found = difflib.get_close_matches(str(name)[:_LONGEST], [str(one) for one in known], 1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def items(value: t.Any) -> t.List[t.Tuple[int, t.Mapping[str, t.Any]]]:
    """The dictionaries of a list, with their positions; nothing for what is no list."""
    if not isinstance(value, (list, tuple)):
        return []
    return [(position, item) for position, item in enumerate(value) if isinstance(item, t.Mapping)]


def mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    """`value` when it is a dictionary, else an empty one."""
    return value if isinstance(value, t.Mapping) else {}


def texts(value: t.Any) -> t.List[str]:
    """The texts of a list; a text with commas is a list, too, as Ansible reads it."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(item) for item in value if isinstance(item, (str, int))] if isinstance(value, (list, tuple)) else []


def number(value: t.Any) -> t.Optional[float]:
    """`value` as a finite number, also when it is one written as a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def name_of(item: t.Mapping[str, t.Any], position: int) -> str:
    """What to call an item of a list: its name, else its number."""
    name = item.get("name")
    return repr(clip(name, 60)) if isinstance(name, (str, int)) and str(name) else f"number {position + 1}"


def spoken_s(seconds: float) -> str:
    """Seconds as people say them: `90 s`, `15 min`, `1 h`, `2 days`."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length or (seconds >= length and unit != "days"):
            return f"{seconds / length:.3g} {unit}"
    return "1 day" if seconds == 86400 else f"{seconds:.3g} s"


Path = t.Tuple[t.Union[str, int], ...]
Where = t.Callable[[Path], str]


class Findings(t.List[Finding]):
    """Findings of one rule, collected; file and line are looked up by path."""

    def __init__(self, where: Where) -> None:
        super().__init__()
        self._where = where

    def error(self, kind: str, path: Path, what: str, why: str = "", next_step: str = "correct it") -> None:
        """Note something that cannot be as it is written."""
        self.append(Finding(ERROR, kind, path, what, why, next_step, self._where(path)))

    def warning(self, kind: str, path: Path, what: str, why: str = "", next_step: str = "") -> None:
        """Note something that can be as it is written, but that somebody should know."""
        self.append(Finding(WARNING, kind, path, what, why, next_step, self._where(path)))
