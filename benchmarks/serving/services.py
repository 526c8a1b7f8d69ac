"""The services: each starts on a free port of loopback, says how it is asked, and is ended by its process id."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from models import Subject

_ROOT = Path(__file__).parents[2]
_PEERS = Path(__file__).parent / "peers"
_LONGEST_START = 90.0
_PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("KEPT_", "MLFLOW_", "PYTHONPATH"))}
TOKEN = "a-token-of-the-benchmark"

Rows = list[dict[str, Any]]


@dataclass
class Service:
    """A service that answers one model.

    Attributes:
        command: what starts it; `PORT` stands for the port.
        path: what predictions are asked at.
        body: makes the body for rows.
        chances: takes the probabilities of the second class out of an answer.
        ready: a path that answers 200 when predictions can be asked.
        prepare: writes what the command needs into its folder.
    """

    name: str
    command: list[str]
    path: str
    body: Callable[[Rows, list[str]], Any]
    chances: Callable[[Any], list[float]]
    ready: str
    folder: Path
    headers: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seconds_to_answer: float = 0.0
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where predictions are asked."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def start(self, subject: Subject) -> list[float]:
        """Starts it and gives its first answer, to all rows of the subject."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        command = [part.replace("PORT", str(self.port)) for part in self.command]
        environment = {**_PLAIN, "OMP_NUM_THREADS": "1", **self.environment}
        environment = {name: value.replace("PORT", str(self.port)) for name, value in environment.items()}
        begun = time.perf_counter()
        with (self.folder / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        while time.perf_counter() - begun < _LONGEST_START and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{self.port}{self.ready}", timeout=5).status_code == 200:
                    self.ask(subject.rows[:1], subject.columns)
                    self.seconds_to_answer = time.perf_counter() - begun
                    return self.ask(subject.rows, subject.columns)
            time.sleep(0.02)
        self.stop()
        said = (self.folder / "service.log").read_text()[-2_000:]
        raise SystemExit(f"{self.name} did not answer within {_LONGEST_START:.0f} s. It said:\n{said}")

    def ask(self, rows: Rows, columns: list[str]) -> list[float]:
        """The probabilities that it answers to rows."""
        headers = {"content-type": "application/json", **self.headers}
        answer = httpx.post(self.url, content=self.encoded(rows, columns), headers=headers, timeout=30)
        if answer.status_code != 200:
            raise SystemExit(f"{self.name} answered {answer.status_code}: {answer.text[:500]}")
        return self.chances(answer.json())

    def encoded(self, rows: Rows, columns: list[str]) -> bytes:
        """The body for rows."""
        return json.dumps(self.body(rows, columns)).encode()

    @property
    def process(self) -> int:
        """The process that was started."""
        if self._process is None:
            raise SystemExit(f"{self.name} is not running")
        return self._process.pid

    @property
    def processes(self) -> set[int]:
        """Its process and all that descend from it."""
        return _family(self._process.pid) if self._process else set()

    def memory(self) -> float:
        """MB that all its processes hold: their proportional set size."""
        return sum(map(_proportional, self.processes)) / 1_000

    def stop(self) -> None:
        """Asks it to end, and ends what is left of it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def __enter__(self) -> Self:
        """Starts nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it."""
        self.stop()


def kept(subject: Subject, folder: Path) -> Service:
    """Kept's prediction service by itself, with its log, its metrics and a token."""
    spool = ["--spool", str(folder / "spool")]
    command = [sys.executable, "-m", "kept.serving", str(subject.folder / "bundle"), "--name", "model"]
    return Service(
        name="Kept",
        command=[*command, "--port", "PORT", *spool],
        path="/v2/models/model/infer",
        body=_named_inputs if subject.text else _matrix_input,
        chances=lambda answer: answer["outputs"][0]["data"],
        ready="/v2/health/ready",
        folder=folder,
        headers={"authorization": f"Bearer {TOKEN}"},
        environment={"KEPT_TOKEN": TOKEN, "PYTHONPATH": str(_ROOT / "src"), "OMP_WAIT_POLICY": "PASSIVE"},
    )


def fastapi(subject: Subject, folder: Path) -> Service:
    """FastAPI and scikit-learn as one writes it by hand, one worker."""
    return _by_rows("FastAPI", "mlflow", ["-m", "uvicorn", "by_hand:app", "--port", "PORT"], subject, folder)


def litserve(subject: Subject, folder: Path) -> Service:
    """LitServe, one worker, with batching."""
    return _by_rows("LitServe", "serving-litserve", [str(_PEERS / "lit.py"), "PORT"], subject, folder, ready="/health")


def bentoml(subject: Subject, folder: Path) -> Service:
    """BentoML, one worker, with adaptive batching where a request is one row."""
    service = _by_rows(
        "BentoML",
        "serving-bentoml",
        ["-m", "bentoml", "serve", "bento:Predictor", "--port", "PORT"],
        subject,
        folder,
        ready="/readyz",
    )
    service.chances = lambda answer: answer
    return service


def mlserver(subject: Subject, folder: Path) -> Service:
    """MLServer with its own scikit-learn runtime, one worker: a tensor of numbers, or a column a tensor where there is text."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"debug": False, "host": "127.0.0.1", "parallel_workers": 0, "metrics_port": _free_port()}
    settings["grpc_port"] = _free_port()
    model = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(subject.folder / "model.joblib"), "version": "v1"},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return Service(
        name="MLServer",
        command=[str(_python("serving-mlserver").with_name("mlserver")), "start", "."],
        path="/v2/models/model/infer",
        body=_frame_tensors if subject.text else _matrix_tensor,
        chances=lambda answer: answer["outputs"][0]["data"][1::2],
        ready="/v2/models/model/ready",
        folder=folder,
        environment={"MLSERVER_HTTP_PORT": "PORT"},
    )


def mlflow(subject: Subject, folder: Path) -> Service:
    """`mlflow models serve` of a scikit-learn model, one worker."""
    python = _python("mlflow")
    made = folder / "model"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [str(python), str(_PEERS / "log_mlflow.py"), str(subject.folder), str(made)],
        check=True,
        cwd=folder,
        env=_PLAIN,
        capture_output=True,
    )
    command = ["models", "serve", "-m", str(made), "--env-manager", "local", "--port", "PORT", "--workers", "1"]
    return Service(
        name="MLflow",
        command=[str(python.with_name("mlflow")), *command],
        path="/invocations",
        body=lambda rows, columns: {
            "dataframe_split": {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}
        },
        chances=lambda answer: [pair[1] for pair in answer["predictions"]],
        ready="/health",
        folder=folder,
        environment={"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{python.parent}:{_PLAIN['PATH']}"},
    )


def _by_rows(
    name: str, environment: str, arguments: list[str], subject: Subject, folder: Path, *, ready: str = "/ready"
) -> Service:
    """A peer whose program stands in `peers/` and takes `{"rows": [...]}`."""
    return Service(
        name=name,
        command=[str(_python(environment)), *arguments],
        path="/predict",
        body=lambda rows, columns: {"rows": [[row[name] for name in columns] for row in rows]},
        chances=lambda answer: answer["probabilities"],
        ready=ready,
        folder=folder,
        environment={
            "MODEL": str(subject.folder),
            "PYTHONPATH": str(_PEERS),
            "BENTOML_DO_NOT_TRACK": "true",
            "BENTOML_HOME": str(folder / "home"),
        },
    )


def installed(environment: str) -> bool:
    """Whether a peer's environment is there."""
    return _python(environment).is_file()


def _python(environment: str) -> Path:
    return _ROOT / f".venv-bench-{environment}" / "bin" / "python"


def _named_tensors(rows: Rows, columns: list[str]) -> list[dict[str, Any]]:
    """An input of the protocol for each column."""
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": "BYTES" if isinstance(rows[0][name], str) else "FP64",
            "data": [row[name] for row in rows],
        }
        for name in columns
    ]


def _named_inputs(rows: Rows, columns: list[str]) -> dict[str, Any]:
    """A body of the protocol with an input for each column."""
    return {"inputs": _named_tensors(rows, columns)}


def _matrix_input(rows: Rows, columns: list[str]) -> dict[str, Any]:
    """A body of the protocol with all rows as one tensor."""
    data = [row[name] for row in rows for name in columns]
    return {"inputs": [{"name": "features", "shape": [len(rows), len(columns)], "datatype": "FP64", "data": data}]}


def _matrix_tensor(rows: Rows, columns: list[str]) -> dict[str, Any]:
    """The same, with the output that MLServer is to give; it takes the tensor whatever it is called."""
    return {**_matrix_input(rows, columns), "outputs": [{"name": "predict_proba"}]}


def _frame_tensors(rows: Rows, columns: list[str]) -> dict[str, Any]:
    """An input for each column, told to be those of a data frame."""
    tensors = _named_tensors(rows, columns)
    for tensor in tensors:
        if tensor["datatype"] == "BYTES":
            tensor["parameters"] = {"content_type": "str"}
    return {"parameters": {"content_type": "pd"}, "inputs": tensors, "outputs": [{"name": "predict_proba"}]}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _family(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(") ", 1)[1].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _proportional(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
