"""Passwords: which can be taken, kept as Argon2 hashes, compared. Knows nothing of where hashes are kept.

Two are hashed at a time, since each takes 64 MiB and all the cores.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from common.problems import BadRequest, Problem

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST, MOST = 10, 200  # characters
DIFFERENT = 5  # of them

_PATIENCE = 20.0  # seconds to wait for one's turn
_turns = threading.BoundedSemaphore(2)


def checked_password(password: object, name: str) -> str:
    """A new password as it is hashed: the same however the keyboard composes its letters. Raises BadRequest."""
    plain = _plain(password)
    if not LEAST <= len(plain) <= MOST or len(set(plain)) < DIFFERENT or plain.isspace():
        raise BadRequest(
            f"A password has between {LEAST} and {MOST} characters, at least {DIFFERENT} different ones, and is more "
            "than white space; choose another."
        )
    if plain.casefold() == name.casefold():
        raise BadRequest("The password is the name, which everybody knows; choose another.")
    return plain


def hashed(password: str) -> str:
    """The hash to keep of a checked password. Raises Problem when too many want one just now."""
    plain = _bytes(_plain(password))
    with _turn():
        return hasher().hash(plain)


def matches(kept: str | None, password: object) -> bool:
    """Whether the hash is of the password. It takes as long where there is none to compare with. Raises as hashed()."""
    from argon2.exceptions import InvalidHashError, VerificationError

    plain, nobodys = _bytes(_plain(password)), nobodys_hash()
    with _turn():
        try:
            return hasher().verify(kept or nobodys, plain) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(kept: str) -> bool:
    """Whether hashes are made in another way by now."""
    return hasher().check_needs_rehash(kept)


@cache
def hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def nobodys_hash() -> str:
    """Of no password that anybody can have; compared with where there is none."""
    return hashed("")


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=_PATIENCE):
        raise Problem("Too many people sign in just now; try again in a minute.")
    try:
        yield
    finally:
        _turns.release()


def _plain(password: object) -> str:
    """"" for what can be no password, before any work is done on it."""
    if not isinstance(password, str) or len(password) > MOST:
        return ""
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
