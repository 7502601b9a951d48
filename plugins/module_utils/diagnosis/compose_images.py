# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The images of a project's services: on this host, to be built, to be pulled, or refused by their registry."""

from __future__ import annotations

import json
import typing as t

from .compose_project import Project
from .model import Image
from .questions import Questions

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_REGISTRY_S = 8.0
_BUILT, _NEVER_PULLED = "build", "never"


def documents(questions: Questions, project: Project) -> t.Dict[str, t.Any]:
    """By reference: the image's description, or why it is not here; an empty text where the registry has it."""
    found: t.Dict[str, t.Any] = {}
    for name, body in project.services.items():
        reference = str(body.get("image") or (f"{project.name}-{name}" if body.get("build") else ""))
        if not reference or reference in found:
            continue
        here = questions.run(["docker", "image", "inspect", "--", reference], check=False)
        if here.status == 0:
            found[reference] = json.loads(here.stdout)[0]
        elif "no such image" not in here.stderr.lower():
            continue
        elif body.get("build") or body.get("pull_policy") == _NEVER_PULLED:
            found[reference] = _BUILT if body.get("build") else _NEVER_PULLED
        else:
            found[reference] = _registry(questions, reference)
    return found


def _registry(questions: Questions, reference: str) -> str:
    # The engine asks registries of this host without TLS too; its client must be told.
    insecure = ["--insecure"] if reference.startswith(("localhost:", "127.0.0.1:")) else []
    done = questions.run(["docker", "manifest", "inspect", *insecure, "--", reference], check=False, most_s=_REGISTRY_S)
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
