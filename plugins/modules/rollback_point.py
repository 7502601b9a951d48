#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_point
short_description: Keep what a service is configured by, and put it back
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Takes a copy of files and folders, of a Compose project's files with the images that run, of systemd units with their drop-ins and
    environment files, and of objects of Kubernetes, into a sealed folder with C(manifest.json) (SHA-256, size, mode, owner of each file; when,
    for which service, why, by which run). It gets its name when every byte is on the disk.
  - Puts files back from such a point, after comparing its seal and showing what differs. Each file takes its place in one step, all of them or
    none, and what is replaced is kept as a point of its own. It is done in a process that goes on when the run is killed. Should that die, too,
    the next call for the service puts back what it had replaced.
  - Objects of Kubernetes are kept without what the server writes into them. They are put back with M(kubernetes.core.k8s), from what
    M(sre.runbooks.rollback_point_info) returns.
extends_documentation_fragment:
  - sre.runbooks.attributes
  - sre.runbooks.state
  - sre.runbooks.configured_service
  - sre.runbooks.unit
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Of secret files only the names are shown.
  idempotent:
    support: full
    details: No new point is taken when the newest one holds exactly what there is.
options:
  operation:
    description:
      - V(create) takes a point; V(restore) puts files back as a point has them; V(prune) removes old points; V(settle) forgets the note of a
        change that O(begins_change) wrote.
    type: str
    choices: [create, restore, prune, settle]
    required: true
  service:
    description: Name of the service that the points belong to.
    type: str
    required: true
  point:
    description:
      - For V(restore), the point. By default the one that an unfinished change goes back to, else the newest that was not taken by a restore.
    type: str
    default: ""
  paths:
    description:
      - Files and folders to keep, by their absolute paths. One that is not there is kept as such, and V(restore) removes it. A folder is kept with all
        that is in it; more than 100 MB in all are no configuration, and refused.
    type: list
    elements: path
    default: []
  secret_paths:
    description: Those of them, or files in them, whose content is never shown. What only its owner may read, and environment files, never is.
    type: list
    elements: path
    default: []
  objects:
    description: Objects of Kubernetes to keep, as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    default: []
  secret_objects:
    description: The same for objects that nobody shall see, each as JSON.
    type: list
    elements: str
    default: []
  reason:
    description: Why the point is taken.
    type: str
    default: ""
  run_id:
    description: The run that it is taken by.
    type: str
    default: ""
  begins_change:
    description:
      - Whether a change begins with this point. A note says so until V(settle). When a run before this one was killed in the middle of its
        change, the point that it had taken is returned. Where that lacks something that is named now, one is taken that has both, the files of
        the former as they were then.
    type: bool
    default: false
  before_restore_of:
    description:
      - The point whose restore this one precedes. It is taken of the files that the restore replaces, instead of those that are named, and of the
        images that run, and is itself only restored when it is named.
    type: str
    default: ""
  keep_last:
    description: For V(prune), how many of the newest points stay. The newest always does.
    type: int
    default: 10
  keep_days:
    description: For V(prune), points younger than so many days stay, too.
    type: int
    default: 30
seealso:
  - module: sre.runbooks.rollback_point_info
  - module: sre.runbooks.environment_file
"""

EXAMPLES = r"""
- name: Keep the project as it is
  sre.runbooks.rollback_point:
    operation: create
    service: rag7
    compose:
      project_folder: /srv/rag7
      environment_file: .env.prod
    paths: [/etc/rag7]
    reason: before the new limits

- name: See what would be put back
  sre.runbooks.rollback_point:
    operation: restore
    service: rag7
  check_mode: true
  diff: true

- name: Keep ten points, and all of the last 30 days
  sre.runbooks.rollback_point:
    operation: prune
    service: rag7
"""

RETURN = r"""
point:
  description: Id of the point that was taken, or restored. Empty in check mode for one that would be taken.
  returned: operation is create, restore or settle
  type: str
point_folder:
  description: Its folder.
  returned: operation is create or restore
  type: str
plan:
  description: Sentences that say what is done, or would be.
  returned: success
  type: list
  elements: str
images:
  description: Images of running containers when the point was taken, each with C(service), C(container), C(image), C(image_id), C(digests).
  returned: operation is create or restore
  type: list
  elements: dict
roots:
  description: Files and folders that the point was asked to keep.
  returned: operation is restore
  type: list
  elements: str
objects:
  description: Objects of Kubernetes in the point, each with C(api_version), C(kind), C(namespace), C(name), C(revision).
  returned: operation is restore
  type: list
  elements: dict
unfinished:
  description: The change that an earlier run began and did not end, with C(point), C(run_id), C(at). Empty when there is none.
  returned: operation is create or settle
  type: dict
begun_at:
  description:
    - When the change began that O(begins_change) notes, or an unfinished one that it goes on from; UTC, ISO 8601, in whole seconds. Empty where none does.
  returned: operation is create
  type: str
safety_point:
  description: Id of the point that holds what was replaced. Empty when nothing was.
  returned: operation is restore
  type: str
put_back:
  description: Files and folders that come from the point.
  returned: operation is restore
  type: list
  elements: str
removed:
  description: Files and folders that were not there when the point was taken, and are removed.
  returned: operation is restore
  type: list
  elements: str
dropped:
  description: Points that were removed, or would be.
  returned: operation is prune
  type: list
  elements: str
kept:
  description: Points that stay, the newest first.
  returned: operation is prune
  type: list
  elements: str
freed_bytes:
  description: How much room that frees, in bytes.
  returned: operation is prune
  type: int
notes:
  description: What the reader should know.
  returned: success
  type: list
  elements: str
diff:
  description: What changes, secret content left out.
  returned: operation is restore or prune
  type: raw
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.rollback import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
