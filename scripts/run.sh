#!/usr/bin/env bash
# The only shell of an action: make the locked environment of action NAME, then run it.
#   run.sh NAME [ARGUMENTS]
# What it takes from the machine: Python 3.11 or newer, uv or pip, and a package index.
set -euo pipefail

name=${1:?usage: run.sh NAME [ARGUMENTS]}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements="${here}/requirements/${name}.txt"

fail() {
  # One annotation in a workflow, one line elsewhere.
  if [[ "${GITHUB_ACTIONS:-}" == true ]]; then echo "::error title=${name}::$1"; else echo "error: $1" >&2; fi
  exit "${2:-4}"
}

[[ "${name}" =~ ^[a-z-]+$ && -f "${requirements}" ]] || fail "there is no action '${name}'" 2

# The settings of somebody else's Python tools must not steer ours; where packages come from may.
for variable in ${!UV_@} ${!PYTHON@} VIRTUAL_ENV; do
  case "${variable}" in
    UV_DEFAULT_INDEX | UV_INDEX | UV_INDEX_URL | UV_EXTRA_INDEX_URL | UV_FIND_LINKS | UV_OFFLINE) ;;
    UV_CACHE_DIR | UV_NATIVE_TLS | UV_SYSTEM_CERTS | UV_PYTHON_INSTALL_DIR) ;;
    *) unset "${variable}" ;;
  esac
done

# Kept between jobs on a self-hosted runner, shared by the steps of a job on any.
store="${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-${XDG_CACHE_HOME:-${HOME}/.cache}}}/model-gitops"
mkdir -p "${store}" 2>/dev/null || store="${RUNNER_TEMP:-/tmp}/model-gitops"

lock=$(cat "${here}"/requirements/*.txt | sha256sum)
environment="${store}/environment-${lock:0:16}"
python="${environment}/bin/python"
# Written last, so a set-up that was cut off is made again.
ready="${environment}/.${name}-is-ready"

find_uv() {
  # shellcheck disable=SC2310 # a missing uv is an answer, not a failure
  if command -v uv; then return; fi
  local pinned="${store}/uv-${lock:0:16}"
  if [[ ! -x "${pinned}/bin/uv" ]]; then
    local fresh
    fresh=$(mktemp -d "${store}/uv-XXXXXX")
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
      --target "${fresh}" --requirement "${here}/requirements/uv.txt" >&2 || return
    mv -T "${fresh}" "${pinned}" 2>/dev/null || rm -rf "${fresh}" # another job was first
  fi
  echo "${pinned}/bin/uv"
}

if [[ ! -f "${ready}" ]]; then
  uv=$(find_uv) || fail "uv is not on PATH and can't be installed with pip: install uv on the runner"
  export UV_NO_CONFIG=1 UV_LINK_MODE="${UV_LINK_MODE:-copy}" UV_NO_PROGRESS=1
  unset UV_LINK_MODE
  exec 9>"${store}/lock"
  flock 9
  [[ -x "${python}" ]] || "${uv}" venv --quiet --no-project --python ">=3.11" --python-preference system "${environment}" ||
    fail "no Python 3.11 or newer was found: add actions/setup-python before this step"
  "${uv}" pip install --quiet --python "${python}" --require-hashes --requirement "${requirements}" ||
    fail "the packages of '${name}' can't be installed: is the package index reachable from this runner?"
  "${python}" -m compileall -q "${environment}/lib" >/dev/null 2>&1 || true
  echo "${uv}" >"${ready}"
  flock -u 9
fi

# For an extra that only the project's DVC configuration tells (dvc-s3, …).
MODEL_GITOPS_UV=$(<"${ready}")
export MODEL_GITOPS_UV
# -I: nothing of the user's Python set-up, and nothing from the working directory, is imported.
exec "${python}" -I -u "${here}" "${name}" "${@:2}"
