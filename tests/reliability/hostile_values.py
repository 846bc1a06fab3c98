"""Values and documents that a stranger may write."""

from __future__ import annotations

TEXTS = [
    "", " ", ".", "..", "../..", "../../outside", "/etc/passwd", "/", "~", "-", "--", "-h",
    "out/secret.txt", "loop", "loop/x", "a" * 300, "a/" * 3000, "x" * 250_000, "x" * 300_000,
    "--upload-pack=touch pwned", "--exec=touch pwned", "--output=pwned", "-oProxyCommand=touch${IFS}pwned",
    "-c core.sshCommand=touch\tpwned", "--receive-pack=touch pwned", "--config=core.pager=touch pwned",
    "ext::sh -c touch% pwned", "ext::sh", "fd::17", "file:///etc/passwd", "/nowhere/pwned.git",
    "http://u:p@127.0.0.1:9/a/b.git", "https://127.0.0.1:9/pwned.git", "ssh://-oProxyCommand=touch pwned/x",
    "-oProxyCommand=pwned:x/y", "$(touch pwned)", "`touch pwned`", "; touch pwned #", "| touch pwned", "&& touch pwned",
    "' touch pwned '", '" touch pwned "', "a\n::set-output name=image::pwned\n", "::add-mask::pwned",
    "\r::set-env name=PATH::pwned\r", "\n##[add-mask]pwned\n", "x ##[add-mask]y", "#\x1b[0m#[error]pwned", "a%0A::stop-commands::pwned", "\n::group::\n::error::pwned",
    "end-0\nimage=pwned\n", "<script>pwned()</script>", "![x](https://evil.example/pwned.png)", "@octocat #1",
    "</details></table>`` ` | --> @octocat", "\0", "\x1b[2J", "\x7f", "\ud800", "\udcff", "\u202epwned", "\ufeff",
    "рroduction", "ｍ", "m\u200b", "é" * 200, "🚀", "{}", "[]", "null", "0", "-1", "9" * 5000, "1e999", "nan", "m@v0.0.1", "m#dev",
    "m#dev#1", "m@v" + "9" * 400 + ".0.0", "m@", "#", "@", "HEAD^{/(}", "HEAD:dvc.yaml", "refs/heads/main", "main..x", "HEAD~99999999999",
    "@{-1}", ":/x", ":(exclude)*", "a=b", "=", "a=", "=b", "m=m:v9@sha256:zz", "m=../..:x", "m=a b:c", "x: y", "Model: a\nb",
    "{health: [}", "a: &a [*a]", "!!python/object/apply:os.system ['touch pwned']", "pr/99999999999999999999", "commit/--pwned",
    "linux/amd64,--pwned", "type=local,dest=pwned", "mode=max,pwned", "true", "True",
]  # fmt: skip
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)
DOCUMENTS: list[bytes] = [
    text.encode("utf-8", "surrogatepass")
    for text in (
        "", "\n", "null", "[]", "{}", "0", '"x"', BOMB, "a: &a [*a]", "a: &a {<<: *a}", "[" * 100_000, '{"a":' * 900 + "1" + "}" * 900,
        "{a: " * 3000, "- " * 5000, "\0", "a: \x01", "a: 1\na: 2\n", "? [a, b]\n: 1\n", "? {a: 1}\n: 1\n", "a: 2024-99-99\n",
        "a: " + "9" * 5000, "r2: 1e999", '{"r2": ' + "9" * 400 + "}", '{"r2": NaN, "\\ud800": "\\udfff"}', "a: .inf\n---\nb: 1\n",
        "x: !!python/object/apply:os.system ['touch pwned']\n", "x: !!binary '%%%'\n", "x: !!timestamp no\n", "x: !!int x\n", "x: !!bool x\n", "x: !!int ''\n", "x: !!float ''\n", "x: !<tag:yaml.org,2002:bool> z\n", "%YAML 9.9\n---\na\n",
        "\ufeffa: 1\n", "a:\t1\n", "a: 'x\n", "x" * 2_000_000, "- a\n" * 100_000, "stages: 1\nartifacts: []\noutputs: {}\n",
        '{"stages": {"train": null}, "artifacts": {"m": null}}', '{"artifacts": {"m": {"path": []}}, "images": [null]}',
    )
] + [b"\xff\xfe\x00", b"a: \xff\n", b"\x80" * 100]  # fmt: skip
