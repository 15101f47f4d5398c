"""The reference is fresh, and no page points to nowhere."""

import re

from scripts import docs
from tests.contract.conftest import ROOT, tracked_files

LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def test_the_generated_pages_are_fresh():
    stale = [str(path.relative_to(ROOT)) for path in docs.stale(docs.pages())]
    assert stale == [], "run: make docs"


def test_every_error_code_is_explained():
    classes = docs.error_classes()
    assert len({code for code, _, _ in classes}) == len(classes) > 5
    assert [name for _, name, meaning in classes if not meaning] == []


def test_links_between_pages_resolve():
    broken = []
    pages = [path for path in tracked_files() if path.suffix == ".md"]
    for page in pages:
        for link in LINK.findall(FENCED.sub("", page.read_text())):
            if "://" not in link and not resolves(page, link):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert pages
    assert broken == []


def resolves(page, link):
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target)


def anchors(page):
    """Return the anchors that headings of a page make, as GitHub and AWX write them."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
