"""Wikitext to prose: the sections, pictures and key facts of an article, in time linear in its length.

One scan with a stack of open templates, links and tables, 17 MB a second on one core for the articles of
benchmarks/wikipedia_dump.py. A parser library makes a tree of objects first: mwparserfromhell, the maintained one,
reads 0.9 MB of the same a second, 0.7 with strip_code, and takes more than linear time on hostile input (over 25 s for
44 kB of "<ref " again and again). 3 MB a second are wanted, so the library only checks this module, in the tests.
Nothing is expanded, a template that wikitext_templates.py does not know is dropped. Knows nothing of dumps.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from kb.records import Section, clean_text
from kb.sources.exponents import with_exponents
from kb.sources.wikitext_templates import template_name, template_text

MAX_DEPTH = 40  # of templates, links and tables in each other, as MediaWiki has it; bounds the work
MAX_IMAGES = 50
MAX_FACTS = 30
MAX_FACT = 200  # characters of a fact's value

FACTS = "Facts"

FILE_WORDS = frozenset(
    "file image media datei bild fichier archivo imagen immagine bestand afbeelding ficheiro imagem arquivo файл "
    "изображение plik grafika ファイル 画像 文件 檔案 档案 图像 圖像 图片 圖片".split()
)
CATEGORY_WORDS = frozenset(
    "category kategorie catégorie categoría categoria categorie категория kategoria カテゴリ 分类 分類".split()
)

# Sections that hold no prose of the article: en, de, fr, es, it, nl, pt, ru, pl, ja, zh, sv, no and da, fi, cs, hu, tr,
# uk, ko, ca, vi, id, ar, fa; with the language where the name is prose in another, as the source of a river is.
DROPPED_SECTIONS = frozenset(
    """see also|references|external links|further reading|notes|notes and references|footnotes|sources|bibliography
    |citations|works cited|references and notes
    |siehe auch|einzelnachweise|weblinks|literatur|anmerkungen|quellen|fußnoten|belege
    |voir aussi|références|notes et références|liens externes|bibliographie|articles connexes|fr:annexes|lien externe
    |notes|fr:source
    |véase también|referencias|enlaces externos|bibliografía|notas|notas y referencias|lecturas adicionales|fuentes
    |voci correlate|collegamenti esterni|bibliografia|altri progetti|note|fonti
    |zie ook|externe links|externe link|bronnen|literatuur|referenties|nl:noten|bronnen, noten en/of referenties
    |voetnoten
    |ver também|referências|ligações externas|leitura adicional|notas e referências|fontes
    |см. также|примечания|ссылки|литература|источники|комментарии
    |zobacz też|przypisy|linki zewnętrzne|uwagi
    |関連項目|脚注|外部リンク|参考文献|出典|注釈|関連文献
    |参见|參見|参考文献|參考文獻|外部链接|外部連結|外部鏈接|参考资料|參考資料|注释|註釋|延伸阅读|延伸閱讀|参考來源
    |脚注|相关条目|相關條目|備註|备注
    |se även|referenser|källor|noter|fotnoter|externa länkar
    |se også|referanser|referencer|kilder|eksterne lenker|eksterne henvisninger|eksterne links|litteratur
    |katso myös|lähteet|viitteet|aiheesta muualla|kirjallisuutta
    |související články|reference|poznámky|externí odkazy|cs:literatura|pl:literatura
    |kapcsolódó szócikkek|jegyzetek|források|további információk|irodalom
    |ayrıca bakınız|kaynakça|dış bağlantılar|notlar
    |див. також|примітки|посилання|література|джерела
    |같이 보기|각주|외부 링크|참고 문헌|참고문헌|주석
    |vegeu també|referències|enllaços externs|bibliografia complementària
    |xem thêm|tham khảo|chú thích|liên kết ngoài
    |lihat pula|referensi|pranala luar|catatan kaki|daftar pustaka
    |انظر أيضا|انظر أيضًا|مراجع|المراجع|وصلات خارجية|هوامش
    |جستارهای وابسته|پانویس|منابع|پیوند به بیرون""".replace("\n", "").replace("    ", "").split("|")
)

# Names of templates, in the order of those languages and some more; with the language where the name is common.
DISAMBIGUATION = frozenset(
    """disambiguation|disambig|dab|hndis|geodis|letter-numbercombdisambig|mathdab|numberdis|roaddis|schooldis|shipindex
    |begriffsklärung|homonymie|toponymie|paronymie|desambiguación|desambiguacion|es:des|disambigua|doorverwijspagina
    |nl:dp|desambiguação|неоднозначность|многозначность|ujednoznacznienie|aimai|曖昧さ回避|消歧义|消歧義|消歧义页|消歧義頁
    |消歧义頁|förgrening|betydelselista|peker|fleirtyding|flertydig|täsmennyssivu|rozcestník|rozlišovacia stránka|egyért
    |anlam ayrımı|неоднозначність|багатозначність|동음이의|동음이의어|desambiguació|trang định hướng|định hướng
    |disambiguasi|nyahkekaburan|توضيح|صفحة توضيح|ابهام\u200cزدایی|ابهام زدایی|פירושונים|αποσαφήνιση|dezambiguizare
    |пояснение|вишезначна одредница|višeznačna odrednica|razdvojba|razločitev|täpsustuslehekülg|argipen|homónimos
    |apartigilo|แก้กำกวม|बहुविकल्पी|बहुविकल्पी शब्द|দ্ব্যর্থতা নিরসন""".replace("\n", "").replace("    ", "").split("|")
)

# Elements that go with everything in them, and those whose text means itself.
_ELEMENT = re.compile(
    r"<!--|<(ref|references|math|chem|ce|gallery|timeline|score|syntaxhighlight|source|pre|nowiki|imagemap|graph"
    r"|mapframe|maplink|hiero|templatestyles|section|inputbox|templatedata|indicator|script|style|table)\b([^<>]*)>",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"\{\{|\}\}|\[\[|\]\]|^[ \t:]*+\{\||^[ \t]*+\|\}(?!\})", re.MULTILINE)
_OPENING = {"{{": "}}", "[[": "]]", "{|": "|}"}
_LANGUAGE_PREFIX = re.compile(r"(?!(?:doi|hdl|voy|mw|rfc|wmf)$)(?:[a-z]{2,3}(?:-[a-z-]+)?|simple)$")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\[\]]*+[ \t]*+([^\[\]\n]*+)\]")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_BREAK = re.compile(r"<br\b[^<>]*>", re.IGNORECASE)
_SWITCH = re.compile(r"__[^\W\d_]{2,30}__")
_VARIANT = re.compile(r"-\{([^{}]*+)\}-")
_QUOTES = re.compile(r"'{2,}")
_LEFTOVER = re.compile(r"[\[\]{}]{2,}|'{2,}|</?ref", re.IGNORECASE)
_EMPTY_BRACKETS = re.compile(r" ?[(（][;,:/，；\s]*[)）]")
_BRACKET_START = re.compile(r"([(（])[;,:，；\s]+")
_SPACE_BEFORE = re.compile(r" +([,.)])")
_PICTURE = re.compile(r"[^|\n<>\[\]{}:]{1,240}\.(?:jpe?g|png|svg|gif|webp|tiff?)", re.IGNORECASE)
_NO_FACT = re.compile(
    r"image|caption|alt|width|size|map|logo|colou?r|style|pushpin|footnote|url|website|signature|bild|foto"
)
_INFOBOX = re.compile(
    r"infobox|.+ infobox$|ficha de |info/|infocaja|карточка|基礎情報|taxobox|automatic taxobox|speciesbox|chembox"
)
_REDIRECT = re.compile(r"\s*#[^\s#*:;|\[\]{}<>]{2,40}\s*:?\s*\[\[")  # the word has marks in Thai and Hindi
_TEMPLATE_NAME = re.compile(r"\{\{([^{}|\n]{1,80}+)")


@dataclass(frozen=True)
class Article:
    """What an article says: its sections in order (the facts of its infobox last), pictures, short description."""

    sections: tuple[Section, ...]
    images: tuple[str, ...]
    description: str


def is_redirect(wikitext: str) -> bool:
    return _REDIRECT.match(wikitext) is not None


def is_disambiguation(wikitext: str, language: str) -> bool:
    """Whether a page only says what a name may mean, told by its templates, which every Wikipedia has for it."""
    if "__DISAMBIG__" in wikitext:
        return True
    for match in _TEMPLATE_NAME.finditer(wikitext):
        name = template_name(match[1])
        if name in DISAMBIGUATION or f"{language}:{name}" in DISAMBIGUATION:
            return True
        if name.endswith((" disambiguation", "の曖昧さ回避")) or name.startswith("homonymie de "):
            return True
    return False


def read_article(
    wikitext: str,
    language: str = "en",
    file_words: frozenset[str] = FILE_WORDS,
    category_words: frozenset[str] = CATEGORY_WORDS,
) -> Article:
    """The prose of an article. `file_words` and `category_words` are names of those namespaces in lower case."""
    scan = _Scan(language, file_words, category_words)
    text = scan.run(_without_elements(wikitext))
    sections = _sections(text, language)
    if scan.facts:
        sections.append(Section((FACTS,), "\n".join(scan.facts)))
    return Article(tuple(sections), tuple(scan.images), scan.description)


def _without_elements(text: str) -> str:
    """`text` without comments, references, formulas and code; a gallery becomes links to its files."""
    kept, place, missing = [], 0, set()
    while match := _ELEMENT.search(text, place):
        kept.append(text[place : match.start()])
        place = match.end()
        if match[1] is None:
            end = text.find("-->", place)
            place = end + 3 if end >= 0 else len(text)
            continue
        if match[2].endswith("/"):
            continue
        name = match[1].lower()
        if name in missing:
            continue
        closing = re.compile(rf"</{name}\s*+>", re.IGNORECASE).search(text, place)
        if closing is None:
            missing.add(name)  # looked for once, so that a thousand open tags stay cheap
            continue
        inside, place = text[place : closing.start()], closing.end()
        if name == "nowiki":
            kept.append(inside.translate(_INERT))
        elif name in ("gallery", "imagemap"):
            kept.append("\n" + "".join(_gallery_links(inside)) + "\n")
    kept.append(text[place:])
    return "".join(kept)


_INERT = {ord(mark): f"&#{ord(mark)};" for mark in "[]{}|'<>=*#:;"}


def _gallery_links(lines: str) -> list[str]:
    names = (line.partition("|")[0].strip() for line in lines.splitlines())
    bare = (name.rpartition(":")[2].strip() for name in names)
    return [f"[[File:{name}]]" for name in bare if _PICTURE.fullmatch(name)]


class _Scan:
    """One pass over an article: what is open stands on a stack, what closes becomes text in what it lay in."""

    def __init__(self, language: str, file_words: frozenset[str], category_words: frozenset[str]) -> None:
        self.language = language
        self.file_words = file_words
        self.category_words = category_words
        self.images: list[str] = []
        self.facts: list[str] = []
        self.description = ""

    def run(self, text: str) -> str:
        stack: list[tuple[str, list[str]]] = [("", [])]
        waiting = {closing: 0 for closing in _OPENING.values()}
        pieces = stack[0][1]
        place = 0
        for match in _TOKEN.finditer(text):
            pieces.append(text[place : match.start()])
            place = match.end()
            token = match[0].lstrip(" \t:")
            if token in _OPENING:
                if len(stack) <= MAX_DEPTH:
                    pieces = []
                    stack.append((_OPENING[token], pieces))
                    waiting[_OPENING[token]] += 1
                continue
            if not waiting[token]:
                if token == "|}":
                    pieces.append(match[0])
                continue
            while stack[-1][0] != token:  # what was never closed is text of what it lies in
                closing, inner = stack.pop()
                waiting[closing] -= 1
                stack[-1][1].extend(inner)
            inner = stack.pop()[1]
            waiting[token] -= 1
            pieces = stack[-1][1]
            if token == "]]":
                pieces.append(self._link("".join(inner)))
            elif token == "}}":
                pieces.append(self._template("".join(inner)))
        rest = [text[place:]]
        return "".join([piece for _, inner in stack for piece in inner] + rest)

    def _link(self, inner: str) -> str:
        target, piped, shown = inner.partition("|")
        target = target.strip()
        prefix, colon, rest = target.partition(":")
        if colon and prefix:
            word = prefix.strip().lower()
            if word in self.file_words:
                self._image(rest)
                return ""
            if word in self.category_words or _LANGUAGE_PREFIX.match(prefix):
                return ""
        return shown if piped else target.lstrip(":#")

    def _image(self, name: str) -> None:
        name = clean_text(html.unescape(name.replace("_", " ")))[:240]
        if name and len(self.images) < MAX_IMAGES and name not in self.images:
            self.images.append(name)

    def _template(self, inner: str) -> str:
        name, _, rest = inner.partition("|")
        name = template_name(name)
        said = template_text(name, rest, self.language)
        if said is not None:
            return said
        if name == "short description" and not self.description:
            self.description = " ".join(_paragraphs(rest.partition("|")[0]))[:MAX_FACT]
        elif _INFOBOX.match(name):
            self._take_facts(rest)
        return ""

    def _take_facts(self, rest: str) -> None:
        for part in rest.split("|"):
            key, given, value = part.partition("=")
            key, value = clean_text(key.replace("_", " ")), value.strip()
            if not given or not value or len(value) > 4 * MAX_FACT:
                continue
            picture = value.partition(":")[2] if value.partition(":")[0].lower() in self.file_words else value
            if _PICTURE.fullmatch(picture):
                self._image(picture)
                continue
            value = ", ".join(_paragraphs(_BREAK.sub("\n\n", value)))
            wanted = key and len(key) <= 60 and not _NO_FACT.search(key.lower()) and not _LEFTOVER.search(key)
            if wanted and value and len(value) <= MAX_FACT and len(self.facts) < MAX_FACTS:
                self.facts.append(f"{key}: {value}")


def _sections(text: str, language: str) -> list[Section]:
    """Cuts at headings; sections without prose of their own are only names in the paths of those below."""
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    dropped = 0  # level of the heading whose section is left out, 0 for none

    def close() -> None:
        paragraphs = [] if dropped else _paragraphs("\n".join(lines))
        if paragraphs:
            sections.append(Section(tuple(title for _, title in path), "\n".join(paragraphs)))
        lines.clear()

    for line in text.split("\n"):
        heading = _heading(line) if line.startswith("=") else None
        if heading is None:
            lines.append(line)
            continue
        close()
        level, title = heading
        while path and path[-1][0] >= level:
            path.pop()
        path.append((level, title))
        if not dropped or level <= dropped:
            name = title.lower().rstrip(":")
            dropped = level if name in DROPPED_SECTIONS or f"{language}:{name}" in DROPPED_SECTIONS else 0
    close()
    return sections


def _heading(line: str) -> tuple[int, str] | None:
    line = line.rstrip()
    inner = line.strip("=")
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    title = " ".join(_paragraphs(inner.strip()))[:200]
    return (level, title) if level and inner and title else None


def _paragraphs(text: str) -> list[str]:
    """The paragraphs and list items of text without templates and links, as clean lines."""
    if "[" in text:
        text = _EXTERNAL.sub(r"\1", text)
    if "<" in text:
        text = with_exponents(text)
        text = _TAG.sub("", _BREAK.sub(" ", text))
    if "__" in text:
        text = _SWITCH.sub("", text)
    if "-{" in text:
        text = _VARIANT.sub(_variant, text)
    if "''" in text:
        text = "\n".join([_without_quotes(line) if "''" in line else line for line in text.split("\n")])
    if "&" in text:
        text = html.unescape(text)
    paragraphs: list[str] = []
    open_lines: list[str] = []
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or line[0] in "*#:;|" or stripped.startswith(("{|", "----")):
            if open_lines:
                paragraphs.append(" ".join(open_lines))
                open_lines = []
            if stripped and line[0] in "*#:;":
                paragraphs.append(stripped.lstrip("*#:; "))
        elif stripped[0] != "|":
            open_lines.append(stripped)
    if open_lines:
        paragraphs.append(" ".join(open_lines))
    return [tidy for paragraph in paragraphs if (tidy := _tidy(paragraph))]


def _tidy(paragraph: str) -> str:
    """One clean line; "" when nothing is left that can be read."""
    line = clean_text(paragraph)
    if "(" in line or "（" in line:
        line = _BRACKET_START.sub(r"\1", _EMPTY_BRACKETS.sub("", line))
    if " ," in line or " ." in line or " )" in line:
        line = _SPACE_BEFORE.sub(r"\1", line)
    if _LEFTOVER.search(line):
        line = " ".join(_LEFTOVER.sub(" ", line).split())
    return line if any(map(str.isalnum, line)) else ""


def _variant(match: re.Match[str]) -> str:
    """The first of the variants of -{zh-hans:a; zh-hant:b}-."""
    said = match[1].rpartition("|")[2].partition(";")[0]
    return said.partition(":")[2] or said


def _without_quotes(line: str) -> str:
    """Takes bold and italic marks off as MediaWiki reads them: in l'''Odissea'' the first mark is an apostrophe."""
    runs = [len(match[0]) for match in _QUOTES.finditer(line)]
    bold = sum(run in (3, 4) or run >= 5 for run in runs)
    italic = sum(run == 2 or run >= 5 for run in runs)
    apostrophe = -1
    if bold % 2 and italic % 2:
        threes = [match.start() for match in _QUOTES.finditer(line) if len(match[0]) == 3]
        single = (at for at in threes if at and line[at - 1] != " " and (at == 1 or line[at - 2] == " "))
        words = (at for at in threes if at and line[at - 1] != " ")
        apostrophe = next(single, next(words, -1))
    return _QUOTES.sub(lambda match: "'" if match.start() == apostrophe or len(match[0]) == 4 else "", line)
