# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Shapes of the variables about backup, restore, deployment and maintenance."""

from __future__ import annotations

import typing as t

from ...pitr.options import PITR_OF_A_STORE
from ...postgresql.options import CONNECTION_OPTIONS, DATA_FOLDER_OPTIONS
from ...qdrant.options import CONNECTION_OPTIONS as QDRANT_CONNECTION_OPTIONS
from ...redis.options import CONNECTION_OPTIONS as REDIS_CONNECTION_OPTIONS
from ...redis.options import FILE_OPTIONS as REDIS_FILE_OPTIONS
from .incident import EVERY, RECOVERY_STEP
from .language import (
    Shape,
    amount,
    anything,
    choice,
    flag,
    from_option,
    listing,
    name,
    number,
    or_null,
    record,
    record_of,
    table,
    text,
    url,
    whole,
    words,
)

_STORE: t.Dict[str, Shape] = {
    "name": name(),
    "kind": choice("postgresql", "redis", "qdrant", "files", "volume"),
    "component": text("Component of service_components whose data it holds."),
    "on_host": text("Host of the inventory on which its tools run and its sets lie, where it is not the play's."),
    "rto_s": or_null(amount("Seconds that it may be gone.")),
    "rpo_s": or_null(amount("Seconds of data that may be lost; null where none matter.")),
}
_QDRANT: t.Dict[str, Shape] = {**{key: from_option(option) for key, option in QDRANT_CONNECTION_OPTIONS.items()}, "url": url()}
_KINDS: t.Mapping[str, t.Tuple[t.Sequence[str], t.Mapping[str, Shape]]] = {
    "postgresql": (
        ["database"],
        {
            "database": name(),
            "pitr": from_option(PITR_OF_A_STORE),
            **{key: from_option(option) for key, option in {**CONNECTION_OPTIONS, **DATA_FOLDER_OPTIONS}.items()},
        },
    ),
    "redis": (
        [],
        {
            "method": choice("auto", "rdb", "stream"),
            **{key: from_option(option) for key, option in {**REDIS_CONNECTION_OPTIONS, **REDIS_FILE_OPTIONS}.items()},
        },
    ),
    "qdrant": (
        ["url"],
        {
            **_QDRANT,
            "collections": words("Collections, by name or by an alias that the service uses; empty for all."),
            "full_storage": flag("Whether one snapshot of the whole storage is taken instead."),
            "sample_points": {"type": "integer", "minimum": -1, "description": "Points of each collection that are compared; -1 for all."},
            "rehearsal": record_of(["url"], _QDRANT, "Another server on which sets are rehearsed."),
        },
    ),
    "files": (
        ["paths"],
        {
            "paths": words("Files and folders.", minItems=1),
            "into": text("Folder in the set."),
            "encrypt": words("Names of files that go into the set encrypted."),
            "include": words("Only files that fit one of these patterns."),
            "exclude": words("Files and folders that stay out."),
            "tool_folder": text("Folder of tar and zstd."),
        },
    ),
    "volume": (
        ["volume"],
        {
            "volume": name(),
            "engine": choice("docker", "podman"),
            "exclude": words("Files and folders that stay out."),
            "tool_folder": text("Folder of tar and zstd."),
        },
    ),
}  # fmt: skip


def definitions() -> t.Dict[str, Shape]:
    """`store`, and what each kind of store takes."""
    found: t.Dict[str, Shape] = {}
    for kind, (required, keys) in _KINDS.items():
        found[f"store_{kind}"] = {
            "properties": {**_STORE, **keys},
            "required": ["name", "kind", *required],
            "additionalProperties": False,
        }
    found["store"] = {
        "type": "object",
        "required": ["name", "kind"],
        "properties": {"kind": _STORE["kind"]},
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": {"$ref": f"#/$defs/store_{kind}"}}
            for kind in _KINDS
        ],
    }
    return found


RECOVERY_HOOK = record(
    ["name"],
    name=name(),
    title=name(),
    command=words("Program and arguments."),
    playbook=name(),
    procedure=name(),
    on_host=text("Host of the inventory on which the command runs, where it is not the controller."),
    variables=table(anything(), "Extra variables."),
    environment=table(text(), "Further environment."),
    folder=text("Working folder."),
    deadline_s=number(exclusiveMinimum=0),
)
_WINDOW = record(["name", "at"], name=name(), at=name(), time_zone=text(), stores=words())

OPERATIONS: t.Dict[str, Shape] = {
    "backup_stores": listing({"$ref": "#/$defs/store"}, "What is backed up."),
    "backup_names": table(text(), "Names of backups in the source's own layout."),
    "backup_offsite_date_prefix": text("Folder by date in the object store (strftime)."),
    "backup_windows": listing(_WINDOW, "When what is backed up that no procedure of the schedule covers."),
    "backup_legacy_folders": words("Folders with older backups."),
    "restore_proofs": listing(
        record(["name", "store"], name=name(), store=name(), query=text(), fail_below=number(), fail_above=number()),
        "What must be true after a restore.",
    ),
    "restore_files": listing(record(["store", "to"], store=name(), to=name(), replace=flag()), "Where files are put back."),
    **{
        f"recovery_{hook}": listing(RECOVERY_HOOK, said)
        for hook, said in {
            "infrastructure": "Your own steps that put the infrastructure in place.",
            "smoke": "Your own steps that try the recovered service.",
            "resume": "Your own steps that point names and traffic to it.",
            "stop_writes": "Your own steps that stop what writes to a damaged database.",
            "resume_writes": "Your own steps that let it be written to again.",
        }.items()
    },
    "restore_recovery_steps": listing(RECOVERY_STEP, "Disaster recovery, in order."),
    "restore_commands": table(words()),
    "deploy_source": record([], remote=text(), branch=text()),
    "deploy_build_service": text("Service of the Compose files that is built."),
    "deploy_steps": words("A deployment, in order."),
    "deploy_rolling": record([], replicas=whole(), settle_s=amount()),
    "deploy_migration_command": words("Program and arguments."),
    "deploy_health_check": text("Check that must pass after a deployment."),
    "deploy_command": words("Program and arguments."),
    "deploy_before": words("What must be true before."),
    "deploy_after": words("What must be true after."),
    "deploy_configuration": table(anything(), "How a changed configuration is applied, by runtime."),
    "deploy_configuration_steps": words("A change of the configuration, in order."),
    "deploy_update_steps": words("An update, in order."),
    "deploy_rollback_command": words("Program and arguments."),
    "deploy_rollback_when": listing(
        record(["metric"], metric=name(), above=number(), below=number()), "When a new release is taken back by itself."
    ),
    "deploy_rollback_targets": words("What a rollback by hand can go to."),
    "traffic_colours": words("Names of the two environments."),
    "traffic_state_key": text("Key of the active environment in the status."),
    "maintenance_windows": listing(_WINDOW, "When maintenance may happen."),
    "maintenance_database": record([], database=text(), name=text(), path=text(), every=EVERY, commands=words()),
    "maintenance_log_rules": listing(
        record(
            ["name"],
            name=name(),
            path=text(),
            pattern=text("Name with wildcards."),
            source=text(),
            write_to=text(),
            follow_to=text(),
            compress_after_days=amount(),
            compress_above_bytes=whole(),
            delete_after_days=amount(),
        ),
        "When log files are compressed and deleted.",
    ),
    "maintenance_container_log": record([], file=text(), driver=text(), max_size=text(), max_file=whole(), restart=text()),
    "maintenance_image_prune": record([], all=flag(), older_than_h=amount(), volumes=flag()),
    "maintenance_finished_pods": record([], namespace=text(), phases=words(), older_than_h=amount()),
    "maintenance_tasks": listing(
        record(
            ["name", "every"],
            name=name(),
            every=EVERY,
            title=name(),
            procedure=text(),
            command=words(),
            script=text(),
            arguments=words(),
        ),
        "What is done, and how often.",
    ),
}
