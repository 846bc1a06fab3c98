"""What the workflow and its reader get: outputs and a summary."""

from __future__ import annotations

import json

from model_gitops import runner
from model_gitops.actions.build_push_image.job import Job, Result


def write_report(job: Job, result: Result) -> str:
    """Write the outputs and the summary; return the image, which names the digest where there is one."""
    reference = f"{job.name}:{result.tags[0]}"
    if result.digest:
        reference += f"@{result.digest}"
    runner.write_outputs(
        {
            "image": reference,
            "tag": result.tags[0],
            "digest": result.digest,
            "operation": result.operation,
            "metadata": json.dumps(result.metadata, sort_keys=True, separators=(",", ":")),
            "fingerprint": job.fingerprint,
        }
    )
    runner.write_summary(_summary(reference, result, job))
    return reference


def _summary(reference: str, result: Result, job: Job) -> str:
    said = {
        "built": "Built and pushed" if job.push else "Built, not pushed",
        "reused": "Reused, not built",
    }
    test = "no smoke test"
    if job.test is not None:
        test = (
            "smoke-tested before the push"
            if result.operation == "built"
            else "passed this smoke test"
        )
    tags = ", ".join(f"`{one}`" for one in result.tags)
    return f"### {said[result.operation]}: `{reference}`\n\n{test}; tags: {tags}\n"
