# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module notification_send."""

from __future__ import annotations

import typing as t

from ..errors import BadInput
from .sending import KINDS, Delivery, Message, send

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "title": {"type": "str", "required": True},
    "body": {"type": "str", "default": ""},
    "kind": {"type": "str", "choices": list(KINDS), "default": "info"},
    "channels": {"type": "list", "elements": "str"},
    "level": {"type": "str"},
    "notify_channels": {"type": "dict"},
    "gateways": {"type": "dict", "default": {}, "no_log": True},
    "timeout_s": {"type": "float", "default": 20.0},
    "fail_on": {"type": "str", "choices": ["none", "all", "any"], "default": "all"},
}
"""Described in plugins/modules/notification_send.py."""
CONSTRAINTS: t.Mapping[str, t.Any] = {
    "required_one_of": [("channels", "level")],
    "mutually_exclusive": [("channels", "level")],
    "required_by": {"level": ("notify_channels",)},
}


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Send the message of `parameters`, valid for OPTIONS; in check mode say only which channels there is a way to.

    Returns:
        `failed` with all data when more channels failed than `fail_on` allows.

    Raises:
        BadInput: The message or the level makes no sense.
        ToolMissing: Apprise is not installed.
    """
    if not 0 < parameters["timeout_s"] <= 600:
        raise BadInput("The message cannot be sent", why="timeout_s is not between 0 and 600", next_step="correct it; nothing was sent")
    message = Message(parameters["title"].strip(), parameters["body"], parameters["kind"])
    gateways = {str(kind).lower(): str(address or "") for kind, address in parameters["gateways"].items()}
    deliveries = send(_channels(parameters), message, gateways, timeout_s=parameters["timeout_s"], check_mode=check_mode)
    return {"changed": any(one.sent is not False for one in deliveries), **summary(deliveries, parameters["fail_on"], check_mode)}


def summary(deliveries: t.Sequence[Delivery], fail_on: str, check_mode: bool) -> t.Dict[str, t.Any]:
    """What became of a message, for a module's result."""
    failed = [one for one in deliveries if one.sent is False]
    what = "would be sent to" if check_mode else "reached"
    msg = f"The message {what} {len(deliveries) - len(failed)} of {len(deliveries)} channels"
    if failed:
        msg += ": " + "; ".join(f"{one.channel}: {one.reason.rstrip('.')}" for one in failed[:10])
    result: t.Dict[str, t.Any] = {"deliveries": [one.as_dict() for one in deliveries], "msg": f"{msg}."}
    if failed and (fail_on == "any" or (fail_on == "all" and len(failed) == len(deliveries))):
        result["failed"] = True
    return result


def _channels(parameters: t.Mapping[str, t.Any]) -> t.List[str]:
    if parameters.get("channels") is not None:
        found = [str(channel) for channel in parameters["channels"]]
    else:
        levels, level = parameters["notify_channels"], parameters["level"]
        if level not in levels:
            there = ", ".join(sorted(map(str, levels))) or "none"
            raise BadInput(f"There is no level {level!r} in notify_channels", why=f"there is {there}", next_step="name one of them")
        found = [levels[level]] if isinstance(levels[level], str) else [str(channel) for channel in levels[level] or ()]
    if not found:
        raise BadInput("The message has no channel to go to", next_step="name channels, or give the level some; nothing was sent")
    return list(dict.fromkeys(found))
