"""From the messages of a chat to the tensors that a checkpoint's model takes.

Knows nothing of loading or of generation. Text in messages is data: where it spells one of the tokenizer's own
tokens, or a word by which the template begins a turn, a space breaks the spelling, so that it can neither end a turn
nor stand for a photo.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from PIL import Image
from transformers import BatchFeature

from common.problems import Problem
from common.text import shown
from generator.models.chat import Message
from generator.models.chat_template import ChatTemplate
from generator.models.loading import Checkpoint

log = logging.getLogger(__name__)

MAX_SIDE = 1024  # pixels of the photo; more only makes a model slower
THINKS = "<think>"  # how the templates of models that think begin their replies


class ModelInputs:
    """Prepares chats for one checkpoint. Not for several threads at once."""

    def __init__(self, checkpoint: Checkpoint, name: str) -> None:
        self._processor: Any = checkpoint.processor
        self._tokenizer = self._processor.tokenizer
        self._name, self._context = name, checkpoint.context
        self._device, self._dtype = checkpoint.model.device, checkpoint.model.dtype
        self._separate_reply = bool(checkpoint.model.config.get_text_config().is_encoder_decoder)
        self._image_token = str(getattr(self._processor, "image_token", None) or "")
        self._own = _spelled_out(self._processor, self._image_token)
        template = getattr(self._processor, "chat_template", None) or self._tokenizer.chat_template
        template = template.get("default") if isinstance(template, dict) else template
        self._template = ChatTemplate(self._tokenizer, template, self._image_token) if template else None
        if self._template is not None and not self._template.usable:
            log.warning("The chat template of %s cannot show a photo with a question; a plain prompt is used.", name)
            self._template = None
        roles = self._template.roles if self._template else ()
        self._roles = re.compile("|".join(rf"\b{re.escape(word)}" for word in roles) or "(?!)")
        # The Q-Former of InstructBLIP is a BERT of 512 positions; the question stands at the end of a prompt.
        self._qformer = getattr(self._processor, "qformer_tokenizer", None)
        if self._qformer is not None:
            self._qformer.truncation_side = "left"
            self._qformer_tokens = checkpoint.model.config.qformer_config.max_position_embeddings

    def prepare(self, chats: Sequence[Sequence[Message]], max_tokens: int, thinking: bool = True) -> BatchFeature:
        """Tensors on the model's device, padded to one length, floats in its dtype. thinking: whether the model may
        think first, where its template lets one say so. Raises Problem for chats that with max_tokens of reply are too
        long for the model, and for a photo that cannot be prepared."""
        texts = [self._text(chat, thinking) for chat in chats]
        photos: Any = [[_photo(m.image) for m in chat if m.image is not None] for chat in chats]
        if self._template is None:  # made for one photo, and never without
            photos = [seen[-1] if seen else Image.new("RGB", (224, 224)) for seen in photos]
        bos = self._tokenizer.bos_token
        try:
            inputs = self._processor(
                text=texts,
                images=photos if any(photos) else None,
                padding=True,
                # A decoder goes on from the end. An encoder's padding must not lie between the photo, which BLIP-2's
                # processor puts in front of it, and the text.
                padding_side="right" if self._separate_reply else "left",
                add_special_tokens=not (bos and texts[0].startswith(bos)),
                return_tensors="pt",
            )
        except (ValueError, TypeError, OSError, IndexError) as problem:
            raise Problem(
                f"The question or its photo cannot be prepared for {self._name} ({shown(problem)})."
            ) from problem
        inputs.pop("labels", None)  # PaliGemma's, for training
        self._check_length(int(inputs["attention_mask"].sum(-1).max()), max_tokens)
        if self._qformer is not None:
            asked = self._qformer(
                texts, padding=True, padding_side="right", truncation=True, max_length=self._qformer_tokens,
                return_tensors="pt",
            )  # fmt: skip
            inputs["qformer_input_ids"], inputs["qformer_attention_mask"] = asked["input_ids"], asked["attention_mask"]
        return inputs.to(self._device, self._dtype)

    def begins_with_thought(self, inputs: BatchFeature, number: int = 0) -> bool:
        """Whether the prompt of a chat ends with the beginning of a thought, which the reply then lacks."""
        return self._tokenizer.decode(inputs["input_ids"][number][-8:]).rstrip().endswith(THINKS)

    def _check_length(self, taken: int, max_tokens: int) -> None:
        room = self._context - (0 if self._separate_reply else max_tokens)
        if taken > room:
            raise Problem(
                f"The question, its passages and its photo take {taken:,} tokens, and {self._name} "
                + f"has room for {room:,}"
                + ("" if self._separate_reply else f" beside a reply of {max_tokens:,}")
                + "; ask a shorter question, with fewer passages, or choose a model that holds more."
            )

    def _text(self, chat: Sequence[Message], thinking: bool = True) -> str:
        chat = [Message(m.role, self._own.sub(_broken, self._roles.sub(_broken, m.text)), m.image) for m in chat]
        return self._plain(chat) if self._template is None else self._template.rendered(chat, thinking)

    def _plain(self, chat: Sequence[Message]) -> str:
        """The prompt that BLIP-2 (arXiv 2301.12597, section 4.2) was evaluated with: "Question: ... Answer:"."""
        said = []
        for message in chat:
            before = {"user": "" if "Question:" in message.text else "Question: ", "assistant": "Answer: "}
            said.append(before.get(message.role, "") + message.text)
        # BLIP-2's processor puts the photo's tokens in front by itself.
        photo = "" if hasattr(self._processor, "num_query_tokens") else self._image_token
        return photo + "\n".join(said) + " Answer:"


def _spelled_out(processor: Any, image_token: str) -> re.Pattern[str]:
    """Finds in a text what the tokenizers would read as one of their added tokens."""
    tokenizers = [processor.tokenizer, getattr(processor, "qformer_tokenizer", None)]
    tokens = {token.content for t in tokenizers if t is not None for token in t.added_tokens_decoder.values()}
    # Longest first; those made of blanks are words like others, and a single character cannot be broken.
    spelled = sorted((t for t in tokens | {image_token} if len(t) > 1 and not t.isspace()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, spelled)) or "(?!)", re.IGNORECASE)


def _broken(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}"


def _photo(image: Image.Image) -> Image.Image:
    photo = image.convert("RGB")
    if max(photo.size) > MAX_SIDE:
        photo.thumbnail((MAX_SIDE, MAX_SIDE))
    return photo
