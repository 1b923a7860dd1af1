"""Byte machine x vocabulary -> token masks, and one matcher per request. The only place where grammar meets vocabulary.

    vocabulary ──► TokenIndex (the trie as flat arrays)          index.py
                      │   walk.py: numba kernels; fallback.py: the same in numpy
                      ▼
    automaton, q ─► Piece: tokens that stay inside the scalar,   base.py
                    and `exits`, trie nodes where it may end
                      │
    state ───────► Record: OR of pieces and of the exits'        states.py
                    subtrees walked from what follows
                      │
    request ─────► Matcher: mask, forced ids, plan, rollback     matcher.py, forced.py, budget.py

Invariants: a mask allows a token exactly when its bytes can be stepped through the machine (as far as its scalars
tell: a token that holds two whole keys that no property lists is left out); a matcher always holds a
plan that ends the text within its budget; every memo is bounded in bytes, and what belongs to one request's document
dies with it. One thread owns a `MaskEngine` and everything made by it. No torch here.
"""

from __future__ import annotations

from radixgen.automata.work import Late
from radixgen.mask.engine import MaskEngine
from radixgen.mask.matcher import MaskFill, Matcher

__all__ = ["Late", "MaskEngine", "MaskFill", "Matcher"]
