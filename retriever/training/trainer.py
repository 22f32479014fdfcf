"""Training by a recipe: from the first step, or from where a run was stopped, to the last.

The same for a CPU, a GPU and several processes (`accelerate launch`): accelerate places the model and averages
gradients, all else is a function of the recipe, the seed and the step. So a run that was killed and resumed is, on a
CPU, bit for bit the one that was not. Knows the other modules of this package and how they follow each other; nothing
of command lines.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from accelerate import Accelerator
from torch import nn
from transformers import get_scheduler

from common.memory import give_back_large_blocks
from common.problems import Problem
from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.training import adapters, checkpoints, runs
from retriever.training.batches import Batches, Drawing, Look, in_order
from retriever.training.card import model_card
from retriever.training.drawn import Drawer
from retriever.training.events import with_events
from retriever.training.features import Tower, plain_photo, seen
from retriever.training.frozen_text import remember_texts
from retriever.training.gathering import means
from retriever.training.gradients import Batch, Encoding, accumulate_gradients, computing_in
from retriever.training.inputs import Inputs, RetInputs
from retriever.training.measuring import Pool, make_pool, recall
from retriever.training.models import Progress, add_adapters, begin, restore, set_learning, set_mode
from retriever.training.order import Order
from retriever.training.recipe import Recipe
from retriever.training.sources import Questions, check_sets, limited, open_set
from retriever.training.stopping import Stopped, sentences, stopping
from retriever.training.vectors import Network, is_symmetric

# Given a recipe, a folder in that of the run and whether that is begun now: the recipe with files in the place of what
# people judged, written to the folder when the run begins and as they lie there from then on.
Resolve = Callable[[Recipe, Path, bool], Recipe]
Told = Callable[[dict[str, Any]], None]  # is given each line of metrics, and {"step": n} after each step


@dataclass
class State:
    """What a run carries from step to step beside weights and optimiser. step: steps made. losses: those since the
    last line of metrics. skipped: questions left out so far because of their images. best: recall of the best
    checkpoint, -1 before. measured: step -> what was found, by set."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    skipped: int = 0
    best: float = -1.0
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass
class Training:
    """A run that is ready to make steps."""

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    network: Network
    inputs: Inputs
    encoding: nn.Module
    learning: dict[str, list[nn.Parameter]]
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    batches: Batches
    pools: list[Pool]
    state: State
    tower: Tower | None


def train(
    recipe: Recipe,
    folder: Path,
    cache_dir: Path,
    resume: bool = False,
    told: Told = lambda line: None,
    progress: Progress = lambda done, total: None,
    resolve: Resolve = lambda recipe, folder, anew: recipe,
) -> dict[str, Any]:
    """Trains in the run's folder and returns the last measurement, by set ({} where nothing is held out).

    progress(bytes done, bytes in all) is told of downloads. Raises Problem; what has been saved stays."""
    give_back_large_blocks()
    accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())  # Encoding knows the precision
    if recipe.lora:
        adapters.check_installed()
    first, count = accelerator.is_main_process, accelerator.num_processes
    if recipe.train.batch % count:
        raise Problem(
            f"train.batch is {recipe.train.batch} and there are {count} processes; it must be as many for each."
        )
    with sentences(), runs.claimed(folder) if first else nullcontext():
        with accelerator.main_process_first():
            recipe = resolve(recipe, folder / runs.JUDGED, first and not runs.has_checkpoint(folder))
            sets = [open_set(each, recipe.m2kr, cache_dir, progress, recipe.seed) for each in recipe.data]
            sets = [limited(found, each.questions, recipe.seed) for found, each in zip(sets, recipe.data, strict=True)]
            held = [open_set(each, recipe.m2kr, cache_dir, progress) for each in recipe.held_out]
            check_sets(recipe, sets)
            if first:
                about = [_about_set(each) for each in [*sets, *held]]
                runs.check_run(folder, recipe, about, resume)
                checkpoints.mend_last(folder)
        training = _prepared(recipe, folder, accelerator, sets, held, cache_dir, progress)
        if first and not training.state.step:
            runs.begin_run(folder, recipe, about, _device(accelerator), count)
        with stopping() as stop, with_events(folder, told) if first else nullcontext(told) as everyone_told:
            _make_steps(training, everyone_told, stop)
    return training.state.measured.get(str(training.state.step), {})


def _prepared(
    recipe: Recipe,
    folder: Path,
    accelerator: Accelerator,
    sets: Sequence[Questions],
    held: Sequence[Questions],
    cache_dir: Path,
    progress: Progress,
) -> Training:
    """The run as it begins, or as its last checkpoint has it."""
    done, vectors = checkpoints.last_step(folder), recipe.model.query_vectors
    if done:
        network, inputs = restore(folder / runs.LAST, cache_dir)
    else:
        network, inputs = begin(recipe.model, recipe.seed, cache_dir, progress)
    if recipe.lora:
        add_adapters(network, recipe.lora, recipe.learn, recipe.seed)
    learning = set_learning(network, recipe.learn, vectors, recipe.lora is not None)
    if recipe.train.checkpointing:
        renamed = getattr(network, "activation_checkpointing_enable", None)  # not in all 5.x of transformers
        (renamed or network.gradient_checkpointing_enable)({"use_reentrant": False})
    encoding = accelerator.prepare(Encoding(network, vectors, recipe.train.precision))
    optimiser = torch.optim.AdamW(
        [{"params": parameters, "lr": recipe.learn[part], "name": part} for part, parameters in learning.items()]
    )
    name, warmup = recipe.train.schedule, recipe.train.warmup
    if name == "constant" and warmup:
        name = "constant_with_warmup"
    schedule = get_scheduler(name, optimiser, warmup, recipe.train.steps)
    state = State()
    if done:
        saved = checkpoints.load_state(folder)
        adapters.load_adapted(network, saved.get("adapted", {}))
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        state = State(**saved["state"])
        if not (folder / runs.BEST).exists():
            state.best = -1.0  # what was best is gone; the next that is measured is
    if accelerator.is_main_process and done:
        runs.forget_after(folder, state.step)
    order = Order([len(each.rows) for each in sets], [each.share for each in recipe.data], recipe.seed)
    remember_texts(network)
    tower = _frozen_tower(recipe, network, inputs, cache_dir)
    look = _look(recipe, network, tower) if "vision" in vectors else None
    drawing = Drawing(sets, order, recipe.negatives, look, pictures=isinstance(inputs, RetInputs))
    return Training(
        recipe, folder, accelerator, network, inputs, encoding, learning, optimiser, schedule,
        Batches(drawing, inputs, recipe.train.batch, accelerator.process_index, accelerator.num_processes),
        [make_pool(each, said) for each, said in zip(held, recipe.held_out, strict=True)],
        state, tower,
    )  # fmt: skip


def _frozen_tower(recipe: Recipe, network: Network, inputs: Inputs, cache_dir: Path) -> Tower | None:
    """None where photos are not seen, or by a tower that learns; nor for ReT, of whose tower many layers are read, far
    more than a disk has room for."""
    if not isinstance(network, FLMRModelForRetrieval):
        return None
    sees = network.config.use_vision_encoder and network.config.query_concat_output_from_vision_encoder
    if not sees or "vision" in recipe.learn or "vision" not in recipe.model.query_vectors:
        return None
    return Tower(network, inputs, recipe.train.precision, cache_dir / "features")


def _look(recipe: Recipe, network: Network, tower: Tower | None) -> Look:
    look = tower.kept.look if tower else plain_photo
    if not any(each.drawn for each in recipe.data):
        return look
    if not isinstance(network, FLMRModelForRetrieval):
        raise Problem("Photos are drawn for an FLMR only; take the drawn out.")
    if tower is None:
        raise Problem("Photos are drawn for a vision encoder that does not learn; take learn.vision or the drawn out.")
    return Drawer(network, recipe.train.precision, look).look


def _make_steps(training: Training, told: Told, stop: threading.Event) -> None:
    recipe, state = training.recipe, training.state
    numbers = range(state.step * recipe.train.accumulate, recipe.train.steps * recipe.train.accumulate)
    batches = in_order(training.batches, numbers, recipe.train.workers)
    clock = _Clock(recipe.train.batch * recipe.train.accumulate)
    set_mode(training.network, training.learning)
    if training.pools and not state.step:
        _measure(training, told)  # what all that follows is compared with
        state.best = -1.0
    while state.step < recipe.train.steps:
        norm, stopped = _step(training, batches, clock, stop)
        last = state.step == recipe.train.steps
        if state.step % recipe.when.log == 0 or last:
            line = {"step": state.step, "loss": sum(state.losses) / len(state.losses), "gradient_norm": norm}
            line |= {"rates": {group["name"]: group["lr"] for group in training.optimiser.param_groups}}
            _note(training, line | clock.read() | {"skipped": state.skipped}, told)
            state.losses = []
        told({"step": state.step})
        better = False
        if training.pools and (state.step % recipe.when.measure == 0 or last):
            better = _measure(training, told)
            clock.read()  # what measuring took is nobody's speed
        if better or last or stopped or state.step % recipe.when.save == 0:
            _save(training, better or not training.pools)
        if stopped and not last:
            raise Stopped(
                f"Stopped at step {state.step}, which is saved in {training.folder}; go on from there with --resume."
            )


def _step(training: Training, batches: Iterator[Batch], clock: _Clock, stop: threading.Event) -> tuple[float, bool]:
    """Makes a step; returns the norm of its gradient, and whether some process was told to stop."""
    recipe, state, device = training.recipe, training.state, training.accelerator.device
    loss, skipped = 0.0, 0
    training.optimiser.zero_grad()
    for number in range(recipe.train.accumulate):
        with clock.waiting():
            batch = next(batches)
        skipped += batch.skipped
        batch = replace(batch, queries=batch.queries | seen(batch.photos, training.tower), photos=None)
        loss += accumulate_gradients(
            training.encoding,
            batch.on(device),
            recipe.distil,
            recipe.train.chunk,
            _seed(recipe.seed, state.step, number, training.accelerator.process_index),
            1 / recipe.train.accumulate,
            number == recipe.train.accumulate - 1,
            is_symmetric(training.network),
        )
    norm = float(nn.utils.get_total_norm(_gradients(training)))
    loss, skipped, stopped, norm = means(
        [loss / recipe.train.accumulate, float(skipped), float(stop.is_set()), norm], device
    )
    if not math.isfinite(loss) or not math.isfinite(norm):
        what = "loss" if not math.isfinite(loss) else "gradient"
        last = checkpoints.last_step(training.folder)
        kept = f"the last good checkpoint is that of step {last}" if last else "there is no checkpoint yet"
        raise Problem(
            f"The {what} of step {state.step + 1} is no number; nothing of it is kept, and {kept}. Lower the rates in "
            "[learn], or look at the data and the model that it began with."
        )
    training.optimiser.step()
    training.schedule.step()
    clock.step()
    state.step += 1
    state.losses.append(loss)
    state.skipped += round(skipped * training.accelerator.num_processes)
    return norm, stopped > 0


def _gradients(training: Training) -> list[torch.Tensor]:
    return [each.grad for some in training.learning.values() for each in some if each.grad is not None]


def _measure(training: Training, told: Told) -> bool:
    """Measures on all that is held out; whether this is the best so far."""
    recipe, state = training.recipe, training.state
    training.network.eval()
    with computing_in(recipe.train.precision, training.accelerator.device):
        found = {
            pool.found.name: recall(
                training.network, training.inputs, training.tower, pool, recipe.model.query_vectors, recipe.depths
            )
            for pool in training.pools
        }
    set_mode(training.network, training.learning)
    state.measured[str(state.step)] = found
    _note(training, {"step": state.step, "recall": found}, told)
    reached = runs.mean_recall(found, recipe.best)
    better, state.best = reached > state.best, max(reached, state.best)
    return better


def _save(training: Training, best: bool) -> None:
    if training.accelerator.is_main_process:
        saved = {
            "adapted": adapters.adapted_state(training.network),
            "optimiser": training.optimiser.state_dict(),
            "schedule": training.schedule.state_dict(),
            "state": asdict(training.state),
        }
        about = runs.about_run(training.folder)
        kind = "flmr" if isinstance(training.network, FLMRModelForRetrieval) else "ret"
        card = model_card(training.recipe, kind, about, training.state.step, training.state.measured)
        checkpoints.save(
            training.folder, training.state.step, training.network, training.inputs, saved, card, best
        )
    training.accelerator.wait_for_everyone()


def _note(training: Training, line: dict[str, Any], told: Told) -> None:
    if training.accelerator.is_main_process:
        runs.add_metrics(training.folder, line)
        told(line)


class _Clock:
    """Speed since it was last read. questions: of a step."""

    def __init__(self, questions: int) -> None:
        self._questions = questions
        self._begin()

    def _begin(self) -> None:
        self._since, self._waited, self._steps = time.perf_counter(), 0.0, 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """In here a batch is waited for."""
        before = time.perf_counter()
        yield
        self._waited += time.perf_counter() - before

    def step(self) -> None:
        self._steps += 1

    def read(self) -> dict[str, float]:
        """Questions a second, the share of the time that was spent waiting for data, and megabytes in use."""
        passed = max(time.perf_counter() - self._since, 1e-9)
        figures = {"examples_per_second": self._steps * self._questions / passed, "waiting": self._waited / passed}
        if torch.cuda.is_available():
            memory = torch.cuda.max_memory_allocated()
        else:
            memory = psutil.Process().memory_info().rss
        self._begin()
        return {name: round(value, 4) for name, value in figures.items()} | {"memory_mb": memory >> 20}


def _about_set(each: Questions) -> dict[str, Any]:
    passages = None if each.passages is None else len(each.passages)
    return {"name": each.name, "questions": len(each.rows), "passages": passages, "dropped": each.dropped,
            "key": each.key}  # fmt: skip


def _device(accelerator: Accelerator) -> str:
    cuda = accelerator.device.type == "cuda"
    return torch.cuda.get_device_name(accelerator.device) if cuda else str(accelerator.device)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
