"""kfp's environment, a compiled package, and the stand-in for Kubeflow's API."""

from kubeflow_world import checkout, compiled, kfp_python, kubeflow, package

__all__ = ["checkout", "compiled", "kfp_python", "kubeflow", "package"]
