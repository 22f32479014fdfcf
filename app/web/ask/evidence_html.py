"""The evidence as HTML: the cards of the passages, and the photo with their heat maps. Pure functions.

Everything goes through `escape`. Knows nothing of Gradio, of models, or of where the data came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.service.results import WHOLE, Region, Reranked
from app.web.escaping import escape, marked, question_stems, safe_link
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
) -> str:
    """The evidence cards, the selected one pressed. `run` tells one question's cards from the next one's. alike: by
    rank. reranked: what put them in order after they were found."""
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
            f"<summary>{len(cards) - unfolded} more passages</summary>"
            f'<ol class="cs-cards" start="{unfolded + 1}">{"".join(cards[unfolded:])}</ol></details>'
        )
    hints = [_reranked(passages, reranked)] if reranked else []
    hints += ["Choose a passage to see which parts of the photo speak for it."] if with_photo else []
    hint = "".join(f'<p class="cs-hint" dir="auto">{escape(each)}</p>' for each in hints)
    quoted = '<span><span class="cs-quote">cited</span> in the answer</span>' if citations else ""
    return (
        f'<section class="cs-evidence" aria-label="Evidence" data-run="{escape(run)}">'
        f'<div class="cs-head"><h2>Evidence</h2><p class="cs-key">{quoted}'
        f"<span><mark>word</mark> of the question</span></p></div>"
        f'{hint}<ol class="cs-cards">{"".join(cards[:unfolded])}</ol>'
        f"{more}</section>"
    )


def _card(
    passage: Evidence, stems: frozenset[str], citations: Sequence[Citation], selected: bool, heat: PictureHeat | None
) -> str:
    quotes = [(c.start, c.end) for c in citations if c.passage_id == passage.id]
    title = escape(passage.title) or "Untitled"
    link = safe_link(passage.url)
    source = (
        f'<a href="{escape(link)}" target="_blank" rel="noopener noreferrer nofollow">'
        f'{escape(urlsplit(link).hostname or link)}<span aria-hidden="true"> ↗</span>'
        f'<span class="cs-sr">, the source of {title}, in a new tab</span></a>'
        if link
        else "<span>no link to the source</span>"
    )
    about = f'<span class="cs-about">{escape(passage.description)}</span>' if passage.description else ""
    section = f" › {escape(passage.section)}" if passage.section else ""
    seen = f'<span class="cs-about">recognised at sight, +{passage.seen:.2f}</span>' if passage.seen >= 0.005 else ""
    likeness = "" if passage.alike is None else f"picture like the photo, {max(0.0, passage.alike):.2f}"
    alike = f'<span class="cs-about">{likeness}</span>' if likeness else ""
    was = f'<span class="cs-about">{moved(passage)}</span>' if moved(passage) else ""
    by = f'<span class="cs-about">found by {escape(passage.by)}</span>' if passage.by else ""
    share = max(0, min(100, round(passage.score * 100)))
    rank = passage.rank
    return (
        f'<li><article class="cs-card{" cs-selected" if selected else ""}" data-rank="{rank}">'
        f'<h3><button type="button" class="cs-pick" data-rank="{rank}" id="cs-pick-{rank}" '
        f'aria-pressed="{"true" if selected else "false"}">'
        f'<span class="cs-rank"><span class="cs-sr">Passage </span>{rank}</span>'
        f'<span class="cs-title" dir="auto">{title}{section}{about}{seen}{alike}{was}{by}</span>'
        f"{'<span class=cs-cited>cited</span>' if quotes else ''}"
        f'<span class="cs-score" title="Mean similarity of the question and photo to this passage, 0 to 1">'
        f'<span class="cs-sr">score </span>{passage.score:.2f}'
        f'<span class="cs-bar" aria-hidden="true"><i style="width:{share}%"></i></span></span></button></h3>'
        f'{_pictures(passage, heat)}<p class="cs-passage" dir="auto">{marked(passage.text, stems, quotes)}</p>'
        f'<p class="cs-source">{source}<span>{escape(licence_said(passage.licence))}</span>'
        f"<span>{escape(passage.corpus)}</span></p></article></li>"
    )


def moved(passage: Evidence) -> str:
    """The rank of a passage and the one that it was found at: "3rd, was 7th"; "" where a reranker did not move it."""
    return "" if passage.was in (None, passage.rank) else f"{_th(passage.rank)}, was {_th(passage.was)}"


def _th(number: int) -> str:
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ends.get(number % 10, 'th')}"


def _reranked(passages: Sequence[Evidence], by: Reranked) -> str:
    """Who put the passages in order, and what of that did not work, in a sentence or two."""
    moves = sum(bool(moved(passage)) for passage in passages)
    done = f"Put in order by {by.by}; {moves or 'none'} of these moved." if moves or not by.said else ""
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
    alternative = escape(picture.caption or f"Picture of {title or picture.name}")
    said = " · ".join(escape(each) for each in (picture.caption, picture.author, picture.licence) if each)
    layer = where = ""
    if heat is not None and heat.where:
        layer = f'<img class="cs-heat" src="{heat.picture}" alt="">'
        where = f'<span class="cs-like">What in it is like your photo: {escape(heat.where)}.</span>'
    return (
        f'<li><figure><a href="{address(picture)}" target="_blank" rel="noopener noreferrer nofollow">'
        f'<img src="{address(picture, small=True)}" alt="{alternative}" width="{width}" height="{height}" '
        f'loading="lazy">{layer}<span class="cs-sr"> in full, in a new tab</span></a>{where}'
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
        f'<img class="cs-photo" src="{photo}" alt="Your photo">{layers}</div>'
        f'<figcaption>{captions}<span class="cs-legend" aria-hidden="true">less <i></i> more</span></figcaption>'
        '<div class="cs-tools">'
        '<button type="button" class="cs-plain" aria-pressed="false">Plain photo</button>'
        '<button type="button" class="cs-select" aria-pressed="false">Select a part</button>'
        '<button type="button" class="cs-change">Change photo</button></div></figure>'
    )


def _speaks(heat: HeatMap, title: str, alike: bool) -> str:
    return speaks(heat, f'<b dir="auto">{escape(title)}</b>', alike)


def speaks(heat: HeatMap, name: str, alike: bool) -> str:
    """What a heat map shows, in a sentence, which is all that those have who do not see it. alike: none of the maps
    shows anything."""
    if heat.alone:
        return f"Where the photo matched {name}{': ' + heat.where if heat.where else ''}."
    if alike:
        return "No part of the photo tells the passages found apart."
    if not heat.where:
        return f"No part of the photo speaks for {name} rather than for the other passages found."
    return f"What in the photo speaks for {name} rather than for the other passages found: {heat.where}."
