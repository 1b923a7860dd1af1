"""Field names and labels: one name in the many ways that schemas and forms spell it."""

from __future__ import annotations

from random import Random


def as_field(rng: Random, name: str) -> str:
    """snake_case mostly, camelCase, kebab-case, Title Case at times."""
    roll = rng.random()
    parts = [part for part in name.split("_") if part]
    if roll < 0.80:
        return "_".join(parts)
    if roll < 0.92:
        return parts[0] + "".join(part.title() for part in parts[1:])
    if roll < 0.94:
        return "-".join(parts)
    return " ".join(parts) if roll < 0.97 else "".join(part.title() for part in parts)


def as_label(rng: Random, name: str) -> str:
    """Due date, Due Date, DUE DATE, due_date, due date"""
    spaced = " ".join(name.split("_")).strip()
    forms = (spaced.capitalize(), spaced.title(), spaced, name, spaced.upper())
    return rng.choices(forms, weights=(30, 25, 25, 12, 8))[0]
