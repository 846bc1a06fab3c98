"""What a deploy commit says, where it goes, and when it must not replace what is there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_gitops.core.deploy import deployment
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import check_path, locate
from model_gitops.core.deploy.trailers import (
    Origin,
    complete_trailers,
    digests_of,
    is_rollback,
    is_superseded,
    origin_of,
    parse_trailers,
    read_trailers,
    with_rollback,
)
from model_gitops.errors import InputError

A = "sha256:" + "a" * 64
OURS, THEIRS = "1" * 40, "2" * 40


@pytest.mark.parametrize(
    ("line", "image"),
    [
        (f"app=ghcr.io/acme/app:v1@{A}", Image("app", "ghcr.io/acme/app", "v1", A)),
        ("app=localhost:5000/x:v1", Image("app", "localhost:5000/x", "v1")),
        ("app=localhost:5000/x", Image("app", "localhost:5000/x")),
        ("app=x", Image("app", "x")),
        ("app=:v2", Image("app", "", "v2")),
        (f"app=@{A}", Image("app", "", "", A)),
        (f"app=:v2@{A}", Image("app", "", "v2", A)),
        # As `kustomize edit set image` takes them.
        ("app:v2", Image("app", "", "v2")),
        (f"app@{A}", Image("app", "", "", A)),
        (f"app:v2@{A}", Image("app", "", "v2", A)),
        (f" localhost:5000/a/app:v2@{A}", Image("localhost:5000/a/app", "", "v2", A)),
        ("app:v1=other/app:v2", Image("app:v1", "other/app", "v2")),
        ("app=*:v2", Image("app", "", "v2")),
        (f"app=*:*@{A}", Image("app", "", "", A)),
        ("app=x/app:*", Image("app", "x/app")),
        ("app=x/app:*@*", Image("app", "x/app")),
        (f"app=x/y@{A}", Image("app", "x/y", "", A)),
        (
            " ghcr.io/acme/app = 127.0.0.1:9/app:v1 ",
            Image("ghcr.io/acme/app", "127.0.0.1:9/app", "v1"),
        ),
    ],
)
def test_parts_may_be_left_out(line: str, image: Image) -> None:
    assert deployment.parse_images([line]) == (image,)


@pytest.mark.parametrize(
    "line",
    ["app", "app=", "=x", "app=X/Y", "app=x:", "app=x@", "app=x@sha256:abc", f"app=x@{A.upper()}",
     "app=x:-v", "app=x:a b", "app=--upload-pack=x", "app=$(id)", "app=x:v@y@z", "app=a\tb:c",
     "app=x:" + "v" * 129, "app=*", "app=*:*@*", "app=:v2@*", "app=*x:v1", "app=x:v*", ":v2",
     f"@{A}", "app:", "app@", "app@sha256:abc", "app:v1 b:v2", "a=:v1 b=:v2", "localhost:5000/app",
     "Docker://app:v1"],
)  # fmt: skip
def test_what_is_no_image_is_refused(line: str) -> None:
    with pytest.raises(InputError) as caught:
        deployment.parse_images([line])
    assert "input `images` is" in str(caught.value)
    assert repr(line)[:150] in str(caught.value)


def test_no_image_and_the_same_twice_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to set"):
        deployment.parse_images([])
    with pytest.raises(InputError, match="app is given twice"):
        deployment.parse_images(["app=:1", "app=:2"])


@pytest.mark.parametrize(
    "line",
    ["Model", "Model =x", "a b: c", ": x", "Über: x", "Source-Commit: main", "Source-Commit: ABC",
     "Rollback: yes", "Model-SHA256: abc", "model-sha256: " + "A" * 64, "Image-Fingerprint: abc",
     "Image-Fingerprint: " + "A" * 40, "Model: a\x1bb", "Model: " + "x" * 1001, "-x: y"],
)  # fmt: skip
def test_what_is_no_trailer_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="input `trailers` is"):
        parse_trailers([line])


def test_a_sha256_is_a_trailer_that_no_message_can_pretend() -> None:
    given = parse_trailers([f"Model-SHA256: {'a' * 64}"])
    message = deployment.commit_message("x", f"x\n\nModel-SHA256: {'b' * 64}", given)
    assert read_trailers(message)["model-sha256"] == ["a" * 64]


def test_trailers_are_completed_and_read_back() -> None:
    given = parse_trailers(["Model: diabetes@v0.0.3", "Model-Hash: md5:1", "Empty:"])
    images = deployment.parse_images([f"a=:v1@{A}", "b=:v2"])
    trailers = complete_trailers(given, images, repository="acme/d", commit=OURS)
    message = deployment.commit_message("Deploy", "Deploy\n\nWhy: because\nof this\n", trailers)
    assert message == (
        "Deploy\n\nWhy: because\nof this\n\nModel: diabetes@v0.0.3\nModel-Hash: md5:1\n"
        f"Source-Repository: acme/d\nSource-Commit: {OURS}\nImage-Digest: {A}\n"
    )
    read = read_trailers(message)
    assert origin_of(read) == Origin("acme/d", OURS)
    assert read["image-digest"] == [A]
    assert not is_rollback(read)


def test_given_trailers_win() -> None:
    given = parse_trailers([f"source-commit: {THEIRS}", "Image-Digest: x", "Rollback: true"])
    done = complete_trailers(given, [Image("a", digest=A)], repository="a/b", commit=OURS)
    assert done == (*given, ("Source-Repository", "a/b"))
    assert is_rollback(read_trailers("x\n\nRollback: true\n"))


def test_a_fingerprint_and_a_digest_belong_together_by_their_place() -> None:
    other, mine, theirs = "sha256:" + "b" * 64, "1" * 40, "2" * 40
    said = parse_trailers([f"Image-Fingerprint: {mine}"])
    one = complete_trailers(said, [Image("a", digest=A)], repository="", commit="")
    assert digests_of(read_trailers(deployment.commit_message("x", "", one)), mine) == (A,)
    assert digests_of(read_trailers(deployment.commit_message("x", "", one)), theirs) == ()
    two = {"image-fingerprint": [theirs, mine], "image-digest": [other, A]}
    assert digests_of(two, mine) == (A,)
    assert digests_of(two, theirs) == (other,)
    for unequal in (
        {"image-fingerprint": [mine], "image-digest": [A, other]},
        {"image-fingerprint": [mine, theirs], "image-digest": [A]},
        {"image-fingerprint": [mine]},
        {"image-digest": [A]},
    ):
        assert digests_of(unequal, mine) == ()


def test_a_message_cannot_pretend_another_fingerprint() -> None:
    message = deployment.commit_message("x", f"x\n\nImage-Fingerprint: {THEIRS}", ())
    assert "image-fingerprint" not in read_trailers(message)


def test_a_message_cannot_pretend_another_origin() -> None:
    trailers = complete_trailers((), [], repository="a/b", commit=OURS)
    message = deployment.commit_message("x", f"x\n\nSource-Commit: {THEIRS}", trailers)
    assert origin_of(read_trailers(message)) == Origin("a/b", OURS)


def ancestry(known: dict[tuple[str, str], bool | None]):  # type: ignore[no-untyped-def]
    return lambda ours, theirs: known[ours, theirs]


@pytest.mark.parametrize("answer", [True, False, None])
def test_the_incumbent_wins_only_as_a_descendant(answer: bool | None) -> None:
    ours, theirs = Origin("acme/d", OURS), Origin("Acme/D", THEIRS)
    found = is_superseded(ours, theirs, ancestry({(OURS, THEIRS): answer}))
    assert found is answer


def test_a_rollback_counts_as_what_it_took_back() -> None:
    older, later = "d" * 40, "e" * 40
    trailers = with_rollback(
        (("Source-Repository", "a/b"), ("Source-Commit", older), ("Rollback", "true")),
        Origin("a/b", OURS),
    )
    back = origin_of(read_trailers(deployment.commit_message("x", "", trailers)))
    assert back == Origin("a/b", older, rolled_back=OURS)
    assert is_superseded(Origin("a/b", OURS), back, ancestry({})) is True
    known = ancestry({(later, OURS): False, (THEIRS, OURS): True})
    assert is_superseded(Origin("a/b", later), back, known) is False
    assert is_superseded(Origin("a/b", THEIRS), back, known) is True
    # Going back further takes back the same commit; a trailer that is given is kept.
    assert with_rollback((), back) == (("Rollback-From", OURS),)
    assert with_rollback((("rollback-from", later),), back) == (("rollback-from", later),)
    # Without `Rollback: true` the trailer says nothing.
    text = f"Source-Repository: a/b\nSource-Commit: {older}\nRollback-From: {OURS}"
    assert origin_of(read_trailers(text)) == Origin("a/b", older)


def test_the_text_of_a_message_is_no_trailer() -> None:
    said = f"Rollback: true\n\nRollback: true\r\nrollback:  true\nImage-Digest: {A}\nSigned-off-by: Ada"
    trailers = (("Source-Commit", OURS),)
    message = deployment.commit_message("Rollback: true", said, trailers)
    found = read_trailers(message)
    assert found == {"source-commit": [OURS], "signed-off-by": ["Ada"]}
    assert message.startswith(" Rollback: true\n\n Rollback: true\n rollback:  true\n")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (None, Origin("a/b", THEIRS)),
        (Origin("a/b", OURS), None),
        (Origin("a/b", OURS), Origin("a/b", OURS)),
        (Origin("a/b", OURS), Origin("a/c", THEIRS)),
    ],
)
def test_without_a_common_history_there_is_no_order(
    ours: Origin | None, theirs: Origin | None
) -> None:
    assert is_superseded(ours, theirs, ancestry({})) is False


@pytest.mark.parametrize(
    ("value", "ssh", "url", "host", "slug"),
    [
        ("acme/d", False, "https://ghe.example/acme/d.git", "ghe.example", "acme/d"),
        ("acme/d", True, "ssh://git@ghe.example/acme/d.git", "ghe.example", "acme/d"),
        ("https://g.example:8443/x/acme/d.git", False, "https://g.example:8443/x/acme/d.git", "g.example:8443", "acme/d"),
        ("git@g.example:acme/d.git", True, "git@g.example:acme/d.git", "g.example", "acme/d"),
        ("ssh://git@g.example:22/acme/d", True, "ssh://git@g.example:22/acme/d", "g.example:22", "acme/d"),
        ("/srv/git/d.git", False, "/srv/git/d.git", "", ""),
        ("file:///srv/git/d.git", False, "file:///srv/git/d.git", "", ""),
        ("http://127.0.0.1:3000/acme/d", False, "http://127.0.0.1:3000/acme/d", "127.0.0.1:3000", "acme/d"),
    ],
)  # fmt: skip
def test_repositories(value: str, ssh: bool, url: str, host: str, slug: str) -> None:
    found = locate(value, server_url="https://ghe.example", ssh=ssh)
    assert (found.url, found.host, found.slug) == (url, host, slug)


@pytest.mark.parametrize(
    "value",
    ["", "acme", "../d", "acme/d/e", "ext::sh -c touch% /tmp/x", "ext::x", "-u/x", "--upload-pack=x",
     "git://g/a/b", "ftp://g/a", "https://", "https:///a/b", "ssh://-oProxyCommand=x/a/b",
     "https://g.example:x/a/b", "a b/c", "acme/d\n", "fd::17", "https://g.example/", "-x@h:a",
     "transport::https://g/a"],
)  # fmt: skip
def test_odd_repositories_are_refused(value: str) -> None:
    with pytest.raises(InputError, match="input `repository`"):
        locate(value, server_url="https://github.com")


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        locate("https://me:hunter2@g.example/a/b.git", server_url="https://github.com")
    assert "hunter2" not in str(caught.value)
    assert "repository: https://g.example/a/b.git" in caught.value.fix


@pytest.mark.parametrize(
    ("path", "clean"), [("overlays/dev/", "overlays/dev"), (".", "."), ("./a//b", "a/b")]
)
def test_paths(path: str, clean: str) -> None:
    assert check_path(path) == clean


@pytest.mark.parametrize(
    "path",
    ["", "/etc", "..", "a/../../b", "a\\b", "a\nb", ".git", "a/.git/b", "a/kustomization.yaml"],
)
def test_paths_outside_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="`path`"):
        check_path(path)


@given(st.text(min_size=1), st.text(min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_a_branch_name_is_one_that_git_takes(path: str, base: str, names: list[str]) -> None:
    images = [Image(name) for name in names]
    name = deployment.branch_name(path, images, base)
    assert re.fullmatch(r"model-gitops/bump-[a-z0-9-]{0,60}-[0-9a-f]{8}", name)
    assert name == deployment.branch_name(path, images[::-1], base)
    assert name != deployment.branch_name(path + "/x", images, base)


@pytest.mark.parametrize(
    ("message", "trailers", "expected"),
    [
        ("", ["Model: diabetes@v0.0.3"], "Deploy diabetes v0.0.3 to dev"),
        ("", ["Model: diabetes", "Model-Version: v1"], "Deploy diabetes v1 to dev"),
        ("", ["Model: diabetes"], "Deploy diabetes to dev"),
        ("", [], "Bump app to v2 in overlays/dev"),
        ("\n Ship  it\nnow", [], "Ship it"),
    ],
)
def test_subject(message: str, trailers: list[str], expected: str) -> None:
    parsed = parse_trailers(trailers)
    assert deployment.subject(message, [Image("app", tag="v2")], "overlays/dev", parsed) == expected


def test_what_was_set_can_be_set_again() -> None:
    before = [Image("a", "x/a", "v1", A), Image("b", tag="v2")]
    assert deployment.previous(before[:1]) == f"x/a:v1@{A}"
    lines = deployment.previous(before).splitlines()
    assert deployment.parse_images(lines) == (before[0], Image("b", "b", "v2"))


def test_the_pull_request_links_the_commit_and_mentions_nobody() -> None:
    trailers = (
        ("Model", "@everyone | [x](y) `<b>`"),
        ("Source-Repository", "a/b"),
        ("Source-Commit", OURS),
    )
    body = deployment.pull_request_body(
        [Image("app", tag="v1")],
        [Image("app", tag="v2")],
        trailers,
        path="o/dev",
        server_url="https://g",
    )
    assert "| `app` | `app:v1` | `app:v2` |" in body
    assert f"[`{OURS}`](https://g/a/b/commit/{OURS})" in body
    assert "What is decided" not in body
    assert "| Model | `@everyone [x](y) <b>` |" in body
