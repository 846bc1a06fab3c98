#!/usr/bin/env bash
# kustomize 5.8.1: `tagSuffix` is added twice in a Deployment, once in a CronJob.
#
# Expected: server:v1-gpu in both.
# Happens: where the image is in spec.template.spec.containers the suffix is added twice; in a CronJob's
# spec.jobTemplate, one level deeper, once. So no value of tagSuffix is right for both.
# Versions: kustomize v5.8.1 (built by Go 1.26.8)
# Seen on 2026-11-29:
#   v5.8.1
#   Deployment
#   image: server:v1-gpu-gpu
#   CronJob
#   image: server:v1-gpu
set -euo pipefail

stated=$(sed -n 's/^#   //p' "$0") # the lines above, line by line
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT
unset "${!XDG_@}"
export HOME="${work}" TMPDIR="${work}" LC_ALL=C.UTF-8
export GOPATH="${work}/go" GOMODCACHE="${work}/go/mod" GOCACHE="${work}/go/cache" GOBIN="${work}/bin" GOFLAGS=-modcacherw
timeout 900 go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1 2>"${work}/log" || exit 2

mkdir "${work}/deploy" && cd "${work}/deploy"
cat >kustomization.yaml <<'YAML'
resources: [model.yaml]
images:
- name: server
  tagSuffix: -gpu
YAML
cat >model.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec: {template: {spec: {containers: [{name: server, image: "server:v1"}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: retrain}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: retrain, image: "server:v1"}]}}}}}
YAML
{
  timeout 60 "${work}/bin/kustomize" version
  timeout 60 "${work}/bin/kustomize" build | sed -n 's/^kind: //p; s/.*image: /image: /p'
} >"${work}/seen"

diff <(echo "${stated}") "${work}/seen"
