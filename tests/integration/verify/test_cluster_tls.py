"""Kubernetes over TLS: the server that a kubeconfig's authority signed, and the client that ours did."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from authorities import Authority
from test_clusters import PODS, SECRET, pod
from verify_site import DIGEST, Server, Site

from model_gitops.adapters import process


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls") / "ours", "ours")
    made.sign("server", "127.0.0.1")
    made.sign("elsewhere", "127.0.0.2")
    made.sign("reader")
    return made


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls") / "theirs", "theirs")
    made.sign("reader")
    return made


def serve(ours: Authority, *, name: str = "server", clients: bool = False) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours.folder / f"{name}.crt", ours.folder / f"{name}.key")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ours.folder / "ca.crt")
    made = Server(tls=context)
    made.answers[PODS] = lambda _: (200, {"items": [pod(DIGEST, ready=True)]})
    made.start()
    return made


@pytest.fixture
def cluster(ours: Authority) -> Iterator[Server]:
    made = serve(ours)
    yield made
    made.stop()


@pytest.fixture
def cluster_with_clients(ours: Authority) -> Iterator[Server]:
    made = serve(ours, clients=True)
    yield made
    made.stop()


def kubeconfig(server: Server, authority: str, **user: str) -> str:
    cluster = {"server": server.url, "certificate-authority-data": authority}
    said: dict[str, Any] = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {k: v for k, v in cluster.items() if v}}],
        "users": [{"name": "u", "user": user}],
    }
    return json.dumps(said)


def test_the_server_that_the_authority_signed_gets_the_token(
    site: Site, cluster: Server, ours: Authority
) -> None:
    told = site.run(kubeconfig=kubeconfig(cluster, ours.data("ca.crt"), token=SECRET))
    assert told.code == 0, told.log
    assert {authorization for _, authorization in cluster.asked} == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("whose", ["theirs", "nobody's", "another host's"])
def test_another_server_gets_no_token(
    site: Site, cluster: Server, ours: Authority, theirs: Authority, whose: str
) -> None:
    authority = {"theirs": theirs.data("ca.crt"), "nobody's": ""}.get(whose, ours.data("ca.crt"))
    asked = serve(ours, name="elsewhere") if whose == "another host's" else cluster
    told = site.run(kubeconfig=kubeconfig(asked, authority, token=SECRET), timeout="1s")
    assert told.code == 4, told.log
    assert (
        "Kubernetes does not say that v0.0.1 runs: its certificate is not trusted"
        in told.outputs["reason"]
    )
    assert asked.asked == []
    assert SECRET not in told.log


def test_a_client_certificate_opens_the_door(
    site: Site, cluster_with_clients: Server, ours: Authority, theirs: Authority
) -> None:
    def run(who: Authority) -> Any:
        user = {
            "client-certificate-data": who.data("reader.crt"),
            "client-key-data": who.data("reader.key"),
        }
        text = kubeconfig(cluster_with_clients, ours.data("ca.crt"), **user)
        return site.run(kubeconfig=text, timeout="1s", again="true", env={"TMPDIR": str(site.top)})

    told = run(ours)
    assert told.code == 0, told.log
    assert {authorization for _, authorization in cluster_with_clients.asked} == {""}
    seen = len(cluster_with_clients.asked)
    told = run(theirs)
    assert told.code == 4, told.log
    assert "Kubernetes does not say that v0.0.1 runs" in told.outputs["reason"]
    assert len(cluster_with_clients.asked) == seen
    # The key was in a file of this process alone, and is gone.
    assert list(site.top.rglob("*.pem")) == []


@pytest.mark.parametrize(
    "wrong", ["no key", "another's key", "a key with a passphrase", "no authority"]
)
def test_certificates_that_are_none_are_told_before_anything_is_sent(
    site: Site, cluster_with_clients: Server, ours: Authority, theirs: Authority, wrong: str
) -> None:
    authority, key = ours.data("ca.crt"), ours.data("reader.key")
    if wrong == "another's key":
        key = theirs.data("reader.key")
    if wrong == "a key with a passphrase":
        locked = [
            "openssl",
            "ec",
            "-in",
            "reader.key",
            "-aes256",
            "-passout",
            "pass:x",
            "-out",
            "locked.key",
        ]
        process.run(locked, cwd=ours.folder)
        key = ours.data("locked.key")
    if wrong == "no authority":
        authority = base64.b64encode(b"no certificate").decode()
    user = {"client-certificate-data": ours.data("reader.crt"), "client-key-data": key}
    if wrong == "no key":
        del user["client-key-data"]
    told = site.run(kubeconfig=kubeconfig(cluster_with_clients, authority, **user))
    assert told.code == 2, told.log
    assert "input `kubeconfig`" in told.log
    assert cluster_with_clients.asked == []
