"""Raw material: lists of names, places and words, made once per process from faker, and invented words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from faker import Faker

LOCALES = ("en_US", "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "sv_SE", "pt_BR")
_ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl dr fl gr kr pl pr sh sk sl sp st th tr qu"
_NUCLEI = "a e i o u ai ea ee ia io oa ou"
_CODAS = "n r l s t m x nd rn st ck lt"
_ITALIAN_CITIES = (  # faker keeps those of it_IT in a set, so that they differ from process to process
    *("Roma", "Milano", "Napoli", "Torino", "Palermo", "Genova", "Bologna", "Firenze", "Bari", "Catania", "Verona"),
    *("Venezia", "Messina", "Padova", "Trieste", "Brescia", "Parma", "Prato", "Modena", "Reggio Emilia", "Perugia"),
    *("Ravenna", "Livorno", "Cagliari", "Foggia", "Rimini", "Salerno", "Ferrara", "Sassari", "Monza", "Bergamo"),
)


class Pools(NamedTuple):
    """Lists to draw from; addresses are (street, postcode, city) that belong together."""

    persons: list[str]
    first_names: list[str]
    companies: list[str]
    cities: list[str]
    countries: list[str]
    addresses: list[tuple[str, str, str]]
    phones: list[str]
    jobs: list[str]
    words: list[str]


@functools.cache
def load_pools(size: int = 400) -> Pools:
    """Draw `size` of each per locale, always the same."""
    columns: list[list] = [[] for _ in Pools._fields]
    for i, locale in enumerate(LOCALES):
        fake = Faker(locale)
        fake.seed_instance(i)
        city = partial(fake.random_element, _ITALIAN_CITIES) if locale == "it_IT" else fake.city
        makers: tuple[Callable[[], Any], ...] = (
            lambda f=fake: f"{f.first_name()} {f.last_name()}",
            fake.first_name,
            fake.company,
            city,
            fake.country,
            lambda f=fake, c=city: (" ".join(f.street_address().split()), f.postcode(), c()),
            fake.phone_number,
        )
        for column, make in zip(columns, makers, strict=False):
            column.extend(make() for _ in range(size))
    english = Faker("en_US")
    english.seed_instance(0)
    columns[7] = sorted({english.job() for _ in range(600)})
    columns[8] = sorted({english.word() for _ in range(6000)})
    return Pools(*columns)


def invent(rng: Random, syllables: int = 0) -> str:
    """A word that no one knows, in lower case."""
    count = syllables or rng.choice((1, 2, 2, 2, 3))
    onsets, nuclei, codas = _ONSETS.split(), _NUCLEI.split(), ["", "", "", *_CODAS.split()]
    return "".join(rng.choice(onsets) + rng.choice(nuclei) + rng.choice(codas) for _ in range(count))


def word(rng: Random) -> str:
    """An English word, or one time in eight an invented one."""
    return invent(rng) if rng.random() < 0.12 else rng.choice(load_pools().words)


def words(rng: Random, low: int, high: int) -> str:
    """A few words with spaces between."""
    return " ".join(word(rng) for _ in range(rng.randint(low, high)))


@functools.cache
def phrases(name: str) -> tuple[str, ...]:
    """The phrases of one line of words/pools.txt."""
    lines = (Path(__file__).parent / "words" / "pools.txt").read_text().splitlines()
    table = {key: rest for key, _, rest in (line.partition(": ") for line in lines if line[:1] != "#")}
    return tuple(phrase.strip() for phrase in table[name].split(";"))
