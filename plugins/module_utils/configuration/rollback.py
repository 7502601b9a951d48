# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operations of the modules rollback_point and rollback_point_info."""

from __future__ import annotations

import os
import typing as t

from ..backup_set.in_use import in_use
from ..backup_set.prune import Keep, plan_prune, remove_set
from ..backup_set.sets import BackupSet, remove_leftovers
from ..command import Command, run
from ..errors import BadInput, RunbookError, SetDamaged, SetNotFound
from ..progress import Progress
from ..state import state_folder, utc_now
from . import points, unfinished
from .objects import from_texts
from .sources import OPTIONS as SERVICE_OPTIONS
from .sources import Found, image_ids, of_compose, of_units, running_images
from .survey import FILE, survey
from .swap import is_interrupted, nobody_else, swap, take_back_interrupted
from .swap_plan import compare, difference
from .taking import Contents, beyond, create

_HOME: t.Dict[str, t.Dict[str, t.Any]] = {"state_folder": {"type": "path"}}
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "operation": {"type": "str", "choices": ["create", "restore", "prune", "settle"], "required": True},
    "service": {"type": "str", "required": True},
    "point": {"type": "str", "default": ""},
    "paths": {"type": "list", "elements": "path", "default": []},
    "secret_paths": {"type": "list", "elements": "path", "default": [], "no_log": False},
    **SERVICE_OPTIONS,
    "objects": {"type": "list", "elements": "dict", "default": []},
    "secret_objects": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "reason": {"type": "str", "default": ""},
    "run_id": {"type": "str", "default": ""},
    "begins_change": {"type": "bool", "default": False},
    "before_restore_of": {"type": "str", "default": ""},
    "keep_last": {"type": "int", "default": 10},
    "keep_days": {"type": "int", "default": 30},
    **_HOME,
}
"""Described in plugins/modules/rollback_point.py."""
INFO_OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "service": {"type": "str", "default": ""},
    "point": {"type": "str", "default": ""},
    "verify": {"type": "bool", "default": False},
    "with_objects": {"type": "bool", "default": False},
    **_HOME,
}
"""Described in plugins/modules/rollback_point_info.py."""
_RELOAD_S = 60.0


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Do what `operation` of `parameters`, valid for OPTIONS, says; in check mode only tell.

    Raises:
        RunbookError: It failed; everything is as it was, unless `changed` says otherwise.
    """
    home, service = _home(parameters), parameters["service"]
    operation = {"create": _create, "restore": _restore, "prune": _prune, "settle": _settle}[parameters["operation"]]
    if check_mode:
        notes = ["an interrupted restore would be taken back first"] if is_interrupted(home, service) else []
        result = operation(home, parameters, True)
    else:
        with nobody_else(home, service):
            notes = take_back_interrupted(home, service)
            result = operation(home, parameters, False)
            result["changed"] = result["changed"] or bool(notes)
    return {**result, "notes": [*notes, *result.get("notes", [])]}


def _home(parameters: t.Mapping[str, t.Any]) -> str:
    return os.path.abspath(os.path.join(state_folder(parameters["state_folder"]), "rollback_points"))


def _contents(home: str, parameters: t.Mapping[str, t.Any]) -> Contents:
    objects = [*parameters["objects"], *from_texts(parameters["secret_objects"])]
    if parameters["before_restore_of"]:
        return _replaced_by(points.choose(home, parameters["service"], parameters["before_restore_of"]), parameters, objects)
    found = [Found(parameters["paths"], parameters["secret_paths"])]
    found += [of_compose(parameters["compose"])] if parameters["compose"] else []
    found += [of_units(parameters["unit"], parameters["instances"])] if parameters["unit"] else []
    roots, secret, images, units, notes = ([item for part in parts for item in part] for parts in zip(*found))
    relative = [path for path in [*roots, *secret] if not os.path.isabs(path)]
    if relative:
        raise BadInput(f"{relative[0]} is no absolute path", next_step="name files by their whole paths")
    if not (roots or objects):
        raise BadInput("Nothing is named that the point shall keep", next_step="name paths, a Compose project, a unit, or objects")
    return Contents(list(dict.fromkeys(roots)), list(dict.fromkeys(secret)), objects, images, units, notes)


def _replaced_by(point: BackupSet, parameters: t.Mapping[str, t.Any], objects: t.Sequence[t.Mapping[str, t.Any]] = ()) -> Contents:
    """What a restore of the point replaces. The Compose file may be what was lost: which images run now is told without it."""
    images, notes = running_images(parameters["compose"]) if parameters["compose"] else ([], [])
    told = point.manifest
    return Contents(told["roots"], told["secret"], objects, images, told["units"], notes)


def _create(home: str, parameters: t.Mapping[str, t.Any], dry_run: bool) -> t.Dict[str, t.Any]:
    service, begins = parameters["service"], parameters["begins_change"]
    Progress(f"Rollback point of {service}").say("looking at files, images and objects")
    contents = _contents(home, parameters)
    left, more = unfinished.noted(home, service), []
    if left and begins:
        try:
            point = points.choose(home, service, left["point"])
            points.require_whole(point)
            lacking = beyond(point, contents)
            who = left["run_id"] or "an earlier run"
            more = [f"{who} began a change at {left['at']} and did not end it: a failure goes back to what there was then"]
            if lacking is None:
                return {"changed": False, "unfinished": left, "begun_at": left["at"], "notes": more, "plan": [], **_told(point)}
            contents = lacking
        except (SetNotFound, SetDamaged) as error:
            more = [
                f"the point of an unfinished change of {left['at']} is of no use ({error.message}); this one shows what that change left"
            ]
    point_or_none, is_new, manifest, notes = create(
        home,
        service,
        contents,
        reason=parameters["reason"],
        run_id=parameters["run_id"],
        before_restore_of=parameters["before_restore_of"],
        dry_run=dry_run,
    )
    begun_at = ""
    if begins and point_or_none is not None and not dry_run:
        begun_at = unfinished.begin(home, service, point_or_none.id, parameters["run_id"], left.get("at", ""))
    told = _told(point_or_none) if point_or_none is not None else {"point": "", "point_folder": ""}
    plan = [f"keep {one['path']}" for one in manifest["entries"] if one["kind"] == FILE] + [
        f"keep {one['kind']} {one['name']}" for one in manifest["objects"]
    ]
    return {
        "changed": is_new,
        "unfinished": left,
        "begun_at": begun_at,
        "notes": [*notes, *more],
        "plan": plan if is_new else [],
        "images": manifest["images"],
        **told,
    }


def _told(point: BackupSet) -> t.Dict[str, t.Any]:
    return {"point": point.id, "point_folder": point.folder, "images": point.manifest["images"]}


def _restore(home: str, parameters: t.Mapping[str, t.Any], dry_run: bool) -> t.Dict[str, t.Any]:
    service = parameters["service"]
    point = points.choose(home, service, parameters["point"])
    points.require_whole(point)
    roots, secret = point.manifest["roots"], point.manifest["secret"]
    present, notes = survey(roots, secret)
    plan = compare(points.entries_of(point), present)
    shown = difference(plan, point)
    safety_id = ""
    if plan.changed and not dry_run:
        Progress(f"Restore of {point.id}").say("keeping what is replaced, then putting the files back")
        safety, _is_new, _manifest, more = create(
            home,
            service,
            _replaced_by(point, parameters),
            reason=f"before the restore of {point.id}",
            run_id=parameters["run_id"],
            before_restore_of=point.id,
        )
        safety = t.cast(BackupSet, safety)  # there always is one, but in check mode
        safety_id, notes = safety.id, notes + more
        swap(home, service, point, plan, safety)
        notes += _reload(point.manifest["units"])
    return {
        "changed": plan.changed,
        "plan": plan.sentences(),
        "diff": shown,
        "safety_point": safety_id,
        "put_back": [one.path for one, _before in [*plan.put, *plan.folders]],
        "removed": [one.path for one in plan.remove],
        "roots": roots,
        "objects": points.summary(point)["objects"],
        "notes": notes + _other_images(point.manifest["images"]),
        **_told(point),
    }


def _reload(units: t.Sequence[str]) -> t.List[str]:
    if not units:
        return []
    try:
        run(Command(["systemctl", "daemon-reload"], timeout_s=_RELOAD_S))
    except RunbookError as error:
        return [f"systemd did not read its units again (systemctl daemon-reload): {error.message}"]
    return []


def _other_images(images: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """Names that stand for other images than when the point was taken: files alone do not bring those back."""
    if not images:
        return []
    try:
        now = image_ids(one["image"] for one in images)
    except RunbookError:
        return []
    changed = {one["image"]: one["image_id"] for one in images if now.get(one["image"]) != one["image_id"]}
    return [
        f"the image {name} is another one now than then: {image_id[:19]} ran, {now[name][:19] or 'none'} would"
        for name, image_id in sorted(changed.items())
    ]


def _prune(home: str, parameters: t.Mapping[str, t.Any], dry_run: bool) -> t.Dict[str, t.Any]:
    if parameters["keep_last"] < 0 or parameters["keep_days"] < 0:
        raise BadInput("A negative number of points cannot be kept", next_step="say 0 or more (keep_last, keep_days)")
    service = parameters["service"]
    there = [one for one in points.points_of(home, service) if one.manifest]
    used = in_use(home, [one.id for one in there])
    left = unfinished.noted(home, service)
    if left:
        used[left["point"]] = "a change that was not ended goes back to it"
    # Without a rule plan_prune keeps everything; here only the newest stays then.
    keep = Keep(last=max(1, parameters["keep_last"]), days=parameters["keep_days"])
    plan = plan_prune(there, keep, utc_now(), used)
    leftovers = remove_leftovers(home, dry_run=dry_run)
    gone, notes = [], []
    for one in plan.remove:
        if dry_run or remove_set(one):
            gone.append(one)
        else:
            notes.append(f"{one.id} is in use, and stays for now")
    return {
        "changed": bool(gone or leftovers),
        "dropped": [one.id for one in gone],
        "kept": [one.id for one in there if one not in gone],
        "freed_bytes": sum(one.size_bytes for one in gone),
        "plan": [f"remove {one.id}: {plan.reasons[one.id]}" for one in gone]
        + [f"remove {name}, which a killed run left" for name in leftovers],
        "notes": notes,
        "diff": {"before": plan.listing(there), "after": plan.listing(there, without_removed=True)},
    }


def _settle(home: str, parameters: t.Mapping[str, t.Any], dry_run: bool) -> t.Dict[str, t.Any]:
    service = parameters["service"]
    left = unfinished.noted(home, service)
    changed = bool(left) if dry_run else unfinished.end(home, service)
    return {
        "changed": changed,
        "unfinished": left,
        "point": left.get("point", ""),
        "plan": ["forget that a change was under way"] if left else [],
    }


def inform(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """The points that there are, for INFO_OPTIONS; check mode does the same.

    Raises:
        SetNotFound: The point that is named is not there.
        SetDamaged: Its objects were asked for, and it is damaged.
    """
    home, service = _home(parameters), parameters["service"]
    if parameters["with_objects"]:
        point = points.choose(home, service, parameters["point"])
        points.require_whole(point)
        return {"changed": False, "points": [points.summary(point)], "objects": points.objects_of(point)}
    found = points.points_of(home, service)
    if parameters["point"]:
        found = [points.choose(home, service, parameters["point"])]
    told = [points.summary(one, one.problems() if parameters["verify"] else None) for one in found]
    return {
        "changed": False,
        "points": told,
        "table": [_line(one) for one in told],
        "unfinished": unfinished.noted(home, service) if service else {},
        "interrupted": bool(service) and is_interrupted(home, service),
    }


def _line(told: t.Mapping[str, t.Any]) -> str:
    what = f"{len(told['paths'])} files and folders" + (f", {len(told['objects'])} objects" if told["objects"] else "")
    state = f"damaged: {'; '.join(told['problems'][:3])}" if told["problems"] else what
    return f"{told['id']} ({told['at'] or 'of an unknown time'}): {state}" + (f"; {told['reason']}" if told["reason"] else "")
