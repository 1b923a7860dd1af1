"""Messages to bytes and back. Bytes come from other processes: what comes out is a message or an error."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from radixgen.errors import ParamError, ProtocolError, RadixgenError
from radixgen.wire.messages import NO_REQUEST, ClientMessage, Failed, Ready, Start, WorkerMessage

MAX_MESSAGE_BYTES = 64 << 20
_MAX_DETAIL_CHARS = 2000
_M = TypeVar("_M")


class _Head(msgspec.Struct):
    request_id: int = NO_REQUEST


_encoder = msgspec.msgpack.Encoder()
_from_client = msgspec.msgpack.Decoder(ClientMessage)
_from_worker = msgspec.msgpack.Decoder(WorkerMessage)
_head = msgspec.msgpack.Decoder(_Head)
_line: msgspec.json.Decoder[Start | Ready | Failed] = msgspec.json.Decoder(Start | Ready | Failed)


def encode(message: ClientMessage | WorkerMessage) -> bytes:
    """One message as msgpack.

    Raises:
        ParamError: the message is larger than a peer reads, or holds what msgpack cannot (an integer over 64 bits).
    """
    try:
        data = _encoder.encode(message)
    except (OverflowError, UnicodeEncodeError, TypeError) as error:
        raise ParamError(f"a {type(message).__name__} cannot be sent: {error}") from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise ParamError(
            f"a {type(message).__name__} of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}; "
            "split the prompt or shorten the document"
        )
    return data


def decode_from_client(data: bytes) -> ClientMessage:
    """What a client sent.

    Raises:
        ParamError: a well-formed request with a parameter out of range.
        ProtocolError: anything else that is no client message.
    """
    return _decode(_from_client, data)


def decode_from_worker(data: bytes) -> WorkerMessage:
    """What a worker sent; raises `ProtocolError` when it is no worker message."""
    return _decode(_from_worker, data)


def request_id_of(data: bytes) -> int:
    """The request a broken message speaks of, so that its sender learns which; NO_REQUEST when it cannot be told."""
    try:
        return _head.decode(data).request_id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return NO_REQUEST


def failed(request_id: int, error: Exception) -> Failed:
    """An exception as a message. What is no `RadixgenError` is a fault of ours and travels as `RequestFailed`."""
    if isinstance(error, RadixgenError):
        return Failed(request_id, type(error).__name__, str(error), error.details())
    text = f"{type(error).__name__}: {error}"[:_MAX_DETAIL_CHARS]
    return Failed(request_id, "RequestFailed", f"the worker failed on this request ({text}); please report it")


def encode_line(message: Start | Ready | Failed) -> bytes:
    """One line of JSON, with its end: the words on a worker's standard input and output while it starts."""
    return msgspec.json.encode(message) + b"\n"


def decode_line(line: bytes) -> Start | Ready | Failed:
    """Raises `ProtocolError` when the line is something else."""
    try:
        return _line.decode(line)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProtocolError(f"not a line of a starting worker ({error}): {line[:200]!r}") from None


def _decode(decoder: msgspec.msgpack.Decoder[_M], data: bytes) -> _M:
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not a message of this protocol: {error}") from None
