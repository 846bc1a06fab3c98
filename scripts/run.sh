#!/usr/bin/env bash
# The only shell of an action: make the locked environment that NAME needs, then run it.
#   run.sh NAME [ARGUMENTS]     an action, a command for your machine, or `local` (the whole flow on it)
#   run.sh dev COMMAND…         a development tool: pytest, ruff, mypy
#   run.sh extra NAME FOLDER    what only the project tells an action that it needs (dvc, remote-s3, …)
# It needs Python 3.11 or newer and a package index; uv or pip for the actions that need more than a few wheels.
set -euo pipefail

name=${1:-}
here=${BASH_SOURCE[0]%run.sh}
here=$(cd "${here:-.}" && pwd)
actions=$(cd "${here}/../actions" && echo *)
commands_of() { sed -nE "s/^    \"([a-z-]+)\": \"(.*)\",\$/$1/p" "${here}/model_gitops/commands/__init__.py"; }
known=${actions} # each process that is started counts: an action need not look for the commands
[[ " ${actions} " == *" ${name} "* ]] || known+=" $(commands_of '\1' | tr '\n' ' ')"

usage() { # what there is to run, which needs no environment
  local one text
  echo "usage: run.sh NAME [ARGUMENTS], and run.sh NAME --help for the inputs of one"
  echo
  for one in ${actions}; do
    printf '  %-20s %s\n' "${one}" "$(sed -n 's/^description: *//p' "${here}/../actions/${one}/action.yml")"
  done
  echo
  commands_of '\1|\2' | while IFS='|' read -r one text; do printf '  %-20s %s\n' "${one}" "${text}"; done
  printf '  %-20s %s\n' \
    local "Run the whole flow on this machine, without GitHub." \
    dev "Run a development tool (pytest, ruff, mypy) in the locked environment."
}
case "${name}" in
  -h | --help | help) usage && exit ;;
  "") usage >&2 && exit 2 ;;
esac

# The name becomes a part of paths: it is one of ours, or nothing is done.
if [[ " dev local extra ${known} " != *" ${name} "* || "${name}" == *[!a-z-]* ]]; then
  # What could steer a log or hide another letter is not shown.
  [[ "${name}" != *[!a-zA-Z0-9._-]* && ${#name} -le 60 ]] || name="what was given"
  printf 'error: %s is no action of model-gitops\n\n' "${name}" >&2
  usage >&2
  exit 2
fi

say() { # LEVEL MESSAGE: one annotation in a workflow, one line elsewhere, and for the action that asks
  if [[ "${GITHUB_ACTIONS:-}" == true && "${name}" != extra ]]; then
    echo "::$1 title=${name}::$2"
  else
    echo "$1: $2" >&2
  fi
}
fail() { # STATUS MESSAGE
  say error "$2"
  exit "$1"
}

case "${name}" in
  dev)
    [[ $# -gt 1 ]] || fail 2 "usage: run.sh dev COMMAND…"
    extras=(--group dev --extra local)
    for one in ${known} direct-s3; do extras+=(--extra "${one}"); done
    ;;
  extra)
    # DVC itself, or what reads a remote.
    [[ "${2:-}" =~ ^(dvc|direct-s3|remote-[a-z0-9-]+)$ && -n "${3:-}" ]] || fail 2 "usage: run.sh extra remote-… FOLDER"
    extras=(--extra "$2")
    ;;
  *) extras=(--extra "${name}") ;;
esac

# Another tool's Python settings must not steer ours; where packages come from may.
for variable in ${!UV_@} ${!PYTHON@} VIRTUAL_ENV; do
  # The project's own commands get them back.
  [[ ! "${name}" =~ ^(run-command|verify-deployment)$ || -z "${!variable+x}" ]] \
    || export "MODEL_GITOPS_JOB_${variable}=${!variable}"
  case "${variable}" in
    UV_DEFAULT_INDEX | UV_INDEX | UV_INDEX_* | UV_EXTRA_INDEX_URL | UV_FIND_LINKS) ;;
    UV_OFFLINE | UV_CACHE_DIR | UV_NATIVE_TLS | UV_SYSTEM_CERTS) ;;
    *) unset "${variable}" ;;
  esac
done

# Where environments are kept. What an earlier job left is never believed: SECURITY.md, "What outlives a job".
ours() { # FOLDER: it is one, no link, ours, and nobody else may write to it
  [[ -d "$1" ]] || (umask 077 && mkdir -p "$1" 2>/dev/null) || true
  [[ -n "$(find "$1" -prune -type d -user "${EUID}" ! -perm -020 ! -perm -002 2>/dev/null)" ]]
}
store="" kept=false person=false
[[ -n "${RUNNER_TEMP:-}" || "${GITHUB_ACTIONS:-}" == true || -z "${XDG_CACHE_HOME:-${HOME:-}}" ]] || person=true
if [[ "${name}" == extra ]]; then
  store=${3%/*} # that of the action that asks
  [[ ! -f "$3.manifest" ]] || kept=true
elif [[ -n "${MODEL_GITOPS_STORE:-}" ]]; then
  store=${MODEL_GITOPS_STORE} kept=true # the runner's owner says so
elif [[ -n "${RUNNER_TEMP:-}" ]]; then
  ! ours "${RUNNER_TEMP}/model-gitops" || store="${RUNNER_TEMP}/model-gitops"
elif [[ "${person}" == true ]]; then
  store="${XDG_CACHE_HOME:-${HOME}/.cache}/model-gitops"
  if ! ours "${store}"; then
    [[ ! -e "${store}" && ! -L "${store}" ]] ||
      fail 2 "${store} is not ours alone: give it to this account and chmod 0700 it, or remove it"
    store="" # no home to write to
  fi
fi
[[ -n "${store}" ]] || store=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/model-gitops-XXXXXX" 2>/dev/null) ||
  fail 4 "no folder can be made in ${RUNNER_TEMP:-${TMPDIR:-/tmp}}: let RUNNER_TEMP or TMPDIR name one that this account may write"

digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; } # Linux, macOS

lock=$(cat "${here}/requirements.txt" "${here}/../pyproject.toml" | digest)
environment="${store}/${lock:0:16}"
case "${name}" in
  dev) environment+=-dev kept=false ;; # a developer's tools write into it
  extra) environment=$3 ;;
  # Each its own where files are compared: a light action does not pay for DVC's ten thousand.
  *) [[ "${kept}" != true ]] || environment+="-${name}" ;;
esac
python="${environment}/bin/python"
ready="${environment}/ready-${extras[1]}" # written last: a set-up that was cut off is made again
[[ "${name}" != dev ]] || ready+="-$(digest <<<"${extras[*]}" | cut -c1-16)" # a new action may need more

# The system's Python where there is one: PATH and a store may hold what a job left.
store_tool() {
  [[ "${kept}" != true ]] ||
    "$(command -pv python3 || echo python3)" -I -S "${here}/model_gitops/adapters/tool_store.py" "$@"
}
intact() { store_tool check "$1"; } # FOLDER: in a kept store each file is as we left it; else says why not
record() { store_tool record "$1"; }

find_uv() {
  local pinned fresh hash
  command -v uv && return
  hash=$(digest <"${here}/uv.txt")
  pinned="${store}/uv-${hash:0:16}"
  if [[ ! -x "${pinned}/bin/uv" ]] || ! intact "${pinned}" >&2; then
    fresh=$(mktemp -d "${store}/uv-XXXXXX")
    # -I: no module of the working directory, and nothing of the account's own packages.
    PIP_ROOT_USER_ACTION=ignore python3 -I -m pip install --quiet --disable-pip-version-check --no-deps \
      --require-hashes --only-binary :all: --target "${fresh}" --requirement "${here}/uv.txt" >&2 || return
    rm -rf "${pinned}"
    mv "${fresh}" "${pinned}"
    record "${pinned}"
  fi
  echo "${pinned}/bin/uv"
}

# Most actions need a few wheels, which are there before uv would be. Where that is not so uv does it all.
install_wheels() {
  [[ "${name}" != dev ]] && python3 -I "${here}/model_gitops/adapters/wheel_installer.py" \
    "${environment}" "${extras[1]}" "${here}" "${kept}"
}

# What was put there since a set-up began that was cut off: uv and we ourselves would take it for whole.
begun() { # FIND'S-ARGUMENTS
  find "${environment}"/lib/python*/site-packages -maxdepth 1 -newer "${environment}/unfinished" "$@" 2>/dev/null || true
}

install() {
  local uv said options cut=false
  if [[ -e "${environment}/unfinished" ]]; then
    cut=true
    begun -name '*.dist-info' -exec rm -rf {} +
  elif install_wheels; then
    echo wheels >"${ready}"
    record "${environment}"
    return
  fi
  uv=$(find_uv) || fail 4 "uv is not on PATH and pip can't install it: install uv on the runner"
  [[ -x "${python}" ]] || rm -rf "${environment}"
  [[ -x "${python}" ]] ||
    "${uv}" venv --quiet --no-project --python ">=3.11" --python-preference system "${environment}" ||
    fail 4 "there is no Python 3.11 or newer: add actions/setup-python before this step"
  # The lock is a constraint with hashes: what is installed is in it, and is what it was. That holds
  # for what builds a package as well, which only those without a wheel need.
  options=(--constraint "${here}/requirements.txt" --verify-hashes --build-constraint "${here}/requirements.txt")
  [[ "${name}" == dev ]] || options+=(--only-binary :all:
    --no-binary antlr4-python3-runtime --no-binary crcmod --no-binary oss2)
  [[ "${kept}" != true ]] || options+=(--compile-bytecode) # Python itself would add it at the first use
  : >"${environment}/unfinished" # stays if this is killed: what is added later is not believed to be there
  said=$("${uv}" pip install --quiet --python "${python}" --requirement "${here}/../pyproject.toml" \
    "${extras[@]}" "${options[@]}" 2>&1) || {
    [[ "${cut}" == true || -n "$(begun)" ]] || rm -f "${environment}/unfinished"
    echo "${said}" >&2
    [[ "${said}" != *"Hash mismatch for "* ]] || {
      said=${said#*Hash mismatch for }
      fail 4 "the package index gave another file than the lock names: ${said%%$'\n'*}: use an index that serves the files of scripts/requirements.txt, and tell who runs this one"
    }
    fail 4 "the packages of ${extras[1]} can't be installed: can this runner reach the package index?"
  }
  rm -f "${environment}/unfinished"
  echo "${uv}" >"${ready}"
  record "${environment}"
}

whole() { [[ -f "${ready}" && -x "${python}" ]]; } # the machine's Python may have gone
[[ "${kept}" != true || -d "${store}" ]] || (umask 077 && mkdir -p "${store}" 2>/dev/null) || true
status=0
problem=$(store_tool check "${environment}" "${store}") || status=$?
[[ "${status}" -lt 2 ]] || fail 2 "the store MODEL_GITOPS_STORE=${store} can't be used: ${problem}"
if [[ "${status}" == 1 ]] || ! whole; then
  export UV_NO_CONFIG=1 UV_NO_PROGRESS=1
  # uv takes what its cache holds for what the hash is of: no cache that outlives a job is used in one.
  if [[ "${kept}" == true ]]; then
    export UV_NO_CACHE=1 UV_LINK_MODE=copy
  elif [[ "${person}" != true ]]; then
    export UV_CACHE_DIR="${store}/uv-cache"
  fi
  (
    # Jobs of one machine may share the store. macOS has no flock; its runners run one job.
    if command -v flock >/dev/null; then flock 9; fi
    if [[ -d "${environment}" ]] && ! change=$(intact "${environment}"); then
      [[ "${name}" != extra ]] || fail 4 "${environment} was changed while it is in use: ${change}"
      say notice "${environment} is made again: ${change}"
      rm -rf "${environment}"
    fi
    { whole && intact "${environment}" >/dev/null; } || install
  ) 9>"${store}/lock"
fi

[[ "${name}" != extra ]] || exit 0
if [[ "${name}" == dev ]]; then
  PATH="${environment}/bin:${PATH}" exec "${@:2}"
fi
# That this script can be asked for an extra, and for what `local` starts.
MODEL_GITOPS_UV=$(<"${ready}")
export MODEL_GITOPS_UV
# -I: nothing of the user's Python set-up, and nothing of the working directory, is imported.
exec "${python}" -I -u "${here}" "$@"
