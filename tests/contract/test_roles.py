# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each role's entry points, argument specs and defaults agree."""

from __future__ import annotations

from typing import Any

import pytest

from .tree import REPOSITORY, ROLES, load

pytestmark = pytest.mark.skipif(not ROLES, reason="there is no role yet")


def specs(role: str) -> dict[str, dict[str, Any]]:
    """Return the argument specs of a role by entry point."""
    return dict(load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"])


def defaults(role: str) -> dict[str, Any]:
    """Return a role's default values; a role may have none."""
    path = REPOSITORY / "roles" / role / "defaults" / "main.yml"
    return dict(load(path) or {}) if path.exists() else {}


def own(role: str, name: str) -> bool:
    """Whether a variable bears the role's name."""
    return name.startswith(f"{role}_")


def templated(value: Any) -> bool:
    """Whether a value is computed when it is used, so that a spec cannot state it."""
    return "{{" in str(value)


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_has_an_argument_spec_and_every_spec_an_entry_point(role: str) -> None:
    folder = REPOSITORY / "roles" / role / "tasks"
    missing = [name for name in specs(role) if not (folder / f"{name}.yml").exists()]
    assert not missing, f"a spec without tasks: {missing}"
    # A task file that others of the role include is no entry point; it says so by a leading underscore, or lies in a sub-folder.
    # So is one that an entry point chooses by a kind: take_redis.yml belongs to take.yml.
    private = ("_", *(f"{name}_" for name in specs(role)))
    undocumented = [path.stem for path in folder.glob("*.yml") if not path.name.startswith(private) and path.stem not in specs(role)]
    assert not undocumented, f"tasks without a spec: {undocumented}"


@pytest.mark.parametrize("role", ROLES)
def test_every_default_bears_the_roles_name_and_is_in_an_argument_spec(role: str) -> None:
    documented = {name for spec in specs(role).values() for name in spec.get("options", {})}
    wrong = [name for name in defaults(role) if not name.startswith(f"__{role}_") and not (own(role, name) and name in documented)]
    assert not wrong


@pytest.mark.parametrize("role", ROLES)
def test_every_default_of_an_argument_spec_is_the_roles_default(role: str) -> None:
    values = defaults(role)
    wrong = []
    for entry_point, spec in specs(role).items():
        for name, option in spec.get("options", {}).items():
            if not own(role, name):
                continue
            if option.get("required") and name in values:
                wrong.append(f"{entry_point}: {name} is required, and has a default")
            if "default" in option and name not in values:
                wrong.append(f"{entry_point}: {name} has a default in the spec and none in defaults/main.yml")
            if "default" in option and name in values and not templated(values[name]) and option["default"] != values[name]:
                wrong.append(f"{entry_point}: {name} is {option['default']!r} in the spec, {values[name]!r} in defaults/main.yml")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", ROLES)
def test_the_role_says_what_it_is_for(role: str) -> None:
    folder = REPOSITORY / "roles" / role
    assert len((folder / "README.md").read_text(encoding="utf-8").splitlines()) >= 3
    information = load(folder / "meta" / "main.yml")["galaxy_info"]
    assert {"author", "description", "license", "min_ansible_version"} <= set(information)
