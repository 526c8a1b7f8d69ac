import re
from pathlib import Path

import pytest
from pages import PAGES, name_of, prose

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    wrong = []
    for link in _LINK.findall(prose(page)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            wrong.append(link)
    assert not wrong


def test_every_page_is_reached() -> None:
    reached = {PAGES[0].parent / "README.md"} | {page for page in PAGES if page.parent == PAGES[0].parent}
    for _ in range(5):
        for page in list(reached):
            found = (page.parent / link.partition("#")[0] for link in _LINK.findall(prose(page)) if "://" not in link)
            reached |= {path.resolve() for path in found if path.suffix == ".md" and path.is_file()}
    assert not [name_of(page) for page in PAGES if page not in reached]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_named_in_prose_exist(page: Path) -> None:
    root = PAGES[0].parent
    named = re.findall(r"`((?:src|tests|tools|examples|docs|requirements)/[\w/.]+\.\w+)`", prose(page))
    assert not [path for path in named if not (root / path).exists()]
    # Modules are named from `src/kept/` on, or from the folder of the one named before.
    parts = {path.name for path in (root / "src" / "kept").iterdir()}
    modules = [path for path in re.findall(r"`([a-z_]+/[\w/]+\.py)`", prose(page)) if path.split("/")[0] in parts]
    assert not [path for path in modules if not (root / "src" / "kept" / path).exists()]
