"""One server of the demo and one browser for all tests of its pages."""

import demo_browser
import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Folder of the caches and the temporary files of the server."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="session")
def address(folder):
    """Address of a server of the demo."""
    with demo_browser.demo(folder) as url:
        yield url


@pytest.fixture(scope="session")
def browser():
    """Headless browser."""
    with demo_browser.chromium() as instance:
        yield instance


@pytest.fixture(scope="session")
def not_shown():
    """Pages that did not come in an earlier test."""
    return []


@pytest.fixture
def visit(address, browser, not_shown):
    """Function that opens a page of the demo; pages are closed after the test, so that their frames are not computed.

    After a page that did not come, no test waits again.
    """
    from playwright.sync_api import Error

    opened = []

    def visit(path="", **options):
        assert not not_shown, f"the demo did not show the page {not_shown[0]!r} in an earlier test"
        try:
            assert demo_browser.is_healthy(address), "the demo does not respond"
            opened.append(demo_browser.open_page(browser, f"{address}/{path}", **options))
        except (AssertionError, Error):
            not_shown.append(path)
            raise
        return opened[-1]

    yield visit
    for page in opened:
        page.context.close()
