"""Wikitext to prose: what stays, what goes, in several languages, for any nesting, and in bounded time."""

from __future__ import annotations

import re

import mwparserfromhell
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.wikipedia_dump import made_up_article
from common.passage import says_rows
from kb.records import Section
from kb.sources import wikitext
from kb.sources.outline import Shown
from kb.sources.wikitext import MAX_FACTS, MAX_IMAGES, is_disambiguation, is_redirect, read_article
from tests.support.waiting import without_blow_up

MARKUP = ("[[", "]]", "{{", "}}", "'''", "<ref")


def prose(text: str, language: str = "en") -> str:
    return "\n".join(section.text for section in read_article(text, language).sections)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A '''bold''' and ''slanted'' word", "A bold and slanted word"),
        ("The [[river]] and the [[Old mill|mill]]s", "The river and the mills"),
        ("[[:Category:Mills]] and [[Mill#History]]", "Category:Mills and Mill#History"),
        ("See [https://example.org the page] here [https://example.org]", "See the page here"),
        ("It is {{convert|12|km|mi|abbr=on}} long", "It is 12 km long"),
        ("It is {{convert|5|to|10|km|mi}} long", "It is 5 to 10 km long"),
        ("She is {{cvt|5|ft|11|in|m}} tall", "She is 5 ft 11 in tall"),
        ("The word {{lang|fr|mot}} means word", "The word mot means word"),
        ("{{lang-de|Wort}} and {{langx|it|parola}}", "Wort and parola"),
        ("{{nihongo|Tea house|茶室,|chashitsu}} is a room", "Tea house (茶室, chashitsu) is a room"),
        ("born {{birth date|1950|5|12|df=y}}", "born 12 May 1950"),
        ("built {{circa|1900}}{{snd}}perhaps", "built c. 1900 – perhaps"),
        ("1900{{ndash}}1910, ten{{nbsp}}years, James{{'}} mill", "1900–1910, ten years, James' mill"),
        ("one{{unknown template|with [[a link]] and {{another|x}}}} two", "one two"),
        ("water<ref>{{cite|a}} [[b]]</ref> falls<ref name=\"x\" /> down<!-- no -->", "water falls down"),
        ("the sum <math>\\frac{a}{{b}}</math> is", "the sum a/b is"),
        ("so<p>is it<ul><li>one</li><li>[[two]]</ul><div class=x>three</div>four", "so\nis it\none\ntwo\nthree\nfour"),
        ("so:\n<poem>first\nsecond</poem>\nAfter", "so:\nfirst second\nAfter"),
        ("so<pre>code</pre>it", "so\nit"),
        ("A<blockquote>b</blockquote>c", "A\nb\nc"),
        ("10&nbsp;m&sup2; &amp; more<br />so", "10 m² & more so"),
        ("The mill ({{IPAc-en|m}}; {{lang|fr|moulin}}) stood", "The mill (moulin) stood"),
        ("The mill ({{IPAc-en|m}}) stood", "The mill stood"),
        ("before\n{| class=x\n| a || {{b\n|}}\n|-\n{|\n| in\n|}\n|}\nafter", "before\nafter"),
        ("before <table class=x><tr><td>a [[b]]</td></tr></table>after", "before\nafter"),
        ("* one\n* [[two]]\n# three\n; four\n: five", "one\ntwo\nthree\nfour\nfive"),
        ("first line\nsame paragraph\n\nsecond", "first line same paragraph\nsecond"),
        ("__NOTOC__\nText [[Category:Mills]] [[de:Mühle]]", "Text"),
        ("<nowiki>a ''b'' c</nowiki> end", "a b c end"),
        ("<nowiki>|a| * b</nowiki> end\n<nowiki># c</nowiki>", "|a| * b end # c"),
        ("open {{unclosed and [[more", "open unclosed and more"),
        ("closed }} here ]] now", "closed here now"),
        ("one{{mixed [[a }} b]] c", "one b c"),
        ("{{val|1.9885|e=30|u=kg}} and {{val|6.02e-23}}", "1.9885 × 10³⁰ kg and 6.02 × 10⁻²³"),
        ("{{val|1|-|3|u=m}}, {{val|1|to|3|u=m2}}, {{val|1|x|3|u=m}}", "1–3 m, 1 to 3 m², 1 × 3 m"),
        ("{{val|1.2|0.3|e=-5|ul=kg|up=m3}} or {{val|1.2|(3)|e=5}}", "(1.2 ± 0.3) × 10⁻⁵ kg/m³ or 1.2(3) × 10⁵"),
        ("{{val|5|+1|-2|u=s}}, {{val|e=6|u=s-1}}, {{val|<3}}", "5 +1 −2 s, 10⁶ s⁻¹, <3"),
        ("2 × 10<sup>30</sup> kg, 10{{sup|-9}} m, 2{{e|9}}, {{10^|6}}", "2 × 10³⁰ kg, 10⁻⁹ m, 2 × 10⁹, 10⁶"),
        ("''m''<sup>''n''</sup> [[metre|m]]<sup>&minus;2</sup> (ab)<SUP class=x>3</SUP>", "mⁿ m⁻² (ab)³"),
        ("H<sub>2</sub>O, H{{sub|2}}O and 101<sub>2</sub>", "H2O, H2O and 101₂"),
        ("19<sup>th</sup>, 1{{sup|st}}, said<sup>[1]</sup>, <sup>14</sup>C", "19th, 1st, said[1], 14C"),
        ("5{{frac|1|2}} in and {{frac|1|2}} or {{frac|3|1|2}}", "5 1/2 in and 1/2 or 3 1/2"),
        ("{{convert|1+1/2|mi}} long, {{convert|1.5e6|km2}}", "1 1/2 mi long, 1.5 × 10⁶ km²"),
        ("{{cvt|-4-1/2|in}}, {{cvt|1//2|mi}}, {{cvt|3|e6m3}}", "-4 1/2 in, 1/2 mi, 3 × 10⁶ m³"),
        ("{{cvt|5|-|10|km}}, {{cvt|3|to about|6|ft}}, {{cvt|3|±|1|ft}}", "5–10 km, 3 to about 6 ft, 3 ± 1 ft"),
        ("{{cvt|about 5|km|mi}}, {{cvt|5|ft|11+1/2|in}}, {{cvt||km}}", "about 5 km, 5 ft 11 1/2 in,"),
        ("{{cvt|9|kgCO2/L}}, {{cvt|9|MPa.m1/2}}, {{cvt|9|m/s2}}", "9 kgCO2/L, 9 MPa.m1/2, 9 m/s²"),
        ("{{lang|²=x|fr|mot}} {{val|²=3|1}} {{birth date|²|5|1}}", "mot 1 ²"),
        ("{{start date|1950|May|12}} {{dts|1950|00013|5}} {{dts|1950|5|" + "9" * 5000 + "}}", "12 May 1950 1950 1950"),
        ("on {{dts|1950|Sept|12}}, {{dts|1950|sep|12}}", "on 1950, 12 September 1950"),
        ("As of {{as of|2015|lc=y}}, {{frac|1|2}} of {{formatnum:1200}}", "As of as of 2015, 1/2 of 1200"),
    ],
)
def test_what_a_sentence_keeps(text, said):
    assert prose(text) == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("it", "l'''Odissea'' è un poema", "l'Odissea è un poema"),
        ("fr", "au {{s-|XIX|e}} le {{citation|mot juste}} de {{nombre|12|km}}", "au XIXe siècle le mot juste de 12 km"),
        ("fr", "{{unité|1.6|e=-19|C}}, {{unité|3|m|3|s|-1}}", "1.6 × 10⁻¹⁹ C, 3 m³ s⁻¹"),
        ("fr", "{{unité|5|à|10|km|2}}", "5 à 10 km²"),
        ("fr", "au XIX{{e}} siècle, 2{{x10|3}} m{{exp|2}}", "au XIXe siècle, 2 × 10³ m²"),
        ("de", "geboren {{birth date|1950|5|12}}", "geboren 1950-05-12"),
        ("ja", "{{読み仮名|水車|すいしゃ}}と{{仮リンク|粉屋|en|Miller}}", "水車 (すいしゃ)と粉屋"),
        ("zh", "-{zh-hans:软件; zh-hant:軟體}-和-{水}-", "软件和水"),
        ("en", "{{citation|title=A book}}said", "said"),
    ],
)
def test_languages(language, text, said):
    assert prose(text, language) == said


def test_sections_are_nested_and_the_apparatus_is_dropped():
    text = (
        "Lead.\n== History ==\n=== ''Early'' years ===\nOld.\n=== Later ===\nNew.\n==Use==\nFlour.\n"
        "== See also ==\n* [[Other]]\n=== Deeper ===\nGone.\n== Legacy ==\nStill.\n== Références ==\nGone."
    )
    assert read_article(text).sections == (
        Section((), "Lead."),
        Section(("History", "Early years"), "Old."),
        Section(("History", "Later"), "New."),
        Section(("Use",), "Flour."),
        Section(("Legacy",), "Still."),
    )


@pytest.mark.parametrize(
    "title",
    ["Einzelnachweise", "Liens externes", "Véase también", "Collegamenti esterni", "Externe links", "Ver também",
     "Примечания", "Przypisy", "関連項目", "参考资料", "參考資料", "Further reading", "Externa länkar", "Se også",
     "Viitteet", "Externí odkazy", "Jegyzetek", "Dış bağlantılar", "Примітки", "같이 보기", "Vegeu també",
     "Liên kết ngoài", "Pranala luar", "مراجع", "منابع"],
)  # fmt: skip
def test_the_apparatus_in_other_languages(title):
    assert prose(f"Lead.\n== {title} ==\nGone.") == "Lead."


def test_a_title_that_is_apparatus_in_one_language_only():
    river = "Lead.\n== Source ==\nA spring.\n== Sources ==\nGone."
    assert prose(river) == "Lead.\nA spring." and prose(river, "fr") == "Lead."
    letters = "Lead.\n== Literatura ==\nPoems."
    assert prose(letters, "es") == "Lead.\nPoems." and prose(letters, "cs") == "Lead."


def test_quantities_in_headings_facts_and_descriptions():
    head = "{{Short description|Star of 10<sup>3</sup> suns}}{{Infobox star|mass={{val|2|e=30|u=kg}}}}"
    article = read_article(f"{head}\n== 10{{{{sup|6}}}} ==\nText.")
    assert article.description == "Star of 10³ suns"
    assert article.sections == (Section(("10⁶",), "Text."), Section(("Facts",), "mass: 2 × 10³⁰ kg"))


def test_an_infobox_becomes_facts_and_pictures():
    text = (
        "{{Short description|Mill on a river}}{{Infobox building\n| name = Mill\n| image = Old_mill.jpg\n"
        "| caption = The ''mill'' in [[1900]]\n"
        "| height = {{convert|12|m|ft}}\n| owner = [[The town|Town]]<br>and people<ref>x</ref>\n"
        "| opened = {{start date|1880|3}}\n| empty =\n| long = " + "x" * 500 + "\n}}\n'''The mill''' stands."
    )
    article = read_article(text)
    assert article.sections == (
        Section((), "The mill stands."),
        Section(("Facts",), "name: Mill\nheight: 12 m\nowner: Town, and people\nopened: March 1880"),
    )
    assert article.images == (Shown("Old mill.jpg", "The mill in 1900"),)
    assert article.description == "Mill on a river"
    many = read_article("{{Infobox x" + "".join(f"|k{n}=v{n}" for n in range(99)) + "}}").sections[-1]
    assert len(many.text.splitlines()) == MAX_FACTS


def test_pictures_come_in_order_once_with_their_captions_where_they_stand():
    text = (
        "[[File:A_b.jpg|thumb|A [[nested|caption]] with {{convert|1|km}}]]One.\n<gallery>\nFile:C.png|caption\nD.svg\n"
        "</gallery>\n== Two ==\nSaid.[[Datei:E.jpg|mini]][[Image:A b.jpg]]\n== Gallery ==\n[[Fil:F.jpg|thumb|Mill]]\n"
        "== Notes ==\n[[File:G.jpg|upright=1.2]] [[File:Flag.svg|20px|Flag]] [[File:H.jpg|200x300px|An ''old'' one]]"
    )
    article = read_article(text, file_words=wikitext.FILE_WORDS | {"fil"})
    assert article.images == (
        Shown("A b.jpg", "A caption with 1 km"), Shown("C.png"), Shown("D.svg"), Shown("E.jpg"), Shown("F.jpg", "Mill"),
        Shown("G.jpg"), Shown("H.jpg", "An old one"),
    )  # fmt: skip
    assert article.sections == (Section((), "One.", (0, 1, 2)), Section(("Two",), "Said.", (3, 0, 4, 5, 6)))
    assert len(read_article("".join(f"[[File:{n}.jpg]]" for n in range(99))).images) == MAX_IMAGES


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [
        ("en", "'''Mill''' may be:\n{{disambiguation}}", True),
        ("en", "{{Disambig}}", True),
        ("en", "{{School disambiguation}}", True),
        ("en", "The {{disambiguation needed|date=x}} mill {{about|x}}", False),
        ("de", "{{Begriffsklärung}}", True),
        ("de", "{{Begriffsklärungshinweis}}", False),
        ("fr", "{{Homonymie}}", True),
        ("es", "{{Desambiguación}}", True),
        ("it", "{{Disambigua}}", True),
        ("nl", "{{dp}}", True),
        ("en", "{{dp}}", False),
        ("pt", "{{Desambiguação}}", True),
        ("ru", "{{неоднозначность}}", True),
        ("pl", "{{Ujednoznacznienie}}", True),
        ("ja", "{{Aimai}}", True),
        ("zh", "{{消歧义}}", True),
        ("sv", "__DISAMBIG__", True),
        ("sv", "{{Förgrening|ort}}", True),
        ("no", "{{Peker}}", True),
        ("fi", "{{Täsmennyssivu}}", True),
        ("cs", "{{Rozcestník}}", True),
        ("sk", "{{Rozlišovacia_stránka}}", True),
        ("hu", "{{Egyért}}", True),
        ("tr", "{{Anlam ayrımı}}", True),
        ("uk", "{{Неоднозначність}}", True),
        ("ko", "{{동음이의}}", True),
        ("vi", "{{Trang định hướng}}", True),
        ("ar", "{{توضيح}}", True),
        ("fa", "{{ابهام\u200cزدایی}}", True),
        ("he", "{{פירושונים}}", True),
        ("th", "{{แก้กำกวม}}", True),
        ("hi", "{{बहुविकल्पी शब्द}}", True),
    ],
)
def test_disambiguation(language, text, told):
    assert is_disambiguation(text, language) is told


def test_redirects():
    assert all(map(is_redirect, ("#REDIRECT [[A]]", " #WEITERLEITUNG[[A]]", "#перенаправление: [[A]]", "#転送 [[A]]")))
    assert all(map(is_redirect, ("#เปลี่ยนทาง [[A]]", "#अनुप्रेषित [[A]]", "#تغییر_مسیر [[A]]", "\n#redirect\n[[A]]")))
    assert not is_redirect("## [[one]]") and not is_redirect("#[[one]]") and not is_redirect("#* a [[one]]")
    assert not is_redirect("# one [[list]]\n# item") and not is_redirect("Text #REDIRECT [[A]]")


TOKENS = st.sampled_from(
    "{{ }} {{{ }}} [[ ]] [ ] ''' '' ' | = == \n {| |} |- ! * # : ; <ref> </ref> <ref/> <ref < > <!-- --> <nowiki> "
    "</nowiki> <gallery> </gallery> &lt;ref&gt; &#91; &#91;&#91; &amp; File: Category: lang|fr| convert| infobox|a= "
    "https:// -{ }- __TOC__ word 12 km é \u200b ( ) ,".split(" ")
)
NESTED = st.recursive(
    st.sampled_from(["word", "two words", "12", "a|b", "File:x.jpg|c", "k=v"]),
    lambda inner: st.builds(
        lambda around, parts: around[0] + "".join(parts) + around[1],
        st.sampled_from(
            [("{{", "}}"), ("{{lang|fr|", "}}"),
             ("{{infobox|k=", "}}"), ("[[", "]]"), ("[[File:", "]]"), ("'''", "'''"),
             ("''", "''"), ("<ref>", "</ref>"), ("\n{|\n|", "\n|}\n"), ("\n== ", " ==\n"), ("<div>", "</div>"),
             ("[https://x ", "]"), ("\n* ", "\n"), ("<nowiki>", "</nowiki>"), ("{{nowrap|", "}}"), ("{{{", "}}}")]
        ),
        st.lists(inner, max_size=4),
    ),
    max_leaves=25,
)  # fmt: skip


def all_text(text: str, language: str) -> str:
    article = read_article(text, language)
    assert all(section.text for section in article.sections)
    return "\n".join(["\n".join([*section.path, section.text]) for section in article.sections] + [article.description])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(TOKENS, NESTED), max_size=40).map("".join), st.sampled_from(["en", "fr", "zh"]))
def test_no_markup_remains(text, language):
    said = all_text(text, language)
    assert not [mark for mark in MARKUP if mark in said]


@settings(max_examples=100, deadline=None)
@given(NESTED)
def test_text_after_whole_markup_is_kept(text):
    """Balanced markup, however nested, never swallows the paragraph that follows it."""
    assert "afterwards" in prose(text + "\n\n== Own section ==\n\nafterwards")


def test_the_library_reads_the_same_prose():
    """Where markup is common to both, mwparserfromhell finds the same words in the same order."""
    for number in range(6):
        text = made_up_article(number, 12)
        ours = [s for s in read_article(text).sections if not s.path or not says_rows(s.path[-1])]
        tree = mwparserfromhell.parse(text)
        for template in tree.filter_templates(recursive=True):
            name = str(template.name).strip().lower()
            kept = {"convert": lambda t: f"{t.get(1)} {t.get(2)}", "lang": lambda t: str(t.get(2))}.get(name)
            if kept is not None and tree.contains(template):
                tree.replace(template, kept(template))
        for link in tree.filter_wikilinks(recursive=True):
            if str(link.title).startswith(("File:", "Category:")) and tree.contains(link):
                tree.remove(link)
        for tag in tree.filter_tags(matches=lambda t: str(t.tag) in ("table", "gallery", "ref")):
            if tree.contains(tag):
                tree.remove(tag)
        for section in tree.get_sections(matches=r"^\s*(See also|References|External links)\s*$"):
            tree.remove(section)
        for heading in tree.filter_headings():
            tree.remove(heading)
        theirs = tree.strip_code()
        words = [re.findall(r"\w+", said) for said in ("\n".join(s.text for s in ours), theirs)]
        assert words[0] == words[1]
        assert len(words[0]) > 300


@pytest.mark.parametrize(
    "unit",
    ["{{", "[[", "{{a|", "{{lang|fr|", "[[a|", "<b>", "{|\n", "[http://a ", "{{{", "'''''a''b'''", "<ref>", "<ref ",
     "<div style=", "'", "''' ", "= ", "== a ==\n", "( ", "-{", "__", "&#", "<!--", "{{x ", "{{ \n", "{{       ",
     "<s>", "<del></s>", "<sup>1</sup>", "<sup>", "<sup><i>", "x<sup>1</sup>/<sub>2</sub>", "{{sup|2}}", "{{val|1e9|",
     "[[File:", "[[File:a.jpg|thumb|A b c d e.]]", "<gallery>\na.jpg\n",
     "<nowiki>", "{{infobox|a=", "\n   ", " ,", "(,", "[[a]]", "}}", "]]", "|}"],
)  # fmt: skip
def test_time_grows_with_the_length_only(unit):
    """A fraction of a second for 80,000 characters of anything; what is quadratic takes minutes."""
    size = 80_000 // len(unit)
    closing = "}}" if unit.startswith("{{") else "]]" if unit.startswith("[[") else ""
    with without_blow_up():
        for text in (unit * size, unit * (size // 2) + "x" * 1000 + closing * (size // 2)):
            read_article(text)
            is_disambiguation(text, "en")
            is_redirect(text)
