"""From pictures of pages and from texts to what ColPali and its kin eat, and what each of the vectors stands for.

The processors are those of transformers, with Pillow's preparation of pictures. Knows nothing of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import (
    AutoTokenizer,
    BatchFeature,
    ColModernVBertProcessor,
    ColPaliProcessor,
    ColQwen2Processor,
    PreTrainedConfig,
    ProcessorMixin,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from common.text import shown
from retriever.encoders.base import PassageToken
from retriever.encoders.checkpoints import json_file
from retriever.encoders.named_pieces import BLANK, FILL_UP, named_pieces
from retriever.encoders.strict import HERE

# Of each kind: its processor, what prepares its pictures, and which models it is made over.
PARTS: dict[str, tuple[type[ProcessorMixin], type, tuple[str, ...]]] = {
    "colpali": (ColPaliProcessor, SiglipImageProcessorPil, ("paligemma",)),
    "colqwen2": (ColQwen2Processor, Qwen2VLImageProcessorPil, ("qwen2_vl", "qwen2_5_vl")),
    "colmodernvbert": (ColModernVBertProcessor, Idefics3ImageProcessorPil, ("modernvbert",)),
}
SETTINGS = ("visual_prompt_prefix", "query_prefix", "image_seq_len")  # of a processor_config.json
PROMPT = "[prompt]"  # instead of the token, of what stands around a question or a picture
MOST_TOKENS = 512  # of a text
MOST_ROWS = 8192  # of a picture
OBLONG = 100  # times as wide as high, or high as wide, that a picture may be
PAGE = (2400, 3200)  # pixels, of one that is prepared to see how many rows it has


@dataclass(frozen=True)
class Prepared:
    """inputs: of the model, for one text or picture. tokens: what each row stands for. own: which rows are of the text
    itself, and not of what stands around it."""

    inputs: BatchFeature
    tokens: list[PassageToken]
    own: list[bool]


class PageProcessor:
    """processor: of transformers. width: patches across a picture, or across one of its tiles; None where that depends
    on the picture."""

    def __init__(self, processor: ProcessorMixin, width: int | None) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self._width = width
        number = self.tokenizer.convert_tokens_to_ids
        self._filler = number(processor.query_augmentation_token)
        marks = {number(f"<row_{row}_col_{column}>"): (row, column) for row in range(1, 7) for column in range(1, 7)}
        self._tiles: dict[int, tuple[int, int] | None] = {**marks, number("<global-img>"): None}
        self._reserved = sorted({*self.tokenizer.all_special_tokens, processor.image_token}, key=len, reverse=True)

    @classmethod
    def read(cls, folder: Path, config: PreTrainedConfig) -> PageProcessor:
        """Of a checkpoint. Raises OSError, and ValueError where it does not fit the model."""
        kind, pictures, over = PARTS[config.model_type]
        vlm = config.vlm_config
        if vlm.model_type not in over:
            raise ValueError(f"a {config.model_type} over a {vlm.model_type!r} model is not known here")
        described, settings = _described(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, **HERE)
        if not tokenizer.is_fast:
            raise ValueError("its tokenizer has no fast kind, which tells where pieces stand; add its tokenizer.json")
        parts = {"image_processor": pictures(**described), "tokenizer": tokenizer}
        made = kind(**parts, **{name: settings[name] for name in SETTINGS if settings.get(name) is not None})
        words, known = max(tokenizer.get_vocab().values()) + 1, config.get_text_config().vocab_size
        if words > known:
            raise ValueError(f"its tokenizer has {words} pieces and its model {known}")
        if made.image_token_id != vlm.image_token_id:
            raise ValueError(f"its tokenizer has no token {vlm.image_token_id} for pictures, as its model has")
        processor = cls(made, _fitting(config, made))
        rows = len(processor.picture(Image.new("RGB", PAGE, "white")).tokens)
        if rows > MOST_ROWS:
            raise ValueError(f"a page would have {rows:,} vectors, more than {MOST_ROWS:,}; set a smaller size")
        return processor

    def query(self, text: str) -> Prepared:
        """A question, with what the model was trained to have around it."""
        return self._text(text, None)

    def passage(self, text: str) -> Prepared:
        """A text that is searched, as a question without what fills it up."""
        return self._text(text, "")

    def picture(self, picture: Image.Image, called: str = "") -> Prepared:
        """A page, or another picture. called: what its patches are said to be of."""
        across, down = picture.size
        if max(across, down) > OBLONG * min(across, down):  # which processors do not take
            picture = picture.resize((max(across, down // OBLONG), max(down, across // OBLONG)))
        inputs = self.processor.process_images(images=[picture], return_tensors="pt")
        width = self._width
        if width is None:
            width = int(inputs["image_grid_thw"][0, 2]) // self.processor.image_processor.merge_size
        tokens, place, tile = [], 0, (1, 1)
        for number in inputs["input_ids"][0].tolist():
            if number != self.processor.image_token_id:
                place, tile = 0, self._tiles.get(number, tile)
                tokens.append(PassageToken(PROMPT, 0, 0))
                continue
            row, column = divmod(place, width)
            place += 1
            if tile is None:
                name = f"all of it, row {row + 1}, column {column + 1}"
            else:
                name = f"row {row + 1 + (tile[0] - 1) * width}, column {column + 1 + (tile[1] - 1) * width}"
            tokens.append(PassageToken(f"{called}{name}", 0, 0))
        return Prepared(inputs, tokens, [False] * len(tokens))

    def _text(self, text: str, suffix: str | None) -> Prepared:
        text = self._within(self._harmless(text))
        inputs = self.processor.process_queries(text=[text], return_tensors="pt", suffix=suffix)
        ids = inputs["input_ids"][0].tolist()
        before, after = self._around(suffix)
        pieces = named_pieces(self.tokenizer, f"{before}{text}{after}")
        if [number for number, _ in pieces] != ids:
            raise ValueError("the processor writes questions in another way than is known here")
        tokens, own = [], []
        for number, token in pieces:
            start, end = token.start - len(before), token.end - len(before)
            inside = token.start < token.end and start >= 0 and end <= len(text)
            outside = FILL_UP if number == self._filler else token.text if token.text == BLANK else PROMPT
            tokens.append(PassageToken(token.text, start, end) if inside else PassageToken(outside, 0, 0))
            own.append(inside)
        return Prepared(inputs, tokens, own)

    def _around(self, suffix: str | None) -> tuple[str, str]:
        """What transformers' processors put before a question and after it."""
        made = self.processor
        after = made.query_augmentation_token * 10 if suffix is None else suffix
        if isinstance(made, ColModernVBertProcessor):
            return made.query_prefix, after
        begin = self.tokenizer.bos_token if isinstance(made, ColPaliProcessor) else ""
        return f"{begin}{made.query_prefix}", f"{after}\n"

    def _harmless(self, text: str) -> str:
        """Without what the tokenizer takes for marks of its own, such as the place of a picture; of the same length."""
        for mark in self._reserved:
            text = text.replace(mark, f"({mark[1:]}" if len(mark) > 1 else " ")
        return text

    def _within(self, text: str) -> str:
        [encoded] = self.tokenizer([text], add_special_tokens=False).encodings
        return text[: encoded.offsets[MOST_TOKENS - 1][1]] if len(encoded) > MOST_TOKENS else text


def _described(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """How pictures are prepared, and the settings of the processor, which newer checkpoints keep in one file."""
    settings: Any = {}
    if (folder / "processor_config.json").is_file():
        settings = json_file(folder / "processor_config.json")
    own = folder / "preprocessor_config.json"
    if not isinstance(settings, dict):
        raise ValueError("its processor_config.json holds no settings")
    described = json_file(own) if own.is_file() else settings.get("image_processor")
    if not isinstance(described, dict):
        raise ValueError("it does not say how pictures are prepared: it has no usable preprocessor_config.json")
    return {k: v for k, v in described.items() if not k.endswith(("_type", "_class"))}, settings


def _fitting(config: PreTrainedConfig, processor: ProcessorMixin) -> int | None:
    """The width of PageProcessor. Raises ValueError where pictures are prepared for another model."""
    vision, pictures = config.vlm_config.vision_config, processor.image_processor
    if config.model_type == "colqwen2":
        for ours, theirs in (("patch_size", "patch_size"), ("merge_size", "spatial_merge_size")):
            if getattr(pictures, ours) != getattr(vision, theirs):
                said = f"{ours} {getattr(pictures, ours)}, and its model {getattr(vision, theirs)}"
                raise ValueError(f"its preparation of pictures has {said}")
        return None
    shrunk = getattr(config.vlm_config, "pixel_shuffle_factor", 1)
    width = vision.image_size // vision.patch_size // shrunk
    told = processor.image_seq_len if config.model_type == "colmodernvbert" else processor.image_seq_length
    if told != width * width or isqrt(told) != width:
        raise ValueError(f"its processor has {told} patches of a picture, and its model {width * width}")
    made = processor.process_images(images=[Image.new("RGB", (40, 30))], return_tensors="pt")["pixel_values"]
    if tuple(made.shape[-2:]) != (vision.image_size, vision.image_size):
        seen = " by ".join(map(str, made.shape[-2:]))
        raise ValueError(f"pictures are prepared as {seen} pixels, and its model sees {shown(vision.image_size, 9)}")
    return width
