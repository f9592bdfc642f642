"""The description of the service: valid, whole, and true to the algorithms that are there.

That every answer is in it is held by the client of all tests here (`contract.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import BaseModel

from service.app import create_app
from service.catalogue import Known
from service.operation import Operation, Path
from service.problems import TABLE
from service.schemas import Published
from slotwise import Algorithm
from slotwise.settings import Settings
from slotwise.store import Store
from tests.service.contract import Contract, contract

OF_NO_OPERATION = {  # whoever gets one has asked for none
    *("method-not-allowed", "malformed-request", "request-timeout", "headers-too-large", "too-many-connections")
}
METHODS = {"get", "put", "post", "delete"}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Where an operation has a body, and what is told of it."""
    if "requestBody" in operation:
        yield (
            ("requestBody", "content", "application/json"),
            operation["requestBody"]["content"]["application/json"],
        )
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            yield ("responses", status, "content", media_type), content


async def fetched(client: AsyncClient) -> dict[str, Any]:
    answer = await client.get("/openapi.json")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


async def test_is_valid(client: AsyncClient) -> None:
    document = await fetched(client)
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_is_described() -> None:
    routes = create_app(Settings(_env_file=None), "unix:///nowhere").routes
    described = {
        (route.path_format, method.lower()): operation
        for route in routes
        if isinstance(route, Path)
        for method, operation in route.operations.items()
    }
    assert [route for route in routes if not isinstance(route, Path)] == []
    assert all(isinstance(operation, Operation) for operation in described.values())
    told = {(path, method): told for path, method, told in operations(contract().document)}
    assert set(told) == set(described)
    assert len({operation.id for operation in described.values()}) == len(described)
    for where, operation in described.items():
        assert where[1] in METHODS
        assert told[where]["operationId"] == operation.id
        assert operation.summary and not operation.summary.endswith(".")
        queries = {each["name"] for each in told[where]["parameters"] if each["in"] == "query"}
        assert queries == {each.name for each in operation.query}


def test_every_body_has_examples_and_they_are_valid() -> None:
    for path, method, operation in operations(contract().document):
        for where, content in contents(operation):
            if content.get("schema", {}) in (
                {},
                {"type": "string"},
                {"additionalProperties": True, "type": "object"},
            ):
                continue  # events, text, this document
            assert content["examples"], f"{method} {path} {where}"
            validator = contract().validator("paths", path, method, *where, "schema")
            for name, example in content["examples"].items():
                value = example.get("value") or contract().document["components"]["examples"][name]["value"]
                validator.validate(value)


def test_parameters_have_valid_examples() -> None:
    for _, _, operation in operations(contract().document):
        for parameter in operation["parameters"]:
            Draft202012Validator.check_schema(parameter["schema"])
            assert parameter["description"]
            if "example" in parameter:
                Draft202012Validator(parameter["schema"]).validate(parameter["example"])


def test_every_problem_is_one_of_some_operation() -> None:
    shown = {
        code
        for _, _, operation in operations(contract().document)
        for where, content in contents(operation)
        if where[-1] == "application/problem+json"
        for code in content["examples"]
    }
    assert shown == set(TABLE) - OF_NO_OPERATION


def test_a_job_leads_to_all_that_can_be_done_with_it() -> None:
    document = contract().document
    links = document["paths"]["/jobs"]["post"]["responses"]["202"]["links"]
    of_a_job = {told["operationId"] for path, _, told in operations(document) if path.startswith("/jobs/{job_id}")}
    assert set(links) == of_a_job > {"read_job", "cancel_job"}
    assert links["read_job"]["parameters"] == {"job_id": "$response.body#/job_id"}


async def test_parameters_of_the_algorithms_are_in_it(client: AsyncClient) -> None:
    document = await fetched(client)
    assert set(document["x-algorithms"]) == {"PrimeChecker", "Rest"}
    assert document["x-algorithms"]["Rest"]["parameters"] == {"$ref": "#/components/schemas/RestParameters"}
    seconds = document["components"]["schemas"]["RestParameters"]["properties"]["seconds"]
    assert (seconds["minimum"], seconds["maximum"]) == (0, 3600)
    shown = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    example = {"algorithm": "PrimeChecker", "params": {"number": 97}}
    assert shown["PrimeChecker"] == {"summary": "PrimeChecker", "value": example}
    assert (await client.post("/jobs", json=example)).status_code == 202


async def test_follows_the_catalogue(client: AsyncClient, store: Store) -> None:
    before = (await client.get("/openapi.json")).content
    assert (await client.get("/openapi.json")).content == before
    await store.publish([Algorithm(nested, "maths/nested é").describe()])
    await client.get("/algorithms/maths%2Fnested%20%C3%A9")  # which looks for what is not known yet
    document = await fetched(client)
    validate(document)
    assert document["x-algorithms"]["maths/nested é"]["parameters"]["$ref"].endswith("/maths_nested__Parameters")


async def test_without_the_store_it_is_a_503(connect: Any) -> None:
    async with connect("unix:///nowhere/there-is-no-server") as client:
        answer = await client.get("/openapi.json")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")


class Node(BaseModel):
    children: list[Node] = []
    const: int = 1


def nested(tree: Node, named: dict[str, Node]) -> Node:
    raise NotImplementedError


def known(name: str, parameters: Any, result: Any = None) -> Known:
    return Known({"name": name, "parameters": parameters, "result": result or {}, "example": {}})


def test_what_a_schema_defines_is_a_component_of_its_own() -> None:
    published = Published([Known(Algorithm(nested, "Nested").describe())])
    assert set(published.components) == {
        "NestedParameters",
        "NestedParameters.Node",
        "NestedResult",
        "NestedResult.Node",
    }
    node = published.components["NestedParameters.Node"]["properties"]
    assert node["children"]["items"] == {"$ref": "#/components/schemas/NestedParameters.Node"}
    assert node["const"]["default"] == 1


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/$defs/Missing"},
        {"properties": {"a": {"$ref": "#/definitions/A"}}},
        {"$ref": 7},
        {"properties": 7},
        {"$defs": 7},
    ],
)
def test_a_schema_that_is_none_shows_as_any_and_harms_no_other(schema: Any) -> None:
    published = Published([known("Bad", schema), known("Good", {"type": "object"})])
    assert published.components["BadParameters"] == {}
    assert published.components["GoodParameters"] == {"type": "object"}
    assert set(published.examples_by_algorithm) == {"Good"}


def test_names_that_look_alike_are_kept_apart() -> None:
    published = Published([known("a/b", {"title": "1"}), known("a b", {"title": "2"})])
    parts = [told["parameters"]["$ref"].rpartition("/")[2] for told in published.index.values()]
    assert [published.components[part]["title"] for part in parts] == ["1", "2"]


def test_a_contract_notices_an_answer_that_is_not_described() -> None:
    of = Contract(contract().paths)
    del of.document["paths"]["/healthz"]["get"]["responses"]["200"]
    assert list(of.faults("GET", "/healthz", Response(200, json={}))) == ["read_health has no answer 200"]
