"""What can be configured. Each setting has one name, one type, one default; `kept.toml` and `KEPT_*` give values."""

import os
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kept.core.durations import duration
from kept.core.errors import Invalid

_SHORTEST_LOG = timedelta(days=1)
_SHORTEST_KEY = 16


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting. A variable `KEPT_PORT` sets `port`; so does `port = 8700` in `kept.toml`."""

    workspace: Annotated[str, Meta(min_length=1)] = ".kept"
    """Folder that holds everything Kept stores."""
    database: str = ""
    """PostgreSQL for records, as `postgresql://user@host:5432/name`. Empty: SQLite in the workspace's folder."""
    project: str = "project.py"
    """File that declares the project."""
    host: str = "127.0.0.1"
    """Address the servers listen on. Beyond loopback a token is needed."""
    known_as: str = ""
    """Further names, with a space between, that servers without a token answer to on this machine: those of a proxy before them."""
    port: Annotated[int, Meta(ge=1, le=65_534)] = 8700
    """Port of the API and the pages; predictions answer on the next one."""
    token: str = ""
    """Secret that every request must carry as `Authorization: Bearer`. Empty: only loopback is served."""
    callers: str = ""
    """Further secrets for predictions, each with the name of whose it is: `name:secret name:secret`. Callers get equal shares."""
    grpc_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Port on which predictions answer over gRPC, too (needs `kept[grpc]`). 0: none."""
    grpc_at_once: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    """How many calls over gRPC may be under way at once. More are refused (`RESOURCE_EXHAUSTED`)."""
    longest_wait: Annotated[float, Meta(gt=0, le=60)] = 0.2
    """Seconds that a prediction may wait for its turn. What would wait longer is refused at once (429)."""
    python_processes: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes for each model that cannot be exported to ONNX, and is run by scikit-learn. They are the prediction service's own."""
    python_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 10
    """How long such a model may take for a prediction. A process that takes longer is ended and started anew."""
    python_megabytes: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    """Memory that each such process may have. 0: as much as the machine has."""
    explain_megabytes: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 2_000
    """Memory that the process may have that explains answers. 0: as much as the machine has."""
    model_megabytes: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    """What the models of a prediction service may take of memory. Beyond it, those not asked for longest wait on disk. 0: no limit."""
    url: str = ""
    """Server to talk to instead of a workspace on this machine."""
    spool: str = ""
    """Folder in which what is logged waits for the server. Empty: `kept/spool` in your state folder (`~/.local/state`)."""
    spool_megabytes: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_024
    """How much of one run may wait for a server or workspace that is away."""
    actor: str = ""
    """Name that the audit log shows for what you do here. Empty: your login name."""
    webhook_url: str = ""
    """Address that every alert is posted to. Empty: none."""
    webhook_secret: str = ""
    """Key of the HMAC signature on alerts."""
    alert_email: str = ""
    """Addresses that every alert is mailed to, with commas between them; `owner` is the project's owner. Empty: none."""
    alert_chat: str = ""
    """Chats that every alert is written to, as Apprise URLs with spaces between them (needs `kept[apprise]`). Empty: none."""
    alert_escalation: str = ""
    """Who is told when nobody acknowledges, one after another with spaces between them: `mailto:ADDRESS`, `https://...`, a chat."""
    alert_escalation_after: str = "30m"
    """How long an alert may wait to be acknowledged before the next one in `alert_escalation` is told."""
    alert_timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 5
    """How long a receiver of alerts may take to answer."""
    pages_url: str = ""
    """Address under which people reach the pages, for links in alerts. Empty: `http://HOST:PORT` of these settings."""
    smtp_host: str = ""
    """Mail server for alerts. Empty: no mail is sent."""
    smtp_port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    """Port of the mail server."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the way to the mail server is sealed; `none` only for one on this machine."""
    smtp_user: str = ""
    """Name to log in to the mail server with. Empty: no login."""
    smtp_password: str = ""
    """Password to log in to the mail server with."""
    smtp_from: str = ""
    """Sender of mails. Empty: `kept@` and the name of this machine."""
    webhook_schemes: str = "https"
    """Schemes that the addresses of the registry's webhooks may have, with commas between them: https, http."""
    webhook_private: bool = False
    """Whether the registry's webhooks may be sent to addresses of this machine and of private networks."""
    webhook_encryption_key: str = ""
    """Fernet key (32 bytes in URL-safe base64) under which the secrets of the registry's webhooks are kept. Empty: as text."""
    webhook_timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 30
    """How long a receiver of the registry's webhooks may take for its answer."""
    dry_run: bool = False
    """Whether the loop only reports what it would do: train, release, move a rollout on or back."""
    lineage_file: str = ""
    """File in the workspace's folder, or elsewhere, to which work is told as OpenLineage events, a line each. Empty: none."""
    lineage_url: str = ""
    """Address that OpenLineage events are posted to, as `https://HOST/api/v1/lineage`. Empty: none."""
    lineage_key: str = ""
    """Key that `lineage_url` asks for, sent as `Authorization: Bearer`."""
    lineage_namespace: Annotated[str, Meta(min_length=1)] = "kept"
    """Namespace of jobs and datasets in OpenLineage events."""
    traces_url: str = ""
    """Address of an OpenTelemetry collector (OTLP over HTTP), as `http://HOST:4318` (needs `kept[otel]`). Empty: no traces."""
    traces_headers: str = ""
    """Headers that the collector asks for, as `name=value name=value`."""
    traces_share: Annotated[float, Meta(ge=0, le=1)] = 0.01
    """Share of requests and operations that are traced where their sender does not say. Pipeline runs are always."""
    source_schemes: str = ""
    """Schemes that name a host (http, https, ftp, sftp, hdfs, ...) and that the source of a version may have all the same."""
    upload_megabytes: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 10_240
    """How much of uploads in parts may wait to be completed, in the whole workspace. Beyond it parts are refused (503)."""
    log_keep: str = ""
    """How long predictions and failed requests stay in their tables, as `90d`. Empty: for ever."""
    log_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Share of the answered requests that the prediction log holds. Each answer has its prediction id all the same."""
    log_drop: str = ""
    """Features that the prediction log leaves out, with commas between them."""
    log_hash: str = ""
    """Features of which the prediction log holds a keyed hash instead of the value, with commas between them."""
    log_key: str = ""
    """Secret key of these hashes, at least 16 characters."""
    log_overflow: Literal["shed", "drop"] = "shed"
    """What becomes of an answer that cannot be logged: `shed` refuses it with 503, `drop` gives it, and counts it."""
    log_megabytes: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 10_240
    """How much of the prediction log may wait for the worker. 0: as much as the disk holds."""
    log_flush: bool = False
    """Whether an answer waits until its log entry is on the disk (power cuts), not only with the kernel (kill -9)."""
    log_tensor_values: Annotated[int, Meta(ge=0, le=1_000_000)] = 64
    """How many values a tensor may have that the prediction log holds whole. Of larger ones it holds digest, shape and norm."""
    steps_at_once: Annotated[int, Meta(ge=1, le=1_000)] = 2
    """Pipeline steps that may run at the same time."""
    poll_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 0.25
    """How often the worker and the prediction service look for news."""

    def __post_init__(self) -> None:
        if self.log_keep and duration(self.log_keep, where="log_keep") < _SHORTEST_LOG:
            raise Invalid(f"{self.log_keep!r} is shorter than a day", where="log_keep", fix="Write at least 1d")
        # Found out when an alert is raised it would keep that from being raised.
        if not duration(self.alert_escalation_after, where="alert_escalation_after"):
            fix = "Give people time to answer, for example 30m"
            raise Invalid("it is zero", where="alert_escalation_after", fix=fix)
        if self.log_hash and len(self.log_key) < _SHORTEST_KEY:
            fix = f"Set log_key to a secret of at least {_SHORTEST_KEY} characters"
            raise Invalid("hashes without a secret key can be guessed", where="log_hash", fix=fix)

    @property
    def redacted(self) -> frozenset[str]:
        """The features whose values must not be kept as they were sent."""
        return names_in(self.log_drop) | names_in(self.log_hash)


def names_in(text: str) -> frozenset[str]:
    """Names with commas between them."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


# What a server of MLflow is told by: its surroundings can be taken over as they are.
_ELSEWHERE = {
    "source_schemes": "MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES",
    "webhook_schemes": "MLFLOW_WEBHOOK_ALLOWED_SCHEMES",
    "webhook_private": "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS",
    "webhook_encryption_key": "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY",
    "webhook_timeout_seconds": "MLFLOW_WEBHOOK_REQUEST_TIMEOUT",
}


def load_settings(folder: Path, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings in force: what is given, else the environment, else `kept.toml` of the folder, else the defaults."""
    environment = os.environ if environment is None else environment
    values = _from_file(folder / "kept.toml")
    for name in values.keys() - set(Settings.__struct_fields__):
        meant = get_close_matches(name, Settings.__struct_fields__, 1)
        fix = f"Write {meant[0]}" if meant else "See the settings reference for the names"
        raise Invalid(f"there is no setting {name!r}", where=str(folder / "kept.toml"), fix=fix)
    for name in Settings.__struct_fields__:
        text = environment.get(f"KEPT_{name.upper()}")
        if text is None and name not in values and name in _ELSEWHERE:
            text = environment.get(_ELSEWHERE[name])
        if text is not None:
            values[name] = text
    values.update({name: value for name, value in given.items() if value is not None})
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        # The value is not said: it may be a secret.
        what, _, place = str(error).replace("`", "").partition(" - at $.")
        where = f"setting {place}" if place else "settings"
        raise Invalid(
            what[0].lower() + what[1:], where=where, fix="See the settings reference for names and types"
        ) from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"not valid TOML ({error})", where=str(path), fix="Mend the line it names") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"it cannot be read ({error})", where=str(path), fix="Write it as text in UTF-8") from error
