"""Artifact locations of experiments, runs and logged models: addresses that clients fetch through the server."""

from urllib.parse import urlsplit

from kept.core.errors import Invalid

_SCHEME = "mlflow-artifacts"
ROOT = f"{_SCHEME}:/"
EXPERIMENT = ROOT + "{experiment}"


def run_location(experiment: str, run: str) -> str:
    """Below the location of an experiment, that of a run."""
    return _below(experiment, f"{run}/artifacts")


def model_location(experiment: str, model: str) -> str:
    """Below the location of an experiment, that of a logged model."""
    return _below(experiment, f"models/{model}/artifacts")


def place_of(location: str) -> str | None:
    """The place of an address below the files of the server; None when it leads elsewhere."""
    parts = urlsplit(location)
    return parts.path.strip("/") if parts.scheme == _SCHEME else None


def check_address(address: str, where: str) -> None:
    """Refuses what no reader of addresses can take apart, as a host with one bracket."""
    try:
        urlsplit(address)
    except ValueError as error:
        raise Invalid(f"{address!r:.200} is no address: {error}", where=where, fix="Name another") from error


def _below(location: str, path: str) -> str:
    # A query, as some object stores have in their addresses, stays at the end.
    address, mark, query = location.partition("?")
    return f"{address.rstrip('/')}/{path}{mark}{query}"
