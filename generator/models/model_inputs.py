"""From the messages of a chat to the tensors that a checkpoint's model takes.

Knows nothing of loading or of generation. Text in messages is data: where it spells one of the tokenizer's own
tokens, a space breaks the spelling, so that it can neither end a turn nor stand for a photo.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from PIL import Image
from transformers import BatchFeature

from common.problems import Problem
from common.text import shown
from generator.models.chat import Message
from generator.models.loading import Checkpoint

MAX_SIDE = 1024  # pixels of the photo; more only makes a model slower
THINKS = "<think>"  # how the templates of models that think begin their replies
_RULES, _ASKED = "rules-of-the-chat", "asked-of-the-model"  # looked for in what a template makes of them


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
        self._template = template.get("default") if isinstance(template, dict) else template
        self._takes_system = self._works(Message("system", _RULES))
        if not self._takes_system and not self._works():
            self._template = None
        # The Q-Former of InstructBLIP is a BERT of 512 positions; the question stands at the end of a prompt.
        self._qformer = getattr(self._processor, "qformer_tokenizer", None)
        if self._qformer is not None:
            self._qformer.truncation_side = "left"
            self._qformer_tokens = checkpoint.model.config.qformer_config.max_position_embeddings

    def prepare(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> BatchFeature:
        """Tensors on the model's device, padded to one length, floats in its dtype. Raises Problem for chats
        that with max_tokens of reply are too long for the model, and for a photo that cannot be prepared."""
        texts = [self._text(chat) for chat in chats]
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

    def begins_with_thought(self, inputs: BatchFeature) -> bool:
        """Whether the prompt of a single chat ends with the beginning of a thought, which the reply then lacks."""
        return self._tokenizer.decode(inputs["input_ids"][0][-8:]).rstrip().endswith(THINKS)

    def _check_length(self, taken: int, max_tokens: int) -> None:
        room = self._context - (0 if self._separate_reply else max_tokens)
        if taken > room:
            raise Problem(
                f"The question, its passages and its photo take {taken:,} tokens, and {self._name} "
                + f"has room for {room:,}"
                + ("" if self._separate_reply else f" beside a reply of {max_tokens:,}")
                + "; ask a shorter question, with fewer passages, or choose a model that holds more."
            )

    def _text(self, chat: Sequence[Message]) -> str:
        chat = [Message(m.role, self._own.sub(_broken, m.text), m.image) for m in chat]
        if self._template is None:
            return self._plain(chat)
        if not self._takes_system:
            chat = _rules_first(chat)
        return self._rendered(chat)

    def _rendered(self, chat: Sequence[Message]) -> str:
        turns = [
            {
                "role": m.role,
                "content": [{"type": "image"}] * (m.image is not None) + [{"type": "text", "text": m.text}],
            }
            for m in chat
        ]
        return self._tokenizer.apply_chat_template(
            turns, chat_template=self._template, tokenize=False, add_generation_prompt=True
        )

    def _plain(self, chat: Sequence[Message]) -> str:
        """The prompt that BLIP-2 (arXiv 2301.12597, section 4.2) was evaluated with: "Question: ... Answer:"."""
        said = []
        for message in chat:
            before = {"user": "" if "Question:" in message.text else "Question: ", "assistant": "Answer: "}
            said.append(before.get(message.role, "") + message.text)
        # BLIP-2's processor puts the photo's tokens in front by itself.
        photo = "" if hasattr(self._processor, "num_query_tokens") else self._image_token
        return photo + "\n".join(said) + " Answer:"

    def _works(self, *before: Message) -> bool:
        """Whether the template shows what `before` and a question say, and tells one with a photo from one without."""
        if not self._template:
            return False
        try:
            with_photo, without = (
                self._rendered([*before, Message("user", _ASKED, image)]) for image in (Image.new("RGB", (1, 1)), None)
            )
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError):
            return False
        told = all(message.text in with_photo for message in before) and with_photo.count(_ASKED) == 1
        return told and with_photo != without and "'type'" not in with_photo  # as a list that was printed has it


def _rules_first(chat: Sequence[Message]) -> list[Message]:
    """The chat without system messages; their text stands in front of the first user's."""
    rules = [m.text for m in chat if m.role == "system"]
    rest = [m for m in chat if m.role != "system"]
    if rules and rest:
        rest[0] = Message(rest[0].role, "\n\n".join([*rules, rest[0].text]), rest[0].image)
    return rest


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
