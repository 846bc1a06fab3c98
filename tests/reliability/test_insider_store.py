"""What a job left behind is not run by the next one: packages, caches, plugins, a branch's own modules.

Each plants a file that leaves a mark when it is run. Where something else would run it, that is shown
too, so that a test which can't fail would be seen.
"""

from __future__ import annotations

import marshal
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_release import Release, environments, site_packages, small_release

from model_gitops.adapters import process

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that what is planted writes, when it is run."""
    return tmp_path / "mark"


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    with small_release(tmp_path / "release") as made:
        for name in ("home", "temporary", "job"):
            (tmp_path / name).mkdir()
        made.environment = {
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "temporary"),
            "RUNNER_TEMP": str(tmp_path / "job"),
        }
        yield made


def plant(store: Path, mark: Path) -> Path:
    """Leave a `.pth` file in the environment of a store: Python runs it even with -I."""
    file = site_packages(store) / "evil.pth"
    file.write_text(f"import os; open({str(mark)!r}, 'a').close()\n")
    return file


def starts(release: Release, name: str = "check-promotion", **variables: str) -> None:
    """Run an action as a step would."""
    done = release.run(name, **variables)
    assert (done.code, done.out.splitlines()[-1]) == (0, f"ran {name}"), done.err


class TestThePthFileInAStore:
    """Row 9."""

    def test_of_the_owner_is_found_and_not_run(
        self, release: Release, tmp_path: Path, mark: Path
    ) -> None:
        store = tmp_path / "kept"
        starts(release, MODEL_GITOPS_STORE=str(store))
        planted = plant(store, mark)
        (environment,) = environments(store)
        process.run([environment / "bin" / "python", "-I", "-c", ""])
        assert mark.exists()  # it would run
        mark.unlink()
        done = release.run("check-promotion", MODEL_GITOPS_STORE=str(store))
        assert "evil.pth' was added" in done.err
        assert done.out == "ran check-promotion\n"
        assert not mark.exists()
        assert not planted.exists()

    def test_of_an_earlier_job_is_not_used(
        self, release: Release, tmp_path: Path, mark: Path
    ) -> None:
        # The folders that outlive a job, as an earlier release and a person use them.
        starts(release)
        for old in (tmp_path / "tools", tmp_path / "home" / ".cache"):
            shutil.copytree(tmp_path / "job" / "model-gitops", old / "model-gitops", symlinks=True)
            plant(old / "model-gitops", mark)
        (tmp_path / "next job").mkdir()
        starts(
            release,
            RUNNER_TEMP=str(tmp_path / "next job"),
            RUNNER_TOOL_CACHE=str(tmp_path / "tools"),
            GITHUB_ACTIONS="true",
        )
        assert not mark.exists()

    def test_in_a_folder_that_all_may_write_to_is_not_used(
        self, release: Release, tmp_path: Path, mark: Path
    ) -> None:
        starts(release)
        everybodys = tmp_path / "temporary"
        everybodys.chmod(0o1777)
        shutil.copytree(
            tmp_path / "job" / "model-gitops", everybodys / "model-gitops", symlinks=True
        )
        plant(everybodys / "model-gitops", mark)
        starts(release, HOME="", RUNNER_TEMP="")
        assert not mark.exists()


def test_bytecode_that_was_planted_is_not_run(release: Release, tmp_path: Path, mark: Path) -> None:
    store = tmp_path / "kept"
    starts(release, MODEL_GITOPS_STORE=str(store))
    source = site_packages(store) / "light" / "__init__.py"
    (compiled,) = source.parent.glob("__pycache__/*.pyc")  # made with the environment
    code = compile(f"x = open({str(mark)!r}, 'a')", str(source), "exec")
    compiled.write_bytes(compiled.read_bytes()[:16] + marshal.dumps(code))
    (environment,) = environments(store)
    process.run([environment / "bin" / "python", "-I", "-c", "import light"])
    assert mark.exists()  # it would run: it says it is of that source
    mark.unlink()
    starts(release, MODEL_GITOPS_STORE=str(store))
    assert not mark.exists()


def test_what_was_planted_in_uvs_cache_is_not_installed(
    release: Release, tmp_path: Path, mark: Path
) -> None:
    # A job that runs uv fills the cache of the account; uv asks for a hash when it downloads only.
    starts(release, "dvc-pull-model", RUNNER_TEMP="")
    cache = tmp_path / "home" / ".cache" / "uv"
    for file in cache.glob("archive-v*/*/light/__init__.py"):
        file.unlink()  # it may be one file with the environment's
        file.write_text(f"open({str(mark)!r}, 'a').close()\n")
    shutil.rmtree(tmp_path / "home" / ".cache" / "model-gitops")
    starts(release, "dvc-pull-model", RUNNER_TEMP="")
    assert mark.exists()  # a person's own cache is theirs
    mark.unlink()
    for variables in (
        {"RUNNER_TEMP": str(tmp_path / "job")},
        {"RUNNER_TEMP": str(tmp_path / "job"), "MODEL_GITOPS_STORE": str(tmp_path / "kept")},
    ):
        starts(
            release, "dvc-pull-model", UV_CACHE_DIR=str(cache), GITHUB_ACTIONS="true", **variables
        )
        assert not mark.exists()


@pytest.mark.parametrize("action", ["check-promotion", "dvc-pull-model"])
def test_a_branchs_module_is_not_run_while_packages_are_installed(
    action: str, release: Release, tmp_path: Path, mark: Path
) -> None:
    # The working directory is the branch's checkout, and `python -m` looks there first.
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("pip", "venv", "zipfile", "site", "sitecustomize"):
        (checkout / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').close()\n")
    process.run([sys.executable, "-m", "pip"], cwd=checkout)
    assert mark.exists()  # it would run
    mark.unlink()
    bare = tmp_path / "bin"  # a PATH without uv
    bare.mkdir()
    for tool in ("python3", "bash", "env"):
        found = sys.executable if tool == "python3" else shutil.which(tool)
        (bare / tool).write_text(f'#!/bin/sh\nexec {found} "$@"\n')
        (bare / tool).chmod(0o755)
    done = release.run(action, cwd=checkout, PATH=f"{bare}:/usr/bin:/bin", PIP_NO_INDEX="1")
    assert not mark.exists()
    if action == "check-promotion":  # whose packages need no uv
        assert (done.code, done.out) == (0, "ran check-promotion\n"), done.err
    else:
        assert done.code == 4
        assert "uv is not on PATH and pip can't install it" in done.err


class TestALockThatTheIndexDoesNotServe:
    """Row 11."""

    def test_setuptools_of_a_source_is_of_the_lock_too(
        self, release: Release, tmp_path: Path
    ) -> None:
        release.zero_hash_of("setuptools")
        starts(release)  # needs no source to be built
        done = release.run("dvc-pull-model")
        assert done.code == 4
        assert done.err.splitlines()[-1] == (
            "error: the package index gave another file than the lock names: `setuptools==1.0`:"
            " use an index that serves the files of scripts/requirements.txt, and tell who runs"
            " this one"
        )
        assert "ran" not in done.out
        assert not (site_packages(tmp_path / "job" / "model-gitops") / "crcmod").exists()

    def test_a_source_is_built_only_of_those_that_have_no_wheel(
        self, release: Release, tmp_path: Path
    ) -> None:
        text = (release.folder / "scripts" / "run.sh").read_text()
        assert "--no-binary crcmod" in text
        assert release.run("dvc-pull-model").code == 0
        (release.folder / "scripts" / "run.sh").write_text(
            text.replace("--no-binary crcmod", "--no-binary other")
        )
        (tmp_path / "other").mkdir()
        done = release.run("dvc-pull-model", RUNNER_TEMP=str(tmp_path / "other"))
        assert done.code == 4
        assert "crcmod" in done.err


PLUGIN = """\
#!/bin/sh
: >> {mark}
echo '{{"SchemaVersion": "0.1.0", "Vendor": "x", "Version": "v9", "ShortDescription": "x"}}'
"""


class TestDockersPlugin:
    """An earlier job of the same account may leave one beside docker's configuration."""

    @pytest.fixture
    def docker(self, tmp_path: Path, mark: Path) -> Path:
        """The configuration of an account, with a plugin in each place that docker looks in."""
        folder = tmp_path / "docker"
        for name in ("cli-plugins", "more"):
            (folder / name).mkdir(parents=True)
            (folder / name / "docker-buildx").write_text(PLUGIN.format(mark=mark))
            (folder / name / "docker-buildx").chmod(0o755)
        (folder / "config.json").write_text(f'{{"cliPluginsExtraDirs": ["{folder}/more"]}}')
        return folder

    def build(self, folder: Path, docker: Path, **variables: str) -> process.Completed:
        (folder / "Dockerfile").write_text("FROM scratch\n")
        (folder / "job").mkdir(exist_ok=True)
        return process.run(
            [sys.executable, "-I", SCRIPTS, "build-push-image"],
            cwd=folder,
            env={
                **{name: "" for name in os.environ if name.startswith(("GITHUB_", "RUNNER_"))},
                "DOCKER_CONFIG": str(docker),
                "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
                "MODEL_GITOPS_IMAGE": "registry.example/acme/model",
                "MODEL_GITOPS_TAG": "v1",
                "MODEL_GITOPS_PUSH": "false",
                "MODEL_GITOPS_DOCKER_PLUGINS": "",
                **variables,
            },
            check=False,
        )

    def test_is_not_run_in_a_workflow(self, tmp_path: Path, docker: Path, mark: Path) -> None:
        self.build(tmp_path, docker)
        assert mark.exists()  # a person's own is
        mark.unlink()
        for variables in ({"RUNNER_TEMP": str(tmp_path / "job")}, {"GITHUB_ACTIONS": "true"}):
            done = self.build(tmp_path, docker, **variables)
            assert done.returncode == 4, done.stdout + done.stderr
            assert not mark.exists()

    def test_is_run_where_the_owner_says_so(self, tmp_path: Path, docker: Path, mark: Path) -> None:
        self.build(
            tmp_path,
            docker,
            RUNNER_TEMP=str(tmp_path / "job"),
            MODEL_GITOPS_DOCKER_PLUGINS=str(docker / "more"),
        )
        assert mark.exists()

    def test_of_a_folder_that_others_may_write_to_is_refused(
        self, tmp_path: Path, mark: Path
    ) -> None:
        # pytest's own folders can't be entered by others: below one nothing matters.
        folder = Path("/tmp") / f"model-gitops-plugins-{os.getpid()}"
        folder.mkdir()
        try:
            (folder / "docker-buildx").write_text(PLUGIN.format(mark=mark))
            for folders, files, whose in (
                (0o777, 0o755, folder),
                (0o755, 0o777, folder / "docker-buildx"),
            ):
                folder.chmod(folders)
                (folder / "docker-buildx").chmod(files)
                done = self.build(
                    tmp_path,
                    tmp_path,
                    GITHUB_ACTIONS="true",
                    RUNNER_TEMP=str(tmp_path / "job"),
                    MODEL_GITOPS_DOCKER_PLUGINS=str(folder),
                )
                assert done.returncode == 2, done.stdout + done.stderr
                assert f"others may write to '{whose}' (mode 0777)" in done.stdout
            assert not mark.exists()
        finally:
            shutil.rmtree(folder)
