"""One training step: the discriminator's turn, then the generator's, on pictures made once.

With several processes each works on its share of the batch, and gradients are averaged once a turn. That is
done here and not by a wrapper around the networks: these are called several times a turn, and frozen in the
other's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from cartoongan import losses
from cartoongan.averaging import Average
from cartoongan.features import Features
from cartoongan.networks import BatchNorm, Discriminator, Generator, to_signed
from cartoongan.options import TrainOptions
from cartoongan.pool import FakePool
from cartoongan.schedules import Phases, learning_rate
from framekit.errors import FramekitError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

BETAS = (0.5, 0.999)
"""Of both Adams, as in the authors' code."""
FIGURES = ("d_accuracy", "gradient_norms")
"""Groups of `Losses.found` that are no terms of a loss."""

_Groups: TypeAlias = "dict[str, dict[str, Tensor]]"


@dataclass(frozen=True)
class Losses:
    """What a step found, over all processes. It stays on its device until it is first looked at.

    Attributes:
        found: Numbers without a dimension by group and name: terms of `generator` and `discriminator`, and
            `FIGURES`.
        weights: Of terms; 1 where there is none.
        learning_rates: Of the networks that learned.
    """

    found: _Groups
    weights: Mapping[str, float]
    learning_rates: dict[str, float]

    @property
    def raw(self) -> dict[str, float]:
        """Every term by name."""
        return {name: value for terms in self._terms.values() for name, value in terms.items()}

    @property
    def weighted(self) -> dict[str, float]:
        """The same, as they enter the totals."""
        return {name: self.weights.get(name, 1.0) * value for name, value in self.raw.items()}

    @property
    def totals(self) -> dict[str, float]:
        """`generator`, and in the main phase `discriminator`: sums of weighted terms."""
        return {network: sum(self.weighted[name] for name in terms) for network, terms in self._terms.items()}

    @property
    def d_accuracy(self) -> dict[str, float]:
        """In the main phase, shares of patches of `cartoons`, `smoothed`, `generated` judged rightly."""
        return self._numbers.get("d_accuracy", {})

    @property
    def gradient_norms(self) -> dict[str, float]:
        """Lengths of the gradients of the networks that learned, before any clipping."""
        return self._numbers["gradient_norms"]

    def not_finite(self) -> list[str]:
        """Names of terms that are infinite or no number, raw or weighted."""
        return [name for name, value in self.weighted.items() if not math.isfinite(value)]

    @property
    def _terms(self) -> dict[str, dict[str, float]]:
        return {group: values for group, values in self._numbers.items() if group not in FIGURES}

    @cached_property
    def _numbers(self) -> dict[str, dict[str, float]]:
        values = iter(_row(self.found).tolist())  # the one place that waits for the device
        return {group: {name: next(values) for name in names} for group, names in self.found.items()}


class _Part(NamedTuple):
    """Some of a step's pictures.

    Attributes:
        share: Of the step's pictures.
        pictures: (n, 3, P, P) in [-1, 1], by kind.
    """

    share: float
    pictures: dict[str, Tensor]


class _Found(NamedTuple):
    """What one part gave: terms of a loss, and figures that nothing is learned from."""

    share: float
    terms: dict[str, Tensor]
    figures: dict[str, Tensor]


class Training:
    """Both networks, their optimizers and the steps that move them.

    A step draws no random numbers from a global generator. The first weights come from `options.seed`; the
    global random state stays as it was. Nothing but `step` talks to other processes, and after it all of them
    hold the same.

    Args:
        options: All of them; precision and devices are `fabric`'s.
        features: What the content loss compares.
        fabric: Where all of it lives, and with whom.
        phases: What a step's number means.
    """

    def __init__(self, options: TrainOptions, features: Features, fabric: Fabric, phases: Phases) -> None:
        self._options, self._phases, self._fabric = options, phases, fabric
        self.device = fabric.device
        self._layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self._weights = {
            "content": options.omega,
            "gram": options.gram,
            "colour": options.colour,
            "tv": options.tv,
            "r1": options.r1,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.generator = self._placed(Generator(options))
            self.discriminator = self._placed(Discriminator(options))
        self.features = self._placed(features)
        for norm in (*_batch_norms(self.generator), *_batch_norms(self.discriminator)):
            norm.shared = fabric.world_size > 1
        self.generator.recompute = options.activation_checkpointing
        self._average = Average(self.generator, options.ema) if options.ema else None
        self._pool = FakePool(options.fake_pool, options.seed)
        self._optimizers = {name: self._adam(network) for name, network in self._networks.items()}
        half = fabric.strategy.precision.precision == "16-mixed"
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        self._generate, self._judge = self._compiled()

    def step(self, batch: Mapping[str, Tensor], step: int) -> Losses:
        """Learn from this process's share of a batch of `data.Batches`, in step number `step` (from 0)."""
        rate = learning_rate(step, self._options, self._phases)
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
        parts = self._parts(batch)
        if step < self._phases.init_steps:
            found = self._learn("generator", map(self._init_terms, parts))
        else:
            found = self._main_step(parts, step)
        if self._average:
            self._average.update(self.generator, step)
        rates = {name: rate for name in self._networks if name in found}
        return Losses(self._over_processes(found), self._weights, rates)

    def statistics(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """The batch-norm means and variances over `batches` of photos (uint8), by name; of other norms none.

        For use in the place of the generator's running ones: these follow weights that moved on, and with an
        average over some ten batches they are noisy. Nothing is learned or counted.
        """
        generator = copy.deepcopy(self._released).train()
        norms = _batch_norms(generator)
        if not norms:
            return {}
        for norm in norms:
            norm.shared = False
            norm.reset_running_stats()
            norm.momentum = None  # averages over all batches alike
        with torch.no_grad():
            for photos in batches:
                generator(self._signed(photos))
        kinds = ("running_mean", "running_var")
        return {name: value for name, value in generator.state_dict().items() if name.endswith(kinds)}

    def generate(self, photos: Tensor, statistics: dict[str, Tensor]) -> Tensor:
        """Cartoons of `photos` (uint8) in [-1, 1], as after training: nothing is learned or counted."""
        self._released.eval()
        with torch.inference_mode():
            generated = torch.func.functional_call(self._released, statistics, (self._signed(photos),))
        self.generator.train()
        return generated

    def states(self) -> dict[str, Any]:
        """All that learning changed, the same in all processes.

        `generator`, `discriminator` and, where there is one, the generator's `average`, which is then what is
        released; the rest is for `restore`.
        """
        networks = self._networks | ({"average": self._average.network} if self._average else {})
        states: dict[str, Any] = {
            name: {key: value.contiguous() for key, value in network.state_dict().items()}
            for name, network in networks.items()
        }
        states |= {f"{name}_optimizer": _moments(part) for name, part in self._optimizers.items()}
        return states | {
            "fake_pool": self._pool.states(),
            "scaler": self._scaler.state_dict(),
            "features_scale": self.features.scale,
        }

    def restore(self, states: Mapping[str, Any]) -> None:
        """Go back to `states`.

        Raises:
            FramekitError: They belong to other networks.
        """
        try:
            for name, network in self._networks.items():
                network.load_state_dict(states[name])
            if self._average:
                self._average.network.load_state_dict(states["average"])
            for name, optimizer in self._optimizers.items():
                _restore_moments(optimizer, states[f"{name}_optimizer"])
            self._pool.restore(states["fake_pool"], self.device)
            if states["scaler"]:  # empty where the run had no need of one so far
                self._scaler.load_state_dict(states["scaler"])
            self.features.scale = _scale(states["features_scale"])
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise FramekitError("the checkpoint belongs to other networks") from error

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def _released(self) -> nn.Module:
        return self._average.network if self._average else self.generator

    def _placed(self, network: Any) -> Any:
        return network.to(self.device, memory_format=self._layout)

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        fused = self.device.type in ("cpu", "cuda")
        return torch.optim.Adam(network.parameters(), lr=self._options.lr, betas=BETAS, fused=fused)

    def _compiled(self) -> tuple[Any, Any]:
        if not self._options.compile:
            return self.generator, self.discriminator
        # What torch.compile gives has no second derivatives.
        judge = self.discriminator if self._options.r1 else torch.compile(self.discriminator)
        return torch.compile(self.generator), judge

    def _signed(self, pictures: Tensor) -> Tensor:
        moved = pictures.to(self.device, non_blocking=True)
        return to_signed(moved).contiguous(memory_format=self._layout)

    def _parts(self, batch: Mapping[str, Tensor]) -> list[_Part]:
        pictures = {name: self._signed(part) for name, part in batch.items()}
        whole = len(pictures["photos"])
        split = {
            name: part.tensor_split(min(self._options.accumulate, whole)) for name, part in pictures.items()
        }
        together = [dict(zip(split, some, strict=True)) for some in zip(*split.values(), strict=True)]
        return [_Part(len(some["photos"]) / whole, some) for some in together]

    def _init_terms(self, part: _Part) -> _Found:
        """Teach the generator to keep contents before it has to please anyone (section 3.3 of the paper).

        ω applies here too: gradients, and with them Adam's moments, keep their scale into the main phase.
        """
        photos = part.pictures["photos"]
        shown, kept = self._looked_at(self._made(photos), photos)
        return _Found(part.share, {"content": losses.content_loss(shown, kept)}, {})

    def _main_step(self, parts: list[_Part], step: int) -> _Groups:
        # Made once, if all of them fit into memory with what their gradients need.
        once = len(parts) == 1
        with torch.set_grad_enabled(once):
            made = [self._made(part.pictures["photos"]) for part in parts]
        seen = self._exchanged([some.detach() for some in made], step)
        judged = self._learn("discriminator", map(self._discriminator_terms, parts, seen))
        self.discriminator.requires_grad_(False)
        try:
            terms = (self._generator_terms(part, made[0] if once else None) for part in parts)
            learned = self._learn("generator", terms)
        finally:
            self.discriminator.requires_grad_(True)
        return {group: judged.get(group, {}) | learned.get(group, {}) for group in (*judged, *learned)}

    def _made(self, photos: Tensor) -> Tensor:
        with self._fabric.autocast():
            return self._generate(photos).float()

    def _looked_at(self, *kinds: Tensor) -> list[Tensor]:
        # Photos and the network ask for no gradient, so only generated pictures keep a graph.
        with self._fabric.autocast():
            return [self.features(pictures) for pictures in kinds]

    def _exchanged(self, made: list[Tensor], step: int) -> list[Tensor]:
        """What the discriminator is shown for `made`: where there is a pool, some of earlier steps."""
        if not self._options.fake_pool:
            return made
        ours = torch.cat(made)
        everybodys = self._fabric.all_gather(ours)
        assert isinstance(everybodys, Tensor)  # as what went in
        first = self._fabric.global_rank * len(ours)
        given = self._pool.exchange(everybodys.view(-1, *ours.shape[1:]), step)[first : first + len(ours)]
        return list(given.split([len(some) for some in made]))

    def _discriminator_terms(self, part: _Part, generated: Tensor) -> _Found:
        cartoons, kind = part.pictures["cartoons"], self._options.adversarial
        if self._options.r1:
            cartoons = cartoons.detach().requires_grad_()
        logits = self._logits(cartoons=cartoons, smoothed=part.pictures["smoothed"], generated=generated)
        terms = losses.discriminator_losses(kind, **logits)
        if self._options.r1:
            terms["r1"] = losses.gradient_penalty(logits["cartoons"], cartoons)
        return _Found(part.share, terms, losses.accuracies(kind, **logits))

    def _logits(self, **kinds: Tensor) -> dict[str, Tensor]:
        with self._fabric.autocast():
            if self._options.norm == "batch" or self._options.r1:
                # One by one: a batch norm takes each kind by its own statistics, and R1's gradient of
                # cartoons would be worked out for all.
                return {name: self._judge(pictures) for name, pictures in kinds.items()}
            together = self._judge(torch.cat(list(kinds.values())))
            return dict(zip(kinds, together.chunk(len(kinds)), strict=True))

    def _generator_terms(self, part: _Part, generated: Tensor | None) -> _Found:
        options, photos = self._options, part.pictures["photos"]
        generated = self._made(photos) if generated is None else generated
        with self._fabric.autocast():
            logits = self._judge(generated)
        shown, kept = self._looked_at(generated, photos)
        terms = {
            "adversarial": losses.adversarial_loss(options.adversarial, logits),
            "content": losses.content_loss(shown, kept),
        }
        if options.gram:
            (textures,) = self._looked_at(losses.grey(part.pictures["cartoons"]))
            terms["gram"] = losses.gram_loss(shown, textures)
        if options.colour:
            terms["colour"] = losses.colour_loss(generated, photos)
        if options.tv:
            terms["tv"] = losses.total_variation_loss(generated)
        return _Found(part.share, terms, {})

    def _learn(self, name: str, parts: Iterable[_Found]) -> _Groups:
        """Move network `name` by the gradients of all `parts`, and give what these found, averaged."""
        optimizer, network = self._optimizers[name], self._networks[name]
        optimizer.zero_grad(set_to_none=True)
        found: _Groups = {name: {}, "d_accuracy": {}}
        for part in parts:
            weighted = [self._weights.get(term, 1.0) * value for term, value in part.terms.items()]
            self._scaler.scale(part.share * torch.stack(weighted).sum()).backward()
            for sums, values in ((found[name], part.terms), (found["d_accuracy"], part.figures)):
                for key, value in values.items():
                    sums[key] = sums.get(key, 0.0) + part.share * value.detach()
        gradients = [value.grad for value in network.parameters() if value.grad is not None]
        self._average_over_processes(gradients)
        self._scaler.unscale_(optimizer)
        norm = nn.utils.get_total_norm(gradients)
        if self._options.clip_gradients:
            nn.utils.clip_grads_with_norm_(network.parameters(), self._options.clip_gradients, norm)
        self._scaler.step(optimizer)
        self._scaler.update()
        return {group: values for group, values in found.items() if values} | {"gradient_norms": {name: norm}}

    def _average_over_processes(self, gradients: list[Tensor]) -> None:
        if self._fabric.world_size == 1:
            return
        flat = self._mean(torch.cat([part.flatten() for part in gradients]))
        for part, mean in zip(gradients, flat.split([part.numel() for part in gradients]), strict=True):
            part.copy_(mean.view(part.shape))

    def _over_processes(self, found: _Groups) -> _Groups:
        if self._fabric.world_size == 1:
            return found
        means = iter(self._mean(_row(found)))
        return {group: {name: next(means) for name in values} for group, values in found.items()}

    def _mean(self, values: Tensor) -> Tensor:
        mean = self._fabric.all_reduce(values, reduce_op="mean")
        assert isinstance(mean, Tensor)  # as what went in
        return mean


def _batch_norms(network: nn.Module) -> list[BatchNorm]:
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


def _row(found: _Groups) -> Tensor:
    """All values in one tensor, in order."""
    return torch.stack([value.float() for values in found.values() for value in values.values()])


def _moments(optimizer: torch.optim.Adam) -> dict[str, Any]:
    """What Adam remembers of each weight, by its number; rates and the like come from options."""
    held = optimizer.state_dict()["state"]
    return {
        "state": {
            number: {key: part.contiguous() for key, part in its.items()} for number, its in held.items()
        }
    }


def _restore_moments(optimizer: torch.optim.Adam, saved: Mapping[str, Any]) -> None:
    """Give Adam its moments back; they may be a stranger's.

    What does not fit its weight is refused: a fused step would write past its end. They are copied into the
    weights' own layout in memory.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    taken = {}
    for number, its in saved["state"].items():
        weight = weights[number]
        shapes = {"step": torch.Size(()), "exp_avg": weight.shape, "exp_avg_sq": weight.shape}
        sound = its.keys() == shapes.keys() and all(
            isinstance(its[key], Tensor)
            and (its[key].shape, its[key].dtype, its[key].layout) == (shape, torch.float32, torch.strided)
            for key, shape in shapes.items()
        )
        if not sound:
            raise ValueError(f"moments of weight {number} do not fit it")
        averages = {key: torch.empty_like(weight).copy_(its[key]) for key in ("exp_avg", "exp_avg_sq")}
        taken[number] = {"step": its["step"].clone(), **averages}
    if taken and len(taken) != len(weights):
        raise ValueError("some weights have moments and some have none")
    optimizer.load_state_dict({"state": taken, "param_groups": optimizer.state_dict()["param_groups"]})


def _scale(value: Any) -> float:
    scale = float(value)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError("features are divided by no such number")
    return scale
