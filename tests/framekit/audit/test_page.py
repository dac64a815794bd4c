"""The report in a real browser, opened from disk as a user does."""

from dataclasses import dataclass, field

import pytest

from framekit.audit.auditing import audit
from framekit.audit.writing import write_report
from tests.framekit.audit.datasets import HOSTILE
from tests.framekit.review.serving import ARGUMENTS, CHROMIUM

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
expect = playwright.expect

WIDE, PHONE = {"width": 1240, "height": 900}, {"width": 400, "height": 800}


@dataclass
class Opened:
    """A page, what its console said, what it asked for besides itself."""

    page: object
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(films, mixed, tmp_path_factory):
    """The report of two films beside a dataset that has a bit of everything."""
    out = tmp_path_factory.mktemp("page") / HOSTILE.replace("/", "")
    return write_report(audit(films, against=mixed), out).as_uri()


@pytest.fixture
def opened(browser, address):
    """Opens the report in a window of a size, light or dark."""
    contexts = []

    def open_it(size=WIDE, scheme="light"):
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme, has_touch=size is PHONE))
        found = Opened(contexts[-1].new_page())
        found.page.on("console", lambda message: found.complaints.append(message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("dialog", lambda dialog: (found.complaints.append("a dialog"), dialog.dismiss()))
        found.page.on("request", lambda asked: found.asked.append(asked.url))
        found.page.goto(address)
        return found

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_disk_without_a_complaint_or_a_request(opened, address, size, scheme):
    found = opened(size, scheme)
    expect(found.page.locator("h1")).to_be_visible()
    assert found.complaints == []
    assert {url for url in found.asked if not url.startswith("data:")} == {address}
    pictures = "[...document.images].map((image) => image.naturalWidth)"
    widths = found.page.evaluate(pictures)
    assert len(widths) > 20
    assert min(widths) > 0
    assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground, ink = found.page.evaluate(
        "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
    )
    assert (lightness(ground) > lightness(ink)) == (scheme == "light")


def lightness(colour):
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_a_name_of_markup_is_text(opened):
    page = opened().page
    assert page.locator("text=" + HOSTILE).count() > 3
    assert page.evaluate("document.querySelectorAll('img[onerror], img[src=x]').length") == 0
    assert page.locator(".plot title", has_text=HOSTILE).count() > 0


def split_of(stage):
    return stage.evaluate("(stage) => stage.style.getPropertyValue('--at')")


def test_the_slider_works_by_keyboard_and_by_mouse(opened):
    page = opened().page
    stage = page.locator(".compare .stage").first
    slider = stage.locator("input")
    assert slider.get_attribute("aria-label")
    assert split_of(stage) == "50%"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert split_of(stage) == "51%"
    page.keyboard.press("Home")
    assert split_of(stage) == "0%"
    page.keyboard.press("End")
    assert split_of(stage) == "100%"
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    page.mouse.down()
    assert 20 <= float(split_of(stage)[:-1]) <= 40
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert 70 <= float(split_of(stage)[:-1]) <= 90


def test_the_slider_works_by_touch(opened):
    page = opened(PHONE).page
    stage = page.locator(".compare .stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert 15 <= float(split_of(stage)[:-1]) <= 35


def test_where_the_line_stands_parts_the_two_halves(opened):
    """Left of it lies what is below, the crop; right of it the smoothed half on top."""
    page = opened().page
    stage = page.locator(".compare .stage").first
    stage.locator("input").fill("30")
    top = stage.locator("img").nth(1)
    assert "30%" in top.evaluate("(image) => getComputedStyle(image).clipPath")
    below, above = (stage.locator("img").nth(at).bounding_box() for at in (0, 1))
    assert below == above


def test_links_lead_to_sections_and_a_click_selects_a_command(opened):
    page = opened().page
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    command = page.locator(".command").first
    command.click()
    assert page.evaluate("getSelection().toString()").strip() == command.inner_text().strip()
