"""What the tokens of a text are called and where they stand in it, whatever tokenizer made them.

As BERT's: a piece that goes on where a word has begun is "##..", marks have names in brackets. Knows nothing of models.
"""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from retriever.encoders.base import PassageToken
from retriever.encoders.word_pieces import word_pieces

FILL_UP, BLANK = "[MASK]", "[blank]"


def named_pieces(
    tokenizer: PreTrainedTokenizerBase, text: str, most: int | None = None
) -> list[tuple[int, PassageToken]]:
    """The tokens of a text with their numbers, marks among them, cut to `most`."""
    made = tokenizer([text], truncation=most is not None, max_length=most)
    [encoding] = made.encodings
    marks = special_names(tokenizer)
    plain = word_pieces(tokenizer.backend_tokenizer)
    found: list[tuple[int, PassageToken]] = []
    end_before = 0
    for number, token, (start, end), special in zip(
        encoding.ids, encoding.tokens, encoding.offsets, encoding.special_tokens_mask, strict=True
    ):
        if special or (number in marks and not plain):
            found.append((number, PassageToken(marks.get(number, token), 0, 0)))
            continue
        start, end = _trimmed(text, max(start, 0 if plain else end_before), min(end, len(text)))
        if start >= end:  # of white space, or the rest of a letter that began in the piece before
            found.append((number, PassageToken(BLANK, 0, 0)))
            continue
        found.append((number, PassageToken(token if plain else _name(text, start, end, end_before), start, end)))
        end_before = max(end_before, end)
    return found


def special_names(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """What marks are called here, by their numbers."""
    roles = (
        ("[PAD]", tokenizer.pad_token_id),
        ("[UNK]", tokenizer.unk_token_id),
        ("[SEP]", tokenizer.eos_token_id),
        ("[SEP]", tokenizer.sep_token_id),
        ("[CLS]", tokenizer.bos_token_id),
        ("[CLS]", tokenizer.cls_token_id),
        (FILL_UP, tokenizer.mask_token_id),
    )
    return {number: name for name, number in roles if number is not None}


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the white space around what stands there, which some tokenizers give to the word after it."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()) if piece.strip() else 0)


def _name(text: str, start: int, end: int, end_before: int) -> str:
    piece = text[start:end]
    goes_on = start == end_before and start > 0 and text[start - 1].isalnum() and piece[:1].isalnum()
    return f"##{piece}" if goes_on else piece
