"""Every message that crosses a process, and the sockets. The only importer of zmq. No torch, no tokenizer.

The protocol
============
One ZeroMQ ROUTER (the worker, bound) and any number of DEALERs (clients, connected); one frame a message; a frame is
one msgpack map whose `"type"` names the message and whose other keys are the fields in `radixgen.wire.messages`. So a
client in any language needs ZeroMQ and msgpack, and no tokenizer.

    client                              worker
      │ hello {version}                   │
      │ ────────────────────────────────► │
      │        welcome {model, sizes}     │     or failed {request_id 0}: another version
      │ ◄──────────────────────────────── │
      │ generate {request_id, prompt,     │
      │   params, constraint?, stream}    │
      │ ────────────────────────────────► │     many at once, in any number
      │                delta ... delta    │     only if stream
      │ ◄──────────────────────────────── │
      │          end {outputs, usage}     │     or failed {request_id, code, message, details}:
      │ ◄──────────────────────────────── │     exactly one of the two, for every request
      │ abort {request_id}                │     the request then fails with RequestAborted
      │ heartbeat                         │     every few seconds, so that a vanished client's work is dropped
      │ call {request_id, verb}           │
      │ ────────────────────────────────► │
      │      reply {request_id, result}   │     or failed
      │ ◄──────────────────────────────── │

    verb ("type")  fields                                  result
    stats          -                                       values: name -> number
    score          prompt, continuations, namespace,       rows of [ids, logprobs, total, tops], usage
                   is_joint, num_logprobs
    tokenize       prompt                                  ids
    detokenize     ids                                     text, pieces (bytes of each id)
    check          constraint, document, max_tokens        min_tokens
    dump           -                                       text, for a person to read
    requests       most                                    requests that are open, num_left_out
    flush          namespace (nil: all)                    num_tokens forgotten
    pin            prompt, namespace, owner, ttl_s         num_tokens of the prompt that are pinned
    unpin          namespace, owner                        num_pins dropped
    cache_stats    -                                       counts of the prefix cache, in all and by namespace
    cache_dump     namespace (nil: all), most              nodes of the radix tree, num_left_out
    cache_events   since                                   events, next; see radixgen.kvcache.events
    requests       most                                    what is open, of all clients, and how far it has come

The first messages of a session, written as JSON (`examples/rpc_client/client.mjs` is a whole client in 60 lines):

    {"type": "hello", "version": 2, "token": "32 random hex digits"}
    {"type": "welcome", "version": 2, "model": "builtin", "vocab_size": 2048, "context_len": 4096, "pid": 4711, ...}
    {"type": "generate", "request_id": 1, "stream": true, "params": {"max_tokens": 100, "temperature": 0.0},
     "prompt": [{"type": "message", "role": "user", "parts": [{"type": "document", "text": "Total due: 63.70 EUR"}]}],
     "constraint": {"type": "json_schema", "text": "{\\"type\\": \\"object\\", ...}", "verbatim": true}}
    {"type": "delta", "request_id": 1, "output": 0, "text": "{\\"total\\":", "token_ids": [95, 371, 19], ...}
    {"type": "end", "request_id": 1, "outputs": [{"text": "{\\"total\\":63.70}", ...}], "usage": {...}}

Fields left out take their defaults; the classes of `messages` and of `radixgen.params` (prompt parts, constraints,
sampling parameters) give names, meanings and units, and a class's `tag` is its `"type"`. A namespace is
[tenant, adapter, salt], or a string: the salt alone. Ids of requests are the client's own numbers from 1 on, each used
once. `failed` carries the name of an error of `radixgen.errors` in `code`. A message that cannot be read is answered by
`failed`, with its request's number when that can still be told, and changes nothing else. Whoever has lost its worker
may ask the next one with `resumed` (what each output had been told) and the same seed; the answer goes on from there.

Addresses are `ipc://` (a path in a folder that only its owner may enter), `tcp://` on loopback, or `tcp://` anywhere
with CURVE keys (`keys`); anything else is refused. Whoever may connect may use the model, outside of any HTTP key.
"""
