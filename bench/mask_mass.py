"""Does the share of probability that a mask leaves tell when a schema fights its model?

    python -m bench.mask_mass

The demo's documents, each answered twice by the built-in model: by the schema that its prompt describes, and by one
with the same number of fields and other names, which the prompt says nothing of. Both answers fit their schemas; only
`Completion.mass` tells the second one for what it is. Ids that have no alternative are not asked of the model, so names
of fields it would never write leave no trace: a schema is tried out with `forced_tokens=False`.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
from typing import Any

from bench.workload import demo_tasks
from radixgen import Engine

ALARM = 0.35
"""Below this share the model wanted to write something else most of the time."""


def renamed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with other names for its properties."""
    names = {name: f"field_{number}_b" for number, name in enumerate(schema["properties"])}
    required = [names[name] for name in schema.get("required", [])]
    properties = {names[name]: value for name, value in schema["properties"].items()}
    return {**schema, "properties": properties, "required": required}


def main() -> int:
    tasks = demo_tasks()
    shares: dict[str, list[float]] = {"described": [], "other": []}
    with Engine() as engine:
        for task in tasks:
            for name, schema in (("described", task.schema), ("other", renamed(task.schema))):
                answer = engine.generate(task.prompt, schema=schema, max_tokens=400, forced_tokens=False)
                shares[name].append(answer.mass)
    for name, found in shares.items():
        num_alarms = sum(one < ALARM for one in found)
        print(f"{name:10} median {statistics.median(found):.3f}  least {min(found):.3f}  most {max(found):.3f}", end="")
        print(f"  alarms {num_alarms} of {len(found)}")
    missed = sum(one >= ALARM for one in shares["other"])
    false = sum(one < ALARM for one in shares["described"])
    print(json.dumps({"alarm_below": ALARM, "missed": missed, "false_alarms": false, "documents": len(tasks)}))
    return int(missed + false > len(tasks) // 10)


if __name__ == "__main__":
    sys.exit(main())
