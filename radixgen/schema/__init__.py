"""JSON Schema and Python types -> a byte machine.

    text ──reader──► locations ──shapes──► shapes (one conjunction each) ──graph──► nodes and their forms
                     (a schema at a pointer)                                          │ frames: what follows what
    Python type ──python_types──► text                  document ──quotes──►       machine: a ByteMachine

Fail closed: what is not enforced exactly is refused with its keyword and pointer (`keywords` lists all of them).
Generating may be narrower than validating (`extra_keys`, key order, plain numbers), never wider.

May import: grammar, automata, params, errors. May not: tokens, mask, torch.
"""

from radixgen.schema.compiler import SchemaCompiler
from radixgen.schema.python_types import parse_value, schema_of

__all__ = ["SchemaCompiler", "parse_value", "schema_of"]
