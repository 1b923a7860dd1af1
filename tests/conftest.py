"""Property tests draw the same examples every time, so that a run says something of the change and not of its luck.

`pytest --hypothesis-profile=explore` draws new ones. One server process serves all tests that only ask it something.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from serving import Process, serving

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving(tmp_path_factory.mktemp("server")) as process:
        yield process
