#!/usr/bin/env bash
# DVC 3.67.1 with GTO 1.10.1: `dvc artifacts get` fetches a version that GTO has withdrawn.
#
# Expected: the same answer from both: v1.0.0 is the latest, and nothing is in prod.
# Happens: DVC reads the tags that register and assign, not those of `gto deprecate` that take it back.
# It fetches v2.0.0 as the latest and as the one in prod, without a warning.
# Versions: dvc 3.67.1, gto 1.10.1, Python 3.11.7, Git 2.39.5
# Seen on 2026-11-29:
#   3.67.1
#   🪴  GTO Version: 1.10.1
#   $ gto show m@latest --version
#   v1.0.0
#   [exit 0]
#   $ gto show m#prod --version
#   [exit 0]
#   $ dvc artifacts get . m --quiet --out latest
#   [exit 0]
#   $ cat latest
#   model 2
#   [exit 0]
#   $ dvc artifacts get . m --quiet --stage prod --out prod
#   [exit 0]
#   $ cat prod
#   model 2
#   [exit 0]
set -euo pipefail

stated=$(sed -n 's/^#   //p' "$0") # the lines above, line by line
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
unset "${!GIT_@}" "${!XDG_@}" "${!DVC_@}"
export HOME="${work}" TMPDIR="${work}" LC_ALL=C.UTF-8 GIT_CONFIG_NOSYSTEM=1
export DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="${work}/site" DVC_SYSTEM_CONFIG_DIR="${work}/system"
timeout 300 python3 -m venv "${work}/venv"
timeout 900 "${work}/venv/bin/pip" --quiet install --no-cache-dir --no-compile --disable-pip-version-check \
  dvc==3.67.1 gto==1.10.1 || exit 2
dvc() { timeout 300 "${work}/venv/bin/dvc" "$@"; }
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
dvc init --quiet
printf 'artifacts:\n  m:\n    path: model.bin\n    type: model\n' >dvc.yaml
for number in 1 2; do
  echo "model ${number}" >model.bin
  dvc add --quiet model.bin
  git add . && git commit --quiet --message "model ${number}"
  gto register m --version "v${number}.0.0" >/dev/null
  sleep 1.1 # GTO orders by the tagger's second
done
gto assign m --version v2.0.0 --stage prod >/dev/null
sleep 1.1
gto deprecate m v2.0.0 prod >/dev/null # takes the stage away
gto deprecate m v2.0.0 >/dev/null      # withdraws the version
{
  dvc --version
  gto --version
  seen gto show 'm@latest' --version
  seen gto show 'm#prod' --version
  seen dvc artifacts get . m --quiet --out latest
  seen cat latest
  seen dvc artifacts get . m --quiet --stage prod --out prod
  seen cat prod
} >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
