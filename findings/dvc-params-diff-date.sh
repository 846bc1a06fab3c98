#!/usr/bin/env bash
# DVC 3.67.1: `dvc params diff --json` fails on a date among the params.
#
# Expected: the old and the new value as text, as the table shows them. An unquoted date is valid YAML.
# Happens: "unexpected error", because the date reaches the JSON writer as a Python object.
# Versions: dvc 3.67.1, Python 3.11.7, Git 2.39.5
# Seen on 2026-11-29:
#   3.67.1
#   $ dvc params diff
#   Path         Param    HEAD        workspace
#   params.yaml  until    2026-01-01  2026-02-01
#   [exit 0]
#   $ dvc params diff --json
#   ERROR: unexpected error - Object of type date is not JSON serializable
#   [exit 255]
set -euo pipefail

stated=$(sed -n 's/^#   //p' "$0") # the lines above, line by line
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
unset "${!GIT_@}" "${!XDG_@}" "${!DVC_@}"
export HOME="${work}" TMPDIR="${work}" LC_ALL=C.UTF-8 GIT_CONFIG_NOSYSTEM=1
export DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="${work}/site" DVC_SYSTEM_CONFIG_DIR="${work}/system"
timeout 300 python3 -m venv "${work}/venv"
timeout 900 "${work}/venv/bin/pip" --quiet install --no-cache-dir --no-compile --disable-pip-version-check dvc==3.67.1 || exit 2
dvc() { timeout 300 "${work}/venv/bin/dvc" "$@"; }
git config --global user.name finding
git config --global user.email finding@example.com

seen() { # a command as it is typed, what it prints, its exit status
  local status=0
  echo "\$ $*"
  "$@" 2>&1 || status=$?
  echo "[exit ${status}]"
}

git init --quiet --initial-branch main "${work}/repo" && cd "${work}/repo"
dvc init --quiet
echo 'until: 2026-01-01' >params.yaml
git add . && git commit --quiet --message one
echo 'until: 2026-02-01' >params.yaml
{
  dvc --version
  seen dvc params diff
  seen dvc params diff --json
} | sed '/^$/d; /^Having any troubles/d' >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
