"""Search by words in writings with and without spaces: the same passages in ten languages, in both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text

from kb.catalogue import Catalogue, text_search
from kb.catalogue.checking import check, repair
from kb.catalogue.spaceless import parts, spelt
from kb.catalogue.tables import PairsRow
from kb.ingest import ingest
from tests.support.kb import contents, filled, record, source

# (title, text) of a city, an animal and a substance, in this order; words, and questions, that find each of them.
LANGUAGES = {
    "en": (
        [("Berlin", "Berlin is the capital of Germany. About 3.7 million people live there."),
         ("Lion", "The lion lives in Africa and hunts zebras at night."),
         ("Water", "Water boils at 100 degrees and freezes at 0 degrees.")],
        [["capital", "Germany", "What is the capital of Germany?"],
         ["zebra", "lion’s", "l'Africa", "Where do lions live?"], ["boils"]],
    ),
    "de": (
        [("Berlin", "Berlin ist die Hauptstadt Deutschlands. Dort leben etwa 3,7 Millionen Menschen."),
         ("Löwe", "Der Löwe lebt in Afrika und jagt nachts Zebras."),
         ("Wasser", "Wasser siedet bei 100 Grad und gefriert bei 0 Grad.")],
        [["Hauptstadt", "Wie heißt die Hauptstadt Deutschlands?"], ["Löwe", "Afrika"], ["siedet"]],
    ),
    "ru": (
        [("Берлин", "Берлин — столица Германии. Там живёт около 3,7 миллиона человек."),
         ("Лев", "Лев живёт в Африке и ночью охотится на зебр."),
         ("Вода", "Вода кипит при 100 градусах и замерзает при 0 градусах.")],
        [["столица", "Какой город — столица Германии?"], ["Африке"], ["кипит"]],
    ),
    "ar": (
        [("برلين", "برلين هي عاصمة ألمانيا ويعيش فيها نحو 3.7 مليون نسمة."),
         ("أسد", "يعيش الأسد في إفريقيا ويصطاد الحمير الوحشية ليلا."),
         ("ماء", "يغلي الماء عند 100 درجة ويتجمد عند 0 درجة.")],
        [["عاصمة", "ما هي عاصمة ألمانيا؟"], ["إفريقيا"], ["يغلي"]],
    ),
    "hi": (
        [("बर्लिन", "बर्लिन जर्मनी की राजधानी है। वहाँ लगभग 37 लाख लोग रहते हैं।"),
         ("सिंह", "सिंह अफ़्रीका में रहता है और रात में ज़ेब्रा का शिकार करता है।"),
         ("पानी", "पानी 100 डिग्री पर उबलता है और 0 डिग्री पर जमता है।")],
        [["राजधानी", "जर्मनी की राजधानी"], ["सिंह"], ["उबलता"]],
    ),
    "zh": (
        [("柏林", "柏林是德国的首都，也是德国最大的城市，约有370万人居住。"),
         ("狮子", "狮子生活在非洲，夜间捕猎斑马。"),
         ("水", "水在100度沸腾，在0度结冰。")],
        [["柏林", "首都", "370", "德国的首都是哪里？"], ["非洲", "斑马", "狮子住在哪里？"], ["沸腾", "水", "冰"]],
    ),
    "ja": (
        [("ベルリン", "ベルリンはドイツの首都であり、およそ370万人が暮らしている。"),
         ("ライオン", "ライオンはアフリカに住み、夜にシマウマを狩る。"),
         ("水", "水は100度で沸騰し、0度で凍る。")],
        [["首都", "ドイツ", "370", "ドイツの首都はどこですか？"], ["シマウマ", "ライオンはどこ"], ["沸騰", "水"]],
    ),
    "ko": (
        [("베를린", "베를린은 독일의 수도이며 약 370만 명이 산다."),
         ("사자", "사자는 아프리카에 살며 밤에 얼룩말을 사냥한다."),
         ("물", "물은 100도에서 끓고 0도에서 언다.")],
        [["베를린", "수도", "독일의 수도는 어디인가?"], ["얼룩말", "아프리카"], ["물"]],
    ),
    "th": (
        [("เบอร์ลิน", "เบอร์ลินเป็นเมืองหลวงของประเทศเยอรมนี มีประชากรราว3.7ล้านคน"),
         ("สิงโต", "สิงโตอาศัยอยู่ในทวีปแอฟริกาและล่าม้าลายในเวลากลางคืน"),
         ("น้ำ", "น้ำเดือดที่100องศาและแข็งตัวที่0องศา")],
        [["เมืองหลวง", "เยอรมนี", "เมืองหลวงของเยอรมนีคือที่ไหน"], ["แอฟริกา", "ม้าลาย"], ["น้ำ", "เดือด", "100"]],
    ),
    "my": (
        [("ဘာလင်", "ဘာလင်မြို့သည်ဂျာမနီနိုင်ငံ၏မြို့တော်ဖြစ်သည်။"),
         ("ခြင်္သေ့", "ခြင်္သေ့သည်အာဖရိကတွင်နေထိုင်သည်။"),
         ("ရေ", "ရေသည်အပူချိန်တရာတွင်ဆူပွက်သည်။")],
        [["မြို့တော်", "ဂျာမနီ"], ["အာဖရိက"], ["ဆူပွက်"]],
    ),
}  # fmt: skip
RECORDS = [
    record(3 * place + number, said, title=f"{title} ({code})")
    for place, (code, (passages, _)) in enumerate(LANGUAGES.items())
    for number, (title, said) in enumerate(passages)
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def catalogue(request, tmp_path_factory):
    """With all of them. Only read."""
    with filled(request.param, RECORDS, tmp_path_factory.mktemp("catalogue")) as opened:
        yield opened


def titles(catalogue: Catalogue, words: str) -> list[str]:
    return [hit.passage.title for hit in catalogue.search_text(words)]


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_same_passages_in_ten_languages(catalogue, code):
    passages, asked = LANGUAGES[code]
    for (title, _), searches in zip(passages, asked, strict=True):
        for words in searches:
            found = [each for each in titles(catalogue, words) if each.endswith(f"({code})")]
            assert found[:1] == [f"{title} ({code})"], words


def test_words_of_two_letters_are_found_wherever_they_stand_and_others_are_not(catalogue):
    assert titles(catalogue, "大的") == ["柏林 (zh)"] and titles(catalogue, "林柏") == []
    assert titles(catalogue, "狮柏") == [] and titles(catalogue, "") == []
    assert set(titles(catalogue, "首都")) == {"柏林 (zh)", "ベルリン (ja)"}
    hits = catalogue.search_text("斑马 hunts")
    assert {hit.passage.title for hit in hits} == {"狮子 (zh)", "Lion (en)"}
    assert catalogue.search_text("斑马 hunts", limit=1) == hits[:1] and hits[0].score >= hits[1].score > 0


def test_a_passage_comes_once_with_what_stands_within_a_run(catalogue, tmp_path):
    mixed = record(1, "他在1961年用Python编写。See also Horses and AT&T公司.", title="Mixed")
    other = Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}")
    ingest(other, source([mixed]), tmp_path)
    for words in ("1961", "python", "编写", "horse", "AT&T", "用Python编写", "horse 公司 1961", "1961年"):
        assert titles(other, words) == ["Mixed"], words
    assert titles(other, "zebra") == titles(other, "Java语言") == []
    other.close()


def test_a_catalogue_of_an_older_program_is_learnt_without_ingesting_anew(url, tmp_path):
    older = Catalogue(url)
    ingest(older, source(RECORDS), tmp_path)
    before = contents(older)
    older.database.migrate("0011")
    older.close()
    newer = Catalogue(url)
    assert titles(newer, "沸腾") == ["水 (zh)"] and titles(newer, "เมืองหลวง")[0] == "เบอร์ลิน (th)"
    assert contents(newer) == before and check(newer) == []
    newer.close()


def test_pairs_come_and_go_with_their_passages_and_are_mended(url, tmp_path):
    catalogue = Catalogue(url)
    ingest(catalogue, source(RECORDS), tmp_path)

    def kept() -> int:
        with catalogue.database.reading() as session:
            return session.scalar(select(func.count(PairsRow.passage_id)))

    assert kept() == 15  # of five languages
    ingest(catalogue, source([*RECORDS[:15], record(15, "虎住在亚洲。", title="虎"), *RECORDS[16:]]), tmp_path)
    assert kept() == 15 and titles(catalogue, "亚洲") == ["虎"] and titles(catalogue, "德国") == []
    with catalogue.database.writing() as session:
        session.execute(text("UPDATE passage SET text = '狼住在欧洲。' WHERE title = '虎'"))
        session.execute(text("DELETE FROM passage_pairs WHERE title LIKE '%th%'"))
    assert len(check(catalogue)) == 1 and len(repair(catalogue)) == 1
    assert titles(catalogue, "欧洲") == ["虎"] and titles(catalogue, "亚洲") == [] and kept() == 15
    with catalogue.database.writing() as session:
        session.execute(text("DELETE FROM corpus"))
    assert kept() == 0 and titles(catalogue, "欧洲") == []
    catalogue.close()


def test_pairs_that_fell_out_of_the_search_are_built_anew(tmp_path):
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'c.sqlite'}")
    ingest(catalogue, source(RECORDS), tmp_path)
    with catalogue.database.writing() as session:
        session.execute(text("DELETE FROM pair_words_docsize WHERE id = 16"))
    assert [fault.what for fault in repair(catalogue)] == ["The search by words is wrong about 1 passages."]
    assert check(catalogue) == []
    catalogue.close()


def test_other_databases_compare_with_the_pairs_themselves():
    [search] = text_search.searches("other", ["柏林大学Berlin"])
    compared = set(search.compile().params.values())
    assert {"柏林", "林大", "大学", "berlin"} <= compared


def test_what_is_cut_into_pairs():
    assert spelt("Berlin", "The capital – naïve, столица, हिन्दी, ❤️") is None
    assert parts("Berlin") == ([], ["Berlin"]) and parts("柏林Berlin是") == (["柏林"], ["Berlin"])
    assert parts("勃兰登堡") == (["勃兰", "兰登", "登堡"], []) and parts("水") == (["水"], [])
    assert parts("น้ำใส") == (["น้ำ", "ำใ", "ใส"], [])
    assert parts("水，火") == (["水", "火"], []) and parts("水A") == ([], ["A"])
    assert parts("葛\U000e0100城") == (["葛城"], [])  # whichever form of the letter is meant
    title, said = spelt("水", "A\n柏林, b")
    assert title.split() == ["x06c34x"] and said.split() == ["A", "x067cfx06797x", "x06797x", ",", "b"]
