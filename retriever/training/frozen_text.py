"""What a text encoder that does not learn made of texts, kept in memory: on a CPU, encoding the same questions and
passages over and over is most of the time that a step takes.

What was made by the last encoder serves all that have its weights, as the runs of a study do. Each text goes through it
alone and without its padding, so that a run is the same whatever has been kept before. Knows nothing of vectors or
losses.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

import torch

from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.training.features import fingerprint_of

_MOST_BYTES = 1 << 30  # of an encoder's states
_ENCODERS = ("query_text_encoder", "context_text_encoder")


def remember_texts(network: FLMRModelForRetrieval) -> None:
    """Has the text encoders that do not learn remember, where the network is on a CPU; a GPU is faster with all texts
    of a batch at once."""
    if network.device.type != "cpu":
        return
    for name in _ENCODERS:
        encoder = getattr(network, name, None)
        if encoder is not None and not any(each.requires_grad for each in encoder.parameters()):
            encoder.forward = _Remembering(encoder)  # of this one; its weights keep their names


class _States:
    """By texts, those used last at the end."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        self._bytes = 0

    def find(self, key: bytes) -> torch.Tensor | None:
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def keep(self, key: bytes, states: torch.Tensor) -> None:
        self._known[key] = states
        self._bytes += states.nbytes
        while self._bytes > _MOST_BYTES and len(self._known) > 1:
            self._bytes -= self._known.popitem(last=False)[1].nbytes


@lru_cache(2)  # of queries and of documents
def _states_of(fingerprint: str) -> _States:
    return _States()


class _Remembering:
    def __init__(self, encoder: torch.nn.Module) -> None:
        self._encode = encoder.forward
        self._states = _states_of(fingerprint_of(encoder))

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """States (B, L, hidden); zero behind the last token that is attended to, or is no padding."""
        rows = [self._row(ids, mask) for ids, mask in zip(input_ids, attention_mask, strict=True)]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return torch.nn.functional.pad(padded, (0, 0, 0, input_ids.shape[1] - padded.shape[1]))

    @torch.no_grad()
    def _row(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        length = int(((mask != 0) | (ids != 0)).nonzero().max()) + 1
        ids, mask = ids[:length], mask[:length]
        key = torch.stack([ids, mask]).to(torch.int32).numpy().tobytes()
        states = self._states.find(key)
        if states is None:
            states = self._encode(ids[None], mask[None])[0].clone()
            self._states.keep(key, states)
        return states
