"""scripts/run.sh: where it keeps an environment, what it checks before it uses one, and what it says."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_release import AWAY, Release, environments, site_packages, small_release

from model_gitops.actions import ACTIONS
from model_gitops.adapters import process
from model_gitops.commands import COMMANDS

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
SCRIPT = Path(__file__).parents[2] / "scripts" / "run.sh"
OTHER = 12345  # an account that is neither ours nor root's


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    with small_release(tmp_path / "release") as made:
        made.environment = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
        (tmp_path / "home").mkdir()
        (tmp_path / "temporary").mkdir()
        yield made


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A place for a store that the runner's owner gives."""
    return tmp_path / "kept"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestInAJob:
    def test_the_store_is_the_jobs(self, release: Release, tmp_path: Path) -> None:
        job = tmp_path / "job"
        job.mkdir()
        cache = tmp_path / "tool-cache"
        cache.mkdir()
        variables = {"RUNNER_TEMP": str(job), "RUNNER_TOOL_CACHE": str(cache)}
        done = release.run("check-promotion", "--help", GITHUB_ACTIONS="true", **variables)
        assert (done.code, done.out) == (0, "ran check-promotion --help\n"), done.err
        assert mode(job / "model-gitops") == 0o700
        assert len(environments(job / "model-gitops")) == 1
        assert list(cache.iterdir()) == []
        # Nothing that the next job finds.
        assert list((tmp_path / "home").iterdir()) == []
        assert list((tmp_path / "temporary").iterdir()) == []
        # The next step of the job installs nothing.
        again = release.run("check-promotion", UV_DEFAULT_INDEX=AWAY, **variables)
        assert (again.code, again.out) == (0, "ran check-promotion\n"), again.err

    def test_another_job_makes_its_own(self, release: Release, tmp_path: Path) -> None:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            done = release.run("check-promotion", RUNNER_TEMP=str(tmp_path / name))
            assert done.code == 0, done.err
            assert len(environments(tmp_path / name / "model-gitops")) == 1

    def test_a_folder_of_it_that_others_may_write_to_is_not_used(
        self, release: Release, tmp_path: Path
    ) -> None:
        (tmp_path / "job" / "model-gitops").mkdir(parents=True)
        (tmp_path / "job" / "model-gitops").chmod(0o777)
        done = release.run("check-promotion", RUNNER_TEMP=str(tmp_path / "job"))
        assert (done.code, done.out) == (0, "ran check-promotion\n"), done.err
        assert list((tmp_path / "job" / "model-gitops").iterdir()) == []

    def test_a_runner_that_names_no_temporary_folder_gets_a_fresh_one(
        self, release: Release, tmp_path: Path
    ) -> None:
        done = release.run("check-promotion", GITHUB_ACTIONS="true")
        assert done.code == 0, done.err
        assert list((tmp_path / "home").iterdir()) == []
        (made,) = (tmp_path / "temporary").iterdir()
        assert mode(made) == 0o700

    def test_another_action_adds_to_it(self, release: Release, tmp_path: Path) -> None:
        for name in ("check-promotion", "dvc-pull-model", "check-promotion"):
            done = release.run(name, RUNNER_TEMP=str(tmp_path))
            assert (done.code, done.out) == (0, f"ran {name}\n"), done.err
        assert (site_packages(tmp_path / "model-gitops") / "crcmod" / "__init__.py").is_file()


class TestOfAPerson:
    def test_it_is_in_the_cache_of_the_account(self, release: Release, tmp_path: Path) -> None:
        done = release.run("check-promotion")
        assert (done.code, done.out) == (0, "ran check-promotion\n"), done.err
        store = tmp_path / "home" / ".cache" / "model-gitops"
        assert mode(store) == 0o700
        assert len(environments(store)) == 1
        again = release.run("check-promotion", UV_DEFAULT_INDEX=AWAY)
        assert again.code == 0, again.err

    def test_one_of_an_older_release_still_serves(self, release: Release, tmp_path: Path) -> None:
        store = tmp_path / "cache" / "model-gitops"
        store.mkdir(parents=True, mode=0o755)
        done = release.run("check-promotion", XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert done.code == 0, done.err
        assert len(environments(store)) == 1

    @pytest.mark.parametrize("bits", [0o770, 0o707, 0o777, 0o1777])
    def test_others_may_not_write_to_it(self, bits: int, release: Release, tmp_path: Path) -> None:
        store = tmp_path / "home" / ".cache" / "model-gitops"
        store.mkdir(parents=True)
        store.chmod(bits)
        done = release.run("check-promotion")
        assert done.code == 2
        assert done.err == (
            f"error: {store} is not ours alone: give it to this account and chmod 0700 it,"
            " or remove it\n"
        )

    @ROOT_ONLY
    def test_it_may_not_be_anothers(self, release: Release, tmp_path: Path) -> None:
        store = tmp_path / "home" / ".cache" / "model-gitops"
        store.mkdir(parents=True, mode=0o700)
        os.chown(store, OTHER, OTHER)
        assert release.run("check-promotion").code == 2

    def test_without_a_home_it_is_fresh_each_time(self, release: Release, tmp_path: Path) -> None:
        for count in (1, 2):
            done = release.run("check-promotion", HOME="")
            assert (done.code, done.out) == (0, "ran check-promotion\n"), done.err
            made = list((tmp_path / "temporary").iterdir())
            assert len(made) == count
            assert {mode(one) for one in made} == {0o700}


class TestAStoreThatTheOwnerGives:
    def test_it_is_kept_for_all_jobs(self, release: Release, kept: Path) -> None:
        done = release.run("check-promotion", MODEL_GITOPS_STORE=str(kept), RUNNER_TEMP="/nowhere")
        assert (done.code, done.out) == (0, "ran check-promotion\n"), done.err
        assert mode(kept) == 0o700
        again = release.run(
            "check-promotion",
            MODEL_GITOPS_STORE=str(kept),
            RUNNER_TEMP="/elsewhere",
            UV_DEFAULT_INDEX=AWAY,
        )
        assert (again.code, again.out, again.err) == (0, "ran check-promotion\n", "")

    def test_each_action_has_its_own_there(self, release: Release, kept: Path) -> None:
        for name in ("check-promotion", "dvc-pull-model", "check-promotion", "dvc-pull-model"):
            done = release.run(name, MODEL_GITOPS_STORE=str(kept))
            assert (done.code, done.out, done.err) == (0, f"ran {name}\n", "")
        built = {path.parent.name for path in kept.glob("*/lib/python3*/site-packages/crcmod")}
        assert len(environments(kept)) == 2
        assert len(built) == 1

    def test_what_only_the_project_needs_is_added_late(self, release: Release, kept: Path) -> None:
        release.run("check-promotion", MODEL_GITOPS_STORE=str(kept))
        (environment,) = environments(kept)
        done = release.run("extra", "remote-s3", str(environment))
        assert (done.code, done.said) == (0, "")
        assert (site_packages(kept) / "late" / "__init__.py").is_file()
        again = release.run("check-promotion", MODEL_GITOPS_STORE=str(kept))
        assert (again.code, again.out, again.err) == (0, "ran check-promotion\n", "")

    def test_dvc_is_added_late_to_an_action_that_seldom_needs_it(
        self, release: Release, tmp_path: Path
    ) -> None:
        release.run("check-promotion", RUNNER_TEMP=str(tmp_path))
        (environment,) = environments(tmp_path / "model-gitops")
        done = release.run("extra", "dvc", str(environment), RUNNER_TEMP=str(tmp_path))
        assert (done.code, done.said) == (0, "")
        assert (site_packages(tmp_path / "model-gitops") / "crcmod" / "__init__.py").is_file()
        again = release.run("check-promotion", RUNNER_TEMP=str(tmp_path), UV_DEFAULT_INDEX=AWAY)
        assert (again.code, again.out) == (0, "ran check-promotion\n"), again.err

    def test_what_can_not_be_added_does_not_count_as_cut_off(
        self, release: Release, kept: Path
    ) -> None:
        release.run("check-promotion", MODEL_GITOPS_STORE=str(kept))
        (environment,) = environments(kept)
        done = release.run("extra", "dvc", str(environment), UV_DEFAULT_INDEX=AWAY)
        assert done.code == 4
        assert "error: the packages of dvc can't be installed" in done.err
        assert not (environment / "unfinished").exists()

    def test_what_uv_was_killed_over_is_installed_again(
        self, release: Release, tmp_path: Path
    ) -> None:
        release.run("check-promotion", RUNNER_TEMP=str(tmp_path))
        (environment,) = environments(tmp_path / "model-gitops")
        code = site_packages(tmp_path / "model-gitops") / "crcmod"
        killed = tmp_path / "bin" / "uv"
        killed.parent.mkdir()
        killed.write_text(
            f'#!/bin/sh\n{shutil.which("uv")} "$@"\nrm {code}/__init__.py\nkill -9 $$\n'
        )
        killed.chmod(0o755)
        path = f"{killed.parent}:{os.environ['PATH']}"
        done = release.run("extra", "dvc", str(environment), RUNNER_TEMP=str(tmp_path), PATH=path)
        assert done.code == 4
        assert code.is_dir() and (environment / "unfinished").exists()
        done = release.run("extra", "dvc", str(environment), RUNNER_TEMP=str(tmp_path))
        assert (done.code, done.said) == (0, "")
        assert (code / "__init__.py").is_file()
        assert not (environment / "unfinished").exists()

    def test_nothing_is_added_to_one_that_was_changed(self, release: Release, kept: Path) -> None:
        release.run("check-promotion", MODEL_GITOPS_STORE=str(kept))
        (environment,) = environments(kept)
        (environment / "evil.py").touch()
        done = release.run("extra", "remote-s3", str(environment))
        assert done.code == 4
        assert f"{environment} was changed while it is in use: 'evil.py' was added" in done.err
        assert not (site_packages(kept) / "late").exists()

    @pytest.mark.parametrize("way", ["added", "changed", "removed", "link", "no manifest"])
    def test_one_that_was_changed_is_made_again(
        self, way: str, release: Release, kept: Path
    ) -> None:
        release.run("check-promotion", MODEL_GITOPS_STORE=str(kept))
        packages = site_packages(kept)
        (environment,) = environments(kept)
        file = packages / "light" / "__init__.py"
        before = file.stat()
        if way == "added":
            (packages / "new.py").touch()
        elif way == "changed":
            file.write_text("x = 2\n")  # of the same size, and seemingly as old
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif way == "removed":
            file.unlink()
        elif way == "link":
            (environment / "bin" / "python").unlink()
            (environment / "bin" / "python").symlink_to("/bin/true")
        else:
            environment.with_name(f"{environment.name}.manifest").unlink()
        done = release.run("check-promotion", MODEL_GITOPS_STORE=str(kept), GITHUB_ACTIONS="true")
        notice, _, ran = done.out.partition("\n")
        assert notice.startswith(f"::notice title=check-promotion::{environment} is made again: ")
        assert (done.code, ran) == (0, "ran check-promotion\n"), done.err
        assert file.read_text() == "x = 1\n"
        assert not (packages / "new.py").exists()
        again = release.run("check-promotion", MODEL_GITOPS_STORE=str(kept), UV_DEFAULT_INDEX=AWAY)
        assert (again.code, again.out, again.err) == (0, "ran check-promotion\n", "")

    @pytest.mark.parametrize("bits", [0o755, 0o750, 0o770, 0o1777])
    def test_its_mode_must_be_0700(self, bits: int, release: Release, kept: Path) -> None:
        kept.mkdir()
        kept.chmod(bits)
        done = release.run("check-promotion", MODEL_GITOPS_STORE=str(kept), GITHUB_ACTIONS="true")
        assert done.code == 2
        assert done.out.startswith(
            f"::error title=check-promotion::the store MODEL_GITOPS_STORE={kept} can't be used: "
        )
        assert "chmod" in done.out
        assert list(kept.iterdir()) == []

    @ROOT_ONLY
    def test_it_must_be_ours(self, release: Release, kept: Path) -> None:
        kept.mkdir(mode=0o700)
        os.chown(kept, OTHER, OTHER)
        done = release.run("check-promotion", MODEL_GITOPS_STORE=str(kept))
        assert done.code == 2
        assert f"belongs to account {OTHER}, not to us or root" in done.err

    def test_no_folder_on_the_way_may_let_others_write(
        self, release: Release, tmp_path: Path
    ) -> None:
        # pytest's own folders can't be entered by others: below one nothing matters.
        way = Path("/tmp") / f"model-gitops-test-{os.getpid()}"
        way.mkdir()
        try:
            way.chmod(0o777)
            (way / "kept").mkdir(mode=0o700)
            done = release.run("check-promotion", MODEL_GITOPS_STORE=str(way / "kept"))
            assert done.code == 2
            assert f"others may write to '{way}' (mode 0777)" in done.err
            if os.geteuid() == 0:
                way.chmod(0o755)
                (way / "link").symlink_to(way / "kept")
                os.lchown(way / "link", OTHER, OTHER)
                done = release.run("check-promotion", MODEL_GITOPS_STORE=str(way / "link"))
                assert done.code == 2
                assert f"'{way / 'link'}' belongs to account {OTHER}" in done.err
        finally:
            for one in ("link", "kept"):
                if (way / one).is_symlink():
                    (way / one).unlink()
                elif (way / one).exists():
                    (way / one).rmdir()
            way.rmdir()

    def test_it_must_be_a_folder(self, release: Release, kept: Path) -> None:
        kept.touch(mode=0o600)
        done = release.run("check-promotion", MODEL_GITOPS_STORE=str(kept))
        assert done.code == 2
        assert "is no folder" in done.err


class TestAnInstallThatFails:
    def test_says_that_the_index_gave_another_file(self, release: Release, tmp_path: Path) -> None:
        release.zero_hash_of("light")
        done = release.run("check-promotion", RUNNER_TEMP=str(tmp_path), GITHUB_ACTIONS="true")
        assert done.code == 4
        assert done.out == (
            "::error title=check-promotion::the package index gave another file than the lock names:"
            " `light==1.0`: use an index that serves the files of scripts/requirements.txt, and tell"
            " who runs this one\n"
        )

    def test_says_that_the_index_is_away(self, release: Release, tmp_path: Path) -> None:
        started = time.monotonic()
        done = release.run("check-promotion", RUNNER_TEMP=str(tmp_path), UV_DEFAULT_INDEX=AWAY)
        assert done.code == 4
        assert done.err.endswith(
            "error: the packages of check-promotion can't be installed:"
            " can this runner reach the package index?\n"
        )
        assert time.monotonic() - started < 60

    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("remote-s3",),
            ("local", "/tmp/x"),
            ("remote-../x", "/tmp/x"),
            ("dvc",),
            ("dvc-x", "/tmp/x"),
            ("dvc-pull-model", "/tmp/x"),
            ("x-remote-s3", "/tmp/x"),
            ("remote-S3", "/tmp/x"),
        ],
    )
    def test_an_extra_is_one_of_a_remote(
        self, arguments: tuple[str, ...], release: Release
    ) -> None:
        done = release.run("extra", *arguments)
        assert (done.code, done.err) == (2, "error: usage: run.sh extra remote-… FOLDER\n")


class TestWhatThereIs:
    """F20: who does not know a name yet hears all of them, and nothing is installed for that."""

    def run(self, *words: str) -> process.Completed:
        # Neither Python nor uv nor an index is asked.
        env = {"PATH": os.defpath, "UV_DEFAULT_INDEX": AWAY, "PIP_INDEX_URL": AWAY}
        return process.run([SCRIPT, *words], env=env, inherit=False, check=False)

    @pytest.mark.parametrize("word", ["--help", "-h", "help"])
    def test_help_lists_what_can_be_run(self, word: str) -> None:
        done = self.run(word)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: run.sh NAME [ARGUMENTS], and run.sh NAME --help")
        for name, text in (ACTIONS | COMMANDS).items():
            assert re.search(rf"(?m)^  {name} +{re.escape(text)}$", done.stdout)
        assert re.search(r"(?m)^  local +Run the whole flow", done.stdout)

    def test_without_a_name_the_same_is_said_as_an_error(self) -> None:
        done, told = self.run(), self.run("--help")
        assert (done.returncode, done.stdout, done.stderr) == (2, "", told.stdout)

    @pytest.mark.parametrize(
        "name", ["nosuch", "--version", "../x", "check promotion", "a;b", "*", "dev local"]
    )
    def test_another_name_is_no_action(self, name: str) -> None:
        done = self.run(name)
        assert (done.returncode, done.stdout) == (2, "")
        first, _, rest = done.stderr.partition("\n\n")
        assert re.fullmatch(r"error: \S.* is no action of model-gitops", first)
        assert rest == self.run("--help").stdout

    def test_dev_without_a_command_is_an_error(self) -> None:
        done = self.run("dev")
        assert (done.returncode, done.stderr) == (2, "error: usage: run.sh dev COMMAND…\n")

    def test_a_temporary_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        env = {"PATH": os.defpath, "RUNNER_TEMP": str(tmp_path / "file")}
        words = [SCRIPT, "bump-kustomize-tag", "--help"]
        done = process.run(words, env=env, inherit=False, check=False)
        assert done.returncode == 4
        assert done.stderr.startswith(
            f"error: no folder can be made in {tmp_path / 'file'}: let RUNNER_TEMP"
        )
