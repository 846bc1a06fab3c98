"""What a deployment refuses and what it writes, word for word."""

from __future__ import annotations

import pytest

from model_gitops.core.deploy import deployment, location
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import Location, check_path, check_token, locate
from model_gitops.core.deploy.trailers import (
    Origin,
    complete_trailers,
    is_rollback,
    is_superseded,
    origin_of,
    parse_trailers,
    read_trailers,
)
from model_gitops.errors import InputError

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
OURS, THEIRS = "1" * 40, "2" * 40


def told(caught: pytest.ExceptionInfo[InputError]) -> tuple[str, str]:
    return caught.value.message, caught.value.fix


# --- trailers -------------------------------------------------------------------------------------

FORM = "trailers: |\n  Model: diabetes@v1.2.3"


@pytest.mark.parametrize(
    ("line", "problem", "fix"),
    [
        ("Model", "it is not `Key: value`", FORM),
        ("a b: c", "it is not `Key: value`", FORM),
        ("Model: a\x1fb", "the value is too long, or holds a control character", ""),
        ("Source-Commit: main", "a commit is given by its full hash, in lowercase", "Source-Commit: ${{ github.sha }}"),
        ("rollback-from: main", "a commit is given by its full hash, in lowercase", "rollback-from: ${{ github.sha }}"),
        ("ROLLBACK: yes", "it is neither `true` nor `false`", "Rollback: true"),
    ],
)  # fmt: skip
def test_a_trailer_is_refused_in_words(line: str, problem: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_trailers([line])
    assert told(caught) == (f"input `trailers` is {line!r}: {problem}", fix)


def test_what_a_trailer_may_be() -> None:
    lines = [
        "Model: " + "x" * 1000,
        "Note: a b",
        "Rollback: false",
        "Rollback:",
        f"Rollback-From: {OURS}",
        f"Source-Commit: {'3' * 64}",
        "Source-Commit:",
    ]
    assert parse_trailers(lines) == (
        ("Model", "x" * 1000),
        ("Note", "a b"),
        ("Rollback", "false"),
        ("Rollback-From", OURS),
        ("Source-Commit", "3" * 64),
    )
    with pytest.raises(InputError):
        parse_trailers(["Model: " + "x" * 1001])


def test_only_the_word_true_is_a_rollback() -> None:
    for value, expected in (("true", True), ("false", False), ("True", False), ("x", False)):
        assert is_rollback({"rollback": [value]}) is expected
    assert not is_rollback({})
    assert is_rollback({"rollback": ["false", "true"]})
    assert not is_rollback({"rollback": ["true", "false"]})


def test_an_origin_needs_a_repository_and_a_whole_commit() -> None:
    whole = {"source-repository": ["x/y", "a/b"], "source-commit": [THEIRS, OURS]}
    assert origin_of(whole) == Origin("a/b", OURS)
    assert origin_of({}) is None
    assert origin_of({"source-repository": ["a/b"]}) is None
    assert origin_of({"source-commit": [OURS]}) is None
    assert origin_of({**whole, "source-commit": ["main"]}) is None
    assert origin_of({**whole, "source-repository": [""]}) is None
    back = {**whole, "rollback": ["true"], "rollback-from": ["x", THEIRS]}
    assert origin_of(back) == Origin("a/b", OURS, THEIRS)
    assert origin_of({**back, "rollback": ["false"]}) == Origin("a/b", OURS)
    assert origin_of({**whole, "rollback": ["true"]}) == Origin("a/b", OURS)
    # A branch's name as what was taken back would be another commit tomorrow.
    assert origin_of({**back, "rollback-from": ["main"]}) == Origin("a/b", OURS)
    assert Origin("a/b", OURS).reached == OURS
    assert Origin("a/b", OURS, THEIRS).reached == THEIRS


def test_digests_are_said_once_each() -> None:
    images = [Image("a", digest=A), Image("b", digest=A), Image("c"), Image("d", digest=B)]
    assert complete_trailers((), images, repository="", commit="") == (
        ("Image-Digest", A),
        ("Image-Digest", B),
    )


def test_a_line_is_a_trailer_by_its_form() -> None:
    text = "Model:\tm\nmodel: n  \nNo-space:x\nEmpty: \n Set-in: x\nWith space: x\nA1-b: c: d"
    assert read_trailers(text) == {"model": ["m", "n"], "a1-b": ["c: d"]}


def test_a_rollback_is_not_undone_by_what_it_took_back() -> None:
    back = Origin("A/b", OURS, rolled_back=THEIRS)
    assert is_superseded(Origin("a/B", THEIRS), back, lambda *_: False) is True
    asked = []
    is_superseded(Origin("a/b", "3" * 40), back, lambda *pair: bool(asked.append(pair)))
    assert asked == [("3" * 40, THEIRS)]


# --- where the deploy repository is ---------------------------------------------------------------


@pytest.mark.parametrize("slug", ["ML_Team/net-deploy", "ada_acme/x", "a.b/x"])
def test_an_owner_is_what_gitea_and_github_take(slug: str) -> None:
    assert locate(slug, server_url="https://g.example").url == f"https://g.example/{slug}.git"


@pytest.mark.parametrize(
    ("value", "problem", "fix"),
    [
        ("", "it is empty or holds spaces", "repository: acme/diabetes-deploy"),
        (" a/b", "it is empty or holds spaces", "repository: acme/diabetes-deploy"),
        ("https://g/a b", "it is empty or holds spaces", "repository: acme/diabetes-deploy"),
        ("acme", "it is neither `owner/name` nor a Git URL (https, http, ssh, file)", "repository: acme/diabetes-deploy"),
        ("git://g/a/b", "it is neither `owner/name` nor a Git URL (https, http, ssh, file)", "repository: acme/diabetes-deploy"),
        ("https://g:0/a/b", "it is neither `owner/name` nor a Git URL (https, http, ssh, file)", "repository: acme/diabetes-deploy"),
        ("https://g.example/", "it names no repository", "repository: acme/diabetes-deploy"),
        ("https:///a/b", "it names no repository", "repository: acme/diabetes-deploy"),
        ("file:///", "it names no repository", "repository: acme/diabetes-deploy"),
        ("ssh://-oProxyCommand=x/a/b", "it names no repository", "repository: acme/diabetes-deploy"),
    ],
)  # fmt: skip
def test_a_repository_is_refused_in_words(value: str, problem: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        locate(value, server_url="https://g.example")
    assert told(caught) == (f"input `repository` is {value!r}: {problem}", fix)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://me:hunter2@g.example/a/b.git", "https://g.example/a/b.git"),
        ("https://hunter2@g.example/a/b.git", "https://g.example/a/b.git"),
        ("http://hunter2@g.example/a/b.git", "http://g.example/a/b.git"),
        ("ssh://git:hunter2@g.example/a/b", "ssh://g.example/a/b"),
    ],
)
def test_neither_user_nor_password_in_a_url(value: str, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        locate(value, server_url="https://g.example")
    assert told(caught) == (
        "input `repository` holds a user or password, which would end in logs",
        f"repository: {shown}\ntoken: ${{{{ secrets.DEPLOY_TOKEN }}}}",
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a/b.git", Location("https://g.example:8443/a/b.git", "https", "g.example:8443", "a/b")),
        ("https://h/x/a/b/", Location("https://h/x/a/b/", "https", "h", "a/b", "/x")),
        ("https://h/b", Location("https://h/b", "https", "h", "")),
        ("ssh://git@h:22/a/b.git", Location("ssh://git@h:22/a/b.git", "ssh", "h:22", "a/b")),
        ("git@h:/a", None),
        ("git@h:a/b.git", Location("git@h:a/b.git", "ssh", "h", "a/b")),
        ("git@h:b", Location("git@h:b", "ssh", "h", "")),
        ("/srv/d", Location("/srv/d", "file", "", "")),
        ("file:///srv/d", Location("file:///srv/d", "file", "", "")),
        ("file://h/srv/d", Location("file://h/srv/d", "file", "", "")),
    ],
)
def test_where_a_repository_is(value: str, expected: Location | None) -> None:
    if expected is None:
        with pytest.raises(InputError):
            locate(value, server_url="https://g.example:8443")
    else:
        assert locate(value, server_url="https://g.example:8443") == expected


def test_over_ssh_the_servers_port_is_not_the_webs() -> None:
    found = locate("a/b.git", server_url="https://g.example:8443", ssh=True)
    assert found == Location("ssh://git@g.example/a/b.git", "ssh", "g.example", "a/b")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("localhost:3", True), ("127.0.0.1", True), ("127.9.9.9:1", True),
     ("[::1]", True), ("[::1]:80", True), ("10.0.0.1", False), ("g.example:1", False),
     ("localhost.evil", False), ("", False)],
)  # fmt: skip
def test_what_is_this_machine(host: str, expected: bool) -> None:
    assert location.is_loopback(host) is expected


def test_a_token_goes_to_its_own_server_only() -> None:
    def check(url: str, server: str) -> None:
        check_token(locate(url, server_url=server), server)

    check("a/b", "https://G.example/")
    check("https://g.Example/a/b", "https://G.example")
    check("http://127.0.0.1:3/a/b", "http://127.0.0.1:3")
    check("git@h:a/b", "https://g.example")
    check("/srv/d", "https://g.example")
    with pytest.raises(InputError) as caught:
        check("https://evil.example/a/b", "https://g.example/")
    assert told(caught) == (
        "input `repository` is 'https://evil.example/a/b': `token` is for g.example, and is sent to no"
        " other server",
        "leave `token` out, or give a repository there: owner/name",
    )
    with pytest.raises(InputError) as caught:
        check("http://g.example/a/b.git", "https://g.example")
    assert told(caught) == (
        "input `repository` is 'http://g.example/a/b.git': `token` would be sent in clear text",
        "repository: https://g.example/a/b",
    )


def test_a_slug_is_owner_and_name() -> None:
    assert location.is_slug("a-1/b_.c")
    assert not location.is_slug("a/b/c")
    assert not location.is_slug("-a/b")


@pytest.mark.parametrize(
    ("path", "message", "fix"),
    [
        ("", "input `path` is empty", "path: overlays/dev (`.` is the top of the repository)"),
        ("/etc", "input `path` is '/etc': it is not a folder inside the deploy repository", "path: overlays/dev"),
        ("a/../b", "input `path` is 'a/../b': it is not a folder inside the deploy repository", "path: overlays/dev"),
        ("a\\b", "input `path` is 'a\\\\b': it is not a folder inside the deploy repository", "path: overlays/dev"),
        ("a/.git", "input `path` is 'a/.git': it is not a folder inside the deploy repository", "path: overlays/dev"),
        ("a\x1f", "input `path` is 'a\\x1f': it holds a control character", "path: overlays/dev"),
        ("a/b/kustomization.yml", "input `path` is 'a/b/kustomization.yml': it is a file; give its folder", "path: a/b"),
        ("Kustomization", "input `path` is 'Kustomization': it is a file; give its folder", "path: ."),
    ],
)  # fmt: skip
def test_a_path_is_refused_in_words(path: str, message: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        check_path(path)
    assert told(caught) == (message, fix)


def test_a_path_may_hold_a_space() -> None:
    assert check_path("my overlays/dev") == "my overlays/dev"


# --- what is deployed, and how commit and pull request say so -------------------------------------

EXAMPLE = "images: diabetes=ghcr.io/acme/diabetes:v1.2.3@sha256:…"


@pytest.mark.parametrize(
    ("lines", "message", "fix"),
    [
        (["app"], "input `images` is 'app': it is not `name=newname:tag@digest`", EXAMPLE),
        (["=x"], "input `images` is '=x': it is not `name=newname:tag@digest`", EXAMPLE),
        (["app= "], "input `images` is 'app= ': it is not `name=newname:tag@digest`", EXAMPLE),
        (["a=:1", "a=:2"], "input `images` is 'a=:2': a is given twice", "leave one line out"),
        ([], "input `images` is empty: there is nothing to set", EXAMPLE),
        (["a=x@sha256:1"], "input `images` is 'a=x@sha256:1': a digest is `sha256:` and 64 lowercase hex digits", EXAMPLE),
    ],
)  # fmt: skip
def test_images_are_refused_in_words(lines: list[str], message: str, fix: str) -> None:
    with pytest.raises(InputError) as caught:
        deployment.parse_images(lines)
    assert told(caught) == (message, fix)


@pytest.mark.parametrize("line", ["a=X/Y", "a=x:-v"])
def test_a_wrong_name_or_tag_is_told_once(line: str) -> None:
    with pytest.raises(InputError) as caught:
        deployment.parse_images([line])
    message, fix = told(caught)
    assert message.startswith(f"input `images` is {line!r}: a")
    assert message.count("input ") == 1
    assert fix == EXAMPLE


@pytest.mark.parametrize(
    ("message", "images", "path", "trailers", "expected"),
    [
        ("", "ab", "o/dev", (), "Bump a, b in o/dev"),
        ("", "a", "o/dev", (), "Bump a to v1 in o/dev"),
        ("", "a", ".", (("Model", "m"),), "Deploy m to the cluster"),
        ("", "a", "o/dev", (("MODEL", "m@v1"),), "Deploy m v1 to dev"),
        ("", "a", "o/dev", (("Model", "m@v1"), ("Model-Version", "v2")), "Deploy m v1 to dev"),
        ("x" * 200, "a", "o", (), "x" * 200),
        ("x" * 201, "a", "o", (), "x" * 199 + "…"),
        ("  a   b\nc", "a", "o", (), "a b"),
    ],
)
def test_the_first_line(
    message: str, images: str, path: str, trailers: tuple[tuple[str, str], ...], expected: str
) -> None:
    wanted = [Image(name, tag="v1") for name in images]
    assert deployment.subject(message, wanted, path, trailers) == expected


def test_without_a_tag_the_first_line_names_none() -> None:
    assert deployment.subject("", [Image("a", digest=A)], "o", ()) == "Bump a in o"


def test_a_message_without_trailers_ends_with_one_line_break() -> None:
    assert deployment.commit_message("Deploy", "", ()) == "Deploy\n"
    assert deployment.commit_message("Deploy", "Deploy\n\n a\n", ()) == "Deploy\n\na\n"
    text = deployment.commit_message("D", "D\nModel: x\nWhy: y", (("Model", "m"), ("A", "b")))
    assert text == "D\n\n Model: x\nWhy: y\n\nModel: m\nA: b\n"


@pytest.mark.parametrize(
    "key",
    ["Model", "Model-Version", "Model-Hash", "Source-Repository", "Source-Commit", "Image-Digest",
     "Rollback", "Rollback-From"],
)  # fmt: skip
def test_no_line_of_a_text_decides(key: str) -> None:
    text = deployment.commit_message("D", f"D\n{key}: x", ())
    assert text == f"D\n\n {key}: x\n"


def test_our_branches_are_known_by_their_name() -> None:
    name = deployment.branch_name("overlays/dev", [Image("b"), Image("a")], "main")
    assert name == "model-gitops/bump-overlays-dev-a-b-" + name[-8:]
    assert deployment.may_propose(name, "overlays/dev")
    assert not deployment.may_propose(name, "overlays/prod")
    assert not deployment.may_propose(f"x/{name}", "overlays/dev")
    others = [
        deployment.branch_name("overlays/dev", [Image("b"), Image("a")], "other"),
        deployment.branch_name("overlays-dev", [Image("b"), Image("a")], "main"),
        deployment.branch_name("overlays/dev", [Image("a-b")], "main"),
    ]
    assert len({name, *others}) == 4
    long = deployment.branch_name("--Ö" + "x" * 58 + "-y", [Image("z")], "main")
    assert long == f"model-gitops/bump-{'x' * 58}-y-{long[-8:]}"


def test_the_whole_pull_request() -> None:
    body = deployment.pull_request_body(
        [Image("a", "x/a", "v1")],
        [Image("a", "x/a", "v2", A)],
        (("Model", "m"), ("source-Commit", OURS), ("Source-Repository", "a/b")),
        path="o/dev",
        server_url="https://g",
    )
    assert body.splitlines() == [
        "Sets the image in `o/dev`.",
        "",
        "| image | from | to |",
        "|---|---|---|",
        f"| `a` | `x/a:v1` | `x/a:v2@{A}` |",
        "",
        "| | |",
        "|---|---|",
        "| Model | `m` |",
        f"| source-Commit | [`{OURS}`](https://g/a/b/commit/{OURS}) |",
        "| Source-Repository | `a/b` |",
        "",
        "This pull request is kept up to date: a newer deployment replaces its commit, and the commits"
        " that others add to its branch. Close it to refuse the deployment.",
        "",
        "```text",
        "Model: m",
        f"source-Commit: {OURS}",
        "Source-Repository: a/b",
        "```",
    ]
    # As a squash merge's message it says where the deployment comes from.
    assert origin_of(read_trailers(body)) == Origin("a/b", OURS)
    assert body.endswith("```\n")


def test_a_pull_request_without_a_repository_links_nothing() -> None:
    image = Image("a", tag="v1")
    given = {"path": "o", "server_url": "https://g"}
    plain = deployment.pull_request_body([image], [image], (("Source-Commit", OURS),), **given)
    assert f"| Source-Commit | `{OURS}` |" in plain
    # A trailer that looks like a commit of a repository that is not named.
    odd = deployment.pull_request_body([image], [image], (("Source-Repository", "a/b"),), **given)
    assert "commit" not in odd.partition("This pull request")[0]
    long = deployment.pull_request_body([image], [image], (("Note", "y" * 990),), **given)
    assert f"| Note | `{'y' * 990}` |" in long
    longer = deployment.pull_request_body([image], [image], (("Note", "y" * 1100),), **given)
    assert "y" * 1001 not in longer
    none = deployment.pull_request_body([image], [image], (), **given)
    assert "| `a` | `a:v1` | `a:v1` |\n\nThis pull request" in none


def test_one_table_for_as_many_images_as_were() -> None:
    with pytest.raises(ValueError, match="zip"):
        deployment.changes_table([Image("a")], [])
    long = deployment.changes_table([Image("a" * 990)], [Image("a" * 990)])
    assert long.count(f"`{'a' * 990}`") == 3
    longer = deployment.changes_table([Image("a" * 1100)], [Image("a" * 1100)])
    assert "a" * 1001 not in longer


def test_what_was_set_is_one_reference_or_lines() -> None:
    assert deployment.previous([Image("a", tag="v1")]) == "a:v1"
    assert deployment.previous([Image("a", tag="v1"), Image("b", "x/b", digest=A)]) == (
        f"a=a:v1\nb=x/b@{A}"
    )


def test_the_usual_port_is_the_same_server() -> None:
    for url in ("https://github.com:443/acme/d", "https://GITHUB.com/acme/d"):
        check_token(locate(url, server_url="https://github.com"), "https://github.com")
    loopback = "http://127.0.0.1:3000"
    check_token(locate(f"{loopback}/acme/d", server_url=loopback), loopback)
    with pytest.raises(InputError, match="no other server"):
        check_token(
            locate("https://github.com:8443/a/d", server_url="https://github.com"),
            "https://github.com",
        )
