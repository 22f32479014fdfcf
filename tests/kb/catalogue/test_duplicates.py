"""Passages that repeat others: which are found, which are not, what they are linked to, and in what memory."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.catalogue import duplicates
from kb.catalogue.duplicates import Twin, twins

WORDS = [f"word{number}" for number in range(5000)]


def found(texts: list[str] | dict[int, str], least: float = 0.8) -> list[Twin]:
    known = texts if isinstance(texts, dict) else dict(enumerate(texts, 1))

    def fetch(numbers):
        assert len(numbers) == len(set(numbers)) <= duplicates.FETCH + duplicates.MOST_CANDIDATES + 1
        return {number: known[number] for number in numbers}

    return list(twins(iter(known.items()), fetch, least))


def near(text: str, other: str) -> float:
    """Jaccard of two texts' sets of three words in a row."""
    words = text.lower().split(), other.lower().split()
    one, two = (set(zip(w, w[1:], w[2:], strict=False)) or {tuple(w)} for w in words)
    return len(one & two) / len(one | two)


def made_up(rng: random.Random, words: int = 80) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def changed(rng: random.Random, text: str, times: int) -> str:
    words = text.split()
    for place in rng.sample(range(len(words)), times):
        words[place] = f"new{rng.randrange(10**9)}"
    return " ".join(words)


LONG = "The old mill stands on the north bank of the river and was built by the monks of the abbey in 1742."


@pytest.mark.parametrize(
    "copy",
    [
        LONG,
        LONG.upper(),
        "  " + LONG.replace(" ", "\n\t ") + " ",
        LONG.replace("fi", "\ufb01").replace("mill", "ｍｉｌｌ"),
        LONG.replace("river", "ri\u00adver\u200b"),
        LONG.replace(" ", "\u00a0"),
    ],
)
def test_the_same_but_for_case_space_and_form(copy):
    assert found([LONG, "Another text that says another thing altogether.", copy]) == [Twin(3, 1, 1.0)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("He said “no” – it’s «late»", 'He said "no" - it\'s "late"'),
        ("Caf\u00e9 au lait, s'il vous pla\u00eet", "Cafe\u0301 au lait, s’il vous plai\u0302t"),
        ("Die Straße nach Gießen", "DIE STRASSE NACH GIESSEN"),
        ("ΟΔΥΣΣΕΥΣ ἦλθεν", "οδυσσευς ἦλθεν"),
        ("東京タワー は 高い", "東京ﾀﾜｰ は 高い"),
    ],
)
def test_the_same_in_other_characters(one, other):
    assert found([one, other]) == [Twin(2, 1, 1.0)]


def test_a_few_words_make_a_near_twin_and_many_none():
    rng = random.Random(1)
    text = made_up(rng)
    once, often = changed(rng, text, 2), changed(rng, text, 12)
    assert found([text, often, once]) == [Twin(3, 1, near(text, once))]
    assert 0.8 <= near(text, once) < 1 and near(text, often) < 0.8
    assert found([text, once], least=0.95) == []
    assert [twin.number for twin in found([text, often], least=0.5)] == ([2] if near(text, often) >= 0.5 else [])


def test_short_texts_are_twins_only_when_they_are_the_same():
    assert found(["Yes", "No", "yes", "Not yet", "Not yet.", "not  yet", "One two three", "One two"]) == [
        Twin(3, 1, 1.0),
        Twin(6, 4, 1.0),
    ]


def test_texts_without_words_are_nobodys_twins():
    assert found(["", " \n", "", "\u200b", "a"]) == []
    assert found([]) == []


CHINESE = (
    "水车是一种利用水流动力的机械装置，早在汉代就已用于灌溉农田和碾磨谷物。它由一个大木轮和许多小斗组成，水流推动木轮转动，"
    "小斗便把水提到高处的渠道里。后来这种装置传到了西方，并在中世纪的磨坊中得到广泛应用，直到蒸汽机出现为止。"
)
JAPANESE = (
    "水車は水の流れを利用して動力を得る装置であり、古くから灌漑や製粉に用いられてきた。大きな木の輪に多くの羽根がついていて、"
    "川の水がそれを押すことで回転する。日本では平安時代の記録に見え、江戸時代には各地の農村に広まった。"
)
THAI = (
    "กังหันน้ำเป็นเครื่องจักรที่ใช้พลังงานจากการไหลของน้ำเพื่อสูบน้ำเข้าสู่นาและบดเมล็ดข้าวมีการใช้งานมาตั้งแต่สมัยโบราณ"
    "ในหลายประเทศทั่วโลกจนกระทั่งมีการประดิษฐ์เครื่องจักรไอน้ำขึ้นในศตวรรษที่สิบแปด"
)


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, THAI])
def test_scripts_without_spaces(text):
    middle = len(text) // 2
    one = text[:middle] + text[middle + 1 :]
    half = text[:middle] + "".join(reversed(text[middle:]))
    (twin,) = found([text, one, half])
    assert (twin.number, twin.of) == (2, 1) and 0.9 < twin.similarity < 1


def test_texts_in_two_scripts():
    rng = random.Random(2)
    text = made_up(rng, 40) + " " + CHINESE
    (twin,) = found([text, text + " and more"])
    assert 0.9 < twin.similarity < 1


def test_groups_are_stars_without_drift():
    """What is like a twin is linked to what the twin is linked to, or else begins a group of its own."""
    rng = random.Random(3)
    versions = [made_up(rng)]
    for _ in range(6):
        versions.append(changed(rng, versions[-1], 2))
    links = found(versions)
    twin_numbers = {twin.number for twin in links}
    assert 3 <= len(links) < 6
    for twin in links:
        assert twin.of not in twin_numbers
        assert twin.similarity == near(versions[twin.number - 1], versions[twin.of - 1]) >= 0.8


def test_a_copy_of_a_twin_is_linked_where_the_twin_is():
    rng = random.Random(4)
    text = made_up(rng)
    twin = changed(rng, text, 2)
    assert found([text, twin, twin.upper()]) == [Twin(2, 1, near(text, twin)), Twin(3, 1, near(text, twin))]


def test_the_smallest_number_is_the_first_whatever_the_order():
    rng = random.Random(5)
    text = made_up(rng)
    texts = {30: text, 7: changed(rng, text, 1), 12: text, 9: made_up(rng), -4: made_up(rng)}
    links = found(texts)
    assert [(twin.number, twin.of) for twin in links] == [(12, 7), (30, 7)]
    assert links == found(dict(sorted(texts.items())))


def test_a_number_given_twice_and_a_threshold_out_of_range():
    with pytest.raises(ValueError, match="twice"):
        list(twins([(1, "a"), (2, "b"), (1, "c")], dict))
    for least in (0.4, 1.1):
        with pytest.raises(ValueError, match="least"):
            found([LONG], least)


def test_passages_that_are_gone_meanwhile():
    rng = random.Random(6)
    text = made_up(rng)
    texts = [(1, text), (2, changed(rng, text, 1)), (3, changed(rng, text, 1))]
    assert list(twins(texts, lambda numbers: {})) == []
    known = dict(texts[1:])
    (twin,) = twins(texts, lambda numbers: {number: known[number] for number in numbers if number in known})
    assert (twin.number, twin.of) == (3, 2)


def test_half_a_character_is_no_harm():
    assert found(["broken \ud800 text", "whole text", "broken \ud800 TEXT"]) == [Twin(3, 1, 1.0)]


SENTENCES = st.lists(st.sampled_from("a b c d e the The mill mill, river ÄÖ äö 水 12 . -".split()), max_size=12)
TEXTS = st.lists(
    st.one_of(
        SENTENCES.map(" ".join),
        st.builds(lambda seed, times: changed(random.Random(times), made_up(random.Random(seed), 40), times),
                  st.integers(0, 3), st.integers(0, 4)),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from([0.5, 0.8, 1.0]))
def test_what_is_reported_is_true_and_every_repeat_is_reported(texts, least):
    links = found(texts, least)
    assert links == found(texts, least)
    assert [twin.number for twin in links] == sorted({twin.number for twin in links})
    linked = {twin.number: twin.of for twin in links}
    for twin in links:
        assert twin.of < twin.number and twin.of not in linked
        assert twin.similarity == near(texts[twin.number - 1], texts[twin.of - 1]) >= least
    first: dict[str, int] = {}
    for number, text in enumerate(texts, 1):
        said = " ".join(text.lower().split())
        if said in first:
            assert linked[number] == linked.get(first[said], first[said])
        elif said:
            first[said] = number


def corpus(rng: random.Random, count: int, form: list[str]) -> list[str]:
    """Texts of which a third are others with up to five words changed; with a form, all the rest are made from it."""
    texts: list[str] = []
    while len(texts) < count:
        if texts and rng.random() < 0.33:
            texts.append(changed(rng, rng.choice(texts), rng.randrange(1, 6)))
        elif form:
            texts.append(" ".join(rng.choice(WORDS) if at % 12 == 0 else word for at, word in enumerate(form)))
        else:
            texts.append(made_up(rng, 100))
    return texts


@pytest.mark.parametrize(("count", "from_a_form"), [(5000, False), (700, True)])
def test_hardly_a_near_pair_is_missed(count, from_a_form):
    """Against the same rule with every pair compared: each text whose link is at least 0.9 near, and all links."""
    rng = random.Random(8)
    texts = corpus(rng, count, rng.choices(WORDS, k=100) if from_a_form else [])
    sets, holders = [], defaultdict(list)
    for place, text in enumerate(texts):
        words = text.split()
        sets.append({" ".join(words[at : at + 3]) for at in range(len(words) - 2)})
        for shingle in sets[-1]:
            holders[shingle].append(place)
    truth: dict[int, tuple[int, float]] = {}
    for place, own in enumerate(sets):
        common = Counter(other for shingle in own for other in holders[shingle] if other < place)
        for other in sorted(common):
            jaccard = common[other] / (len(own) + len(sets[other]) - common[other])
            if jaccard >= 0.8 and other not in truth:
                truth[place] = other, jaccard
                break
    links = {twin.number - 1: twin for twin in found(texts)}
    nearest = [place for place, (_, jaccard) in truth.items() if jaccard >= 0.9]
    assert len(nearest) > count // 20
    assert sum(place in links for place in nearest) >= 0.99 * len(nearest)
    assert sum(place in links for place in truth) >= 0.95 * len(truth)


def test_a_huge_group_of_copies_and_one_of_near_copies():
    rng = random.Random(9)
    text = made_up(rng)
    assert found([text] * 20_000) == [Twin(number, 1, 1.0) for number in range(2, 20_001)]
    asked = 0
    texts = dict(enumerate([text, *(changed(rng, text, 2) for _ in range(4000))]))

    def fetch(numbers):
        nonlocal asked
        asked += len(numbers)
        return {number: texts[number] for number in numbers}

    links = list(twins(texts.items(), fetch))
    assert len(links) > 3990 and {twin.of for twin in links[:3000]} == {0}
    assert asked < 9 * len(texts)  # not the square of it


@pytest.mark.slow
def test_memory():
    """A million passages in less than 400 MB: what grows takes less than 350 bytes each, beside what a block takes."""
    rng = random.Random(10)
    texts = [made_up(rng, 20) for _ in range(20_000)]

    def peak(count: int) -> int:
        tracemalloc.start()
        assert not list(twins(enumerate(texts[:count]), lambda numbers: {n: texts[n] for n in numbers}))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(duplicates.BLOCK), peak(20_000)
    assert large - small < 350 * (20_000 - duplicates.BLOCK)
    assert large < 50 << 20


def test_progress_is_told():
    told = []
    rng = random.Random(11)
    text = made_up(rng)
    list(twins([(1, text), (2, changed(rng, text, 1))], lambda numbers: {1: text}, progress=lambda *a: told.append(a)))
    assert told == [("reading", 0, None), ("reading", 2, None), ("comparing", 0, 1), ("comparing", 1, 1)]
