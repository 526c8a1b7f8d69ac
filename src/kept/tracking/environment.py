"""The environment a run ran in: interpreter, packages, machine."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import msgspec

from kept.core.digests import canonical_json
from kept.store.blobs import Blobs


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the results of a run may depend on beside its code and its data."""

    python: str
    implementation: str
    platform: str
    machine: str
    processor: str
    cpus: int
    """Processors this process may use."""
    memory_bytes: int | None
    packages: dict[str, str]
    """Installed distributions by name, with their versions."""


@cache
def environment() -> Environment:
    """The environment of this process."""
    return Environment(
        python=platform.python_version(),
        implementation=sys.implementation.name,
        platform=platform.platform(),
        machine=platform.machine(),
        processor=_processor(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory(),
        packages=_packages(),
    )


def keep_environment(blobs: Blobs) -> str:
    """Stores the environment of this process and gives its digest."""
    return blobs.put(canonical_json(environment()))


def load_environment(blobs: Blobs, digest: str) -> Environment:
    """The environment with this digest."""
    return msgspec.json.decode(blobs.get(digest), type=Environment)


def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in distributions():
        # The first one found on the path is the one that is imported.
        found.setdefault(distribution.metadata["Name"].lower().replace("_", "-"), distribution.version)
    return dict(sorted(found.items()))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
