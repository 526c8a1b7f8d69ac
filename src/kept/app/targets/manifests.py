"""Manifests for Kubernetes and KServe, as plain objects that are written as YAML."""

import re
from typing import Any

import msgspec

PORT = 8701
_UID = 10001
_LIVE, _READY = "/v2/health/live", "/v2/health/ready"


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """How a model runs on a cluster.

    Args:
        name: of the endpoint, and of every object.
        image: the image that was built from the Dockerfile, best with its digest.
        bundle: digest of the bundle that is in the image.
        smallest, largest: numbers of pods.
        cpu, memory: what a pod asks for, in Kubernetes' units. Memory is its bound, too.
    """

    name: str
    image: str
    bundle: str
    smallest: int = 2
    largest: int = 10
    cpu: str = "500m"
    memory: str = "512Mi"


def kubernetes(asked: Deployed) -> dict[str, dict[str, Any]]:
    """Objects by file name: a Deployment, its Service, a HorizontalPodAutoscaler and a PodDisruptionBudget."""
    return {
        "deployment.yaml": _object(asked, "apps/v1", "Deployment", _deployment(asked)),
        "service.yaml": _object(
            asked,
            "v1",
            "Service",
            {"selector": _labels(asked), "ports": [{"name": "http", "port": 80, "targetPort": "http1"}]},
        ),
        "autoscaler.yaml": _object(asked, "autoscaling/v2", "HorizontalPodAutoscaler", _autoscaler(asked)),
        "disruption.yaml": _object(
            asked,
            "policy/v1",
            "PodDisruptionBudget",
            {"maxUnavailable": 1, "selector": {"matchLabels": _labels(asked)}},
        ),
    }


def kserve(asked: Deployed) -> dict[str, dict[str, Any]]:
    """One InferenceService whose predictor is the image; it speaks the Open Inference Protocol v2."""
    predictor = {
        "minReplicas": asked.smallest,
        "maxReplicas": asked.largest,
        "containers": [_container(asked, "kserve-container")],
        "volumes": _VOLUMES,
    }
    service = _object(asked, "serving.kserve.io/v1beta1", "InferenceService", {"predictor": predictor})
    return {"inference-service.yaml": service}


def _object(asked: Deployed, version: str, kind: str, specification: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": _metadata(asked), "spec": specification}


def _deployment(asked: Deployed) -> dict[str, Any]:
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _UID,
            "runAsGroup": _UID,
            "fsGroup": _UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(asked, "serving") | {"lifecycle": _LINGER}],
        "volumes": _VOLUMES,
    }
    return {
        # No `replicas`: their number is the autoscaler's, and applying this again must not reset it.
        "selector": {"matchLabels": _labels(asked)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": _metadata(asked, named=False), "spec": pod},
    }


def _autoscaler(asked: Deployed) -> dict[str, Any]:
    busy = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": asked.name},
        "minReplicas": asked.smallest,
        "maxReplicas": asked.largest,
        "metrics": [{"type": "Resource", "resource": busy}],
    }


# Requests still come for a moment when a pod is to end: it goes on until the cluster has heard of it.
_LINGER = {"preStop": {"exec": {"command": ["/venv/bin/python", "-c", "import time; time.sleep(5)"]}}}

_VOLUMES = [{"name": "spool", "emptyDir": {"sizeLimit": "2Gi"}}, {"name": "tmp", "emptyDir": {}}]


_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([kMGT]?i?)")


def _bounds(asked: Deployed) -> list[dict[str, Any]]:
    """What keeps the process that explains from taking so much of a pod's memory that the pod is ended: half."""
    found = _QUANTITY.fullmatch(asked.memory)
    if found is None or found[2] not in _UNITS:
        return []
    most = int(float(found[1]) * _UNITS[found[2]] / 2_000_000)
    return [{"name": "KEPT_EXPLAIN_MEGABYTES", "value": str(most)}] if most else []


def _container(asked: Deployed, name: str) -> dict[str, Any]:
    secret = {"secretKeyRef": {"name": f"{asked.name}-token", "key": "token"}}
    return {
        "name": name,
        "image": asked.image,
        "ports": [{"name": "http1", "containerPort": PORT}],
        "env": [{"name": "KEPT_TOKEN", "valueFrom": secret}, *_bounds(asked)],
        "resources": {
            "requests": {"cpu": asked.cpu, "memory": asked.memory},
            "limits": {"memory": asked.memory},
        },
        "startupProbe": {**_probe(_READY), "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**_probe(_READY), "periodSeconds": 2},
        "livenessProbe": {**_probe(_LIVE), "periodSeconds": 10, "timeoutSeconds": 5},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "spool", "mountPath": "/spool"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http1"}}


def _metadata(asked: Deployed, *, named: bool = True) -> dict[str, Any]:
    facts = {"labels": _labels(asked), "annotations": {"kept/bundle": asked.bundle}}
    return {"name": asked.name, **facts} if named else facts


def _labels(asked: Deployed) -> dict[str, str]:
    return {"app.kubernetes.io/name": asked.name, "app.kubernetes.io/part-of": "kept"}
