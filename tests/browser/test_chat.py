"""Talking to models: streaming, comparing, stopping, and everything that can go wrong on the way."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.conftest import HOSTILE, Console, Open
from tests.browser.test_pages import PHONE, overflow
from tests.support import Running

pytestmark = pytest.mark.browser

STEADY = "one two three four five six seven eight"


def ask(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send").click()


def answer(page: Page, model: str) -> Locator:
    return page.get_by_role("region", name=f"Answer of {model}").last


def ended(page: Page) -> None:
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=15_000)


def count(node: Running, model: str, outcome: str) -> float:
    labels = {"model": model, "outcome": outcome}
    return node.node.gateway.metrics.registry.get_sample_value("intermodel_calls_total", labels) or 0


def test_an_answer_appears_word_by_word(open_page: Open) -> None:
    page = open_page("/chat?model=test/slow")
    expect(page.get_by_role("log")).to_contain_text("Ask something.")
    ask(page, "count")
    expect(answer(page, "test/slow")).to_contain_text("0 1 2")
    assert "199" not in answer(page, "test/slow").inner_text(), "it is shown before it is whole"
    expect(page.get_by_role("log")).to_have_attribute("aria-busy", "true")


def test_a_whole_answer_tells_its_speed(open_page: Open) -> None:
    page = open_page("/chat?model=test/steady")
    ask(page, "count")
    ended(page)
    shown = answer(page, "test/steady")
    expect(shown).to_contain_text(STEADY)
    expect(shown).to_contain_text(re.compile(r"8\stokens · [\d.]+\stokens/s · first\safter\s\d+\.\d\d\ss"))
    expect(page.get_by_role("status")).to_have_text("test/steady: answered")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


def test_three_models_answer_side_by_side_and_at_once(open_page: Open) -> None:
    page = open_page("/chat")
    page.get_by_role("combobox", name="Model", exact=True).select_option("test/steady")
    page.get_by_role("combobox", name="Compare with").select_option("test/slow")
    page.get_by_role("combobox", name="and with").select_option("quick")
    ask(page, "hello there")
    expect(answer(page, "quick")).to_contain_text("hello there")
    expect(answer(page, "quick")).to_contain_text(re.compile(r"by\secho"))
    expect(answer(page, "test/slow")).to_contain_text("0 1 2")
    expect(answer(page, "test/steady")).to_contain_text("one two")
    places = [answer(page, m).bounding_box() for m in ("test/steady", "test/slow", "quick")]
    assert len({round(p["y"]) for p in places if p}) == 1
    assert len({round(p["x"]) for p in places if p}) == 3
    page.get_by_role("button", name="Stop").click()
    ended(page)
    assert "model=test%2Fslow" in page.url


def test_stopping_stops_the_upstream_too(open_page: Open, node: Running) -> None:
    page = open_page("/chat?model=test/slow")
    before = count(node, "test/slow", "left")
    ask(page, "go on")
    expect(answer(page, "test/slow")).to_contain_text("0 1 2")
    page.get_by_role("button", name="Stop").click()
    ended(page)
    expect(answer(page, "test/slow")).to_contain_text("Stopped.")
    until = time.monotonic() + 5
    while count(node, "test/slow", "left") == before and time.monotonic() < until:
        time.sleep(0.02)
    assert count(node, "test/slow", "left") == before + 1
    ask(page, "again")
    expect(answer(page, "test/slow")).to_contain_text("0 1")


def test_what_a_model_says_stays_text(open_page: Open) -> None:
    page = open_page("/chat?model=test/hostile&model=echo")
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    ask(page, HOSTILE)
    ended(page)
    for model in ("test/hostile", "echo"):
        expect(answer(page, model)).to_contain_text(HOSTILE)
    expect(page.get_by_role("heading", level=2)).to_contain_text(HOSTILE)
    log = page.get_by_role("log")
    expect(log.get_by_role("img")).to_have_count(0)
    expect(log.get_by_role("link")).to_have_count(0)
    page.reload()
    expect(answer(page, "test/hostile")).to_contain_text(HOSTILE)


def test_an_answer_that_breaks_off_is_shown_as_such(open_page: Open) -> None:
    page = open_page("/chat?model=test/breaking")
    ask(page, "go")
    ended(page)
    expect(answer(page, "test/breaking")).to_contain_text("this was going")
    expect(answer(page, "test/breaking")).to_contain_text("The answer broke off.")


@pytest.mark.parametrize("ending", ["", 'data: {"choices":[{"delta":{"content":"more"}}]}\n\n', "data: [DO"])
def test_a_stream_without_its_end_is_shown_as_broken_off(open_page: Open, ending: str) -> None:
    page = open_page("/chat?model=echo")
    body = f'data: {{"choices":[{{"delta":{{"content":"half"}}}}]}}\n\n{ending}'
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    ask(page, "go")
    ended(page)
    expect(answer(page, "echo")).to_contain_text("half")
    expect(answer(page, "echo")).to_contain_text("The answer broke off.")


def test_thinking_is_kept_apart_and_a_limit_is_told(open_page: Open) -> None:
    page = open_page("/chat?model=echo")
    deltas = [{"reasoning_content": "let me see"}, {"content": "so"}]
    chunks = [{"choices": [{"delta": d}]} for d in deltas] + [{"choices": [{"delta": {}, "finish_reason": "length"}]}]
    body = "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    ask(page, "go")
    ended(page)
    expect(answer(page, "echo")).to_contain_text("Cut off")
    expect(answer(page, "echo")).to_contain_text(re.compile(r"about\s2\stokens"))
    expect(page.get_by_text("let me see")).to_be_hidden()
    page.get_by_text("Thinking", exact=True).click()
    expect(page.get_by_text("let me see")).to_be_visible()


def test_what_goes_wrong_is_told_with_what_to_do(open_page: Open, console: Console, node: Running) -> None:
    console.allow("status of (400|401|502|503)|net::ERR_")
    page = open_page("/chat?model=test/failing")
    ask(page, "go")
    ended(page)
    expect(answer(page, "test/failing")).to_contain_text("answered 503")
    expect(answer(page, "test/failing")).to_contain_text("request ")
    page.context.set_offline(True)
    ask(page, "go")
    ended(page)
    expect(answer(page, "test/failing")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    page.context.clear_cookies()
    ask(page, "go")
    ended(page)
    expect(answer(page, "test/failing")).to_contain_text("Your sign-in has ended")


def test_a_conversation_goes_on_and_can_be_cleared(open_page: Open) -> None:
    page = open_page("/chat?model=echo")
    asked: list[Any] = []

    def note(request: Request) -> None:
        if request.url.endswith("/chat/completions"):
            asked.append(request.post_data_json)

    page.on("request", note)
    page.get_by_text("Options").click()
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_label("Max tokens").fill("50")
    ask(page, "first")
    ended(page)
    ask(page, "second")
    ended(page)
    said = [m["content"] for m in asked[-1]["messages"]]
    assert said == ["Be brief.", "first", "first", "second"]
    assert (asked[-1]["temperature"], asked[-1]["max_tokens"]) == (0.3, 50)
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("link", name="Chat", exact=True).click()
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("button", name="Clear conversation").click()
    expect(page.get_by_role("article")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("log")).to_contain_text("Ask something.")


def test_signing_out_leaves_nothing_behind(open_page: Open) -> None:
    page = open_page("/chat?model=echo")
    ask(page, "a secret")
    ended(page)
    assert "a secret" in page.evaluate("JSON.stringify(sessionStorage)")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.evaluate("sessionStorage.length") == 0


def test_the_keyboard_alone_is_enough(open_page: Open) -> None:
    page = open_page("/chat?model=test/slow")
    message = page.get_by_role("textbox", name="Message")
    expect(message).to_be_focused()
    page.keyboard.type("two")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lines")
    expect(message).to_have_value("two\nlines")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_contain_text("two\nlines", use_inner_text=True)
    expect(answer(page, "test/slow")).to_contain_text("0 1 2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(answer(page, "test/slow")).to_contain_text("Stopped.")
    expect(message).to_be_focused()
    page.keyboard.type("once more")
    page.keyboard.press("Enter")
    expect(answer(page, "test/slow")).to_contain_text("0 1 2")
    page.keyboard.press("Escape")
    expect(answer(page, "test/slow")).to_contain_text("Stopped.")


def test_an_option_out_of_range_is_shown_where_it_is(open_page: Open) -> None:
    page = open_page("/chat?model=echo")
    page.get_by_text("Options").click()
    page.get_by_label("Temperature").fill("7")
    page.get_by_text("Options").click()
    ask(page, "hot")
    expect(page.get_by_label("Temperature")).to_be_focused()
    expect(page.get_by_role("article")).to_have_count(0)


def test_it_fits_a_telephone(open_page: Open) -> None:
    page = open_page("/chat?model=test/long&model=echo&model=test/steady", viewport=PHONE)
    ask(page, "unbroken" * 100)
    ended(page)
    assert overflow(page) <= 0
    places = [answer(page, m).bounding_box() for m in ("test/long", "echo", "test/steady")]
    assert len({round(p["x"]) for p in places if p}) == 1, "answers stand below each other"
    expect(page.get_by_role("textbox", name="Message")).to_be_in_viewport()


def test_it_works_without_scripts(open_page: Open) -> None:
    page = open_page("/chat?model=echo&model=test/hostile", java_script_enabled=False)
    ask(page, HOSTILE)
    for model in ("echo", "test/hostile"):
        expect(answer(page, model)).to_contain_text(HOSTILE)
    ask(page, "and then?")
    expect(answer(page, "echo")).to_contain_text("and then?")
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    page.get_by_role("button", name="Clear conversation").click()
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page.get_by_role("combobox", name="Compare with")).to_have_value("test/hostile")


def test_events_are_read_wherever_the_network_cuts_them(open_page: Open) -> None:
    stream = 'data: {"a":"€ 😀"}\r\n\r\n: comment\ndata:x\ndata: y\n\nevent: z\rid: 1\rdata: last\r\rdata: never ended'
    read = """async ([module, text]) => {
        const { events } = await import(module);
        const bytes = new TextEncoder().encode(text);
        const seen = new Set();
        for (let a = 0; a <= bytes.length; a++) for (const b of [a, a + 1, a + 3, bytes.length]) {
            const cuts = [bytes.slice(0, a), bytes.slice(a, b), bytes.slice(b)];
            const stream = new ReadableStream({ start(c) { cuts.forEach((x) => c.enqueue(x)); c.close(); } });
            const found = [];
            for await (const data of events(stream)) found.push(data);
            seen.add(JSON.stringify(found));
        }
        return [...seen];
    }"""
    page = open_page("/chat")
    module = page.evaluate("document.head.querySelector('[rel=modulepreload]').href")
    assert page.evaluate(read, [module, stream]) == ['["{\\"a\\":\\"€ 😀\\"}","x\\ny","last"]']
