"""The public client of the Open Inference Protocol, as it is published, against a real service."""

import subprocess
import time
from pathlib import Path

import httpx
import pytest
from predicting import Service

from waiting import free_ports

SCRIPTS = Path(__file__).parent / "scripts"


def run(client_python: Path, script: str, *arguments: str) -> None:
    command = [str(client_python), str(SCRIPTS / script), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=540, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    assert "all is well" in done.stdout


def test_the_published_client_is_answered_over_http(running: Service, client_python: Path) -> None:
    run(client_python, "over_http.py", f"127.0.0.1:{running.port}")


def test_the_published_client_is_answered_over_grpc(service: Service, client_python: Path) -> None:
    pytest.importorskip("grpc", reason="kept[grpc] is not installed")
    port = free_ports()
    service.settings, service.token = {"grpc_port": str(port)}, "secret"
    service.route(
        late=(service.arm("first", 1),), trial=(service.arm("first", 1), service.arm("second", 2, "shadow", 0.0))
    )
    service.start()
    run(client_python, "over_grpc.py", f"127.0.0.1:{port}", "secret")
    end = time.monotonic() + 60
    expected = {
        'kept_requests_total{endpoint="late",role="champion",status="200",version="1"} 103.0',
        'kept_requests_total{endpoint="trial",role="shadow",status="200",version="2"} 1.0',
    }
    while not expected <= set(
        httpx.get(f"{service.url}/metrics", headers={"authorization": "Bearer secret"}).text.splitlines()
    ):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert service.stop() == 0
