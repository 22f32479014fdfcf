"""Templates that nobody knows, and those of many Wikipedias that are known: no number or name goes in silence."""

from __future__ import annotations

import pytest

from kb.sources.wikitext import read_article
from tests.support.waiting import without_blow_up


def prose(text: str, language: str = "en") -> str:
    return "\n".join(section.text for section in read_article(text, language).sections if section.path == ())


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("it", "ha un diametro di {{M|1|c|m}}, a {{M|700|-|°C}}", "ha un diametro di 1 cm, a 700 °C"),
        ("it", "con {{TA|158 221}} abitanti a 2100 {{m s.l.m.}}, e", "con 158 221 abitanti a 2100 m s.l.m., e"),
        ("it", "vita di {{Exp|7,7|15}} anni; {{bandiera|Francia|nome}}", "vita di 7,7 × 10¹⁵ anni; Francia"),
        ("it", "({{colore|navy|80}} posti), {{tutto attaccato|45 mg}}", "(80 posti), 45 mg"),
        ("pt", "no {{séc|XIX}} havia {{fmtn|12345|km}}", "no século XIX havia 12345 km"),
        ("pt", "em {{dtext|12|5|1950}}, {{a.C.}}", "em 1950-05-12, a.C."),
        ("fr", "par {{tmp|-5|°C}} et {{euro|25}}, à {{heure|14|30}}", "par -5 °C et 25 €, à 14 h 30"),
        ("fr", "au {{s|XIX}}, {{-s-|IV|e}}, {{M.}} Roux", "au XIXe siècle, IVe siècle av. J.-C., M. Roux"),
        ("fr", "{{XIXe siècle}}, {{IIe}}, {{1er|mai}}, {{Lien|fr=Un mot|trad=A}}", "XIXe siècle, IIe, 1er mai, Un mot"),
        ("es", "en el {{siglo|IV|a|s}} y el {{Siglo|XIX||s}}", "en el siglo IV a. C. y el siglo XIX"),
        ("de", "sagte {{\"|Ein Wort}} und {{\"}}", "sagte „Ein Wort“ und \""),
        ("zh", "{{NoteTA|1=zh:a;zh-hant:b}}'''三木'''{{bd|1950年|5月12日||}}，人。", "三木（1950年5月12日－），人。"),
        ("fr", "{{incise|un mot}} puis {{n°|5}} et {{p.|12}}", "un mot puis nº 5 et p. 12"),
        ("de", "auf {{Höhe|400|DE-NN|link=true}} und {{Höhe|1200}}", "auf 400 m ü. NN und 1200 m"),
        ("de", "Mühle [{{IPA|myːlə}}, {{Audio|a.ogg}}] ({{lang|fr|moulin}}; {{Audio|b}})", "Mühle [myːlə] (moulin)"),
        ("de", "nach {{§|12|BGB|juris}}", "nach § 12 BGB"),
        ("ru", "город {{нп5|Старый|Старом|en|Old}} и {{iw|Новый||en|New}}", "город Старом и Новый"),
        ("ru", "площадь {{число|1200}} км, {{comment|слово|note}}", "площадь 1200 км, слово"),
        ("ar", "اسمها {{إنج|Mill}} منذ {{تحويل|5|km|mi}}", "اسمها Mill منذ 5 km"),
        ("zh", "在{{link-en|水车|Mill}}和{{tsl|en|Mill|磨坊}}之间", "在水车和磨坊之间"),
        ("ja", "{{仮リンク|粉屋|en|Miller|label=粉}}は{{要出典範囲|古い|date=x}}", "粉は古い"),
        ("en", "{{chem|SO|4|2-}} in {{chem2|H2O}}, called {{IPA|/a/}}", "SO4²⁻ in H2O, called /a/"),
        ("en", "{{HMS|Ajax|22|6}} cost {{US$|5 million}} in B{{music|flat}}", "HMS Ajax cost US$5 million in B♭"),
        ("en", "at {{coord|48|10|N|100|10|W|type:city}}, {{height|ft=5|in=11}}", "at 48° 10′ N 100° 10′ W, 5 ft 11 in"),
        ("en", "near 20{{convert|20|C|F}}, {{gaps|1|234}}", "near 2020 °C, 1234"),
        ("en", "{{math|{{abs|x}} + {{sqrt|2}} {{=}} {{radic|a + b|3}}}}, {{floor|x}}, {{closed-open|0, 1}}",
         "|x| + √2 = ∛(a + b), ⌊x⌋, [0, 1)"),
        ("en", "{{SimpleNuclide|carbon|14}}, {{bibleverse||Mark|3:25|KJV}}, {{bibleref|Mark|3:25}}",
         "carbon-14, Mark 3:25, Mark 3:25"),
        ("it", "con {{Gemellaggio|Polonia|Varsavia|1990}} e {{Naz|CA|ESP}}", "con Varsavia, Polonia, 1990 e ESP"),
        ("en", "wed {{marriage|Ann Ay|1956|1963|()=small}}, {{US patent|1781541}}",
         "wed Ann Ay (1956–1963), U.S. Patent 1781541"),
        ("en", "{{resize|120%|big}} {{longitem|style|text}}, {{keypress|Ctrl|C}}, the {{ordinal|11}}, {{ordinal|22}}",
         "big text, Ctrl+C, the 11th, 22nd"),
        ("ro", "sunt de {{conversie|22|–|25|C|F}} vara", "sunt de 22–25 °C vara"),
    ],
)  # fmt: skip
def test_templates_of_many_wikipedias(language, text, said):
    assert prose(text, language) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It ({{IPA|en|dʒɪˈrɑːf}}; ''Giraffa'') is", "It (Giraffa) is"),
        ("It ({{IPAc-en|UK|m|ɪ|l}} or {{IPA|/y/}}, {{respell|MIL}}; US: {{IPA-en|mɪl}}; x) is", "It (x) is"),
        ("It ({{audio|a.ogg|listen}}; Greek: {{lang|el|μύλος}} {{IPA|el|m}}, a, b) is", "It (Greek: μύλος, a, b) is"),
        ("It ({{transl|ru|Mel}}, {{IPA-ru|mel|}}) is said {{IPA|ru|mel}}.", "It (Mel) is said [mel]."),
        ("It ({{IPAc-en|m}}) is said {{IPAc-en|UK|ˈ|m|ɪ|l}} or {{respell|MIL|ee}}.", "It is said /ˈmɪl/ or MIL-ee."),
        ("It is {{rtl-lang|fa|نان}} and {{audio|a.ogg|listen}} {{FormatNum|1234|de}}.", "It is نان and 1234."),
    ],
)
def test_pronunciations_and_codes_of_languages(text, said):
    assert prose(text) == said
    assert not read_article(text).unknown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{columns-list|colwidth=20em|\n* one\n* [[two]]\n}}After.", "one\ntwo\nAfter."),
        ("{{div col|2}}\n* one\n* two\n{{div col end}}\nAfter.", "one\ntwo\nAfter."),
        ("{{columns|col1=* one|col2=* two}}", "one\ntwo"),
        ("He wrote:\n{{poem|first\nsecond|Who}}\nAfter.", "He wrote:\nfirst second\nAfter."),
        ("He wrote:\n{{quote box|quote=Words.|source=Who|align=left}}\nAfter.", "He wrote:\nWords.\nAfter."),
        ("{{quote|Words.|Who}}\n'''Mill''' is it.", "Words.\nMill is it."),
        ("So:\n{{ordered list|one|[[two]]}}\n{{hidden|Title|Content.}}", "So:\none\ntwo\nContent."),
        ("{{verse translation|lang=fr|mot|word}}", "mot\nword"),
        ("{{blockquote|text=Words.|author=Who}}", "Words."),
        ("{{hlist|a|b}} {{plainlist|\n* a\n* b\n}} {{ubl|a|b}} {{nowrap|5 km}}", "a, b a, b a, b 5 km"),
    ],
)
def test_lists_poems_and_quotations_are_kept(text, said):
    assert prose(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The mill is called {{name of it|Old Wheel}} by all.", "The mill is called Old Wheel by all."),
        ("The word {{in tongue|de|Mühle}} is old.", "The word Mühle is old."),
        ("It has {{number shown|1 200}} wheels.", "It has 1 200 wheels."),
        # What another template or a link says is no name of an argument.
        ("It is {{nowrap|1 {{=}} 2}} and {{small|{{mvar|a}} {{=}} [[b|c=d]]}} now.", "It is 1 = 2 and a = c=d now."),
        ("It is {{named so|x {{=}} [[y]]}} here.", "It is x = y here."),
        ("It is big. The sign <hiero>A1</hiero> is {{hiero|A1}}. It is old.", "It is big. It is old."),
        ("So <syntaxhighlight lang=c inline>a = b[1];</syntaxhighlight> is.", "So a = b[1]; is."),
        # What the number counts, or the number itself, would be gone.
        ("It is big. It has a height of {{ells|12}} there. It is old.", "It is big. It is old."),
        ("It is big. It lies {{lll|12|k|m}} off. It is old.", "It is big. It is old."),
        ("It is big. It has {{Population of|Town}} people. It is old.", "It is big. It is old."),
        ("It is big. It lies at 400 {{above the sea}}. It is old.", "It is big. It is old."),
        ("{{XYZ}}, 443 people. It is big.", "It is big."),
        ("It is big. It has {{formatnum:{{People|x|y}}}} people. It is old.", "It is big. It is old."),
        ("It is big. It has {{val|{{People|x|y}}|u=m}} there. It is old.", "It is big. It is old."),
        ("{{HUN}} [[Town]], {{NOR}}, 443. It is big.", "It is big."),
        ("{{HUN}} [[Town]] and {{NOR}} [[Village]]", "Town and Village"),
        ("In 1{{nobody|7}}5 it was built. It is big.", "It is big."),
        ("Built by Mr. {{nobody|a|b}} in c. 1750. It is big.", "It is big."),
        # Brackets go alone.
        ("The mill (in Old Tongue: {{nobody|a|b}}; old) stands.", "The mill (old) stands."),
        ("The mill (called {{nobody|a|b}}) stands.", "The mill stands."),
        # Notes, icons and boxes say nothing.
        ("It is big.{{Nobody knows|why|5}} It{{who|date=2001}} is old{{doubt}}, so.", "It is big. It is old, so."),
        ("It is big. {{to be mended|date=May 2001}} It is old. {{see what}}", "It is big. It is old."),
        ("In {{flagsign|X}} [[Town]] it {{cite thing|a|b}} is.", "In Town it is."),
        ("{{About|a|b}}'''The mill''' is big.\n{{Box|1|2}} {{Box|3|4}}\n'''It''' is.", "The mill is big.\nIt is."),
        ("{{Mapa|Norte}}The mill is big.", "The mill is big."),
        ("So.\n{{A box|a|b}}\n* {{A link|a|b}}\n* {{Twin|Town|1966}} {{more}}\nSo it is.", "So.\nSo it is."),
        ("城很大。城有{{何|一|二}}人。城很老。", "城很大。城很老。"),
        ("城有{{人名|三木}}之家。", "城有三木之家。"),
    ],
)  # fmt: skip
def test_a_template_that_nobody_knows(text, said):
    assert prose(text) == said


def test_what_is_left_out_is_counted_by_name():
    text = "It lies {{Far off|1|2}} away. It is big (in {{Tongue|x|y}}). It is {{Far_off|3|4}} from {{here|5|6}}.\n"
    article = read_article(text + "{{Box|a|b}}")
    assert article.unknown == {"far off": 2, "tongue": 1}
    assert [section.text for section in article.sections] == ["It is big."]
    assert read_article("'''It''' is {{convert|1|km}} off.").unknown == {}


def test_a_heading_and_facts_hold_no_hole():
    facts = "{{Infobox x|a={{nobody|1|2}}|b=12 {{ells}}|c={{named|Old Wheel}}}}"
    article = read_article(f"{facts}\n== The {{{{x y|a|b}}}} mill ==\nBig.")
    assert [(s.path, s.text) for s in article.sections] == [(("The mill",), "Big."), (("Facts",), "c: Old Wheel")]


@pytest.mark.parametrize("name", ["Attēls:A b.svg|thumb|250px|''Puma'' map", "Foo:A b.svg", "Foo:A b.ogg|listen"])
def test_files_are_known_in_any_language(name):
    article = read_article(f"[[{name}]]Text.", file_words=frozenset())
    [image] = article.images
    assert (image.name, article.sections[0].text) == (name.partition(":")[2].partition("|")[0], "Text.")


def test_a_file_is_known_by_how_it_is_shown():
    assert prose("[[Foo:Nothing known|thumb|200px|Caption]]Text [[a: b|c]].") == "Text c."


@pytest.mark.parametrize(
    "unit",
    ["a {{b|c|d}}", "({{b|c|d}}", "x{{b}}", "{{b|c}}", "a. {{b|1|2}} ", "。{{b|1|2}}", "...{{b|1|2}}", "'{{b|1|2}}"],
)
def test_time_grows_with_the_length_only(unit):
    with without_blow_up():
        read_article(unit * (80_000 // len(unit)))


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "The page {{nobody|a|b}} is 60. The end of it has come.", "The end of it has come."),
        ("en", "It has {{nobody|77}} mills. {{nowrap|100 crowns}} were paid.", "100 crowns were paid."),
        ("en", "It has {{nobody|77}} in chapt. 5 of them. It is old.", "It is old."),
        ("de", "Er kam {{nobody|a|b}} am 5. Mai her. Er ging.", "Er ging."),
        ("en", "The page {{PAGENAME}} is {{uc:big}}.", "The page Mill is BIG."),
        ("es", "Mide {{esd|10 km}} y la {{versalita|iv}} parte{{esd}}5.", "Mide 10 km y la iv parte 5."),
        ("fr", "Ici {{M.|Dupont}}, {{Mme}} Roux et {{km²|5}}.", "Ici M. Dupont, Mme Roux et 5 km²."),
        ("en", "It is {{deg|x 5}} big. It is old.", "It is x 5 big. It is old."),
    ],
)
def test_what_is_left_out_takes_no_neighbour_with_it(language, text, said):
    assert "\n".join(s.text for s in read_article(text, language, title="Mill").sections) == said


def test_captions_that_are_sentences_are_paragraphs_after_theirs():
    text = (
        "[[File:a.jpg|thumb|The [[bridge|old bridge]] of it was built in 1902.]]\n'''Mill''' is a town.\nIt is old.\n\n"
        "{|\n| [[File:d.jpg|The caption in a table is none.]]\n|}\n"
        "== H ==\n<gallery>\nFile:b.jpg|The tower of it was built in 1903.\nFile:c.jpg|Tower\n</gallery>\n* It stands."
    )
    assert [section.text for section in read_article(text).sections] == [
        "Mill is a town. It is old.\nThe old bridge of it was built in 1902.",
        "It stands.\nThe tower of it was built in 1903.",
    ]
    caption = "この橋は1902年に完成した。"
    assert prose(f"[[ファイル:x.jpg|thumb|{caption}]]\n町。", "ja") == f"町。\n{caption}"


def test_what_no_reader_is_to_see_is_no_text():
    text = 'It <span style="display:none">no <span>4</span></span> <s>45</s> <span>shows 46</span> <s>on.\n\nNew</s>.'
    assert prose(text) == "It shows 46 on.\nNew."
    assert read_article("It.\n\n{| \n| a cell 34\n\nAfter it.\n").rows == 1
