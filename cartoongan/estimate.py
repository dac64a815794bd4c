"""What a run will need, before it begins: counted on the real step, whose tensors hold nothing meanwhile."""

from __future__ import annotations

import copy
import functools
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from cartoongan.devices import make_fabric
from cartoongan.features import Features
from cartoongan.options import TrainOptions
from cartoongan.schedules import Phases
from cartoongan.steps import Losses, Training

MEASURED = 0.5
"""Seconds for which a convolution is timed."""
WORTH_TIMING = 8.0
"""Seconds: where a step takes longer it is not timed but worked out."""
CHANNELS = 256
"""Of that convolution."""
SHORT = {"bf16": torch.bfloat16, "fp16": torch.float16}
META = torch.device("meta")
PHASES = Phases(steps_per_epoch=1, init_steps=1, init_decay_steps=0, main_steps=1, decay_steps=0)


@dataclass(frozen=True)
class Needs:
    """What a process needs.

    Attributes:
        between: Bytes of all tensors that stay from step to step: weights, optimizers, features.
        peak: Bytes of all tensors together, at most; the device's libraries need more on top.
        init_flop: Floating-point operations of a step in the init phase.
        main_flop: The same of the main phase.
    """

    between: int
    peak: int
    init_flop: int
    main_flop: int


def needs_of(options: TrainOptions, features: Features, *, processes: int = 1) -> Needs:
    """Count what a process needs in one step of each phase.

    The real `steps.Training` runs on torch's meta device: every tensor has its shape and kind, and no bytes.

    Args:
        options: As `devices.resolved` leaves them.
        features: What the content loss compares.
        processes: That share a batch.
    """
    plain = options.model_copy(update={"compile": False})
    with _Bytes() as held:
        training = Training(plain, copy.deepcopy(features), _nowhere(options), PHASES)
        batch = _batch(options, processes, META)
        flop = []
        for step, pictures in enumerate(({"photos": batch["photos"]}, batch)):
            with FlopCounterMode(display=False) as counter:
                training.step(pictures, step)
            flop.append(counter.get_total_flops())
        return Needs(held.now, held.peak, *flop)


@dataclass(frozen=True)
class Speed:
    """How long steps take.

    Attributes:
        init_seconds: A step of the init phase.
        main_seconds: One of the main phase.
        words: How that is known.
    """

    init_seconds: float
    main_seconds: float
    words: str


def speed_of(options: TrainOptions, features: Features, needs: Needs, *, processes: int = 1) -> Speed:
    """Time real steps on random pictures; where they would take long, work their time out.

    Args:
        options: As `devices.resolved` leaves them; what `torch.compile` would gain is left out.
        features: What the content loss compares.
        needs: What `needs_of` gave.
        processes: That share a batch; their talk to each other is left out.

    Raises:
        RuntimeError: As torch has it, where a step does not fit into memory.
    """
    fabric = make_fabric(options.model_copy(update={"devices": 1}))
    reached = _convolution_speed(options, fabric.device, processes=processes)
    init, main = needs.init_flop / reached, needs.main_flop / reached
    if main > WORTH_TIMING:
        tera = f"{needs.main_flop / 1e12:.2g} TFLOP a step, at the {reached / 1e12:.2g} TFLOP/s"
        return Speed(init, main, f"worked out: {tera} that a convolution of 256 maps reaches here now")
    plain = options.model_copy(update={"compile": False})
    training = Training(plain, copy.deepcopy(features), fabric, PHASES)
    batch = _batch(options, processes, fabric.device)
    photos = {"photos": batch["photos"]}
    init, main = (
        _seconds(functools.partial(training.step, pictures, step), fabric.device)
        for step, pictures in enumerate((photos, batch))
    )
    return Speed(init, main, "timed: a step of each phase on random pictures")


def _seconds(step: Callable[[], Losses], device: torch.device) -> float:
    step()  # the first one is slower
    _wait(device)
    began = time.perf_counter()
    _ = step().raw
    _wait(device)
    return time.perf_counter() - began


def _batch(options: TrainOptions, processes: int, device: torch.device) -> dict[str, Tensor]:
    size = options.batch_size // processes, 3, options.crop_size, options.crop_size
    kinds = ("photos", "cartoons", "smoothed")
    if device == META:
        return {kind: torch.zeros(size, dtype=torch.uint8, device=META) for kind in kinds}
    some = torch.Generator().manual_seed(0)
    return {kind: torch.randint(0, 256, size, dtype=torch.uint8, generator=some).to(device) for kind in kinds}


def _convolution_speed(options: TrainOptions, device: torch.device, *, processes: int = 1) -> float:
    """Floating-point operations a second that the commonest convolution reaches on `device`.

    It is that of the paper's residual blocks and of VGG19's third group, forward and backward, in the run's
    precision and memory layout.
    """
    side = options.crop_size // 4
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    kind = SHORT.get(options.precision, torch.float32)
    batch = max(options.batch_size // processes // options.accumulate, 1)
    convolution = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, device=device, dtype=kind)
    convolution = cast(Any, convolution).to(memory_format=layout)
    maps = torch.randn(batch, CHANNELS, side, side, device=device, dtype=kind)
    maps = maps.to(memory_format=layout).requires_grad_()

    def once() -> None:
        convolution(maps).sum().backward()

    with FlopCounterMode(display=False) as counter:
        once()  # also warms up
    _wait(device)
    times, began = 0, time.perf_counter()
    while time.perf_counter() - began < MEASURED:
        once()
        _wait(device)
        times += 1
    return counter.get_total_flops() * times / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _nowhere(options: TrainOptions) -> Any:
    """What stands for Fabric where nothing is computed: torch knows no autocast on its meta device."""
    kind = SHORT.get(options.precision)
    autocast: Callable[[], Any] = nullcontext if kind is None else lambda: _Shortened(kind)
    precision = SimpleNamespace(precision="32-true")  # no scaler: it waits for values
    return SimpleNamespace(
        device=META,
        world_size=1,
        global_rank=0,
        all_gather=lambda tensor: tensor,
        autocast=autocast,
        strategy=SimpleNamespace(precision=precision),
    )


class _Shortened(TorchFunctionMode):
    """Convolutions and products of matrices in 16 bits, as autocast has them."""

    _SHORTENED = frozenset({
        *(torch.conv2d, torch.conv_transpose2d, torch.matmul, torch.bmm),
        torch.nn.functional.linear,
    })  # fmt: skip

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self._kind = kind

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in self._SHORTENED:
            args = [self._short(value) for value in args]
        return function(*args, **(kwargs or {}))

    def _short(self, value: Any) -> Any:
        return value.to(self._kind) if isinstance(value, Tensor) and value.is_floating_point() else value


class _Bytes(TorchDispatchMode):
    """Counts the bytes that tensors on the meta device would hold.

    Attributes:
        now: Of those that there are.
        peak: At most so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.device == META:
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._known:
            self._known.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._let_go, storage._cdata, storage.nbytes())

    def _let_go(self, which: int, size: int) -> None:
        self._known.discard(which)
        self.now -= size
