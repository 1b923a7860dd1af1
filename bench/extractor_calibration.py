"""Fits `calibration.json`: a line of log-odds for each kind of value, by logistic regression on scored records."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from bench.extractor_scores import Answer, Verdict, verdicts
from bench.hand_written import Task
from radixgen.jobs.confidence import KINDS, Calibration, Line, log_odds

PRIOR = 5.0
"""Weight of the pooled line, as precision: kinds with few fields stay near it."""
STEPS = 30

Floats = npt.NDArray[np.float64]


def fit(tasks: Iterable[Task], answers: Iterable[Answer]) -> Calibration:
    """From answers whose confidence is the model's own."""
    cases: dict[str, list[tuple[float, bool]]] = {kind: [] for kind in KINDS}
    for task, answer in zip(tasks, answers, strict=True):
        for verdict in verdicts(task, answer).values():
            if verdict.confidence is not None:
                cases[_kind(verdict)].append((log_odds(verdict.confidence), not verdict.error))
    pooled = _line([one for given in cases.values() for one in given], Line(), PRIOR / 10)
    return Calibration({kind: _line(given, pooled, PRIOR) for kind, given in cases.items()})


def _kind(verdict: Verdict) -> str:
    if isinstance(verdict.value, list | dict):
        return "list"
    if verdict.value is None:
        return "null"
    if isinstance(verdict.value, str) and verdict.asked not in ("string", "choice"):
        return "format"
    return "choice" if verdict.asked in ("choice", "boolean") else verdict.asked.replace("integer", "number")


def _line(cases: list[tuple[float, bool]], prior: Line, weight: float) -> Line:
    """Newton's method, in steps of at most one, on the log-likelihood less `weight` / 2 times the squared distance from
    a prior line."""
    x = np.array([[1.0, odds] for odds, _ in cases]).reshape(-1, 2)
    y = np.array([float(right) for _, right in cases])
    centre = np.array(prior)
    line = centre.copy()
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ line))
        gradient = x.T @ (y - p) - weight * (line - centre)
        curvature = (x.T * (p * (1 - p))) @ x + weight * np.eye(2)
        line = line + np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
    return Line(float(line[0]), float(line[1]))
