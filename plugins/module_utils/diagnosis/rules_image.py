# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Images: there, of the right kind, or not to be had."""

from __future__ import annotations

import re
import typing as t

from .model import CAUSE, LIKELY, NOTE, Clue, Observation, Rule
from .phrases import ALL, said

_PULL = ("registry", "failure", "event", "engine")
_DENIED = (
    r"pull access denied for ([^\s,]+)|unauthorized: |(?<!permission )\bdenied\b(?! the request)"
    r"|no basic auth credentials|403 Forbidden"
)
_UNKNOWN = r"manifest unknown|no such manifest|manifest for (\S+) not found|(?:image|repository) \S* ?not found|name unknown"
_AWAY = (
    r"error pinging v2 registry|lookup \S+(?: on \S+)?: (?:no such host|.*i/o timeout)"
    r"|dial tcp \S+: (?:connect: connection refused|i/o timeout)"
    r"|net/http: request canceled while waiting for connection|TLS handshake timeout|x509: |registry: no answer within"
)
_RATE = r"toomanyrequests|rate limit|429 Too Many Requests"
_SPECIFIC = re.compile("|".join((_DENIED, _UNKNOWN, _AWAY, _RATE)), re.IGNORECASE)


def image_architecture(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.images:
        if one.architecture and one.host_architecture and one.architecture != one.host_architecture and not seen.is_well:
            yield Clue(
                f"the image {one.reference} is for {one.architecture}, and this host is {one.host_architecture}",
                f"build or pull the image for {one.host_architecture}",
            )


def image_not_here(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.images:
        if one.present is False and one.is_built:
            yield Clue(f"the image {one.reference} has not been built on this host", "build it: docker compose build")
        elif one.present is False and not one.registry:
            yield Clue(
                f"the image {one.reference} is not on this host, and the service must not pull it (pull_policy never)",
                f"pull or load it (docker pull {one.reference}), or name one that is here",
            )
        elif one.present is False and not _SPECIFIC.search(one.registry):
            evidence = (one.registry.splitlines()[-1],)
            yield Clue(
                f"the image {one.reference} is not on this host, and its registry does not give it",
                "check the name and the tag of the image",
                evidence,
            )


def image_to_be_pulled(seen: Observation) -> t.Iterator[Clue]:
    for one in seen.images:
        if one.present is None and not seen.is_well:
            yield Clue(f"the image {one.reference} is not on this host; its registry has it", f"pull it: docker pull {one.reference}")


def _refused(name: str, title: str, pattern: str, what: str, next_step: str) -> Rule:
    """A rule for what a registry said, with the image that it is about where that is known."""
    compiled = re.compile(pattern, re.IGNORECASE)
    general = said(name, CAUSE, title, pattern, what.replace("{image}", "the image"), next_step, sources=_PULL)

    def look(seen: Observation) -> t.Iterator[Clue]:
        named = [one for one in seen.images if one.present is False and compiled.search(one.registry)]
        for one in named:
            yield Clue(what.replace("{image}", f"the image {one.reference}"), next_step, (one.registry.splitlines()[-1],))
        # dial tcp and x509 are also what an engine says of other things than images.
        if not named and any(pull_is_meant(text) for text in _texts(seen)):
            yield from general.look(seen)

    return Rule(name, CAUSE, title, look)


def _texts(seen: Observation) -> t.Iterator[str]:
    yield from (one.text for one in seen.messages)
    yield from (one.error for one in seen.replicas)
    yield from (one.message for one in seen.conditions)


def pull_is_meant(text: str) -> bool:
    """Whether a message is about an image."""
    return re.search(r"pull|manifest|registry|/v2/|image", text, re.IGNORECASE) is not None


def no_such_image(seen: Observation) -> bool:
    """Whether the images were looked at and one is not here: then that is said by name."""
    return any(one.present is not True for one in seen.images)


RULES = (
    _refused(
        "image_access_denied",
        "The registry refuses the image: no access, or no such repository",
        _DENIED,
        "the registry refuses {image}: no access, or no such repository",
        "log in to the registry as the account that runs the service (docker login, imagePullSecrets), and check the name",
    ),
    _refused(
        "image_unknown",
        "The registry has no such image or tag",
        _UNKNOWN,
        "the registry has no such tag or repository: {image} cannot be pulled",
        "check the name and the tag of the image",
    ),
    _refused(
        "image_rate_limited",
        "The registry's limit of pulls is reached",
        _RATE,
        "the registry's limit of pulls is reached: {image} cannot be pulled",
        "log in to the registry, or wait until the limit has passed",
    ),
    _refused(
        "image_registry_unreachable",
        "The registry cannot be reached, or its certificate is not trusted",
        _AWAY,
        "{image} is not on this host, and its registry cannot be reached",
        "check name resolution, the proxy, the firewall and the certificate towards the registry, or load the image by file (docker load)",
    ),
    Rule("image_not_here", CAUSE, "The image is not on this host and cannot be had (not built, never pulled, refused)", image_not_here),
    said(
        "image_refused",
        CAUSE,
        "The engine has no such image",
        r"no such image: (\S+)",
        "the image {0} is not on this host",
        "pull or load it (docker pull {0}), or name one that is here",
        unless=no_such_image,
    ),
    said(
        "image_name_invalid",
        CAUSE,
        "The image's name is not valid",
        r"InvalidImageName|invalid reference format|couldn't parse image (?:name|reference) \"?([^\s\":]+)",
        "the name of the image is not valid",
        "check the name of the image; a variable in it may be empty",
    ),
    Rule("image_architecture", CAUSE, "The image is for another architecture than this host's", image_architecture),
    said(
        "exec_format",
        CAUSE,
        "The program is for another architecture, or a script without its first line",
        r"exec format error",
        "the program is for another architecture, or a script without its first line (#!)",
        "build the image or program for the architecture of this host; of a script check its first line",
        sources=(*ALL, "log"),
        unless=lambda seen: any(one.architecture != one.host_architecture for one in seen.images if one.architecture),
    ),
    Rule("image_to_be_pulled", NOTE, "The image is not on this host, and its registry has it", image_to_be_pulled),
    said(
        "image_pull_fails",
        LIKELY,
        "Kubernetes cannot pull the image and tries again",
        r"(?:failed to pull image|back-off pulling image) \"([^\"]+)\"",
        "the image {0} cannot be pulled",
        "check the name and the tag of the image, and imagePullSecrets",
        sources=("event",),
    ),
)
