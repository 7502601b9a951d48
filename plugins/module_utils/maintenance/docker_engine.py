# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the Docker Engine of this host holds, asked of its own client, and the removal of one thing."""

from __future__ import annotations

import glob
import json
import os
import time
import typing as t
from datetime import datetime, timezone

from ..command import Command, Completed, run
from ..errors import BadInput, CommandFailed, RunbookError
from ..files import free_bytes
from .docker_model import CacheEntry, Container, Facts, Image, Network, bytes_of, moment, repository_of

_TIMEOUT_S = 120.0
_SIZES_TIMEOUT_S = 900.0
"""The engine walks through every volume and container to tell their sizes."""
_AT_ONCE = 200
_PREDEFINED = ("bridge", "host", "none", "ingress", "docker_gwbridge")
_PROJECT = "com.docker.compose.project"
# Parts of what the engine says that are in no name.
_OCCUPIED = "a disk usage operation is already running"
"""The engine counts what takes room for one client at a time, and refuses a second one meanwhile (seen with Docker Engine 20.10)."""
_UNREACHABLE = ("cannot connect", "permission denied while trying to connect", "error during connect")
_IN_USE = (
    "daemon: conflict:",
    "in use",
    "is using",
    "being used",
    "active endpoints",
    "is running",
    "running container",
    "is paused",
    "dependent child",
)
_GONE = ("no such", "not found", "already in progress")
_KINDS = {
    "Images": "images_bytes",
    "Containers": "containers_bytes",
    "Local Volumes": "volumes_bytes",
    "Build Cache": "build_cache_bytes",
}


class StillNeeded(Exception):
    """The engine refused to remove something because it is in use; the text is its own."""


class Gone(Exception):
    """There is no such thing any more."""


def docker(*arguments: str, timeout_s: float = _TIMEOUT_S, check: bool = True) -> Completed:
    """Run the client.

    Raises:
        BadInput: The engine cannot be reached.
        CommandFailed: It refused (only with `check`).
    """
    give_up = time.monotonic() + timeout_s
    while True:
        done = run(Command(["docker", *arguments], timeout_s=timeout_s), check=False)
        if _OCCUPIED not in done.stderr or time.monotonic() >= give_up:
            break
        time.sleep(0.5)
    if done.status != 0:
        if any(part in done.stderr.lower() for part in _UNREACHABLE):
            raise BadInput(
                "The Docker Engine does not answer",
                where=f"docker {arguments[0]}",
                why=done.stderr.strip(),
                next_step="see whether it runs (systemctl status docker), and whether this account may use it (become: true)",
            )
        if check:
            raise CommandFailed(f"docker {' '.join(arguments[:2])} failed", why=" ".join(done.stderr.split())[-1000:])
    return done


def facts(now: datetime, data_root: str) -> Facts:
    """What there is; `data_root` is the engine's folder, in which it can be seen when an image came."""
    usage = _usage()
    unique = {one["ID"]: bytes_of(one.get("UniqueSize")) for one in usage.get("Images") or ()}
    written = {one["ID"][:12]: bytes_of(one.get("Size")) for one in usage.get("Containers") or ()}
    arrivals = arrivals_in(data_root) if data_root else {}
    images = [_image(one, unique, arrivals) for one in inspected("image", _ids("images", "--all"))]
    networks = [_network(one) for one in inspected("network", _ids("network", "ls"))]
    return Facts(now, images, containers(written), networks, [_cache_entry(one) for one in usage.get("BuildCache") or ()])


def arrivals_in(data_root: str) -> t.Dict[str, datetime]:
    """When each image was pulled, loaded or built, by its id: the engine's own store writes its configuration then, while it tells only
    when an image was tagged. Empty where the store is elsewhere, or cannot be read by this account."""
    found = {}
    for path in glob.iglob(os.path.join(glob.escape(data_root), "image", "*", "imagedb", "content", "sha256", "*")):
        try:
            found[f"sha256:{os.path.basename(path)}"] = datetime.fromtimestamp(os.stat(path).st_mtime, timezone.utc)
        except OSError:
            continue  # it has gone meanwhile
    return found


def containers(written: t.Optional[t.Mapping[str, int]] = None) -> t.List[Container]:
    """All containers, running or not; `written` is what each has written, by the first twelve digits of its id."""
    found = inspected("container", _ids("ps", "--all"))
    return [_container(one, (written or {}).get(str(one.get("Id"))[:12], 0)) for one in found]


def cache_ids() -> t.Set[str]:
    """Ids of the parts of the build cache."""
    return {str(one["ID"]) for one in _usage().get("BuildCache") or ()}


def space() -> t.Dict[str, t.Any]:
    """Bytes that images, containers, volumes and build cache take, and that are free where they lie (None: not on this host)."""
    told: t.Dict[str, t.Any] = dict.fromkeys(_KINDS.values(), 0)
    for line in docker("system", "df", "--format", "{{json .}}", timeout_s=_SIZES_TIMEOUT_S).stdout.splitlines():
        one = json.loads(line)
        if one.get("Type") in _KINDS:
            told[_KINDS[one["Type"]]] = bytes_of(one.get("Size"))
    root = str(_json(docker("info", "--format", "{{json .}}").stdout).get("DockerRootDir") or "")
    told["data_root"] = root
    told["free_bytes"] = free_bytes(root) if root and os.path.isdir(root) else None
    return told


def remove(*arguments: str) -> None:
    """Remove something (`network`, `rm`, id).

    Raises:
        StillNeeded: The engine says that it is in use.
        Gone: It is not there any more.
        RunbookError: Anything else.
    """
    done = docker(*arguments, check=False)
    if done.status == 0:
        return
    words = " ".join(done.stderr.split())
    if any(part in words.lower() for part in _IN_USE):
        raise StillNeeded(words)
    if any(part in words.lower() for part in _GONE):
        raise Gone(words)
    raise RunbookError(f"docker {' '.join(arguments)} failed", why=words[-1000:])


def remove_image(identity: str, references: t.Sequence[str]) -> None:
    """Remove an image that had these names when the plan was made.

    By its id, so that a name that means another image meanwhile stays. An image with several names loses them one by one, and gets them
    back when the engine then refuses, but for those that mean something else by then, and digests; the error tells those.

    Raises:
        StillNeeded, Gone, RunbookError: As `remove` says.
    """
    tags = [one for one in references if "@" not in one]
    if len(tags) > 1 or len({repository_of(one) for one in references}) > 1:
        _remove_names(identity, references)
    else:
        remove("image", "rm", identity)


def users_of(identity: str) -> t.List[str]:
    """Ids of the containers, running or not, that were made from an image or one that is built on it."""
    return docker("ps", "--all", "--quiet", "--filter", f"ancestor={identity}").stdout.split()


def _remove_names(identity: str, references: t.Sequence[str]) -> None:
    users = users_of(identity)
    if users:
        raise StillNeeded(f"the container {users[0]} uses it")
    now = next(iter(inspected("image", [identity])), None)
    if now is None:
        raise Gone(identity)
    tags = [str(one) for one in now.get("RepoTags") or ()]
    if set(tags) - set(references):
        raise StillNeeded(f"it got another name meanwhile: {', '.join(sorted(set(tags) - set(references)))}")
    own = {repository_of(tag) for tag in tags[:1]}
    digests = [str(one) for one in now.get("RepoDigests") or () if repository_of(str(one)) not in own]
    removed: t.List[str] = []
    try:
        for name in [*tags[1:], *(digests if own else digests[1:])]:
            try:
                remove("image", "rm", name)
                removed.append(name)
            except Gone:
                continue  # somebody else has removed this name
        remove("image", "rm", identity)
    except StillNeeded as refused:
        raise StillNeeded(f"{refused}{_given_back(identity, removed)}") from None
    except RunbookError as error:
        error.why += _given_back(identity, removed)
        raise


def _given_back(identity: str, names: t.Sequence[str]) -> str:
    """Give an image its names back; says which it did not get: the engine takes no digest back, and what means something else by now is
    left to that."""
    lost = []
    for name in names:
        taken = "@" in name or docker("image", "inspect", name, check=False).status == 0
        if taken or docker("tag", identity, name, check=False).status != 0:
            lost.append(name)
    return f"; it has lost these names: {', '.join(lost)}" if lost else ""


def _usage() -> t.Dict[str, t.Any]:
    """What each thing takes by itself, which the engine has to add up, and the build cache."""
    return _json(docker("system", "df", "--verbose", "--format", "{{json .}}", timeout_s=_SIZES_TIMEOUT_S).stdout)


def _json(text: str) -> t.Dict[str, t.Any]:
    return t.cast("t.Dict[str, t.Any]", json.loads(text or "{}"))


def _ids(*command: str) -> t.List[str]:
    return list(dict.fromkeys(docker(*command, "--quiet", "--no-trunc").stdout.split()))


def inspected(kind: str, ids: t.Sequence[str]) -> t.List[t.Dict[str, t.Any]]:
    """What the engine says of each; what has gone since is left out."""
    found: t.List[t.Dict[str, t.Any]] = []
    for first in range(0, len(ids), _AT_ONCE):
        done = docker(kind, "inspect", *ids[first : first + _AT_ONCE], check=False)
        if done.status != 0 and not any(part in done.stderr.lower() for part in _GONE):
            raise CommandFailed(f"docker {kind} inspect failed", why=" ".join(done.stderr.split())[-1000:])
        found += json.loads(done.stdout or "[]")
    return found


def _image(one: t.Mapping[str, t.Any], unique: t.Mapping[str, int], arrivals: t.Mapping[str, datetime]) -> Image:
    arrived = [arrivals.get(str(one["Id"])), moment((one.get("Metadata") or {}).get("LastTagTime"))]
    return Image(
        id=str(one["Id"]),
        tags=tuple(name for name in one.get("RepoTags") or () if "<none>" not in name),
        digests=tuple(name for name in one.get("RepoDigests") or () if "<none>" not in name),
        created=moment(one.get("Created")),
        arrived=max((when for when in arrived if when is not None), default=None),
        size_bytes=unique.get(str(one["Id"]), int(one.get("Size") or 0)),
        parent=str(one.get("Parent") or ""),
    )


def _container(one: t.Mapping[str, t.Any], written: int) -> Container:
    state, settings = one.get("State") or {}, one.get("Config") or {}
    names = (one.get("NetworkSettings") or {}).get("Networks") or {}
    mode = (one.get("HostConfig") or {}).get("NetworkMode")
    networks = {*names, *(str(network.get("NetworkID")) for network in names.values() if network), str(mode)}
    return Container(
        id=str(one["Id"]),
        name=str(one.get("Name") or "").lstrip("/"),
        image=str(one.get("Image") or ""),
        image_name=str(settings.get("Image") or ""),
        running=state.get("Status") not in ("exited", "dead", "created"),
        since=moment(state.get("FinishedAt")) or moment(one.get("Created")),
        networks=frozenset(networks - {"", "None"}),
        volumes=frozenset(str(mount["Name"]) for mount in one.get("Mounts") or () if mount.get("Name")),
        project=str((settings.get("Labels") or {}).get(_PROJECT) or ""),
        size_bytes=written,
    )


def _network(one: t.Mapping[str, t.Any]) -> Network:
    labels = one.get("Labels") or {}
    predefined = one.get("Name") in _PREDEFINED or one.get("Scope") == "swarm" or bool(one.get("Ingress"))
    return Network(
        str(one["Id"]),
        str(one["Name"]),
        moment(one.get("Created")),
        len(one.get("Containers") or ()),
        predefined,
        str(labels.get(_PROJECT) or ""),
    )


def _cache_entry(one: t.Mapping[str, t.Any]) -> CacheEntry:
    used = moment(one.get("LastUsedAt")) or moment(one.get("CreatedAt"))
    what = str(one.get("Description") or one.get("CacheType") or "")
    return CacheEntry(str(one["ID"]), what, one.get("InUse") == "true", used, bytes_of(one.get("Size")))
