"""JSON Schema and Python types -> a byte machine.

    text ──reader──► locations ──meanings──► of a value of one kind: a bool, a NumberSet, a TextSet, or a formula
                     (a schema at its place)                          of what is owed in an object or array
    node   a formula over jobs ("satisfies that schema"): what a value may be      ──nodes──►  automata, first rests
    rest   what is owed inside an open container    ──key, item──►  (node of the value, rest behind it)   containers
    costs  the cheapest text of nodes and rests: what is live, and the plan that ends an answer             search
    frames what may be written next    machine   sets of configurations over continuations: a ByteMachine

Exact: every assertion keyword is enforced, by derivatives of Boolean formulas: an object's formula is rewritten by each
key, what it asks of the key's value becomes the value's node, and what is left is owed by the rest. Where a formula
leaves a choice between the two (`anyOf`, `not`, `if`, `contains`, ...) it is split into guesses, one configuration
each, which must come true (`guesses`). What nobody asks for any more is gone from the formula.

Fail closed: what cannot be enforced is refused with its keyword and pointer. Generating may be narrower than
validating (`extra_keys`, key order, plain numbers), never wider. A search for a text that is out of effort says
"unknown", which is counted (`num_unknown`), and not "no".

May import: grammar, automata, params, errors. May not: tokens, mask, torch.
"""

from radixgen.schema.compiler import SchemaCompiler
from radixgen.schema.python_types import parse_value, schema_of

__all__ = ["SchemaCompiler", "parse_value", "schema_of"]
