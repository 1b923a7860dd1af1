"""The process where the parts are put together: text in, text out; models, masks and the scheduler between.

    main.py     the process: handshake with the parent, signals
    loop.py     the socket loop                                                     (frames)
    core.py     the worker without sockets: one request's life                      (messages)
    intake.py   who is prepared next; long texts are tokenized on a thread
    turns.py    grammar work that takes long, a turn at a time; patient.py: a matcher that is late rather than slow
    prepare.py  messages -> scheduler requests: render, tokenize, compile
    answer.py   token events -> text, offsets, confidence
    calls.py    the verbs that are not `generate`
    start.py    a WorkerConfig -> a core, timed; build.py puts it together
    meter.py    where the time goes
    garbage.py  collections while nothing runs

`Core` is all of the worker's behaviour, so that an in-process engine and a worker process behave the same. One
request's exception ends that request, as `Failed`; a step's exception ends the requests that were open in it.
"""
