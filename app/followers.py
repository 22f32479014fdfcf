"""Who hears of questions, by the settings: lines in the log, spans of a trace. Knows nothing of either."""

from __future__ import annotations

from app.logs import PROBLEMS, QuestionLines
from app.settings import Settings
from app.tracing import spans_to
from common.following import Hears


def followers(settings: Settings) -> list[Hears]:
    """Raises Problem where a library is lacking."""
    lines = [] if settings.log == PROBLEMS else [QuestionLines(settings.log_content)]
    return [*lines, *([spans_to(settings.otlp_endpoint)] if settings.otlp_endpoint else [])]
