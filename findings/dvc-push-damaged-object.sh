#!/usr/bin/env bash
# DVC 3.67.1: `dvc push` deletes a damaged object from the cache, and ends with exit status 0.
#
# Expected: an error that names the damaged object and its file, and a status that is not 0: what the
# commit names is not on the remote.
# Happens: the object is deleted, reported as one that "does not exist", and the status is 0, now and
# each time after. A pipeline goes on, and nobody can pull this commit.
# Versions: dvc 3.67.1, Python 3.11.7, Git 2.39.5
# Seen on 2026-11-29:
#   3.67.1
#   $ ls .dvc/cache/files/md5/45/8d5f1afc81ae7291a7aaad852dc12a
#   .dvc/cache/files/md5/45/8d5f1afc81ae7291a7aaad852dc12a
#   [exit 0]
#   $ dvc push
#   WARNING: Some of the cache files do not exist neither locally nor on remote. Missing cache files:
#   md5: 458d5f1afc81ae7291a7aaad852dc12a
#   1 file pushed
#   [exit 0]
#   $ dvc push
#   WARNING: Some of the cache files do not exist neither locally nor on remote. Missing cache files:
#   md5: 458d5f1afc81ae7291a7aaad852dc12a
#   Everything is up to date.
#   [exit 0]
#   $ ls .dvc/cache/files/md5/45/8d5f1afc81ae7291a7aaad852dc12a
#   ls: cannot access '.dvc/cache/files/md5/45/8d5f1afc81ae7291a7aaad852dc12a': No such file or directory
#   [exit 2]
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
echo whole >whole.bin
echo model >model.bin
dvc add --quiet whole.bin model.bin
md5=$(sed -n 's/^- md5: //p' model.bin.dvc)
object=".dvc/cache/files/md5/${md5:0:2}/${md5:2}"
chmod u+w "${object}"
echo bit rot >"${object}" # a disk's fault, or a job that wrote through a link
{
  dvc --version
  seen ls "${object}"
  seen dvc push
  seen dvc push
  seen ls "${object}"
} >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
