# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `tls`: a server's certificate, its chain, its name, and the days that it is valid."""

from __future__ import annotations

import time
import typing as t

from .certificate import judge_certificate, valid_until
from .model import Answer, Attempt, Finding, NoAnswer, Question
from .network import Network, Tls, connect
from .tcp import endpoint, port_mistakes

_DAY_S = 86400
_DER = 2
"""ENCODING_DER of the module _ssl."""
_SHOWN_NAMES = 20


class Seen(t.NamedTuple):
    """What a handshake showed.

    Attributes:
        problem: Why the certificate is not accepted; None when it is.
    """

    observed: t.Dict[str, t.Any]
    problem: t.Optional[Finding]


class TlsEndpoint(Question):
    """Negotiate TLS and say nothing more."""

    spec = {
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "default": 443},
        "server_name": {"type": "str"},
        "ca_file": {"type": "path"},
        "warn_certificate_days": {"type": "float"},
        "fail_certificate_days": {"type": "float"},
    }

    @property
    def has_number(self) -> bool:
        return True

    def mistakes(self) -> t.List[str]:
        found = port_mistakes(self.options)
        if "server_name" in self.options:
            of_name = port_mistakes({"port": 1, "host": self.options["server_name"]})
            found += [mistake.replace("host", "server_name", 1) for mistake in of_name]
        return found

    @property
    def target(self) -> str:
        name = self.options.get("server_name", "")
        return endpoint(self.options["host"], self.options["port"]) + (f" as {name}" if name else "")

    @property
    def _tls(self) -> Tls:
        return Tls(ca_file=self.options.get("ca_file", ""))

    def prepare(self, network: Network) -> None:
        network.context(self._tls)

    async def ask(self, attempt: Attempt) -> Seen:
        name = self.options.get("server_name", "")
        try:
            with await connect(attempt, self.options["host"], self.options["port"], self._tls, name) as connection:
                return Seen({**connection.observed, **_details(connection.secured)}, None)
        except NoAnswer as nothing:
            # A certificate that is not accepted has an end all the same, and often that is why.
            if "certificate_days_left" not in nothing.answer.observed:
                raise
            return Seen(nothing.answer.observed, nothing.answer.findings[0])

    def judge(self, got: Seen) -> Answer:
        observed = got.observed
        days = observed.get("chain_days_left", observed.get("certificate_days_left"))
        answer = Answer([got.problem] if got.problem else [], {**observed, "value": days}, value=days)
        answer.findings += judge_certificate(
            {"certificate_days_left": days}, self.options.get("warn_certificate_days"), self.options.get("fail_certificate_days")
        )
        return answer


def _details(secured: t.Any) -> t.Dict[str, t.Any]:
    """What a verified certificate says of itself."""
    said = secured.getpeercert() or {}
    issuer = {key: value for part in said.get("issuer", ()) for key, value in part}
    found: t.Dict[str, t.Any] = {
        "tls_version": secured.version(),
        "certificate_names": [name for _kind, name in said.get("subjectAltName", ())][:_SHOWN_NAMES],
        "certificate_issuer": issuer.get("commonName") or issuer.get("organizationName") or "",
    }
    ends = [end for end in map(_end, _chain(secured)) if end is not None]
    if ends:
        # The certificate of an authority in between may end first, and takes the server's with it.
        found["chain_days_left"] = round((min(ends) - time.time()) / _DAY_S, 1)
    return found


def _chain(secured: t.Any) -> t.List[bytes]:
    """The certificates by which the server's was verified, in DER form; empty where Python does not tell (before 3.10)."""
    try:
        if hasattr(secured, "get_verified_chain"):  # Python 3.13
            return list(secured.get_verified_chain())
        return [one.public_bytes(_DER) for one in secured._sslobj.get_verified_chain()]
    except (AttributeError, TypeError, ValueError):
        return []


def _end(der: bytes) -> t.Optional[float]:
    try:
        return valid_until(der)
    except ValueError:
        return None
