"""Chromium for the tests of the explorer, which are skipped where it or Playwright is missing."""

import shutil
import time
from contextlib import contextmanager

import pytest

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]


@contextmanager
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, fragment="", width=1280, height=900, **context):
    """Open a page, and require at its end that nothing was written to the console, raised, or asked of a network."""
    said, asked = [], []
    within = browser.new_context(viewport={"width": width, "height": height}, **context)
    page = within.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri() + fragment)
    yield page
    within.close()
    assert said == []
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {path.as_uri()}


def until(page, expression, seconds=60):
    """Wait for an expression of the page to hold; the page's own policy forbids Playwright to wait inside it."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not in {seconds} s: {expression}"
        time.sleep(0.05)
