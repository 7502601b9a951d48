# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Contacts and channels: their form, and whether there is a way to them. Nobody is called and nothing is sent."""

from __future__ import annotations

import re
import typing as t

from ..notify.channel import NoWay, shown, way_to
from ..profile.finding import clip, items, mapping, name_of, texts
from .item import GOOD, ROTTEN, UNTESTED, Item

_EMAIL = re.compile(r"[^@\s]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}\Z")
"""Local part and domain by length and characters (RFC 5321, section 4.5.3.1; RFC 1035, section 2.3.1)."""
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}\Z")
"""International number (ITU-T E.164: at most 15 digits)."""
_SEPARATORS = re.compile(r"[\s().\-/]")
_PLACEHOLDER = re.compile(r"x{3,}|\?\?\?|example\.|yourdomain|your-domain|changeme|tbd|todo", re.IGNORECASE)


def contacts(variables: t.Mapping[str, t.Any]) -> t.List[Item]:
    """Every contact of incident_contacts, each of its ways."""
    found = []
    for position, contact in items(variables.get("incident_contacts")):
        name, wrong, ways = name_of(contact, position).strip("'"), [], 0
        for key, judge in (("email", _email), ("phone", _phone), ("channel", _channel)):
            value = contact.get(key)
            if isinstance(value, str) and value.strip():
                ways += 1
                mistake = judge(value.strip())
                wrong += [mistake] if mistake else []
        if not ways:
            wrong.append("there is neither an email address nor a phone number")
        verdict = ROTTEN if wrong else GOOD
        reason = "; ".join(wrong) or "well formed; whether somebody answers was not tried"
        found.append(Item("contact", name, verdict, reason, "correct the contact in contacts.yml"))
    if not found:
        found.append(Item("contact", "incident_contacts", ROTTEN, "nobody is named who can be called", "add contacts"))
    return found


def channels(variables: t.Mapping[str, t.Any]) -> t.List[Item]:
    """Every channel of notify_channels: is there a gateway for it?"""
    gateways = {str(kind).lower(): str(address or "") for kind, address in mapping(variables.get("notify_gateways")).items()}
    found = []
    for level, addresses in mapping(variables.get("notify_channels")).items():
        for address in texts(addresses):
            name = f"{clip(level, 30)} {shown(address)}"
            try:
                way_to(address, gateways)
                found.append(Item("channel", name, UNTESTED, "there is a way to it; nothing was sent"))
            except NoWay as error:
                found.append(Item("channel", name, ROTTEN, str(error), "set the gateway in secrets.yml, or correct the channel"))
    return found


def _email(value: str) -> str:
    if not _EMAIL.match(value) or len(value) > 254:
        return f"{clip(value, 60)!r} is no email address"
    # The source runbooks' own domains are examples; a real profile has its own.
    return f"{clip(value, 60)!r} is a placeholder" if _PLACEHOLDER.search(value) else ""


def _phone(value: str) -> str:
    if _PLACEHOLDER.search(value):
        return f"the phone number {clip(value, 40)!r} is a placeholder"
    return "" if _PHONE.match(_SEPARATORS.sub("", value)) else f"{clip(value, 40)!r} is no phone number with its country (+48 ...)"


def _channel(value: str) -> str:
    return "" if re.match(r"[#@]?[\w.-]{1,80}\Z", value) else f"{clip(value, 60)!r} is no name of a channel"
