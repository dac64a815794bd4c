"""One step does what the obvious code does, in every kind of it, and computes nothing for nobody."""

from __future__ import annotations

import io
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cartoongan.devices import make_fabric, resolved
from cartoongan.features import Features, VGGFeatures, load_features
from cartoongan.networks import to_bytes, to_signed
from cartoongan.options import TrainOptions
from cartoongan.schedules import Phases
from cartoongan.steps import Losses, Training
from framekit.errors import FramekitError
from tests.cartoongan.datasets import drawing, photo, smoothed
from tests.oracles.cartoongan_step import VGG19, ReferenceStep, criterion_of

PER_EPOCH = 2
TERMS = {"cartoons", "smoothed", "generated", "adversarial", "content"}


def build(options: TrainOptions, features: Features | None = None, **changes: Any) -> Training:
    chosen = resolved(TrainOptions(**{**options.model_dump(), "device": "cpu", **changes})).options
    phases = Phases.of(chosen, PER_EPOCH)
    return Training(chosen, features or load_features(chosen), make_fabric(chosen), phases)


@pytest.fixture(scope="module")
def options(small: TrainOptions) -> TrainOptions:
    """Without an init phase."""
    return TrainOptions(**{**small.model_dump(), "init_steps": 0})


@pytest.fixture
def training(options: TrainOptions) -> Training:
    return build(options)


@pytest.fixture
def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=generator)
        for name in ("photos", "cartoons", "smoothed")
    }


def parameters(network: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in network.parameters()]).clone()


def gradients(network: nn.Module) -> Tensor:
    return torch.cat([value.grad.flatten() for value in network.parameters() if value.grad is not None])


# What is learned


@pytest.mark.parametrize("norm", ["batch", "instance", "instance-affine", "layer"])
@pytest.mark.parametrize("adversarial", ["bce", "lsgan"])
def test_a_step_finds_and_learns_what_the_obvious_code_does(
    norm: str, adversarial: str, batch: dict[str, Tensor], options: TrainOptions
) -> None:
    training = build(options, norm=norm, adversarial=adversarial)
    reference = ReferenceStep(
        training.generator,
        training.discriminator,
        training.features,
        lr=options.lr,
        omega=options.omega,
        criterion=criterion_of(adversarial),
    )
    before = parameters(training.generator), parameters(training.discriminator)
    wanted = reference(**{name: to_signed(part) for name, part in batch.items()})
    assert training.step(batch, 0).raw == pytest.approx(wanted, abs=5e-6)
    for network, theirs, old in (
        (training.generator, reference.generator, before[0]),
        (training.discriminator, reference.discriminator, before[1]),
    ):
        moved, should = parameters(network) - old, parameters(theirs) - old
        # The first step of Adam moves by lr · sign(gradient): rounding may turn signs of gradients near zero.
        agree = ((moved - should).abs() < options.lr / 100).float().mean()
        assert agree > 0.99
        assert should.abs().max() > options.lr / 2


def test_it_does_so_with_vgg(batch: dict[str, Tensor], options: TrainOptions) -> None:
    vgg = VGGFeatures(None)
    training, theirs = build(options, vgg), VGG19(vgg.state_dict())
    networks = training.generator, training.discriminator
    criterion = criterion_of(options.adversarial)
    reference = ReferenceStep(*networks, theirs, lr=options.lr, omega=options.omega, criterion=criterion)
    wanted = reference(**{name: to_signed(part) for name, part in batch.items()})
    assert training.step(batch, 0).raw == pytest.approx(wanted, abs=5e-6)


def test_totals_are_the_weighted_sums(batch: dict[str, Tensor], options: TrainOptions) -> None:
    weights = {"gram": 2.0, "colour": 3.0, "tv": 0.5, "r1": 0.1}
    found = build(options, **weights).step(batch, 0)
    assert set(found.raw) == TERMS | set(weights)
    for name, weight in {"content": options.omega, **weights}.items():
        assert found.weighted[name] == pytest.approx(weight * found.raw[name]), name
    raw = found.raw
    assert found.totals == pytest.approx(
        {
            "generator": raw["adversarial"]
            + options.omega * raw["content"]
            + 2 * raw["gram"]
            + 3 * raw["colour"]
            + 0.5 * raw["tv"],
            "discriminator": raw["cartoons"] + raw["smoothed"] + raw["generated"] + 0.1 * raw["r1"],
        }
    )
    assert set(build(options).step(batch, 0).raw) == TERMS, "what has no weight is not computed"


def test_the_discriminators_answers_are_counted(options: TrainOptions, batch: dict[str, Tensor]) -> None:
    training = build(options)
    judge = training.discriminator.layers[-1]
    nn.init.zeros_(judge.weight)
    nn.init.constant_(judge.bias, 1.0)  # takes all for real
    found = training.step(batch, 0)
    assert found.d_accuracy == {"cartoons": 1, "smoothed": 0, "generated": 0}
    assert set(found.gradient_norms) == set(found.learning_rates) == {"generator", "discriminator"}


@pytest.mark.parametrize("adversarial", ["bce", "lsgan", "hinge"])
def test_the_generator_learns_from_the_discriminator_when_contents_do_not_count(
    options: TrainOptions, batch: dict[str, Tensor], adversarial: str
) -> None:
    training = build(options, omega=0.0, adversarial=adversarial)
    before = parameters(training.generator)
    found = training.step(batch, 0)
    assert found.gradient_norms["generator"] > 0
    assert not torch.equal(parameters(training.generator), before)


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"r1": 1.0}, {"norm": "instance"}], ids=str)
def test_a_turn_gives_gradients_to_its_own_network_alone(
    changes: dict[str, Any], options: TrainOptions, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = build(options, **changes)
    turns: list[tuple[bool, bool]] = []
    learn = training._learn
    networks = training.generator, training.discriminator

    def spy(name: str, parts: Any) -> Any:
        for network in networks:
            network.zero_grad()
        done = learn(name, parts)
        turns.append(tuple(any(v.grad is not None for v in network.parameters()) for network in networks))
        return done

    monkeypatch.setattr(training, "_learn", spy)
    training.step(batch, 0)
    assert turns == [(False, True), (True, False)]
    assert all(value.requires_grad for value in training.discriminator.parameters())


@pytest.mark.parametrize(("changes", "passes"), [({}, 1), ({"accumulate": 2}, 4)], ids=str)
def test_pictures_are_made_once_a_step(
    changes: dict[str, Any], passes: int, options: TrainOptions, batch: dict[str, Tensor]
) -> None:
    """And twice, in parts, where memory is to be saved."""
    training, calls = build(options, **changes), []
    training.generator.register_forward_hook(lambda *call: calls.append(call))
    training.step(batch, 0)
    assert len(calls) == passes


@pytest.mark.parametrize(("norm", "passes"), [("batch", [2, 2, 2, 2]), ("instance", [6, 2])])
def test_the_discriminator_takes_each_kind_by_its_own_batch_statistics(
    norm: str, passes: list[int], options: TrainOptions, batch: dict[str, Tensor]
) -> None:
    training, sizes = build(options, norm=norm), []
    training.discriminator.register_forward_hook(lambda *call: sizes.append(len(call[2])))
    training.step(batch, 0)
    assert sizes == passes


def test_vgg_never_gets_a_gradient_and_photos_no_graph(training: Training, batch: dict[str, Tensor]) -> None:
    found: list[Tensor] = []
    training.features.register_forward_hook(lambda *call: found.append(call[2]))
    training.step(batch, 0)
    assert sorted(value.requires_grad for value in found) == [False, True]
    assert all(value.grad is None for value in training.features.parameters())


def test_a_turn_that_breaks_off_leaves_the_discriminator_able_to_learn(
    training: Training, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Tensor) -> Tensor:
        raise MemoryError

    monkeypatch.setattr(training, "_looked_at", broken)
    with pytest.raises(MemoryError):
        training.step(batch, 0)
    assert all(value.requires_grad for value in training.discriminator.parameters())


# Phases


def test_init_steps_leave_the_discriminator_alone_and_lower_the_content_loss(
    options: TrainOptions, batch: dict[str, Tensor]
) -> None:
    training = build(options, lr=5e-3, init_steps=15)
    before = parameters(training.discriminator)
    history = [training.step({"photos": batch["photos"]}, step) for step in range(15)]
    assert set(history[0].raw) == {"content"} and set(history[0].totals) == {"generator"}
    assert history[0].d_accuracy == {} and set(history[0].learning_rates) == {"generator"}
    assert torch.equal(parameters(training.discriminator), before)
    assert history[-1].raw["content"] < 0.9 * history[0].raw["content"]


def test_discriminator_learns_to_tell_cartoons_from_the_rest(options: TrainOptions) -> None:
    training = build(options, lr=2e-2)
    checks = (torch.arange(32)[:, None] // 4 + torch.arange(32) // 4) % 2 * 255
    cartoons = checks.to(torch.uint8).expand(2, 3, 32, 32)
    grey = torch.full((2, 3, 32, 32), 127, dtype=torch.uint8)
    batch = {"photos": grey, "cartoons": cartoons, "smoothed": grey}
    history = [training.step(batch, step) for step in range(15)]
    for term in ("cartoons", "smoothed"):
        assert history[-1].raw[term] < 0.6 * history[0].raw[term]
        assert history[-1].d_accuracy[term] > 0.9


def test_rates_are_those_of_the_schedule(options: TrainOptions, batch: dict[str, Tensor]) -> None:
    training = build(options, lr=1e-3, lr_init=4e-3, init_steps=1, lr_milestones=(1,), lr_gamma=0.5)
    for step, rate in enumerate((4e-3, 1e-3, 1e-3, 5e-4)):
        assert training.step(batch, step).learning_rates["generator"] == pytest.approx(rate)
        used = [group["lr"] for part in training._optimizers.values() for group in part.param_groups]
        assert used == pytest.approx([rate, rate])


# Ways to compute the same

NOT_TO_MOVE = 1e-12
"""A rate that leaves the discriminator as it was: Adam's first step turns rounding into whole steps."""


def stepped(options: TrainOptions, batch: dict[str, Tensor], **changes: Any) -> tuple[Losses, Tensor, Tensor]:
    """Losses of one step, and the gradients that it left of generator and discriminator."""
    training = build(options, **changes)
    found: list[Tensor] = []
    learn = training._learn

    def spy(name: str, parts: Any) -> Any:
        done = learn(name, parts)
        found.append(gradients(training._networks[name]))
        return done

    training._learn = spy  # type: ignore[method-assign]
    return training.step(batch, 0), found[1], found[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulate": 2},
        {"accumulate": 3},  # uneven parts
        {"activation_checkpointing": True},
        {"channels_last": True},
        {"compile": True},
        {"accumulate": 4, "activation_checkpointing": True, "channels_last": True},
    ],
    ids=str,
)
def test_the_way_of_computing_changes_no_gradient(
    options: TrainOptions, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # All of torch.compile but a C++ compiler at work for a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    generator = torch.Generator().manual_seed(5)
    batch = {
        name: torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=generator)
        for name in ("photos", "cartoons", "smoothed")
    }
    kinds = {"norm": "instance", "padding": "reflect", "batch_size": 4, "gram": 1.0, "lr": NOT_TO_MOVE}
    losses, *wanted = stepped(options, batch, **kinds)
    others, *found = stepped(options, batch, **(kinds | changes))
    assert others.raw == pytest.approx(losses.raw, abs=1e-5)
    assert others.gradient_norms == pytest.approx(losses.gradient_norms, rel=1e-4)
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).norm() < 1e-3 * theirs.norm()


def test_bf16_comes_close_and_keeps_weights_in_float32(
    options: TrainOptions, batch: dict[str, Tensor]
) -> None:
    kinds = {"norm": "instance", "padding": "reflect"}
    exact, half = (build(options, **kinds, precision=precision) for precision in ("fp32", "bf16"))
    kinds_seen: list[torch.dtype] = []
    half.generator.flat[1].register_forward_hook(lambda *call: kinds_seen.append(call[2].dtype))
    wanted, found = exact.step(batch, 0), half.step(batch, 0)
    assert kinds_seen == [torch.bfloat16]
    assert found.raw == pytest.approx(wanted.raw, rel=0.1, abs=0.02)
    assert found.raw != wanted.raw
    assert {value.dtype for value in half.generator.parameters()} == {torch.float32}


def test_gradients_are_clipped_to_the_length_asked_for(
    options: TrainOptions, batch: dict[str, Tensor]
) -> None:
    free, *wanted = stepped(options, batch, lr=NOT_TO_MOVE)
    clipped, *found = stepped(options, batch, lr=NOT_TO_MOVE, clip_gradients=1e-3)
    assert clipped.gradient_norms == pytest.approx(free.gradient_norms, rel=1e-4), "told as they were"
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.norm() == pytest.approx(1e-3, rel=1e-3)
        assert torch.allclose(ours / ours.norm(), theirs / theirs.norm(), atol=1e-4)
    _, *loose = stepped(options, batch, lr=NOT_TO_MOVE, clip_gradients=1e6)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(loose, wanted, strict=True))


# What is kept


def test_first_weights_follow_the_seed_and_leave_the_global_state_alone(options: TrainOptions) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build(options, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(parameters(one.generator), parameters(same.generator))
    assert not torch.equal(parameters(one.generator), parameters(other.generator))
    assert torch.equal(torch.random.get_rng_state(), before)


EVERYTHING = {
    "ema": 0.9,
    "fake_pool": 3,
    "spectral_norm": True,
    "r1": 0.1,
    "gram": 1.0,
    "colour": 1.0,
    "tv": 1.0,
    "clip_gradients": 5.0,
    "adversarial": "hinge",
    "decay_epochs": 5,
}


@pytest.mark.parametrize("changes", [{}, EVERYTHING, {"channels_last": True}], ids=["plain", "all", "last"])
def test_restored_it_goes_on_bit_for_bit(changes: dict[str, Any], options: TrainOptions) -> None:
    generator = torch.Generator().manual_seed(9)
    batches = torch.randint(0, 256, (6, 3, 2, 3, 32, 32), dtype=torch.uint8, generator=generator)

    def run(training: Training, steps: range) -> None:
        for step in steps:
            found = training.step(
                dict(zip(("photos", "cartoons", "smoothed"), batches[step], strict=True)), step
            )
            assert not found.not_finite()

    whole, first, second = (build(options, **changes) for _ in range(3))
    run(whole, range(6))
    run(first, range(3))
    file = io.BytesIO()
    torch.save(first.states(), file)
    file.seek(0)
    second.restore(torch.load(file, weights_only=True))
    run(second, range(3, 6))
    assert same(second.states(), whole.states())
    weights = whole.states()["generator"]
    assert all(value.is_contiguous() for value in weights.values())


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return one == other


def test_the_average_is_what_is_shown_and_kept(options: TrainOptions, batch: dict[str, Tensor]) -> None:
    plain, averaged = build(options), build(options, ema=0.99)
    for step in range(4):
        for training in (plain, averaged):
            training.step(batch, step)
    seen = [parameters(training.generator) for training in (plain, averaged)]
    assert torch.equal(*seen), "training sees none of it"
    states = averaged.states()
    assert not same(states["average"], states["generator"]) and "average" not in plain.states()
    statistics = averaged.statistics([batch["photos"]])
    shown = averaged.generate(batch["photos"], statistics)
    plain.restore(states | {"generator": states["average"] | statistics})
    assert torch.equal(plain.generate(batch["photos"], {}), shown)


def test_the_discriminator_is_shown_the_pool(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    training = build(options, fake_pool=1)
    generator = torch.Generator().manual_seed(9)
    made: list[Tensor] = []
    shown: list[Tensor] = []
    training.generator.register_forward_hook(lambda *call: made.append(call[2].detach()))
    training.discriminator.register_forward_hook(lambda *call: shown.append(call[1][0].detach()))
    for step in range(12):
        pictures = torch.randint(0, 256, (3, 2, 3, 32, 32), dtype=torch.uint8, generator=generator)
        training.step(dict(zip(("photos", "cartoons", "smoothed"), pictures, strict=True)), step)
    in_its_turn = [picture for pictures in shown[2::4] for picture in pictures]
    new = [picture for pictures in made for picture in pictures]
    older = sum(not torch.equal(one, other) for one, other in zip(in_its_turn, new, strict=True))
    assert 4 < older < 20
    assert all(any(torch.equal(picture, one) for one in new) for picture in in_its_turn)
    in_the_generators = [picture for pictures in shown[3::4] for picture in pictures]
    assert all(torch.equal(one, other) for one, other in zip(in_the_generators, new, strict=True))


def test_states_of_other_networks_are_refused(training: Training, options: TrainOptions) -> None:
    for other in (build(options, base_channels=8), build(options, norm="instance")):
        with pytest.raises(FramekitError, match="other networks"):
            training.restore(other.states())


def test_generating_samples_changes_nothing(training: Training, batch: dict[str, Tensor]) -> None:
    training.step(batch, 0)
    before = {name: value.clone() for name, value in training.generator.state_dict().items()}
    statistics = training.statistics([batch["photos"]])
    training.generate(batch["photos"], statistics)
    assert training.generator.training
    assert all(torch.equal(before[name], value) for name, value in training.generator.state_dict().items())


# Statistics of batch norms


def test_statistics_are_those_of_all_batches_with_the_weights_as_they_are(training: Training) -> None:
    batches = torch.randint(0, 256, (3, 2, 3, 32, 32), dtype=torch.uint8)
    for step, photos in enumerate(batches):
        training.step({"photos": photos, "cartoons": photos, "smoothed": photos}, step)
    statistics = training.statistics(batches)
    seen: list[Tensor] = []
    convolution = training.generator.flat[0]
    with convolution.register_forward_hook(lambda *call: seen.append(call[2])), torch.no_grad():
        for photos in batches:
            convolution(to_signed(photos))
    means = torch.stack([part.mean((0, 2, 3)) for part in seen]).mean(0)
    variances = torch.stack([part.var((0, 2, 3)) for part in seen]).mean(0)
    assert torch.allclose(statistics["flat.1.running_mean"], means, atol=1e-5)
    assert torch.allclose(statistics["flat.1.running_var"], variances, rtol=1e-4)
    assert not torch.allclose(statistics["flat.1.running_var"], training.generator.flat[1].running_var)


def test_a_generator_with_its_statistics_comes_closer_to_what_was_trained(options: TrainOptions) -> None:
    training = build(options, init_steps=4)
    generator = torch.Generator().manual_seed(3)
    batches = torch.randint(0, 256, (4, 2, 3, 32, 32), dtype=torch.uint8, generator=generator)
    for step, photos in enumerate(batches):
        training.step({"photos": photos}, step)
    with torch.no_grad():
        trained = torch.func.functional_call(
            training.generator, dict(training.generator.named_buffers()), (to_signed(batches[0]),)
        )
    running = {name: value.clone() for name, value in training.generator.named_buffers()}
    gaps = [
        float((training.generate(batches[0], values) - trained).abs().mean())
        for values in (training.statistics(batches), running)
    ]
    assert gaps[0] < 0.7 * gaps[1]


def test_other_norms_have_no_statistics(options: TrainOptions, batch: dict[str, Tensor]) -> None:
    training = build(options, norm="instance")
    assert training.statistics([batch["photos"]]) == {}
    assert training.generate(batch["photos"], {}).shape == (2, 3, 32, 32)


# Whole runs, short


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "paper", "lr": 2e-3},
        {"preset": "authors", "lr": 2e-3},
        {"preset": "report", "lr": 2e-3},
        {"generator": "light", "upsampling": "resize", "norm": "layer", "lr": 1e-3},
    ],
    ids=["paper", "authors", "report", "light"],
)
def test_grey_photos_become_red_when_cartoons_are_red(changes: dict[str, Any], options: TrainOptions) -> None:
    """On average over the second half, and with R1: without it, so short a run swings from red to green."""
    kinds = TrainOptions(**changes).model_dump(
        include={*changes, "norm", "padding", "adversarial", "fake_pool"}
    )
    training = build(options, **({"base_channels": 8, "omega": 0.1, "r1": 0.01} | kinds | changes))

    def stack(pictures: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)

    drawings = [drawing(number, 32) for number in range(8)]
    all_of = {
        "photos": stack([photo(number, 32) for number in range(8)]),
        "cartoons": stack(drawings),
        "smoothed": stack([smoothed(picture) for picture in drawings]),
    }
    reds = []
    for step in range(60):
        places = [(4 * step + place) % 8 for place in range(4)]
        assert not training.step({name: part[places] for name, part in all_of.items()}, step).not_finite()
        if step >= 30 and step % 5 == 4:
            statistics = training.statistics([all_of["photos"]])
            red, green, blue = (
                to_bytes(training.generate(all_of["photos"], statistics)).float().mean((0, 2, 3))
            )
            reds.append(float(red - max(green, blue)))
    assert np.mean(reds) > 20, reds


@pytest.mark.real
def test_the_init_phase_lowers_the_content_loss_on_real_photos(vgg_file: Path, options: TrainOptions) -> None:
    names = sorted(Path(os.environ["FRAMEKIT_TEST_DATA"]).glob("photos/**/*.jpg"))[:4]
    if not names:
        pytest.skip("no photos")
    pictures = [np.asarray(Image.open(name).convert("RGB").resize((48, 48))) for name in names]
    photos = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    features = load_features(TrainOptions(vgg_weights=vgg_file))
    training = build(options, features, base_channels=16, norm="instance", lr=1e-3, init_steps=16)
    history = [training.step({"photos": photos[step % 2 :: 2]}, step).raw["content"] for step in range(16)]
    assert sum(history[-4:]) < 0.8 * sum(history[:4])
