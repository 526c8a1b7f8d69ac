import os
import textwrap
from pathlib import Path

import pytest

from kept.core.errors import Invalid, NotFound
from kept.pipelines.fingerprint import code_digest
from kept.pipelines.function_reference import Reference

FILES = {
    "project.py": """
        import json
        import kept
        import helpers
        import deep.shapes
        from constants import *
        from deep import lazy as late
        from helpers import indirect, Scaler as Big

        project = kept.Project("p", question="?", owner="o", objectives=[])
        project.retrain(on=[])
        LIMIT = 3
        TABLE = {}
        TABLE["a"] = 1

        def unrelated():
            return 0

        @project.dataset(label="x")
        def step(rows: "Rows"):
            from late_import import inner
            return helpers.direct(LIMIT), indirect(), Big(), deep.shapes.area(), late.x, inner(), TABLE, RATE

        class Rows:
            size = 1

        if __name__ == "__main__":
            print("run as a script")
    """,
    "helpers.py": """
        from constants import FAR

        def direct(x):
            return _below(x)

        def _below(x):
            return x + FAR

        def indirect():
            return getattr(_registry, "chosen")

        def chosen():
            return 1

        def unused():
            return 2

        class Base:
            factor = 2

        class Scaler(Base):
            def scale(self):
                return 1
    """,
    "constants.py": """
        FAR = 10
        RATE = 0.5
        OTHER = 1
    """,
    "late_import.py": """
        def inner():
            return 1

        def outer():
            return 2
    """,
    "deep/__init__.py": "",
    "deep/lazy.py": "x = 1\n",
    "deep/shapes.py": """
        from .units import METRE
        from . import lazy

        def area():
            return METRE

        def volume():
            return lazy.x
    """,
    "deep/units.py": "METRE = 1\nFOOT = 0.3\n",
}


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tick = 1
        for name, text in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_text(textwrap.dedent(text))

    def change(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        # Edits within one tick of the file system's clock would look alike.
        self._tick += 1
        os.utime(path, ns=(self._tick, self._tick))

    def digest(self, qualname: str = "step") -> str:
        file = self.folder / "project.py"
        return code_digest([Reference(module="project", qualname=qualname, file=str(file), folder=str(self.folder))])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("project.py", "helpers.direct(LIMIT)", "helpers.direct(LIMIT + 1)"),
        ("project.py", "LIMIT = 3", "LIMIT = 4"),
        ("project.py", 'TABLE["a"] = 1', 'TABLE["a"] = 2'),
        ("project.py", "size = 1", "size = 2"),
        ("helpers.py", "return _below(x)", "return _below(x) + 1"),
        ("helpers.py", "return x + FAR", "return x - FAR"),
        ("helpers.py", "def scale(self):\n        return 1", "def scale(self):\n        return 2"),
        ("helpers.py", "factor = 2", "factor = 3"),
        ("constants.py", "FAR = 10", "FAR = 11"),
        ("constants.py", "RATE = 0.5", "RATE = 0.6"),
        ("late_import.py", "return 1", "return 3"),
        ("deep/shapes.py", "return METRE", "return METRE * 2"),
        ("deep/units.py", "METRE = 1", "METRE = 2"),
        ("deep/lazy.py", "x = 1", "x = 2"),
        ("helpers.py", "from constants import FAR", "from constants import OTHER as FAR"),
    ],
)
def test_a_change_in_anything_it_names_changes_it(project: Project, file: str, old: str, new: str) -> None:
    before = project.digest()
    project.change(file, old, new)
    assert project.digest() != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("project.py", "return 0", "return 1"),
        ("project.py", 'print("run as a script")', "pass"),
        ("project.py", "LIMIT = 3", "LIMIT  =  3  # a comment"),
        ("project.py", "objectives=[]", "objectives=[1]"),
        ("project.py", "retrain(on=[])", "retrain(on=[1])"),
        ("project.py", 'label="x"', 'label="y"'),
        ("helpers.py", "return 2", "return 3"),
        ("late_import.py", "return 2", "return 3"),
        ("constants.py", "OTHER = 1", "OTHER = 2"),
        ("deep/units.py", "FOOT = 0.3", "FOOT = 0.4"),
    ],
)
def test_a_change_in_what_it_does_not_name_changes_nothing(project: Project, file: str, old: str, new: str) -> None:
    before = project.digest()
    project.change(file, old, new)
    assert project.digest() == before


def test_a_module_looked_up_by_an_unknown_name_counts_whole(project: Project) -> None:
    project.change("project.py", "helpers.direct(LIMIT)", "vars(helpers)")
    before = project.digest()
    project.change("helpers.py", "return 2", "return 3")
    assert project.digest() != before


def test_a_module_imported_by_a_written_name_counts(project: Project) -> None:
    project.change("project.py", "return 0", "import importlib\n    return importlib.import_module('late_import')")
    before = project.digest("unrelated")
    project.change("late_import.py", "return 2", "return 3")
    assert project.digest("unrelated") != before


def test_the_place_of_a_project_does_not_count(project: Project, tmp_path: Path) -> None:
    assert Project(tmp_path / "elsewhere").digest() == project.digest()


def test_a_project_module_may_shadow_an_installed_one(project: Project) -> None:
    project.change("project.py", "import json", "import json\nimport statistics")
    project.change("project.py", "return 0", "return statistics.mean")
    installed = project.digest("unrelated")
    (project.folder / "statistics.py").write_text("mean = 1\n")
    own = project.digest("unrelated")
    assert own != installed
    project.change("statistics.py", "mean = 1", "mean = 2")
    assert project.digest("unrelated") != own


def test_what_is_gone_or_can_not_be_read_says_so(project: Project) -> None:
    with pytest.raises(NotFound, match="no such function any more"):
        project.digest("nothing")
    project.change("helpers.py", "def direct(x):", "def direct(x:")
    with pytest.raises(Invalid, match=r"helpers\.py"):
        project.digest()
