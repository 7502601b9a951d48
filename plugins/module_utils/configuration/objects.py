# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Objects of Kubernetes as manifests that can be applied again."""

from __future__ import annotations

import copy
import json
import re
import typing as t

from ..errors import BadInput

NAMES = ("api_version", "kind", "namespace", "name")
"""What names an object, in the order of `identity`."""
_OF_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp")
_REVISION = "deployment.kubernetes.io/revision"
# The second holds the whole object once more, the data of a Secret included.
_ANNOTATIONS_OF_TOOLS = (_REVISION, "kubectl.kubernetes.io/last-applied-configuration")


def cleaned(manifest: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """A copy without what the server writes into an object: its status, versions, times and bookkeeping."""
    clean = copy.deepcopy(dict(manifest))
    clean.pop("status", None)
    metadata = clean["metadata"] = dict(clean.get("metadata") or {})
    for name in _OF_THE_SERVER:
        metadata.pop(name, None)
    annotations = {name: text for name, text in (metadata.get("annotations") or {}).items() if name not in _ANNOTATIONS_OF_TOOLS}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return clean


def identity(manifest: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """What names an object: `api_version`, `kind`, `namespace`, `name`.

    Raises:
        BadInput: It is none.
    """
    metadata = manifest.get("metadata")
    if not (manifest.get("apiVersion") and manifest.get("kind") and isinstance(metadata, dict) and metadata.get("name")):
        step = "give objects as kubernetes.core.k8s_info returns them, with apiVersion, kind and metadata.name"
        raise BadInput("This is no object of Kubernetes", next_step=step)
    values = (manifest["apiVersion"], manifest["kind"], metadata.get("namespace"), metadata["name"])
    return {key: str(value or "") for key, value in zip(NAMES, values)}


def revision(manifest: t.Mapping[str, t.Any]) -> str:
    """The revision of a workload at that moment; empty where it has none."""
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    status = manifest.get("status") or {}
    return str(annotations.get(_REVISION) or status.get("currentRevision") or "")


def stored_name(number: int, named: t.Mapping[str, str]) -> str:
    """Path of the object's file below the point."""
    return f"objects/{number:03d}-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{named['kind']}-{named['name']}")[:80] + ".json"


def from_texts(texts: t.Iterable[str]) -> t.List[t.Dict[str, t.Any]]:
    """Objects that were handed over as JSON.

    Raises:
        BadInput: One is no JSON object; it is not repeated, since it may be a secret.
    """
    found = []
    for text in texts:
        try:
            one = json.loads(text)
        except ValueError:
            one = None
        if not isinstance(one, dict):
            raise BadInput("A secret object is no JSON object", next_step="hand it over with the filter to_json")
        found.append(one)
    return found
