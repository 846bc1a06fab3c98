#!/usr/bin/env bash
# act 0.2.89: a composite action's declared output takes what its last step wrote under that name.
#
# Expected: the value that `outputs:` of action.yml declares, that of the step "push"; and no output that
# is not declared there. So GitHub's reference of action.yml describes it.
# Happens: the last inner step's outputs become the action's own: they replace a declared one of the same
# name, and undeclared ones can be read.
# Versions: act 0.2.89 (built by Go 1.26.8), Git 2.39.5
# Seen on 2026-11-29:
#   act version 0.2.89
#   digest is scanned, report is 'clean'
set -euo pipefail

stated=$(sed -n 's/^#   //p' "$0") # the lines above, line by line
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
unset "${!GIT_@}" "${!XDG_@}" "${!ACT_@}"
export HOME="${work}" TMPDIR="${work}" LC_ALL=C.UTF-8 GIT_CONFIG_NOSYSTEM=1
export GOPATH="${work}/go" GOMODCACHE="${work}/go/mod" GOCACHE="${work}/go/cache" GOBIN="${work}/bin" GOFLAGS=-modcacherw
timeout 900 go install github.com/nektos/act@v0.2.89 2>"${work}/log" || exit 2
git config --global user.name finding
git config --global user.email finding@example.com

git init --quiet --initial-branch main "${work}/repo" && cd "${work}/repo"
mkdir -p .github/workflows publish
cat >.github/workflows/publish.yml <<'YAML'
on: push
jobs:
  publish:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4 # act copies the folder, without a network
      - id: publish
        uses: ./publish
      - run: echo "digest is ${{ steps.publish.outputs.digest }}, report is '${{ steps.publish.outputs.report }}'"
YAML
cat >publish/action.yml <<'YAML'
name: publish
description: Push, then scan
outputs:
  digest:
    description: What was pushed
    value: ${{ steps.push.outputs.digest }}
runs:
  using: composite
  steps:
    - {id: push, shell: bash, run: echo digest=pushed >>"$GITHUB_OUTPUT"}
    - {id: scan, shell: bash, run: 'printf "digest=scanned\nreport=clean\n" >>"$GITHUB_OUTPUT"'}
YAML
git add . && git commit --quiet --message publish
{
  "${work}/bin/act" --version
  timeout 120 "${work}/bin/act" push --platform ubuntu-latest=-self-hosted 2>"${work}/log" | sed -n 's/.*  | //p'
} >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
