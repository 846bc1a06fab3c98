#!/usr/bin/env bash
# The steps of promote.yml and deploy.yml by the plain tools: flow_steps.sh promote|deploy.
# Run in the checkout, with these variables: IMAGE, BASE_IMAGE, DEPLOY_URL, DEPLOY_HEADER, API, TOKEN, NUMBER,
# and COLD, a folder for the tools where the job must install them itself ("": they are on PATH).
set -euo pipefail
model=models/diabetes.onnx
work=$(mktemp -d)
trap 'rm -rf "${work}"' EXIT

setup() { # of a job on an empty machine
  [[ -n "${COLD}" ]] || return 0
  python3 -m venv "${COLD}/$1"
  "${COLD}/$1/bin/pip" install --quiet --disable-pip-version-check "dvc==${DVC}" "gto==${GTO}"
  PATH="${COLD}/$1/bin:${PATH}"
}

build_test_push() { # VERSION TAG: the image is tested before it is pushed
  local container port
  docker buildx build --quiet --load --tag "${IMAGE}:$2" --build-context model=models \
    --build-arg "BASE_IMAGE=${BASE_IMAGE}" --build-arg "MODEL_VERSION=$1" .
  container=$(docker run --detach --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
    --publish 127.0.0.1::8080 "${IMAGE}:$2")
  port=$(docker port "${container}" 8080/tcp)
  for _ in $(seq 600); do
    ! curl --silent --fail --output "${work}/health" "http://${port}/readyz" || break
    sleep 0.1
  done
  curl --silent --fail --header 'Content-Type: application/json' --data '{"rows": [[1, 2]]}' \
    "http://${port}/predict" >"${work}/answer"
  docker rm --force "${container}" >"${work}/removed"
  grep --quiet '"predictions"' "${work}/answer"
  docker push --quiet "${IMAGE}:$2"
}

case $1 in
  promote)
    setup candidate
    # The gate: what runs against the branch.
    version=$(gto show 'diabetes#dev' --version)
    dvc metrics diff --json "diabetes@${version}" >"${work}/metrics.json"
    python3 - "${work}/metrics.json" <<'PYTHON'
import json, sys
r2 = json.load(open(sys.argv[1]))["eval/metrics.json"]["r2"]
sys.exit(r2["new"] < r2["old"] - 0.01)
PYTHON
    # The model, and whether everybody can pull it.
    dvc pull --quiet "${model}.dvc"
    dvc status --cloud "${model}.dvc"
    build_test_push "next" "pr-${NUMBER}"
    # The report, from a job of its own.
    setup report
    {
      dvc metrics diff --md origin/main
      dvc params diff --md origin/main
    } >"${work}/report.md"
    dvc plots diff --out "${work}/plots" origin/main
    python3 -c 'import json, sys; print(json.dumps({"body": sys.stdin.read()}))' <"${work}/report.md" >"${work}/comment.json"
    curl --silent --fail --header "Authorization: Bearer ${TOKEN}" --data "@${work}/comment.json" \
      "${API}/repos/acme/diabetes/issues/${NUMBER}/comments" >"${work}/answer"
    ;;
  deploy)
    setup deploy
    dvc pull --quiet "${model}.dvc"
    gto register diabetes
    version=$(gto show 'diabetes@greatest' --version)
    git push --quiet origin "refs/tags/diabetes@${version}"
    build_test_push "${version}" "${version}"
    digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "${IMAGE}:${version}")
    git -c "http.extraheader=${DEPLOY_HEADER}" clone --quiet --depth 1 "${DEPLOY_URL}" "${work}/deploy"
    cd "${work}/deploy/overlays/dev"
    kustomize edit set image "diabetes=${IMAGE}:${version}@${digest##*@}"
    git -c user.name=bench -c user.email=bench@example.com commit --quiet --all \
      --message "Deploy diabetes ${version} to dev"
    git -c "http.extraheader=${DEPLOY_HEADER}" push --quiet origin HEAD:main
    cd "${OLDPWD}"
    gto assign diabetes --version "${version}" --stage dev
    git push --quiet origin --tags
    ;;
esac
