#!/usr/bin/python
# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible module: remove what nobody needs from a Docker Engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_cleanup
short_description: Remove images, networks and other things that nobody needs from a Docker Engine
version_added: "0.1.0"
author: The sre.runbooks authors (@sre-runbooks)
description:
  - Removes images that are old and that no container uses, running or stopped, networks that no container is in, and, where that is asked
    for, the build cache, stopped containers, and volumes by their exact names.
  - Looks first and decides then, so that it can say beforehand what would be removed, of what size and for what reason, and what stays
    and why. The engine's own C(prune) commands decide while they remove. That is why M(community.docker.docker_prune) does not do the
    work here.
  - What comes into use after the decision stays. The engine refuses to remove it, and it is listed with what is kept. An image that has
    lost some of its names by then gets them back; those that it does not get are told.
  - The engine is asked by the program C(docker), with the context or C(DOCKER_HOST) of the account.
extends_documentation_fragment:
  - sre.runbooks.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  images:
    description:
      - V(all) removes unused images, V(untagged) only those without a tag, V(none) no image.
    type: str
    choices: [all, untagged, none]
    default: all
  images_older_than_h:
    description:
      - Hours since an image was built, by the date in its configuration, as C(docker image prune --filter until=) judges it. Younger ones
        stay. By default 168, and 0 where O(images=untagged).
      - Images whose date is not known stay.
    type: float
  image_arrived_h:
    description:
      - What was built, pulled, loaded or tagged on this host less than so many hours ago stays, whatever its age. It is probably about to
        be started.
      - When an image came, the engine's own store shows to root only; where it cannot be told, the image stays, unless this is 0. An image
        that was there when it was pulled again did not come.
    type: float
    default: 1
  keep_newest:
    description: So many images of each repository stay, the newest first.
    type: int
    default: 0
  keep:
    description:
      - What is never removed, as patterns with C(*) and C(?). They are held against C(repository:tag), the repository,
        C(repository@sha256:...), the digest and the id of an image, and against names and ids of networks and containers. At least twelve
        hexadecimal digits are the beginning of an id.
      - Name here what a rollback would need.
    type: list
    elements: str
    default: []
  only:
    description:
      - Where this is given, only what fits one of these patterns is looked at. The build cache has no names and is left alone then.
    type: list
    elements: str
    default: []
  containers_older_than_h:
    description: Stopped containers that ended longer ago are removed, without their volumes. A negative number leaves them.
    type: float
    default: -1
  networks_older_than_h:
    description:
      - Networks of Compose projects without containers that were made longer ago are removed, and others where O(only) names them. One in
        which a stopped container is, or that belongs to a Compose project with containers, stays. A negative number leaves all.
    type: float
    default: 24
  build_cache_older_than_h:
    description: Build cache that no build has used for so long is removed. A negative number leaves it.
    type: float
    default: -1
  volumes:
    description:
      - Exact names of volumes to remove. When a container has one of them, running or stopped, nothing at all is removed.
    type: list
    elements: str
    default: []
  safety_copy:
    description: Whether a backup set of each volume is taken before it is removed.
    type: bool
    default: true
  backup_folder:
    description: Folder of the backup sets on this host. Required for a safety copy.
    type: path
  run_id:
    description: Run that the safety copies belong to.
    type: str
    default: ""
seealso:
  - module: sre.runbooks.files_restore
  - module: community.docker.docker_prune
"""

EXAMPLES = r"""
- name: Remove images that nobody has used for a week
  sre.runbooks.docker_cleanup:
    images_older_than_h: 168
    keep:
      - registry.example.com/app:stable
      - sha256:9b2a8d76632f4da008d8b6edd810fa17f7cfc241c30cd493f80fceb8934d2fec

- name: Remove a volume after a copy of it
  sre.runbooks.docker_cleanup:
    images: none
    networks_older_than_h: -1
    volumes:
      - prometheus_data
    backup_folder: /var/backups/sre-runbooks
"""

RETURN = r"""
plan:
  description: What was removed, or would be, in sentences with size and reason.
  returned: success
  type: list
  elements: str
removed:
  description: What was removed, or would be, each with C(kind), C(name), C(id), C(reason), C(size_bytes) and C(age_h) (hours, or null).
  returned: success
  type: list
  elements: dict
kept:
  description: What stays, in the same form.
  returned: success
  type: list
  elements: dict
space:
  description:
    - C(before) and C(after), each with C(images_bytes), C(containers_bytes), C(volumes_bytes), C(build_cache_bytes), C(data_root) and
      C(free_bytes) there (null where the engine is not on this host). The engine's client rounds them to three or four digits.
    - C(freed_bytes) by the engine's own account, and C(expected_bytes), the sum over what was removed without layers that others share.
  returned: success
  type: dict
safety_copies:
  description: Names of the backup sets that were taken of volumes.
  returned: success
  type: list
  elements: str
notes:
  description: What else the reader should know.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.docker_cleanup import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.outcome import conclude


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    conclude(module, lambda: operate(module.params, module.check_mode))


if __name__ == "__main__":
    main()
