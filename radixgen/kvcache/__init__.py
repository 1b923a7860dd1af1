"""Which slot of the KV pool holds which token, and which computed prefixes can be used again.

    PrefixCache ── SlotPool      free slots, a numpy stack
               └── RadixTree     token prefixes -> slots; locks; the order of eviction

Every slot is in exactly one of three places: free in the pool, in the tree, or owned by a running request. A request
holds a lock on the tree node up to which its slots are the tree's. Integers only: no torch, no model, no scheduler.
"""
