"""The review page in a real browser: what a person with a keyboard, a mouse or a finger does with it."""

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

import framekit.manifest
from framekit.manifest import decide
from framekit.manifest.groups import near_duplicates
from tests.framekit.review.conftest import HOSTILE
from tests.framekit.review.serving import ARGUMENTS, CHROMIUM, serving, serving_here
from tests.framekit.review.sparse import SPARSE

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("starlette", reason="framekit[review] is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
expect = playwright.expect

PATIENCE = 20_000  # milliseconds that a condition may take to come true on a busy machine


@dataclass
class Tab:
    """A page, what its console said and whom it asked."""

    page: object
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def hear(self, said):
        if "409 (Conflict)" not in said.text:  # a browser notes refusals by itself
            self.complaints.append(f"{said.type}: {said.text}")

    def tile(self, position):
        return self.page.locator(f"#tile-{position}")

    def box(self, name, value):
        """A filter's check box or radio button."""
        return self.page.locator(f"#filters input[name={name}][value={json.dumps(value)}]")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def says(self, text):
        expect(self.page.locator("#toast-text")).to_contain_text(text)

    def shows(self, count):
        """The view holds so many frames, and all that are in sight are there."""
        self.page.wait_for_function(
            "count => !document.querySelector('#app').hasAttribute('aria-busy')"
            " && document.querySelector('#subject-where').textContent.endsWith(`of ${count}`)",
            arg=str(count),
        )

    def reload(self):
        self.page.reload()
        expect(self.tile(0)).to_have_class(re.compile("pictured"))


@pytest.fixture
def root(dataset):
    return dataset


@pytest.fixture
def server(root):
    with serving_here(root) as started:
        yield started


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Opens a server's page in a tab; at the end no tab may have complained or have asked anybody else."""
    tabs, contexts = [], []

    def open_tab(server, fragment="", *, context=None, quiet=True, **options):
        options = {"viewport": {"width": 1280, "height": 800}} | options
        context = context or browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        tab = Tab(context.new_page())
        tab.page.on("console", tab.hear)
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("dialog", lambda dialog: tab.complaints.append(f"dialog: {dialog.message}"))
        tab.page.on("request", lambda request: tab.hosts.add(urlsplit(request.url).netloc))
        tab.page.goto(server.url + fragment)
        if quiet:
            tabs.append((tab, urlsplit(server.url).netloc))
        return tab

    expect.set_options(timeout=PATIENCE)
    yield open_tab
    found = [(tab.complaints, tab.hosts - {host}) for tab, host in tabs]
    for context in dict.fromkeys(contexts):
        context.close()
    assert all(rest == ([], set()) for rest in found), found


def frame_ids(root):
    return framekit.manifest.open(root).frames(["frame_id"])["frame_id"].to_pylist()


def persons(root):
    """What persons said last: frame_id → keep; taken back words are left out."""
    words = {row["item"]: row["keep"] for row in framekit.manifest.decisions.by_people(root)}
    return {item: keep for item, keep in words.items() if keep is not None}


def left_out(root):
    dropped = framekit.manifest.open(root).dropped
    return [id_ for id_ in frame_ids(root) if id_ in dropped]


def test_it_opens_with_every_frame_and_what_is_left_out_is_more_than_a_colour(server, opened):
    tab = opened(server)
    total, out = len(frame_ids(server.root)), left_out(server.root)
    tab.shows(total)
    expect(tab.page.locator("#shown")).to_have_text(f"{total} frames")
    expect(tab.tile(0)).to_have_class(re.compile("pictured"))
    expect(tab.page.locator("#count-out")).to_have_text(str(len(out)))
    tile = tab.tile(frame_ids(server.root).index(out[0]))
    expect(tile.locator(".word")).to_have_text("near-duplicate")
    expect(tile.locator(".badge .icon").first).to_be_visible()
    assert "near-duplicate" in tile.get_attribute("aria-label")


def test_filters_stand_in_the_address_and_outlive_a_reload(server, opened):
    tab = opened(server)
    out = len(left_out(server.root))
    tab.box("state", "out").check()
    tab.shows(out)
    tab.box("reason", "near-duplicate").check()
    tab.shows(out)
    assert "state=out" in tab.page.url and "reason=near-duplicate" in tab.page.url
    tab.reload()
    tab.shows(out)
    expect(tab.box("state", "out")).to_be_checked()
    tab.page.get_by_role("button", name="remove filter: left out").click()
    tab.page.get_by_role("button", name="remove filter: near-duplicate").click()
    tab.shows(len(frame_ids(server.root)))
    tab.page.go_back()
    tab.shows(out)


def test_filters_by_film_time_measure_and_text(server, opened):
    frames = (
        framekit.manifest.open(server.root)
        .frames(["frame_id", "source", "seconds", "brightness"])
        .to_pylist()
    )
    tab = opened(server)
    tab.page.locator("#films input").nth(1).check()
    films = list(dict.fromkeys(row["source"] for row in frames))
    of_film = [row for row in frames if row["source"] == films[1]]
    tab.shows(len(of_film))
    tab.page.fill("#from", "0:01")
    tab.page.press("#from", "Enter")
    late = [row for row in of_film if row["seconds"] >= 1]
    tab.shows(len(late))
    tab.page.locator("#clear").click()
    tab.shows(len(frames))
    middle = sorted(row["brightness"] for row in frames)[len(frames) // 2]
    tab.page.select_option("#measure", "brightness")
    tab.page.fill("#min", str(middle))
    tab.page.press("#min", "Enter")
    tab.shows(sum(row["brightness"] >= middle for row in frames))
    tab.page.locator("#clear").click()
    tab.press("/")
    tab.page.keyboard.type("one-")
    tab.shows(sum("one-" in row["frame_id"] for row in frames))
    tab.press("Escape")
    expect(tab.page.locator("#grid")).to_be_focused()


def test_sorting_by_a_measure(server, opened):
    rows = framekit.manifest.open(server.root).frames(["frame_number", "sharpness"]).to_pylist()
    tab = opened(server)
    tab.page.select_option("#sort", "sharpness")
    tab.page.locator("#desc").click()
    best = max(rows, key=lambda row: row["sharpness"])
    expect(tab.tile(0)).to_have_attribute("aria-label", re.compile(rf"frame {best['frame_number']}\b"))


def test_drop_with_the_keyboard_undo_and_drop_again_is_kept_over_a_reload(server, opened):
    first, second = frame_ids(server.root)[:2]
    tab = opened(server)
    tab.shows(len(frame_ids(server.root)))
    tab.press("d")
    expect(tab.tile(0)).to_have_class(re.compile(r"\bout\b.*\bhand\b"))
    expect(tab.tile(1)).to_have_class(re.compile("active"))  # on to the next
    tab.says("Dropped")
    assert persons(server.root) == {first: False}
    tab.press("k")
    expect(tab.tile(1)).to_have_class(re.compile("kept"))
    tab.says("Kept")
    assert persons(server.root) == {first: False, second: True}
    tab.press("u")
    tab.says("Taken back")
    tab.press("Control+z")
    expect(tab.tile(0)).not_to_have_class(re.compile("hand"))
    assert persons(server.root) == {}
    expect(tab.tile(0)).to_have_class(re.compile("active"))  # where it was taken back
    tab.press("u")
    tab.says("Nothing to undo")
    tab.press("d")
    tab.says("Dropped")
    tab.reload()
    expect(tab.tile(0)).to_have_class(re.compile(r"\bout\b.*\bhand\b"))
    tab.press("r")
    expect(tab.tile(0)).not_to_have_class(re.compile("hand"))
    tab.says("Reset")
    assert persons(server.root) == {}


def test_bulk_drop_says_the_count_first_and_is_one_step_back(server, opened):
    ids = frame_ids(server.root)
    tab = opened(server)
    tab.shows(len(ids))
    tab.press("Shift+ArrowRight", "Shift+ArrowRight")
    expect(tab.page.locator("#subject")).to_have_text("3 selected")
    tab.press("d")
    dialog = tab.page.get_by_role("dialog", name="Drop 3 frames?")
    expect(dialog).to_be_visible()
    tab.press("Escape")
    expect(dialog).to_be_hidden()
    assert persons(server.root) == {}
    tab.press("d")
    tab.page.fill("#ask-reason", "channel logo")
    tab.press("Enter")
    tab.says("Dropped 3 frames")
    assert persons(server.root) == dict.fromkeys(ids[:3], False)
    expect(tab.tile(2).locator(".word")).to_have_text("dropped: channel logo")
    tab.page.locator("#toast-undo").click()
    tab.says("Taken back")
    assert persons(server.root) == {}


def test_all_of_a_view(server, opened):
    out = left_out(server.root)
    tab = opened(server, "#state=out")
    tab.shows(len(out))
    tab.press("Control+a", "k")
    dialog = tab.page.get_by_role("dialog", name=f"Keep {len(out)} frames?")
    expect(dialog).to_contain_text("all of this view")
    tab.press("Enter")
    tab.says(f"Kept {len(out)} frames")
    assert persons(server.root) == dict.fromkeys(out, True)
    expect(tab.page.locator("#stale")).to_be_visible()
    tab.page.locator("#show-anew").click()
    expect(tab.page.locator("#empty-text")).to_have_text("No frame is like this.")


def test_keep_this_one_of_a_group_by_button_and_by_number(server, opened):
    group = near_duplicates(framekit.manifest.open(server.root))[0]
    tab = opened(server)
    tab.tile(frame_ids(server.root).index(group.kept)).click()
    tab.press("g")
    tab.shows(len(group.others) + 1)
    expect(tab.tile(0).locator(".key")).to_have_text("1")
    tab.tile(1).hover()
    tab.tile(1).locator(".only").click()
    tab.says(f"of {len(group.others) + 1} near-duplicates")
    expect(tab.tile(1)).to_have_class(re.compile("kept"))
    expect(tab.tile(0)).to_have_class(re.compile(r"\bout\b"))
    assert persons(server.root) == {group.kept: False, group.others[0]: True} | dict.fromkeys(
        group.others[1:], False
    )
    tab.press("1")
    expect(tab.tile(0)).to_have_class(re.compile("kept"))
    expect(tab.tile(1)).to_have_class(re.compile(r"\bout\b"))
    tab.press("Escape")
    tab.shows(len(frame_ids(server.root)))


def test_groups_stand_together(server, opened):
    groups = near_duplicates(framekit.manifest.open(server.root))
    tab = opened(server, "#sort=group")
    headers = tab.page.locator(".line:not([hidden]) .group-header:not([hidden])")
    expect(headers.first).to_have_text(f"{len(groups[0].others) + 1} near-duplicates")
    expect(tab.tile(0)).to_have_attribute("aria-label", re.compile("stands for"))


@pytest.mark.parametrize(
    ("count", "screen"),
    [(100_000, {"width": 1280, "height": 800}), (1_000_000, {"width": 360, "height": 740})],
    ids=["100,000", "more than a browser can lay out"],
)
def test_many_frames_are_no_more_elements_than_a_screen_shows(server, opened, browser, count, screen):
    few = len(frame_ids(server.root))
    context = browser.new_context(viewport=screen)
    body = (np.arange(count, dtype="<u4") % few).tobytes()
    context.route("**/api/view?*", lambda route: route.fulfill(response=route.fetch(), body=body))
    tab = opened(server, context=context)
    tab.page.wait_for_function(
        "count => document.querySelector('#subject-where').textContent.endsWith(count)", arg=f"{count:,}"
    )
    tab.press("End")
    expect(tab.tile(count - 1)).to_be_in_viewport(ratio=0.9)
    expect(tab.tile(count - 1)).to_have_class(re.compile("pictured"))
    tab.press("PageUp", "ArrowUp")
    place = int(tab.page.locator(".tile.active").get_attribute("id").removeprefix("tile-"))
    expect(tab.tile(place)).to_be_in_viewport(ratio=0.9)
    assert place < count - 5
    tab.page.locator("#grid").evaluate(
        "grid => { grid.scrollTop = (grid.scrollHeight - grid.clientHeight) / 2 }"
    )
    expect(tab.tile(count // 2)).to_be_attached()
    tab.press("Home")
    expect(tab.tile(0)).to_be_in_viewport(ratio=0.9)
    assert tab.page.locator(".tile").count() < 150


def test_what_one_tab_says_the_other_shows(server, opened, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    one, two = opened(server, context=context), opened(server, context=context)
    for tab in (one, two):
        tab.shows(len(frame_ids(server.root)))
    one.press("d")
    expect(two.tile(0)).to_have_class(re.compile(r"\bout\b.*\bhand\b"))
    two.press("ArrowRight", "ArrowRight", "k")
    expect(one.tile(2)).to_have_class(re.compile("kept"))
    ids = frame_ids(server.root)
    decide(server.root, [ids[4]], keep=False, reason=HOSTILE, by="somebody else")  # another program
    expect(one.tile(4).locator(".word")).to_have_text(f"dropped: {HOSTILE}")
    assert persons(server.root) == {ids[0]: False, ids[2]: True, ids[4]: False}


def test_each_tab_undoes_what_it_did_and_asks_before_it_undoes_anothers(server, opened, browser):
    ids, context = frame_ids(server.root), browser.new_context(viewport={"width": 1280, "height": 800})
    one, two = opened(server, context=context), opened(server, context=context)
    for tab in (one, two):
        tab.shows(len(ids))
    one.press("d")
    one.says("Dropped")
    two.press("ArrowRight", "k")
    two.says("Kept")
    one.reload()
    one.press("u")
    one.says("Taken back")
    assert persons(server.root) == {ids[1]: True}
    one.press("u")
    dialog = one.page.get_by_role("dialog", name="Undo what another tab did?")
    expect(dialog).to_contain_text("keep 1 frame")
    one.press("Escape", "u")
    expect(dialog).to_be_visible()
    assert persons(server.root) == {ids[1]: True}
    one.press("Enter")
    one.says("Taken back: keep 1 frame")
    assert persons(server.root) == {}


def test_the_large_view(server, opened):
    tab = opened(server)
    kept = next(id_ for id_ in frame_ids(server.root) if id_ not in left_out(server.root))
    tab.tile(frame_ids(server.root).index(kept)).dblclick()
    expect(tab.page.locator("#large")).to_be_visible()
    expect(tab.page.locator(".crop-box")).to_have_count(2)
    expect(tab.page.locator("#crops figure")).to_have_count(2)
    pairs = framekit.manifest.open(server.root).pairs(["frame_id", "crop_x", "crop_size"]).to_pylist()
    first = next(row for row in pairs if row["frame_id"] == kept)
    stage, box = tab.page.locator("#stage").bounding_box(), tab.page.locator(".crop-box").first.bounding_box()
    assert box["x"] - stage["x"] == pytest.approx(stage["width"] * first["crop_x"] / 320, abs=2)
    assert box["width"] == pytest.approx(stage["width"] * first["crop_size"] / 320, abs=2)
    half = tab.page.locator("#crops img.half").first
    expect(half).to_be_hidden()
    tab.press("s")
    expect(half).to_be_visible()
    tab.page.wait_for_function("() => document.querySelector('#crops img.half').naturalWidth === 96")
    tab.press("s")
    expect(half).to_be_hidden()
    expect(tab.page.locator("#facts")).to_contain_text("fingerprint")
    assert "open=" in tab.page.url
    tab.reload()
    expect(tab.page.locator("#large")).to_be_visible()
    tab.press("Escape")
    expect(tab.page.locator("#large")).to_be_hidden()
    expect(tab.page.locator("#grid")).to_be_focused()


def test_one_crop_is_dropped_and_kept_again(server, opened):
    kept = next(id_ for id_ in frame_ids(server.root) if id_ not in left_out(server.root))
    tab = opened(server, f"#open={frame_ids(server.root).index(kept)}")
    tab.page.get_by_role("button", name="drop crop 1").click()
    tab.says("Dropped crop 1")
    assert persons(server.root) == {f"{kept}#1": False}
    expect(tab.page.get_by_role("button", name="drop crop 1")).to_have_attribute("aria-pressed", "true")
    expect(tab.page.locator(".crop-box.out")).to_have_count(1)
    tab.page.get_by_role("button", name="keep crop 1").click()
    tab.says("Kept crop 1")
    assert persons(server.root) == {f"{kept}#1": True}


def test_deciding_in_the_large_view_goes_on_to_the_next(server, opened):
    ids = frame_ids(server.root)
    ruled = ids[0] in left_out(server.root)
    tab = opened(server, "#open=0")
    expect(tab.page.locator("#large-where")).to_have_text(f"1 of {len(ids)}")
    tab.press("d")
    expect(tab.page.locator("#large-where")).to_have_text(f"2 of {len(ids)}")
    tab.says("Dropped")
    tab.press("n", "ArrowLeft")
    expect(tab.page.locator("#large-verdict")).to_have_text("dropped by hand")
    tab.press("k")
    expect(tab.page.locator("#large-verdict")).to_have_text("kept by hand")
    expect(tab.page.locator("#large-where")).to_have_text(f"1 of {len(ids)}")  # it stays
    expect(tab.page.locator(".history li")).to_have_count(2 + ruled)
    assert persons(server.root) == {ids[0]: True}


# Names of keys and what they do, of the help's table.
KEYS = """() => [...document.querySelectorAll("#keys tr")].map((row) => [
  [...row.querySelectorAll("kbd")].map((key) => key.textContent), row.querySelector("td").textContent])"""


def test_help_names_every_key_and_so_do_the_docs(server, opened):
    docs = (Path(__file__).parents[3] / "docs/review.md").read_text(encoding="utf-8").splitlines()
    tab = opened(server)
    tab.shows(len(frame_ids(server.root)))
    tab.press("?")
    dialog = tab.page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    keys = tab.page.evaluate(KEYS)
    named = {name for names, _ in keys for name in names}
    assert named >= {"Arrows", "K", "D", "R", "U", "S", "G", "1", "9", "/", "?", "Esc"}
    for names, what in keys:
        line = next((line for line in docs if line.endswith(f"| {what} |")), "")
        assert [name for name in names if f"<kbd>{name}</kbd>" not in line] == [], what
    tab.press("Escape")
    expect(dialog).to_be_hidden()


def test_hostile_names_and_reasons_are_text(server, opened):
    frame = frame_ids(server.root)[0]  # of the film with that name, which comes first
    decide(server.root, [frame], keep=False, reason=HOSTILE, by="<b>eve</b>")
    tab = opened(server)
    expect(tab.tile(0).locator(".word")).to_have_text(f"dropped: {HOSTILE}")
    tab.page.locator("#reasons label", has_text=HOSTILE).click()
    expect(tab.page.locator("#chips")).to_have_text(HOSTILE)
    tab.shows(1)
    tab.tile(0).dblclick()
    expect(tab.page.locator(".history")).to_contain_text("<b>eve</b>")
    expect(tab.page.locator("#large-verdict")).to_have_text(f"dropped: {HOSTILE}")
    expect(tab.page.locator("#facts")).to_contain_text(f"{HOSTILE}.mkv")
    assert tab.page.locator("img[onerror], #app b, img[src='x']").count() == 0


def test_dark_and_light(server, opened):
    grounds = []
    for scheme in ("light", "dark"):
        tab = opened(server, color_scheme=scheme)
        expect(tab.tile(0)).to_have_class(re.compile("pictured"))
        grounds.append(tab.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(251, 250, 247)", "rgb(22, 21, 19)"]
    tab.page.select_option("#theme", "light")
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == grounds[0]
    tab.reload()
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == grounds[0]


# What WCAG asks of text: 4.5 to 1 against what lies behind it, in every element that holds words of its own.
CONTRASTS = """() => {
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const numbers = (css) => css.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(each).backgroundColor);
      if (alpha > 0.7) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!words || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (element.closest(":disabled, .unseen, option")) continue;
    const ink = numbers(getComputedStyle(element).color).slice(0, 3);
    const [a, b] = [luminance(ink), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([element.outerHTML.slice(0, 80), ratio]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(server, opened, scheme):
    tab = opened(server, "#sort=group&state=out", color_scheme=scheme)
    tab.shows(len(left_out(server.root)))
    tab.press("k", "d")
    tab.says("Dropped")
    assert tab.page.evaluate(CONTRASTS) == []
    tab.press("Enter")
    expect(tab.page.locator("#facts dl").first).to_be_visible()
    assert tab.page.evaluate(CONTRASTS) == []


FITS = """() => ["html", "#top", "#bar", "#grid", "#large", "#large-scroll"].every((name) => {
  const box = document.querySelector(name);
  return box.scrollWidth <= Math.min(360, box.clientWidth + 1);
})"""


def test_a_narrow_screen_and_a_finger(server, opened):
    ids = frame_ids(server.root)
    tab = opened(server, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    tab.shows(len(ids))
    assert tab.page.evaluate(FITS)
    tab.page.locator("#show-filters").tap()
    expect(tab.page.locator("#filters")).to_be_in_viewport()
    tab.box("state", "out").tap()
    tab.page.locator("#hide-filters").tap()
    tab.shows(len(left_out(server.root)))
    assert tab.page.evaluate(FITS)
    tab.tile(1).tap()
    tab.page.locator("#keep").tap()
    expect(tab.tile(1)).to_have_class(re.compile("kept"))
    tab.tile(0).tap()
    tab.tile(0).tap()  # once more: the large view
    expect(tab.page.locator("#facts dl").first).to_be_visible()
    assert tab.page.evaluate(FITS)
    tab.page.locator("#drop").tap()
    tab.says("Dropped")
    tab.page.locator("#large-close").tap()
    tab.page.locator("#several").tap()
    tab.tile(0).tap()
    tab.tile(1).tap()
    expect(tab.page.locator("#subject")).to_have_text("2 selected")
    assert persons(server.root) == {
        left_out(server.root)[0]: False,
        left_out_before(server.root, ids)[1]: True,
    }


def left_out_before(root, ids):
    """What rules alone leave out."""
    said = {
        row.item
        for row in framekit.manifest.decisions.history(root)
        if row.by.startswith("rule:") and row.keep is False
    }
    return [id_ for id_ in ids if id_ in said]


def test_roles_and_labels_for_those_who_listen(server, opened):
    tab = opened(server)
    total = len(frame_ids(server.root))
    tab.shows(total)
    grid = tab.page.get_by_role("grid", name="Frames")
    expect(grid).to_be_focused()
    columns = int(grid.get_attribute("aria-colcount"))
    assert int(grid.get_attribute("aria-rowcount")) == -(-total // columns)
    assert grid.get_attribute("aria-multiselectable") == "true"
    expect(grid).to_have_attribute("aria-activedescendant", "tile-0")
    tab.press("ArrowDown")
    expect(grid).to_have_attribute("aria-activedescendant", f"tile-{columns}")
    expect(tab.tile(columns)).to_have_attribute("aria-selected", "true")
    expect(tab.tile(0)).to_have_attribute("aria-selected", "false")
    tab.press("d")
    expect(tab.page.get_by_role("status").filter(has_text="Dropped")).to_have_count(1)
    controls = tab.page.locator("button:visible, input:visible, select:visible")
    named = "e => Boolean(e.textContent.trim() || e.ariaLabel || e.title || e.labels?.length)"
    # In one go: boxes of reasons are made anew when the first frame is dropped.
    assert controls.evaluate_all(f"all => all.filter(e => !({named})(e)).map(e => e.outerHTML)") == []


@pytest.fixture(params=SPARSE, ids=lambda make: make.__name__)
def sparse(request, tmp_path):
    with serving_here(request.param(tmp_path / "dataset")) as started:
        yield started, SPARSE[request.param]


def test_datasets_in_which_there_is_little_to_see(sparse, opened):
    server, frames = sparse
    tab = opened(server)
    expect(tab.page.locator("#shown")).to_have_text(f"{frames} frame{'' if frames == 1 else 's'}")
    tab.press("g", "o", "1", "s", "End", "PageDown", "Control+a", "Escape", "u", "Enter")
    if not frames:
        expect(tab.page.locator("#empty-text")).to_have_text("This dataset has no frames.")
        return
    expect(tab.page.locator("#facts")).to_contain_text("Where it is from")
    expect(tab.page.locator("#stage .no-picture")).to_be_visible()
    tab.press("d")
    tab.says("Dropped")
    assert len(persons(server.root)) == 1
    assert "null" not in tab.page.locator("body").inner_text()


def test_keys_of_one_letter_can_be_switched_off(server, opened):
    tab = opened(server)
    tab.shows(len(frame_ids(server.root)))
    tab.page.locator("#letters").uncheck()
    tab.page.locator("#grid").focus()
    tab.press("d", "1", "?", "ArrowRight", "Control+a")
    expect(tab.page.locator("#subject")).to_have_text(f"{len(frame_ids(server.root))} selected")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)
    tab.page.locator("#select-none").click()
    tab.page.locator("#drop").click()
    tab.says("Dropped")
    assert persons(server.root) == {frame_ids(server.root)[1]: False}


@pytest.fixture
def unable(root, tmp_path):
    """A server of a dataset that is read-only, for root, too."""
    prefix = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may write everywhere, and there is no setpriv")
        prefix = ["setpriv", "--inh-caps", "-dac_override", "--bounding-set", "-dac_override"]
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    with serving(root, prefix, cwd=tmp_path) as started:
        yield started
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def test_a_read_only_dataset_opens_says_so_and_offers_another_place(unable, opened, tmp_path):
    tab = opened(unable)
    expect(tab.page.locator("#read-only-text")).to_contain_text("read-only")
    tab.press("d")
    tab.says("Not saved")
    expect(tab.tile(0)).not_to_have_class(re.compile("hand"))
    tab.page.locator("#save-elsewhere").click()
    expect(tab.page.locator("#read-only")).to_be_hidden()
    tab.press("d")
    tab.says("Dropped")
    expect(tab.tile(0)).to_have_class(re.compile("hand"))
    assert [path.name for path in tmp_path.glob("*decisions*.parquet")] == ["dataset-decisions.parquet"]


def test_what_the_server_refuses_is_not_shown_as_done(server, opened):
    tab = opened(server, quiet=False)  # a browser notes the refusal by itself
    tab.shows(len(frame_ids(server.root)))
    refusal = json.dumps({"error": "the disk is full"})
    tab.page.route(
        "**/api/decide",
        lambda route: route.fulfill(status=507, body=refusal, content_type="application/json"),
    )
    tab.press("d")
    tab.says("Not saved: the disk is full")
    expect(tab.tile(0)).not_to_have_class(re.compile("hand"))
    assert tab.page.locator("#alarm").inner_text() == "Not saved: the disk is full"
    assert persons(server.root) == {}


def test_a_server_that_is_gone(root, opened):
    with serving(root) as server:
        tab = opened(server, quiet=False)
        tab.shows(len(frame_ids(root)))
        server.kill()
        expect(tab.page.locator("#gone")).to_be_visible()
        tab.press("d")
        tab.says("Not saved: the server is gone")
        expect(tab.tile(0)).not_to_have_class(re.compile("hand"))
    assert persons(root) == {}
