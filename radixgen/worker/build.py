"""A configuration to a core: the one place where the parts are put together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import radixgen
from radixgen.automata.work import Limits as GrammarLimits
from radixgen.config import WorkerConfig
from radixgen.errors import ModelError
from radixgen.kvcache.prefix import PrefixCache
from radixgen.mask.engine import MaskEngine
from radixgen.models import resolve
from radixgen.runner import load_runner
from radixgen.runner.runner import Runner
from radixgen.scheduler.cache_check import CacheCheck
from radixgen.scheduler.request import Limits
from radixgen.scheduler.scheduler import Scheduler
from radixgen.tokens.chat import tool_format_of
from radixgen.tokens.tokenizer import Tokenizer
from radixgen.wire import messages
from radixgen.wire.codec import MAX_MESSAGE_BYTES
from radixgen.worker.calls import Calls
from radixgen.worker.core import METERS, Core
from radixgen.worker.meter import Meter, TimedRunner
from radixgen.worker.prepare import Preparer
from radixgen.worker.turns import Turns


def build_core(config: WorkerConfig, start: Meter) -> Core:
    """See `start_core`; `start` is told how long the parts take."""
    folder = resolve(config.model)
    with start.timed("tokenizer"):
        tokenizer = Tokenizer.load(folder)
    with start.timed("model"):
        runner = load_runner(config, folder)
    _check_vocabulary(folder, tokenizer, runner)
    with start.timed("grammar"):
        masks = _mask_engine(config, tokenizer)
    meter = Meter(METERS)
    cache = PrefixCache(
        runner.num_slots, page=config.page_size, policy=config.eviction_policy, pin_share=config.pin_share
    )
    scheduler = _scheduler(config, runner, tokenizer, meter, cache)
    turns = Turns(masks.work)
    preparer = Preparer(tokenizer, masks, turns, meter, runner.max_context, config)
    meters: dict[str, Callable[[], Mapping[str, float]]] = {
        "start": start.values,
        "time": meter.values,
        "process": {"started_s": time.time()}.copy,
        "scheduler": lambda: _numbers(scheduler.stats()),
        "cache": lambda: _numbers(cache.stats()),
        "mask": lambda: _mask_numbers(masks, turns),
    }
    calls = Calls(preparer, cache, meters)
    return Core(_welcome(config, folder, runner, tokenizer.template), preparer, scheduler, calls, meter)


def _check_vocabulary(folder: Path, tokenizer: Tokenizer, runner: Runner) -> None:
    num_tokens = tokenizer.vocabulary.vocab_size
    if num_tokens > runner.vocab_size:
        raise ModelError(
            f"{folder}: the tokenizer has {num_tokens} tokens and the model logits for {runner.vocab_size}; "
            "they are not of one model, or its embeddings were not resized"
        )


def _mask_engine(config: WorkerConfig, tokenizer: Tokenizer) -> MaskEngine:
    return MaskEngine(
        tokenizer.vocabulary,
        encode_forced=tokenizer.encode_forced,
        max_bytes=config.grammar_bytes,
        default_white_space="compact" if config.model == "builtin" else "free",
        limits=GrammarLimits(**{name: getattr(config, name) for name in GrammarLimits._fields}),
    )


def _scheduler(
    config: WorkerConfig, runner: Runner, tokenizer: Tokenizer, meter: Meter, cache: PrefixCache
) -> Scheduler:
    limits = Limits(config.max_rows, config.step_tokens, config.max_waiting, runner.max_context)
    return Scheduler(
        TimedRunner(runner, meter),
        cache,
        limits=limits,
        prefix_cache=config.prefix_cache,
        proposed_tokens=config.proposed_tokens,
        order=config.order,
        step_ahead=config.step_ahead,
        check=CacheCheck(config.check_cache, runner.tolerance) if config.check_cache else None,
        eos_ids=tokenizer.vocabulary.eos_ids,
    )


def _mask_numbers(masks: MaskEngine, turns: Turns) -> dict[str, float]:
    return {
        "num_bytes": masks.num_bytes,
        "num_table_bytes": masks.num_table_bytes,
        "num_unknown": masks.num_unknown,
        "num_jobs": turns.num_jobs,
        "num_compiled": masks.num_compiled,
        "num_found": masks.num_found,
        "compile_s": masks.compile_s,
    }


def _numbers(record: Any) -> dict[str, float]:
    """The numbers of a part's record of itself, by field."""
    names = getattr(record, "_fields", None) or [one.name for one in fields(record)]
    values = {name: getattr(record, name) for name in names}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _welcome(config: WorkerConfig, folder: Path, runner: Runner, template: str) -> messages.Welcome:
    return messages.Welcome(
        version=messages.PROTOCOL_VERSION,
        package=radixgen.__version__,
        model=config.model if config.model == "builtin" else folder.name,
        vocab_size=runner.vocab_size,
        context_len=runner.max_context,
        max_rows=config.max_rows,
        max_waiting=config.max_waiting,
        max_message_bytes=MAX_MESSAGE_BYTES,
        pid=os.getpid(),
        tool_format=tool_format_of(template),
        has_thinking="</think>" in template,
        reads_fields="Fields:" in template,
    )
