"""Judgments over the API: by a key that is bound to a person, or by who has signed in, and by nobody else."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from jsonschema import Draft202012Validator

from app.service.annotating import Annotating
from app.web.annotate.exports import EXPORTS
from app.web.programs.judgments import Format
from kb.annotations.exporting import export_lines
from kb.annotations.people import add_person, change_role, remove_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project
from kb.annotations.records import Project
from kb.annotations.signing_in import accept, invite
from tests.app.web.programs.test_http_api import problem
from tests.support.annotations import answer, passage, photo_bytes
from tests.support.api import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("judged")) as one:
        desk = Annotating(one.service)
        create_project(one.database, Project("herons", "# Judge", judges=2))
        for number in (1, 2):
            put = desk.add("herons", f"How tall is heron {number}?", photo_bytes())
            add_pool(one.database, "herons", put.key, [passage(number, {"mini": 1}), answer()])
        desk.close()
        for name in ("anna", "bert"):
            add_person(one.database, name)
        yield one


@pytest.fixture(scope="module")
def anna(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.api, headers=server.headers("of-anna", "judge", person="anna")) as one:
        yield one


def test_judging(server: Server, anna: httpx.Client) -> None:
    [project] = anna.get("projects").json()
    assert (project["name"], project["items"], project["mine"]) == ("herons", 2, 0)
    assert anna.get("projects/herons").json()["scales"]["passage"][0]["key"] == "answers"
    item = anna.post("projects/herons/next").json()["item"]
    assert item["question"] == "How tall is heron 1?"
    assert anna.get(f"projects/herons/items/{item['id']}/photo").headers["content-type"] == "image/jpeg"
    first = item["candidates"][0]
    told = {"item": item["id"], "candidate": first["id"], "grade": "answers", "comment": "in the first sentence"}
    saved = anna.post("projects/herons/judgments", json=told).json()
    assert saved["said"]["grade"] == "answers" and saved["said"]["person"] == "anna"
    again = anna.post("projects/herons/judgments", json={**told, "grade": "wrong"}).json()
    assert anna.post("projects/herons/undo", json={"number": again["top"]}).json()["said"]["grade"] == "answers"
    [mine] = anna.get("projects/herons/judgments").json()["judged"]
    assert mine["grade"] == "answers" and mine["comment"] == "in the first sentence"
    there = anna.get(f"projects/herons/items/{item['id']}").json()["item"]
    assert there["candidates"][0]["said"]["grade"] == "answers"
    assert anna.post("projects/herons/skip", json={"item": item["id"], "reason": "blurred"}).status_code == 200
    assert anna.post("projects/herons/next").json()["item"]["question"] == "How tall is heron 2?"
    bert = server.headers("of-bert", "judge", person="bert")
    others = httpx.get(f"{server.api}projects/herons/judgments", headers=bert)
    assert others.json()["judged"] == []


def test_the_reference_says_what_is_told(server: Server, anna: httpx.Client) -> None:
    """All of it, and nothing else."""
    schema = httpx.get(f"{server.address}openapi.json").json()

    def check(method: str, path: str, **how: object) -> Any:
        reply = anna.request(method, path.format(project="herons", item=2), **how)
        told = schema["paths"][f"/api/v1/{path}"][method.lower()]["responses"]["200"]["content"]["application/json"]
        strict = json.loads(json.dumps({**told["schema"], "components": schema["components"]}))
        for each in strict["components"]["schemas"].values():
            each["additionalProperties"] = False
        Draft202012Validator(strict).validate(reply.json())
        return reply.json()

    check("GET", "projects")
    check("GET", "projects/{project}")
    check("POST", "projects/{project}/next")
    candidate = check("GET", "projects/{project}/items/{item}")["item"]["candidates"][0]["id"]
    said = {"item": 2, "candidate": candidate, "grade": "answers", "span": [0, 2], "comment": "so"}
    saved = check("POST", "projects/{project}/judgments", json=said)
    check("POST", "projects/{project}/judgments", json={"item": 2, "region": [0, 0, 1, 1]})
    assert check("GET", "projects/{project}/judgments")["judged"]
    skipped = check("POST", "projects/{project}/skip", json={"item": 2, "reason": "blurred"})
    assert check("POST", "projects/{project}/undo", json={"number": skipped["top"]})
    assert check("POST", "projects/{project}/undo", json={"number": saved["top"]}) is None


def test_what_is_judged_wrongly_is_a_sentence(anna: httpx.Client) -> None:
    item = anna.get("projects/herons/items/1").json()["item"]
    candidate = item["candidates"][0]["id"]

    def post(**told: object) -> httpx.Response:
        return anna.post("projects/herons/judgments", json=told)

    problem(post(item=1, candidate=candidate, grade="superb"), 400)
    problem(post(item=1, candidate="none", grade="answers"), 400)
    problem(post(item=99, candidate=candidate, grade="answers"), 404)
    problem(post(candidate=candidate), 422)
    problem(post(item=1, candidate=candidate, grade=5), 422)
    problem(post(item=1, candidate=candidate, citations={"x": True}), 400)
    problem(post(item=1, person="bert", grade="answers"), 422)
    problem(anna.post("projects/herons/judgments", content=b"{", headers={"Content-Type": "application/json"}), 400)
    nothing = {"Content-Type": "application/json"}
    for none in ("NaN", "[0, NaN, 1, 1]", "[0, 0, 1]"):
        body = f'{{"item": 1, "region": {none}}}'
        assert "four numbers" in problem(anna.post("projects/herons/judgments", content=body, headers=nothing), 422)
    half = b'{"item": 1, "comment": "\\ud800"}'
    assert "UTF-8" in problem(anna.post("projects/herons/judgments", content=half, headers=nothing), 422)
    problem(anna.get("projects/none"), 404)
    for number in (0, -1, 99, 2**53, 2**64, 10**40):
        for path in (f"items/{number}", f"items/{number}/photo"):
            assert "no item" in problem(anna.get(f"projects/herons/{path}"), 404)
    problem(anna.get("projects/herons/items/x"), 422)


def test_an_owner_gets_what_all_have_judged_as_the_page_gives_it(server: Server, anna: httpx.Client) -> None:
    assert get_args(Format) == ("jsonl", "zip", "qrels", "runs") and set(get_args(Format)) == set(EXPORTS)
    add_person(server.database, "olga", "owner")
    address, olga = f"{server.api}projects/herons/export", server.headers("of-olga", "judge", person="olga")
    page = f"{server.address}annotation/export/herons"
    for kind in ("jsonl", "qrels", "runs"):
        told = httpx.get(address, params={"format": kind}, headers=olga)
        assert told.status_code == 200 and told.text == "".join(
            f"{line}\n" for line in export_lines(server.database, "herons", kind)
        )
        by_page = httpx.get(f"{page}/{kind}", cookies={"citesight_name": "olga"})
        assert (by_page.text, by_page.headers["content-type"]) == (told.text, told.headers["content-type"])
    assert '"id": ' in httpx.get(address, headers=olga).text  # all of it, where no format is said
    zipped = httpx.get(address, params={"format": "zip"}, headers=olga)
    assert zipped.headers["content-disposition"] == 'attachment; filename="herons.zip"'
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as file:
        [photo] = [name for name in file.namelist() if name != "herons.jsonl"]
        assert file.read(photo) == photo_bytes()
    told = httpx.get(f"{server.address}openapi.json").json()["paths"]["/api/v1/projects/{project}/export"]["get"]
    assert set(told["responses"]["200"]["content"]) == {"text/plain", "application/zip"}
    assert told["parameters"][-1]["schema"]["enum"] == list(get_args(Format))
    assert "csv" not in problem(httpx.get(address, params={"format": "csv"}, headers=olga), 422)
    assert "no project called none" in problem(httpx.get(address.replace("herons", "none"), headers=olga), 404)
    # As on the page nobody else does, whatever the key's right.
    assert problem(anna.get("projects/herons/export"), 403) == "Only owners can do this; ask whoever runs the program."
    add_person(server.database, "adam", "adjudicator")
    problem(httpx.get(address, headers=server.headers("of-adam", "judge", person="adam")), 403)
    problem(httpx.get(address, headers=server.headers("asks-too")), 403)
    problem(httpx.get(address), 401)
    change_role(server.database, "olga", "annotator")
    problem(httpx.get(address, headers=olga), 403)


def test_who_may_judge(server: Server) -> None:
    asks = server.headers("asks")
    problem(httpx.get(f"{server.api}projects", headers=asks), 403)
    add_person(server.database, "carl")
    carl = server.headers("of-carl", "judge", person="carl")
    assert httpx.get(f"{server.api}projects", headers=carl).status_code == 200
    remove_person(server.database, "carl")
    assert "judges no more" in problem(httpx.get(f"{server.api}projects", headers=carl), 403)
    code = invite(server.database, "dora")
    problem(httpx.get(f"{server.api}projects"), 401)  # from now on names alone are not believed
    problem(httpx.get(f"{server.api}projects", cookies={"citesight_name": "anna"}), 401)
    signed_in = {"citesight_session": accept(server.database, code, "a long password of hers")}
    assert httpx.get(f"{server.api}projects", cookies=signed_in).status_code == 200
    problem(httpx.get(f"{server.api}projects", cookies=signed_in, headers=asks), 403)
