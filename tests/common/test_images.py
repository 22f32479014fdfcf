"""Every odd photo file we could think of, made here, read by common.images and judged by its pixels."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from common import images
from common.images import as_photo, check_header, load_image
from common.problems import Problem
from tests import ROOT

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def corners() -> Image.Image:
    """40 x 20: red and green above, blue and white below; every turn of it is told apart."""
    picture = Image.new("RGB", (40, 20), WHITE)
    picture.paste(RED, (0, 0, 20, 10))
    picture.paste(GREEN, (20, 0, 40, 10))
    picture.paste(BLUE, (0, 10, 20, 20))
    return picture


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand, for depths and sizes that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows, 9))
        + png_chunk(b"IEND", b"")
    )


def near(pixel: tuple[int, ...], wanted: tuple[int, ...], within: int = 6) -> bool:
    return len(pixel) == len(wanted) and all(abs(a - b) <= within for a, b in zip(pixel, wanted, strict=True))


def problem(source) -> str:
    with pytest.raises(Problem) as caught:
        load_image(source)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence
    return sentence


# --- ordinary photos


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "JPEG", "WEBP", "HEIF"])
def test_every_accepted_format_keeps_its_colours(kind, tmp_path):
    path = tmp_path / "photo"  # no ending: the content decides
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "chroma": 444} if kind == "HEIF" else options
    path.write_bytes(saved(corners(), kind, **options))
    for source in (path, str(path), path.read_bytes()):
        photo = load_image(source)
        assert photo.mode == "RGB" and photo.size == (40, 20)
        assert near(photo.getpixel((3, 3)), RED) and near(photo.getpixel((36, 3)), GREEN)
        assert near(photo.getpixel((3, 16)), BLUE) and near(photo.getpixel((36, 16)), WHITE)


@pytest.mark.skipif("AVIF" not in images.FORMATS, reason="this Pillow has no AVIF")
def test_avif_is_read_where_pillow_can():
    photo = load_image(saved(Image.new("RGB", (64, 32), RED), "AVIF", quality=95))
    assert photo.size == (64, 32) and near(photo.getpixel((5, 5)), RED, 8)


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_a_photo_of_an_iphone_is_upright(turn):
    """Its decoder turns it by what the file says, and it is not turned again by what EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = turn
    photo = load_image(saved(corners().resize((160, 80)), "HEIF", quality=100, chroma=444, exif=exif.tobytes()))
    jpeg = load_image(saved(corners().resize((160, 80)), "JPEG", quality=100, exif=exif.tobytes()))
    assert photo.size == jpeg.size
    difference = np.abs(np.asarray(photo).astype(int) - np.asarray(jpeg).astype(int))
    assert np.median(difference) <= 3


def test_several_photos_in_one_heic_give_the_one_that_it_names_first():
    second = Image.new("RGB", (40, 20), "black")
    data = saved(corners(), "HEIF", quality=100, chroma=444, save_all=True, append_images=[second], primary_index=1)
    assert near(load_image(data).getpixel((3, 16)), (0, 0, 0))


def test_an_heic_may_have_as_many_pixels_as_its_decoder_leaves_room_for():
    data = saved(Image.new("RGB", (64, 64)), "HEIF")
    size = data.index(b"ispe") + 8
    for pixels, refused in ((49, False), (51, True)):
        changed = data[:size] + struct.pack(">II", pixels * 1000, 1000) + data[size + 8 :]
        with Image.open(io.BytesIO(changed), formats=["HEIF"]) as image:
            assert image.size == (pixels * 1000, 1000)
            if refused:
                with pytest.raises(Problem, match="more than 50 million"):
                    images._check_dimensions(image)
            else:
                images._check_dimensions(image)


def test_an_heic_that_says_a_smaller_size_than_it_has_is_refused():
    large = saved(Image.new("RGB", (512, 512)), "HEIF")
    size = large.index(b"ispe") + 8
    assert "damaged" in problem(large[:size] + struct.pack(">II", 64, 64) + large[size + 8 :])


def test_the_tiles_of_an_heic_count_too():
    data = saved(Image.new("RGB", (256, 128)), "HEIF", tile_size=128)
    sizes = [each.end() + 4 for each in re.finditer(b"ispe", data)]
    assert load_image(data).size == (256, 128)
    tile = next(at for at in sizes if struct.unpack_from(">II", data, at) == (128, 128))
    changed = data[:tile] + struct.pack(">II", 8000, 8000) + data[tile + 8 :]
    assert "more than 50 million" in problem(changed) or "damaged" in problem(changed)


def test_two_photos_in_one_jpeg_give_the_first():
    second = Image.new("RGB", (40, 20), "black")
    photo = load_image(saved(corners(), "MPO", save_all=True, append_images=[second], quality=95))
    assert near(photo.getpixel((3, 16)), BLUE, 20)


# --- what is no photo


def test_no_photo():
    assert "No photo" in problem("")
    assert "No photo" in problem(None)


def test_zero_bytes(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert "empty" in problem(tmp_path / "empty.jpg") and "empty" in problem(b"")


def test_text_called_jpg(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_text("Dear diary, today I renamed a file.")
    assert "not a photo" in problem(path) and images.ACCEPTED in problem(path)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand --><svg/>", "SVG"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a photo"),
        (b"<html><body>404</body></html>", "not a photo"),
    ],
)
def test_other_kinds_of_file_are_named_with_what_is_accepted(data, word):
    sentence = problem(data)
    assert word in sentence and "JPEG, PNG, WebP" in sentence


def test_formats_outside_the_list_are_not_even_tried():
    # Pillow reads these two; their decoders are not ones to hand strangers' bytes to.
    assert "not a photo" in problem(saved(Image.new("RGB", (8, 8)), "PPM"))
    assert "not a photo" in problem(saved(Image.new("RGB", (8, 8)), "ICO"))


def test_paths_that_cannot_be_read(tmp_path):
    assert "folder" in problem(tmp_path)
    assert "no file" in problem(tmp_path / "nothing.jpg")
    assert "cannot be read" in problem("a\0b")
    assert "cannot be read" in problem("x" * 5000)
    os.mkfifo(tmp_path / "pipe")
    assert "ordinary" in problem(tmp_path / "pipe")  # and does not wait for a writer


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(saved(corners(), "PNG"))
    path.chmod(0)
    assert "permissions" in problem(path)


def test_no_permission_told_by_the_system(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.write_bytes(saved(corners(), "PNG"))

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert "permissions" in problem(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF"])
def test_half_a_photo_is_refused(kind):
    noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    assert "damaged or incomplete" in problem(data[: len(data) // 2])
    assert "damaged or incomplete" in problem(data[:20])


@cache
def _saved_corners(kind: str) -> bytes:
    return saved(corners(), kind)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_photo_with_flipped_bytes_gives_a_picture_or_a_sentence(data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF"]))
    original = bytearray(_saved_corners(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    try:
        photo = load_image(bytes(original))
    except Problem as refused:
        assert str(refused).endswith(".")
    else:
        assert photo.mode == "RGB" and max(photo.size) <= images.MAX_SIDE


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_noise_gives_a_sentence(data):
    with pytest.raises(Problem):
        load_image(data)


# --- hostile and large


def test_a_bomb_is_refused_by_its_header():
    # 900 million pixels of nothing compress to a small file; decoding would take 2.7 GB.
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    squeezed = zlib.compressobj(9)
    body = b"".join(squeezed.compress(bytes(90_001)) for _ in range(300)) + squeezed.flush()
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body)
    tracemalloc.start()
    sentence = problem(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "too many pixels" in sentence and "more than 56 million" in sentence and "JPEG" not in sentence
    assert peak < 5_000_000


def test_a_smaller_bomb_is_refused_by_our_own_limit():
    # Under the size at which Pillow itself refuses.
    data = raw_png(12_000, 11_000, 1, 0, b"")
    sentence = problem(data)
    assert "12000 x 11000" in sentence


def bomb_of(image: Image.Image, kind: str) -> bytes:
    """The file of an image as if it had 10,000 x 6,000 pixels."""
    data = saved(image, kind)
    if kind == "GIF":
        return data[:6] + struct.pack("<HH", 10_000, 6_000) + data[10:]
    return data[:18] + struct.pack("<ii", 10_000, 6_000) + data[26:]


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_what_is_not_decoded_small_may_have_fewer_pixels_and_jpeg_is_named_as_the_way_out(kind):
    sentence = problem(bomb_of(Image.new("RGB", (4, 4)), kind))
    assert "10000 x 6000, more than 56 million" in sentence and "or save it as an ordinary JPEG" in sentence


@pytest.mark.parametrize(
    ("mode", "options", "most"),
    [("RGB", {"subsampling": 2}, 110), ("RGB", {"subsampling": 0}, 75), ("CMYK", {}, 56), ("L", {}, 110)],
)
def test_a_jpeg_may_have_as_many_pixels_as_its_coefficients_leave_room_for(mode, options, most):
    data = saved(Image.new(mode, (16, 16)), "JPEG", **options)
    frame = data.index(b"\xff\xc0") + 5
    for pixels, refused in ((most - 1, False), (most + 1, True)):
        changed = data[:frame] + struct.pack(">HH", pixels * 100, 10_000) + data[frame + 4 :]
        with Image.open(io.BytesIO(changed)) as image:
            if refused:
                with pytest.raises(Problem, match=f"more than {most} million"):
                    images._check_dimensions(image)
            else:
                images._check_dimensions(image)


def animated_png(width: int, height: int, before: bytes = b"") -> bytes:
    """An animated PNG that is all header; its first frame is to be undone, for which Pillow prepares at once."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + before
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
        + png_chunk(b"acTL", struct.pack(">II", 2, 0))
        + png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 1, 2, 1))
        + png_chunk(b"IDAT", b"")
    )


@pytest.mark.parametrize("before", [b"", png_chunk(b"tEXt", b"a\0b")])
def test_an_animated_bomb_is_refused_before_it_is_opened(before, monkeypatch, tmp_path):
    assert "damaged" in problem(animated_png(4, 4, before))
    monkeypatch.setattr(Image, "open", lambda *args, **options: pytest.fail("opened"))
    assert "13000 x 13000" in problem(animated_png(13_000, 13_000, before))
    (tmp_path / "bomb.png").write_bytes(animated_png(13_000, 13_000, before))
    with pytest.raises(Problem, match="13000 x 13000"):
        check_header(tmp_path / "bomb.png")


def tiled_tiff(order: str, large: bool, *sides: tuple[int, int], kind: int = 4) -> bytes:
    """A red TIFF of 16 x 16 pixels in one tile, with as many tile widths and lengths as are given."""
    pixels = bytes(RED) * 256
    tags = [(256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 1), (262, 3, 2), (277, 3, 3)]
    tags += [(tag, kind, side) for size in sides for tag, side in zip((322, 323), size, strict=True)]
    tags += [(324, 4, 16), (325, 4, len(pixels))]
    body = b"".join(
        struct.pack(order + ("HHQ" if large else "HHI"), tag, kind, 1)
        + struct.pack(order + {3: "H", 4: "I"}.get(kind, "I"), value).ljust(8 if large else 4, b"\0")
        for tag, kind, value in sorted(tags, key=lambda entry: entry[0])
    )
    start, count = 16 + len(pixels), len(tags)
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if large else 42)
    head = mark + (struct.pack(order + "HHQ", 8, 0, start) if large else struct.pack(order + "I", start) + bytes(8))
    return head + pixels + struct.pack(order + ("Q" if large else "H"), count) + body + bytes(8)


@pytest.mark.parametrize(("order", "large"), [("<", False), (">", False), ("<", True)])  # Pillow reads no others
def test_tiles_count_as_what_they_decode_to(order, large):
    assert load_image(tiled_tiff(order, large, (16, 16))).getpixel((3, 3)) == RED
    for sides in ([(16_000, 16_000)], [(16_000, 16_000), (16, 16)], [(16, 16), (16_000, 16_000)]):
        assert "16000 x 16000, more than 28 million" in problem(tiled_tiff(order, large, *sides))
    assert "damaged" in problem(tiled_tiff(order, large, (16_000, 16_000), kind=17))


def test_the_limit_holds_for_made_images_too():
    class Huge(Image.Image):
        size = (30_000, 30_000)

    with pytest.raises(Problem, match="too many pixels"):
        as_photo(Huge())


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    with open(path, "wb") as file:
        file.truncate(images.MAX_BYTES + 1)

    def never(*_args, **_kwargs):
        raise AssertionError("the file was opened")

    monkeypatch.setattr("builtins.open", never)
    assert "larger than 50 MB" in problem(path)


def test_bytes_too_many(monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    assert "larger than" in problem(saved(corners(), "PNG"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_photo_is_made_smaller(kind):
    photo = load_image(saved(corners().resize((6000, 3000), Image.Resampling.NEAREST), kind))
    assert photo.size == (2048, 1024)
    assert near(photo.getpixel((100, 100)), RED) and near(photo.getpixel((100, 900)), BLUE)


def gradient(mode: str) -> Image.Image:
    """4,000 x 4,000 pixels that every compressor makes small."""
    ramp = Image.linear_gradient("L").resize((4000, 4000))
    if mode == "P":
        return ramp.convert("P")
    if mode == "I;16":
        return Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257)
    return ramp.convert(mode) if mode in ("L", "F", "I") else ramp.convert("RGB").convert(mode)


# Bytes that Python's own memory has grown by at its peak, said by a process that has read only a small photo before.
PEAK = """
import resource, sys
from common.images import load_image
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
load_image(sys.argv[1])
before = peak()
load_image(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere ru_maxrss is in bytes")
@pytest.mark.parametrize(
    ("kind", "mode", "most"),  # bytes for a pixel; decoded, one takes 4, in the modes L and P 1 and in I;16 2
    [
        ("TIFF", "F", 10),
        ("TIFF", "I", 10),
        ("TIFF", "I;16", 6),
        ("PNG", "I;16", 6),
        ("PNG", "RGBA", 9),
        ("PNG", "LA", 9),
        ("PNG", "RGB", 8),
        ("PNG", "P", 5),
        ("TIFF", "CMYK", 8),
        ("WEBP", "RGBA", 19),  # of which the decoder needs 16
        ("HEIF", "RGB", 11),  # of which it needs 9, at the size here
    ],
)
def test_the_memory_that_a_photo_takes_is_little_more_than_its_decoder_needs(kind, mode, most, tmp_path):
    options = {"TIFF": {"compression": "tiff_lzw"}, "WEBP": {"lossless": True, "method": 0}}.get(kind, {})
    image = gradient(mode)
    if kind == "HEIF":  # which takes long to be written
        image = image.resize((1600, 1600))
    (tmp_path / "large").write_bytes(saved(image, kind, **options))
    (tmp_path / "small").write_bytes(saved(image.crop((0, 0, 8, 8)), kind, **options))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "small"), str(tmp_path / "large")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) / (image.width * image.height) < most


def whole(image: Image.Image) -> Image.Image:
    """The photo made without tiles, of an image that is RGB or goes to it by convert()."""
    picture = image.convert("RGB")
    picture.thumbnail((images.MAX_SIDE, images.MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    return picture


@pytest.mark.parametrize("size", [(3000, 2500), (2049, 2048), (5000, 3), (3, 5000), (1, 9000), (900, 700)])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "YCbCr"])
def test_tiles_leave_no_seams(size, mode):
    noise = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    wanted, photo = np.asarray(whole(image)).astype(int), np.asarray(as_photo(image)).astype(int)
    assert photo.shape == wanted.shape and np.abs(photo - wanted).max() <= 1  # the filter's weights are rounded


def test_values_are_spread_over_the_whole_of_a_large_image():
    values = np.zeros((1500, 2500), np.float32)
    values[:, 1000:], values[0, 0], values[1499, 2499] = 500, np.nan, 1000
    photo = as_photo(Image.fromarray(values))
    assert photo.size == (2048, 1229)
    assert photo.getpixel((100, 600)) == (0, 0, 0) and photo.getpixel((1500, 600)) == (128, 128, 128)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 4)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_tiny_and_stretched_photos_work(size, kind):
    photo = load_image(saved(Image.new("RGB", size, RED), kind, quality=95))
    assert photo.mode == "RGB" and min(photo.size) >= 1 and max(photo.size) <= images.MAX_SIDE
    assert near(photo.getpixel((0, 0)), RED)


# --- colours


def test_transparency_is_put_on_white():
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 5, 10))
    clear.putpixel((9, 9), (0, 0, 0, 128))
    photo = load_image(saved(clear, "PNG"))
    assert photo.getpixel((2, 2)) == BLUE and photo.getpixel((7, 2)) == WHITE
    assert near(photo.getpixel((9, 9)), (127, 127, 127), 1)


def test_gray_with_transparency():
    gray = Image.new("LA", (4, 4), (0, 0))
    gray.putpixel((0, 0), (90, 255))
    photo = load_image(saved(gray, "PNG"))
    assert photo.getpixel((0, 0)) == (90, 90, 90) and photo.getpixel((3, 3)) == WHITE


def test_palette_with_a_transparent_colour():
    picture = Image.new("P", (6, 6), 1)
    picture.putpalette([255, 0, 0, 0, 255, 0] + [0] * 762)
    picture.paste(0, (0, 0, 3, 6))
    by_number = load_image(saved(picture, "PNG", transparency=1))
    assert by_number.getpixel((0, 0)) == RED and by_number.getpixel((5, 5)) == WHITE
    by_table = load_image(saved(picture, "PNG", transparency=bytes([255, 128])))
    assert near(by_table.getpixel((5, 5)), (127, 255, 127), 1)
    gif = load_image(saved(picture, "GIF", transparency=1))
    assert gif.getpixel((0, 0)) == RED and gif.getpixel((5, 5)) == WHITE


def test_one_transparent_colour_in_rgb_and_gray():
    assert load_image(saved(corners(), "PNG", transparency=RED)).getpixel((0, 0)) == WHITE
    assert load_image(saved(Image.new("L", (2, 2), 7), "PNG", transparency=7)).getpixel((0, 0)) == WHITE


def test_black_and_white():
    picture = Image.new("1", (4, 4), 1)
    picture.putpixel((0, 0), 0)
    photo = load_image(saved(picture, "PNG"))
    assert photo.getpixel((0, 0)) == (0, 0, 0) and photo.getpixel((3, 3)) == WHITE


def test_sixteen_bit_gray_is_scaled_not_clipped():
    values = np.array([[0, 257, 32768, 65535, 1000, 40000]], dtype=">u2")
    data = raw_png(6, 1, 16, 0, b"\0" + values.tobytes())
    photo = load_image(data)
    assert [photo.getpixel((x, 0))[0] for x in range(6)] == [0, 1, 128, 255, 4, 156]
    tiff = load_image(saved(Image.fromarray(values.astype("<u2")), "TIFF"))
    assert tiff.tobytes() == photo.tobytes()


def test_sixteen_bit_colour_is_scaled_not_clipped():
    values = np.array([[[65535, 0, 0], [32768, 16384, 49152], [256, 512, 65280]]], dtype=">u2")
    photo = load_image(raw_png(3, 1, 16, 2, b"\0" + values.tobytes()))
    assert near(photo.getpixel((0, 0)), RED, 1)
    assert near(photo.getpixel((1, 0)), (128, 64, 192), 1)
    assert near(photo.getpixel((2, 0)), (1, 2, 254), 1)


def test_sixteen_bit_colour_with_transparency():
    values = np.array([[[65535, 0, 0, 65535], [65535, 0, 0, 0]]], dtype=">u2")
    photo = load_image(raw_png(2, 1, 16, 6, b"\0" + values.tobytes()))
    assert near(photo.getpixel((0, 0)), RED, 1) and near(photo.getpixel((1, 0)), WHITE, 1)


def test_numbers_without_a_range_are_spread():
    for kind in (np.float32, np.int32):
        values = np.array([[10, 20, 30]], dtype=kind)
        photo = load_image(saved(Image.fromarray(values), "TIFF"))
        assert [photo.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]
    flat = load_image(saved(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF"))
    assert flat.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_plain_and_inverted(kind):
    # TIFF stores ink as it is; a JPEG with Adobe's marker stores it inverted.
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    data = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind, **options)
    if kind == "JPEG":
        assert b"Adobe" in data
    assert near(load_image(data).getpixel((8, 8)), RED)
    paper = saved(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), kind, **options)
    assert near(load_image(paper).getpixel((8, 8)), WHITE)


def test_lab_is_turned_into_rgb():
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    picture = ImageCms.profileToProfile(Image.new("RGB", (8, 8), (200, 40, 40)), srgb, lab, outputMode="LAB")
    assert near(load_image(saved(picture, "TIFF")).getpixel((4, 4)), (200, 40, 40))


def swapped_profile() -> bytes:
    """The sRGB profile with its red and blue primaries changed over, so that applying it is plain to see."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    places = {bytes(data[132 + 12 * n : 136 + 12 * n]): 136 + 12 * n for n in range(count)}
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    data[red : red + 8], data[blue : blue + 8] = data[blue : blue + 8], data[red : red + 8]
    return bytes(data)


def test_a_colour_profile_is_applied():
    data = saved(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=swapped_profile())
    assert near(load_image(data).getpixel((4, 4)), BLUE)
    clear = saved(Image.new("RGBA", (8, 8), (255, 0, 0, 255)), "PNG", icc_profile=swapped_profile())
    assert near(load_image(clear).getpixel((4, 4)), BLUE)


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 200, swapped_profile()[:300]])
def test_a_broken_colour_profile_is_ignored(profile):
    assert load_image(saved(corners(), "PNG", icc_profile=profile)).getpixel((0, 0)) == RED


def test_a_profile_of_another_colour_space_is_ignored():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert load_image(saved(corners(), "PNG", icc_profile=lab)).getpixel((0, 0)) == RED


# --- turned photos and animations


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_turned_photo_is_turned_upright(kind, orientation):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose numbers that make the stored pixels
    upright = corners()
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    photo = load_image(saved(stored, kind, exif=exif, **(options if kind in ("JPEG", "WEBP") else {})))
    assert photo.size == (40, 20)
    assert near(photo.getpixel((3, 3)), RED) and near(photo.getpixel((36, 3)), GREEN)
    assert near(photo.getpixel((3, 16)), BLUE)
    assert photo.getexif().get(0x0112, 1) == 1  # nobody downstream turns it again


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 30])
def test_broken_exif_is_ignored(exif):
    photo = load_image(saved(corners(), "JPEG", exif=exif, quality=95))
    assert photo.size == (40, 20)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (12, 12), colour) for colour in (RED, GREEN, BLUE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(data)) as check:
        assert check.n_frames == 3
    assert near(load_image(data).getpixel((6, 6)), RED)


def test_text_in_a_png_does_no_harm():
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "x" * 100_000, zip=True)
    assert load_image(saved(corners(), "PNG", pnginfo=note)).getpixel((0, 0)) == RED


# --- manners


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files by /proc")
def test_no_file_stays_open(tmp_path):
    good, bad = tmp_path / "good.tiff", tmp_path / "bad.jpg"
    frames = [corners(), corners()]
    frames[0].save(good, save_all=True, append_images=frames[1:])
    bad.write_bytes(saved(corners(), "JPEG")[:300])
    before = open_files()
    for _ in range(5):
        load_image(good)
        problem(bad)
    assert open_files() == before


def test_the_argument_of_as_photo_is_left_as_it_was():
    original = corners().resize((4096, 100))
    photo = as_photo(original)
    assert original.size == (4096, 100) and max(photo.size) == images.MAX_SIDE
    small = corners()
    as_photo(small).putpixel((0, 0), (1, 2, 3))
    assert small.getpixel((0, 0)) == RED
