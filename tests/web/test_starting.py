import subprocess
import sys

_HEAVY = {"scipy", "sklearn", "pandas", "pydantic", "httpx", "onnxruntime", "mlflow"}
_START = """
import sys, tempfile
import kept.cli.web
from kept.app.workspace import embedded_actor, open_workspace
from kept.settings.settings import Settings
from kept.web.site import make_site

settings = Settings(workspace=tempfile.mkdtemp())
make_site(open_workspace(settings), embedded_actor(settings, "api"))
print(*sys.modules)
"""


def test_the_server_starts_without_what_only_training_and_judging_need() -> None:
    told = subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, check=True, timeout=60)
    assert not _HEAVY & set(told.stdout.split())
