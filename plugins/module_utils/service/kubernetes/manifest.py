# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The manifest of a HorizontalPodAutoscaler, and how it is made of it, as `kubectl apply` would."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ...errors import BadInput, ToolMissing
from .api import Document
from .plan import Call, Step
from .state import Object, name_of, part

try:
    import yaml
except ImportError:  # it comes with the package `kubernetes`
    yaml = None  # type: ignore[assignment]

KIND = "HorizontalPodAutoscaler"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation in which kubectl keeps what it has applied; without it its next `apply` would warn."""
_VERSION = re.compile(r"autoscaling/v[0-9]{1,2}(?:(?:alpha|beta)[0-9]{1,2})?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_OTHER = "is not that of this service's autoscaler"
_LONGEST_BYTES = 256 * 1024
"""The annotations of an object may have as many bytes (TotalAnnotationSizeLimitB of apimachinery)."""


def made_of(file: str, workload: Object, name: str = "") -> Document:
    """The autoscaler that a manifest describes, for a workload that has none.

    Args:
        file: The manifest, YAML or JSON, with this object alone.
        workload: What it must scale.
        name: Which name it must have; empty for any.

    Raises:
        BadInput: The file cannot be read, is no such manifest, or is meant for something else.
        ToolMissing: There is nothing here that reads YAML.
    """
    found = _read(file)
    metadata, spec = part(found, "metadata"), part(found, "spec")
    namespace = part(workload, "metadata", "namespace") or "default"
    target = part(spec, "scaleTargetRef")
    target = target if isinstance(target, dict) else {}
    its_name = metadata.get("name") if isinstance(metadata, dict) else None
    wrong = ""
    if found.get("kind") != KIND or not _VERSION.fullmatch(str(found.get("apiVersion"))):
        wrong = f"it holds {found.get('kind') or 'an object without a kind'} of {found.get('apiVersion') or 'no version'}"
    elif not isinstance(its_name, str) or not _NAME.fullmatch(its_name):
        wrong = "the autoscaler in it has no name"
    elif not isinstance(metadata.get("annotations") or {}, dict):
        wrong = "its annotations are none"
    elif name and its_name != name:
        wrong = f"it describes {its_name}, and the profile names {name}"
    elif metadata.get("namespace") not in (None, namespace):
        wrong = f"it is meant for the namespace {metadata['namespace']}, and {name_of(workload)} is in {namespace}"
    elif (target.get("kind"), target.get("name")) != (workload.get("kind"), part(workload, "metadata", "name")):
        wrong = f"it scales {str(target.get('kind')).lower()} {target.get('name')}, and not {name_of(workload)}"
    elif not _is_count(spec.get("minReplicas", 1), 0) or not _is_count(spec.get("maxReplicas"), 1):
        wrong = "its minReplicas and maxReplicas are no numbers of replicas"
    if wrong:
        raise _refused(_OTHER, file, wrong)
    metadata["namespace"] = namespace
    return found


def made(autoscaler: Document, minimum: int, maximum: int, file: str) -> Step:
    """The step that makes it with these limits; the way back removes it."""
    name = str(autoscaler["metadata"]["name"])
    whole = {**autoscaler, "spec": {**autoscaler["spec"], "minReplicas": minimum, "maxReplicas": maximum}}
    applied = json.dumps(whole, separators=(",", ":"), sort_keys=True) + "\n"
    annotations = {**part(autoscaler, "metadata", "annotations"), LAST_APPLIED: applied}
    body = {**whole, "metadata": {**autoscaler["metadata"], "annotations": annotations}}
    said = f"Make {name_of(autoscaler)} of {file}, which chooses between {minimum} and {maximum} replicas"
    return Step(said, (Call("new_autoscaler", body, name=name),), (Call("made_autoscaler", applied, name=name),))


def is_made_so(autoscaler: Object, applied: t.Any) -> bool:
    """Whether this is what `made` has made, and not what others have put in its place."""
    return bool(part(autoscaler, "metadata", "annotations").get(LAST_APPLIED) == applied)


def _read(file: str) -> Document:
    """The only object in a file."""
    if yaml is None:
        raise ToolMissing(
            "The Python package `PyYAML` is missing where this runs",
            next_step="install it for the Python that runs Ansible's modules there",
        )
    if not os.path.isabs(file):
        raise _refused("is not named by a whole path", file, "nobody knows in which folder it is")
    try:
        with open(file, "rb") as stream:
            content = stream.read(_LONGEST_BYTES + 1)
        if len(content) > _LONGEST_BYTES:
            raise _refused("is too long", file, f"it has more than {_LONGEST_BYTES} bytes")
        # What YAML knows and JSON does not, such as dates, becomes text, as with kubectl.
        found = json.loads(json.dumps([one for one in yaml.safe_load_all(content) if one is not None], default=str))
    except OSError as error:
        raise _refused("cannot be read", file, error.strerror or str(error)) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise _refused("is no YAML", file, f"{getattr(error, 'problem', None) or type(error).__name__}{place}") from None
    if len(found) != 1 or not isinstance(found[0], dict):
        raise _refused(_OTHER, file, f"it holds {len(found)} objects" if len(found) != 1 else "it is no object")
    return t.cast("Document", found[0])


def _is_count(number: t.Any, least: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= least


def _refused(what: str, file: str, why: str) -> BadInput:
    return BadInput(
        f"The manifest of the autoscaler {what}", where=file, why=why, next_step="correct it, or `file` of service_kube_autoscaler"
    )
