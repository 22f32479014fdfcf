"""The heat maps over the photo: what speaks for a passage rather than for the others."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from app.service.results import WHOLE
from app.web.ask import heat_maps
from app.web.request_files import EXAMPLES
from common.images import load_image
from tests.support.at_work import nobody_at_work  # noqa: F401

pytestmark = pytest.mark.usefixtures("nobody_at_work")


def alpha_of(address: str) -> np.ndarray:
    """The opacities, 0 to 255, of a PNG's data: address."""
    with Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))) as picture:
        return np.array(picture.getchannel("A"))


class TestHeat:
    def test_warmest_where_the_share_is_greatest_and_clear_elsewhere(self) -> None:
        shares = np.zeros((5, 7), dtype=np.float32)
        shares[1, 5] = 0.6
        heat = np.asarray(heat_maps.heat_image(shares))
        assert heat.shape[1] / heat.shape[0] == pytest.approx(7 / 5)
        peak = np.unravel_index(heat[..., 3].argmax(), heat.shape[:2])
        scale = heat.shape[0] / 5
        assert (int(peak[0] // scale), int(peak[1] // scale)) == (1, 5)
        assert heat[-1, 0, 3] == 0

    def test_the_colours_of_several_maps_are_on_one_scale(self) -> None:
        peaks = [np.asarray(heat_maps.heat_image(np.diag([0, 0, share]).astype(np.float32)))[..., 3].max()
                 for share in (0.2, 0.6, 1.0)]  # fmt: skip
        assert 10 < peaks[0] < peaks[1] - 20 < peaks[2] - 40

    @pytest.mark.parametrize(
        ("cells", "area", "said"),
        [
            ([(0, 0), (1, 1)], WHOLE, "mostly the upper left"),
            ([(5, 5)], WHOLE, "mostly the lower right"),
            ([(2, 2), (3, 3)], WHOLE, "mostly the middle"),
            ([(0, 0), (0, 3), (0, 5)], WHOLE, "mostly the upper part"),
            ([(0, 5), (2, 5), (5, 4)], WHOLE, "mostly the right side"),
            ([(0, 0), (2, 5), (5, 2), (5, 5), (1, 3)], WHOLE, "over much of it"),
            ([], WHOLE, ""),
            ([(0, 0)], (0.5, 0.5, 1, 1), "mostly the middle"),  # of the whole photo
            ([(5, 0)], (0.7, 0, 1, 1), "mostly the lower right"),
        ],
    )
    def test_where_a_map_lies_in_words(self, cells: list[tuple[int, int]], area: tuple, said: str) -> None:
        shares = np.zeros((6, 6), dtype=np.float32)
        for cell in cells:
            shares[cell] = 0.5
        assert heat_maps.where(shares, area) == said

    @pytest.mark.parametrize("value", [0.0, -0.3, np.nan])
    def test_an_empty_map_is_clear(self, value: float) -> None:
        assert not np.asarray(heat_maps.heat_image(np.full((3, 3), value, dtype=np.float32)))[..., 3].any()

    def test_not_a_grid(self) -> None:
        with pytest.raises(ValueError, match="grid"):
            heat_maps.heat_image(np.zeros((0, 0)))

    @pytest.mark.parametrize(
        ("area", "shape"),
        [
            ((1 / 6, 0.0, 5 / 6, 1.0), (1.5, 1)),
            ((0.0, 0.25, 1.0, 0.75), (1, 2)),
            ((0.1, 0.2, 0.4, 0.9), (1 / 0.3, 1 / 0.7)),
        ],
    )
    def test_a_map_of_part_of_the_photo_lies_over_that_part(self, area: tuple, shape: tuple) -> None:
        shares = np.zeros((16, 16), dtype=np.float32)
        shares[0, :] = shares[:, 0] = shares[-1, :] = shares[:, -1] = 1  # hot up to its edges
        opacity = alpha_of(heat_maps.heat_address(shares, area))
        height, width = opacity.shape
        assert width / height == pytest.approx(shape[0] / shape[1], rel=0.02)
        found = np.argwhere(opacity > 40)
        (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
        wanted = (area[0] * width, area[1] * height, area[2] * width, area[3] * height)
        assert (left, top, right, bottom) == pytest.approx(wanted, abs=1.5)
        opacity[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = 0
        assert not opacity.any()

    def test_a_map_of_the_whole_photo_is_as_it_was(self) -> None:
        shares = np.arange(12, dtype=np.float32).reshape(3, 4)
        whole = alpha_of(heat_maps.heat_address(shares, (0.0, 0.0, 1.0, 1.0)))
        assert (whole == np.asarray(heat_maps.heat_image(shares))[..., 3]).all()
        assert (whole == alpha_of(heat_maps.heat_address(shares))).all()

    @pytest.mark.parametrize("area", [(0.49951, 0, 0.50049, 1), (0, 0.49951, 1, 0.50049), (0.9999, 0, 1, 1)])
    def test_a_map_of_a_sliver_stays_small(self, area: tuple) -> None:
        opacity = alpha_of(heat_maps.heat_address(np.eye(16, dtype=np.float32), area))
        assert max(opacity.shape) <= heat_maps.LARGEST and opacity.any()

    def test_a_thumbnail_is_the_middle_and_small(self) -> None:
        photo = Image.new("RGB", (3000, 1000), "green")
        photo.paste("red", (1000, 0, 2000, 1000))
        address = heat_maps.thumbnail_address(photo, 88)
        picture = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))
        assert picture.size == (88, 88) and {picture.getpixel(at)[0] > 200 for at in ((2, 2), (85, 85))} == {True}
        assert all(len(heat_maps.thumbnail_address(load_image(file), 88)) < 8000 for _, file, _ in EXAMPLES)

    def test_addresses_hold_pictures(self) -> None:
        photo = heat_maps.photo_address(Image.new("RGB", (3000, 1500), "green"))
        picture = Image.open(io.BytesIO(base64.b64decode(photo.removeprefix("data:image/jpeg;base64,"))))
        assert picture.size == (heat_maps.PHOTO_SIDE, heat_maps.PHOTO_SIDE // 2)
