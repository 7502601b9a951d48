# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How many replicas are asked for."""

from __future__ import annotations

import re
import typing as t

from ..errors import BadInput


def replicas_asked(asked: t.Any, named: t.Mapping[str, t.Any]) -> t.Optional[int]:
    """The number that `scale_to` means, a number or a name of one; None when it is empty.

    Raises:
        BadInput: It is neither.
    """
    if asked is None or str(asked).strip() == "":
        return None
    value = named.get(str(asked).strip(), asked)
    text = str(value).strip()
    if re.fullmatch("[0-9]{1,9}", text) and not isinstance(value, bool):
        return int(text)
    known = ", ".join(f"{name} ({number})" for name, number in named.items()) or "no names"
    raise BadInput(
        f"{asked!r} is no number of replicas",
        why=f"the profile knows {known} (service_replicas)",
        next_step="scale to a number or one of these",
    )
