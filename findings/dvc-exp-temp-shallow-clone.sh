#!/usr/bin/env bash
# DVC 3.67.1 with Git: in a shallow clone `dvc exp run --temp` runs the stages and loses the result.
#
# Expected: the experiment is kept, as in a full clone and as in the workspace of this one; or an error.
# Happens: the stages run, the status is 0, no warning is shown, and there is no experiment. The
# checkout of a CI job is shallow by default.
# Versions: dvc 3.67.1, Python 3.11.7, Git 2.39.5
# Seen on 2026-11-29:
#   3.67.1
#   $ dvc exp run --quiet --temp --name trial --set-param lr=2
#   [exit 0]
#   $ dvc exp list --name-only
#   trial
#   [exit 0]
#   # in a clone of depth 1, in the workspace
#   $ dvc exp run --quiet --name trial --set-param lr=2
#   [exit 0]
#   $ dvc exp list --name-only
#   trial
#   [exit 0]
#   # in a clone of depth 1, in a folder of its own
#   $ dvc exp run --temp --name trial --set-param lr=2
#   Reproducing experiment 'trial'
#   Running stage 'train':
#   > cp params.yaml metrics.yaml
#   Updating lock file 'dvc.lock'
#   [exit 0]
#   $ dvc exp list --name-only
#   [exit 0]
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
echo 'lr: 1' >params.yaml
cat >dvc.yaml <<'YAML'
stages:
  train:
    cmd: cp params.yaml metrics.yaml
    params: [lr]
    metrics: [{metrics.yaml: {cache: false}}]
YAML
dvc repro --quiet
git add . && git commit --quiet --message trained
git commit --quiet --allow-empty --message 'a second commit, for the clone to leave out the first'

full() { git clone --quiet "file://${work}/repo" "${work}/$1" && cd "${work}/$1"; }
shallow() { git clone --quiet --depth 1 "file://${work}/repo" "${work}/$1" && cd "${work}/$1"; }
{
  dvc --version
  full one
  seen dvc exp run --quiet --temp --name trial --set-param lr=2
  seen dvc exp list --name-only
  echo "# in a clone of depth 1, in the workspace"
  shallow two
  seen dvc exp run --quiet --name trial --set-param lr=2
  seen dvc exp list --name-only
  echo "# in a clone of depth 1, in a folder of its own"
  shallow three
  seen dvc exp run --temp --name trial --set-param lr=2
  seen dvc exp list --name-only
} | sed '/^$/d' >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
