#!/usr/bin/env bash
# GTO 1.10.1: after `gto deprecate`, the next `gto register` makes a lower version.
#
# Expected: a version after v1.0.0, which was published and withdrawn: v1.0.1.
# Happens: the withdrawn version is not counted, so the numbers start again at v0.0.1. Yet v1.0.0 can't
# be registered again: it is counted there.
# Versions: gto 1.10.1, Python 3.11.7, Git 2.39.5
# Seen on 2026-11-29:
#   🪴  GTO Version: 1.10.1
#   $ gto register m --version v1.0.0
#   Created git tag 'm@v1.0.0' that registers version
#   [exit 0]
#   $ gto deprecate m v1.0.0
#   Created git tag 'm@v1.0.0!' that deregisters version
#   [exit 0]
#   $ gto register m
#   Created git tag 'm@v0.0.1' that registers version
#   [exit 0]
#   $ gto register m --version v1.0.0
#   ❌ Version 'v1.0.0' already was registered.
#   [exit 1]
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
git commit --quiet --allow-empty --message one
{
  gto --version
  seen gto register m --version v1.0.0
  seen gto deprecate m v1.0.0
  git commit --quiet --allow-empty --message two
  sleep 1.1 # GTO orders by the tagger's second
  seen gto register m
  git commit --quiet --allow-empty --message three
  seen gto register m --version v1.0.0
} | sed '/^$/d; /^To push/,+1d' >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
