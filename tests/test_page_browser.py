"""The page in a browser: a chromium that is there already, driven by Playwright."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, served

from radixgen import Engine

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the browser extra)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to drive")
FINISHED = "#figures div:nth-child(6)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("data")
    with Engine(in_process=True, num_slots=8192, num_threads=1) as engine, served(engine, folder) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Any]:
    """A tab on the server that tolerates no error, and no request to anybody else."""
    with watched(browser, server) as page:
        yield page


class watched:
    """A tab that notes what goes wrong in it."""

    def __init__(self, browser: Any, server: Served, **options: Any) -> None:
        self._context = browser.new_context(**options)
        self._context.set_default_timeout(30_000)
        self._server, self._wrong = server, []

    def __enter__(self) -> Any:
        page = self._context.new_page()
        page.on("pageerror", lambda error: self._wrong.append(str(error)))
        page.on("console", lambda said: self._wrong.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: self._wrong.append(asked.url) if not self._is_ours(asked.url) else None)
        return page

    def _is_ours(self, url: str) -> bool:
        return url.startswith((self._server.url, "data:"))

    def __exit__(self, *_: object) -> None:
        if folder := os.environ.get("RADIXGEN_SCREENSHOTS"):
            self._context.pages[0].screenshot(path=Path(folder) / f"{os.urandom(3).hex()}.png", full_page=True)
        self._context.close()
        assert self._wrong == []


def texts(page: Any, selector: str) -> list[str]:
    return page.locator(selector).all_text_contents()


def test_the_first_example_runs_and_its_tokens_are_marked(page: Any, server: Served) -> None:
    page.goto(server.url)
    page.wait_for_selector("#findings .good")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(FINISHED)
    written = "".join(texts(page, "#tokens .tok"))
    assert {"vendor", "total"} <= json.loads(written).keys()
    assert page.locator("#tokens .forced").count() > 5
    assert page.locator("#tokens .narrowed").count() > 1
    page.hover("#tokens .narrowed >> nth=0")
    page.wait_for_selector("#tip:visible")
    assert "that fit" in page.text_content("#tip")
    page.click("#shown [data-value=values]")
    assert page.locator("#values tbody tr").count() >= 5
    quotes = texts(page, "#values mark")
    assert quotes
    assert all(quote in page.input_value("#prompt") for quote in quotes)


def test_tokens_are_gone_through_with_the_arrow_keys(page: Any, server: Served) -> None:
    page.goto(server.url)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(FINISHED)
    page.focus("#tokens")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tokens .here", "data-place") == "2"
    assert page.is_visible("#tip")


def test_findings_come_as_one_types(page: Any, server: Served) -> None:
    page.goto(server.url)
    page.wait_for_selector("#findings .good")
    page.fill("#constraint", '{"type": "string", "pattern": "(a)\\\\1"}')
    page.wait_for_selector("#findings .refused")
    assert "pattern" in page.text_content("#findings")
    page.fill("#constraint", '{"type": ')
    page.locator("#findings", has_text="Not JSON").wait_for()
    page.click("#kind [data-value=regex]")
    page.fill("#constraint", "[ab]{3}")
    page.wait_for_selector("#findings .good")


def test_a_document_s_markup_stays_text(page: Any, server: Served) -> None:
    trap = "<img src=x onerror=alert(1)><script>alert(2)</script> Total: 5"
    page.goto(server.url)
    page.fill("#prompt", trap)
    page.click("#kind [data-value=choices]")
    page.fill("#constraint", trap)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(FINISHED)
    assert "".join(texts(page, "#tokens .tok")) == trap
    assert page.locator("#view-playground img, main script").count() == 0


def test_the_engine_draws_the_tree_and_tells_of_a_node(page: Any, server: Served) -> None:
    for text in ("one", "two"):
        body = {"prompt": f"A prefix that both prompts share, then {text}", "max_tokens": 2}
        assert server.post("/v1/completions", body).status_code == 200
    page.goto(f"{server.url}/#engine")
    page.wait_for_selector(".tile")
    page.locator("#tree-count", has_text="nodes").wait_for()
    colors = page.evaluate(
        """() => { const canvas = document.querySelector('#tree');
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(data.buffer)).size; }"""
    )
    assert colors > 10
    page.focus("#tree")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#tip:visible")
    assert "tokens" in page.text_content("#tip")
    page.keyboard.press("Enter")
    assert page.is_enabled("#tree-out")
    page.keyboard.press("Escape")
    assert page.is_disabled("#tree-out")


def test_nobody_is_asked_while_nobody_looks(page: Any, server: Served) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    page.wait_for_selector("#findings .good")
    page.wait_for_timeout(1500)
    assert not [url for url in asked if "/admin/" in url]


def test_a_server_with_keys_asks_for_one_and_keeps_it_in_the_tab(browser: Any, server: Served, tmp_path: Path) -> None:
    with served(server.service.engine, tmp_path, api_key="user", admin_key="boss") as locked:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{locked.url}/#engine")
        page.wait_for_selector("#key-dialog[open]")
        page.fill("#key", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("#key-wrong:visible")
        page.fill("#key", "user")
        page.keyboard.press("Enter")
        page.locator("#engine-notice", has_text="admin").wait_for()
        page.click("#key-open")
        page.fill("#key", "boss")
        page.keyboard.press("Enter")
        page.wait_for_selector(".tile")
        assert page.evaluate("Object.values(localStorage).includes('boss')") is False
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_telephone(browser: Any, server: Served, scheme: str) -> None:
    size = {"width": 390, "height": 800}
    with watched(browser, server, viewport=size, color_scheme=scheme) as page:
        for view in ("playground", "engine"):
            page.goto(f"{server.url}/#{view}")
            page.wait_for_selector("#findings .good" if view == "playground" else ".tile", state="attached")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
