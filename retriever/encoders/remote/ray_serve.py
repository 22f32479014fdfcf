"""An encoder's service (service.py) behind Ray Serve: replicas that share the requests, each with an encoder of its
own, which takes the questions of several people together.

Importing this takes Ray. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import ray
import torch
from ray import serve

from common.problems import Problem
from common.text import shown
from common.worker_thread import Worker
from retriever.encoders.base import Query, QueryVectors
from retriever.encoders.registry import load_encoder
from retriever.encoders.remote.service import EncoderService

TOGETHER, WAITED = 16, 0.005  # requests that are encoded in one call at most; seconds that the first waits for others
AT_ONCE = 256  # requests to a replica; others wait
LOOK = 0.5  # seconds between two looks whether it is to end


@serve.ingress()
class EncoderReplica:
    """The encoder of a profile, and its service. Raises Problem as load_encoder does."""

    def __init__(self, profile: str, cache_dir: Path, key: str | None) -> None:
        self._profile, self._key = profile, key
        self._encoder = load_encoder(profile, cache_dir)
        self._worker = Worker("models")

    def __serve_build_asgi_app__(self) -> EncoderService:
        return EncoderService(self._encoder, self._worker, self._queries, self._profile, self._key)

    @serve.batch(max_batch_size=TOGETHER, batch_wait_timeout_s=WAITED)
    async def _together(self, asked: list[list[Query]]) -> list[Sequence[QueryVectors] | Exception]:
        made = await self._alone([query for queries in asked for query in queries])
        if isinstance(made, Exception):  # of which each is to hear that is its own
            return [await self._alone(queries) for queries in asked] if len(asked) > 1 else [made]
        rest = iter(made)
        return [[next(rest) for _ in queries] for queries in asked]

    async def _alone(self, queries: list[Query]) -> Sequence[QueryVectors] | Exception:
        try:
            return await asyncio.to_thread(self._worker.run, self._encoder.encode_queries, queries)
        except Exception as problem:
            return problem

    async def _queries(self, queries: list[Query]) -> Sequence[QueryVectors]:
        made = await self._together(queries)
        if isinstance(made, Exception):
            raise made
        return made


def serve_encoder(
    profile: str,
    cache_dir: Path,
    key: str | None,
    address: tuple[str, int],
    replicas: int,
    ends: threading.Event,
    ready: Callable[[], None],
) -> None:
    """Serves the profile at the host and port until the event; ready is called once it answers. Where there are
    graphics cards each replica has one, else the replicas share the processor's cores. Raises Problem where that cannot
    be."""
    host, port = address
    cards, cores = torch.cuda.device_count(), os.cpu_count() or 1
    if 0 < cards < replicas:
        raise Problem(f"There are {cards} graphics cards for {replicas} replicas; ask for as many as there are.")
    threads = {"OMP_NUM_THREADS": str(max(1, cores // replicas)), "OMP_WAIT_POLICY": "PASSIVE"}
    needs = {"num_cpus": 0 if cards else 1, "num_gpus": 1 if cards else 0, "runtime_env": {"env_vars": threads}}
    try:
        ray.init(
            num_cpus=max(cores, replicas), include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        serve.start(http_options={"host": host, "port": port})
        replica = serve.deployment(
            EncoderReplica, num_replicas=replicas, max_ongoing_requests=AT_ONCE, ray_actor_options=needs
        )
        serve.run(replica.bind(profile, cache_dir.resolve(), key), name="encoder", route_prefix="/")
        ready()
        while not ends.wait(LOOK):
            pass
    except (RuntimeError, OSError, ValueError) as problem:
        raise Problem(f"The service cannot go on ({shown(problem, 300).rstrip('.')}).") from problem
    finally:
        serve.shutdown()
        ray.shutdown()
