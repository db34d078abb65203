"""What the OpenAPI document promises is what the server does, whatever is sent that the document allows, or forbids."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from penchant.serving.http import application
from tests.serving.conftest import Server
from tests.serving.test_http import CLICK, items

STREAMS = ("/v1/recommend/stream",)  # an answer without an end: test_streaming.py reads it
load_all_checks()
PROMISES = [
    CHECKS.get_one(name)
    for name in ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
]


def asked() -> list[Any]:
    """(operation, mode): with what the document allows, and where it forbids anything, with what it forbids."""
    schema = schemathesis.openapi.from_dict(application().openapi_schema.to_schema())
    found = [one for one in (result.ok() for result in schema.get_all_operations()) if one.path not in STREAMS]
    allowed = [pytest.param(one, GenerationMode.POSITIVE, id=f"{one.label} allowed") for one in found]
    forbidding = [one for one in found if one.body or one.query]  # any text is an id
    return allowed + [pytest.param(one, GenerationMode.NEGATIVE, id=f"{one.label} forbidden") for one in forbidding]


@pytest.fixture(scope="module")
def lived_in(server: Server) -> Server:
    """A server that has items and a person to be asked for."""
    httpx.put(f"{server.url}/v1/items", json=items(6))
    httpx.post(f"{server.url}/v1/events", json=CLICK)
    return server


@pytest.mark.parametrize(("operation", "mode"), asked())
def test_the_server_does_what_its_document_says(lived_in: Server, operation: Any, mode: GenerationMode) -> None:
    @settings(
        max_examples=25,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(base_url=lived_in.url)
        assert answer.status_code < 500 or (answer.status_code == 503 and answer.json()["way_out"]), (
            case.as_curl_command()
        )
        case.validate_response(answer, checks=PROMISES)

    ask()
