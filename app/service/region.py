"""A part of a photo: checked, cut out, and found again in the whole. Knows nothing of what is asked about it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from app.limits import LEAST_REGION
from app.service.results import WHOLE, Region
from common.problems import BadRequest


def checked_region(region: Sequence[float] | None, photo: Image.Image) -> Region:
    """The region, or all of the photo for None. Raises Problem for one that is none or too small to see in."""
    if region is None:
        return WHOLE
    try:
        left, top, right, bottom = (float(edge) for edge in region)
    except (TypeError, ValueError):
        left = math.nan
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadRequest("The part of the photo must be given as four numbers from 0 to 1: left, top, right, bottom.")
    width, height = photo.width * (right - left), photo.height * (bottom - top)
    if min(width, height) < min(LEAST_REGION, *photo.size):
        raise BadRequest(
            f"The part chosen is only {width:.0f} by {height:.0f} pixels of the photo; choose a larger one."
        )
    return left, top, right, bottom


def cut_out(photo: Image.Image, region: Region) -> Image.Image:
    """That part of the photo; the photo itself for all of it."""
    if region == WHOLE:
        return photo
    left, top, right, bottom = region
    width, height = photo.size
    box = (
        min(int(left * width), width - 1),
        min(int(top * height), height - 1),
        math.ceil(right * width),
        math.ceil(bottom * height),
    )
    return photo.crop(box)


def in_whole(area: Region, region: Region) -> Region:
    """An area given as fractions of a region, as fractions of the whole photo."""
    left, top, right, bottom = region
    width, height = right - left, bottom - top
    return left + area[0] * width, top + area[1] * height, left + area[2] * width, top + area[3] * height
