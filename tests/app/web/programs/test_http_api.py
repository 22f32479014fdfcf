"""The HTTP API over HTTP: questions, evidence, passages, streams, keys and their rights, and all that can be wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from app.service.starting_service import StartingService
from app.settings import load_settings
from app.web.page import build_page, launch
from app.web.programs import bodies, words
from app.web.programs.bodies import BoundedBodies
from common.problems import Problem, Unreachable
from kb.keys.keys import revoke
from kb.keys.tables import KeyRow
from tests.support.api import Held, Hold, Server, base64_photo, bearing, holding, photo, serving
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.ports import free_port
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("nobody_at_work")

WEIGHS = "How many grams does it weigh?"
CHERRY = "things:Cherry#0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Where a key is needed."""
    with serving(tmp_path_factory.mktemp("closed"), api_open=False) as one:
        yield one


@pytest.fixture
def held() -> Iterator[Held]:
    with holding() as one:
        yield one


def problem(reply: httpx.Response, status: int) -> str:
    """The one sentence, as it is for every problem."""
    assert reply.status_code == status, reply.text
    told = reply.json()
    assert list(told) == ["problem"] and told["problem"].endswith(".")
    assert "Traceback" not in reply.text and "\n" not in told["problem"] and len(told["problem"]) < 400
    return told["problem"]


def events(reply: httpx.Response) -> list[tuple[str, dict]]:
    found = []
    for block in reply.text.split("\n\n"):
        if block.startswith("event: "):
            kind, _, data = block.removeprefix("event: ").partition("\ndata: ")
            found.append((kind, json.loads(data)))
    return found


def test_a_question_with_a_photo_in_json_and_as_a_file(server: Server) -> None:
    asked = {"question": WEIGHS, "photo": base64_photo(), "corpora": ["things"], "passages": 3}
    in_json = httpx.post(f"{server.api}ask", json=asked)
    as_url = httpx.post(f"{server.api}ask", json={**asked, "photo": f"data:image/png;base64,{asked['photo']}"})
    form = {"question": WEIGHS, "corpora": ["things"], "passages": "3", "earlier": "[]", "region": "[0, 0, 1, 1]"}
    as_file = httpx.post(f"{server.api}ask", data=form, files={"photo": ("a.png", photo())})
    first = in_json.json()
    assert first["answer"].startswith("Cherry: about 8 grams [1]") and first["passages"][0]["id"] == CHERRY
    for reply in (in_json, as_url, as_file):
        assert reply.status_code == 200
        words.Result.model_validate(reply.json(), strict=False)
        assert set(reply.json()) == set(words.Result.model_fields)
        assert reply.json()["answer"] == first["answer"] and len(reply.json()["passages"]) == 3
    for passage in first["passages"]:
        assert set(passage) == set(words.Evidence.model_fields)
    more = {"question": "How heavy is it?", "photo": asked["photo"], "earlier": [first["turn"]]}
    assert httpx.post(f"{server.api}ask", json=more).json()["turn"]["subject"] == "Cherry"


def test_a_question_without_a_photo(server: Server) -> None:
    reply = httpx.post(f"{server.api}ask", json={"question": "How much does a cherry weigh?"})
    assert reply.status_code == 200 and reply.json()["subject"] is None


def test_an_answer_as_it_comes(server: Server) -> None:
    asked = {"question": WEIGHS, "photo": base64_photo()}
    whole = httpx.post(f"{server.api}ask", json=asked).json()
    reply = httpx.post(f"{server.api}ask", json={**asked, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    told = [each for each in events(reply) if each[0] != "stage"]
    assert told[0][0] == "evidence" and set(told[0][1]) == set(words.Found.model_fields)
    assert [kind for kind, _ in told[1:-1]] == ["piece"] * (len(told) - 2) and told[-1][0] == "result"
    assert told[-1][1]["answer"] == whole["answer"]


def test_events_hold_no_other_line_ends(held: Held) -> None:
    """Which many clients take for the end of the data: U+2028 and its like."""
    question = "How\u2028tall\u2029is\u0085it?"
    reply = httpx.post(f"{held.api}ask", json={"question": question, "photo": base64_photo(), "stream": True})
    assert events(reply)[-1][1]["question"] == question and reply.text.splitlines() == reply.text.split("\n")[:-1]


def test_pieces_make_up_the_answer(held: Held) -> None:
    held.birds.hold = Hold()
    held.birds.hold.set()
    asked = {"question": "How tall?", "photo": base64_photo(), "own": True}
    told = events(httpx.post(f"{held.api}ask", json={**asked, "stream": True}))
    pieces = [each for kind, each in told if kind == "piece"]
    assert pieces == [{"at": 0, "text": "It stands"}, {"at": 9, "text": " up"}]
    assert ("own", {"at": 0, "text": "Tall"}) in told and told[-1][0] == "result"


def test_evidence_alone(server: Server) -> None:
    asked = {"question": WEIGHS, "photo": base64_photo("blue"), "passages": 2}
    reply = httpx.post(f"{server.api}evidence", json=asked)
    found = words.Found.model_validate(reply.json())
    assert [each.title for each in found.passages][0] == "Sapphire" and len(found.passages) == 2
    assert set(reply.json()) == set(words.Found.model_fields)


def test_what_there_is(server: Server) -> None:
    passage = httpx.get(f"{server.api}passage", params={"id": CHERRY}).json()
    assert (passage["title"], passage["licence"], passage["url"]) == ("Cherry", "CC0", "https://example.org/Cherry")
    assert set(passage) == set(words.Passage.model_fields)
    [corpus] = httpx.get(f"{server.api}corpora").json()
    assert (corpus["name"], corpus["passages"], corpus["usual"]) == ("things", 4, True)
    assert set(corpus) == set(words.Corpus.model_fields)
    status = httpx.get(f"{server.api}status").json()
    assert status["ready"] and status["indexed"] == 4 and set(status) == set(words.Status.model_fields)


def test_a_picture(server: Server) -> None:
    name = "ab" * 32
    folder = server.service.settings.pictures_dir / "ab"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jpg").write_bytes(b"a picture")
    reply = httpx.get(f"{server.api}pictures/{name}.jpg")
    assert reply.content == b"a picture" and reply.headers["content-type"] == "image/jpeg"
    for wrong in ("cd" * 32 + ".jpg", "..%2f..%2fcatalogue.sqlite", "x.jpg"):
        problem(httpx.get(f"{server.api}pictures/{wrong}"), 404)


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ({}, 400, "Send a question, as question; a photo may go with it."),
        ({"question": " "}, 400, "Send a question"),
        ({"photo": base64_photo()}, 400, "Type a question about the photo."),
        ({"question": "x" * 3000}, 400, "shorten it"),
        ({"question": "x", "corpora": ["none"]}, 400, "There is no collection called 'none'; there is: things."),
        ({"question": "x", "corpora": []}, 422, "corpora"),
        ({"question": "x", "photo": "aGVsbG8="}, 400, "not a photo"),
        ({"question": "x", "photo": base64_photo()[:60]}, 400, "photo"),
        ({"question": "x", "photo": "%%%"}, 422, "photo: this is no base64"),
        ({"question": "x", "photo": "http://127.0.0.1/a.png"}, 422, "photo: addresses are not fetched"),
        ({"question": "x", "photo": 5}, 422, "photo"),
        ({"question": "x", "passages": 51}, 422, "passages"),
        ({"question": "x", "photo": base64_photo(), "region": [0, 0, 2, 2]}, 422, "four numbers"),
        ({"question": "x", "region": [0, 0, 2, 2]}, 422, "four numbers"),
        ({"question": "x", "region": "x"}, 422, "region: the part of the photo must be four numbers"),
        ({"question": "x", "passages": 2.5}, 422, "passages: this must be a whole number."),
        ({"question": "x", "each": "perhaps"}, 422, "each: this must be true or false."),
        ({"question": "x", "earlier": [{"question": "y"}]}, 422, "earlier.0.answer"),
        ({"question": "x", "each": True}, 400, "CITESIGHT_MODEL"),
        ({"question": "x", "passage": 3}, 422, "passage: extra inputs are not permitted"),
        ([], 422, "."),
    ],
)
def test_what_is_asked_wrongly_is_a_sentence(server: Server, asked: object, status: int, sentence: str) -> None:
    assert sentence in problem(httpx.post(f"{server.api}ask", json=asked), status)


def test_what_is_sent_wrongly_is_a_sentence(server: Server) -> None:
    def post(content: object, kind: str = "application/json", path: str = "ask") -> httpx.Response:
        return httpx.post(f"{server.api}{path}", content=content, headers={"Content-Type": kind})

    assert "no JSON" in problem(post(b"{nope"), 400)
    assert "not valid UTF-8" in problem(post(b'{"question": "\xff"}'), 400)
    for half in (b"\\ud800", b"\\ud800x", b"\\udc00"):
        assert "no character" in problem(post(b'{"question": "%s"}' % half), 400)
    for none in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
        for more in (b"", b', "photo": "%s"' % base64_photo().encode()):
            asked = b'{"question": "x", "region": [0, %s, 1, 1]%s}' % (none, more)
            assert "four numbers" in problem(post(asked), 422)
        assert "whole number" in problem(post(b'{"question": "x", "passages": %s}' % none), 422)
    problem(post(b"[" * 60_000), 400)
    assert "form" in problem(post(b"nothing of the kind", "multipart/form-data; boundary=x"), 400)
    assert "form" in problem(post(b"", "multipart/form-data"), 400)
    assert "application/json" in problem(post(b"x", "text/plain"), 415)
    two = [("photo", ("a.png", photo())), ("photo", ("b.png", photo()))]
    problem(httpx.post(f"{server.api}ask", data={"question": "x"}, files=two), 400)
    problem(httpx.post(f"{server.api}ask", data={"photo": "x"}, files={"question": b"x"}), 422)
    assert "20 MB" in problem(post(b"x" * (50 << 20)), 413)
    assert "20 MB" in problem(post(iter([b"x" * (1 << 20)] * 50)), 413)
    assert "too much" in problem(post(b"[" + b"[]," * 100_000 + b"[]]"), 413)
    problem(httpx.post(f"{server.api}projects", content=b"x" * 500_000), 413)
    assert "/docs" in problem(httpx.get(f"{server.api}nothing"), 404)
    problem(httpx.get(f"{server.api}ask"), 405)
    problem(httpx.get(f"{server.api}passage"), 422)
    assert "no passage" in problem(httpx.get(f"{server.api}passage", params={"id": "things:None#0"}), 404)
    # ... and the next good one is answered.
    assert httpx.post(f"{server.api}ask", json={"question": WEIGHS, "photo": base64_photo()}).status_code == 200


def test_what_is_left_empty_in_a_form_is_left_out(server: Server) -> None:
    """As pages send it, of which /docs is one."""
    asked = {"question": "How much does a cherry weigh?", "region": "", "text": "", "corpora": "", "passages": ""}
    whole = httpx.post(f"{server.api}ask", json={"question": asked["question"]}).json()
    for files in ({"photo": (None, "")}, {"photo": ("", b"")}):
        reply = httpx.post(f"{server.api}ask", data=asked, files=files)
        assert reply.status_code == 200, reply.text
        assert reply.json()["answer"] == whole["answer"] and reply.json()["subject"] is None


def test_the_reference_has_a_form_that_can_be_sent(server: Server) -> None:
    schema = httpx.get(f"{server.address}openapi.json").json()
    for path, kind in (("ask", words.Question), ("evidence", words.Sought)):
        content = schema["paths"][f"/api/v1/{path}"]["post"]["requestBody"]["content"]
        fields = content["multipart/form-data"]["schema"]["properties"]
        assert set(fields) == set(kind.model_fields) and fields["photo"]["format"] == "binary"
        for each in fields.values():  # what is not filled in is not sent as null or as an example
            assert each["type"] in ("string", "integer", "boolean", "array") and each["description"]
            assert not {"default", "examples"} & set(each) and not each.get("example")
        reply = httpx.post(f"{server.api}{path}", json=content["application/json"]["example"])
        assert reply.status_code == 200


def test_everything_under_api_is_told_as_json(server: Server, closed: Server) -> None:
    for path in ("/api", "/api/", "/api/v1", "/api/v2/ask", "/api/v1/", "/api/v1/status/", "/api/v1/ask/"):
        address = server.address.rstrip("/") + path
        for method in ("GET", "POST"):
            problem(httpx.request(method, address), 404)
    problem(httpx.get(f"{server.address}docs/"), 404)
    problem(httpx.get(f"{closed.address}api/v2/ask"), 401)
    for path in ("api/v1/status", "api/v1/corpora", "docs", "openapi.json"):
        head, whole = httpx.head(f"{server.address}{path}"), httpx.get(f"{server.address}{path}")
        assert head.status_code == 200 and head.content == b""
        assert head.headers["content-length"] == whole.headers["content-length"]


def test_all_bodies_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(scope, receive, send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})

    monkeypatch.setattr(bodies, "HELD", 1000)
    bounded = BoundedBodies(answer)
    asked = TestClient(bounded)
    bounded._held = 600  # by questions that are worked on
    assert asked.post("/api/v1/ask", content=b"x" * 400).text == "taken" and bounded._held == 600
    assert "at the moment" in problem(asked.post("/api/v1/ask", content=b"x" * 401), 503)
    assert bounded._held == 600


@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_ends_the_question(held: Held, stream: bool) -> None:
    """In mid-stream, and while waiting for a whole answer."""
    held.birds.hold = Hold()
    address = httpx.URL(held.api)
    body = json.dumps({"question": "How tall?", "photo": base64_photo(), "stream": stream}).encode()
    with socket.create_connection((address.host, address.port)) as client:
        head = f"POST /api/v1/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        wait_for(lambda: held.birds.hold.reached)
    held.check_ended()


def test_a_problem_in_mid_stream_is_told(held: Held) -> None:
    held.birds.raises_late = RuntimeError("a secret of the machine")
    asked = {"question": "How tall?", "photo": base64_photo()}
    told = events(httpx.post(f"{held.api}ask", json={**asked, "stream": True}))
    assert told[-1][0] == "problem" and told[-1][1]["status"] == 500 and "secret" not in told[-1][1]["problem"]
    assert "secret" not in problem(httpx.post(f"{held.api}ask", json=asked), 500)


def test_what_can_be_tried_again_says_when(held: Held) -> None:
    """Such as while nothing is indexed yet, or the catalogue's server is away, of which strangers are not told."""
    for raised, sentence in (
        (Problem("There is nothing to search yet, ask again shortly."), "nothing to search yet"),
        (Unreachable("The database at db.example cannot be reached."), "catalogue cannot be reached"),
    ):
        held.birds.raises = raised
        for path, more in (("ask", {}), ("ask", {"stream": True}), ("evidence", {})):
            asked = {"question": "How tall?", "photo": base64_photo(), **more}
            reply = httpx.post(f"{held.api}{path}", json=asked)
            if reply.headers["content-type"].startswith("text/event-stream"):  # the machine was busy for a while
                assert sentence in events(reply)[-1][1]["problem"]
            else:
                assert sentence in problem(reply, 503) and int(reply.headers["retry-after"])
            assert "db.example" not in reply.text


def test_who_asks_too_often_is_told_when_it_goes_on() -> None:
    with holding(rate_address="2/minute") as held:
        asked = {"question": "How tall?", "photo": base64_photo()}
        assert httpx.post(f"{held.api}ask", json=asked).status_code == 200
        assert httpx.post(f"{held.api}evidence", json=asked).status_code == 200
        for path, more in (("ask", {}), ("ask", {"stream": True}), ("evidence", {})):
            reply = httpx.post(f"{held.api}{path}", json={**asked, **more})
            assert "2 questions within a minute" in problem(reply, 429) and 0 < int(reply.headers["retry-after"]) <= 30
        assert httpx.get(f"{held.api}status").status_code == 200


def test_what_is_not_there_yet_is_said() -> None:
    settings = load_settings(port=free_port())
    page = build_page(StartingService(settings))
    api = f"{launch(page, settings)}api/v1/"
    try:
        reply = httpx.post(f"{api}ask", json={"question": "x", "stream": True})
        assert "Starting" in problem(reply, 503) and reply.headers["retry-after"]
        problem(httpx.post(f"{api}evidence", json={"question": "x"}), 503)
        problem(httpx.get(f"{api}corpora"), 503)
        problem(httpx.get(f"{api}passage", params={"id": "x"}), 503)
        assert "starting" in problem(httpx.get(f"{api}corpora", headers=bearing("cs_x")), 503)
        status = httpx.get(f"{api}status").json()
        assert not status["ready"] and status["waiting_for"] == ["encoder", "index"]
    finally:
        page.close(verbose=False)


def test_keys_and_their_rights(closed: Server) -> None:
    asked = {"question": WEIGHS, "photo": base64_photo()}

    def ask(path: str = "ask", **headers: str) -> httpx.Response:
        return httpx.post(f"{closed.api}{path}", json=asked, headers=headers)

    assert "keys add" in problem(ask(), 401) and ask().headers["www-authenticate"] == "Bearer"
    problem(httpx.get(f"{closed.api}corpora"), 401)
    assert httpx.get(f"{closed.api}status").status_code == 200
    for wrong in ("Bearer", "Bearer x", "Basic eA==", f"Bearer {'x' * 5000}", "Bearer \xe9"):
        problem(httpx.post(f"{closed.api}ask", json=asked, headers={"Authorization": wrong.encode("latin-1")}), 401)
    both, finds = closed.headers("both"), closed.headers("finds", "retrieve")
    assert ask(**both).status_code == ask("evidence", **both).status_code == 200
    assert ask("evidence", **finds).status_code == 200
    assert "The key finds may not do this" in problem(ask(**finds), 403)
    judges = closed.headers("judges", "judge", person="anna")
    for path in ("ask", "evidence"):
        problem(ask(path, **judges), 403)
    problem(httpx.get(f"{closed.api}passage", params={"id": CHERRY}, headers=judges), 403)
    revoke(closed.database, "both")  # as another process does it
    assert "revoked" in problem(ask(**both), 401)
    with closed.database.writing() as session:
        session.execute(update(KeyRow).values(until=datetime.now(UTC) - timedelta(minutes=1)))
    assert "ended" in problem(ask("evidence", **finds), 401)


def test_a_wrong_key_is_refused_where_none_is_needed(server: Server) -> None:
    problem(httpx.get(f"{server.api}corpora", headers=bearing("cs_wrong")), 401)


@pytest.mark.parametrize(
    ("given", "host", "may"),
    [
        ({}, "127.0.0.1:7860", True), ({}, "localhost", True), ({}, "photos.example", False),
        ({"host": "0.0.0.0"}, "127.0.0.1:7860", False), ({"host": "0.0.0.0", "api_open": True}, "photos.example", True),
        ({"api_open": False}, "127.0.0.1:7860", False),
    ],
)  # fmt: skip
def test_where_no_key_is_needed(given: dict, host: str, may: bool) -> None:
    assert load_settings(**given).may_ask_as(host) is may


def test_other_sites_get_nothing(server: Server) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        problem(httpx.get(f"{server.api}corpora", headers=headers), 403)


def test_below_a_path() -> None:
    with holding(root_path="/citesight") as held:
        asked = {"question": "How tall?", "photo": base64_photo()}
        for address in (f"{held.address}citesight/", held.address):  # where the proxy takes it off, and where not
            assert httpx.post(f"{address}api/v1/ask", json=asked).status_code == 200
            assert httpx.get(f"{address}docs").status_code == 200
            assert httpx.get(f"{address}docs/swagger-ui.css").status_code == 200
            assert httpx.get(f"{address}openapi.json").json()["servers"] == [{"url": "/citesight"}]


def test_the_reference_loads_nothing_from_elsewhere(server: Server) -> None:
    page = httpx.get(f"{server.address}docs").text
    assert "://" not in page.replace("http://www.w3.org", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"docs/{name}" in page and httpx.get(f"{server.address}docs/{name}").status_code == 200
    assert httpx.get(f"{server.address}docs/redoc.standalone.js").status_code == 404
    schema = httpx.get(f"{server.address}openapi.json").json()
    ask = schema["paths"]["/api/v1/ask"]["post"]
    assert set(ask["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert {"200", "400", "401", "403", "408", "413", "415", "422", "429", "500", "503"} == set(ask["responses"])
    for operation in (each for path in schema["paths"].values() for each in path.values()):
        for status, told in operation["responses"].items():
            if status != "200":
                ref = told["content"]["application/json"]["schema"]["$ref"]
                assert ref == "#/components/schemas/Problem", (operation["summary"], status)
    assert not [name for name in schema["components"]["schemas"] if "ValidationError" in name]
    described = schema["components"]["schemas"]
    ours = {name: each for name, each in described.items() if hasattr(words, name)}
    assert ours and all(each.get("description") for each in ours.values())
    assert set(described["Question"]["properties"]) == set(words.Question.model_fields)
