# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The images of a project's services: on this host, to be built, to be pulled, or refused by their registry."""

from __future__ import annotations

import json
import typing as t
from functools import partial

from ..errors import CommandFailed, DeadlineExceeded
from .compose_project import Project
from .model import Image
from .questions import Questions

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_REGISTRY_S = 8.0
_BUILT, _NEVER_PULLED = "build", "never"


def documents(questions: Questions, project: Project) -> t.Dict[str, t.Any]:
    """By reference: the image's description, or why it is not here; an empty text where the registry has it."""
    wanted: t.Dict[str, t.Mapping[str, t.Any]] = {}
    for name, body in project.services.items():
        reference = str(body.get("image") or (f"{project.name}-{name}" if body.get("build") else ""))
        if reference:
            wanted.setdefault(reference, body)
    inner = Questions(questions.left_s)
    found = inner.ask({reference: partial(_document, questions, reference, body) for reference, body in wanted.items()})
    questions.not_looked_at += [f"the image {one}" for one in inner.not_looked_at]
    return found


def _document(questions: Questions, reference: str, body: t.Mapping[str, t.Any]) -> t.Any:
    here = questions.run(["docker", "image", "inspect", "--", reference], check=False)
    if here.status == 0:
        return json.loads(here.stdout)[0]
    if "no such image" not in here.stderr.lower():
        raise CommandFailed("It cannot be looked at", why=here.stderr.strip()[-300:])
    if body.get("build") or body.get("pull_policy") == _NEVER_PULLED:
        return _BUILT if body.get("build") else _NEVER_PULLED
    return _registry(questions, reference)


def _registry(questions: Questions, reference: str) -> str:
    # The engine asks registries of this host without TLS too; its client must be told.
    insecure = ["--insecure"] if reference.startswith(("localhost:", "127.0.0.1:")) else []
    seconds = min(_REGISTRY_S, questions.left_s)
    try:
        done = questions.run(["docker", "manifest", "inspect", *insecure, "--", reference], check=False, most_s=seconds)
    except DeadlineExceeded:
        return f"its registry: no answer within {seconds:.0f} s"
    return "" if done.status == 0 else done.stderr.strip()[-600:] or "the registry refused it"


def images(found: t.Mapping[str, t.Any], information: t.Mapping[str, t.Any]) -> t.List[Image]:
    """What `documents` gave, as part of the observation."""
    here = str(information.get("Architecture") or "")
    result = []
    for reference, document in found.items():
        if isinstance(document, t.Mapping):
            result.append(Image(reference, True, str(document.get("Architecture") or ""), _ARCHITECTURES.get(here, here)))
        elif document == "":
            result.append(Image(reference, None))
        else:
            registry = "" if document in (_BUILT, _NEVER_PULLED) else str(document)
            result.append(Image(reference, False, is_built=document == _BUILT, registry=registry))
    return result
