"""An encoder's service without Ray: in a thread of the tests, or `python -m tests.support.encoder_server PORT` with the
small encoder, for tests to kill."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from common.worker_thread import Together, Worker
from retriever.encoders.base import Encoder
from retriever.encoders.remote.service import EncoderService
from tests.fakes.small_encoder import SmallEncoder
from tests.support.waiting import ended, wait_for


def service(encoder: Encoder, profile: str = "mini", key: str | None = None) -> EncoderService:
    worker = Worker("models")
    together = Together(worker, encoder.encode_queries, 16)

    async def queries(asked):
        return await asyncio.to_thread(together.run, asked)

    return EncoderService(encoder, worker, queries, profile, key)


@contextmanager
def served(encoder: Encoder, profile: str = "mini", key: str | None = None, port: int = 0) -> Iterator[str]:
    """The address of a service."""
    config = uvicorn.Config(service(encoder, profile, key), port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        assert ended(thread)


if __name__ == "__main__":
    uvicorn.run(service(SmallEncoder()), port=int(sys.argv[1]), log_level="error", lifespan="off")
