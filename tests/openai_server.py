"""An OpenAI-compatible server of a few lines: keeps what it is asked, answers what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    server: FakeOpenAI

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        text = self.server.answer(body)
        if self.server.reply is not None and body.get("stream"):
            self._send_events([self.server.reply])
        elif self.server.reply is not None:
            self._send(200, self.server.reply)
        elif text is None:
            self._send(503, {"error": {"message": "overloaded"}})
        elif body.get("stream"):
            self._stream(text, is_chat="messages" in body)
        else:
            said = {"message": {"content": text}} if "messages" in body else {"text": text}
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}
            self._send(200, {"choices": [{**said, "finish_reason": "stop"}] * body.get("n", 1), "usage": usage})

    def _send(self, status: int, reply: Any) -> None:
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, text: str, *, is_chat: bool) -> None:
        said = ({"delta": {"content": letter}} if is_chat else {"text": letter} for letter in text)
        self._send_events([{"choices": [{"index": 0, **one}]} for one in said])

    def _send_events(self, events: list[Any]) -> None:
        self.send_response(200)
        self.end_headers()
        for event in [*events, "[DONE]"]:
            data = event if isinstance(event, str) else json.dumps(event)
            self.wfile.write(f"data: {data}\n\n".encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class FakeOpenAI(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer: Any = lambda body: "hello"
        self.reply: Any = None
        """Sent as it is, if given: as the reply, or as a stream's only event."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def running_server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
