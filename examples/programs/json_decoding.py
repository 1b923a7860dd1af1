"""JSON decoding: a pydantic model goes in, an instance of it comes out; what can only be written one way is free.

radixgen run examples/programs/json_decoding.py --arg name="Lisbon"
"""

from typing import Literal

from pydantic import BaseModel, Field

from radixgen import ProgramState, function, gen


class Coordinates(BaseModel):
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class City(BaseModel):
    name: str = Field(max_length=30)
    country: str = Field(pattern="^[A-Z][a-z]{2,12}$")
    continent: Literal["Africa", "Asia", "Europe", "Oceania", "North America", "South America"]
    population: int = Field(ge=0, le=40_000_000)
    coordinates: Coordinates
    landmarks: list[str] = Field(min_length=1, max_length=3)


@function
def program(s: ProgramState, name: str) -> City:
    """What the model knows, or makes up, about a city."""
    s += f"Tell what you know about {name} as JSON.\n"
    city = gen("city", schema=City, max_tokens=256)
    s += city
    return s[city]
