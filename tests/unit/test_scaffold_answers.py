"""The names of a new repository: which are taken, which are refused and how, and what follows from them."""

from __future__ import annotations

import sys

import pytest

from model_gitops.core.scaffold import answers
from model_gitops.errors import InputError

THREE = ("main", "staging", "production")


def made(**given: object) -> answers.Answers:
    values: dict[str, object] = {"name": "churn", "owner": "newco", "branches": THREE, **given}
    return answers.new(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("churn", "churn"),
        ("my-model", "my_model"),
        ("a", "a"),
        ("class", "class_model"),
        ("json", "json_model"),
        ("numpy", "numpy_model"),
        ("train", "train_model"),
        ("tests", "tests_model"),
        ("models", "models"),
        ("eval", "eval"),
        ("v2-net", "v2_net"),
    ],
)
def test_a_name_and_its_package(name: str, package: str) -> None:
    found = made(name=name, modules=sys.stdlib_module_names)
    assert (found.name, found.package) == (name, package)
    assert found.image == f"ghcr.io/newco/{name}"


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("Churn", "churn"),
        ("my_model", "my-model"),
        ("my model", "my-model"),
        ("3d-cnn", "d-cnn"),
        ("-x-", "x"),
        ("", "churn"),
        ("..", "churn"),
        ("a/b", "a-b"),
        ("modèle", "mod-le"),
        ("on", "on-model"),
        ("null", "null-model"),
        ("x" * 60, "x" * 43),
        ("a\nb", "a-b"),
        ("${{ github.token }}", "github-token"),
    ],
)
def test_a_name_that_something_refuses(name: str, fix: str) -> None:
    with pytest.raises(InputError) as error:
        made(name=name)
    assert error.value.message.startswith("input `name` is ")
    assert error.value.fix == f"--name {fix}"
    made(name=fix)


def test_the_longest_name_fits_into_the_longest_namespace() -> None:
    made(name="x" * 43)  # and `-training-production`
    made(name="x" * 38, branches=["main", "live"], environments=["dev", "pre-production"])
    with pytest.raises(
        InputError, match=r"than 39 characters, so the namespace x+-training-pre-prod"
    ):
        made(name="x" * 40, branches=["main", "live"], environments=["dev", "pre-production"])


def test_the_longest_name_fits_into_a_cron_workflow() -> None:
    made(name="x" * 43, branches=["main", "live"], environments=["dev", "prd"])
    with pytest.raises(
        InputError, match=r"than 43 characters, so the CronWorkflow x+-training would"
    ):
        made(name="x" * 44, branches=["main", "live"], environments=["dev", "prd"])


@pytest.mark.parametrize(
    ("branches", "environments"),
    [
        ("main", "production"),
        ("main,production", "dev,production"),
        ("main,staging", "dev,staging"),
        ("develop,release", "dev,production"),
        ("main,staging,production", "dev,staging,production"),
        ("trunk,uat,live", "dev,staging,production"),
        ("main,test,uat,live", "dev,test,uat,production"),
        ("production,main", "production,main"),
        ("dev,main", "dev,production"),
        ("env/dev,env/live", "dev,production"),
        ("staging,Pre.Prod,main", "staging,pre-prod,production"),
    ],
)
def test_environments_that_nobody_named(branches: str, environments: str) -> None:
    found = made(branches=branches.split(","))
    assert ",".join(found.environments) == environments


@pytest.mark.parametrize(
    ("branches", "environments", "name", "said"),
    [
        ("", "", "branches", "it names no branch"),
        ("main,main", "", "branches", "main is there twice"),
        ("main,Main", "", "branches", "is there twice"),
        ("main,release/*", "", "branches", "it can't be the branch of an environment"),
        ("a..b", "", "branches", "can't be"),
        ("-x", "", "branches", "can't be"),
        ("a,a/b", "", "branches", "Git can't have 'a' and 'a/b'"),
        ("model-gitops/reports", "", "branches", "can't be"),
        ("x.lock", "", "branches", "can't be"),
        ("refs/heads/main", "", "branches", "not HEAD, refs/…"),
        ("1.0", "", "branches", "can't be"),
        ("on", "", "branches", "can't be"),
        ("main,live", "dev", "environments", "there are 1 of them, and 2 branches"),
        ("main,live", "dev,Live", "environments", "a letter first"),
        ("main,live", "dev,dev", "environments", "dev is there twice"),
        (",".join(f"b{at}" for at in range(21)), "", "branches", "at most 20 environments"),
    ],
)
def test_branches_and_environments_that_are_refused(
    branches: str, environments: str, name: str, said: str
) -> None:
    with pytest.raises(InputError) as error:
        made(
            branches=[one for one in branches.split(",") if one],
            environments=[one for one in environments.split(",") if one],
        )
    assert error.value.message.startswith(f"input `{name}` is ")
    assert said in error.value.message
    assert error.value.fix


def test_capitals_of_an_owner_stay_out_of_the_image() -> None:
    found = made(owner="NewCo")
    assert found.image == "ghcr.io/newco/churn"
    assert (found.repository, found.deploy_repository) == ("NewCo/churn", "NewCo/churn-deploy")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"owner": "new co"}, "owner"),
        ({"owner": ""}, "owner"),
        ({"owner": "a/b"}, "owner"),
        ({"owner": "x" * 40}, "owner"),
        ({"host": "https://git.example.org"}, "host"),
        ({"registry": "https://reg.example.org"}, "registry"),
    ],
)
def test_where_it_is_may_be_wrong_too(given: dict[str, str], name: str) -> None:
    with pytest.raises(InputError) as error:
        made(**given)
    assert error.value.message.startswith(f"input `{name}` is ")
    assert error.value.fix.startswith(f"--{name} ")


def test_another_server_has_its_own_registry() -> None:
    assert made(host="git.example.org:3000").image == "git.example.org:3000/newco/churn"
    found = made(host="git.example.org", registry="reg.example.org/ml")
    assert (found.host, found.image) == ("git.example.org", "reg.example.org/ml/newco/churn")


def test_answers_are_kept_and_read_again() -> None:
    found = made(owner="NewCo", branches=["main", "live"])
    assert answers.Answers.from_data(found.as_data(), where="x") == found


@pytest.mark.parametrize(
    "broken",
    [
        {"name": None},
        {"name": ["churn"]},
        {"branches": "main"},
        {"branches": []},
        {"branches": ["main"]},
        {"image": ""},
        {"environments": ["dev", 1, "production"]},
    ],
)
def test_kept_answers_that_somebody_broke(broken: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^x: "):
        answers.Answers.from_data({**made().as_data(), **broken}, where="x")
