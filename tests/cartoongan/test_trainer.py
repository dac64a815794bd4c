"""Runs: what they leave, how they stop and go on, what they refuse."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cartoongan import checkpoints, planning, run_folder, trainer
from cartoongan.features import VGGFeatures, load_features
from cartoongan.options import TrainOptions
from cartoongan.steps import Losses, Training
from cartoongan.trainer import RunSummary, plan, train
from framekit.errors import CommandError, FramekitError
from tests.cartoongan.datasets import drawing, write_dataset
from tests.cartoongan.test_checkpoints import same
from tests.cartoongan.test_steps import build


def log_of(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for line in lines:
        assert line.pop("images_per_second") > 0 and line.pop("memory_gb") > 0
    return lines


def stop_after(step: int, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call `how` in the middle of step number `step` of the next run."""
    counter, real = itertools.count(1), Training.step

    def counting(self: Training, batch: Any, number: int) -> Losses:
        if next(counter) == step:
            how()
        return real(self, batch, number)

    monkeypatch.setattr(Training, "step", counting)


def test_a_run_leaves_what_it_should(finished: RunSummary) -> None:
    run = finished.run
    assert (finished.steps, finished.total_steps, finished.resumed_from) == (6, 6, 0)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        f"step-00000{step}.pt" for step in (2, 4, 6)
    ]
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        f"step-00000{step}.png" for step in (0, 3, 6)
    ]
    summary = json.loads((run / "run.json").read_text())
    assert (summary["steps"], summary["checkpoint"]) == (6, "checkpoints/step-000006.pt")
    assert set(summary["digests"]) == {"cartoons", "photos", "features"}
    assert {"README.md", "curves.html", "curves.png"} < {path.name for path in run.iterdir()}
    options = json.loads((run / "options.json").read_text())
    assert options.pop("digests") == summary["digests"]
    assert options.keys() == TrainOptions.model_fields.keys() - {"vgg_weights"}  # a place on this machine
    assert (options["base_channels"], options["device"], options["precision"]) == (4, "cpu", "fp32")


def test_the_log_has_every_step_and_term(finished: RunSummary, small: TrainOptions) -> None:
    lines = log_of(finished.run)
    assert [(line["step"], line["phase"]) for line in lines] == [
        (n, "init" if n <= 2 else "main") for n in range(1, 7)
    ]
    assert [line["epoch"] for line in lines] == [1, 1, 1, 1, 2, 2]  # 7 photos, 2 a step
    assert set(lines[0]["raw"]) == {"content"} and set(lines[0]["learning_rate"]) == {"generator"}
    assert "accuracy" not in lines[0] and set(lines[-1]["accuracy"]) == {"cartoons", "smoothed", "generated"}
    for part in ("gradient_norm", "learning_rate", "total"):
        assert set(lines[-1][part]) == {"generator", "discriminator"}
    assert [line["step"] for line in lines if "score" in line] == [4, 6]  # checkpoints of the main phase
    assert set(lines[-1]["raw"]) == {"content", "adversarial", "cartoons", "smoothed", "generated"}
    assert lines[-1]["weighted"]["content"] == pytest.approx(small.omega * lines[-1]["raw"]["content"])
    assert lines[-1]["raw"] == finished.losses


def test_tensorboard_shows_the_log(finished: RunSummary) -> None:
    board = EventAccumulator(str(finished.run / "tensorboard"))
    board.Reload()
    for line in log_of(finished.run)[-1:]:
        for part in ("raw", "weighted", "total", "accuracy", "gradient_norm", "learning_rate", "score"):
            for name, value in line[part].items():
                event = board.Scalars(f"{part}/{name}")[-1]
                assert event.step == 6 and event.value == pytest.approx(value)
    assert len(board.Scalars("run/images_per_second")) == len(board.Scalars("run/memory_gb")) == 6


def test_the_grid_has_photos_above_and_generated_pictures_below(finished: RunSummary) -> None:
    grid = cv2.imread(str(finished.samples))
    assert grid.shape == (64, 64, 3)
    channels = cv2.split(grid[:32].astype(int))
    assert abs(channels[0] - channels[2]).max() == 0  # the photos are grey
    assert grid[:32].std() > 20
    first = cv2.imread(str(finished.run / "samples" / "step-000000.png"))
    assert (first[:32] == grid[:32]).all() and (first[32:] != grid[32:]).any()


@pytest.mark.parametrize("step", [1, 2, 3, 5])  # init phase, its end, main phase
def test_stopped_and_resumed_is_bit_for_bit_never_stopped(
    *,
    step: int,
    finished: RunSummary,
    cartoons: Path,
    photos: Path,
    small: TrainOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(step, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
        train(cartoons, photos, run, small)
    assert checkpoints.latest(run) == run / "checkpoints" / f"step-00000{step}.pt"
    torch.manual_seed(step)  # the global state plays no part
    summary = train(cartoons, photos, run, small, resume=True)
    assert (summary.steps, summary.resumed_from) == (6, step)
    one, other = checkpoints.load(summary.checkpoint), checkpoints.load(finished.checkpoint)
    assert same(one.states, other.states) and one.step == other.step
    assert summary.checkpoint.read_bytes() == finished.checkpoint.read_bytes()
    assert summary.generator.read_bytes() == finished.generator.read_bytes()
    assert log_of(run) == log_of(finished.run)
    assert summary.samples.read_bytes() == finished.samples.read_bytes()


def test_a_killed_run_goes_on_from_its_checkpoint_without_doubled_lines(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    """As after SIGKILL in step 6: a log ahead of the newest checkpoint, cut off, and half a file."""
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    finished_log = (run / "log.jsonl").read_text()
    (run / "log.jsonl").write_text(finished_log[:-20])
    newest = run / "checkpoints" / "step-000006.pt"
    newest.rename(newest.with_name(".framekit-0123.1234.tmp"))
    for folder in ("", "samples"):
        (run / folder / ".framekit-4567.1234.tmp").write_bytes(b"half")
    summary = train(cartoons, photos, run, small, resume=True)
    assert summary.resumed_from == 4
    assert log_of(run) == log_of(finished.run)
    assert same(checkpoints.load(summary.checkpoint).states, checkpoints.load(finished.checkpoint).states)
    assert [path.name for path in run.rglob(".*")] == [run_folder.LOCK]
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("raw/content")] == [1, 2, 3, 4, 5, 6]


def test_a_run_killed_before_its_first_checkpoint_can_be_resumed(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(finished.run / "options.json", run)
    (run / "log.jsonl").write_text('{"step": 1}\n{"st')
    summary = train(cartoons, photos, run, small, resume=True)
    assert summary.resumed_from == 0
    assert log_of(run) == log_of(finished.run)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"seed": 1}, r"seed \(0 in the run, 1 now\)"), ({"lr": 0.1, "omega": 1.0}, "lr .*omega")],
)
def test_a_run_without_a_checkpoint_is_that_run_too(
    *,
    change: dict[str, Any],
    words: str,
    finished: RunSummary,
    cartoons: Path,
    photos: Path,
    small: TrainOptions,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(finished.run / "options.json", run)
    with pytest.raises(CommandError, match=words):
        plan(cartoons, photos, run, small.model_copy(update=change), resume=True)
    other = write_dataset(tmp_path / "other", [drawing(9)], smooth=True)
    with pytest.raises(CommandError, match="changed: the cartoons"):
        plan(other, photos, run, small, resume=True)
    weights = tmp_path / "vgg.pt"
    torch.save(VGGFeatures(None, seed=8).state_dict(), weights)
    features = {"features": None, "vgg_weights": weights}
    with pytest.raises(CommandError, match="other features"):
        train(cartoons, photos, run, small.model_copy(update=features), resume=True)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"digests": {}, "norm": 1}', "[" * 100_000])
def test_damaged_options_are_told(
    content: str, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    (tmp_path / "options.json").write_text(content)
    with pytest.raises(FramekitError, match=r"options\.json: damaged"):
        plan(cartoons, photos, tmp_path, small, resume=True)


def test_init_epochs_may_change_where_they_change_no_step(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions
) -> None:
    changed = small.model_copy(update={"init_epochs": 3})
    assert plan(cartoons, photos, finished.run, changed, resume=True).phases.init_steps == 2
    with pytest.raises(CommandError, match=r"init_steps \(2 in the run, 4 now\)"):  # 7 photos, 2 a step
        changed = small.model_copy(update={"init_epochs": 1, "init_steps": None})
        plan(cartoons, photos, finished.run, changed, resume=True)


def test_the_same_run_gives_the_same_bytes_wherever_and_however_it_runs(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    options = small.model_copy(update={"workers": 2, "checkpoint_every": 3, "samples": 1, "epochs": 7})
    summary = train(cartoons, photos, tmp_path / "elsewhere", options)
    assert summary.checkpoint.read_bytes() == finished.checkpoint.read_bytes()
    assert summary.generator.read_bytes() == finished.generator.read_bytes()


def test_more_steps_may_be_asked_for(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    summary = train(cartoons, photos, run, small.model_copy(update={"max_steps": 7}), resume=True)
    assert (summary.resumed_from, summary.steps) == (6, 7)


def test_a_finished_run_resumed_does_nothing(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    summary = train(cartoons, photos, run, small, resume=True)
    assert (summary.steps, summary.images_per_second) == (6, None)
    assert summary.generator.read_bytes() == finished.generator.read_bytes()
    assert (run / "run.json").read_bytes() == (finished.run / "run.json").read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_channels": 8}, r"base_channels \(4 in the run, 8 now\)"),
        ({"seed": 1, "lr": 0.1}, r"lr \(0.02 in the run, 0.1 now\), seed"),
        ({"init_steps": 3}, "init_steps"),
        ({"max_steps": 5}, "has done 6 steps, more than the 5"),
    ],
)
def test_another_run_is_not_resumed(
    *,
    change: dict[str, Any],
    words: str,
    finished: RunSummary,
    cartoons: Path,
    photos: Path,
    small: TrainOptions,
) -> None:
    with pytest.raises(CommandError, match=words):
        train(cartoons, photos, finished.run, small.model_copy(update=change), resume=True)


def test_other_data_are_not_resumed_with(
    finished: RunSummary, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    other = write_dataset(tmp_path, [drawing(9)], smooth=True)
    with pytest.raises(CommandError, match="changed: the cartoons"):
        train(other, photos, finished.run, small, resume=True)


def test_other_features_are_not_resumed_with(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    torch.save(VGGFeatures(None, seed=8).state_dict(), tmp_path / "vgg.pt")
    options = small.model_copy(update={"features": None, "vgg_weights": tmp_path / "vgg.pt"})
    with pytest.raises(CommandError, match="other features"):
        train(cartoons, photos, finished.run, options, resume=True)


def test_a_folder_with_a_run_is_not_trained_into(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions
) -> None:
    with pytest.raises(CommandError, match=r"holds a run already.*--resume"):
        train(cartoons, photos, finished.run, small)


def test_there_must_be_a_run_to_resume(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="no run to resume"):
        train(cartoons, photos, tmp_path / "none", small, resume=True)
    assert not (tmp_path / "none").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_last_good_checkpoint(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, steps = Training.step, itertools.count(1)

    def breaking(self: Training, batch: Any, number: int) -> Losses:
        if next(steps) == 5:
            with torch.no_grad():
                self.generator.out[0].weight.fill_(torch.inf)
        return real(self, batch, number)

    monkeypatch.setattr(Training, "step", breaking)
    with pytest.raises(FramekitError, match=r"step 5: .*content.*another --out.*stays: .*step-000004\.pt"):
        train(cartoons, photos, tmp_path / "run", small)
    newest = checkpoints.load(checkpoints.latest(tmp_path / "run"))
    assert all(value.isfinite().all() for value in newest.states["generator"].values())
    assert [line["step"] for line in log_of(tmp_path / "run")] == [1, 2, 3, 4]


def test_signals_are_handled_as_before_once_a_run_is_over(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    train(cartoons, photos, tmp_path / "run", small.model_copy(update={"max_steps": 1}))
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before


def test_workers_change_nothing(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    summary = train(cartoons, photos, tmp_path / "run", small.model_copy(update={"workers": 2}))
    assert same(checkpoints.load(summary.checkpoint).states, checkpoints.load(finished.checkpoint).states)


def test_an_epoch_is_a_pass_over_the_photos(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    options = small.model_copy(update={"max_steps": None, "init_steps": None, "init_epochs": 3, "epochs": 2})
    todo = plan(cartoons, photos, tmp_path / "run", options)
    found = todo.phases.steps_per_epoch, todo.phases.init_steps, todo.total_steps
    assert found == (4, 12, 20)  # 7 photos, 2 a step
    assert not (tmp_path / "run").exists()


def test_what_is_well_to_know_is_said(
    cartoons: Path, photos: Path, small: TrainOptions, finished: RunSummary, tmp_path: Path
) -> None:
    assert plan(cartoons, photos, tmp_path / "run", small).notes == ()
    changes = {"batch_size": 6, "crop_size": 40, "scale_jitter": 0.5}
    few, jitter = plan(cartoons, photos, tmp_path / "run", small.model_copy(update=changes)).notes
    assert few == "5 cartoons are fewer than a batch of 6: some come twice in a step"
    assert "--scale-jitter does nothing" in jitter
    changed = small.model_copy(update={"precision": "bf16"})
    (note,) = plan(cartoons, photos, finished.run, changed, resume=True).notes
    assert "precision fp32 → bf16" in note and "not bit for bit" in note


def test_a_damaged_checkpoint_is_told_and_can_be_moved_away(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    newest = run / "checkpoints" / "step-000006.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(FramekitError, match=r"step-000006\.pt: cannot be read .*move it away"):
        plan(cartoons, photos, run, small, resume=True)
    newest.rename(tmp_path / "damaged.pt")
    assert plan(cartoons, photos, run, small, resume=True).start_step == 4


def test_a_checkpoint_of_another_architecture_is_refused(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    """Though its options say otherwise."""
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    newest = run / "checkpoints" / "step-000006.pt"
    content = torch.load(newest, weights_only=True)
    other = build(small.model_copy(update={"base_channels": 8, "max_steps": 7}))
    torch.save(content | {"states": other.states()}, newest)
    with pytest.raises(FramekitError, match="belongs to other networks"):
        train(cartoons, photos, run, small.model_copy(update={"max_steps": 7}), resume=True)


def test_the_best_checkpoint_is_kept_beside_the_newest(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    options = small.model_copy(
        update={"checkpoint_every": 1, "keep_last": 1, "init_steps": 1, "max_steps": 8}
    )
    summary = train(cartoons, photos, tmp_path / "run", options)
    assert summary
    scores = {line["step"]: sum(line["score"].values()) for line in log_of(summary.run) if "score" in line}
    best = min(scores, key=lambda step: (scores[step], step))
    assert list(scores) == list(range(2, 9))  # in the init phase there is nothing to score
    kept = {path.name for path in (summary.run / "checkpoints").iterdir()}
    assert kept == {f"step-00000{best}.pt", "step-000008.pt"}
    assert summary.best == summary.run / "checkpoints" / f"step-00000{best}.pt"
    assert sum(summary.score.values()) == scores[best]


def test_nothing_to_train_is_refused(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    options = small.model_copy(update={"max_steps": None, "init_steps": 0, "epochs": 0})
    with pytest.raises(CommandError, match="nothing to train"):
        plan(cartoons, photos, tmp_path / "run", options)


def test_bad_data_are_found_before_weights_are_loaded(
    cartoons: Path, small: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "load_features", lambda _: pytest.fail("loaded"))
    with pytest.raises(FramekitError, match="no dataset here"):
        train(cartoons, tmp_path / "none", tmp_path / "run", small)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="--device cuda"):
        train(cartoons, photos, tmp_path / "run", small.model_copy(update={"device": "cuda"}))


def test_init_training_lowers_the_content_loss(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    options = small.model_copy(update={"init_steps": 24, "max_steps": 24, "lr": 3e-3})
    train(cartoons, photos, tmp_path / "run", options)
    content = [line["raw"]["content"] for line in log_of(tmp_path / "run")]
    assert sum(content[-4:]) < 0.9 * sum(content[:4])


def test_a_dry_run_of_a_resume_is_checked_too(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions
) -> None:
    todo = plan(cartoons, photos, finished.run, small, resume=True)
    assert any("goes on after step 6" in line for line in todo.lines())
    with pytest.raises(CommandError, match="seed"):
        plan(cartoons, photos, finished.run, small.model_copy(update={"seed": 1}), resume=True)


def test_batches_too_large_for_the_memory_are_told(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "_init_terms", lambda *_: torch.empty(2**55, dtype=torch.uint8))
    words = r"out of memory: .*batches of 2 at 32 pixels.*--activation-checkpointing and --precision bf16.*"
    with pytest.raises(FramekitError, match=words + "--accumulate 2 or a smaller --batch-size or"):
        train(cartoons, photos, tmp_path / "run", small)


def test_what_a_cpu_cannot_hold_is_told_before_anything_is_begun(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = small.model_copy(update={"batch_size": 10_000_000})
    with pytest.raises(FramekitError, match=r"a step would take .* are free: .* give .*--batch-size"):
        train(cartoons, photos, tmp_path / "run", huge)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(planning, "free_memory", lambda: None)  # where nobody tells, it is tried
    assert plan(cartoons, photos, tmp_path / "run", small).needs()


@pytest.mark.parametrize("moments", ["exp_avg", "exp_avg_sq", "step"])
@pytest.mark.parametrize("wrong", [torch.zeros(1), torch.zeros(2, dtype=torch.int64), "x", None])
def test_moments_that_do_not_fit_never_reach_the_optimizer(
    finished: RunSummary,
    cartoons: Path,
    photos: Path,
    small: TrainOptions,
    tmp_path: Path,
    moments: str,
    wrong: Any,
) -> None:
    """A fused step would write past their end."""
    shutil.copytree(finished.run, tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "step-000006.pt"
    content = torch.load(path, weights_only=True)
    content["states"]["generator_optimizer"]["state"][0][moments] = wrong
    torch.save(content, path)
    with pytest.raises(FramekitError, match="belongs to other networks"):
        train(cartoons, photos, tmp_path / "run", small.model_copy(update={"max_steps": 7}), resume=True)


def test_a_layout_in_memory_may_change_on_the_way(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    weights = []
    for layout in (False, True):
        run = tmp_path / str(layout)
        shutil.copytree(finished.run, run)
        options = small.model_copy(update={"max_steps": 8, "channels_last": layout})
        summary = train(cartoons, photos, run, options, resume=True)
        assert summary
        weights.append(checkpoints.load(summary.checkpoint).states["generator"])
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-3, atol=1e-4)


def test_what_is_somebody_elses_stays(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    with pytest.raises(CommandError, match=r"holds something that is no run, as README\.md"):
        train(cartoons, photos, tmp_path / "mine", small)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["README.md"]
    for dataset in (cartoons, photos):
        for place in (dataset, dataset / "pairs" / "run"):
            with pytest.raises(CommandError, match=r"does not go into a dataset|is no run"):
                plan(cartoons, photos, place, small)
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="not a folder"):
        plan(cartoons, photos, tmp_path / "file" / "run", small)


def test_one_trainer_at_a_time(
    cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second() -> None:
        with pytest.raises(FramekitError, match="is being trained by another process"):
            train(cartoons, photos, tmp_path / "run", small, resume=True)

    stop_after(3, second, monkeypatch)
    assert train(cartoons, photos, tmp_path / "run", small)


def test_a_summary_that_a_killed_run_did_not_write_is_written_later(
    finished: RunSummary, cartoons: Path, photos: Path, small: TrainOptions, tmp_path: Path
) -> None:
    """As after SIGKILL between the last checkpoint of a longer run and its end."""
    run, longer = tmp_path / "run", small.model_copy(update={"max_steps": 8})
    shutil.copytree(finished.run, run)
    train(cartoons, photos, run, longer, resume=True)
    for name in ("run.json", "README.md"):
        shutil.copy(finished.run / name, run / name)
    train(cartoons, photos, run, longer, resume=True)
    assert json.loads((run / "run.json").read_text())["steps"] == 8
    assert "trained it for 8 steps" in " ".join((run / "README.md").read_text().split())


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b'{"step": null}',
        b'{"step": 1}',
        b"[" * 100_000,
        b'{"step": -99999999999999999999999, "phase": "init"}',
        b'{"step": 2, "phase": "main", "raw": {"content": "x"}}',
        b'{"step": 2, "phase": "main", "raw": 3}',
        b'{"step": 2, "phase": "main", "score": {"style": 1}}',
        b'{"step": 2, "phase": "main", "epoch": 1' + b"0" * 400 + b"}",
    ],
)
def test_damaged_lines_of_a_log_are_left_out(finished: RunSummary, tmp_path: Path, line: bytes) -> None:
    log = tmp_path / "log.jsonl"
    whole = (finished.run / "log.jsonl").read_bytes()
    log.write_bytes(line + b"\n" + whole)
    run_folder.Log(tmp_path, since=6).close()
    assert log.read_bytes() == whole


def test_features_of_ones_own_that_fail_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_features.py").write_text(
        "import sys, torch\n"
        "class Fails(torch.nn.Module):\n    def forward(self, x): raise RuntimeError('boom')\n"
        "class Cuts(torch.nn.Module):\n    def forward(self, x): return x.detach()\n"
        "class Wild(torch.nn.Module):\n    def forward(self, x): return x / 0 * 0\n"
        "def leaves(): sys.exit(7)\n"
        "def random(): return torch.nn.Conv2d(3, 4, 3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    said = {"Fails": "boom", "Cuts": "no gradient", "Wild": "not finite", "leaves": "SystemExit: 7"}
    for name, words in said.items():
        with pytest.raises(CommandError, match=words):
            load_features(TrainOptions(features=f"own_features:{name}"))
    one, other = (load_features(TrainOptions(features="own_features:random", seed=3)) for _ in range(2))
    assert one.digest == other.digest  # so that such a run can go on
