"""The review page on a large dataset: how soon it is there, how it scrolls, how soon a word is saved.

    python -m tests.benchmarks.review_page [DATASET] [--frames 100000] [--rounds 3] [--json]

`framekit review` serves a copy of the dataset's decisions and the dataset itself, in a process of its own; a
headless Chromium looks at 1280 × 800. Of several rounds, each in a browser that knows nothing yet, the worst
counts:

- first paint: `PerformancePaintTiming`, and when the first thumbnails stood in their tiles.
- longest task while scrolling, as `PerformanceObserver` has it (it sees those of 50 ms and more), and its CPU
  time, as Chromium's trace has it, which other work on the machine does not lengthen: eight seconds, half of
  them through the whole of it, half of them as one scrolls while looking.
- a key to a saved answer: from the event to the end of the response, over words about one frame each, a tenth
  of a second after the last answer; and the CPU time that the page's main thread and the server's process
  take for each, with the new counts and whatever else follows from it.

Then, in this process, the server's part of it: `Session.decide` about one frame, wall and CPU time; and the
same after a word about every frame was put down, when the history is longer than the dataset.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.decode import machine, note
from tests.benchmarks.large_dataset import FRAMES, large_dataset
from tests.framekit.review.serving import ARGUMENTS, CHROMIUM, serving

SCREEN = {"width": 1280, "height": 800}
WORDS = 40
"""Decisions in a round."""
PAUSE = 100
"""Milliseconds that a quick person needs from an answer to the next key."""

OBSERVE = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) tasks.push([entry.startTime, entry.duration]);
}).observe({ type: "longtask", buffered: true });
window.pressed = [];
addEventListener("keydown", (event) => pressed.push(event.timeStamp), true);
"""

PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime"""

PICTURES = """() => {
  const tiles = [...document.querySelectorAll(".tile")].filter((tile) => {
    const box = tile.getBoundingClientRect();
    return box.height && box.top < innerHeight && box.bottom > 0;
  });
  return tiles.length && tiles.every((tile) => tile.classList.contains("pictured")) && performance.now();
}"""

SCROLL = """async () => {
  const grid = document.getElementById("grid");
  const from = performance.now();
  let frames = 0;
  await new Promise((done) => requestAnimationFrame(function step(now) {
    frames++;
    const share = (now - from) / 8000;
    if (share >= 1) return done();
    grid.scrollTop = share < 0.5 ? 2 * share * grid.scrollHeight : (share - 0.5) * 12000;
    requestAnimationFrame(step);
  }));
  const during = tasks.filter(([start]) => start >= from).map(([, duration]) => duration);
  return { frames, longest: Math.max(0, ...during) };
}"""

SAVED = """() => {
  const answers = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("api/decide"));
  return answers.map(({ responseEnd }, place) => responseEnd - pressed[place]);
}"""


@contextmanager
def copied(dataset: Path) -> Iterator[Path]:
    """The dataset, with decisions of its own beside links to its shards."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / dataset.name
        root.mkdir()
        for path in dataset.iterdir():
            if path.is_dir():
                (root / path.name).symlink_to(path, target_is_directory=True)
            else:
                shutil.copy(path, root / path.name)
        yield root


def cpu_of(pid: int) -> float:
    """CPU time in milliseconds that a process has taken."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return 1000 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def look(browser: Any, url: str, pid: int) -> dict[str, float]:
    """One round, in milliseconds."""
    context = browser.new_context(viewport=SCREEN)
    page = context.new_page()
    page.add_init_script(OBSERVE)
    page.goto(url)
    pictures = page.wait_for_function(PICTURES, polling=20).json_value()
    paint = page.evaluate(PAINT)
    browser.start_tracing(page=page, categories=["toplevel"])
    scrolled = page.evaluate(SCROLL)
    tasks = cpu_of_tasks(browser.stop_tracing())
    page.locator("#grid").focus()
    page.keyboard.press("Home")
    page.evaluate("() => { pressed.length = 0; performance.clearResourceTimings(); }")
    browser.start_tracing(page=page, categories=["toplevel"])
    used = cpu_of(pid)
    for number in range(WORDS):
        with page.expect_response(lambda answer: answer.url.endswith("api/decide")) as answer:
            page.keyboard.press("kd"[number % 2])
        answer.value.finished()
        page.wait_for_timeout(PAUSE)
    used = cpu_of(pid) - used
    decided = cpu_of_tasks(browser.stop_tracing())
    saved = page.evaluate(SAVED)
    context.close()
    return {
        "first paint": paint,
        "all thumbnails in sight": pictures,
        "longest task while scrolling": scrolled["longest"],
        "longest task while scrolling, CPU": max(tasks),
        "frames a second": scrolled["frames"] / 8,
        "key to saved answer, median": statistics.median(saved),
        "key to saved answer, longest": max(saved),
        "for each, CPU of the page": sum(decided) / WORDS,
        "for each, CPU of the server": used / WORDS,
    }


def cpu_of_tasks(trace: bytes) -> list[float]:
    """CPU time in milliseconds of each task in the main threads of pages."""
    events = json.loads(trace)["traceEvents"]
    named = [event for event in events if event["name"] == "thread_name"]
    main = {(its["pid"], its["tid"]) for its in named if its["args"]["name"] == "CrRendererMain"}
    tasks = [event for event in events if event["name"].endswith("RunTask")]
    return [its.get("tdur", 0) / 1000 for its in tasks if (its["pid"], its["tid"]) in main]


def saving(root: Path) -> dict[str, float]:
    """The server's part of a decision, in milliseconds, medians."""
    import framekit.manifest
    from framekit.review.session import Session

    session = Session(framekit.manifest.open(root), by="benchmark")

    def words(name: str) -> dict[str, float]:
        wall, cpu = [], []
        for row in range(WORDS):
            started, used = time.perf_counter(), time.process_time()
            session.decide([row], keep=bool(row % 2), reason="", expect=1)
            wall.append(1000 * (time.perf_counter() - started))
            cpu.append(1000 * (time.process_time() - used))
        return {f"saving {name}": statistics.median(wall), f"saving {name}, CPU": statistics.median(cpu)}

    found = words("a word")
    frames = len(session.catalogue)
    used = time.process_time()
    session.decide(range(frames), keep=True, reason="", expect=frames)
    found[f"saving {frames:,} words at once, CPU"] = 1000 * (time.process_time() - used)
    return found | words("a word after that")


def measured(root: Path, rounds: int) -> dict[str, float]:
    """The worst of all rounds."""
    from playwright.sync_api import sync_playwright

    with serving(root) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        found = []
        for number in range(rounds):
            note(f"round {number + 1} of {rounds}")
            found.append(look(browser, server.url, server.process.pid))
        browser.close()
    worst = {name: max if name != "frames a second" else min for name in found[0]}
    return {name: worst[name](each[name] for each in found) for name in worst}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with copied((given.dataset or large_dataset(given.frames)).resolve()) as root:
        found = measured(root, given.rounds) | saving(root)
    if given.json:
        print(json.dumps({"machine": machine(), "worst": found}, indent=2))
        return
    for name, value in found.items():
        print(f"{name:36} {value:8.1f}" + ("" if name == "frames a second" else " ms"))


if __name__ == "__main__":
    main()
