"""The M2KR benchmark as PreFLMR's authors run it (arXiv 2402.08327): its files, its protocol, its published figures.

It knows an encoder and the index by their interfaces; nothing of models, of SQL or of pages.
"""

from retriever.evaluation.m2kr.evaluate import evaluate
from retriever.evaluation.m2kr.report import Report

__all__ = ["Report", "evaluate"]
