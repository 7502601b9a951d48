# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What has to change in a ConfigMap and a Secret, and which files are to be placed: made from the variables of a profile."""

from __future__ import annotations

import base64
import copy
import os
import re
import typing as t

from ..checks.redaction import Redactor, is_secret_name
from ..errors import BadInput
from .change_environment import texts
from .environment import require_decided
from .objects import cleaned, identity

_OF_RUNNING = re.compile(r"kubectl\.kubernetes\.io/restartedAt\Z|sre\.runbooks/")
"""Annotations of workloads that verbs of the role service, and kubectl rollout restart, write."""
_MOST_SAID = 600
_SHORTEST_LINE = 8
_NO_REASON = "non-zero return code"
"""What the module command says of a program that failed."""
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")


def placed(files: t.Sequence[t.Mapping[str, t.Any]], contents: t.Sequence[str], folder: str = "") -> t.List[t.Dict[str, str]]:
    """The files of a profile as the module configuration_files takes them.

    Args:
        files: Entries `path`, `content` or `source`, and perhaps `mode`, `secret`.
        contents: What is in the sources, in the order of the entries that have one.
        folder: Folder of relative paths.

    Raises:
        BadInput: An entry has no path, not one of content and source, or a content that is no text.
    """
    found, left = [], list(contents)
    for one in files:
        if not one.get("path") or ("content" in one) == ("source" in one):
            step = "give each file of configuration_files a path, and either content or source"
            raise BadInput("A file of configuration_files is not described", where=str(one.get("path", "")), next_step=step)
        path = os.path.join(folder, str(one["path"]))
        if not os.path.isabs(path):
            raise BadInput("A path is not absolute", where=path, next_step="name files by their whole paths")
        text = left.pop(0) if "source" in one else one["content"]
        if not isinstance(text, (str, int, float)) or isinstance(text, bool):
            step = "give it as a text; of a structure with the filter to_json or to_nice_yaml"
            raise BadInput("The content of a file is no text", where=path, why=f"it is a {type(text).__name__}", next_step=step)
        key = "secret_content" if one.get("secret") else "content"
        found.append({"path": path, key: str(text), **({"mode": str(one["mode"])} if one.get("mode") else {})})
    return found


def patches(
    config_map: t.Mapping[str, t.Any],
    secret: t.Mapping[str, t.Any],
    values: t.Mapping[str, t.Any],
    secret_values: t.Mapping[str, t.Any],
    remove: t.Sequence[str],
) -> t.Dict[str, t.Any]:
    """What has to change in both objects.

    Args:
        config_map: The ConfigMap as it is; empty when the profile names none.
        secret: The Secret as it is; the same.
        values: Keys of the ConfigMap to set.
        secret_values: Keys of the Secret to set.
        remove: Keys that neither shall have.

    Returns:
        `config_map` and `secret` (the object with only what changes in `data`, for a merge; empty for nothing),
        `changed`, `added`, `updated`, `removed` (keys), `before` and `after` (lines of a diff, without secret values).

    Raises:
        BadInput: A key is none, shall be set and removed at once, or there is no object for what shall be set.
    """
    plain, hidden = texts(values), texts(secret_values)
    for name in [*plain, *hidden, *remove]:
        if not _KEY.match(name):
            raise BadInput(f"{name!r} is no key of a ConfigMap or Secret", next_step="use letters, digits, dots, hyphens and underscores")
    require_decided([*plain, *hidden], remove)
    for wanted, there, variable in ((plain, config_map, "service_kube_config_map"), (hidden, secret, "service_kube_secret")):
        if wanted and not there:
            raise BadInput(
                f"{', '.join(wanted)} shall be set, and there is nothing to set it in", next_step=f"name an object in {variable}"
            )
    result: t.Dict[str, t.Any] = {"added": [], "updated": [], "removed": [], "before": "", "after": ""}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in hidden.items()}
    result["config_map"] = _patch(config_map, plain, remove, result, is_secret=False)
    result["secret"] = _patch(secret, encoded, remove, result, is_secret=True)
    result["changed"] = bool(result["config_map"] or result["secret"])
    return result


def restorable(
    kept: t.Sequence[t.Mapping[str, t.Any]], present: t.Sequence[t.Mapping[str, t.Any]], kinds: t.Collection[str] = ()
) -> t.List[t.Dict[str, t.Any]]:
    """The objects of a point that differ from what there is now, as they have to be applied.

    Of a workload the number of replicas stays as it is now: it is scaled by its autoscaler, or by those who watch over it.

    Args:
        kept: Objects of the point.
        present: Objects as the server gave them.
        kinds: Kinds that are looked at; empty for all.
    """
    now = {tuple(identity(one).values()): cleaned(one) for one in present}
    found = []
    for one in kept:
        if kinds and one.get("kind") not in kinds:
            continue
        there = now.get(tuple(identity(one).values()))
        wanted = dict(one) if there is None else _as_it_is_run(one, there)
        if there != wanted:
            found.append(wanted)
    return found


def _as_it_is_run(kept: t.Mapping[str, t.Any], there: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """An object of a point with what restarts and scaling have written into the one that is there: that is no configuration."""
    wanted = copy.deepcopy(dict(kept))
    if "template" not in (wanted.get("spec") or {}):
        return wanted
    if "replicas" in there["spec"]:
        wanted["spec"]["replicas"] = there["spec"]["replicas"]
    for path in (("metadata",), ("spec", "template", "metadata")):
        ours, theirs = wanted, t.cast("t.Dict[str, t.Any]", there)
        for name in path:
            ours, theirs = ours.setdefault(name, {}), theirs.get(name) or {}
        kept_ones = {name: text for name, text in (ours.get("annotations") or {}).items() if not _OF_RUNNING.match(name)}
        kept_ones.update({name: text for name, text in (theirs.get("annotations") or {}).items() if _OF_RUNNING.match(name)})
        if kept_ones or "annotations" in theirs:
            ours["annotations"] = kept_ones
        else:
            ours.pop("annotations", None)
    return wanted


def secrets_of(
    secret_values: t.Mapping[str, t.Any], files: t.Iterable[t.Mapping[str, t.Any]], contents: t.Sequence[str] = ()
) -> t.List[str]:
    """What must be in no output: secret values, and their lines and those of files that nobody shall see.

    Args:
        secret_values: Secret values, by name.
        files: The files of a profile, described well or not.
        contents: What is in the sources, in the order of the entries that have one; empty where they cannot be read.
    """
    values, left = [str(value) for value in secret_values.values()], iter(contents)
    told = [(one, next(left, "") if "source" in one else one.get("content")) for one in files]
    texts_of = [*values, *(str(text) for one, text in told if one.get("secret"))]
    lines = [line.strip() for text in texts_of for line in text.splitlines()]
    # Shorter ones are brackets and words that stand elsewhere, too.
    return list(dict.fromkeys([*values, *(line for line in lines if len(line) >= _SHORTEST_LINE)]))


def cause(result: t.Mapping[str, t.Any], secrets: t.Iterable[str] = ()) -> str:
    """Why a task failed, in one line without its full stop, secrets left out; of a command with the end of what it said.

    Args:
        result: The task's result, `ansible_failed_result`.
        secrets: Values that must not be in it.
    """
    redactor = Redactor(str(one) for one in secrets)

    def in_one_line(text: t.Any) -> str:
        # Masked first: nothing would know a secret that has lost its spaces, or its beginning.
        return " ".join(redactor.text("\n".join(str(text).splitlines())).split())

    failed = next((one for one in result.get("results") or [] if one.get("failed")), result)
    said = in_one_line(failed.get("stderr") or failed.get("stdout") or "")[-_MOST_SAID:]
    text = in_one_line(failed.get("msg") or "a task failed without a message")
    command = failed.get("cmd") or ""
    command = in_one_line(command if isinstance(command, str) else " ".join(map(str, command)))
    if command and said:
        text = f"{os.path.basename(command.split(' ', 1)[0])} says: {said}"
    elif command:
        text = f"{command} ended with status {failed.get('rc')}" + (f": {text}" if text != _NO_REASON else "")
    return text.rstrip(".")


def _patch(
    there: t.Mapping[str, t.Any], wanted: t.Mapping[str, str], remove: t.Sequence[str], result: t.Dict[str, t.Any], is_secret: bool
) -> t.Dict[str, t.Any]:
    if not there:
        return {}
    data, binary = there.get("data") or {}, there.get("binaryData") or {}
    change: t.Dict[str, t.Optional[str]] = {name: value for name, value in wanted.items() if data.get(name) != value}
    gone = [name for name in remove if name in data or name in binary]
    result["added"] += [name for name in change if name not in data and name not in binary]
    result["updated"] += [name for name in change if name in data or name in binary]
    result["removed"] += gone
    for name, value in change.items():
        hides = is_secret or is_secret_name(name)
        result["before"] += f"{name}={'(not shown)' if hides else Redactor().text(data[name])}\n" if name in data else ""
        result["after"] += f"{name}={'changed' if hides else Redactor().text(str(value))}\n"
    result["before"] += "".join(f"{name}=(not shown)\n" for name in gone)
    # A key is in one of both.
    no_more = dict.fromkeys(name for name in (*change, *gone) if name in binary)
    change.update((name, None) for name in gone if name in data)
    if not (change or no_more):
        return {}
    metadata = {key: there["metadata"][key] for key in ("name", "namespace") if there["metadata"].get(key)}
    identified = {"apiVersion": there["apiVersion"], "kind": there["kind"], "metadata": metadata}
    return {**identified, "data": change, **({"binaryData": no_more} if no_more else {})}
