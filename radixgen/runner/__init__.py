"""One batch on one device: forward, sample, collect.

    StepPlan ──► forward ──► kept logits ──► sample(rows with masks) ──► ticket ──► collect ──► StepResult
                    │ writes                     ▲ fills
                 KvPool                      mask_buffer (the scheduler's matchers)

Job: do what a plan says, on the device the configuration names. It decides nothing: which rows run, which slots they
write, and what follows a drawn id is the scheduler's. Invariant: one row's fault (a logit that is not a number) is told
in that row's result and touches no other. `plan` has no torch in it, so the scheduler may import it:
`load_runner` and `Runner` are loaded when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radixgen.runner.runner import Runner, load_runner

__all__ = ["Runner", "load_runner"]


def __getattr__(name: str) -> object:
    if name in __all__:
        import radixgen.kernels  # noqa: F401 - sets what must be set before torch is loaded
        from radixgen.runner import runner

        return getattr(runner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
