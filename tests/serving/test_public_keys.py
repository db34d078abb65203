"""A public key in a real browser, on a page of another origin than the server's: what CORS is for."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from penchant.serving import keys
from tests.conftest import circle
from tests.serving.conftest import Server

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not there: apt-get install chromium")
LIST = '<ul data-penchant-list data-limit="3" data-template="one" data-live></ul>'
TEMPLATE = '<template id="one"><li>{item}</li></template>'


class Pages(BaseHTTPRequestHandler):
    """Every address is a page with the script and a list."""

    script = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"{self.script}{LIST}{TEMPLATE}".encode())

    def log_message(self, *said: object) -> None:
        """Nothing: what is asked of it does not matter."""


class Shop(NamedTuple):
    """A server with ten items, its pages at a port of their own, and a client that may do everything."""

    server: Server
    port: int
    client: httpx.Client


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("shop")
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    public = keys.create(folder, ["public"], origins=(f"http://localhost:{pages.server_port}",))[1]
    own = keys.create(folder, ["ingest", "read", "admin"])[1]
    server = Server(folder).ready()
    Pages.script = f'<script src="{server.url}/penchant.js" data-key="{public}" defer></script>'
    thread = Thread(target=pages.serve_forever)
    thread.start()
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {own}"}, timeout=60) as client:
        items = [{"id": event.item, "fields": event.fields, "vectors": event.vectors} for event in circle(10)]
        client.put("/v1/items", json=items).raise_for_status()
        yield Shop(server, pages.server_port, client)
    pages.shutdown()
    thread.join()
    pages.server_close()
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def until(page: Page, seen: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < end
        page.wait_for_timeout(50)


def test_a_page_of_its_origin_fills_its_list_and_is_heard(page: Page, shop: Shop) -> None:
    page.goto(f"http://localhost:{shop.port}/page.html")
    until(page, lambda: page.locator("li").count() == 3)
    clicked = page.locator("li").first.inner_text()
    page.locator("li").first.click()
    until(page, lambda: clicked not in page.locator("ul").inner_text().split())
    session = page.evaluate("penchant.session")
    assert shop.client.get("/v1/recommend", params={"user": session}).json()["user_as_of"] > 0


def test_what_waits_leaves_as_a_beacon_with_the_key(page: Page, shop: Shop) -> None:
    page.goto(f"http://localhost:{shop.port}/page.html")
    session = page.evaluate("penchant.session")
    page.evaluate("penchant.send({action: 'buy', item: 'i6'})")
    page.goto("about:blank")
    until(page, lambda: shop.client.get("/v1/recommend", params={"user": session}).json().get("user_as_of"))


def test_a_page_of_another_origin_gets_nothing_and_changes_nothing(page: Page, shop: Shop) -> None:
    refused: list[str] = []
    page.on("requestfailed", lambda request: refused.append(request.url))
    page.goto(f"http://127.0.0.1:{shop.port}/page.html")  # the same page by another name is of another origin
    session = page.evaluate("penchant.session")
    page.evaluate("penchant.send({action: 'click', item: 'i6'}); penchant.flush()")
    until(page, lambda: any("/v1/events" in url for url in refused))
    until(page, lambda: any("/v1/recommend" in url for url in refused))
    assert page.locator("li").count() == 0
    assert shop.client.get(f"/v1/users/{session}").status_code == 404
