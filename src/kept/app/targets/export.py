"""Exporting a model as a build folder for an image, with the manifests of the chosen target."""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from kept.app.targets.manifests import PORT, Deployed, kserve, kubernetes
from kept.app.targets.serving_part import copy_serving_part
from kept.core.errors import Conflict, Forbidden, Invalid
from kept.packaging.bundle import Bundle, read_bundle
from kept.packaging.explaining.recipe import RECIPE, read_recipe
from kept.packaging.manifest import MANIFEST

Target = Literal["docker", "kubernetes", "kserve"]

_PINS = Path(__file__).parent
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
# An estimator that is not ONNX answers the same only with the versions that it was packaged with.
_MUST_AGREE = ("scikit-learn", "skops")


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    folder: str
    target: Target
    bundle: str
    """Digest of the bundle that is in the folder."""
    modules: int
    """Modules of Kept that are in the folder."""
    files: tuple[str, ...]
    """Beside the bundle and the modules."""


def export(bundle: Path, folder: Path, target: Target, asked: Deployed, *, base: str = "python:3.13-slim") -> Exported:
    """Writes what a target needs: the bundle, the serving part, hash-pinned requirements, a Dockerfile, manifests.

    Args:
        bundle: the model's bundle.
        folder: a new or empty folder; it is there whole or not at all.
        target: what it is for. Each has the Dockerfile; a cluster needs the image that it makes.
        asked: names and sizes; its `bundle` is put in here.
        base: the image to build on, best with its digest.

    Raises:
        NotFound, Damaged: there is no whole bundle.
        Forbidden: the model is a pickle, which could run code in the image.
        Conflict: the folder holds something, or the model was packaged with other versions than those that are pinned.
        Invalid: the name is none that a cluster takes, or there are more pods at least than at most.
    """
    found = read_bundle(bundle)
    _check(found, asked)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict("something is there already", where=str(folder), fix="Name a new folder")
    pins = (_PINS / _pins(found)).read_text(encoding="utf-8")
    _check_versions(found, pins)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as scratch:
        fresh = Path(scratch) / "whole"
        (fresh / "bundle").mkdir(parents=True)
        for name in (MANIFEST, *found.contents):
            shutil.copyfile(bundle / name, fresh / "bundle" / name)
        modules = copy_serving_part(found.manifest, fresh / "app")
        made = _OBJECTS[target](msgspec.structs.replace(asked, bundle=found.digest))
        files = {
            "requirements.txt": pins,
            "Dockerfile": _dockerfile(base, asked.name, found.digest),
            ".dockerignore": "*\n!app\n!bundle\n!requirements.txt\n",
            **{name: yaml.safe_dump(one, sort_keys=False) for name, one in made.items()},
        }
        for name, text in files.items():
            (fresh / name).write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
    return Exported(
        folder=str(folder), target=target, bundle=found.digest, modules=len(modules), files=tuple(sorted(files))
    )


def _nothing(asked: Deployed) -> dict[str, dict[str, Any]]:
    del asked
    return {}


_OBJECTS: dict[Target, Callable[[Deployed], dict[str, dict[str, Any]]]] = {
    "docker": _nothing,
    "kubernetes": kubernetes,
    "kserve": kserve,
}


def _dockerfile(base: str, name: str, digest: str) -> str:
    return f"""# {name}, bundle {digest}
FROM {base} AS build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/python -m pip install --no-cache-dir --no-deps --only-binary :all: \\
    --require-hashes -r requirements.txt

FROM {base}
LABEL org.opencontainers.image.title="{name}" kept.bundle="{digest}"
COPY --from=build /venv /venv
COPY app /app
COPY bundle /bundle
RUN useradd --uid 10001 --no-create-home serving && install -d -o serving -g serving /spool
USER 10001
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE KEPT_HOST=0.0.0.0
VOLUME /spool
EXPOSE {PORT}
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/venv/bin/python", "-c", \\
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}/v2/health/ready', timeout=2)"]
# KEPT_TOKEN must be set: beyond loopback nothing is served without a token.
ENTRYPOINT ["/venv/bin/python", "-m", "kept.serving", "/bundle", "--name", "{name}", "--port", "{PORT}", "--spool", "/spool"]
"""


def _check(bundle: Bundle, asked: Deployed) -> None:
    if not _NAME.fullmatch(asked.name):
        fix = "Use at most 52 small letters, digits and -, a letter first: --name"
        raise Invalid(f"{asked.name!r} cannot be a name on a cluster", where="name", fix=fix)
    if not 1 <= asked.smallest <= asked.largest:
        raise Invalid(f"{asked.smallest} to {asked.largest} pods cannot be", where="pods", fix="Begin with at least 1")
    if bundle.manifest.runtime == "pickle-trusted":
        fix = "Package the model in a safe form"
        raise Forbidden("the model is a pickle, which can run any code", where=f"bundle {bundle.digest}", fix=fix)


def _pins(bundle: Bundle) -> str:
    if bundle.manifest.runtime != "onnx":
        return "serving-python.txt"
    exact = RECIPE in bundle.contents and read_recipe(bundle)[0].method != "sampling"
    # Exact explanations are read from the model's graph, for which there is a library more.
    return "serving-explaining.txt" if exact else "serving.txt"


def _check_versions(bundle: Bundle, pins: str) -> None:
    if bundle.manifest.runtime == "onnx":
        return
    pinned = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", pins, re.MULTILINE))
    for name in _MUST_AGREE:
        made = bundle.manifest.environment.packages.get(name)
        if made != pinned[name]:
            what = f"it was packaged with {name} {made}, the image would have {pinned[name]}"
            raise Conflict(what, where=f"bundle {bundle.digest}", fix=f"Package it again with {name} {pinned[name]}")
