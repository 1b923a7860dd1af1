"""How far a mask may look beyond a value whose text later ones must be unlike, without knowing that text.

    item ──► "]" or ", " as after any other, if enough values are left in any case      next item ──► stepped (`ASK`)

All answers are about what is surely so; where one value more or less decides what can follow, tokens are stepped at
once.
"""

from __future__ import annotations

from radixgen.schema.containers import Containers
from radixgen.schema.costs import Costs
from radixgen.schema.formula import Formula, Kind
from radixgen.schema.kinds import find_kinds
from radixgen.schema.nodes import ContainerForm
from radixgen.schema.rests import ArrayRest, ObjectRest, Plain

MAX_LOOKS = 3
"""Containers inside each other that are looked into."""


class Beyond:
    """Looks at the items of one schema's arrays."""

    def __init__(self, containers: Containers, costs: Costs) -> None:
        self._containers, self._costs, self._nodes = containers, costs, containers.nodes
        self._many: dict[Formula, bool] = {}

    def is_open(self, rest: ArrayRest) -> bool:
        """Whether what may follow an item begins alike for all its values."""
        plain = self._plain(rest)
        if plain is None:
            return False
        return plain.high == 0 or self._has_many(self._item(plain, rest), MAX_LOOKS)

    def _plain(self, rest: ArrayRest) -> Plain | None:
        """Of a rest where all items are alike."""
        if self._nodes.is_bound or rest.index < rest.form.limit:
            return None
        return self._containers.plain(rest)

    def _item(self, plain: Plain, rest: ArrayRest) -> Formula:
        """What an item is asked but to be unlike others."""
        return self._nodes.meanings.formulas.both([one.at(rest.index) for one in plain.items])

    def _has_many(self, formula: Formula, looks: int) -> bool:
        """Whether endless values satisfy a formula, or more than are ever counted."""
        found = self._many.get(formula)
        if found is None:
            found = looks > 0 and any(self._is_wide(formula, kind, looks - 1) for kind in self._kinds(formula))
            if found or looks == MAX_LOOKS:
                self._many[formula] = found
        return found

    def _kinds(self, formula: Formula) -> list[str]:
        kinds = find_kinds(self._nodes.meanings.reader, formula)
        return [kind for kind in ("string", "number") if kind in kinds] + ["container"]

    def _is_wide(self, formula: Formula, kind: str, looks: int) -> bool:
        if kind == "container":
            forms = [one for one in self._nodes.forms(self._nodes.node(formula)) if isinstance(one, ContainerForm)]
            return any(self._is_wide_container(one.rest, looks) for one in forms)
        meanings = self._nodes.meanings
        value = meanings.unmarked(meanings.of_formula(formula, kind), kind)
        if kind == "number":
            return not value.is_finite
        return meanings.texts.is_endless(value) or meanings.texts.has_room(value)

    def _is_wide_container(self, rest: ObjectRest | ArrayRest, looks: int) -> bool:
        plain = self._containers.plain(rest)
        if plain is None or plain.high is not None or not self._costs.is_live(rest):
            return False
        if isinstance(rest, ArrayRest):
            return self._has_many(self._nodes.meanings.formulas.both([one.at(0) for one in plain.items]), looks)
        keys = [self._containers.key(name) for name in rest.form.order]
        keys += [cell.key for cell in self._containers.cells(rest) if self._nodes.meanings.texts.is_endless(cell.texts)]
        asked = [self._containers.asked(plain, key) for key in keys]
        return any(
            self._has_many(one, looks) if key.name is not None else self._is_live(one)
            for key, one in zip(keys, asked, strict=True)
            if one.kind != Kind.FALSE
        )

    def _is_live(self, formula: Formula) -> bool:
        return self._costs.is_live(self._nodes.node(formula))
