# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One at a time: a lease on a resource (a database, the traffic, a host), shared by all procedures.

A lease is a file in the folder `leases` of the state folder. It tells who holds it, what for and until when. A killed run frees it:
on the same machine at once, because its process is gone, elsewhere when the lease runs out. What becomes of a request is
decided in lease_decision.py; here are the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from .controller import Controller
from .errors import BadInput, LeaseHeld, RunbookError
from .files import fsync_path, locked, write_json
from .lease_decision import Decision, Lease, decide
from .state import file_mode, make_folder, slug, state_folder, utc_now

FOLDER = "leases"
_LOCK_WAIT_S = 10.0
"""Holding the lock takes milliseconds; who waits longer waits for a stopped process or a dead network file system."""


class Leases:
    """The leases of a state folder.

    Attributes:
        folder: Where they are.
    """

    def __init__(self, state: str, clock: t.Callable[[], datetime] = utc_now) -> None:
        self.folder = os.path.join(state, FOLDER)
        self._clock = clock

    def path(self, resource: str) -> str:
        """The file of the lease on `resource`; different resources have different files."""
        name, digest = slug(resource), hashlib.sha256(resource.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return os.path.join(self.folder, f"{name}-{digest}.json" if name else f"{digest}.json")

    def look(self, resource: str) -> t.Optional[Lease]:
        """The lease on `resource`, be it over or not; None when there is none.

        Raises:
            RunbookError: Its file cannot be read.
        """
        return self._read(self.path(resource))

    def all(self) -> t.List[Lease]:
        """All leases, by resource; files that cannot be read are left out."""
        found = []
        for name in sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else ():
            if name.endswith(".json") and not name.startswith("."):
                try:
                    lease = self._read(os.path.join(self.folder, name))
                except RunbookError:
                    continue
                if lease is not None:
                    found.append(lease)
        return sorted(found, key=lambda lease: lease.resource)

    def wanted(
        self, resource: str, holder: str, *, who: str, reason: str, duration_s: float, controller: t.Optional[Controller] = None
    ) -> Lease:
        """The lease as it would be, from now on for `duration_s` seconds.

        Raises:
            BadInput: Nothing is named, or the time is none.
        """
        if not resource.strip() or not holder.strip():
            raise BadInput("A lease needs a resource and a holder", next_step="name both")
        if not 0 < duration_s <= timedelta(days=366).total_seconds():
            raise BadInput(f"A lease cannot last {duration_s:g} s", next_step="give a number of seconds between 1 and those of a year")
        now = self._clock()
        return Lease(resource, holder, who, reason, now, now + timedelta(seconds=duration_s), controller)

    def check(self, wanted: Lease, takeover: str = "") -> Decision:
        """What would become of the request; changes nothing.

        Raises:
            LeaseHeld: Somebody else holds it.
        """
        current = self.look(wanted.resource)
        alive = current.controller.alive() if current is not None and current.controller is not None else None
        decision = decide(current, wanted, alive=alive, now=self._clock(), takeover=takeover)
        if not decision.granted:
            raise LeaseHeld(
                f"Another run works on {wanted.resource}",
                why=decision.note,
                next_step=decision.next_step,
                facts={"lease": current.shown() if current is not None else {}},
            )
        return decision

    def acquire(self, wanted: Lease, takeover: str = "") -> Decision:
        """Take the lease, or learn who has it.

        Args:
            wanted: See the method `wanted`.
            takeover: Holder whose lease shall be broken; empty for none.

        Raises:
            LeaseHeld: Somebody else holds it; nothing was changed.
        """
        make_folder(os.path.dirname(self.folder))
        make_folder(self.folder)
        with self._locked():
            decision = self.check(wanted, takeover)
            if decision.write:
                write_json(self.path(wanted.resource), wanted.as_dict(), file_mode(self.folder))
            return decision

    def renew(self, resource: str, holder: str, duration_s: float, *, write: bool = True) -> Lease:
        """Let one's own lease last for `duration_s` seconds from now; without `write` only say what it would be.

        Raises:
            LeaseHeld: It is somebody else's by now.
            BadInput: There is none.
        """
        missing = BadInput(
            f"There is no lease on {resource}", next_step="acquire it first; it may have been taken over and given back since"
        )
        if not os.path.exists(self.path(resource)):
            raise missing
        with self._locked():
            current = self.look(resource)
            if current is None:
                raise missing
            if current.holder != holder:
                raise LeaseHeld(
                    f"The lease on {resource} is no longer held by {holder}",
                    why=current.told(),
                    next_step="stop the work on it and look at what the other does",
                )
            until = self.wanted(resource, holder, who="", reason="", duration_s=duration_s).expires_at
            renewed = replace(current, expires_at=until)
            if write:
                write_json(self.path(resource), renewed.as_dict(), file_mode(self.folder))
            return renewed

    def release(self, resource: str, holder: str) -> t.Optional[Lease]:
        """Give one's own lease back. Nothing happens to somebody else's.

        Returns:
            The lease that is there instead when it is somebody else's; None when it is free now.
        """
        if not os.path.exists(self.path(resource)):
            return None
        with self._locked():
            current = self.look(resource)
            if current is None or current.holder != holder:
                return current
            os.unlink(self.path(resource))
            fsync_path(self.folder)
            return None

    @contextmanager
    def _locked(self) -> t.Iterator[None]:
        path = os.path.join(self.folder, ".lock")
        try:
            # A group that shares the folder must be able to lock, too.
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            os.fchmod(descriptor, file_mode(self.folder))
            os.close(descriptor)
        except FileExistsError:
            pass
        except FileNotFoundError:
            make_folder(self.folder)
        with locked(path, _LOCK_WAIT_S) as free:
            if not free:
                raise RunbookError(
                    "The leases are locked",
                    where=path,
                    why=f"a process has held the lock for {_LOCK_WAIT_S:g} s",
                    next_step="see which one it is (fuser -v), and end it if it hangs",
                )
            yield

    def _read(self, path: str) -> t.Optional[Lease]:
        try:
            with open(path, encoding="utf-8") as stream:
                return Lease.from_dict(json.load(stream))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunbookError(
                "A lease cannot be read",
                where=path,
                why=str(error),
                next_step="make sure that no run works on the resource, then delete the file",
            ) from error


def operate(options: t.Mapping[str, t.Any], *, who: str, check_mode: bool) -> t.Dict[str, t.Any]:
    """Acquire, renew or release a lease that outlives its process, as the options of the module procedure_lock say.

    Raises:
        LeaseHeld: Somebody else holds it.
        BadInput: There is none to renew, or an option makes no sense.
    """
    leases = Leases(state_folder(options["state_folder"]))
    resource, holder, duration_s = options["resource"], options["holder"], options["duration_s"]
    before, notes = leases.look(resource), []
    wanted = leases.wanted(resource, holder, who=who, reason=options["reason"], duration_s=duration_s)
    after: t.Optional[Lease]
    if options["operation"] == "acquire":
        decision = (leases.check if check_mode else leases.acquire)(wanted, options["takeover"])
        notes = [decision.note] if decision.note else []
        after = wanted if decision.write else before
    elif options["operation"] == "renew":
        after = leases.renew(resource, holder, duration_s, write=not check_mode)
    elif check_mode:
        after = None if before is None or before.holder == holder else before
    else:
        after = leases.release(resource, holder)
    result: t.Dict[str, t.Any] = {"changed": after != before, "lease": after.shown() if after else {}, "notes": notes}
    if after != before:
        result["diff"] = {"before": before.shown() if before else {}, "after": result["lease"]}
    return result
