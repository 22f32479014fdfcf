"""An answer with its evidence as a page of HTML that stands alone: on a screen with all passages that were found, on
paper one sheet with the photo, the question, the answer and its sources.

All that comes from passages, people and models is text in it. Knows nothing of where it goes, or of what kept it.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from app.service.answer_formats import Told, cited, leads_somewhere
from common.passage import Evidence
from common.text import UNSAFE

_UNSEEN = re.compile(f"[{UNSAFE}]")
PHOTO_SIDE = 900  # pixels of the longer side of the photo in a page, at most
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'"
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.55 system-ui,sans-serif;max-width:46rem;margin:2rem auto;"
    "padding:0 1rem;overflow-wrap:anywhere}img{max-width:100%;max-height:24rem;border-radius:.4rem}"
    "blockquote{margin:.4rem 0;padding-block:.1rem;padding-inline:.8rem 0;border-inline-start:.2rem solid #0d9488}"
    "small,footer{opacity:.75}footer form{margin-top:1rem}mark{background:#99f6e4;color:#000}.sources{display:none}"
    "button,input{font:inherit}input{max-width:100%}"
    "@page{size:A4;margin:16mm 18mm}"
    "@media print{:root{color-scheme:light}body{margin:0;padding:0;max-width:none;font-size:10.5pt;line-height:1.4}"
    "img{max-height:78mm}h1{font-size:16pt;line-height:1.25;margin:5mm 0 3mm}h2{font-size:12pt;margin:6mm 0 2mm}"
    ".answer{font-size:12pt}.evidence,form{display:none}.sources{display:block}.sources ol{list-style:none;padding:0}"
    ".sources li{margin:0 0 3mm;break-inside:avoid}.sources blockquote{font-size:9.5pt;margin:1mm 0}"
    "mark{background:none;color:inherit}a{color:inherit;text-decoration:none}footer{margin-top:6mm;opacity:1}}"
)


@dataclass(frozen=True)
class Words:
    """What such a page says in a language, and which that is. no_answer has {reason}, made {corpora} and {answerer}."""

    language: str = "en"
    direction: str = "ltr"
    photo: str = "The photo that was asked about"
    no_answer: str = "No answer: {reason}."
    evidence: str = "Evidence"
    sources: str = "Sources"
    made: str = "From {corpora}, answered by {answerer}, with CiteSight."


ENGLISH = Words()


def as_page(told: Told, photo: Image.Image | None, words: Words = ENGLISH, foot: str = "") -> str:
    """The page; it needs nothing else. foot: more HTML for its end, of this program's own."""
    return written(told, None if photo is None else small_jpeg(photo), words, foot)


def written(told: Told, jpeg: bytes | None, words: Words = ENGLISH, foot: str = "") -> str:
    """The same with the photo as a file."""
    said = _escaped
    rests_on = cited(told)
    quotes = {passage.rank: quoted for passage, quoted in rests_on}
    photo = "" if jpeg is None else f'<p><img alt="{said(words.photo)}" src="{_address(jpeg)}"></p>'
    none = "" if told.answered else f'<p dir="auto"><em>{said(words.no_answer.format(reason=told.reason))}</em></p>'
    passages = "".join(_passage(each, quotes.get(each.rank, [])) for each in told.passages)
    sources = "".join(_source(each, quoted) for each, quoted in rests_on or [(each, []) for each in told.passages])
    made = words.made.format(corpora=", ".join(told.corpora), answerer=told.answerer or "CiteSight")
    return (
        f'<!doctype html><html lang="{said(words.language)}" dir="{said(words.direction)}"><head>'
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{said(told.question)}</title><style>{_STYLE}</style></head><body>"
        f'{photo}<h1 dir="auto">{said(told.question)}</h1><p class="answer" dir="auto">{_lines(told.text)}</p>{none}'
        f'<section class="evidence"><h2>{said(words.evidence)}</h2>{passages}</section>'
        f'<section class="sources"><h2>{said(words.sources)}</h2><ol>{sources}</ol></section>'
        f"<footer><small>{said(made)}</small>{foot}</footer></body></html>"
    )


def small_jpeg(photo: Image.Image) -> bytes:
    """The photo made small, without what its file said of where and when it was taken."""
    small = photo.convert("RGB")
    small.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    small.info.clear()
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def _passage(passage: Evidence, quotes: Sequence[str]) -> str:
    said, text, end = passage.text, "", 0
    for start, stop in sorted((said.find(quote), said.find(quote) + len(quote)) for quote in quotes if quote in said):
        if stop > end:
            start = max(start, end)
            text += f"{_lines(said[end:start])}<mark>{_lines(said[start:stop])}</mark>"
            end = stop
    text += _lines(said[end:])
    return f'<h3 dir="auto">{_named(passage)}</h3><blockquote dir="auto">{text}</blockquote>'


def _source(passage: Evidence, quotes: Sequence[str]) -> str:
    quoted = "".join(f'<blockquote dir="auto">{_lines(quote)}</blockquote>' for quote in quotes)
    address = f"<br><small>{_escaped(passage.url)}</small>" if leads_somewhere(passage.url) else ""
    return f'<li dir="auto">{_named(passage)}{address}{quoted}</li>'


def _named(passage: Evidence) -> str:
    """The number, the title as a link, the licence."""
    title = _escaped(passage.heading)
    if leads_somewhere(passage.url):
        title = f'<a href="{_escaped(passage.url)}" rel="noreferrer noopener nofollow">{title}</a>'
    licence = f" <small>{_escaped(passage.licence)}</small>" if passage.licence else ""
    return f"[{passage.rank}] {title}{licence}"


def _escaped(text: str) -> str:
    """Without what turns the direction of a text round, or is not seen at all."""
    return html.escape(_UNSEEN.sub("", text))


def _lines(text: str) -> str:
    return _escaped(text).replace("\n", "<br>")


def _address(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
