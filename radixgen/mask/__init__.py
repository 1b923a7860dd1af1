"""Byte machine x vocabulary -> token masks, and one matcher per request. The only place where grammar meets vocabulary.

    vocabulary ──► TokenIndex (the trie as flat arrays)          index.py, stored.py
                      │   walk.py: numba kernels (kernels.py, jit.py); fallback.py: the widest of them in numpy
                      ▼
    automaton, q ─► Piece: tokens that stay inside the scalar,   base.py; counts.py: strings with bounds;
                    and `exits`, trie nodes where it may end     closings.py: strings less some texts
                      │
    state ───────► Reach: the pieces of its scalars, and of      reach.py; lengths.py: how far a limit is
                    what follows them from their exits
                      │
                    Record: one mask of the pool, a few ids      states.py, pool.py
                      │
    request ─────► Matcher: mask, forced ids, plan, rollback     matcher.py, batch.py, forced.py, budget.py

Invariants: a mask allows a token exactly when its bytes can be stepped through the machine; a matcher always holds a
plan that ends the text within its budget; every memo is bounded in bytes, and what belongs to one request's document
dies with it. One thread at a time owns a `MaskEngine` and everything made by it. No torch here.
"""

from __future__ import annotations

from radixgen.automata.work import Late
from radixgen.mask.batch import fill_masks
from radixgen.mask.engine import MaskEngine
from radixgen.mask.matcher import MaskFill, Matcher

__all__ = ["Late", "MaskEngine", "MaskFill", "Matcher", "fill_masks"]
