import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest
from pages import ROOT

from kept.app.operations import OPERATIONS
from kept.cli.main import COMMANDS
from kept.measures.metrics import CATALOG
from kept.settings.settings import Settings


def _tool(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    # Also refuses a command, option, operation, setting, metric or declaration that says nothing of itself.
    written: dict[str, str] = _tool("reference").pages()
    return written


def test_pages_are_what_the_code_says(pages: dict[str, str]) -> None:
    folder = ROOT / "docs" / "reference"
    stale = [name for name, text in pages.items() if not _same(folder / name, text)]
    assert not stale, "write them again: make reference"
    assert sorted(path.name for path in folder.iterdir()) == sorted(pages)


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def test_everything_is_there(pages: dict[str, str]) -> None:
    assert all(f"## kept {name}\n" in pages["commands.md"] for name in COMMANDS)
    assert all(f"## {name}\n" in pages["operations.md"] for name in OPERATIONS)
    assert all(f"`{name}`" in pages["settings.md"] for name in Settings.__struct_fields__)
    assert all(f"`{name}`" in pages["metrics.md"] for name in CATALOG)


def test_the_floors_are_those_of_the_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one for one in contracts if one["type"] == "layers")["layers"]
    table = (ROOT / "ARCHITECTURE.md").read_text().split("## Floors")[1].split("## ")[0]
    shown = [
        line.split("|")[1].replace("`", "").replace("·", "|") for line in table.splitlines() if line.startswith("| `")
    ]
    assert [" ".join(line.split()) for line in shown] == [" ".join(line.split()) for line in layers]


def test_the_demo_table_goes_where_the_readme_says() -> None:
    tool = _tool("demo_table")
    page = (ROOT / "README.md").read_text()
    assert tool.put_in(tool.put_in(page, "first"), "second") == tool.put_in(page, "second")
    assert "second" in tool.put_in(page, "second")


def test_the_picture_stands_alone() -> None:
    picture = ROOT / "docs" / "pictures" / "timeline.svg"
    text = picture.read_text()
    assert ET.fromstring(text).tag.endswith("svg")
    assert "href" not in text
    assert "<script" not in text
    assert picture.stat().st_size < 60_000
