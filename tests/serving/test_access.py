"""Who may do what, asked of a real server: scopes, public keys, rates, and that no secret is ever told."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from penchant.errors import InvalidInput
from penchant.serving import keys
from penchant.serving.access import OPENED_BY
from penchant.serving.cli import run
from penchant.serving.http import application
from penchant.serving.server import serve
from tests.conftest import circle
from tests.serving.conftest import Server, free_port

PAGE = "https://shop.example"
SESSION = "s." + "0123456789abcdef" * 2
CLICK = {"user": "ann", "action": "click", "item": "i0"}
ITEMS = [{"id": event.item, "fields": event.fields, "vectors": event.vectors} for event in circle(6)]


class Keyed(NamedTuple):
    """A server with a key of each scope, by scope."""

    server: Server
    keys: dict[str, str]

    def client(self, scope: str, **headers: str) -> httpx.Client:
        sent = {"Authorization": f"Bearer {self.keys[scope]}"} | headers
        return httpx.Client(base_url=self.server.url, headers=sent, timeout=60)

    def page(self, origin: str | None = PAGE, key: str = "public") -> httpx.Client:
        """A page in a browser that holds a key."""
        headers = {} if origin is None else {"Origin": origin}
        return httpx.Client(base_url=self.server.url, headers=headers, params={"key": self.keys[key]}, timeout=60)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("keyed")
    made = {scope: keys.create(folder, [scope])[1] for scope in ("ingest", "read", "admin")}
    made["public"] = keys.create(folder, ["public"], origins=(PAGE, "http://localhost:3000"))[1]
    made["slow"] = keys.create(folder, ["read"], rate=0.001)[1]
    revoked, made["revoked"] = keys.create(folder, ["read", "ingest", "admin"])
    keys.revoke(folder, revoked.id)
    server = Server(folder).ready()
    found = Keyed(server, made)
    with found.client("admin") as admin:
        assert admin.put("/v1/items", json=ITEMS).status_code == 200
    yield found
    said = server.stop()
    assert not [text for text in made.values() if text.split("_")[2] in said]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    return found


def unsigned(answer: httpx.Response) -> bytes:
    """A 401 without the id of its request, which is another one each time."""
    return answer.content.replace(problem(answer, 401)["request"].encode(), b"")


def until(seen: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)


# -- scopes ------------------------------------------------------------------------------------------------------------


REQUESTS: dict[str, tuple[str, Any]] = {
    "POST /v1/events": ("/v1/events", CLICK),
    "DELETE /v1/events/{id}": ("/v1/events/nothing", None),
    "POST /v1/sessions": ("/v1/sessions", None),
    "PUT /v1/sessions/{id}": ("/v1/sessions/s.1", {"user": "zoe"}),
    "PUT /v1/items": ("/v1/items", ITEMS[0]),
    "GET /v1/items": ("/v1/items", None),
    "GET /v1/items/{id}": ("/v1/items/i1", None),
    "PATCH /v1/items/{id}": ("/v1/items/i1", {"fields": {"new": True}}),
    "DELETE /v1/items/{id}": ("/v1/items/passing", None),
    "PUT /v1/users": ("/v1/users", {"id": "ann"}),
    "GET /v1/users/{id}": ("/v1/users/ann", None),
    "PATCH /v1/users/{id}": ("/v1/users/ann", {"fields": {"age": 3}}),
    "DELETE /v1/users/{id}": ("/v1/users/ann", None),
    "GET /v1/recommend": ("/v1/recommend", None),
    "POST /v1/recommend": ("/v1/recommend", {}),
    "GET /v1/recommend/stream": ("/v1/recommend/stream?user=bob", None),
    "POST /v1/rank": ("/v1/rank", {"items": ["i0"]}),
    "POST /v1/content": ("/v1/content", {"items": ["i0"]}),
    "GET /v1/search": ("/v1/search?words=item", None),
    "GET /v1/similar": ("/v1/similar?item=i0", None),
    "GET /v1/slates/{id}": ("/v1/slates/s1", None),
    "GET /v1/feedback": ("/v1/feedback", None),
    "GET /metrics": ("/metrics", None),
}


def test_every_address_says_what_opens_it() -> None:
    """One that is not in the table needs `admin`: safe, but surely forgotten."""
    plain = {"GET", "HEAD"}  # what a route that names no methods answers
    methods = {route.path: getattr(route, "methods", None) or plain for route in application().routes}
    there = {f"{method} {path}" for path, its in methods.items() for method in its}
    there = {re.sub(r":\w+}", "}", one) for one in there if not one.startswith("OPTIONS ")}
    assert there == set(OPENED_BY)
    assert {name for name, opened_by in OPENED_BY.items() if opened_by} == set(REQUESTS)


def test_a_browser_may_send_and_ask_for_lists_and_nothing_else() -> None:
    assert {name for name, opened_by in OPENED_BY.items() if "public" in opened_by} == {
        "POST /v1/events",
        "GET /v1/recommend",
        "POST /v1/recommend",
        "GET /v1/recommend/stream",
        "POST /v1/sessions",
    }


@pytest.mark.parametrize("address", REQUESTS)
def test_an_address_is_open_to_its_scope_and_no_other_learns_more_than_its_name(keyed: Keyed, address: str) -> None:
    method, (path, body) = address.split()[0], REQUESTS[address]
    for scope in ("ingest", "read", "admin"):
        with keyed.client(scope) as http, http.stream(method, path, json=body) as answer:
            if not answer.headers["content-type"].startswith("text/event-stream"):  # which has no end
                answer.read()
        if scope in OPENED_BY[address]:
            assert answer.status_code not in (401, 403)
        else:
            found = problem(answer, 403)
            assert any(f"`{name}`" in found["detail"] for name in OPENED_BY[address])
            assert found["value"] == f"['{scope}']"
            assert "penchant key create --scope" in found["way_out"]


@pytest.mark.parametrize("kind", ["item", "user", "erasure"])
def test_what_admin_does_is_not_done_by_an_event(keyed: Keyed, kind: str) -> None:
    event = {"kind": kind, "item": "i0"} if kind == "item" else {"kind": kind, "user": "ann"}
    with keyed.client("ingest") as http:
        assert "`admin`" in problem(http.post("/v1/events", json=[CLICK, event]), 403)["detail"]
        assert "accepted" in http.post("/v1/events", json=[CLICK]).json()


def test_a_list_with_the_acknowledgement_needs_the_scope_for_lists(keyed: Keyed) -> None:
    with keyed.client("ingest") as http:
        sent = CLICK | {"id": "with-a-list"}
        assert "`read`" in problem(http.post("/v1/events?recommend=3", json=sent), 403)["detail"]
        assert http.post("/v1/events", json=sent).json()["accepted"] == 1  # nothing of it was taken before


def test_a_key_is_taken_from_either_header(keyed: Keyed) -> None:
    key = keyed.keys["read"]
    for headers in ({"Authorization": f"bearer {key}"}, {"X-Api-Key": key}):
        assert httpx.get(f"{keyed.server.url}/v1/recommend", headers=headers).status_code == 200


def test_no_good_key_is_told_the_same_whatever_is_wrong_with_it(keyed: Keyed) -> None:
    good = keyed.keys["read"]
    flipped = ("0" if good[20] != "0" else "1").join((good[:20], good[21:]))
    unknown = keys.create(keyed.server.folder.parent, ["read"])[1]
    other_secret = f"pk_{good.split('_')[1]}_{unknown.split('_')[2]}"
    wrong = [None, "", "Basic x", good, *(f"Bearer {one}" for one in ("x", good[:-1], flipped, unknown))]
    wrong += [f"Bearer {keyed.keys['revoked']}", f"Bearer {other_secret}"]
    told = set()
    for sent in wrong:
        for address, (path, body) in REQUESTS.items():
            headers = {} if sent is None else {"Authorization": sent}
            answer = httpx.request(address.split()[0], keyed.server.url + path, json=body, headers=headers)
            told.add(unsigned(answer))
            assert answer.headers["www-authenticate"] == "Bearer"
    told.add(unsigned(httpx.get(f"{keyed.server.url}/v1/recommend?key={unknown}", headers={"Origin": PAGE})))
    told.add(unsigned(httpx.get(f"{keyed.server.url}/v1/recommend?key=%ff%00")))
    told.add(unsigned(httpx.get(f"{keyed.server.url}/v1/items/never-was")))
    assert len(told) == 1


def test_whether_it_answers_is_told_to_anybody_and_what_it_holds_to_a_key(keyed: Keyed) -> None:
    assert set(httpx.get(f"{keyed.server.url}/health/ready").json()) == {"penchant"}
    assert httpx.get(f"{keyed.server.url}/docs").status_code == 200
    with keyed.page() as page, keyed.client("read") as http:
        assert set(page.get("/health/ready").json()) == {"penchant"}
        assert http.get("/health/ready").json()["items"] == len(ITEMS)
    with keyed.client("revoked") as http:
        problem(http.get("/health/ready"), 401)


# -- public keys -------------------------------------------------------------------------------------------------------


def test_a_page_sends_what_its_session_does_and_gets_its_list(keyed: Keyed) -> None:
    with keyed.page() as page:
        sent = [{"kind": "impression", "user": SESSION, "slate": ["i1", "i2"]}, CLICK | {"user": SESSION}]
        plain = {"Content-Type": "text/plain"}  # as a beacon does
        answer = page.post("/v1/events", params={"recommend": 6}, content=json.dumps(sent), headers=plain)
        assert answer.json()["accepted"] == 2
        assert "i0" not in [one["item"] for one in answer.json()["slate"]["items"]]
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["vary"] == "origin"
        assert page.get("/v1/recommend", params={"user": SESSION}).json()["user_as_of"] == answer.json()["as_of"]
        assert page.post("/v1/recommend", json={"user": SESSION, "limit": 2}).status_code == 200
        assert page.get("/v1/recommend").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", "/v1/recommend?user=ann", None, "user"),
        ("GET", "/v1/recommend?user=", None, "user"),
        ("GET", f"/v1/recommend?user={SESSION}0", None, "user"),
        ("GET", f"/v1/recommend?user={SESSION.upper()}", None, "user"),
        ("POST", "/v1/recommend", {"user": "ann"}, "user"),
        ("POST", f"/v1/events?recommend=3&user={SESSION[:-1]}", [], "user"),
        ("POST", "/v1/events", CLICK, "user"),
        ("POST", "/v1/events", {"action": "click", "item": "i0"}, "user"),
        ("POST", "/v1/events", [CLICK | {"user": SESSION}, CLICK], "user"),
        ("POST", "/v1/events", {"kind": "impression", "user": "ann", "slate": ["i0"]}, "user"),
        ("POST", "/v1/events", {"kind": "erasure", "user": SESSION}, "kind"),
        ("POST", "/v1/events", {"kind": "retraction", "target": "e1"}, "kind"),
        ("POST", "/v1/events", {"kind": "alias", "user": "ann", "session": SESSION}, "kind"),
        ("POST", "/v1/events", {"kind": "item", "item": "i0"}, "kind"),
        ("POST", "/v1/events", {"kind": "user", "user": SESSION}, "kind"),
        ("PUT", "/v1/items", ITEMS[0], "scope"),
        ("GET", "/v1/items", None, "scope"),
        ("GET", f"/v1/users/{SESSION}", None, "scope"),
        ("DELETE", f"/v1/users/{SESSION}", None, "scope"),
    ],
)
def test_a_page_reaches_nobody_else(keyed: Keyed, method: str, path: str, body: Any, field: str) -> None:
    with keyed.page() as page:
        path, _, query = path.partition("?")
        params = dict(pair.split("=") for pair in query.split("&")) if query else {}
        answer = page.request(method, path, json=body, params=params)
        found = problem(answer, 403)
        assert (found["field"], bool(found["way_out"])) == (field, True)
        assert answer.headers["access-control-allow-origin"] == PAGE  # the page may read why


@pytest.mark.parametrize(
    "origin", ["https://other.example", f"{PAGE}.evil.example", "http://shop.example", "null", None]
)
def test_a_public_key_in_another_page_opens_nothing(keyed: Keyed, origin: str | None) -> None:
    with keyed.page(origin) as page:
        answer = page.get("/v1/recommend", params={"user": SESSION})
        assert problem(answer, 403)["field"] == "origin"
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_the_same_address_is_told_by_its_referer(keyed: Keyed) -> None:
    with keyed.page(None) as page:
        assert page.get("/v1/recommend", headers={"Referer": f"{PAGE}/shoes?size=9"}).status_code == 200
        assert page.get("/v1/recommend", headers={"Referer": "http://["}).status_code == 403


def test_a_browser_asks_first_and_is_let_through_for_pages_with_the_key(keyed: Keyed) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin, allowed in ((PAGE, PAGE), ("http://localhost:3000", "http://localhost:3000"), ("https://e.vil", None)):
        with keyed.page(origin) as page:
            answer = page.options("/v1/events", headers=asks)
            assert answer.status_code == 204
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert answer.headers["access-control-allow-headers"] == "content-type"
    with keyed.page(PAGE, "read") as page:
        assert "access-control-allow-origin" not in page.options("/v1/events", headers=asks).headers
    plain = httpx.options(f"{keyed.server.url}/v1/events")
    assert "POST" in plain.headers["allow"]


def test_a_secret_key_in_an_address_is_refused_with_what_to_do(keyed: Keyed) -> None:
    with keyed.page(None, "read") as http:
        found = problem(http.get("/v1/recommend"), 422)
    assert found["field"] == "key"
    assert "logs" in found["detail"]
    assert f"penchant key revoke {keyed.keys['read'].split('_')[1]}" in found["way_out"]


# -- rates and secrets -------------------------------------------------------------------------------------------------


def test_more_than_the_rate_is_told_to_come_back(keyed: Keyed) -> None:
    with keyed.client("slow") as http:
        assert http.get("/v1/recommend").status_code == 200
        answer = http.get("/v1/recommend")
        assert problem(answer, 429)["field"] == "rate"
        assert 900 < int(answer.headers["retry-after"]) <= 1000


def test_no_answer_tells_a_secret(keyed: Keyed) -> None:
    answers = []
    for text in keyed.keys.values():
        for path in ("recommend", "search", "items/", "nowhere"):
            for sent in (
                {"params": {"key": text}},
                {"params": {"kye": text, "words": text}},
                {"params": {"user": text}},
            ):
                for headers in ({}, {"Authorization": f"Bearer {keyed.keys['admin']}"}, {"X-Api-Key": text}):
                    answers.append(httpx.get(f"{keyed.server.url}/v1/{path}", headers=headers, **sent))  # type: ignore[arg-type]
        with keyed.client("ingest") as http:
            answers += [
                http.post("/v1/events", json={"key": text}),
                http.post("/v1/events", json=CLICK | {"action": text}),
            ]
            answers += [http.post(f"/v1/events?kye={text}", json=CLICK), http.post("/v1/events", content=text)]
            answers += [http.post("/v1/events", json={text: 1}), http.post(f"/v1/events?{text}=1", json=CLICK)]
            answers += [http.get(f"/v1/{text}"), http.post("/v1/events", json={"kind": "retraction", "target": text})]
    refused = [answer.text for answer in answers if answer.status_code != 200]
    assert len(refused) > 100
    secrets = [text.split("_")[2] for text in keyed.keys.values()]
    assert not [text for text in refused for secret in secrets if secret[:16] in text]


# -- what changes while it runs ----------------------------------------------------------------------------------------


def test_a_key_made_or_revoked_is_so_at_a_running_server(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with started(folder) as server:
        url = f"{server.url}/v1/recommend"
        assert httpx.get(url).status_code == 200
        key, text = keys.create(folder, ["read"])
        until(lambda: httpx.get(url).status_code == 401)
        headers = {"Authorization": f"Bearer {text}"}
        assert httpx.get(url, headers=headers).status_code == 200
        keys.revoke(folder, key.id)
        until(lambda: httpx.get(url, headers=headers).status_code == 401)


def test_a_file_of_keys_that_is_damaged_or_gone_leaves_those_in_use_and_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    _, text = keys.create(folder, ["read"])
    whole = (folder / keys.FILE).read_bytes()
    with started(folder) as server, httpx.Client(headers={"X-Api-Key": text}) as http:

        def warnings() -> str:
            return "".join(http.get(f"{server.url}/health/ready").json()["warnings"])

        (folder / keys.FILE).write_bytes(whole[:-9])
        until(lambda: "cannot be read" in warnings())
        (folder / keys.FILE).unlink()
        until(lambda: "it is gone" in warnings())
        assert httpx.get(f"{server.url}/v1/recommend").status_code == 401
        (folder / keys.FILE).write_bytes(whole)
        until(lambda: not warnings())


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Server]:
    server = Server(folder).ready()
    try:
        yield server
    finally:
        server.stop()


def test_who_follows_asks_for_the_keys_of_whom_it_follows(keyed: Keyed, tmp_path: Path) -> None:
    follower = Server(tmp_path / "own", leader=keyed.server.folder).ready()
    with keyed.client("read") as http:
        assert http.get(f"{follower.url}/v1/recommend").status_code == 200
    with keyed.client("revoked") as http:
        problem(http.get(f"{follower.url}/v1/recommend"), 401)
    problem(httpx.get(f"{follower.url}/v1/recommend"), 401)
    follower.stop()


# -- without keys ------------------------------------------------------------------------------------------------------


def test_without_keys_a_server_that_others_can_reach_is_refused(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(InvalidInput, match="--open") as refused:
            serve(tmp_path / "data", host=host, port=free_port())
        assert (refused.value.field, refused.value.value) == ("host", repr(host))
    assert not (tmp_path / "data").exists()


def test_the_command_says_so_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("serve", "--data", str(tmp_path / "data"), "--host", "0.0.0.0", "--port", str(free_port()))
    assert run(words) == 2
    assert "penchant key create" in capsys.readouterr().err


def test_in_a_trusted_network_it_is_open_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "penchant.toml").write_text('host = "0.0.0.0"\nopen = true\n')
    with started(tmp_path) as server:
        assert "read and change everything" in httpx.get(f"{server.url}/health/ready").json()["warnings"][0]


def test_with_a_key_it_listens_where_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "penchant.toml").write_text('host = "0.0.0.0"\nopen = true\n')
    _, text = keys.create(tmp_path, ["read"])
    with started(tmp_path) as server:
        assert httpx.get(f"{server.url}/v1/recommend").status_code == 401
        found = httpx.get(f"{server.url}/health/ready", headers={"X-Api-Key": text}).json()
        assert found["warnings"] == []


def test_a_file_of_keys_that_cannot_be_read_does_not_open_the_server(tmp_path: Path) -> None:
    (tmp_path / keys.FILE).write_text("{")
    said = Server(tmp_path).said()
    assert "keys.json" in said
    assert "cannot be read" in said
