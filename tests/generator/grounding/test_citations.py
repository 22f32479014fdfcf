"""A model's text as an Answer: what it cites, what nothing supports, when it is no answer, and plain text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.passage import Evidence
from generator.answers import SUPPORTED, Anew, Answer
from generator.grounding.citations import NO_REASON, cited_answer
from generator.grounding.plain_text import LEFT_OUT, plain_pieces
from tests.support.models import said_by
from tests.support.waiting import without_blow_up

FOX = Evidence(
    "fox",
    "Marsh fox",
    "The marsh fox is a small mammal in the family Canidae. It can run at 40–52 km/h (25–32 mph). "
    "Adults weigh between 3 and 5 kg. The marsh fox lives in the wetlands of Norland.",
    "https://example.org/wiki/Fox_(animal)",
    score=0.9,
)
TOWER = Evidence(
    "tower",
    "Vetla Tower",
    "The Vetla Tower was built from 1901 to 1904. Ada Holm designed it.",
    "http://t.example/a",
    score=0.8,
)
EMPTY = Evidence("empty", "", "", "", score=0.1)
PASSAGES = [FOX, TOWER, EMPTY]


def plain_text(text) -> str:
    return said_by(plain_pieces([text], PASSAGES))


def read(text) -> Answer:
    answer = cited_answer(plain_text(text), PASSAGES)
    check(answer)
    return answer


def check(answer):
    for citation in answer.citations:
        passage = PASSAGES[citation.number - 1]
        assert passage.id == citation.passage_id
        assert passage.text[citation.start : citation.end] == citation.quote
    numbers = [int(n) for n in re.findall(r"\[(\d+)\]", answer.text)]
    assert all(1 <= n <= len(PASSAGES) for n in numbers)
    assert {c.number for c in answer.citations} <= set(numbers)
    assert list(answer.citations) == list(dict.fromkeys(c for each in answer.statements for c in each.citations))
    for each in answer.statements:
        assert re.sub(r"[ \t]*\[\d+\]", "", answer.text[each.start : each.end]).strip() == each.text
        assert bool(each.citations) == (each.support == SUPPORTED)
    assert re.sub(r"\[[0-9]+\]", "", answer.text).count("[") == 0
    assert answer.answered == (not answer.reason)


def test_an_answer_as_before_has_nothing_unsupported():
    assert Answer("x", (), True) == Answer("x", (), True, "", ())


@pytest.mark.parametrize(
    ("text", "plain", "numbers"),
    [
        ("It runs [1].", "It runs [1].", [1]),
        ("It runs [1, 2].", "It runs [1][2].", [1, 2]),
        ("It runs [1][2].", "It runs [1][2].", [1, 2]),
        ("It runs [1] [2].", "It runs [1] [2].", [1, 2]),
        ("It runs [2,1;1].", "It runs [2][1].", [2, 1]),
        ("It runs [1-3].", "It runs [1][2][3].", [1, 2, 3]),
        ("It runs [2–99].", "It runs [2][3].", [2, 3]),
        ("It runs [Passage 2].", "It runs [2].", [2]),
        ("It runs【1】.", "It runs[1].", [1]),
        ("It runs [1](https://evil.example).", "It runs [1].", [1]),
        ("It runs [9].", "It runs.", []),
        ("It runs [0][4][1].", "It runs [1].", [1]),
        ("It runs [1, 9].", "It runs [1].", [1]),
        ("It runs [3-1].", "It runs.", []),
        ("It runs [999999999999999999].", "It runs.", []),
        ("It runs [note].", "It runs (note).", []),
        ("It runs [1", "It runs (1", []),
        ("It runs 1].", "It runs 1).", []),
        ("[1]", "[1]", [1]),
        ("It runs [1](a b c).", "It runs [1] (a b c).", [1]),
        ("It runs [٣].", "It runs (٣).", []),
    ],
)
def test_marks(text, plain, numbers):
    answer = read(text)
    assert answer.text == plain
    assert list(dict.fromkeys(int(n) for n in re.findall(r"\[(\d+)\]", answer.text))) == numbers


def test_a_citation_quotes_the_sentence_that_matches_best():
    answer = read("Adult foxes weigh 3 to 5 kg [1]. It can run at 40 km/h [1]. Ada Holm designed it [2].")
    assert [c.quote for c in answer.citations] == [
        "Adults weigh between 3 and 5 kg.",
        "It can run at 40–52 km/h (25–32 mph).",
        "Ada Holm designed it.",
    ]
    assert answer.unsupported == ()


def test_the_same_sentence_is_cited_once():
    assert len(read("It weighs 3 kg [1]. It weighs up to 5 kg [1].").citations) == 1


@pytest.mark.parametrize(
    ("text", "unsupported"),
    [
        ("It can run at 40–52 km/h [1].", ()),
        ("It can run at 40–52 km/h.[1] It lives in wetlands.[1]", ()),
        ("It can run at 40–52 km/h. [1] It lives in wetlands. [1]", ()),
        ("According to [1], it lives in the wetlands of Norland.", ()),
        ("A small mammal of Norland's wetlands weighing 3 to 5 kg [1].", ()),
        ("This is a marsh fox [1].", ()),
        ("It can run at 40–52 km/h.", ("It can run at 40–52 km/h.",)),
        ("It can run at 90 km/h [1].", ("It can run at 90 km/h.",)),
        ("It was built in 1911 [2].", ("It was built in 1911.",)),
        ("The marsh fox eats cheese on the moon [1].", ("The marsh fox eats cheese on the moon.",)),
        ("It can run at 40 km/h [2].", ("It can run at 40 km/h.",)),
        ("It can run at 40 km/h [1]. It sings opera [1].", ("It sings opera.",)),
        ("- It weighs 3 kg [1]\n- It plays chess [1]", ("- It plays chess",)),
        ("It can run at 40 km/h [7].", ("It can run at 40 km/h.",)),
        ("It sings [3].", ("It sings.",)),
        ("See this. It weighs 3 kg [1].", ("See this.",)),
    ],
)
def test_sentences_without_support_are_reported(text, unsupported):
    answer = read(text)
    assert answer.answered and answer.unsupported == unsupported


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I can't tell from the evidence: the passages are about foxes.", "the passages are about foxes"),
        ("I can’t tell from the evidence, because no passage names a year.", "no passage names a year"),
        ("I cannot tell from the evidence.", NO_REASON),
        ("I can't tell from the evidence", NO_REASON),
        ("i can not tell from the provided passages since they are about [1].", "they are about"),
        ("I'm sorry, but I cannot determine this from the passages. They name no price.", "They name no price"),
        ("Based on the passages, I can't say. They name no price.", "They name no price"),
        ("I am unable to answer based on the given sources: they name no price.", "they name no price"),
        ("**I can't tell from the evidence**: none says it.", "none says it"),
        ("The passages do not say how tall it is.", "the passages do not say how tall it is"),
        ("The evidence doesn't mention a price.", "the evidence doesn't mention a price"),
        ("None of the passages mentions a price.", "none of the passages mentions a price"),
        ("", "nothing was said"),
        (" \n ", "nothing was said"),
        ("\u200b\x00", "nothing was said"),
    ],
)
def test_an_abstention_is_not_an_answer(text, reason):
    answer = read(text)
    assert (answer.answered, answer.reason, answer.unsupported) == (False, reason, ())
    # Only what the passages are said not to say makes them passages about what was asked.
    assert answer.named == (reason == NO_REASON or reason.startswith(("the passages do", "the evidence", "none of")))


def test_what_is_claimed_after_an_abstention_is_still_checked():
    answer = read("I can't tell from the evidence: the passages name no lion. Lions run at 80 km/h.")
    assert not answer.answered and answer.unsupported == ("Lions run at 80 km/h.",)


@pytest.mark.parametrize(
    "text", ["I can tell: it runs at 40 km/h [1].", "It cannot fly [1].", "The passage is long [1]."]
)
def test_what_only_sounds_like_an_abstention_is_an_answer(text):
    assert read(text).answered


def test_what_the_evidence_does_not_say_beside_an_answer_is_no_claim():
    answer = read("It can run at 40 km/h [1]. The passages do not say how old it gets.")
    assert answer.answered and answer.unsupported == ()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("See [the page](https://evil.example/a?b=c).", "See the page."),
        ("See ![x](https://evil.example/a.png \"t\") it.", "See x it."),
        ("See https://evil.example/a.", f"See {LEFT_OUT}."),
        ("See <https://evil.example>.", "See ."),
        ("See HTTPS://EVIL.example", f"See {LEFT_OUT}"),
        ("See www.evil.example now", f"See {LEFT_OUT} now"),
        ("See evil.example/steal?q=1 now", f"See {LEFT_OUT} now"),
        ("See (javascript:alert).", f"See ({LEFT_OUT})."),
        ("See https:evil.example", f"See {LEFT_OUT}"),
        ("See htt[p](x)s://evil.example", f"See {LEFT_OUT}"),
        ("See www[9].evil.example", f"See {LEFT_OUT}"),
        ("See www [9].evil.example", "See www .evil.example"),
        ("See www. [9]evil.example", "See www. evil.example"),
        ("See https://example.org/wiki/Fox_(animal).", "See https://example.org/wiki/Fox_(animal)."),
        ("See (https://example.org/wiki/Fox_(animal)).", "See (https://example.org/wiki/Fox_(animal))."),
        ("See http://t.example/a[2].", "See http://t.example/a[2]."),
        ("See http://t.example/ab.", f"See {LEFT_OUT}."),
        ("See http://t.example/a?leak=1.", f"See {LEFT_OUT}."),
        ("<b>Bold</b> and **bold** and `code`", "Bold and bold and code"),
        ("<script>x</script>", "x"),
        ("<<b>i>", "‹i>"),
        ("<[b](x)>", "‹b>"),
        ("<img src=x onerror=y", "‹img src=x onerror=y"),
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("At 40 km/h, 3.5 m/s, e.g. and/or A.B.", "At 40 km/h, 3.5 m/s, e.g. and/or A.B."),
        ("a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_the_text_is_plain(text, plain):
    assert plain_text(text) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<think>The passage says 40.</think>\n\nIt runs [1].", "It runs [1]."),
        (" \n<THINK>a</THINK> <think>b</think> It runs.", "It runs."),
        ("<think>\n\n</think>\n\nIt runs.", "It runs."),
        ("<think>It never stops [1].", ""),
        ("<think>İİİİ</think>It runs.", "It runs."),
        ("<thi", "‹thi"),
        ("It runs. <think>no thought</think>", "It runs. no thought"),
        ("\u200b<think>a</think>It runs.", "It runs."),
        ("◁think▷It is 40?◁/think▷It runs.", "It runs."),
        ("[THINK]It is [1] [40]?[/THINK]It runs [1].", "It runs [1]."),
        ("<thinking>a</thinking>It runs.", "It runs."),
        # Whose beginning was in the prompt.
        ("The passage says 40.\n</think>\n\nIt runs [1].", "It runs [1]."),
        ("First.</think> <think>Then.</think>It runs.", "It runs."),
        ("</think>It runs.", "It runs."),
        ("It runs. </thi", "It runs. ‹/thi"),
        # Harmony's channels, with their control tokens and without.
        ("<|channel|>analysis<|message|>It is 40.<|end|><|start|>assistant<|channel|>final<|message|>It runs [1].",
         "It runs [1]."),
        ("<|start|>assistant<|channel|>final<|message|>It runs [1].<|return|>", "It runs [1]."),
        ("<|channel|>commentary<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>It is", ""),
        ("analysisThe user asks [1].assistantfinalIt runs [1].", "It runs [1]."),
        ("analysis", "analysis"),
        ("analysis of it. assistantfinal", "analysis of it. assistantfinal"),
        # Gemma's since version 4 and before, Mistral's, Apriel's, Cohere's, Seed's, OpenThinker's.
        ("<|channel>thought\nIs it 40?<channel|>It runs.", "It runs."),
        ("<|channel>thought\n<channel|>It runs.<turn|>", "It runs."),
        ("<unused94>thought\nIt is 40.<unused95>It runs.", "It runs."),
        ("Here are my reasoning steps:\nIt is 40.\n[BEGIN FINAL RESPONSE]\nIt runs [1].\n[END FINAL RESPONSE]\n<|end|>",
         "It runs [1]."),
        ("It is 40 [1].\n[BEGIN FINAL RESPONSE]\nIt runs.", "It runs."),
        ("Here are my reasoning steps:\nIt is 40", ""),
        ("<|START_THINKING|>It is 40.<|END_THINKING|><|START_RESPONSE|>It runs.<|END_RESPONSE|>", "It runs."),
        ("<seed:think>It is 40.</seed:think>It runs.", "It runs."),
        ("<|begin_of_thought|>40?<|end_of_thought|><|begin_of_solution|>It runs.<|end_of_solution|>", "It runs."),
        ("<SUMMARY>a</SUMMARY><REASONING>b</REASONING><CONCLUSION>It runs.</CONCLUSION>", "It runs."),
        ("<thought>40?</thought><answer>It runs.</answer>", "It runs."),
        # Boxes round what is answered: GLM's, and those of models that learned from mathematics.
        ("It runs at <|begin_of_box|>40 km/h<|end_of_box|> [1].", "It runs at 40 km/h [1]."),
        ("So $\\boxed{\\text{40 km/h}}$ [1].", "So 40 km/h [1]."),
        ("\\boxed{40}", "40"),
        ("\\boxed{40 it", "\\boxed{40 it"),
    ],
)
def test_thoughts_before_an_answer_are_left_out(text, plain):
    assert plain_text(text) == plain
    for size in (1, 2, 3, 5, 8):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        assert said_by(plain_pieces(pieces, PASSAGES)) == plain


def test_a_thought_holds_back_no_more_than_itself():
    pieces = iter(["<think>", *["and on "] * 9, "</think>", "It ", "runs ", "now"])
    assert next(plain_pieces(pieces, PASSAGES)) == "It" and next(pieces) == "runs "


def test_what_turns_out_to_be_thought_is_taken_back_when_that_is_known():
    pieces = ["It may be ", "40.", "</thi", "nk>", "It ", "runs", " fast"]
    assert list(plain_pieces(pieces, PASSAGES)) == ["It may be", Anew(), "It", " runs", " fast"]


def test_text_is_passed_on_as_soon_as_it_can_be_read():
    pieces = ["It ", "runs", " at 40", " km/h [", "1", ", 2]", ". ", "Yes [a b", " c](http", "://x.y)", " it", " does"]
    assert list(plain_pieces(pieces, PASSAGES)) == [
        "It", " runs at", " 40 km/h", " [1][2].", " Yes", " a b c", " it", " does"
    ]  # fmt: skip


def test_scripts_without_spaces_are_passed_on_too():
    assert list(plain_pieces(["狐は速い。", "時速", "四十キロ。"], PASSAGES)) == ["狐は速い。", "時速四十キロ。"]


def test_a_bracket_that_stays_open_holds_nothing_back_for_long():
    pieces = list(plain_pieces(["[ "] + ["word "] * 200, PASSAGES))
    assert len(pieces) > 100 and pieces[0].startswith("( word")


@pytest.mark.parametrize(
    "filler", ["[", "[a ", "<a ", "](", "[1", "[1]", "a.", "a-", "a.a/", "http://", "(", "*", "x", " ", "I can't tell "]
)
def test_huge_texts_take_bounded_time(filler):
    text = filler * (8_000 // len(filler))
    with without_blow_up():
        read(text)
        "".join(plain_pieces([text[i : i + 40] for i in range(0, len(text), 40)], PASSAGES))


parts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["[1]", "[2", "]", "[1, 3]", "[9]", "[", "](", ")", "<", ">", "<b", "https://", "evil.example/", "www.", ".",
         " ", "\n", ". ", "。", "**", "`", "I can't tell from the evidence", "The passages do not say",
         "run at 40 km/h", "![", "<think>", "</think>", "<th", "◁think▷", "◁/think▷", "[/think]",
         "<|channel|>final<|message|>", "<|channel|>analysis", "[begin final response]", "<|start|>assistant",
         "<channel|>", "\\boxed{", "}", "$"]
    ),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(parts, max_size=20))
def test_any_text_becomes_a_sound_answer_however_it_comes(pieces):
    whole = read("".join(pieces))
    streamed = said_by(plain_pieces(pieces, PASSAGES))
    assert streamed == whole.text == whole.text.strip()
    assert not re.search(r"<[A-Za-z/!?|]|\]\(|\w://\w|www\.\w", streamed)
    check(cited_answer(streamed, PASSAGES))
    assert plain_text(whole.text) == whole.text
