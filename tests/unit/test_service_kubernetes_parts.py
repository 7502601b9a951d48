# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the verbs on Kubernetes: the way back, patience, credentials."""

from __future__ import annotations

import json
import threading
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.logs import pods
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes import client
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.patience import Patience
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.transport import NoConnection
from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.undo import back_to, is_back, is_overtaken


def _workload() -> dict[str, t.Any]:
    containers = [{"name": "main", "image": "app:1"}, {"name": "side", "image": "side:1"}]
    return {"kind": "Deployment", "spec": {"template": {"metadata": {}, "spec": {"containers": containers}}}}


def test_only_what_differs_is_put_back_and_only_where_it_is_as_it_was_left() -> None:
    before, after = _workload(), _workload()
    after["spec"]["template"]["metadata"]["annotations"] = {"example.org/a~b": "now"}
    after["spec"]["template"]["spec"]["containers"][1]["image"] = "side:2"
    patch = back_to(before, after)
    assert [one["op"] for one in patch] == ["test", "remove", "test", "replace"]
    assert {one["path"] for one in patch[2:]} == {"/spec/template/spec/containers/1/image"}
    assert [one["value"] for one in patch[2:]] == ["side:2", "side:1"]
    assert (is_back(patch, before), is_back(patch, after), is_overtaken(patch, after)) == (True, False, False)
    after["spec"]["template"]["spec"]["containers"][1]["image"] = "side:3"
    assert is_overtaken(patch, after)
    assert back_to(before, before) == []


def test_patience_begins_anew_when_something_gets_on_and_is_longer_once() -> None:
    moment = [0.0]
    patience = Patience(lambda: moment[0], 100)
    assert patience.left_s((1,)) == 100
    moment[0] = 90
    assert (patience.left_s((1,)), patience.left_s((2,))) == (10, 100)
    assert (patience.longer(30), patience.left_s((2,)), patience.longer(30)) == (True, 130, False)


@pytest.mark.parametrize("names", [("API_KEY",), ("USERNAME", "PASSWORD"), ("CERT_FILE", "KEY_FILE")])
def test_the_variables_of_kubernetes_core_make_a_kubeconfig_needless(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    monkeypatch.setattr(client, "Client", lambda configuration, account: (configuration, account))
    for name in ("HOST", "NO_PROXY", *names):
        monkeypatch.setenv(f"K8S_AUTH_{name}", name.lower())
    configuration, account = t.cast("t.Any", client.connect())
    assert (configuration.host, configuration.no_proxy, account) == ("host", "no_proxy", f"the account of K8S_AUTH_{names[0]}")
    sent = {one["value"] for one in configuration.auth_settings().values()}
    files = (configuration.cert_file, configuration.key_file)
    assert {"API_KEY": sent == {"Bearer api_key"}, "USERNAME": sent == {"Basic dXNlcm5hbWU6cGFzc3dvcmQ="}}.get(names[0], not sent)
    assert files == (("cert_file", "key_file") if "KEY_FILE" in names else (None, None))


def test_credentials_of_the_environment_are_sent_to_no_cluster_that_is_named_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "Client", lambda configuration, account: (configuration, account))
    for name in ("HOST", "API_KEY", "PROXY"):
        monkeypatch.setenv(f"K8S_AUTH_{name}", name.lower())
    cluster = {"name": "b", "cluster": {"server": "https://b.example"}}
    context = {"name": "b", "context": {"cluster": "b", "user": "b"}}
    kubeconfig = {"clusters": [cluster], "contexts": [context], "users": [{"name": "b", "user": {"token": "of-b"}}], "current-context": "b"}
    (tmp_path / "config").write_text(json.dumps(kubeconfig))
    configuration, _account = t.cast("t.Any", client.connect(str(tmp_path / "config")))
    assert (configuration.host, configuration.proxy) == ("https://b.example", None)
    assert [one["value"] for one in configuration.auth_settings().values()] == ["Bearer of-b"]


def test_the_namespace_where_none_is_named_is_that_of_the_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "K8S_AUTH_KUBECONFIG", "K8S_AUTH_CONTEXT", "K8S_AUTH_HOST", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    contexts = [{"name": "a", "context": {"cluster": "c", "user": "u"}}]
    contexts.append({"name": "b", "context": {"cluster": "c", "user": "u", "namespace": "of-b"}})
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {}}],
        "contexts": contexts,
        "users": [{"name": "u", "user": {}}],
        "current-context": "b",
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(kubeconfig))
    assert [client.namespace_of(str(file), context) for context in ("", "a", "b", "no-such")] == ["of-b", "default", "of-b", "default"]
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(file))
    assert client.namespace_of() == "of-b"
    for name in ("HOST", "API_KEY"):
        monkeypatch.setenv(f"K8S_AUTH_{name}", "given")
    assert client.namespace_of() == "default"
    monkeypatch.delenv("K8S_AUTH_KUBECONFIG")
    monkeypatch.delenv("K8S_AUTH_HOST")
    (tmp_path / "namespace").write_text("of-the-pod")
    monkeypatch.setattr(client, "_ACCOUNT_NAMESPACE", str(tmp_path / "namespace"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert client.namespace_of() == "of-the-pod"


def test_a_workload_of_another_group_is_found_by_the_names_that_its_group_gives_it() -> None:
    resources = [{"name": "rollouts", "singularName": "rollout", "shortNames": ["ro"]}, {"name": "rollouts/status", "singularName": ""}]
    answers: dict[str, t.Any] = {
        "/apis/argoproj.io": {"preferredVersion": {"groupVersion": "argoproj.io/v1alpha1"}},
        "/apis/argoproj.io/v1alpha1": {"resources": resources},
    }
    api = t.cast("t.Any", SimpleNamespace(get=answers.__getitem__))
    for name in ("rollout", "rollouts", "ro"):
        assert pods._folder_of(api, f"{name}.argoproj.io", "prod") == "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts"
    for name in ("Deployment", "deployments.apps", "deploy.v1.apps"):
        assert pods._folder_of(api, name, "prod") == "/apis/apps/v1/namespaces/prod/deployments"
    with pytest.raises(BadInput, match=r"no kind of workload 'service\.argoproj\.io'"):
        pods._folder_of(api, "service.argoproj.io", "prod")


def test_an_api_server_that_never_answers_the_beginning_of_a_command_is_given_up() -> None:
    with pytest.raises(NoConnection, match=r"no answer within 0\.1 s"):
        client._within(0.1, threading.Event().wait)
    with pytest.raises(ZeroDivisionError):
        client._within(5, lambda: 1 // 0)
    assert client._within(5, lambda: 3) == 3
