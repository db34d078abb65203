"""What the script for browsers does in a real one: views, clicks, lists, and what is left when a page is left."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.conftest import circle
from tests.serving.conftest import Ask, Server

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not there: apt-get install chromium")
SCRIPT = '<script src="/penchant.js" data-key="pk" defer></script>'
TALL = '<div style="height: 3000px"></div>'
Opened = Callable[..., Page]


# -- as it is served ---------------------------------------------------------------------------------------------------


def test_the_script_is_small_and_kept_by_caches(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        answer = await http.get("/penchant.js")
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert len(answer.content) < 5 * 1024
        assert "max-age=" in answer.headers["cache-control"]
        again = await http.get("/penchant.js", headers={"if-none-match": f'"other", {answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        head = await http.head("/penchant.js")
        assert (head.headers["content-length"], head.content) == (str(len(answer.content)), b"")
        refused = await http.post("/penchant.js", content=b"x")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")

    ask(scenario)


def test_a_beacons_plain_text_and_a_key_in_the_address_are_taken(ask: Ask) -> None:
    async def scenario(http: httpx.AsyncClient) -> None:
        body = json.dumps([{"user": "s.1", "action": "click", "item": "i0"}])
        plain = {"content-type": "text/plain;charset=UTF-8"}
        assert (await http.post("/v1/events?key=pk", content=body, headers=plain)).json()["accepted"] == 1
        assert (await http.get("/v1/recommend?key=pk&user=s.1")).status_code == 200

    ask(scenario)


# -- in a page ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(server: Server) -> str:
    """The address of a server with ten items, on whose origin the pages of the tests are shown."""
    items = [
        {"id": event.item, "fields": event.fields, "vectors": event.vectors, "time": event.time} for event in circle(10)
    ]
    httpx.put(f"{server.url}/v1/items", json=items).raise_for_status()
    return server.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def opened(context: BrowserContext, shop: str) -> Opened:
    """Opens a page of this body; what is asked of the server is in `asked`, and how it was answered does not matter."""

    def open_(body: str, name: str = "page.html") -> Page:
        page = context.new_page()
        context.route(f"**/{name}", lambda route: route.fulfill(body=f"{SCRIPT}{body}", content_type="text/html"))
        page.goto(f"{shop}/{name}")
        return page

    return open_


def known(shop: str, session: str) -> int:
    """How many events of a person the server has taken."""
    erased = httpx.delete(f"{shop}/v1/users/{session}").json().get("erased", [{"events": 0}])
    return int(erased[0]["events"])


def heard(page: Page) -> list[dict[str, Any]]:
    """A list that grows by the events that leave the page."""
    events: list[dict[str, Any]] = []

    def hear(request: Any) -> None:
        if "/v1/events" in request.url:
            assert request.url.endswith("?key=pk")
            events.extend(json.loads(request.post_data))

    page.context.on("request", hear)
    return events


def wait(page: Page, true: Callable[[], object]) -> None:
    """Until it is so, a minute at most; the browser goes on meanwhile."""
    for _ in range(600):
        if true():
            return
        page.wait_for_timeout(100)
    raise AssertionError("waited in vain")


@needs_browser
def test_a_visitor_is_one_unguessable_person_from_page_to_page(opened: Opened) -> None:
    first, second = opened("one", "one.html"), opened("two", "two.html")
    session = first.evaluate("penchant.session")
    assert re.fullmatch(r"s\.[0-9a-f]{32}", session)
    assert second.evaluate("penchant.session") == session
    second.evaluate("localStorage.penchant = 'admin'")
    assert re.fullmatch(r"s\.[0-9a-f]{32}", opened("three", "three.html").evaluate("penchant.session"))


@needs_browser
def test_where_nothing_may_be_stored_the_visitor_lives_as_long_as_the_page(opened: Opened, shop: str) -> None:
    page = opened("a page")
    denied = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError'); }})"
    page.add_init_script(denied)  # what a browser does whose user refuses storage
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.reload()
    session = page.evaluate("penchant.session")
    assert re.fullmatch(r"s\.[0-9a-f]{32}", session)
    assert any("no storage" in text for text in said)
    page.evaluate("penchant.send({action: 'click', item: 'i1'}); penchant.flush()")
    wait(page, lambda: known(shop, session) == 1)


@needs_browser
def test_what_is_seen_for_a_second_is_a_view_once_and_a_click_a_click(opened: Opened, shop: str) -> None:
    page = opened(
        f'<p data-penchant-item="i1">one</p><p data-penchant-item="i1">again</p>{TALL}'
        '<p data-penchant-item="i2">below</p><div data-penchant-item="i3"><b>three</b></div>'
    )
    events = heard(page)
    wait(page, lambda: events)
    assert [(event["action"], event["item"]) for event in events] == [("view", "i1")]
    page.click("b")
    wait(page, lambda: len(events) == 4)
    found = {(event["action"], event["item"]) for event in events}
    assert found == {("view", "i1"), ("click", "i3"), ("view", "i2"), ("view", "i3")}
    session = page.evaluate("penchant.session")
    assert {event["user"] for event in events} == {session}
    assert len({event["id"] for event in events}) == 4
    page.evaluate("penchant.flush()")
    assert known(shop, session) == 4


@needs_browser
def test_an_element_that_comes_later_is_seen_too(opened: Opened) -> None:
    page = opened("nothing yet")
    events = heard(page)
    page.evaluate("document.body.innerHTML = '<p data-penchant-item=i4>four</p>'")
    wait(page, lambda: events)
    assert events[0]["item"] == "i4"


@needs_browser
def test_what_a_page_sends_itself_reaches_the_server_with_words_and_value(opened: Opened, shop: str) -> None:
    page = opened("a page")
    events = heard(page)
    page.evaluate("penchant.send({action: 'search', words: 'a quiet film'})")
    page.evaluate("penchant.send({action: 'rate', item: 'i5', value: 4.5})")
    page.evaluate("penchant.flush()")
    assert [(event.get("words"), event.get("value")) for event in events] == [("a quiet film", None), (None, 4.5)]
    assert known(shop, page.evaluate("penchant.session")) == 2


@needs_browser
def test_what_waits_leaves_with_the_page(opened: Opened, shop: str) -> None:
    page = opened("a page")
    session = page.evaluate("penchant.session")
    page.evaluate("for (let k = 0; k < 60; k++) penchant.send({action: 'click', item: 'i' + k % 10})")
    page.evaluate("penchant.send({action: 'buy', item: 'i6'})")
    page.goto("about:blank")
    page.close()
    taken = [0]

    def all_taken() -> bool:
        """Whatever has arrived so far is counted, and forgotten."""
        taken[0] += known(shop, session)
        return taken[0] == 61

    wait(opened("another", "another.html"), all_taken)


@needs_browser
def test_events_outlive_a_server_that_is_away_and_count_once(opened: Opened, shop: str) -> None:
    page = opened("a page")
    session = page.evaluate("penchant.session")
    answers: list[int] = []

    def lose(route: Route) -> None:
        """The first time the server is not reached, then its answer is lost."""
        answers.append(0 if not answers else route.fetch().status)
        if len(answers) == 1:
            route.abort()
        elif len(answers) == 2:
            route.fulfill(status=502)
        else:
            route.fulfill(body='{"accepted": 0}', content_type="application/json")

    page.route("**/v1/events*", lose)
    page.evaluate("penchant.send({action: 'click', item: 'i7'})")
    wait(page, lambda: len(answers) == 3)
    assert answers == [0, 200, 200]
    assert known(shop, session) == 1


@needs_browser
def test_an_event_too_large_to_outlive_its_page_goes_all_the_same(opened: Opened, shop: str) -> None:
    page = opened("a page")
    events = heard(page)
    page.evaluate("penchant.send({action: 'click', item: 'i1', context: {long: 'x'.repeat(70000)}}); penchant.flush()")
    wait(page, lambda: events)
    page.evaluate("penchant.send({action: 'click', item: 'i2'}); penchant.flush()")
    wait(page, lambda: known(shop, page.evaluate("penchant.session")))
    assert [event["item"] for event in events] == ["i1", "i2"]


@needs_browser
def test_what_the_server_refuses_is_told_in_the_console_and_not_sent_again(opened: Opened) -> None:
    page = opened("a page")
    events, said = heard(page), []  # type: list[dict[str, Any]], list[str]
    page.on("console", lambda message: said.append(message.text))
    page.evaluate("penchant.send({action: 'clik', item: 'i7'}); penchant.flush()")
    wait(page, lambda: any("refused" in text for text in said))
    page.evaluate("penchant.send({action: 'click', item: 'i7'}); penchant.flush()")
    wait(page, lambda: len(events) == 2)
    assert [event["action"] for event in events] == ["clik", "click"]


@needs_browser
def test_a_list_is_filled_with_what_the_person_should_see_and_its_items_count(opened: Opened) -> None:
    page = opened('<ul id="list">empty so far</ul>')
    events = heard(page)
    items = page.evaluate("penchant.list('#list', {limit: 3})")
    shown = page.eval_on_selector_all("#list > li", "all => all.map(one => one.dataset.penchantItem)")
    assert [one["item"] for one in items] == shown
    assert len(shown) == 3
    assert page.inner_text("#list > li") == shown[0]
    page.click("#list > li >> nth=1")
    wait(page, lambda: len(events) == 4)
    assert {event["item"] for event in events if event["action"] == "view"} == set(shown)
    assert [event["item"] for event in events if event["action"] == "click"] == [shown[1]]


@needs_browser
def test_a_live_list_knows_the_click_and_a_template_writes_text_alone(opened: Opened) -> None:
    page = opened(
        """
        <ul data-penchant-list data-limit=4 data-template=row data-live>empty so far</ul>
        <template id=row><li title="{title}"><a href="/film/{item}?from={title}">{title}</a>
          <img src="{image}" alt="{item}" onerror="{title}"><b>more</b></li></template>
        <script>
          const title = "<img src=x onerror='window.broken = 1'> & more";
          window.penchant = {fields: async ids => Object.fromEntries(
            ids.map(id => [id, {title, image: "javascript:window.broken = 1"}]))};
        </script>"""
    )
    row = page.locator("ul > li").first
    first = row.get_attribute("data-penchant-item")
    title = "<img src=x onerror='window.broken = 1'> & more"
    assert page.locator("ul > li").count() == 4
    assert row.locator("a").inner_text() == title
    assert row.get_attribute("title") == title
    assert row.locator("a").get_attribute("href").startswith(f"/film/{first}?from=%3Cimg%20src%3Dx")
    assert row.locator("img").get_attribute("src") == ""
    assert row.locator("img").get_attribute("onerror") == "{title}"
    row.locator("b").click()
    wait(page, lambda: page.locator("ul > li").first.get_attribute("data-penchant-item") != first)
    shown = page.eval_on_selector_all("ul > li", "all => all.map(one => one.dataset.penchantItem)")
    assert first not in shown
    assert page.evaluate("window.broken") is None


@needs_browser
def test_the_page_of_the_documents_works_as_it_stands(opened: Opened, context: BrowserContext) -> None:
    told = (Path(__file__).parents[2] / "docs" / "browser.md").read_text(encoding="utf-8")
    (html,) = (part.removeprefix("html\n") for part in told.split("```")[1::2] if part.startswith("html\n"))
    script, _, body = html.partition("\n")
    assert SCRIPT in script.replace("https://penchant.example", "").replace("PUBLIC_KEY", "pk")

    def films(route: Route) -> None:
        ids = route.request.url.partition("ids=")[2].split(",")
        route.fulfill(json={item: {"title": f"The film {item}"} for item in ids})

    context.route("**/films.json*", films)
    page = opened(body)
    shown = page.locator("ul > li[data-penchant-item]")
    wait(page, lambda: shown.count() == 8)
    first = shown.first.get_attribute("data-penchant-item")
    assert shown.first.inner_text().strip() == f"The film {first}"
    assert shown.first.locator("img").get_attribute("src") == f"/covers/{first}.jpg"


@needs_browser
@pytest.mark.parametrize("limit", [0, 5])
def test_a_list_that_cannot_be_had_stays_as_the_page_was_made(opened: Opened, limit: int) -> None:
    page = opened("<ul id=list><li>bestseller</li></ul>")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    nothing = '{"items": [], "as_of": 1}'
    if limit:
        page.route("**/v1/recommend*", lambda route: route.fulfill(body=nothing, content_type="application/json"))
    assert page.evaluate(f"penchant.list('#list', {{limit: {limit}}})") is None
    assert page.inner_text("#list") == "bestseller"
    assert any("stays as it is" in text for text in said)
