# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers for the tests of the checks: real sockets on loopback that behave as badly as they are told."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
import time
import typing as t
from pathlib import Path
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.sre.runbooks.plugins.module_utils.checks.engine import ask
from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.plugins.module_utils.checks.plan import plan, redactor_for

MOST_LATE_S = 3.0
"""How late an answer may come on a machine with other work; what it is on a quiet one is measured by benchmark_health_check.py."""

Handler = t.Callable[[socket.socket, bytes], None]


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def sends(data: bytes) -> Handler:
    """A handler that sends `data` and closes."""
    return lambda connection, _request: connection.sendall(data)


def serves(pages: t.Mapping[str, t.Any]) -> Handler:
    """A handler that answers paths (without what follows a question mark) with documents, texts, or pairs of status and either."""

    def handle(connection: socket.socket, request: bytes) -> None:
        path = unquote(request.split(b" ", 2)[1].decode().partition("?")[0])
        page = pages.get(path, ("404 Not Found", "not here"))
        status, content = page if isinstance(page, tuple) else ("200 OK", page)
        body = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
        connection.sendall(answer(body, status))

    return handle


def drips(data: bytes, every_s: float = 0.05) -> Handler:
    """A handler that sends a byte at a time, for ever from the beginning again."""

    def handle(connection: socket.socket, _request: bytes) -> None:
        while True:
            for byte in data:
                connection.sendall(bytes([byte]))
                time.sleep(every_s)

    return handle


def silent(connection: socket.socket, _request: bytes) -> None:
    """Reads on and says nothing."""
    while connection.recv(65536):
        pass


class Server:
    """A server on a free port of 127.0.0.1; `handler` is called for each connection with what came first.

    Attributes:
        requests: What came first on each connection.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> None:
        self.handler, self.tls, self.reads = handler, tls, reads
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/"

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            request = connection.recv(65536) if self.reads else b""
            self.requests.append(request)
            self.handler(connection, request)
        except OSError:
            pass
        finally:
            connection.close()


def outcome(**check: t.Any) -> Result:
    """Ask one check and return its result."""
    return outcomes(check)[0]


def outcomes(*raw: dict[str, t.Any], **terms: t.Any) -> list[Result]:
    """Ask several checks at once; what a check leaves out is given by default."""
    checks = [{"name": f"check {number}", "timeout_s": 3, "retries": 0, **check} for number, check in enumerate(raw)]
    return ask(plan(checks), redactor=redactor_for(checks), **terms)


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def certificate(folder: Path, name: str = "127.0.0.1", days: float = 30) -> tuple[ssl.SSLContext, Path]:
    """A self-signed certificate that is valid for so many days: the server's context, and the file that verifies it."""
    key, made = _signed(name, days, None)
    return _context(folder, name, key, made), folder / f"{name}.pem"


def chain(folder: Path, name: str = "127.0.0.1", *, days: float, authority_days: float) -> tuple[ssl.SSLContext, Path]:
    """A certificate that an authority of our own signed: the server's context, and the file with the authority's certificate."""
    authority_key, authority = _signed("Test authority", authority_days, None)
    key, made = _signed(name, days, (authority_key, authority))
    file = folder / "authority.pem"
    file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return _context(folder, name, key, made), file


Signer = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def _signed(name: str, days: float, signer: Signer | None) -> Signer:
    """A key, and the certificate of that name, signed by `signer` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[1].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=0 if signer is None else None), critical=True)
    )
    if signer is not None:
        # Python's strict verification, from 3.13 on, wants the signer's key named (RFC 5280, 4.2.1.1).
        named = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer[0].public_key())
        builder = builder.add_extension(named, critical=False)
    else:
        signing = dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign"), True)
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
        builder = builder.add_extension(x509.KeyUsage(**signing, **dict.fromkeys(others, False)), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key, builder.sign(signer[0] if signer else key, hashes.SHA256())


def _context(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, made: x509.Certificate) -> ssl.SSLContext:
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context
