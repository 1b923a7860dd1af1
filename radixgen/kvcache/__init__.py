"""Which slot of the KV pool holds which token, and which computed prefixes can be used again.

    PrefixCache ── SlotPool      free slots, a stack of pages
               ├── RadixTree     token prefixes -> slots, one root per namespace
               │     ├── Locks      who holds what, and in which order idle nodes go (`policies`)
               │     └── EventLog   what changed, for routers
               └── Pins          prefixes that stay

Every slot is in exactly one of three places: free in the pool, in the tree, or owned by a running request. A request
holds a lock on the tree node up to which its slots are the tree's. What stands under one namespace (tenant, adapter,
salt) is never found, counted, drawn or told under another.

Integers only: no torch, no model, no scheduler. Tiers (host memory, disk) are not here; they would take what
`RadixTree.evict` returns, and tell what they hold where `match` ends.
"""
