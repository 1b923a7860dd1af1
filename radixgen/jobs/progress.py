"""What a running job shows: a bar on a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Summary:
    """What a job did. Times are seconds, counts are of this run alone except `num_before`."""

    num_rows: int = 0
    num_before: int = 0
    num_done: int = 0
    num_failed: int = 0
    num_closed: int = 0
    num_withheld: int = 0
    num_unsure: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    forced_tokens: int = 0
    truncated: int = 0
    elapsed_s: float = 0.0
    is_interrupted: bool = False
    errors: list[str] = field(default_factory=list)

    @property
    def cached_share(self) -> float:
        """Share of prompt tokens that came from the cache."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def tokens_per_s(self) -> float:
        """Prompt and written tokens together."""
        return self.rate(self.prompt_tokens + self.completion_tokens)

    def rate(self, count: float) -> float:
        return count / self.elapsed_s if self.elapsed_s else 0.0

    def text(self) -> str:
        before = f", {self.num_before} kept from before" if self.num_before else ""
        lines = [
            f"{self.num_done} records, {self.num_failed} failed{before}, in {self.elapsed_s:.1f} s: "
            f"{self.rate(self.num_done):.1f} records/s, {self.tokens_per_s:.0f} tokens/s",
            f"prompt tokens {self.prompt_tokens}, {self.cached_share:.0%} from cache; "
            f"written {self.completion_tokens}, {self.forced_tokens} of them forced by the grammar",
        ]
        if self.num_closed:
            lines.append(f"{self.num_closed} records were cut by the token limit (see `closed`); raise --max-tokens")
        if self.num_withheld or self.num_unsure:
            lines.append(
                f"{self.num_withheld} fields below --min-confidence are null now (`withheld` keeps what stood there), "
                f"{self.num_unsure} could not be (`unsure`)"
            )
        if self.truncated:
            lines.append(f"{self.truncated} documents were cut to fit the model's context")
        lines += [f"failed: {error}" for error in self.errors]
        if self.is_interrupted:
            lines.append("interrupted: what is done is kept; run again with --resume")
        return "\n".join(lines)


class Progress:
    """Shows a `Summary` while it grows; quiet=True shows nothing."""

    def __init__(
        self, summary: Summary, *, quiet: bool = False, stream: TextIO | None = None, every_s: float = 5.0
    ) -> None:
        self._summary = summary
        self._stream = stream or sys.stderr
        self._every_s = every_s
        self._begun = self._last = time.perf_counter()
        self._bar = None
        self._is_quiet = quiet
        if not quiet and self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=summary.num_rows, initial=summary.num_before, unit=" records", file=self._stream)

    def advance(self) -> None:
        now = time.perf_counter()
        self._summary.elapsed_s = now - self._begun
        if self._bar is not None:
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update(1)
        elif not self._is_quiet and now - self._last >= self._every_s:
            self._last = now
            done = self._summary.num_before + self._summary.num_done + self._summary.num_failed
            rate = self._summary.rate(self._summary.num_done)
            print(
                f"{done}/{self._summary.num_rows} records, {rate:.1f}/s, {self._state()}", file=self._stream, flush=True
            )

    def _state(self) -> str:
        now = self._summary
        return f"{now.tokens_per_s:.0f} tokens/s, {now.cached_share:.0%} of prompts cached, {now.num_failed} failed"

    def close(self) -> None:
        self._summary.elapsed_s = time.perf_counter() - self._begun
        if self._bar is not None:
            self._bar.close()
