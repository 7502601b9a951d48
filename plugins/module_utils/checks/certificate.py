# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""When a certificate ends, read from its DER form, and what is to be said about that.

The standard library tells this only of certificates that it could verify, and the others are the interesting ones.
Structure: RFC 5280, section 4.1; encoding: ITU-T X.690.
"""

from __future__ import annotations

import calendar
import time
import typing as t

from .model import FAIL, UNKNOWN, WARN, Finding

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def valid_until(der: bytes) -> float:
    """The end of a certificate's validity, in seconds since 1970 (UTC).

    Raises:
        ValueError: `der` is no certificate.
    """
    _tag, certificate, _rest = _element(der, _SEQUENCE)
    _tag, signed, _rest = _element(certificate, _SEQUENCE)
    tag, _value, rest = _element(signed)
    if tag == _VERSION:
        _tag, _value, rest = _element(rest)
    for _part in ("signature algorithm", "issuer"):
        _tag, _value, rest = _element(rest, _SEQUENCE)
    _tag, validity, _rest = _element(rest, _SEQUENCE)
    _tag, _begin, rest = _element(validity)
    tag, end, _rest = _element(rest)
    text = end.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits of the year, from 1950 to 2049.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("the validity has no end")
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))


def described(der: t.Optional[bytes]) -> t.Dict[str, t.Any]:
    """What a report says of a certificate in DER form: its end; nothing when there is none, or it cannot be read."""
    if not der:
        return {}
    try:
        end = valid_until(der)
    except ValueError:
        return {}
    return {
        "certificate_days_left": round((end - time.time()) / 86400, 1),
        "certificate_valid_until": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)),
    }


def judge_certificate(observed: t.Mapping[str, t.Any], warn_days: t.Optional[float], fail_days: t.Optional[float]) -> t.List[Finding]:
    """What is to be said about the days that a certificate is valid."""
    left = observed.get("certificate_days_left")
    if warn_days is None and fail_days is None:
        return []
    if left is None:
        return [Finding(UNKNOWN, "the server showed no certificate")]
    for verdict, limit in ((FAIL, fail_days), (WARN, warn_days)):
        if limit is not None and left < limit:
            return [Finding(verdict, f"the certificate is valid for {left:g} days, fewer than {limit:g}")]
    return []


def _element(data: bytes, wanted: t.Optional[int] = None) -> t.Tuple[int, bytes, bytes]:
    """The tag and content of the first element of `data`, and what follows it."""
    if len(data) < 2:
        raise ValueError("the certificate ends too early")
    tag, length, begin = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, begin = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if begin + length > len(data):
        raise ValueError("the certificate ends too early")
    if wanted is not None and tag != wanted:
        raise ValueError(f"the certificate has {tag:#x} in the place of {wanted:#x}")
    return tag, data[begin : begin + length], data[begin + length :]
