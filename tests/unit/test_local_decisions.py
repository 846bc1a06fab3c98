"""What the local flow decides from the text of its surroundings."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_gitops.errors import ExternalError
from model_gitops_local.base_image import Source, apt_settings_of, pip_settings_of, sources_of
from model_gitops_local.daemon import mounts_under
from model_gitops_local.engine import free_subnet, proxies_of
from model_gitops_local.toolchain import version_of


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("act version 0.2.89", (0, 2, 89)),
        ("v5.7.1\n", (5, 7, 1)),
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("github.com/docker/buildx v0.30.1 1234abc", (0, 30, 1)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("(devel)", ()),
    ],
)
def test_version_of(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


def test_sources_in_both_forms_and_only_the_distributions_own() -> None:
    deb822 = (
        "Types: deb\n# a comment\nURIs: http://mirror.example/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /k.gpg\n\n"
        "Types: deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://tools.example/node\nSuites: nodistro\nComponents: main\n"
    )
    lines = (
        "# deb http://old.example/debian bookworm main\n"
        "deb [signed-by=/x.gpg arch=amd64] http://s.example/security bookworm-security main\n"
        "deb http://cloud.example/apt cloud-sdk-bookworm main\n"
    )
    assert sources_of([deb822, lines], "bookworm") == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        Source("http://mirror.example/debian", "bookworm-updates", ("main", "contrib")),
        Source("http://s.example/security", "bookworm-security", ("main",)),
    ]


def test_settings_for_apt_and_pip_carry_no_password() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::https::Proxy "http://me:hunter2@proxy.example";\n'
        'Acquire::Languages "none";\nAcquire::Check-Date "false";\n'
    )
    assert apt_settings_of(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Check-Date "false";\n'
    )
    pip = pip_settings_of(
        ["[global]\nindex-url = https://me:hunter2@pypi.example\ntimeout = 3\n", "not an ini"], ""
    )
    assert pip == "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"
    assert "index-url = https://pypi.example" in pip_settings_of([], "https://pypi.example")


def test_free_subnet_keeps_off_every_route() -> None:
    assert (
        free_subnet("default via 10.213.7.1 dev a\n10.213.7.0/24 dev a scope link\n", 7)
        == "10.213.8.0/24"
    )
    assert free_subnet("172.17.0.0/16 dev docker0\n", 7) == "10.213.7.0/24"
    assert free_subnet("local 10.213.7.9 dev lo\n10.213.8.0/23 dev x\n", 7) == "10.213.10.0/24"
    with pytest.raises(ExternalError, match="in use"):
        free_subnet("10.0.0.0/8 via 192.0.2.1 dev eth0\n", 0)


def test_mounts_under_are_deepest_first_and_unescaped() -> None:
    mountinfo = (
        "22 1 8:1 / / rw - ext4 /dev/a rw\n"
        "30 22 8:1 / /state/docker rw - ext4 /dev/a rw\n"
        "31 30 0:40 / /state/docker/over\\040lay rw - overlay overlay rw\n"
        "32 22 8:1 / /state-of-somebody-else rw - ext4 /dev/a rw\n"
    )
    assert mounts_under(Path("/state"), mountinfo) == [
        "/state/docker/over lay",
        "/state/docker",
    ]


def test_proxies_take_either_case() -> None:
    variables = {"HTTP_PROXY": "http://p:1", "no_proxy": "localhost", "https_proxy": ""}
    assert proxies_of(variables) == {"httpProxy": "http://p:1", "noProxy": "localhost"}
