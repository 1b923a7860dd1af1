"""The link to a worker in another process."""

from __future__ import annotations

from collections.abc import Callable

from radixgen.errors import ProtocolError
from radixgen.wire.codec import decode_from_worker, encode
from radixgen.wire.keys import ClientKeys
from radixgen.wire.messages import ClientMessage, WorkerMessage
from radixgen.wire.sockets import Connection


class SocketLink:
    """Messages over one `Connection`. A worker that cannot be understood is as good as lost."""

    def __init__(
        self,
        address: str,
        deliver: Callable[[WorkerMessage], None],
        lost: Callable[[str], None],
        keys: ClientKeys | None = None,
    ) -> None:
        self._deliver = deliver
        self._lost = lost
        self._connection = Connection(address, self._receive, lost, keys)

    def send(self, message: ClientMessage) -> None:
        self._connection.send(encode(message))

    def close(self) -> None:
        self._connection.close()

    def _receive(self, data: bytes) -> None:
        try:
            message = decode_from_worker(data)
        except ProtocolError as error:
            self._lost(str(error))
            self._connection.close()
            return
        self._deliver(message)
