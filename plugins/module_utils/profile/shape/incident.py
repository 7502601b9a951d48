# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Shapes of the variables about incidents: severities, escalation, phases, remediation, security."""

from __future__ import annotations

import typing as t

from .checks import verdicts
from .language import (
    Shape,
    amount,
    choice,
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

EVERY = choice("daily", "weekly", "monthly", "quarterly", "yearly", description="How often.")
_CONDITION: t.Dict[str, Shape] = {
    "check": text("A check, or"),
    "any_check_of": words("any of these checks, or"),
    "metric": text("a metric, or"),
    "event": text("something that a person or a procedure reports."),
    "verdict": verdicts(),
    "above": number("True above this number (strict)."),
    "below": number("True below this number (strict)."),
}
_PHASE = record([], name=name(), title=name(), from_s=amount(), until_s=or_null(amount()), steps=words("What is done."), owner=text())
_STEP = record(
    ["name"],
    name=name(),
    title=name(),
    action=text("What the procedure does; `person` for what it leaves to people."),
    check=text("A check that is asked."),
    checks=words("Checks that are asked."),
    metric=text("A metric that is read."),
    log_question=text("A question of service_log_questions."),
    script=text("A script of service_scripts."),
    procedure=text("A procedure of the catalogue."),
    command=words("A program and its arguments."),
    arguments=words("Arguments of the script."),
    query=text("SQL that only reads."),
    promql=text(),
    reads=text("An address that is read."),
    expression=text("What is shown of the answer (JMESPath)."),
    contact=text("A contact of incident_contacts."),
    service=text(),
    circuit=text(),
    caches=words(),
    replicas=whole(),
    idle_s=amount(),
    mean_ms=amount(),
    samples=whole(),
    every_s=amount(),
    operations=whole(),
    port=whole(),
    gate=text("Who lets the next step follow."),
    steps=words(),
    when_no_backup=text(),
)

INCIDENT: t.Dict[str, Shape] = {
    "incident_severities": listing(
        record(
            ["name"],
            name=name("Such as P1; the list has the gravest first."),
            alias=text("Another word for it."),
            title=name(),
            respond_within_s=or_null(amount("Seconds until somebody answers; null: said in `response`.")),
            response=text("In words, where it is no number."),
            escalate_after_s=or_null(amount("Seconds until the next level is told; null: said in `escalation`.")),
            escalation=text("In words, where it is no number."),
            notify=text("Level of notify_channels."),
        ),
        "How grave it can be, the gravest first.",
    ),
    "incident_severity_rules": listing(
        record_of(["severity", "when"], {"severity": name(), "when": name("In words, for the reader."), **_CONDITION}),
        "What makes it so grave; the gravest rule that is true counts.",
    ),
    "incident_escalation_levels": listing(
        record(
            ["level"],
            level=whole(),
            name=name(),
            title=name(),
            after_s=amount("Seconds from the beginning until this level is told."),
            until_s=or_null(amount("Seconds from the beginning until the next level takes over; null for the last.")),
            respond_within_s=amount("Seconds until this level answers."),
            contact=text("A contact of incident_contacts."),
            notify=text("Level of notify_channels."),
            responsibilities=words(),
        ),
        "Who is in charge when.",
    ),
    "incident_phases": listing(_PHASE, "What is done in which order."),
    "incident_emergencies": listing(
        record(["name"], name=name(), title=name(), phases=listing(_PHASE), steps=words(), by_cause=table(text())), "Kinds of emergencies."
    ),
    "incident_id_format": text("Format of an incident's id (strftime)."),
    "incident_folder": text("Folder of the incidents."),
    "incident_files": table(text(), "Names of an incident's files."),
    "incident_default_severity": text("Severity of an incident that is opened without one."),
    "incident_first_steps": table(record([], say=words(), do=words()), "First steps by severity."),
    "incident_diagnostics": words("What is collected."),
    "incident_review": record([], unknown_duration=text(), unknown_impact=text(), questions=words(), action_item=table(text())),
    "incident_review_every_days": amount("How often the profile is reviewed."),
    "incident_review_due": text("When it is reviewed next (ISO 8601).", pattern=r"^\d{4}-\d{2}-\d{2}$"),
    "incident_ticket_system": text("Where tickets are kept."),
    "incident_closing_steps": words("What is done when it is over."),
    "incident_on_call_checklist": listing(
        record(
            ["name", "title"],
            name=name(),
            title=name(),
            url=url("An address that must answer."),
            tool=text("A program that must be there."),
            kube_context=text("A context that must be in the kubeconfig."),
            checks=words("Checks that must pass."),
            not_empty=words("Variables that must not be empty."),
            procedure=text("A procedure that must be in the catalogue."),
        ),
        "What people on call must have.",
    ),
}
REMEDIATION: t.Dict[str, Shape] = {
    "remediation_ladders": listing(
        record(
            ["name", "steps"],
            name=name(),
            title=name(),
            when=record_of([], _CONDITION, "When it is climbed."),
            alert=text("Alert that calls for it."),
            statuses=listing(whole(), "HTTP statuses that call for it."),
            steps=listing(_STEP),
        ),
        "What is tried when something is wrong, the gentlest first.",
    ),
    "remediation_emergency_mode": listing(record(["name"], name=name(), title=name()), "What emergency mode switches."),
    "remediation_degraded_mode": record([], title=text(), variable=text(), value=text()),
    "remediation_circuits": words("Circuit breakers that may be reset."),
    "remediation_caches": words("Caches that may be cleared."),
    "remediation_prevention": listing(record(["name"], name=name(), title=name()), "What prevents incidents, to be checked."),
}
SECURITY: t.Dict[str, Shape] = {
    "security_tasks": listing(record(["name", "every"], name=name(), every=EVERY, title=name()), "What is looked at, and how often."),
    "security_log_question": text("A question of service_log_questions."),
    "security_user_activity": record([], table=text(), window_days=number(exclusiveMinimum=0)),
    "security_certificate": record(["host"], host=text(), port=whole(), renewed_by=text(), namespace=text()),
    "security_incident_phases": listing(_PHASE),
    "security_rotation_steps": words("How a secret is replaced."),
    "security_alerts": words("What is alerted on."),
}
RECOVERY_STEP = _STEP
