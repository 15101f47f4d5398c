"""A real browser for tests: Debian's Chromium, or the one that Playwright has installed.

Playwright drives it; its own download of a browser is not needed.
"""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = (
    "No browser was found: run scripts/setup-browser (as root: apt-get install chromium), or "
    "`playwright install chromium`, or name one in LANDBRIDGE_BROWSER."
)


def executable(playwright):
    """Return the path of a browser, or None."""
    names = os.environ.get("LANDBRIDGE_BROWSER", "").split() or NAMES
    found = next((path for name in names if (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    return found or (own if Path(own).exists() else None)


@contextmanager
def launched():
    """Give a running browser; without one skip the test, or in CI fail it."""
    with sync_playwright() as playwright:
        path = executable(playwright)
        if path is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW)
        # Chromium's own sandbox does not start for root; the page is ours and loads nothing.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that was opened, with what it asked for and complained of."""

    def __init__(self, browser, path, *, width, scheme="light"):
        self.requests: list[str] = []
        self.complaints: list[str] = []
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def too_wide(self):
        """Tell by how many pixels the page is wider than the screen."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
