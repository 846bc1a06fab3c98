#!/usr/bin/env bash
# The only shell of an action: make the locked environment that NAME needs, then run it.
#   run.sh NAME [ARGUMENTS]     an action, or `local` (the whole flow on this machine)
#   run.sh dev COMMAND…         a development tool: pytest, ruff, mypy
# It needs Python 3.11 or newer, uv or pip, and a package index.
set -euo pipefail

name=${1:?usage: run.sh NAME [ARGUMENTS]}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The name becomes a part of paths: it is one of ours, or nothing is done.
known=$(cd "${here}/../actions" && echo *)
if [[ " dev local ${known} " != *" ${name} "* || "${name}" == *[!a-z-]* ]]; then
  echo "error: there is no such action; there are: ${known}, and local" >&2
  exit 2
fi

fail() { # one annotation in a workflow, one line elsewhere
  if [[ "${GITHUB_ACTIONS:-}" == true ]]; then
    echo "::error title=${name}::$1"
  else
    echo "error: $1" >&2
  fi
  exit 4
}

case "${name}" in
  dev)
    extras=(--group dev --extra local)
    for action in "${here}"/../actions/*/; do extras+=(--extra "$(basename "${action}")"); done
    ;;
  *) extras=(--extra "${name}") ;;
esac

# Another tool's Python settings must not steer ours; where packages come from may.
for variable in ${!UV_@} ${!PYTHON@} VIRTUAL_ENV; do
  case "${variable}" in
    UV_DEFAULT_INDEX | UV_INDEX | UV_INDEX_* | UV_EXTRA_INDEX_URL | UV_FIND_LINKS) ;;
    UV_OFFLINE | UV_CACHE_DIR | UV_NATIVE_TLS | UV_SYSTEM_CERTS) ;;
    *) unset "${variable}" ;;
  esac
done

# Kept between jobs on a self-hosted runner, and shared by the steps of a job on any.
store="${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}}}/model-gitops"
mkdir -p "${store}" 2>/dev/null && [[ -w "${store}" ]] || store="${RUNNER_TEMP:-/tmp}/model-gitops"
mkdir -p "${store}"

digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; } # Linux, macOS

lock=$(cat "${here}/requirements.txt" "${here}/../pyproject.toml" | digest)
environment="${store}/${lock:0:16}"
[[ "${name}" != dev ]] || environment+=-dev
python="${environment}/bin/python"
ready="${environment}/ready-${name}" # written last: a set-up that was cut off is made again

find_uv() {
  local pinned fresh hash
  command -v uv && return
  hash=$(digest <"${here}/uv.txt")
  pinned="${store}/uv-${hash:0:16}"
  if [[ ! -x "${pinned}/bin/uv" ]]; then
    fresh=$(mktemp -d "${store}/uv-XXXXXX")
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
      --target "${fresh}" --requirement "${here}/uv.txt" >&2 || return
    mv "${fresh}" "${pinned}"
  fi
  echo "${pinned}/bin/uv"
}

# A kept environment breaks when the machine's Python goes: it is made again, as one that was cut off.
if [[ ! -f "${ready}" || ! -x "${python}" ]]; then
  export UV_NO_CONFIG=1 UV_NO_PROGRESS=1
  (
    # Jobs of one machine may share the store. macOS has no flock; its runners run one job.
    if command -v flock >/dev/null; then flock 9; fi
    uv=$(find_uv) || fail "uv is not on PATH and pip can't install it: install uv on the runner"
    [[ -x "${python}" ]] || rm -rf "${environment}"
    [[ -x "${python}" ]] ||
      "${uv}" venv --quiet --no-project --python ">=3.11" --python-preference system "${environment}" ||
      fail "there is no Python 3.11 or newer: add actions/setup-python before this step"
    # The lock is a constraint with hashes: what is installed is in it, and is what it was.
    "${uv}" pip install --quiet --python "${python}" --requirement "${here}/../pyproject.toml" \
      "${extras[@]}" --constraint "${here}/requirements.txt" --verify-hashes ||
      fail "the packages of ${name} can't be installed: can this runner reach the package index?"
    echo "${uv}" >"${ready}"
  ) 9>"${store}/lock"
fi

if [[ "${name}" == dev ]]; then
  PATH="${environment}/bin:${PATH}" exec "${@:2}"
fi
# For a package that only the project's DVC configuration tells (dvc-s3, …).
MODEL_GITOPS_UV=$(<"${ready}")
export MODEL_GITOPS_UV
# -I: nothing of the user's Python set-up, and nothing of the working directory, is imported.
exec "${python}" -I -u "${here}" "$@"
