"""The evidence as HTML: the cards of the passages, and the photo with their heat maps. Pure functions.

Everything goes through `escape`; the page's own texts are those of the language that is spoken. Knows nothing of
Gradio, of models, or of where the data came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.service.results import WHOLE, Region, Reranked, left_out_of_search
from app.web.escaping import escape, marked, question_stems, safe_link
from app.web.languages import counted, in_words, number, say, speaking
from app.web.notices import licence_said
from app.web.pictures import address, small_size
from common.passage import Evidence, Picture
from generator.answers import Citation

UNFOLDED, FIRST = 8, 5  # so many passages are shown as they are; of more, only the first ones, the others folded away


@dataclass(frozen=True)
class PictureHeat:
    """Where a passage's picture, `number` from 0, is like the photo. picture, where: as of HeatMap."""

    number: int
    picture: str
    where: str


def evidence(
    run: str,
    passages: Sequence[Evidence],
    question: str,
    citations: Sequence[Citation],
    selected: int,
    with_photo: bool,
    alike: Mapping[int, PictureHeat],
    reranked: Reranked | None = None,
    unsearched: float = 0.0,
) -> str:
    """The evidence cards, the selected one pressed. `run` tells one question's cards from the next one's. alike: by
    rank. reranked: what put them in order after they were found. unsearched: as of EvidenceFound."""
    if not passages:
        return ""
    stems = question_stems(question)
    cards = [_card(each, stems, citations, each.rank == selected, alike.get(each.rank)) for each in passages]
    unfolded = FIRST if len(cards) > UNFOLDED else len(cards)
    more = ""
    if cards[unfolded:]:
        opened = " open" if any(each.rank == selected for each in passages[unfolded:]) else ""
        more = (
            f'<details class="cs-more" data-key="more {escape(run)}"{opened}>'
            f"<summary>{counted('evidence.more', len(cards) - unfolded)}</summary>"
            f'<ol class="cs-cards" start="{unfolded + 1}">{"".join(cards[unfolded:])}</ol></details>'
        )
    hints = [in_words(left_out_of_search(unsearched))] if unsearched else []
    hints += [_reranked(passages, reranked)] if reranked else []
    hints += [say("evidence.choose")] if with_photo else []
    hint = "".join(f'<p class="cs-hint" dir="auto">{escape(each)}</p>' for each in hints)
    quote, word = (say(f"evidence.{each}_mark") for each in ("quoted", "word"))
    quoted = f'<span><span class="cs-quote">{quote}</span> {say("evidence.quoted")}</span>' if citations else ""
    return (
        f'<section class="cs-evidence" aria-label="{say("evidence.label")}" data-run="{escape(run)}">'
        f'<div class="cs-head"><h2>{say("evidence.heading")}</h2><p class="cs-key">{quoted}'
        f"<span><mark>{word}</mark> {say('evidence.word')}</span></p></div>"
        f'{hint}<ol class="cs-cards">{"".join(cards[:unfolded])}</ol>'
        f"{more}</section>"
    )


def _card(
    passage: Evidence, stems: frozenset[str], citations: Sequence[Citation], selected: bool, heat: PictureHeat | None
) -> str:
    quotes = [(c.start, c.end) for c in citations if c.passage_id == passage.id]
    title = escape(passage.title) or say("evidence.untitled")
    link = safe_link(passage.url)
    source = (
        f'<a href="{escape(link)}" target="_blank" rel="noopener noreferrer nofollow">'
        f'{escape(urlsplit(link).hostname or link)}<span aria-hidden="true"> ↗</span>'
        f'<span class="cs-sr">{say("evidence.source_of", title=title)}</span></a>'
        if link
        else f"<span>{say('evidence.no_link')}</span>"
    )
    about = f'<span class="cs-about">{escape(passage.description)}</span>' if passage.description else ""
    section = f" › {escape(passage.section)}" if passage.section else ""
    notes = [say("evidence.seen", score=number(passage.seen, 2))] if passage.seen >= 0.005 else []
    if passage.alike is not None:
        notes.append(say("evidence.alike", score=number(max(0.0, passage.alike), 2)))
    notes += [moved(passage)] if moved(passage) else []
    notes += [say("evidence.by", profile=escape(passage.by))] if passage.by else []
    about += "".join(f'<span class="cs-about">{note}</span>' for note in notes)
    cited = f'<span class="cs-cited">{say("evidence.cited")}</span>' if quotes else ""
    share = max(0, min(100, round(passage.score * 100)))
    rank = passage.rank
    return (
        f'<li><article class="cs-card{" cs-selected" if selected else ""}" data-rank="{rank}">'
        f'<h3><button type="button" class="cs-pick" data-rank="{rank}" id="cs-pick-{rank}" '
        f'aria-pressed="{"true" if selected else "false"}">'
        f'<span class="cs-rank"><span class="cs-sr">{say("evidence.passage")} </span>{rank}</span>'
        f'<span class="cs-title" dir="auto">{title}{section}{about}</span>'
        f"{cited}"
        f'<span class="cs-score" title="{say("evidence.score_title")}">'
        f'<span class="cs-sr">{say("evidence.score")} </span>{number(passage.score, 2)}'
        f'<span class="cs-bar" aria-hidden="true"><i style="width:{share}%"></i></span></span></button></h3>'
        f'{_pictures(passage, heat)}<p class="cs-passage" dir="auto">{marked(passage.text, stems, quotes)}</p>'
        f'<p class="cs-source">{source}<span>{escape(licence_said(passage.licence))}</span>'
        f"<span>{escape(passage.corpus)}</span></p></article></li>"
    )


def moved(passage: Evidence) -> str:
    """The rank of a passage and the one that it was found at: "3rd, was 7th"; "" where a reranker did not move it."""
    if passage.was in (None, passage.rank):
        return ""
    return say("evidence.moved", rank=_th(passage.rank), was=_th(passage.was))


def _th(place: int) -> str:
    if speaking().code != "en":
        return str(place)
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{place}{'th' if place % 100 in (11, 12, 13) else ends.get(place % 10, 'th')}"


def _reranked(passages: Sequence[Evidence], by: Reranked) -> str:
    """Who put the passages in order, and what of that did not work, in a sentence or two."""
    moves = sum(bool(moved(passage)) for passage in passages)
    if moves:
        done = counted("evidence.reranked", moves, by=by.by)
    else:
        done = "" if by.said else say("evidence.reranked_none", by=by.by)
    return f"{done} {by.said}".strip()


def _pictures(passage: Evidence, heat: PictureHeat | None) -> str:
    """Those beside the passage, each with who made it and under which licence, as a link to it in full."""
    if not passage.pictures:
        return ""
    shown = [
        _picture(picture, passage.title, heat if heat is not None and heat.number == number else None)
        for number, picture in enumerate(passage.pictures)
    ]
    return f'<ul class="cs-pictures">{"".join(shown)}</ul>'


def _picture(picture: Picture, title: str, heat: PictureHeat | None) -> str:
    width, height = small_size(picture)
    alternative = escape(picture.caption or say("evidence.picture_of", title=title or picture.name))
    said = " · ".join(escape(each) for each in (picture.caption, picture.author, picture.licence) if each)
    layer = where = ""
    if heat is not None and heat.where:
        layer = f'<img class="cs-heat" src="{heat.picture}" alt="">'
        where = f'<span class="cs-like">{say("evidence.like", where=escape(in_words(heat.where)))}</span>'
    return (
        f'<li><figure><a href="{address(picture)}" target="_blank" rel="noopener noreferrer nofollow">'
        f'<img src="{address(picture, small=True)}" alt="{alternative}" width="{width}" height="{height}" '
        f'loading="lazy">{layer}<span class="cs-sr"> {say("evidence.in_full")}</span></a>{where}'
        f"{f'<figcaption dir=auto>{said}</figcaption>' if said else ''}</figure></li>"
    )


@dataclass(frozen=True)
class HeatMap:
    """What in the photo speaks for a passage. picture: a data: address of a picture this program made. where: in words,
    "" for nowhere. alone: no other passage was found that it could be compared with."""

    picture: str
    where: str
    alone: bool = False


def photo_figure(
    run: str, photo: str, maps: dict[int, HeatMap], titles: dict[int, str], selected: int, region: Region = WHOLE
) -> str:
    """The photo with one heat map per passage, the selected one shown, and the part that was asked about.

    photo: a data: address of a picture this program made; maps, titles: by rank, the titles plain.
    """
    part = ",".join(f"{edge:.4f}" for edge in region) if region != WHOLE else ""
    alike = not any(each.where for each in maps.values())
    layers = "".join(
        f'<img class="cs-layer" data-rank="{rank}" src="{each.picture}" alt=""{"" if rank == selected else " hidden"}>'
        for rank, each in maps.items()
    )
    captions = "".join(
        f'<span class="cs-where" data-rank="{rank}"{"" if rank == selected else " hidden"}>'
        f"{_speaks(each, titles.get(rank, ''), alike)}</span>"
        for rank, each in maps.items()
    )
    return (
        f'<figure class="cs-figure" data-run="{escape(run)}" data-part="{part}"><div class="cs-stage">'
        f'<img class="cs-photo" src="{photo}" alt="{say("evidence.your_photo")}">{layers}</div>'
        f'<figcaption>{captions}<span class="cs-legend" aria-hidden="true">'
        f"{say('evidence.less')} <i></i> {say('evidence.more_heat')}</span></figcaption>"
        '<div class="cs-tools">'
        f'<button type="button" class="cs-plain" aria-pressed="false">{say("evidence.plain")}</button>'
        f'<button type="button" class="cs-select" aria-pressed="false">{say("evidence.select")}</button>'
        f'<button type="button" class="cs-change">{say("evidence.change")}</button></div></figure>'
    )


def _speaks(heat: HeatMap, title: str, alike: bool) -> str:
    return speaks(heat, f'<b dir="auto">{escape(title)}</b>', alike)


def speaks(heat: HeatMap, name: str, alike: bool) -> str:
    """What a heat map shows, in a sentence, which is all that those have who do not see it. alike: none of the maps
    shows anything."""
    where = escape(in_words(heat.where))
    if heat.alone:
        return say("evidence.matched_at", name=name, where=where) if where else say("evidence.matched", name=name)
    if alike:
        return say("evidence.all_alike")
    return say("evidence.speaks", name=name, where=where) if where else say("evidence.nowhere", name=name)
