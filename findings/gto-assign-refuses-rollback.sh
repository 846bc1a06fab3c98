#!/usr/bin/env bash
# GTO 1.10.1: `gto assign` refuses a rollback, though the stage holds another version now.
#
# Expected: prod went from v1.0.0 to v2.0.0, so giving it back to v1.0.0 is a new assignment.
# Happens: refused as "already in stage", while `gto show` says v2.0.0. Only --force rolls back.
# Versions: gto 1.10.1, Python 3.11.7, Git 2.39.5
# Seen on 2026-11-29:
#   🪴  GTO Version: 1.10.1
#   $ gto show m#prod --version
#   v2.0.0
#   [exit 0]
#   $ gto assign m --version v1.0.0 --stage prod
#   ❌ Version 'v1.0.0' is already in stage 'prod'. Use the '--force' flag to create a new Git tag nevertheless.
#   [exit 1]
#   $ gto assign m --version v1.0.0 --stage prod --force
#   Created git tag 'm#prod#3' that assigns stage to version 'v1.0.0'
#   [exit 0]
#   $ gto show m#prod --version
#   v1.0.0
#   [exit 0]
set -euo pipefail

stated=$(sed -n 's/^#   //p' "$0") # the lines above, line by line
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
unset "${!GIT_@}" "${!XDG_@}"
export HOME="${work}" TMPDIR="${work}" LC_ALL=C.UTF-8 GIT_CONFIG_NOSYSTEM=1 COLUMNS=200
timeout 300 python3 -m venv "${work}/venv"
timeout 900 "${work}/venv/bin/pip" --quiet install --no-cache-dir --no-compile --disable-pip-version-check gto==1.10.1 || exit 2
gto() { timeout 300 "${work}/venv/bin/gto" "$@"; }
git config --global user.name finding
git config --global user.email finding@example.com

seen() { # a command as it is typed, what it prints, its exit status
  local status=0
  echo "\$ $*"
  "$@" 2>&1 || status=$?
  echo "[exit ${status}]"
}

git init --quiet --initial-branch main "${work}/repo" && cd "${work}/repo"
for number in 1 2; do
  git commit --quiet --allow-empty --message "model ${number}"
  gto register m --version "v${number}.0.0" >/dev/null
  gto assign m --version "v${number}.0.0" --stage prod >/dev/null
  sleep 1.1 # GTO orders by the tagger's second
done
{
  gto --version
  seen gto show 'm#prod' --version
  seen gto assign m --version v1.0.0 --stage prod
  seen gto assign m --version v1.0.0 --stage prod --force
  seen gto show 'm#prod' --version
} | sed '/^$/d; /^To push/,+1d' >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
