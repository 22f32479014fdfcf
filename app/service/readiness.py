"""Whether questions can be answered now, and what that waits for. Knows nothing of who asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.service.job_states import IndexState
from common.problems import Problem

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.starting_service import StartingService

DATABASE, ENCODER, INDEX = "database", "encoder", "index"


def waiting_for(service: AnswerService | StartingService) -> list[str]:
    """Which of DATABASE, ENCODER and INDEX a question cannot be answered for; none when it can. An index that is still
    being built answers from the part that is done."""
    lacking = []
    try:
        service.corpora()
    except Problem:
        lacking.append(DATABASE)
    if service.takes() is None:
        lacking.append(ENCODER)
    state, searchable = service.status().state, service.generations().get(service.settings.corpus, 0) > 0
    if state != IndexState.READY and not (state == IndexState.INDEXING and searchable):
        lacking.append(INDEX)
    return lacking
