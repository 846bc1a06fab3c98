"""A good manifest of each kind that a deploy repository may have: small, and valid for a cluster."""

from __future__ import annotations

import json
from typing import Any

import yaml

IMAGE = "ghcr.io/acme/diabetes:v1@sha256:" + "a" * 64
CONTAINER = f"""
image: {IMAGE}
resources: {{requests: {{cpu: 100m}}, limits: {{memory: 1Gi}}}}
securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
"""
POD = "{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}"
CONTAINER_LINE = json.dumps(yaml.safe_load(CONTAINER))
NAMED_LINE = json.dumps({"name": "diabetes"} | yaml.safe_load(CONTAINER))
WORKFLOW = f"""
  entrypoint: train
  serviceAccountName: training
  securityContext: {POD}
  podMetadata: {{labels: {{app: diabetes}}}}
  volumes: [{{name: tmp, emptyDir: {{}}}}]
  synchronization: {{mutexes: [{{name: training}}]}}
  templates:
    - name: train
      dag: {{tasks: [{{name: a, template: fit}}, {{name: b, template: check, dependencies: [a]}}]}}
    - name: fit
      retryStrategy: {{limit: 2, retryPolicy: OnError}}
      outputs: {{artifacts: [{{name: model, path: /tmp/model}}]}}
      container: {CONTAINER_LINE}
      sidecars: [{NAMED_LINE}]
    - name: check
      script: {json.dumps(yaml.safe_load(CONTAINER) | {"source": "true", "command": ["sh"]})}
"""
GOOD = {
    "Deployment": f"""
apiVersion: apps/v1
spec:
  selector: {{matchLabels: {{app: diabetes}}}}
  template: {{metadata: {{labels: {{app: diabetes}}}}, spec: {{securityContext: {POD}, containers: [{NAMED_LINE}]}}}}
""",
    "Rollout": f"""
apiVersion: argoproj.io/v1alpha1
spec:
  replicas: 4
  selector: {{matchLabels: {{app: diabetes}}}}
  strategy:
    canary:
      stableService: diabetes
      canaryService: diabetes-canary
      steps: [{{setWeight: 20}}, {{pause: {{duration: 10m}}}}, {{analysis: {{templates: [{{templateName: errors}}]}}}}]
  template:
    metadata: {{labels: {{app: diabetes}}}}
    spec: {{securityContext: {POD}, volumes: [{{name: tmp, emptyDir: {{}}}}], containers: [{NAMED_LINE}]}}
""",
    "AnalysisTemplate": f"""
apiVersion: argoproj.io/v1alpha1
spec:
  metrics:
    - {{name: errors, interval: 1m, successCondition: "result[0] < 0.01", provider: {{prometheus: {{address: "http://p", query: up}}}}}}
    - name: job
      provider:
        job:
          spec: {{template: {{spec: {{restartPolicy: Never, securityContext: {POD}, containers: [{NAMED_LINE}]}}}}}}
""",
    "WorkflowTemplate": f"\napiVersion: argoproj.io/v1alpha1\nspec:{WORKFLOW}",
    "Workflow": f"\napiVersion: argoproj.io/v1alpha1\nspec:{WORKFLOW}",
    "CronWorkflow": "\napiVersion: argoproj.io/v1alpha1\nspec:\n  schedules: ['0 3 * * 1']\n  concurrencyPolicy: Forbid\n"
    "  workflowSpec:" + WORKFLOW.replace("\n", "\n  "),
    "Sensor": f"""
apiVersion: argoproj.io/v1alpha1
spec:
  template: {{serviceAccountName: sensor, securityContext: {POD}, container: {json.dumps({k: v for k, v in yaml.safe_load(CONTAINER).items() if k != "image"})}}}
  dependencies: [{{name: push, eventSourceName: github, eventName: diabetes}}]
  triggers:
    - template:
        name: start
        k8s:
          operation: create
          source:
            resource:
              apiVersion: argoproj.io/v1alpha1
              kind: Workflow
              metadata: {{generateName: deliver-}}
              spec: {{workflowTemplateRef: {{name: deliver}}, arguments: {{parameters: [{{name: ref, value: x}}]}}}}
          parameters: [{{src: {{dependencyName: push, dataKey: body.ref}}, dest: spec.arguments.parameters.0.value}}]
""",
    "EventSource": f"""
apiVersion: argoproj.io/v1alpha1
spec:
  template: {{securityContext: {POD}, container: {json.dumps({k: v for k, v in yaml.safe_load(CONTAINER).items() if k != "image"})}}}
  service: {{ports: [{{port: 12000, targetPort: 12000}}]}}
  github:
    diabetes:
      repositories: [{{owner: acme, names: [diabetes]}}]
      webhook: {{endpoint: /push, port: "12000", method: POST}}
      events: [push]
      webhookSecret: {{name: github, key: secret}}
""",
    "EventBus": f"""
apiVersion: argoproj.io/v1alpha1
spec:
  jetstream:
    version: 2.10.10
    replicas: 3
    securityContext: {POD}
    containerTemplate: &a {json.dumps({k: v for k, v in yaml.safe_load(CONTAINER).items() if k != "image"})}
    metricsContainerTemplate: *a
    reloaderContainerTemplate: *a
""",
    "InferenceService": f"""
apiVersion: serving.kserve.io/v1beta1
spec:
  predictor:
    minReplicas: 1
    securityContext: {POD}
    model: {json.dumps({"modelFormat": {"name": "sklearn"}, "storageUri": f"oci://{IMAGE}"} | yaml.safe_load(CONTAINER))}
""",
    "HTTPRoute": """
apiVersion: gateway.networking.k8s.io/v1
spec:
  parentRefs: [{name: gateway}]
  rules: [{backendRefs: [{name: diabetes, port: 80, weight: 80}, {name: diabetes-canary, port: 80, weight: 20}]}]
""",
    "PodMonitor": """
apiVersion: monitoring.coreos.com/v1
spec: {selector: {matchLabels: {app: diabetes}}, podMetricsEndpoints: [{port: http, path: /metrics}]}
""",
    "PrometheusRule": """
apiVersion: monitoring.coreos.com/v1
spec: {groups: [{name: diabetes, rules: [{alert: Gone, expr: absent(up), for: 5m, labels: {severity: page}}]}]}
""",
    "Application": """
apiVersion: argoproj.io/v1alpha1
spec:
  project: diabetes
  source: {repoURL: "https://example.com/d.git", path: overlays/dev, targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: diabetes-dev}
  syncPolicy: {automated: {prune: true}}
""",
    "ApplicationSet": """
apiVersion: argoproj.io/v1alpha1
spec:
  goTemplate: true
  strategy: {type: RollingSync, rollingSync: {steps: [{matchExpressions: [{key: environment, operator: In, values: [dev]}]}]}}
  generators: [{git: {repoURL: "https://example.com/d.git", revision: main, directories: [{path: overlays/*}]}}]
  template:
    metadata: {name: "{{.path.basename}}"}
    spec: {project: diabetes, destination: {name: here}, source: {repoURL: "https://example.com/d.git", path: x}}
""",
    "AppProject": """
apiVersion: argoproj.io/v1alpha1
spec: {sourceRepos: [a], destinations: [{namespace: x, name: here}], namespaceResourceBlacklist: [{group: "", kind: Secret}]}
""",
    "ClusterPolicy": """
apiVersion: kyverno.io/v1
spec:
  rules: [{name: labels, match: {any: [{resources: {kinds: [Pod]}}]}, validate: {message: m, pattern: {metadata: {labels: {app: "?*"}}}}}]
""",
}  # fmt: skip


def manifest(kind: str, old: str = "", new: str = "") -> dict[str, Any]:
    text = f"kind: {kind}\nmetadata: {{name: {kind.lower()}}}{GOOD[kind]}"
    assert not old or text.count(old) >= 1, f"{old} is not in it"
    read: dict[str, Any] = yaml.safe_load(text.replace(old, new) if old else text)
    return read
