"""Curves: what is drawn is what the log says, and nothing in it is taken for markup."""

from __future__ import annotations

import html.parser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cartoongan.curves import History, charts, page, picture, read_history, write_curves
from cartoongan.trainer import RunSummary


def line(step: int, **parts: Any) -> dict[str, Any]:
    return {"step": step, "phase": "init" if step <= 10 else "main", "raw": {"content": 1 / step}, **parts}


@pytest.fixture
def history() -> History:
    lines = [line(step, memory_gb=2.0) for step in range(1, 11)]
    right = {"cartoons": 0.7, "smoothed": 0.8, "generated": 0.9}
    lines += [line(step, memory_gb=2.0, accuracy=right) for step in range(11, 41)]
    return History(lines)


def test_every_point_stands_where_its_value_is(history: History) -> None:
    (chart,) = (chart for chart in charts(history) if chart.title == "Content loss")
    points = chart.curves[0].points
    assert np.allclose(points[:, 0], np.arange(1, 41) / 40)
    values = 1 - points[:, 1]  # 0 is the lowest, 1 the highest that is drawn
    assert values.argmin() == 39 and values.argmax() == 0 and (np.diff(values) <= 0).all()
    assert (chart.low, chart.last_step, chart.init_until) == ("0.025", 40, 0.25)


def test_smoothed_curves_are_means_over_the_steps_before() -> None:
    values = [float(step % 2) for step in range(1, 101)]
    history = History(line(step + 1, raw={"content": value}) for step, value in enumerate(values))
    (chart,) = charts(history)
    smoothed = 1 - chart.curves[0].smoothed[:, 1]
    wanted = [np.mean(values[max(step - 4, 0) : step + 1]) for step in range(100)]  # a twentieth of the run
    assert np.allclose(smoothed, wanted)


def test_what_belongs_together_is_in_one_chart(history: History) -> None:
    named = {chart.title: [curve.name for curve in chart.curves] for chart in charts(history)}
    assert named == {
        "Content loss": ["content"],
        "Discriminator: right answers": ["cartoons", "smoothed", "generated"],
        "Memory": ["memory_gb"],
    }
    assert [chart.title for chart in charts(history, parts=("raw",))] == ["Content loss"]


def test_other_losses_have_charts_of_their_own() -> None:
    history = History(line(step, raw={"content": 1.0, "gram": 2.0, "tv": 3.0}) for step in (1, 2))
    assert [chart.title for chart in charts(history)] == ["Content loss", "Loss: gram", "Loss: tv"]


def test_infinite_values_are_left_out_and_flat_curves_drawn() -> None:
    history = History(
        line(step, gradient_norm={"generator": None if step == 2 else 1.0}) for step in (1, 2, 3)
    )
    (chart,) = (chart for chart in charts(history) if chart.title == "Gradient norms")
    assert len(chart.curves[0].points) == 2 and np.isfinite(chart.curves[0].smoothed).all()


def test_a_long_run_has_as_many_points_as_can_be_seen() -> None:
    history = History(line(step) for step in range(1, 5001))
    assert len(charts(history)[0].curves[0].points) <= 600


def test_names_from_strangers_are_text(history: History) -> None:
    names = {'"><script>alert(1)</script>': 1.0}
    evil = History(line(step, raw=names) for step in (1, 2))
    text = page([*charts(history), *charts(evil)], title="<img src=x onerror=alert(1)>")
    assert "<script" not in text and "<img" not in text and "&lt;script&gt;" in text


def test_the_page_needs_no_other_file(finished: RunSummary) -> None:
    text = (finished.run / "curves.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text) and "url(" not in text
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text

    tags: set[str] = set()

    class Tags(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags.add(tag)

    Tags().feed(text)
    assert {"svg", "polyline", "img", "main"} <= tags


def test_a_run_without_steps_has_a_page_and_a_picture(tmp_path: Path) -> None:
    write_curves(tmp_path, History())
    assert "0 steps" in (tmp_path / "curves.html").read_text()
    assert Image.open(tmp_path / "curves.png").size == (1200, 230)


def test_the_picture_has_each_chart_in_its_cell(history: History) -> None:
    drawn = np.asarray(picture(charts(history)))
    assert drawn.shape == (230, 1200, 3)
    cells = drawn.reshape(230, 3, 400, 3).transpose(1, 0, 2, 3)
    assert all((cell[46:176, 16:326] < 200).any() for cell in cells)  # something is drawn in each plot
    green = (cells[1, ..., 1].astype(int) - cells[1, ..., 0] > 20).any()  # the third curve's colour
    assert green


def test_the_log_of_a_run_is_read_back(finished: RunSummary) -> None:
    history = read_history(finished.run / "log.jsonl")
    assert (history.last_step, history.last_init_step) == (6, 2)
    assert set(history.of("score")) == {"style", "content"} and len(history.of("raw")["content"]) == 6


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_browser_shows_it_without_complaint(finished: RunSummary, tmp_path: Path) -> None:
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--window-size=400,900",
    ]
    shot = tmp_path / "shot.png"
    target = (finished.run / "curves.html").as_uri()
    done = subprocess.run(
        ["chromium", *flags, f"--screenshot={shot}", target], capture_output=True, text=True, check=False
    )
    assert "CONSOLE" not in done.stderr
    assert np.asarray(Image.open(shot).convert("RGB")).std() > 10
