"""Where a bundle was made, and its bill of materials."""

import platform
from importlib.metadata import distributions
from typing import Any

from kept.packaging.manifest import Environment


def this_environment() -> Environment:
    """The interpreter, the machine and every installed package."""
    packages = {item.metadata["Name"]: item.version for item in distributions() if item.metadata["Name"]}
    return Environment(
        python=platform.python_version(), platform=platform.platform(), packages=dict(sorted(packages.items()))
    )


def bill_of_materials(environment: Environment, estimator: str) -> dict[str, Any]:
    """The environment as a CycloneDX 1.6 document, with the model as its subject."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "machine-learning-model", "bom-ref": "model", "name": estimator}},
        "components": [
            {"type": "platform", "bom-ref": "python", "name": "python", "version": environment.python},
            *(
                {
                    "type": "library",
                    "bom-ref": (reference := f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"),
                    "name": name,
                    "version": version,
                    "purl": reference,
                }
                for name, version in environment.packages.items()
            ),
        ],
    }
