# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a lease says, and what becomes of a request for one. Pure: no files, no clock."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime

from .controller import Controller
from .state import spoken, utc_text, utc_time

FORMAT = "sre.runbooks/lease/1"


@dataclass(frozen=True)
class Lease:
    """Who works on a resource.

    Attributes:
        resource: What the lease is on (`postgresql:reference`).
        holder: The run's id, or the name of whoever keeps the resource.
        who: The person or robot (`anna@control1`).
        reason: What for.
        acquired_at: Since when.
        expires_at: Until when.
        controller: The process that carries out the run; None for a lease that outlives its process.
    """

    resource: str
    holder: str
    who: str
    reason: str
    acquired_at: datetime
    expires_at: datetime
    controller: t.Optional[Controller] = None

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The content of the lease's file."""
        return {
            "format": FORMAT,
            "resource": self.resource,
            "holder": self.holder,
            "who": self.who,
            "reason": self.reason,
            "acquired_at": utc_text(self.acquired_at),
            "expires_at": utc_text(self.expires_at),
            "controller": self.controller.as_dict() if self.controller else None,
        }

    @classmethod
    def from_dict(cls, value: t.Mapping[str, t.Any]) -> Lease:
        """What `as_dict` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            if value["format"] != FORMAT:
                raise ValueError(f"its format is {value['format']!r}")
            texts = [str(value[name]) for name in ("resource", "holder", "who", "reason")]
            times = [utc_time(value[name]) for name in ("acquired_at", "expires_at")]
            return cls(texts[0], texts[1], texts[2], texts[3], times[0], times[1], Controller.from_dict(value["controller"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{error} is missing or of the wrong type") from error

    def shown(self) -> t.Dict[str, t.Any]:
        """What a module returns of it: without the process."""
        return {name: value for name, value in self.as_dict().items() if name not in ("controller", "format")}

    def told(self) -> str:
        """Who holds it, what for, since when and until when."""
        return f"{self.holder} ({self.who}) holds it for: {self.reason}, since {spoken(self.acquired_at)}, until {spoken(self.expires_at)}"


@dataclass(frozen=True)
class Decision:
    """What becomes of a request for a lease.

    Attributes:
        granted: Whether it may have it.
        write: Whether the lease has to be written for that.
        note: What is to be told; empty when the resource was simply free.
        next_step: For a refusal, what the reader should do.
    """

    granted: bool
    write: bool
    note: str = ""
    next_step: str = ""


def decide(current: t.Optional[Lease], wanted: Lease, *, alive: t.Optional[bool], now: datetime, takeover: str = "") -> Decision:
    """Whether `wanted` may have the resource; a pure function.

    Args:
        current: The lease that is there; None for none.
        wanted: The lease that is asked for.
        alive: Whether the process of `current` lives; None when that cannot be known.
        now: The time.
        takeover: Holder whose lease shall be broken; empty for none.
    """
    if current is None:
        return Decision(True, True)
    over = now >= current.expires_at
    if current.holder == wanted.holder:
        return Decision(True, over)
    if current.controller is not None and current.controller == wanted.controller:
        return Decision(True, False, f"{current.resource} is already held by {current.holder}, of which this is a part")
    if takeover and takeover == current.holder:
        return Decision(True, True, f"Took the lease on {current.resource} away, as asked: {current.told()}")
    if alive is False:
        return Decision(True, True, f"Took over the lease on {current.resource} from a run whose process is gone: {current.told()}")
    if over and not alive:
        return Decision(True, True, f"Took over the lease on {current.resource}, which had run out: {current.told()}")
    wait = "wait until it is done" if not over else "its time is over but its process still works: see what it waits for, or end it"
    return Decision(
        False,
        False,
        current.told(),
        f"{wait}; if you are sure that it does nothing any more, break its lease with -e procedure_takeover={current.holder}",
    )
