"""One step does what the obvious code does, and computes nothing for nobody."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cartoongan.features import VGGFeatures
from cartoongan.networks import to_signed
from cartoongan.options import TrainOptions
from cartoongan.steps import Training
from framekit.errors import FramekitError
from tests.oracles.cartoongan_step import obvious_step

CPU = torch.device("cpu")


@pytest.fixture
def training(small: TrainOptions) -> Training:
    return Training(small, VGGFeatures(None), CPU)


@pytest.fixture
def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        name: torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=generator)
        for name in ("photos", "cartoons", "smoothed")
    }


def parameters(network: torch.nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in network.parameters()]).clone()


def test_step_learns_what_the_obvious_code_learns(
    training: Training, batch: dict[str, Tensor], small: TrainOptions
) -> None:
    pictures = {name: to_signed(part) for name, part in batch.items()}
    wanted_generator, wanted_discriminator = obvious_step(
        training.generator,
        training.discriminator,
        VGGFeatures(None),
        **pictures,
        lr=small.lr,
        omega=small.omega,
    )
    before = parameters(training.generator), parameters(training.discriminator)
    training.step(batch)
    for network, wanted, old in (
        (training.generator, wanted_generator, before[0]),
        (training.discriminator, wanted_discriminator, before[1]),
    ):
        moved, should = parameters(network) - old, parameters(wanted) - old
        # The first step of Adam moves by lr · sign(gradient): rounding may turn signs of gradients near zero.
        agree = ((moved - should).abs() < small.lr / 100).float().mean()
        assert agree > 0.99
        assert should.abs().max() > small.lr / 2


def test_totals_are_the_weighted_sums(
    training: Training, batch: dict[str, Tensor], small: TrainOptions
) -> None:
    losses = training.step(batch)
    assert set(losses.raw) == {"cartoons", "smoothed", "generated", "adversarial", "content"}
    assert losses.weighted["content"] == pytest.approx(small.omega * losses.raw["content"])
    assert losses.totals == pytest.approx(
        {
            "generator": losses.raw["adversarial"] + small.omega * losses.raw["content"],
            "discriminator": losses.raw["cartoons"] + losses.raw["smoothed"] + losses.raw["generated"],
        }
    )


def test_the_generators_turn_gives_the_discriminator_no_gradient(
    training: Training, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[tuple[bool, bool]] = []
    learn = training._learn

    def spy(name: str, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        for network in (training.generator, training.discriminator):
            network.zero_grad()
        done = learn(name, terms)
        turns.append(
            tuple(
                any(value.grad is not None for value in network.parameters())
                for network in (training.generator, training.discriminator)
            )
        )
        return done

    monkeypatch.setattr(training, "_learn", spy)
    training.step(batch)
    assert turns == [(False, True), (True, False)]
    assert all(value.requires_grad for value in training.discriminator.parameters())


def test_the_generator_learns_from_the_discriminator_when_contents_do_not_count(
    small: TrainOptions, batch: dict[str, Tensor]
) -> None:
    training = Training(small.model_copy(update={"omega": 0.0}), VGGFeatures(None), CPU)
    before = parameters(training.generator)
    training.step(batch)
    assert not torch.equal(parameters(training.generator), before)


def test_pictures_are_made_once_a_step(training: Training, batch: dict[str, Tensor]) -> None:
    calls: list[Any] = []
    training.generator.register_forward_hook(lambda *call: calls.append(call))
    training.step(batch)
    assert len(calls) == 1


def test_vgg_never_gets_a_gradient_and_photos_no_graph(training: Training, batch: dict[str, Tensor]) -> None:
    found: list[Tensor] = []
    training._features.register_forward_hook(lambda *call: found.append(call[2]))
    training.step(batch)
    assert sorted(value.requires_grad for value in found) == [False, True]
    assert all(value.grad is None for value in training._features.parameters())


def test_init_steps_leave_the_discriminator_alone_and_lower_the_content_loss(
    small: TrainOptions, batch: dict[str, Tensor]
) -> None:
    training = Training(small.model_copy(update={"lr": 5e-3}), VGGFeatures(None), CPU)
    before = parameters(training.discriminator)
    history = [training.step({"photos": batch["photos"]}) for _ in range(15)]
    assert set(history[0].raw) == {"content"} and set(history[0].totals) == {"generator"}
    assert torch.equal(parameters(training.discriminator), before)
    assert history[-1].raw["content"] < 0.9 * history[0].raw["content"]


def test_discriminator_learns_to_tell_cartoons_from_the_rest(small: TrainOptions) -> None:
    training = Training(small.model_copy(update={"lr": 2e-2}), VGGFeatures(None), CPU)
    checks = (torch.arange(32)[:, None] // 4 + torch.arange(32) // 4) % 2 * 255
    cartoons = checks.to(torch.uint8).expand(2, 3, 32, 32)
    grey = torch.full((2, 3, 32, 32), 127, dtype=torch.uint8)
    history = [training.step({"photos": grey, "cartoons": cartoons, "smoothed": grey}) for _ in range(15)]
    for term in ("cartoons", "smoothed"):
        assert history[-1].raw[term] < 0.6 * history[0].raw[term]


def test_first_weights_follow_the_seed_and_leave_the_global_state_alone(small: TrainOptions) -> None:
    before = torch.random.get_rng_state()
    one, same = (Training(small, VGGFeatures(None), CPU) for _ in range(2))
    other = Training(small.model_copy(update={"seed": 1}), VGGFeatures(None), CPU)
    assert torch.equal(parameters(one.generator), parameters(same.generator))
    assert not torch.equal(parameters(one.generator), parameters(other.generator))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_generating_samples_changes_nothing(training: Training, batch: dict[str, Tensor]) -> None:
    training.step(batch)
    before = {name: value.clone() for name, value in training.generator.state_dict().items()}
    statistics = training.statistics([batch["photos"]])
    training.generate(batch["photos"], statistics)
    assert training.generator.training
    assert all(torch.equal(before[name], value) for name, value in training.generator.state_dict().items())


def test_statistics_are_those_of_all_batches_with_the_weights_as_they_are(training: Training) -> None:
    batches = torch.randint(0, 256, (3, 2, 3, 32, 32), dtype=torch.uint8)
    for photos in batches:
        training.step({"photos": photos})
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


def test_a_generator_with_its_statistics_comes_closer_to_what_was_trained(training: Training) -> None:
    generator = torch.Generator().manual_seed(3)
    batches = torch.randint(0, 256, (4, 2, 3, 32, 32), dtype=torch.uint8, generator=generator)
    for photos in batches:
        training.step({"photos": photos})
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


def test_a_turn_that_breaks_off_leaves_the_discriminator_able_to_learn(
    training: Training, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Tensor) -> Tensor:
        raise MemoryError

    monkeypatch.setattr(training, "_content", broken)
    with pytest.raises(MemoryError):
        training.step(batch)
    assert all(value.requires_grad for value in training.discriminator.parameters())


def test_states_of_other_networks_are_refused(training: Training, small: TrainOptions) -> None:
    other = Training(small.model_copy(update={"base_channels": 8}), VGGFeatures(None), CPU)
    with pytest.raises(FramekitError, match="other networks"):
        training.restore(other.states())
