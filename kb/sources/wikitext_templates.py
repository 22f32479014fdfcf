"""What the templates of Wikipedias say that carry text of a sentence.

Nothing is expanded: each is read as its documentation describes it, and those of which nobody here knows what they show
are the matter of kb/sources/wikitext_holes.py. Quantities are written as kb/sources/template_quantities.py has them.
"""

from __future__ import annotations

import re

from kb.sources import template_dates as d
from kb.sources import template_quantities as q
from kb.sources.template_arguments import Saying, template_arguments
from kb.sources.template_cells import CELLS

_ORDINAL = re.compile(r"(\d{1,3}|[ivxl]{1,7})?(er|re|e|ème)( siècle)?")
_COLOUR = re.compile(r"(?:.* )?party (?:colou?r|style|shading)(?: cell|/.*)?")  # for a cell's attributes
_CODE = re.compile(r"[a-z]{2,3}")
_SAYS = re.compile(r"[^\W_]")
_SPACING = frozenset("nbsp spaces clear br snd ohne zwsp".split())  # and how much of it


def template_text(name: str, rest: str, language: str) -> str | None:
    """What a template says in a sentence; None when that is not known. `name` is as template_name() gives it."""
    known = _SAYING.get(f"{language}:{name}") or _SAYING.get(name)
    if known is not None:
        return known(*template_arguments(rest), language)
    fixed = _FIXED.get(name, _FIXED.get(f"{language}:{name}"))
    if fixed is not None and (name in _SPACING or not any(map(_SAYS.search, template_arguments(rest)[0]))):
        return fixed
    if name.startswith("lang-"):
        return _first(*template_arguments(rest), language)
    if _COLOUR.fullmatch(name):
        return ""
    if name.startswith("formatnum:"):
        return name.partition(":")[2].strip()
    if language == "fr" and (ordinal := _ORDINAL.fullmatch(name)):
        number = (ordinal[1] or "").upper() + ordinal[2] + (ordinal[3] or "")
        return " ".join([number, *template_arguments(rest)[0][:1]]).strip()
    return None


def _first(placed: list[str], named: dict[str, str], language: str) -> str:
    given = next((named[key] for key in ("lt", "text", "texte", "quote") if named.get(key)), "")
    return given or "".join(placed[:1])


_TEXT_BY_NAME = re.compile(r"(?:col|colonne|column)\d{0,2}|quote|texte?|testo|content|contenu|contenuto|liste?|inhalt")
_WIDTH = re.compile(r"\d*(?:\.\d+)?\s*(?:em|px|%)?")


def _columns(placed: list[str], named: dict[str, str], language: str) -> str:
    """Lists and verses that are set side by side, a paragraph each."""
    told = [word for word in placed if word and not _WIDTH.fullmatch(word)]
    told += [word for key, word in named.items() if word and _TEXT_BY_NAME.fullmatch(key)]
    return "\n\n".join(["", *told, ""])


def _block(placed: list[str], named: dict[str, str], language: str) -> str:
    """A quotation or poem that stands by itself; who said it is left out."""
    named_so = (word for key, word in named.items() if word and _TEXT_BY_NAME.fullmatch(key))
    return f"\n\n{next(named_so, ''.join(placed[:1]))}\n\n"


def _second(placed: list[str], named: dict[str, str], language: str) -> str:
    return placed[1] if len(placed) > 1 else named.get("text", named.get("texte", ""))


def _second_or_first(placed: list[str], named: dict[str, str], language: str) -> str:
    """What a link to a missing article shows, where that is not its title."""
    shown = next((named[key] for key in ("надо", "текст", "тр") if named.get(key)), "")
    return shown or next((word for word in placed[1:2] if word and not _CODE.fullmatch(word)), "".join(placed[:1]))


def _last(placed: list[str], named: dict[str, str], language: str) -> str:
    return next((word for word in reversed(placed) if word), "")


def _foreign(placed: list[str], named: dict[str, str], language: str) -> str:
    """A link to another Wikipedia's article: `lt` or the title."""
    named_so = next((named[key] for key in ("lt", "label", "texte", "text", "fr", "عر", "نص") if named.get(key)), "")
    return named_so or "".join(placed[:1])


def _third(placed: list[str], named: dict[str, str], language: str) -> str:
    """The same in Chinese: {{tsl|en|Title|shown}}."""
    return next((word for word in placed[2:3] if word), "".join(placed[1:2]))


def _spaced(placed: list[str], named: dict[str, str], language: str) -> str:
    return " ".join(word for word in placed if word)


def _list(placed: list[str], named: dict[str, str], language: str) -> str:
    items = (line.strip("*# \t") for item in placed for line in item.splitlines())
    return ", ".join(item for item in items if item)


def _items(placed: list[str], named: dict[str, str], language: str) -> str:
    """A list that stands by itself, a line for each."""
    return "".join(["\n", *(f"* {word.lstrip('*# ')}\n" for word in placed if word)])


def _superscript(placed: list[str], named: dict[str, str], language: str) -> str:
    """An element, since what it stands after tells whether it is an exponent; see kb/sources/exponents.py."""
    return f"<sup>{_first(placed, named, language)}</sup>"


def _subscript(placed: list[str], named: dict[str, str], language: str) -> str:
    return f"<sub>{_first(placed, named, language)}</sub>"


def _nihongo(placed: list[str], named: dict[str, str], language: str) -> str:
    rest = ", ".join(word for each in placed[1:3] if (word := each.strip(" ,")))
    return f"{placed[0] if placed else ''} ({rest})" if rest else _first(placed, named, language)


def _quoted(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{"|words}}; without words the mark alone."""
    if not placed or not placed[0]:
        return '"'
    return f"„{placed[0]}“" if language == "de" else f"“{placed[0]}”"


def _quotation(placed: list[str], named: dict[str, str], language: str) -> str:
    return _first(placed, named, language) if language == "fr" else ""  # in English the name of a reference


def _chinese(placed: list[str], named: dict[str, str], language: str) -> str:
    return ", ".join(named[key] for key in ("c", "s", "t", "p") if named.get(key)) or "".join(placed[:1])


def _with(before: str) -> Saying:
    return lambda placed, named, language: " ".join(word for word in (before, "–".join(placed[:2])) if word)


def _script(placed: list[str], named: dict[str, str], language: str) -> str:
    """A word in another script, and how it is read."""
    return ", ".join(word for word in placed[:2] if word)


def _twin(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{gemellaggio|Polonia|Varsavia|1990}}: a land, a town, and since when."""
    return ", ".join(word for word in (*placed[1:2], *placed[:1], *placed[2:3]) if word)


def _marriage(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{marriage|Ann Ay|1956|1963}} is "Ann Ay (1956–1963)"."""
    years = "–".join(word for word in placed[1:] if word and "=" not in word)
    return f"{placed[0]} ({years})" if years else "".join(placed[:1])


def _verse(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{bibleverse|1|Kings|3:5|KJV}} is "1 Kings 3:5"."""
    numbered = not placed or not placed[0] or placed[0].isdecimal()
    return " ".join(word for word in placed[: 3 if numbered else 2] if word)


def _keys(placed: list[str], named: dict[str, str], language: str) -> str:
    return named.get("chain", "+").join(word for word in placed if word)


def _nth(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{ordinal|22}} is "22nd"."""
    number = "".join(placed[:1])
    if language != "en" or not number.isdecimal():
        return number
    endings = {"1": "st", "2": "nd", "3": "rd"}
    return number + ("th" if number[-2:-1] == "1" else endings.get(number[-1:], "th"))


def _flag_with_name(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{Bandiera|Francia|nome}} names the country; without that there is only its flag."""
    return placed[0] if len(placed) > 1 and placed[1] else ""


def _ship(placed: list[str], named: dict[str, str], language: str) -> str:
    return " ".join(word for word in placed[:2] if word)


def _named_ship(before: str) -> Saying:
    return lambda placed, named, language: " ".join([before, *(word for word in placed[:1] if word)])


def _tone(placed: list[str], named: dict[str, str], language: str) -> str:
    tone = "".join(placed[:1])
    return {"flat": "♭", "b": "♭", "sharp": "♯", "#": "♯", "natural": "♮"}.get(tone, tone)


def _paragraph(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{§|12|BGB|juris}} is "§ 12 BGB"."""
    return " ".join(["§", *(word for word in placed[:2] if word)])


def _nothing(placed: list[str], named: dict[str, str], language: str) -> str:
    return ""


# The templates that carry text of a sentence, by what they say; with the language where the name is common.
_SAYING: dict[str, Saying] = CELLS | {
    name: saying
    for saying, names in (
        (q.convert, "convert|cvt|convert/spell|conversie|converti|konvertera|omregn|تحويل|تبدیل|換算|換算單位"),
        (_second,
         "lang|langue|langx|langi|rtl-lang|ety|wikt-lang|wiktlang|لغة|color|colour|font color|fontcolor|couleur"
         "|v jazyku|native name|llang|cizojazyčně|vjazyce2|språk|it:naz|it:nazba|it:naznb"),
        (_last,
         "transl|transliteration|translit|colore|langr|script|lv:val|resize|longitem|schriftgröße|align|aligned"),
        (_keys, "keypress|key|key press"),
        (_nth, "ordinal"),
        (_third, "tsl|translink"),
        (_foreign,
         "ill|interlanguage link|lien|仮リンク|ill2|link-en|link-ja|internal link helper/en|le|link-de|link-fr"
         "|link-ru|ilh|وإو|وصلة إنترويكي|ill-wd2|ligação interlíngua|interwiki|fr:lien|illm"),
        (_second_or_first,
         "нп|нп1|нп2|нп3|нп4|нп5|не переведено|не переведено 2|не переведено 3|не переведено 5|iw|iw2"),
        (_first,
         "nowrap|nobr|nobreak|no wrap|small|smaller|big|em|strong|abbr|tooltip|hover|smallcaps|sc|sc2|ruby|ruby-ja"
         "|birth-date|death-date|url|birth year and age|mvar|var|sic|w|unicode|s|num|formatnum|юл|lj|flag|flagu"
         "|flagcountry"
         "|math|mono|code|tt|kbd|samp|not a typo|visible anchor|vanchor|overline|underline|midsize"
         "|larger|center|polytonic|noitalic|nobold|bartable|vr|track gauge|railgauge"
         "|sronly|linktext"
         "|citation needed span|cn span|nihongo krt|grec ancien|maiuscoletto|boxarrotondato|cas|numero|ta"
         "|tutto attaccato|nowiki|citazione necessaria|senza fonte|chiarire|cn-span|abréviation|abréviation discrète"
         "|petites capitales|petite capitale|pc|guil|incise|référence nécessaire|référence souhaitée|refnec|refsou"
         "|pas clair|passage évasif|quand|citation étrangère|japonais|variable|terme défini|comment|comm|число"
         "|versalita|versalitas|nobr1|rom-maj|ルビ|ふりがな|флагификация|текст|要出典範囲|by|補助漢字フォント|cp932フォント|jis2004フォント|jis90フォント|黑幕|刪除線|僻字|拼音"
         "|إنج|إنجليزية|فرنسية|خط عربي|نص|رمز|aut|esp.|textanlaß"),
        (_columns,
         "columns-list|columnslist|column list|div col|columns|multicol|fr:colonnes|fr:début de colonnes"
         "|mehrspaltige liste|wielokolumnowe|verse translation|de:spaltenliste"
         "|veergude loend"),
        (_block,
         "quote|blockquote|block quote|quotation|cquote|zitat|cita|citaat|citazione|цитата|bq|epigraph|citation bloc"
         "|cytat|citat|sitat|sitaatti|quote box|quotebox|pull quote|pullquote|centered pull quote|poem|poemquote"
         "|poem quote|poème|vers|verse|bquote|it:q|it:cassetto|it:nota"),
        (lambda placed, named, language: _block(placed[1:], named, language), "rquote|numblk|hidden"),
        (d.date,
         "birth date|birth date and age|death date|death date and age|start date|end date|start date and age|film date"
         "|dts|bda|dob|release date|launch date|生年月日と年齢|生年月日|死亡年月日と没年齢"
         "|출생일|출생일과 나이|사망일과 나이"),
        (_superscript, "sup|fr:exp"),
        (_subscript, "sub|fr:ind"),
        (q.ten_to_the(" × "), "en:e|en:esp|es:e|it:e|fr:x10"),
        (q.ten_to_the(""), "10^"),
        (d.day_first,
         "date|date-|fecha|data|date de naissance|date de décès|dtlink|dtext|d-|дата"),
        (d.old_style, "oldstyledate|oldstyledatedy|oldstyledatedmy|сс"),
        (q.quantity, "nombre|unité|unit|unidad|unidade|unità|nb|fr:tmp|fmtn|formatar número"),
        (q.prefixed, "it:m"),
        (q.scientific, "it:exp"),
        (q.height, "höhe"),
        (q.above_sea("m n. m."), "mnm"),
        (q.tall, "height"),
        (q.hours, "heure|durée"),
        (q.formula, "chem|chem2|fchim"),
        (q.joined, "gaps"),
        (q.root, "sqrt|radic"),
        (q.nuclide, "nuclide|nuclide2|simplenuclide|simplenuclide2|isotope"),
        *((q.around(before, after), name) for before, name, after in (
            ("&#124;", "abs", "&#124;"), ("‖", "norm", "‖"), ("⌈", "ceil", "⌉"), ("⌊", "floor", "⌋"),
            ("&#123;", "mset", "&#125;"), ("&#124;", "ket", "⟩"), ("⟨", "bra", "&#124;"), ("(", "open-open", ")"),
            ("&#91;", "closed-closed", "&#93;"), ("&#91;", "closed-open", ")"), ("(", "open-closed", "&#93;"),
            ("⟨", "angle bracket", "⟩"), ("⟨", "angbr", "⟩"),
        )),
        (q.coordinates, "coord|koord|coordinates"),
        (q.money("€"), "euro|eur|€|евро"),
        (q.money("$"), "dollar"),
        (q.money("₽"), "рубль|руб"),
        (q.money("US$", True), "us$|usd|usdollar"),
        (q.money("£", True), "gbp|£|pound sterling"),
        (q.money("¥", True), "jpy|¥|cny|rmb"),
        (q.money("₹", True), "inr|indian rupee|₹"),
        (q.money("A$", True), "a$|aud"),
        (q.money("C$", True), "c$|cad"),
        (q.money("R$", True), "r$|brl"),
        (q.money("NT$", True), "nt$|ntd|twd"),
        (q.money("HK$", True), "hk$|hkd"),
        (lambda placed, named, language: "".join(placed[:1]) or " ", "es:esd"),
        (_nihongo, "nihongo|nihongo2|nihongo3|読み仮名|korean"),
        (_twin, "it:gemellaggio|vec:xemełajo"),
        (_marriage, "marriage"),
        (_verse, "bibleref|bibleverse|bibleref2|bibleverse-nb"),
        (_with("U.S. Patent"), "us patent|us patent reference"),
        (_script, "tr:kardeş şehir|de:ar|arabe|hébreu|russo|russe|grec|chinois|greco|cinese|giapponese"),
        (q.fraction, "frac|sfrac|fraction|vulgar fraction|bruch"),
        (q.value, "val"),
        (d.as_of, "as of"),
        (d.century, "s-|sav|siècle|fr:s|fr:s2"),
        (d.century_before, "fr:-s|fr:-s-"),
        (d.centuries, "fr:sp|fr:sp-"),
        (d.century_in_portuguese, "séc|século|pt:sec|séc."),
        (d.century_in_spanish, "siglo"),
        (_with("segle"), "segle"),
        (d.life, "zh:bd"),
        (_quoted, '"'),
        (_quotation, "citation"),
        (_chinese, "zh|zh-full"),
        (_with("c."), "circa|c.|ca"),
        (_with("fl."), "floruit|fl."),
        (_with("r."), "reign"),
        (_with("AD"), "en:ad"),
        (_with("nº"), "fr:n°|fr:numéro|fr:n"),
        (_with("p."), "fr:p.|fr:p"),
        *((_with(word), f"fr:{word.lower()}") for word in "M. MM. Mme Mmes Mlle Mlles Dr Pr Mgr Me St Ste".split()),
        (_paragraph, "de:§|de:§§"),
        (_list,
         "ubl|unbulleted list|vunblist|ublist|plainlist|plain list|hlist|flatlist|flowlist|collapsible list"),
        (_items, "ordered list|bulleted list|unordered list|olist|ulist|blist"),
        (_flag_with_name, "it:bandiera"),
        (_ship, "ship"),
        *((_named_ship(name.upper()), name) for name in "hms uss ss mv rms usns hmcs hmas sms ins".split()),
        (_tone, "music"),
        (_nothing,
         "0|anchor|ancora|ancre|ancla|anker|якорь|sfn|sfnp|harvnb|refn|efn|rp|r"
         "|ref label|note label|noisbn|bots|it:cita"),
    )
    for name in names.split("|")
}  # fmt: skip
_FIXED = {
    "nbsp": " ", "spaces": " ", "snd": " – ", "snds": " – ", "spnd": " – ", "spaced ndash": " – ", "–": " – ",
    "ndash": "–", "endash": "–", "en dash": "–", "mdash": "—", "emdash": "—", "em dash": "—", "—": "—",
    "spaced mdash": " — ", "'": "'", "'s": "'s", "`": "'", "' \"": "'\"", "\" '": "\"'", "!": "|", "=": "=",
    "·": " · ", "•": " · ", "dot": " · ", "*": "*", "pi": "π", "minus": "−", "times": "×", "colon": ":", "zwsp": "",
    "clear": "", "br": " ", "deg": "°", "esd": " ", "nnbsp": " ", "fr:esp": " ", "fr:espaces": " ", "fr:nb": " ",
    "de:nb": " ", "سخ": " ", "m s.l.m.": "m s.l.m.", "msnm": "m s. n. m.", "es:m s. n. m.": "m s. n. m.", "tex": "TeX",
    "latex": "LaTeX", "extinct": "†", "dagger": "†", "double-dagger": "‡", "ddagger": "‡",
    "asterisk": "*", "solar mass": "M☉", "dunque": "⇒", "fr:av jc": "av. J.-C.",
    "fr:ap jc": "apr. J.-C.", "fr:av. j.-c.": "av. J.-C.", "fr:ap. j.-c.": "apr. J.-C.", "a.c.": "a.C.", "d.c.": "d.C.",
    "pt:ac": "a.C.",
    "pt:dc": "d.C.", "es:a. c.": "a. C.", "es:d. c.": "d. C.", "es:ac": "a. C.", "es:dc": "d. C.", "ق.م": "ق.م",
    "هـ": "هـ", "ar:هـ": "هـ", "م": "م", "ص": "ﷺ", "صلى الله عليه وسلم": "ﷺ", "de:eur": "€",
    "км²": "км²", "км2": "км²", "°c": "°C", "%": "%", "ohne": "", "ru:-1": "", "pm": "±",
}  # fmt: skip
