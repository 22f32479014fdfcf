"""Photographs as people have them, made into one kind of picture: upright 8-bit RGB of bounded size.

Everything odd about image files ends here: rotation flags, palettes, transparency, CMYK, 16 bits, colour
profiles, animations, broken and hostile files. It knows nothing of encoders or of where a photo came from.

The file is untrusted. Its size and the dimensions in its header are checked before any pixel is decoded, only
decoders of common photo formats are tried, and it is read into memory first so that no file stays open.
"""

from __future__ import annotations

import io
import math
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError, features
from PIL.JpegImagePlugin import get_sampling
from pillow_heif import register_heif_opener

from common import photo_formats
from common.problems import BadRequest, Problem
from common.text import shown

MAX_BYTES = 50 * 1024 * 1024
MAX_PIXELS = 110_000_000  # a little over the largest phone cameras; most kinds of file may have fewer, see below
# Bytes that decoding may take. With what comes after it, load_image took 510 MB at worst, measured with files of the
# most pixels of every kind; a file that is read comes on top.
MAX_DECODING = 450_000_000
# Bytes of them for each pixel, rounded up to what a hostile file makes of it: 4 are the decoded pixel; decoders hold
# frames (WebP, AVIF, an animated PNG) or a whole strip of 16-bit values (TIFF) beside it.
_DECODING = {"PNG": 8, "GIF": 8, "BMP": 8, "WEBP": 16, "AVIF": 16, "TIFF": 16}
_decoding_now = threading.BoundedSemaphore(2)  # so that many photos at a time take no more than two
MAX_SIDE = 2048  # of the picture returned; encoders look at a few hundred pixels
TILE = 128  # pixels of the picture returned that are made at a time

_DECODABLE = tuple(each for each in photo_formats.FORMATS if each.name != "AVIF" or features.check("avif"))
FORMATS = [each.name for each in _DECODABLE]
ACCEPTED = photo_formats.in_words(_DECODABLE)
# Of what else such a file may hold, thumbnails and depths, nothing is looked at.
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)

# EXIF orientation -> what turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION, _TILE_WIDTH, _TILE_LENGTH = 0x0112, 322, 323

_DAMAGED = "The photo is damaged or incomplete and cannot be decoded; try to copy or save it again."


def load_listed(path: Path) -> Image.Image:
    """As load_image, for one of many that somebody listed. Raises Problem, which names it."""
    try:
        return load_image(path)
    except Problem as problem:
        raise BadRequest(f"{shown(path)} cannot be used: {problem}") from None


def load_image(source: str | Path | bytes) -> Image.Image:
    """Read a photo from a path or from the bytes of a file.

    Returns an upright RGB image, its long side at most MAX_SIDE pixels, transparency put on white; of an
    animation the first frame. Raises Problem with a sentence for everything that is not such a photo.
    """
    data = source if isinstance(source, bytes) else _read(source)
    _check_bytes(len(data))
    with _decoding_now, _sentences(data):
        _check_png(data)
        _check_tiff(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_dimensions(image)
            _decode_small(image)
            return as_photo(image)


def check_header(path: Path) -> None:
    """Raises Problem for a file that shows without being decoded that it is no photo that can be used."""
    with _sentences(b""):
        _check_bytes(path.stat().st_size)
        with path.open("rb") as file:
            start = file.read(1024)
    with _sentences(start):
        _check_png(start)
        with Image.open(path, formats=FORMATS) as image:
            _check_dimensions(image)


@contextmanager
def _sentences(data: bytes) -> Iterator[None]:
    """Whatever goes wrong with a file that begins like this, as a Problem."""
    try:
        yield
    except Problem:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadRequest(
            f"The photo has too many pixels (more than {MAX_PIXELS // 10**6} million); make it smaller first."
        ) from None
    except UnidentifiedImageError:
        raise BadRequest(_not_a_photo(data)) from None
    except Exception:  # a decoder may raise nearly anything about a broken header
        raise BadRequest(_DAMAGED) from None


def as_photo(image: Image.Image) -> Image.Image:
    """An opened or made image as upright RGB, bounded to MAX_SIDE, transparency on white. The argument stays.

    Raises Problem when it has too many pixels or cannot be decoded.
    """
    try:
        _check_dimensions(image)
        return _photo(image)
    except Problem:
        raise
    except Exception:  # decoders meet broken files with nearly every exception there is, MemoryError included
        raise BadRequest(_DAMAGED) from None


def _photo(image: Image.Image) -> Image.Image:
    image.load()
    turn = _TURNS.get(_orientation(image))
    profile = image.info.get("icc_profile")

    picture = _small(image)
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    if alpha is not None:
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    picture = _to_srgb(picture, profile)
    if alpha is not None:
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=alpha)
        picture = white
    if turn is not None:
        picture = picture.transpose(turn)
    # What was true of the file (its profile, orientation, comment) is not true of this picture.
    picture.info = {}
    return picture


def _read(source: str | Path) -> bytes:
    if source is None or str(source) == "":
        raise BadRequest("No photo was given; choose one.")
    name = str(source) if len(str(source)) <= 200 else "..." + str(source)[-200:]
    try:
        about = Path(source).stat()
        if stat.S_ISDIR(about.st_mode):
            raise BadRequest(f"{name!r} is a folder; name a photo in it.")
        if not stat.S_ISREG(about.st_mode):  # a pipe or a device could be read for ever
            raise BadRequest(f"{name!r} is not an ordinary file; name a photo.")
        if about.st_size > MAX_BYTES:
            raise _too_many_bytes()
        if not about.st_size:  # nor may what the kernel makes up while it is read, which says that it is empty
            return b""
        with open(source, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BadRequest(f"There is no file {name!r}; check the name.") from None
    except PermissionError:
        raise BadRequest(f"The file {name!r} may not be read; check its permissions.") from None
    except Problem:
        raise
    except (OSError, ValueError) as problem:  # ValueError: a name no file can have
        reason = getattr(problem, "strerror", None) or problem
        raise BadRequest(f"The file {name!r} cannot be read: {reason}.") from None


def _check_bytes(size: int) -> None:
    if not size:
        raise BadRequest("The photo is empty (0 bytes); choose another file.")
    if size > MAX_BYTES:
        raise _too_many_bytes()


def _too_many_bytes() -> Problem:
    return BadRequest(
        f"The photo's file is larger than {MAX_BYTES // 2**20} MB; save it smaller or as JPEG first."
    )


def _check_dimensions(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise BadRequest("The photo has no pixels; choose another file.")
    most = min(MAX_PIXELS, MAX_DECODING // _decoding(image))
    _check_pixels(width, height, most)
    if tiles := image.info.get("tiling"):  # of an HEIC: put together whole, whatever size the photo is said to have
        _check_pixels(tiles["image_width"], tiles["image_height"], most)
        _check_pixels(tiles["tile_width"] * tiles["num_columns"], tiles["tile_height"] * tiles["num_rows"], most)


def _check_pixels(width: int, height: int, most: int) -> None:
    if width * height > most:
        jpeg = " or save it as an ordinary JPEG" if width * height <= MAX_PIXELS else ""
        raise BadRequest(
            f"The photo has too many pixels ({width} x {height}, more than {most // 10**6} million); "
            f"make it smaller first{jpeg}."
        )


def _check_png(data: bytes) -> None:
    """Refuses a PNG with too many pixels: of an animation Pillow makes pictures while it opens the file, before anyone
    can look at the size. Other files pass."""
    if not data.startswith(b"\x89PNG"):
        return
    at = 8
    while at + 16 <= len(data):
        length, kind, width, height = struct.unpack_from(">I4sII", data, at)
        if kind == b"IHDR":
            _check_pixels(width, height, MAX_DECODING // _DECODING["PNG"])
        if kind == b"IDAT":
            return
        at += 12 + length


def _check_tiff(data: bytes) -> None:
    """Refuses a TIFF whose tiles have too many pixels: a tile is decoded whole, however little of it the photo shows.

    Read here and not by Pillow, which goes by the last of tags that stand twice where the decoder goes by the first.
    Other files pass."""
    if not data.startswith((b"II", b"MM")):
        return
    order, large = "<" if data.startswith(b"II") else ">", b"+" in data[2:4]
    (start,) = struct.unpack_from(order + ("Q" if large else "I"), data, 8 if large else 4)
    (count,) = struct.unpack_from(order + ("Q" if large else "H"), data, start)
    sides = {_TILE_WIDTH: 0, _TILE_LENGTH: 0}
    for n in range(count):
        entry = start + (8 + 20 * n if large else 2 + 12 * n)
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in sides:
            (side,) = struct.unpack_from(order + {3: "H", 4: "I"}[kind], data, entry + (12 if large else 8))
            sides[tag] = max(sides[tag], side)
    _check_pixels(*sides.values(), MAX_DECODING // _DECODING["TIFF"])


def _decoding(image: Image.Image) -> int:
    """About how many bytes decoding takes for a pixel."""
    if image.format == "HEIF":  # its planes, the pixels, their copy, and the picture
        deep, full = image.info.get("bit_depth", 8) > 8, image.mode == "RGBA" or image.info.get("chroma") != 420
        return 18 if deep else 12 if full else 9
    if image.format in ("JPEG", "MPO"):
        # It is decoded small, but all coefficients of one that comes in several scans are held, 2 bytes each.
        return {1: 4, 2: 3}.get(get_sampling(image), 2 * len(image.getbands()))
    return _DECODING.get(image.format, 4)


def _decode_small(image: Image.Image) -> None:
    """Let a JPEG decoder skip detail that would be thrown away; other formats ignore this."""
    shrink = MAX_SIDE / max(image.size)
    if shrink < 1:
        image.draft(None, (max(1, int(image.width * shrink)), max(1, int(image.height * shrink))))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF is often broken; the photo is no worse for it
        return 1


def _small(image: Image.Image) -> Image.Image:
    """A copy in mode L, LA, RGB, RGBA or CMYK with a long side of at most MAX_SIDE.

    It is made tile by tile, since the whole image in another mode would take several times the memory."""
    shrink = max(1, max(image.size) / MAX_SIDE)
    if shrink == 1 and image.mode in ("L", "RGB", "RGBA", "CMYK") and "transparency" not in image.info:
        return image.copy()
    width, height = (max(1, round(side / shrink)) for side in image.size)
    across, down = image.width / width, image.height / height
    # How far beside a tile the filter looks.
    beside = [0 if scale == 1 else math.ceil(3 * scale) + 1 for scale in (across, down)]
    extremes = _extremes(image) if image.mode in ("I", "F") else None
    picture = None
    for left, top, right, bottom in _tiles((width, height), TILE):
        x, y = max(0, math.floor(left * across) - beside[0]), max(0, math.floor(top * down) - beside[1])
        x_end = min(image.width, math.ceil(right * across) + beside[0])
        y_end = min(image.height, math.ceil(bottom * down) + beside[1])
        tile = _eight_bits(image.crop((x, y, x_end, y_end)), extremes)
        if shrink > 1:
            # The last tile's end has to be exact: nothing may be asked for beyond it.
            box = (
                left * image.width / width - x,
                top * image.height / height - y,
                right * image.width / width - x,
                bottom * image.height / height - y,
            )
            tile = tile.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box)
        if picture is None:
            picture = Image.new(tile.mode, (width, height))
        picture.paste(tile, (left, top))
    return picture


def _tiles(size: tuple[int, int], side: int) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom), no longer than `side`, that together cover the size."""
    for top in range(0, size[1], side):
        for left in range(0, size[0], side):
            yield left, top, min(left + side, size[0]), min(top + side, size[1])


def _extremes(image: Image.Image) -> tuple[float, float]:
    """The least and the greatest value of an image of mode I or F."""
    low, high = math.inf, -math.inf
    for box in _tiles(image.size, 1024):
        values = _numbers(image.crop(box))
        low, high = min(low, values.min()), max(high, values.max())
    return low, high


def _numbers(image: Image.Image) -> np.ndarray:
    """The values of an image of mode I or F, (height, width), float64; 0 for what is no number."""
    return np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)


def _eight_bits(image: Image.Image, extremes: tuple[float, float] | None) -> Image.Image:
    """The same picture in mode L, LA, RGB, RGBA or CMYK. extremes: of the whole image that this is of, for I and F."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255; 65535 / 257 is exactly 255.
        values = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if extremes is not None:
        # No range is agreed for these: spread what is there over black to white.
        low, high = extremes
        values = (_numbers(image) - low) * (255.0 / max(high - low, 1e-9))
        return Image.fromarray(values.round().astype(np.uint8))
    if image.mode in ("LA", "RGBA", "CMYK"):
        return image
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        return image.convert("RGBA")
    if image.mode == "L":
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB by the file's colour profile, or plainly when there is none or it does not fit the picture."""
    if profile:
        try:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                picture, given, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile, or one of another colour space: the plain colours are near enough
    return picture.convert("RGB")


def _not_a_photo(data: bytes) -> str:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    meant = photo_formats.format_of(start)
    if meant in _DECODABLE:
        return _DAMAGED
    kind = "This is not a photo"
    if start.startswith(b"<svg") or (start.startswith(b"<") and b"<svg" in start):
        kind = "This is an SVG drawing, which is not supported"
    elif meant is not None:
        kind = f"This is an {meant.called} photo, which is not supported here"
    elif start.startswith(b"%PDF"):
        kind = "This is a PDF, which is not supported"
    return f"{kind}; save it as one of {ACCEPTED} and try again."
