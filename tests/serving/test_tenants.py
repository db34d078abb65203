"""Many applications in one server: each has its own engine, opened when it is asked, and none reaches another."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from penchant.config import FILE, Settings
from penchant.engine import Engine
from penchant.errors import InvalidInput, NotFound, Unavailable
from penchant.serving import keys, screens, tenant_folders
from penchant.serving import tenants as module
from penchant.serving.cli import run
from penchant.serving.server import serve
from penchant.serving.tenants import Alone, Many
from penchant.storage.event_log import EventLog
from tests.conftest import NOW, circle, click
from tests.serving.conftest import Server, free_port

NAMES = ("shop", "news", "video")
QUIET = 'encoder = "none"\n'


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a tenant takes longer to open than a request would wait for."""
    monkeypatch.setattr(module, "PATIENCE", 60.0)


def made(folder: Path, *names: str) -> Path:
    for name in names:
        tenant_folders.create(folder, name, QUIET)
    return folder


def opened(folder: Path, scenario: Callable[[Many], Awaitable[Any]], named: set[str] | None = None, **more: Any) -> Any:
    """What a scenario returns that enters tenants; ``named``: those that a key leads to, at first all."""
    named = set(NAMES) if named is None else named

    async def main() -> Any:
        many = Many(folder, Settings(**more), {}, lambda: named)
        await many.open()
        try:
            return await scenario(many)
        finally:
            await many.close()

    return asyncio.run(main())


def is_free(folder: Path) -> bool:
    """Whether nobody has a data folder open."""
    try:
        EventLog(folder).close()
    except Unavailable:
        return False
    return True


async def until(seen: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def refusal(many: Many, name: str) -> str:
    """Why a tenant does not answer; nothing where it does."""
    try:
        many.leave(await many.enter(name))
    except Unavailable as error:
        return str(error)
    return ""


async def opens(many: Many, name: str) -> None:
    end = time.monotonic() + 60
    while await refusal(many, name):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


# -- when they come and go ---------------------------------------------------------------------------------------------


def test_a_tenant_is_opened_once_however_many_ask_at_once(tmp_path: Path) -> None:
    made(tmp_path, *NAMES)

    async def scenario(many: Many) -> None:
        places = await asyncio.gather(*(many.enter("shop") for _ in range(5)))
        assert len({id(place.threads) for place in places}) == 1
        assert places[0].threads is not None
        assert places[0].threads.engine.parts.folder == tmp_path / "tenants" / "shop"
        assert [is_free(tmp_path / "tenants" / name) for name in NAMES] == [False, True, True]

    opened(tmp_path, scenario)
    assert is_free(tmp_path / "tenants" / "shop")


def test_the_one_asked_longest_ago_gives_way_and_keeps_what_it_was_sent(tmp_path: Path) -> None:
    made(tmp_path, *NAMES)

    async def visit(many: Many, name: str, count: int) -> int:
        place = await many.enter(name)
        assert place.threads is not None
        await place.threads.ingest([click("ann", f"i{k}", NOW) for k in range(count)])
        as_of = place.threads.engine.parts.as_of
        many.leave(place)
        return as_of

    async def scenario(many: Many) -> None:
        assert await visit(many, "shop", 3) == 3
        await visit(many, "news", 1)
        await visit(many, "shop", 1)
        await visit(many, "video", 1)
        assert [is_free(tmp_path / "tenants" / name) for name in NAMES] == [False, True, False]
        assert await visit(many, "news", 1) == 2
        assert await visit(many, "shop", 1) == 5

    opened(tmp_path, scenario, max_open_tenants=2)


def test_one_that_is_being_answered_gives_no_way(tmp_path: Path) -> None:
    made(tmp_path, *NAMES)

    async def scenario(many: Many) -> None:
        place = await many.enter("shop")
        with pytest.raises(Unavailable, match="too many tenants"):
            await many.enter("news")
        many.leave(place)
        assert (await many.enter("news")).threads is not None

    opened(tmp_path, scenario, max_open_tenants=1)


def test_one_that_nobody_asks_is_closed_but_never_while_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, *NAMES)
    monkeypatch.setattr(module, "_SWEEP", 0.01)

    async def scenario(many: Many) -> None:
        busy, idle = await many.enter("shop"), await many.enter("news")
        many.leave(idle)
        await until(lambda: is_free(tmp_path / "tenants" / "news"))
        assert not is_free(tmp_path / "tenants" / "shop")
        many.leave(busy)
        await until(lambda: is_free(tmp_path / "tenants" / "shop"))

    opened(tmp_path, scenario, tenant_idle_seconds=0.0)


def test_one_that_no_key_leads_to_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, *NAMES)
    monkeypatch.setattr(module, "_SWEEP", 0.01)
    named = set(NAMES)

    async def scenario(many: Many) -> None:
        many.leave(await many.enter("shop"))
        many.leave(await many.enter("news"))
        named.discard("news")
        await until(lambda: is_free(tmp_path / "tenants" / "news"))
        assert not is_free(tmp_path / "tenants" / "shop")

    opened(tmp_path, scenario, named)


def test_who_asks_while_it_is_being_opened_is_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, *NAMES)
    monkeypatch.setattr(module, "PATIENCE", 0.0)

    async def scenario(many: Many) -> None:
        assert "being opened" in await refusal(many, "shop")
        await opens(many, "shop")

    opened(tmp_path, scenario)


def test_what_is_wrong_with_one_is_that_ones_alone_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made(tmp_path, *NAMES)
    monkeypatch.setattr(module, "_SWEEP", 0.01)
    (tmp_path / "tenants" / "shop" / FILE).write_text("neighbours = 1\n")

    async def scenario(many: Many) -> None:
        told = await refusal(many, "shop")
        assert "cannot be opened" in told
        assert "neighbours" not in told
        assert "neighbours" in caplog.text
        assert (await many.enter("news")).threads is not None
        (tmp_path / "tenants" / "shop" / FILE).write_text(QUIET)
        await opens(many, "shop")

    opened(tmp_path, scenario)


@pytest.mark.parametrize("name", ["gone", "", "..", "../shop", "shop/../news", "Shop", "a" * 64])
def test_a_key_of_no_tenant_leads_nowhere_and_makes_nothing(tmp_path: Path, name: str) -> None:
    made(tmp_path, *NAMES)
    before = sorted(tmp_path.rglob("*"))

    async def scenario(many: Many) -> None:
        with pytest.raises(Unavailable, match="cannot be opened"):
            await many.enter(name)

    opened(tmp_path, scenario)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_key_of_a_tenant_does_not_open_a_folder_without_tenants() -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        asyncio.run(Alone().enter("shop"))


# -- one server --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with three tenants, and for each a key that may do everything there."""
    folder = made(tmp_path_factory.mktemp("served") / "data", *NAMES)
    texts = {name: keys.create(folder, ["ingest", "read", "admin"], tenant=name)[1] for name in NAMES}
    texts["operator"] = keys.create(folder, ["operator"])[1]
    server = Server(folder).ready()
    yield server, texts
    server.stop()


def client(served: tuple[Server, dict[str, str]], name: str) -> httpx.Client:
    server, texts = served
    headers = {"Authorization": f"Bearer {texts[name]}", "X-Request-Id": "the-same"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=60)


_CALL = re.compile(r"curl 'http://[^/]+(?P<path>[^']*)'(?: -X \w+)?(?: -d '(?P<body>.*)')?")
_OWN = re.compile(  # the clock, ids given by it, and what goes on beside
    rb'"time":[0-9.e+]+|"ids":\[[^]]*\]|"id":"[0-9a-f]{15,16}"|"texts_waiting":[0-9]+|s\.[0-9a-f]{32}'
)
_NEVER = ((b"alien", b"zlien"), (b"ann", b"znn"))  # the names of the document, and names that nobody ever had


def calls(document: dict[str, Any]) -> list[tuple[str, str, bytes]]:
    """(method, path, body) of every address, as the document shows it; what changes something comes last."""
    found = []
    for item in document["paths"].values():
        for method, operation in item.items():
            call = _CALL.search(operation["description"])
            assert call, operation
            found.append((method.upper(), call["path"], (call["body"] or "").encode()))
    return sorted(found, key=lambda one: ("GET", "DELETE", "POST", "PUT", "PATCH").index(one[0]))


def answer(http: httpx.Client, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """(status, body); of a stream, which has no end, the first message."""
    with http.stream(method, path, content=body) as found:
        if found.headers["content-type"].startswith("text/event-stream"):
            return found.status_code, next(found.iter_bytes())
        return found.status_code, found.read()


def never(text: bytes) -> bytes:
    for name, other in _NEVER:
        text = text.replace(name, other)
    return text


def test_nothing_of_one_tenant_is_told_to_another(served: tuple[Server, dict[str, str]]) -> None:
    """The same as of what never was, byte for byte, at every address of the document."""
    with client(served, "shop") as owner, client(served, "news") as curious, client(served, "video") as innocent:
        films = [{"id": name, "fields": {"title": name, "genres": ["Horror"]}} for name in ("alien", "aliens")]
        assert owner.put("/v1/items", json=films).json()["accepted"] == 2
        owner.put("/v1/users", json={"id": "ann", "fields": {"age": 34}})
        owner.post("/v1/events", json=[{"user": "ann", "action": "click", "item": "alien", "id": "e1"}])
        told = ("/v1/items", "/v1/items/alien", "/v1/users/ann", "/health/ready")
        before = [_OWN.sub(b"", owner.get(path).content) for path in told]
        assert not [
            path for path, what in zip(told, before, strict=True) if _OWN.sub(b"", curious.get(path).content) == what
        ]
        document = owner.get("/docs/openapi.json").json()
        for method, path, body in calls(document):
            asked = answer(curious, method, path, body)
            other = answer(innocent, method, never(path.encode()).decode(), never(body))
            assert asked[0] == other[0], (method, path, asked, other)
            assert _OWN.sub(b"", never(asked[1])) == _OWN.sub(b"", other[1]), (method, path)
        assert [_OWN.sub(b"", owner.get(path).content) for path in told] == before
        slate = owner.get("/v1/recommend?user=ann").json()["id"]
        assert owner.get(f"/v1/slates/{slate}").status_code == 200
        other, none = curious.get(f"/v1/slates/{slate}"), curious.get(f"/v1/slates/{'0' * len(slate)}")
        assert other.text.replace(slate, "0" * len(slate)) == none.text
        again = {"user": "ann", "action": "click", "item": "alien", "id": "e1"}
        assert curious.post("/v1/events", json=again).json()["accepted"] == 1  # ids of events are each tenant's own


def test_metrics_are_of_ones_own_data_alone(served: tuple[Server, dict[str, str]]) -> None:
    """What is counted of all together, requests and memory, would tell what others do."""
    with client(served, "news") as http:
        told = http.get("/metrics").text
    assert "penchant_items " in told
    assert "penchant_requests" not in told
    assert "process_" not in told


def test_an_operator_sees_the_whole_server_and_nobodys_data(served: tuple[Server, dict[str, str]]) -> None:
    with client(served, "news") as http:
        http.put("/v1/items", json={"id": "seen-by-news-alone", "fields": {"title": "x"}})
    with client(served, "operator") as http:
        told = http.get("/metrics").text
        for method, path, body in calls(http.get("/docs/openapi.json").json()):
            if not path.startswith("/health"):
                assert answer(http, method, path, body)[0] == 403, (method, path)
        stranger = httpx.get(f"{served[0].url}/health/ready").json()
        assert http.get("/health/ready").json() == stranger
    families = {family.name: family for family in text_string_to_metric_families(told)}
    assert "process_resident_memory_bytes" in families
    (opened,) = families["penchant_tenants_open"].samples
    items = {one.labels["tenant"]: one.value for one in families["penchant_items"].samples}
    assert len(items) == opened.value
    assert items["news"] >= 1
    assert families["penchant_requests"].samples
    assert "seen-by-news-alone" not in told


@pytest.mark.parametrize("more", [{"scopes": ["operator", "read"]}, {"scopes": ["operator"], "tenant": "shop"}])
def test_an_operators_key_stands_alone(tmp_path: Path, more: dict[str, Any]) -> None:
    folder = made(tmp_path / "data", "shop")
    with pytest.raises(InvalidInput, match="operator"):
        keys.create(folder, **more)
    assert run(["key", "create", "--data", str(folder), "--scope", "operator"]) == 0


def test_an_operator_of_a_folder_without_tenants_sees_what_there_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / FILE).write_text(QUIET)
    _, text = keys.create(folder, ["operator"])
    server = Server(folder).ready()
    told = httpx.get(f"{server.url}/metrics", headers={"X-Api-Key": text}).text
    server.stop()
    assert {"penchant_items", "penchant_requests", "penchant_ready"} <= {
        family.name for family in text_string_to_metric_families(told)
    }


def test_each_has_its_own_settings(served: tuple[Server, dict[str, str]]) -> None:
    folder = served[0].folder / "tenants" / "video"
    with client(served, "video") as video, client(served, "news") as news:
        (folder / FILE).write_text(QUIET + "max_field_bytes = 16\n")
        long = {"id": "long", "fields": {"title": "x" * 99}}
        end = time.monotonic() + 60
        while video.put("/v1/items", json=long).status_code != 422:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert news.put("/v1/items", json=long).status_code == 200


def test_a_server_of_tenants_needs_keys(tmp_path: Path) -> None:
    made(tmp_path, "shop")
    with pytest.raises(InvalidInput, match="penchant key create --tenant"):
        serve(tmp_path, port=free_port())


# -- on disk, and the command line -------------------------------------------------------------------------------------


def test_a_folder_with_data_of_its_own_has_no_tenants(tmp_path: Path) -> None:
    Engine.open(tmp_path, encoder="none").close()
    with pytest.raises(InvalidInput, match="data of one application"):
        tenant_folders.create(tmp_path, "shop", "")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "-a", "ü", "a" * 64])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    for act in (lambda: tenant_folders.create(tmp_path, name, ""), lambda: tenant_folders.folder_of(tmp_path, name)):
        with pytest.raises(InvalidInput, match="no name"):
            act()


def test_a_tenant_that_is_open_is_not_removed(tmp_path: Path) -> None:
    folder = made(tmp_path, "shop") / "tenants" / "shop"
    with Engine.open(folder, encoder="none"):
        with pytest.raises(Unavailable, match="has this data folder open"):
            tenant_folders.remove(tmp_path, "shop")
        assert folder.exists()
    tenant_folders.remove(tmp_path, "shop")
    assert list((tmp_path / "tenants").iterdir()) == []
    with pytest.raises(NotFound):
        tenant_folders.remove(tmp_path, "shop")


def test_tenants_are_made_listed_and_removed_beside_a_running_server(
    served: tuple[Server, dict[str, str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens.out, "width", 140)
    data = ["--data", str(served[0].folder)]
    assert run(["tenant", "create", "books", "--preset", "shop", *data]) == 0
    assert run(["tenant", "create", "books", *data]) == 2
    capsys.readouterr()
    assert run(["key", "create", "--tenant", "books", "--scope", "ingest", *data]) == 0
    headers = {"X-Api-Key": capsys.readouterr().out.strip()}
    url = f"{served[0].url}/v1/events"
    (served[0].folder / "tenants" / "books" / FILE).write_text(QUIET)
    end = time.monotonic() + 60
    while httpx.post(url, json=circle_click(), headers=headers, timeout=60).status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert run(["tenant", "list", "--json", *data]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert sorted(listed) == ["books", *sorted(NAMES)]
    assert listed["books"]["keys"] == 1
    assert listed["books"]["log_bytes"] > 0
    assert run(["tenant", "remove", "books", "--again", "bokes", *data]) == 2
    assert httpx.post(url, json=circle_click(), headers=headers).status_code == 200
    assert run(["tenant", "remove", "books", "--again", "books", *data]) == 0
    assert httpx.post(url, json=circle_click(), headers=headers).status_code == 401
    assert not (served[0].folder / "tenants" / "books").exists()
    assert run(["tenant", "list", *data]) == 0
    assert "books " not in capsys.readouterr().out.partition("is gone")[2]


def test_a_tenant_is_removed_by_who_types_its_name_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "shop")
    for typed, code in (("news", 2), ("shop", 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
        assert run(["tenant", "remove", "shop", "--data", str(tmp_path)]) == code
        assert "Type its name again" in capsys.readouterr().out
        assert (tmp_path / "tenants" / "shop").exists() == (code == 2)


def circle_click() -> dict[str, Any]:
    return {"user": "ann", "action": "click", "item": circle(1)[0].item}
