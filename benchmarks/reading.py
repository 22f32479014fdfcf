"""Whether reading the text in a photo finds what it is about: photographs of book covers, signs and plates, drawn here,
whose title is that of an article, asked with and without reading.

What is drawn follows from the seed, the catalogue's titles and the fonts of the machine. Half of it is to tune on and
half to report. Knows nothing of how a text is read.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from app.service.ask import AnswerService
from retriever.evaluation.measures import measures, rank_of
from retriever.reading.rapid import load_reader

SEED = 17
HALF = 20  # photographs
DEPTH = 50  # passages looked through
LONGEST_TITLE = 32
SIDES = (1200, 900)  # of a photograph, in pixels; some stand upright
# Whichever of these the machine has.
FONTS = (
    "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-BoldItalic.ttf", "DejaVuSansCondensed.ttf",
    "LiberationSerif-Regular.ttf", "LiberationSerif-Bold.ttf", "LiberationSans-Bold.ttf", "LiberationMono-Bold.ttf",
    "LiberationSansNarrow-Bold.ttf",
)  # fmt: skip
QUESTIONS = {"cover": "What is this book about?", "sign": "What does this sign point to?", "plate": "What is this?"}
_NAMES = ("M. Okafor", "Ines Duarte", "J. L. Petrov", "Ruth Almgren", "T. Nakashima", "Paul van Dijk")
_UNDER = ("A short history", "An introduction", "Facts and figures", "A guide for beginners", "Third edition")
_BESIDE = ("Visitors' car park", "Footpath", "Opening hours 9-17", "200 m", "1.5 km", "Next exit")
_BELOW = ("Gift of the Friends, 1931", "Inv. no. 4471-B", "On loan until May", "Please do not touch", "Room 12, case 3")
_COLOURS = (("#7a1f1f", "#f4e9c8"), ("#20405a", "#ffffff"), ("#e9e2d0", "#222222"), ("#0b5d3b", "#ffffff"),
            ("#1c1c1c", "#d9b44a"), ("#f2f2f2", "#8a1538"), ("#c9b37a", "#2a2416"))  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    kind: str
    title: str
    photo: Image.Image


def drawn(titles: Sequence[str], count: int = 2 * HALF, seed: int = SEED) -> list[Drawn]:
    """So many photographs, of titles drawn from those that fit on a cover, kind by kind."""
    chance = random.Random(seed)
    fitting = sorted({each for each in titles if 3 < len(each) <= LONGEST_TITLE and "(" not in each and each.isascii()})
    kinds = list(QUESTIONS)
    return [
        Drawn(kinds[number % len(kinds)], title, photo_of(kinds[number % len(kinds)], title, chance))
        for number, title in enumerate(chance.sample(fitting, min(count, len(fitting))))
    ]


def measure_reading(service: AnswerService, half: str, seed: int = SEED) -> dict[str, float]:
    """Of the half "tune" or "report": recall with and without reading, which is kept from the service by saying that
    nothing is written; the seconds that reading and what is done with the text take, and the reader alone, of all
    processors together. Raises Problem where there is no reader."""
    titles = [each.title for each in service.catalogue.browse(service.settings.corpus, limit=1_000_000)]
    photographs = drawn(titles, seed=seed)[slice(HALF) if half == "tune" else slice(HALF, None)]
    _asked(service, photographs[:1], None)  # so that all is loaded
    without, _ = _asked(service, photographs, "")
    found, spent = _asked(service, photographs, None)
    report = {"photographs": len(photographs)}
    report |= {f"without reading, {name}": round(value, 3) for name, value in measures(without).items()}
    report |= {f"with reading, {name}": round(value, 3) for name, value in measures(found).items()}
    return report | {"seconds, median": spent, "the reader alone, seconds of processors, median": _worked(photographs)}


def _asked(
    service: AnswerService, photographs: Sequence[Drawn], text: str | None
) -> tuple[list[int | None], float]:
    """The rank of each title, and the median of the seconds that the text took."""
    ranks, seconds = [], []
    for each in photographs:
        result = service.ask_once(each.photo, QUESTIONS[each.kind], k=DEPTH, text=text)
        seconds.append(result.timings.get("read", 0.0) / 1000)
        ranks.append(rank_of(each.title, list(dict.fromkeys(passage.title for passage in result.passages))))
    return ranks, round(statistics.median(seconds), 2)


def _worked(photographs: Sequence[Drawn]) -> float:
    reader, seconds = load_reader(), []
    for each in photographs:
        began = time.process_time()
        reader.read(each.photo)
        seconds.append(time.process_time() - began)
    return round(statistics.median(seconds), 2)


def photo_of(kind: str, title: str, chance: random.Random) -> Image.Image:
    """A photograph of a thing with the title on it: at an angle, unevenly lit, a little out of focus."""
    thing = {"cover": _cover, "sign": _sign, "plate": _plate}[kind](title, chance)
    size = SIDES if chance.random() < 0.5 else SIDES[::-1]
    photo = _background(size, chance)
    scale = chance.uniform(0.55, 0.8) * min(size[0] / thing.width, size[1] / thing.height)
    thing = thing.resize((round(thing.width * scale), round(thing.height * scale)), Image.Resampling.LANCZOS)
    thing = _leaning(thing.convert("RGBA"), chance)
    thing = thing.rotate(chance.uniform(-18, 18), Image.Resampling.BICUBIC, expand=True)
    place = tuple((whole - part) // 2 + chance.randint(-30, 30) for whole, part in zip(size, thing.size, strict=True))
    photo.paste(thing, place, thing)
    photo = photo.filter(ImageFilter.GaussianBlur(chance.uniform(0.3, 1.6)))
    noise = Image.frombytes("L", size, chance.randbytes(size[0] * size[1]))
    photo = Image.blend(photo, noise.convert("RGB"), chance.uniform(0.02, 0.1))
    photo = Image.composite(photo, Image.new("RGB", size), Image.linear_gradient("L").resize(size).point(_dimmer))
    with BytesIO() as file:
        photo.save(file, "JPEG", quality=chance.randint(40, 85))
        return Image.open(file).convert("RGB")


def _dimmer(level: int) -> int:
    return 255 - level * 2 // 5


def _cover(title: str, chance: random.Random) -> Image.Image:
    cover, draw, ink = _sheet((600, 860), chance)
    draw.rectangle((18, 18, 582, 842), outline=ink, width=4)
    if chance.random() < 0.5:
        draw.ellipse((150, 380, 450, 680), fill=chance.choice(_COLOURS)[0], outline=ink)
    top = _lines(draw, _wrapped(title if chance.random() < 0.6 else title.upper(), 13), 90, 76, ink, chance, 500)
    _lines(draw, [chance.choice(_UNDER)], top + 24, 34, ink, chance, 500)
    _lines(draw, [chance.choice(_NAMES)], 750, 42, ink, chance, 500)
    return cover


def _sign(title: str, chance: random.Random) -> Image.Image:
    sign, draw, ink = _sheet((1000, 360), chance)
    draw.rounded_rectangle((10, 10, 990, 350), 24, outline=ink, width=8)
    draw.polygon([(900, 120), (960, 180), (900, 240)], fill=ink)
    top = _lines(draw, _wrapped(title, 22), 60, 92, ink, chance, 820)
    _lines(draw, [chance.choice(_BESIDE)], max(270, top + 6), 38, ink, chance, 820)
    return sign


def _plate(title: str, chance: random.Random) -> Image.Image:
    plate, draw, ink = _sheet((800, 520), chance)
    for corner in ((24, 24), (776, 24), (24, 496), (776, 496)):
        draw.ellipse((corner[0] - 9, corner[1] - 9, corner[0] + 9, corner[1] + 9), outline=ink, width=3)
    top = _lines(draw, _wrapped(title.upper() if chance.random() < 0.4 else title, 20), 70, 70, ink, chance, 700)
    for under in chance.sample(_BELOW, 3):
        top = _lines(draw, [under], top + 22, 36, ink, chance, 700)
    return plate


def _sheet(size: tuple[int, int], chance: random.Random) -> tuple[Image.Image, ImageDraw.ImageDraw, str]:
    paper, ink = chance.choice(_COLOURS)
    sheet = Image.new("RGB", size, paper)
    return sheet, ImageDraw.Draw(sheet), ink


def _lines(
    draw: ImageDraw.ImageDraw, lines: Sequence[str], top: int, size: int, ink: str, chance: random.Random, width: int
) -> int:
    """Writes the lines below one another, in a font drawn by chance, no wider than that. Returns where they end."""
    name = chance.choice(FONTS)
    longest = max(_font(name, size).getlength(line) for line in lines)
    font = _font(name, max(20, round(size * min(1.0, width / longest))))
    for line in lines:
        draw.text((50, top), line, fill=ink, font=font)
        top += math.ceil(font.size * 1.25)
    return top


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(name, size)
    except OSError:  # the machine has it not
        return ImageFont.load_default(size)


def _wrapped(title: str, most: int) -> list[str]:
    lines: list[str] = []
    for word in title.split():
        if lines and len(lines[-1]) + len(word) < most:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _background(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Something like a table or a wall, out of focus."""
    coarse = Image.new("RGB", (16, 12))
    base = [chance.randint(60, 200) for _ in range(3)]
    coarse.putdata([tuple(max(0, min(255, c + chance.randint(-30, 30))) for c in base) for _ in range(16 * 12)])
    return coarse.resize(size, Image.Resampling.BICUBIC)


def _leaning(thing: Image.Image, chance: random.Random) -> Image.Image:
    """Seen a little from the side: one of its edges is shorter."""
    width, height = thing.size
    lean = chance.uniform(0.0, 0.09) * height
    corners = [(0, -lean), (0, height + lean), (width, height), (width, 0)]
    quad = [edge for corner in corners for edge in corner]
    return thing.transform(thing.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
