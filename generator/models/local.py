"""A vision-language model in this process, as a chat model: any image-text-to-text checkpoint of transformers.

Knows nothing of passages, of where a checkpoint came from, or of how one is loaded (loading.py) and asked
(model_inputs.py).
"""

from __future__ import annotations

import copy
import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread, current_thread
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from common.cancellation import current
from common.lent_gpu import lent
from common.problems import Problem
from common.text import shown
from generator.grounding.thoughts import SaidTokens
from generator.models.chat import Message, Scored, Short, nothing_said
from generator.models.loading import Checkpoint, check_checkpoint, load_checkpoint
from generator.models.model_inputs import THINKS, ModelInputs
from generator.models.token_texts import TokenStream, TokenTexts
from generator.models.yes_or_no import first_tokens

BATCH = 4  # chats scored at once
WAKES = 0.2  # seconds after which one that waits for its turn looks whether it still should


@dataclass(frozen=True)
class _Loaded:
    checkpoint: Checkpoint
    inputs: ModelInputs
    texts: TokenTexts


class LocalModel:
    """A chat model from a checkpoint's folder, loaded when it is first needed. `name` is what sentences call it.

    One reply is made at a time; who asks meanwhile waits. progress is told a sentence before the weights are read;
    `loading` is that sentence while they are, else "". thinking: tokens that a reply may have for thought, beside those
    for the answer.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        four_bit: bool = False,
        progress: Callable[[str], None] = lambda sentence: None,
        thinking: int = 0,
    ) -> None:
        self.name = name
        self.loading = ""
        self._thinking = thinking
        self._folder, self._four_bit, self._progress = Path(folder), four_bit, progress
        self._lock = Lock()  # held by whoever uses or changes what is loaded
        self._loaded: _Loaded | None = None
        self._running: Event | None = None  # set to stop what the model is doing

    def check(self) -> None:
        """Raises Problem for what can be known to be wrong before the model is loaded."""
        check_checkpoint(self._folder, self.name, self._four_bit)

    def load(self) -> None:
        """Load the model unless it is loaded. Raises Problem."""
        with self._turn(Event()):
            pass

    @property
    def context(self) -> int:
        """How many tokens prompt and reply may have together, beside thoughts. Loads the model, and raises Problem."""
        stop = Event()
        with current().calling(stop.set), self._turn(stop) as loaded:
            return loaded.checkpoint.context - self._thinking

    def reply(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """The reply in pieces of whole words as they come, decoded greedily.

        Closing the iterator stops the model at its next layer and returns when it has stopped; so does what stops this
        thread's work (common/cancellation.py), while it waits. Raises Problem, also for one that is nothing but
        thought.
        """
        pieces: SimpleQueue[str | Problem | None] = SimpleQueue()  # ends with None or a problem
        stop = Event()
        thread = Thread(target=self._speak, args=(messages, max_tokens, pieces, stop), daemon=True)
        thread.start()
        try:
            with current().calling(stop.set):
                while (piece := pieces.get()) is not None:
                    if isinstance(piece, Problem):
                        raise piece
                    if piece:
                        yield piece
        finally:
            stop.set()
            if thread is not current_thread():  # as it is where the garbage collector runs in it
                thread.join()

    def score_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> list[Scored]:
        """The greedy reply to each chat and the sum of the log probabilities of its tokens, the one that ends it
        included. Raises Problem, also when it is stopped (common/cancellation.py)."""
        stop = Event()
        with current().calling(stop.set), self._turn(stop) as loaded:
            return [
                scored
                for start in range(0, len(chats), BATCH)
                for scored in self._scored(loaded, chats[start : start + BATCH], max_tokens, stop)
            ]

    def short_replies(self, chats: Sequence[Sequence[Message]], max_tokens: int, yes: bool = False) -> list[Short]:
        """The greedy reply to each chat; how probable a yes is, by the logits of its first token. Raises Problem, also
        when it is stopped (common/cancellation.py)."""
        stop = Event()
        with current().calling(stop.set), self._turn(stop) as loaded:
            words = first_tokens(lambda text: loaded.texts.tokenizer.encode(text, add_special_tokens=False))
            return [
                short
                for start in range(0, len(chats), BATCH)
                for short in self._short(loaded, chats[start : start + BATCH], max_tokens, stop, words if yes else None)
            ]

    def close(self) -> None:
        """Stop what the model is doing and free its memory; the next reply loads the model again."""
        if running := self._running:
            running.set()
        with self._lock:
            self._loaded = None
            gc.collect()  # models refer to themselves
            if torch.cuda.is_available() and not lent():
                torch.cuda.empty_cache()

    def _speak(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        pieces: SimpleQueue[str | Problem | None],
        stop: Event,
    ) -> None:
        """Put the reply's pieces into the queue, and then how it ended."""
        ended: Problem | None = None
        heard = SaidTokens()

        def told(piece: str) -> None:
            heard.add(piece, ())
            pieces.put(piece)

        try:
            with self._turn(stop) as loaded:
                room = max_tokens + self._thinking
                inputs = loaded.inputs.prepare([messages], room)
                if loaded.inputs.begins_with_thought(inputs):
                    told(THINKS)  # so that what comes is known for a thought
                stream = TokenStream(loaded.texts, told)
                self._generate(loaded, inputs, room, stop, streamer=stream)
                if heard.thought and not heard.text():
                    ended = nothing_said(self.name, True, stream.count >= room)
        except Problem as problem:
            ended = Problem(str(problem))  # a new one: the other's frames hold on to the model's memory
        finally:
            pieces.put(ended)

    def _scored(
        self, loaded: _Loaded, chats: Sequence[Sequence[Message]], max_tokens: int, stop: Event
    ) -> list[Scored]:
        """score_replies for chats that make one batch."""
        room = max_tokens + self._thinking
        inputs = loaded.inputs.prepare(chats, room, thinking=False)
        best = _BestTokens()
        whole = self._generate(loaded, inputs, room, stop, logits_processor=LogitsProcessorList([best]))
        steps = torch.stack(best.log_probabilities, dim=1)  # (batch, tokens made)
        made = whole[:, -steps.shape[1] :].cpu()
        ends = torch.isin(made, torch.tensor(loaded.checkpoint.model.generation_config.eos_token_id))
        result = []
        for number, (tokens, probabilities, ended) in enumerate(zip(made, steps, ends, strict=True)):
            length = int(ended.int().argmax()) + 1 if ended.any() else len(tokens)
            before = THINKS if loaded.inputs.begins_with_thought(inputs, number) else ""
            made_here = tokens[:length].tolist()
            said = SaidTokens()
            said.add(before + loaded.texts.text(made_here), ())
            text, total = said.text(), float(probabilities[:length].sum())
            if said.thought:
                by_token = SaidTokens()
                by_token.add(before, ())
                for token, probability in zip(made_here, probabilities.tolist(), strict=False):
                    spelled = loaded.texts.text([token])
                    by_token.add(spelled, [(spelled, probability)])
                total = by_token.log_probability
            result.append(Scored(text, total, said.thought, not ended.any()))
        return result

    def _short(
        self, loaded: _Loaded, chats: Sequence[Sequence[Message]], max_tokens: int, stop: Event,
        words: tuple[list[int], list[int]] | None,
    ) -> list[Short]:  # fmt: skip
        """short_replies for chats that make one batch. words: the tokens that begin a yes and a no."""
        room = max_tokens + self._thinking
        inputs = loaded.inputs.prepare(chats, room, thinking=False)
        first = _FirstWord(*words) if words and all(words) else None
        steps = _Steps()
        looking = LogitsProcessorList([steps] if first is None else [steps, first])
        whole = self._generate(loaded, inputs, room, stop, logits_processor=looking)
        made = whole[:, -steps.count :].cpu()
        ends = torch.isin(made, torch.tensor(loaded.checkpoint.model.generation_config.eos_token_id))
        read = inputs["attention_mask"].sum(-1).tolist()
        result = []
        for number, (tokens, ended) in enumerate(zip(made, ends, strict=True)):
            length = int(ended.int().argmax()) + 1 if ended.any() else len(tokens)
            thinks = loaded.inputs.begins_with_thought(inputs, number)
            said = SaidTokens()
            said.add((THINKS if thinks else "") + loaded.texts.text(tokens[:length].tolist()), ())
            yes = None if first is None or said.thought else float(first.yes[number])
            result.append(Short(said.text(), yes, read[number] + length))
        return result

    def _generate(self, loaded: _Loaded, inputs: Any, max_tokens: int, stop: Event, **more: Any) -> torch.Tensor:
        """The tokens, those of the prompt included where the model returns them. Raises Problem if stopped."""
        model: Any = loaded.checkpoint.model
        criteria = StoppingCriteriaList([_Stop(stop)])
        tokens = model.generate(**inputs, max_new_tokens=max_tokens, stopping_criteria=criteria, **more)
        if stop.is_set():
            raise self._stopped()
        return tokens

    def _stopped(self) -> Problem:
        return Problem(f"The model {self.name} was put away while it answered; ask again.")

    @contextmanager
    def _turn(self, stop: Event) -> Iterator[_Loaded]:
        """Hold the loaded model; whatever goes wrong with it becomes a Problem. Who is stopped while somebody
        else holds it waits no longer."""
        while not self._lock.acquire(timeout=WAKES):
            if stop.is_set():
                raise self._stopped()
        try:
            self._running = stop
            if self._loaded is None:
                self._loaded = self._load()
            with torch.inference_mode():
                yield self._loaded
        except Problem:
            raise
        except Exception as problem:
            raise self._sentence(problem) from problem
        finally:
            self._running = None
            self._lock.release()

    def _load(self) -> _Loaded:
        def tell(sentence: str) -> None:
            self.loading = sentence
            self._progress(sentence)

        try:
            checkpoint = load_checkpoint(self._folder, self.name, self._four_bit, tell)
            remember_photo(checkpoint.model)
            self._watch(checkpoint.model)
            return _Loaded(
                checkpoint, ModelInputs(checkpoint, self.name), TokenTexts(checkpoint.processor.tokenizer)
            )
        finally:
            self.loading = ""

    def _watch(self, model: PreTrainedModel) -> None:
        """Let the model be stopped before each of its layers: a long prompt can take minutes before its first token."""

        def before(*_: Any) -> None:
            if self._running is not None and self._running.is_set():
                raise self._stopped()

        for layers in model.modules():
            if isinstance(layers, torch.nn.ModuleList):
                for layer in layers:
                    layer.register_forward_pre_hook(before)

    def _sentence(self, problem: Exception) -> Problem:
        said = shown(problem)
        if isinstance(problem, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(problem):
            if torch.cuda.is_available() and not lent():
                torch.cuda.empty_cache()
            return Problem(
                f"The memory ran out while {self.name} answered; ask with a smaller photo or fewer passages, or choose "
                "a smaller model."
            )
        kind = f"{type(problem).__name__}: {said}".rstrip(":. ")
        return Problem(
            f"The model {self.name} failed while it answered ({kind}); ask again or choose another."
        )


def remember_photo(model: PreTrainedModel) -> None:
    """Let the model keep what its vision tower made of the latest photo, for the next question about it.

    Most architectures encode in get_image_features. BLIP-2 and InstructBLIP do so in their vision tower alone: what
    comes after, the Q-Former, reads the question too.
    """
    if hasattr(model, "qformer"):
        model.vision_model.forward = _remembering(model.vision_model.forward)
    elif hasattr(model.base_model, "get_image_features"):
        model.base_model.get_image_features = _remembering(model.base_model.get_image_features)


def _remembering(encode: Callable[..., Any]) -> Callable[..., Any]:
    """`encode` with a memory of its latest call."""
    latest: list[Any] = []

    @functools.wraps(encode)
    def remembered(*args: Any, **kwargs: Any) -> Any:
        asked = (args, kwargs)
        if not latest or not _same(asked, latest[0]):
            latest[:] = [asked, encode(*args, **kwargs)]
        return copy.copy(latest[1])  # models write into the record, never into its tensors

    return remembered


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        alike = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor) and one.dtype == other.dtype
        return alike and one.device == other.device and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


class _Stop(StoppingCriteria):
    def __init__(self, stop: Event) -> None:
        self._stop = stop

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._stop.is_set(), dtype=torch.bool, device=input_ids.device)


class _BestTokens(LogitsProcessor):
    """Notes how probable the token is that greedy decoding takes; keeping all scores would take a gigabyte."""

    def __init__(self) -> None:
        self.log_probabilities: list[torch.Tensor] = []  # one (batch,) float32 for each step

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logits = scores.float()
        self.log_probabilities.append((logits.amax(-1) - logits.logsumexp(-1)).cpu())
        return scores


class _Steps(LogitsProcessor):
    """Counts the tokens that are made."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return scores


class _FirstWord(LogitsProcessor):
    """Notes how probable the tokens that begin a yes are at first, of those and the ones that begin a no."""

    def __init__(self, yes: list[int], no: list[int]) -> None:
        self._tokens = yes, no
        self.yes: torch.Tensor | None = None  # (batch,) float32

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.yes is None:
            yes, no = (scores[:, tokens].float().logsumexp(-1) for tokens in self._tokens)
            self.yes = torch.sigmoid(yes - no).cpu()
        return scores
