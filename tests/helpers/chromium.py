"""A headless Chromium for the tests that look at pages: Playwright with the system's browser."""

from collections.abc import Iterator
from contextlib import contextmanager

import real_parts
from places import ROOT
from playwright.sync_api import Browser, sync_playwright

SCREENS = ROOT / "build" / "screens"
"""Where tests leave what they saw, for people to look at."""


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser that opens no network connection of its own; the test skips where there is no Chromium."""
    path = real_parts.require(real_parts.chromium)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield launched
        launched.close()
