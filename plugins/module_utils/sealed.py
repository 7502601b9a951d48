# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A record as JSON with its own SHA-256, so that one who reads it knows that it is what was written."""

from __future__ import annotations

import hashlib
import json
import typing as t


def sealed(content: t.Mapping[str, t.Any]) -> bytes:
    """The text of a record, which has no member `sha256` of its own."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**content, "sha256": digest}, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def unsealed(text: bytes, form: str) -> t.Dict[str, t.Any]:
    """The record that `sealed` made this text of.

    Args:
        text: What a file holds.
        form: What the record's member `format` must say.

    Raises:
        ValueError: It is not what was written, or of another form.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.pop("sha256", None) is None or text != sealed(content):
        raise ValueError("its checksum is that of another content")
    if content.get("format") != form:
        raise ValueError(f"its format is {content.get('format')!r}, not {form!r}")
    return content
