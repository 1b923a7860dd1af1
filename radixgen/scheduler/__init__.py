"""Which tokens are computed when: queue, admission, step plan, the loop.

    submit ─► WaitingQueue ─admit─► running sequences ─Planner─► StepPlan ─► runner: forward, sample, collect
                  ▲ by order,            │    ▲                                              │
                  │ nobody for ever      │    └──────── advance (matchers, forced ids) ◄─────┘
                  └──── retract ◄────────┘ slots run out, or         └─► events
                                           a higher priority waits

    scheduler.py  the loop             queue.py, order.py   who is next        ledger.py    where everything is
    selection.py  who takes part       planner.py           rows to a plan     drafts.py    proposed ids
    flight.py     steps in the air     sampling.py          what is drawn      landing.py   what it comes to, outputs.py
    admission.py  sizes at the door    sequence.py          one row's worth    cache_check.py  runs again, compared

A *request* is what came in; a *sequence* is one row's worth of it: one output, or one continuation to score. Sequences
of a request find each other's prompt in the radix tree, so they share its slots without copying.

Invariants: a request ends in exactly one of `Finished` and `Failed`; the tokens that come out do not depend on batch,
chunks, retraction or the cache; whatever one request does wrong ends that request alone. Slots: see kvcache.

No torch and no text here. The scheduler may import mask, kvcache and the runner's plan; what it needs of others is in
`ports`.
"""
