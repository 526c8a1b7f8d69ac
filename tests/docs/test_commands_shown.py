"""Every command shown on a page is one that there is, with options that it knows."""

import re
import shlex
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import typer.main
from pages import PAGES, blocks, name_of, prose

from kept.cli.main import COMMANDS

_VARIABLE = re.compile(r"^[A-Z_]+=\S* ")


@cache
def _command(name: str) -> Any:
    return typer.main.get_command(import_module(COMMANDS[name][0]).app)


def _shown() -> list[Any]:
    lines = []
    for page in PAGES:
        for block in blocks(page):
            text = block.text.replace("\\\n", " ")
            found = [_VARIABLE.sub("", line.strip()) for line in text.splitlines() if block.language in {"", "sh"}]
            lines += [pytest.param(line, id=f"{name_of(page)}: {line}") for line in found if line.startswith("kept ")]
    return [one for one in lines if "[OPTIONS]" not in str(one.values[0])]


def _named() -> list[Any]:
    found = []
    for page in PAGES:
        for line in re.findall(r"`(kept [^`]+)`", prose(page)):
            words = line.split()
            last = next((place for place, word in enumerate(words) if "|" in word), None)
            each = [line] if last is None else [" ".join([*words[:last], one]) for one in words[last].split("|")]
            found += [pytest.param(one, id=f"{name_of(page)}: {one}") for one in each]
    return found


@pytest.mark.parametrize("line", _shown())
def test_commands_in_blocks_parse(line: str) -> None:
    _, name, *rest = shlex.split(line, comments=True)
    command = _command(name)
    if hasattr(command, "commands"):
        called, *rest = rest
        command = command.commands[called]
    # Raises what a person would see: an option that there is not, an argument that is missing.
    command.make_context(f"kept {name}", rest)


@pytest.mark.parametrize("line", _named())
def test_commands_in_prose_exist(line: str) -> None:
    _, name, *rest = line.split()
    if name in {"--help", "--version", "COMMAND"}:
        return
    command = _command(name)
    if hasattr(command, "commands") and rest:
        command = command.commands[rest[0]]
    known = {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    assert {word for word in rest if word.startswith("--")} <= known
