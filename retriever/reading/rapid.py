"""Reading with RapidOCR, an optional extra: Apache-2.0, PaddleOCR's models as ONNX, which its wheel holds.

What is done is bounded before it is done, whatever the photo: its size, how many lines are read and how long they are
together. Nothing is fetched. Knows nothing of questions or of what becomes of the text.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common.problems import Problem
from retriever.reading.photo_text import MOST_LINES, Line, PhotoText, kept

MISSING = (
    "Text in photos is not read here, since RapidOCR is not installed; get it with: pip install -r requirements-ocr.txt"
)
LARGEST = 1600  # pixels of the longer side: lines are read from this
LOOKED_AT = 960  # and looked for in this
# How long all lines that are read may be together, in heights of theirs: reading takes time in proportion.
LONGEST = 240.0
THREADS = 2


def available() -> bool:
    """Whether the extra is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


def load_reader() -> RapidReader:
    """Raises Problem where the extra is not installed, or its models are not in it. Takes about a second."""
    if not available():
        raise Problem(MISSING)
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    models = {kind: next(folder.glob(f"*_{kind.lower()}_*.onnx"), None) for kind in ("Det", "Cls", "Rec")}
    if None in models.values():  # of which it would fetch what it lacks
        raise Problem("RapidOCR has come without its models; install it anew: pip install -r requirements-ocr.txt")
    how = {
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
        "Det.limit_type": "max",
        "Det.limit_side_len": LOOKED_AT,
    }
    return RapidReader(rapidocr.RapidOCR(params=how | {f"{kind}.model_path": str(models[kind]) for kind in models}))


class RapidReader:
    """A `Reader`. engine: a rapidocr.RapidOCR."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def read(self, photo: Image.Image) -> PhotoText:
        """The text in an RGB photo: its largest lines, where that is too much. From one thread at a time."""
        photo = photo.copy()
        photo.thumbnail((LARGEST, LARGEST))
        pixels = np.ascontiguousarray(np.asarray(photo)[:, :, ::-1])  # blue first, as OpenCV has it
        boxes = self._engine(pixels, use_det=True, use_cls=False, use_rec=False).boxes
        if boxes is None:
            return PhotoText()
        chosen = _largest(boxes)
        lines = []
        for box, crop in zip(chosen, self._engine.crop_text_regions(pixels, chosen), strict=True):
            read = self._engine(crop, use_det=False, use_cls=True, use_rec=True)
            for text, confidence in zip(read.txts or (), read.scores or (), strict=True):
                lines.append(_line(text, float(confidence), box, photo.size))
        return kept(lines, cut=len(chosen) < len(boxes))


def _largest(boxes: np.ndarray) -> list[np.ndarray]:
    """Of boxes, (n, 4, 2) corners in pixels, as many of the highest as are read, in the order they had."""
    across, along = _sides(boxes)
    heights, lengths = np.minimum(across, along), np.maximum(across, along)
    chosen, length = [], 0.0
    for number in np.argsort(-heights, kind="stable"):
        length += lengths[number] / max(1.0, heights[number])
        if len(chosen) == MOST_LINES or length > LONGEST:
            break
        chosen.append(int(number))
    return [boxes[number].astype(np.float32) for number in sorted(chosen)]


def _sides(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How high and how long each is, along its own sides."""
    corners = boxes.astype(float)
    return (
        np.linalg.norm(corners[:, 0] - corners[:, 3], axis=-1),
        np.linalg.norm(corners[:, 0] - corners[:, 1], axis=-1),
    )


def _line(text: str, confidence: float, box: np.ndarray, size: tuple[int, int]) -> Line:
    (left, top), (right, bottom) = box.min(0) / size, box.max(0) / size
    edges = tuple(float(min(1.0, max(0.0, edge))) for edge in (left, top, right, bottom))
    height = min(float(each[0]) for each in _sides(box[None]))
    return Line(text, edges, height / size[1], confidence)
