# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The way to the API server: the Python package `kubernetes`, on which the collection kubernetes.core stands as well.

The package's own discovery is left out, as the paths of the workloads are known, and so are its retries, which wait for as long as a
server likes (`Retry-After`). Credentials come from the kubeconfig, the environment variables `K8S_AUTH_*` of kubernetes.core and AWX, or
the pod's own service account.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import threading
import typing as t
from contextlib import suppress

from ...errors import BadInput, ToolMissing
from .transport import NoConnection, Query, Refused

try:
    import kubernetes.client
    import kubernetes.config
    import kubernetes.dynamic
    import kubernetes.stream
    import urllib3
    import websocket
except (ImportError, SyntaxError, TypeError):  # a package that is too new for this Python fails in any of these ways
    kubernetes = None  # type: ignore[assignment]

_CREDENTIALS = (("K8S_AUTH_API_KEY",), ("K8S_AUTH_USERNAME", "K8S_AUTH_PASSWORD"), ("K8S_AUTH_CERT_FILE", "K8S_AUTH_KEY_FILE"))
"""What says, with K8S_AUTH_HOST, who asks whom, so that no kubeconfig is needed."""
_SETTINGS = ("username", "password", "cert_file", "key_file", "ssl_ca_cert", "proxy", "no_proxy")
_FALSE = ("0", "false", "no", "off")
_CONNECT_S = 10.0
_PIECE = 1 << 16
_ACCOUNT_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_HANDSHAKE = re.compile(r"Handshake status (\d{3}) ([^-]*)")


class Client:
    """A connection to an API server, as `transport.Transport` wants it.

    Attributes:
        server: Its address.
        account: Whose credentials are used, for messages.
    """

    def __init__(self, configuration: t.Any, account: str) -> None:
        configuration.retries = urllib3.Retry(0, redirect=2, respect_retry_after_header=False)
        if not configuration.verify_ssl:
            urllib3.disable_warnings()
        client = kubernetes.client.ApiClient(configuration)
        self._client = kubernetes.dynamic.DynamicClient(client, discoverer=lambda _client, _cache: None)
        self.server, self.account = str(configuration.host), account

    def call(self, method: str, path: str, query: Query, body: t.Any, content_type: str, accept: str, timeout_s: float) -> bytes:
        """The body of an answer; raises Refused, NoConnection."""
        try:
            return bytes(self._request(method, path, query, body, content_type, accept, timeout_s).data)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoConnection(_cause(error)) from None

    def lines(self, path: str, query: Query, timeout_s: float) -> t.Iterator[bytes]:
        """The lines of an answer that goes on, as they come; raises as `call` does."""
        rest = b""
        for piece in self.body(path, query, "application/json", timeout_s):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines

    def body(self, path: str, query: Query, accept: str, timeout_s: float) -> Body:
        """An answer that goes on; raises as `call` does."""
        try:
            return Body(self._request("GET", path, query, None, "", accept, timeout_s))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoConnection(_cause(error)) from None

    def command(self, namespace: str, pod: str, container: str, argv: t.Sequence[str]) -> t.Iterator[t.Tuple[int, bytes]]:
        """What a command in a pod says, by channels, and nothing on channel 0 at least every second; raises as `call` does.

        The package's own reading is left out, as it neither ends nor keeps within bounds while a command goes on printing.
        """
        core = kubernetes.client.CoreV1Api(self._client.client)
        options = {"container": container, "command": list(argv), "stdin": False, "stdout": True, "stderr": True, "tty": False}
        ask = functools.partial(kubernetes.stream.stream, core.connect_get_namespaced_pod_exec, pod, namespace, _preload_content=False)
        try:
            socket = _within(2 * _CONNECT_S, functools.partial(ask, **options)).sock
        except kubernetes.client.ApiException as error:
            told = _HANDSHAKE.search(str(error.reason))
            if told is None:
                raise NoConnection(str(error.reason)) from None
            body = str(error.reason).rsplit("-+-+-", maxsplit=1)[-1].strip()
            raise refusal(int(told.group(1)), told.group(2).strip(), body if body.startswith("{") else "", {}) from None
        try:
            socket.settimeout(1.0)
            while True:
                try:
                    code, frame = socket.recv_data_frame(True)
                except websocket.WebSocketTimeoutException:
                    yield 0, b""
                    continue
                if code == websocket.ABNF.OPCODE_CLOSE:
                    return
                if frame.data and code in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT):
                    yield frame.data[0], frame.data[1:]
        except (websocket.WebSocketException, OSError):
            return
        finally:
            socket.close()

    def _request(self, method: str, path: str, query: Query, body: t.Any, content_type: str, accept: str, timeout_s: float) -> t.Any:
        try:
            return self._client.request(
                method,
                path,
                body=body,
                query_params=list(query),
                header_params={"Accept": accept},
                content_type=content_type or None,
                serialize=False,
                _request_timeout=(min(_CONNECT_S, timeout_s), timeout_s),
            )
        except kubernetes.client.ApiException as error:
            raise refusal(int(error.status or 0), error.reason, error.body, error.headers or {}) from None


class Body:
    """An answer that goes on, as `transport.Pieces` wants it: no more than one piece of it is held."""

    def __init__(self, answer: t.Any) -> None:
        self._answer = answer

    def __iter__(self) -> t.Iterator[bytes]:
        try:
            # Of an answer in chunks a chunk, or the beginning of a large one, is given on as soon as it has come.
            yield from self._answer.stream(_PIECE, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoConnection(_cause(error)) from None
        finally:
            self._answer.close()

    def end(self) -> None:
        """Let a thread that waits for the next piece go on; before urllib3 2.3 it waits until its time is up."""
        with suppress(AttributeError, ValueError, RuntimeError, OSError):
            self._answer.shutdown()


def _within(seconds: float, work: t.Callable[[], t.Any]) -> t.Any:
    """What `work` returns, which has no deadline of its own; raises NoConnection when the time is up."""
    found: t.List[t.Any] = []

    def carry_out() -> None:
        try:
            found.append((work(), None))
        except BaseException as error:  # pylint: disable=broad-exception-caught  # it is raised where it is waited for
            found.append((None, error))

    thread = threading.Thread(target=carry_out, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise NoConnection(f"no answer within {seconds:g} s")
    answer, error = found[0]
    if error is not None:
        raise error
    return answer


def refusal(status: int, reason: t.Any, body: t.Any, headers: t.Mapping[str, t.Any]) -> Refused:
    """What an answer with an error says: in the words of its Status object, else its own."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {"message": text[:300]}
    details = told.get("details")
    after = headers.get("Retry-After") or (details.get("retryAfterSeconds") if isinstance(details, dict) else None)
    try:
        seconds = float(after or 0)
    except (TypeError, ValueError):
        seconds = 0.0
    said = str(told.get("message") or reason or "no reason is given").strip()[:500]
    return Refused(status, said, seconds if 0 < seconds < math.inf else None)


def connect(kube_config: str = "", context: str = "") -> Client:
    """The connection that a kubeconfig and a context describe; by default as kubectl finds it.

    Raises:
        ToolMissing: The package `kubernetes` is not there.
        BadInput: The kubeconfig is not there, or says nothing that helps.
    """
    if kubernetes is None:
        raise ToolMissing(
            "The Python package `kubernetes` is missing where this runs, or does not fit its Python",
            next_step="install it for the Python that runs Ansible's modules there (python3 -m pip install kubernetes)",
        )
    configuration = kubernetes.client.Configuration()
    account = f"context {context!r}" if context else "the current context"
    way = _way(kube_config, context)
    if way:
        account = f"the account of {way}"
        configuration.host = os.environ["K8S_AUTH_HOST"].rstrip("/")
    else:
        file, named = _named(kube_config, context)
        account += f" of {file}" if file else ""
        _load(configuration, file, named)
    if not kube_config and not context:
        _adjust(configuration)
    return Client(configuration, account)


def namespace_of(kube_config: str = "", context: str = "") -> str:
    """The namespace of the connection that `connect` makes of the same, where none is named: that of the context, or of the account."""
    file, named = _named(kube_config, context)
    if _way(kube_config, context):
        return "default"
    if _is_inside(file, named):
        with suppress(OSError), open(_ACCOUNT_NAMESPACE, encoding="utf-8") as stream:
            return stream.read().strip() or "default"
        return "default"
    try:
        contexts, current = kubernetes.config.list_kube_config_contexts(file or None)
    except (kubernetes.config.ConfigException, OSError, ValueError, TypeError, AttributeError):
        return "default"
    chosen = next((one for one in contexts if one["name"] == named), {}) if named else current
    return str(((chosen or {}).get("context") or {}).get("namespace") or "default")


def _way(kube_config: str, context: str) -> str:
    """The variable whose credentials are used for K8S_AUTH_HOST; empty where a kubeconfig or the pod's account says more."""
    ways = [names for names in _CREDENTIALS if all(os.environ.get(name) for name in ("K8S_AUTH_HOST", *names))]
    return ways[0][0] if ways and not kube_config and not context else ""


def _named(kube_config: str, context: str) -> t.Tuple[str, str]:
    file = kube_config or os.environ.get("K8S_AUTH_KUBECONFIG") or os.environ.get("KUBECONFIG") or ""
    return file, context or os.environ.get("K8S_AUTH_CONTEXT") or ""


def _is_inside(file: str, context: str) -> bool:
    """Whether the account of the pod in which this runs is used."""
    return not file and not context and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _load(configuration: t.Any, file: str, context: str) -> None:
    try:
        if _is_inside(file, context):
            kubernetes.config.load_incluster_config(client_configuration=configuration)
            return
        kubernetes.config.load_kube_config(file or None, context or None, configuration, persist_config=False)
    except (kubernetes.config.ConfigException, OSError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(
            "The kubeconfig cannot be used",
            where=file or "~/.kube/config",
            why=str(error) or type(error).__name__,
            next_step="correct kube_config and kube_context; `kubectl config get-contexts` lists what there is",
        ) from None


def _adjust(configuration: t.Any) -> None:
    """What the environment says besides, under the names of kubernetes.core; it is meant for no cluster that is named otherwise."""
    verify = os.environ.get("K8S_AUTH_VERIFY_SSL")
    if verify is not None:
        configuration.verify_ssl = verify.lower() not in _FALSE
    for name in _SETTINGS:
        value = os.environ.get(f"K8S_AUTH_{name.upper()}")
        if value:
            setattr(configuration, name, value)
    if os.environ.get("K8S_AUTH_API_KEY"):
        configuration.api_key = {"authorization": f"Bearer {os.environ['K8S_AUTH_API_KEY']}"}
    elif configuration.username and configuration.password:
        # The package sends nothing but what is noted as a key.
        configuration.api_key = {"authorization": configuration.get_basic_auth_token()}


def _cause(error: BaseException) -> str:
    """The innermost reason of a failed connection, without the objects' addresses that urllib3 names."""
    reason = getattr(error, "reason", None)
    text = _cause(reason) if isinstance(reason, BaseException) else str(error)
    return text.split(">: ")[-1].split("object at 0x")[-1] or type(error).__name__
