#!/usr/bin/env bash
# DVC 3.67.1: `dvc pull data.csv.dvc model.bin` pulls only the first of its targets.
#
# Expected: both targets, in either order.
# Happens: after a target that is a .dvc file, a target that is an output in dvc.yaml is left out, with
# no message and exit status 0. In the other order both come.
# Versions: dvc 3.67.1, Python 3.11.7, Git 2.39.5
# Seen on 2026-11-29:
#   3.67.1
#   $ dvc pull data.csv.dvc model.bin
#   A       data.csv
#   1 file fetched and 1 file added
#   [exit 0]
#   $ ls
#   data.csv
#   data.csv.dvc
#   dvc.lock
#   dvc.yaml
#   [exit 0]
#   $ dvc pull model.bin data.csv.dvc
#   A       data.csv
#   A       model.bin
#   2 files fetched and 2 files added
#   [exit 0]
#   $ ls
#   data.csv
#   data.csv.dvc
#   dvc.lock
#   dvc.yaml
#   model.bin
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
dvc remote add --quiet --default store "${work}/store"
echo data >data.csv
dvc add --quiet data.csv
dvc stage add --quiet --run --name train --deps data.csv --outs model.bin 'wc data.csv >model.bin'
git add . && git commit --quiet --message trained
dvc push --quiet

clone() { git clone --quiet "${work}/repo" "${work}/$1" && cd "${work}/$1"; } # its cache is empty
{
  dvc --version
  clone one
  seen dvc pull data.csv.dvc model.bin
  seen ls
  clone two
  seen dvc pull model.bin data.csv.dvc
  seen ls
} >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
