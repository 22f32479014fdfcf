"""What who judges is answered: what is said is saved and undone once, is theirs alone, and is shown as text."""

from __future__ import annotations

from app.web.annotate.guidelines import guidelines_html
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from tests.support.annotation_pages import in_it
from tests.support.annotations import answer, passage, project


def test_what_is_said_is_saved_and_undone_once_however_often_it_is_sent(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, people=("ann", "bob"))
    ann = browser().named("ann")
    item = in_it(ann)
    first, second = (each["id"] for each in item["candidates"])
    said = {"project": "cats", "item": item["id"], "candidate": first}
    for _ in range(2):
        saved = ann.ask("judge", **said, grade="answers", comment="<script>x</script>", span=[0, 4])
    assert (saved["said"]["grade"], saved["said"]["span"], saved["done"]) == ("answers", [0, 4], False)
    one = ann.ask("judge", **said | {"candidate": second}, grade="wrong")
    assert one["done"] is True and one["top"] > saved["top"]
    for _ in range(2):  # the second does not undo what was done before
        undone = ann.ask("undo", project="cats", number=one["top"])
    assert undone is None and len(ann.ask("history", **said | {"candidate": second})) == 2
    again = ann.ask("item", project="cats", item=item["id"])
    assert again["top"] == saved["top"] and again["item"]["candidates"][0]["said"]["comment"] == "<script>x</script>"
    assert again["item"]["candidates"][1]["said"]["grade"] is None
    judged = ann.ask("mine", project="cats")["judged"]
    assert [each["question"] for each in judged] == [item["question"]] * 2
    assert judged[0] | {"title": "Title"} == judged[0] | {"what": "passage", "position": 1, "title": "Title"}
    # Another tab of this browser has signed in somebody else: what is said there is not taken for theirs.
    bob = browser().named("bob")
    bob.refused("judge", 401, "Somebody else, bob,", **said, grade="wrong", person="ann")
    assert bob.ask("history", **said) == []
    ann.refused("judge", 400, "grades are", **said, grade="nice")
    ann.refused("judge", 400, "span", **said, span=[9, 1])
    ann.refused("judge", 400, "citations", **said, citations={"x": True})
    ann.refused("judge", 400, "item as a number", project="cats", item="1", grade="wrong")
    for candidate in (1, first):
        ann.refused("judge", 400, "no project called dogs", project="dogs", item=1, candidate=candidate, grade="wrong")
    ann.refused("judge", 400, "no candidate passage-1", **said | {"candidate": "passage-1"}, grade="wrong")
    assert ann.ask("skip", project="cats", item=item["id"], reason="blurred")["said"]["skipped"] == "blurred"


def test_nobody_sees_what_others_judge_until_it_is_settled(browser, desk):
    add_person(desk.database, "eva", "adjudicator")
    project(desk.database, items=1, passages=1)
    people = [browser().named(name) for name in ("ann", "bob")]
    item = in_it(people[0])
    about = {"project": "cats", "item": item["id"], "candidate": item["candidates"][0]["id"]}
    for one, grade in zip(people, ("answers", "wrong"), strict=True):
        in_it(one)
        one.ask("judge", **about, grade=grade)
    assert people[1].ask("item", project="cats", item=item["id"])["item"]["candidates"][0]["said"]["grade"] == "wrong"
    assert [each["person"] for each in people[1].ask("history", **about)] == ["bob"]
    assert item["candidates"][0]["found"] == {}  # they judge blind
    people[1].refused("settle", 403, "adjudicator", **about, grade="wrong")
    eva = browser().named("eva")
    [differ] = eva.ask("disagreements", project="cats")
    assert {one["person"]: one["grade"] for one in differ["judged"]} == {"ann": "answers", "bob": "wrong"}
    about["candidate"] = differ["candidate"]["id"]
    eva.ask("settle", **about, grade="subject", comment="it names the animal only")
    assert eva.ask("disagreements", project="cats") == []
    overview = eva.ask("overview", project="cats")
    assert overview["guidelines"] == "" and eva.ask("projects")[0]["mine"] == 0
    eva.refused("guidelines", 403, "owner", project="cats", guidelines="# Look")
    assert overview["finished"] == 1 and overview["agreement"]["passage"]["overall"]["plain"][0] == 0
    eva.refused("pool", 403, "owner", project="cats", passages=5)


def test_nothing_that_comes_to_who_judges_blind_tells_ranks_runs_or_corpora(browser, desk):
    """Items that were pooled the other way round look the same, but for their own numbers."""
    add_person(desk.database, "ann", "owner")
    seen = []
    for name, order in (("one", (1, 2, 3)), ("other", (3, 2, 1))):
        project(desk.database, items=1, passages=0, name=name)
        for rank, number in enumerate(order, 1):
            add_pool(desk.database, name, "q0", [passage(number, {f"{name} {rank}": rank})])
        ann = browser().named("ann")
        item = in_it(ann, name)
        told = []
        for each in sorted(item["candidates"], key=lambda each: each["text"]):
            about = {"project": name, "item": item["id"], "candidate": each["id"]}
            judged = ann.ask("judge", **about, grade="wrong")["said"]
            told += [each["id"], judged["candidate"], *(one["candidate"] for one in ann.ask("history", **about))]
        undone = ann.ask("undo", project=name, number=ann.ask("item", **about)["top"])
        told += [each["candidate"] for each in ann.ask("mine", project=name)["judged"]] + [undone["said"]["candidate"]]
        told += sorted(each["said"]["candidate"] for each in ann.ask("item", **about)["item"]["candidates"])
        seen.append((told, {each["corpus"] for each in item["candidates"]}))
    assert seen[0] == seen[1] and seen[0][1] == {""}
    project(desk.database, items=1, name="open", blind=False)
    assert {each["corpus"] for each in in_it(ann, "open")["candidates"]} == {"notes"}


def test_halves_of_characters_are_kept_as_a_sign_or_refused_in_a_sentence(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=1, passages=1)
    ann, half = browser().named("ann"), "x\ud800\x00"
    item = in_it(ann)
    about = {"project": "cats", "item": item["id"], "candidate": item["candidates"][0]["id"]}
    saved = ann.ask("judge", **about, grade="answers", comment=half, correction=half)
    assert (saved["said"]["comment"], saved["said"]["correction"]) == ("x\ufffd\ufffd",) * 2
    assert ann.ask("skip", project="cats", item=item["id"], reason=half)["said"]["skipped"] == "x\ufffd\ufffd"
    for name, told in {
        "next": {"project": half}, "judge": about | {"grade": half}, "create": {"project": half, "judges": 1},
        "settle": about | {"grade": half}, "delete": {"project": half}, "invite": {"name": half, "role": "owner"},
        "role": {"name": half, "role": "owner"}, "enter": {"name": half}, "accept": {"code": half, "password": half},
    }.items():  # fmt: skip
        ann.refused(name, 400, "", **told)
    ann.ask("add", project="cats", question=half, references=[half], kind=half)
    ann.ask("create", project="dogs", judges=1, guidelines=half)
    assert ann.ask("project", project="dogs")["guidelines"] == "<p>x\ufffd\ufffd</p>\n"


def test_the_answers_that_cite_are_shown_with_what_they_cite(browser, desk):
    add_person(desk.database, "ann", "owner")
    project(desk.database, items=1, passages=1)
    add_pool(desk.database, "cats", "q0", [answer("A cat [1].")])
    ann = browser().named("ann")
    item = in_it(ann)
    cites = item["candidates"][1]
    assert [each["number"] for each in cites["citations"]] == [1]
    about = {"project": "cats", "item": item["id"], "candidate": cites["id"]}
    saved = ann.ask("judge", **about, grade="right", citations={"1": False}, correction="A lion.")
    assert saved["said"]["citations"] == {"1": False} and saved["said"]["correction"] == "A lion."
    ann.refused("judge", 400, "citation", **about, citations={"2": True})


def test_guidelines_load_nothing_and_run_nothing():
    hostile = (
        "<script>x</script> <img src=x onerror=x> ![p](http://a.b/c.png) [x](javascript:x) [y](data:text/html,x) "
        "[z](vbscript:x) <http://a.b\">\n\n<div onclick=x>\n\n[r]\n\n[r]: JaVaScRiPt:x\n"
    )
    shown = guidelines_html(hostile)
    assert "<script" not in shown and "<img" not in shown and "<div" not in shown and "onclick=x&gt;" in shown
    assert 'href="javascript' not in shown.casefold() and 'href="data' not in shown and 'href="vb' not in shown
    link = '<a href="https://a.b" target="_blank" rel="noopener noreferrer nofollow">it</a>'
    assert guidelines_html("**Look** at [it](https://a.b)") == f"<p><strong>Look</strong> at {link}</p>\n"
    assert guidelines_html("# Look\n###### here") == "<h3>Look</h3>\n<h6>here</h6>\n"
    picture = link.replace("a.b", "a.b/c.png").replace(">it<", ">Picture: a *map*<")
    assert guidelines_html("![a *map*](https://a.b/c.png)") == f"<p>{picture}</p>\n"
    assert guidelines_html("[" * 100_000)  # ends
