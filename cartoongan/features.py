"""What a picture shows, for the content loss: VGG19 up to conv4_4, before its ReLU, or another network."""

from __future__ import annotations

import hashlib
import importlib
import math
import operator
import re
import sys
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cartoongan.networks import to_signed
from cartoongan.options import TrainOptions
from cartoongan.tensors import load_tensors
from framekit.errors import CommandError, FramekitError, printable
from framekit.files import sha256_of

VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
"""torchvision's weights; the 8 digits begin their SHA-256."""

_LAYERS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]
_ADVICE = "give a VGG19 with torchvision's key names: --vgg-weights FILE, or use --untrained-features"


class Features(nn.Module):
    """What pictures show: a frozen network, whose weights never learn.

    Attributes:
        scale: What features are divided by; 1 unless `normalise` was called.
    """

    scale = 1.0

    def freeze(self) -> None:
        """For subclasses, at the end of their constructors."""
        self.requires_grad_(False)
        self.eval()

    def extract(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [-1, 1] → (N, C, h, w), before anything is divided."""
        raise NotImplementedError

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [-1, 1] → (N, C, h, w)."""
        found = self.extract(pictures)
        return found if self.scale == 1 else found / self.scale

    @torch.no_grad()
    def normalise(self, photos: Tensor) -> None:
        """From now on divide features by their mean absolute value on `photos`, (N, 3, H, W) uint8 RGB.

        Raises:
            FramekitError: They are all zero there, or no finite numbers.
        """
        scale = float(self.extract(to_signed(photos)).abs().mean())
        if not (math.isfinite(scale) and scale > 0):
            raise FramekitError(f"features cannot be normalised: their mean size on photos is {scale}")
        self.scale = scale

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that tell these features from others, whatever they are divided by."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.cpu().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


class VGGFeatures(Features):
    """VGG19 (Simonyan and Zisserman, 2014) cut after conv4_4.

    Args:
        weights: torchvision's keys, `features.0.weight` to `features.25.bias`; others are left aside. Random
            weights by `seed` when None.
        seed: Of random weights.

    Raises:
        FramekitError: A weight is missing, or of a wrong shape.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Mapping[str, Any] | None, *, seed: int = 0) -> None:
        super().__init__()
        self.features = _vgg19_to_conv4_4()
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)
        if weights is None:
            self._randomise(seed)
        else:
            self.load_state_dict(_fitting(weights, self.state_dict()))
        self.freeze()

    def extract(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [-1, 1], sides of 8 at least → (N, 512, H // 8, W // 8)."""
        return self.features(((pictures + 1) / 2 - self.mean) / self.deviation)

    def _randomise(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # these layers all have one


class ImportedFeatures(Features):
    """Somebody's own network.

    Args:
        place: `module:attribute`, a torch module or what makes one when called. Its code is run: it comes
            from the command line or a recipe, never from a run's files.

    Raises:
        FramekitError: There is no such network, or it gives no features.
    """

    def __init__(self, place: str, *, seed: int = 0) -> None:
        super().__init__()
        self.network = _imported(place, seed)
        self._place = place
        self.freeze()
        try:
            found = self.network(torch.zeros(1, 3, 64, 64, requires_grad=True))
        except Exception as error:  # somebody's code can fail in any way
            reason = printable(f"{type(error).__name__}: {error}")
            raise CommandError(f"fails on a picture of 64 × 64 ({reason:.200})", where=place) from error
        if not (isinstance(found, Tensor) and found.ndim == 4 and found.is_floating_point()):
            shape = _shape(found) if isinstance(found, Tensor) else type(found).__name__
            raise FramekitError(f"gives no (N, C, h, w) features but {shape}", where=place)
        if not found.requires_grad:
            advice = "leave out detach() and no_grad()"
            raise CommandError("lets no gradient through to the picture", where=place, advice=advice)
        if not found.isfinite().all():
            raise CommandError("gives numbers that are not finite", where=place)

    def extract(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [-1, 1] → (N, C, h, w)."""
        return self.network(pictures)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits, of its weights and of where it comes from: it may have none."""
        return hashlib.sha256(f"{self._place} {super().digest}".encode()).hexdigest()


def load_features(options: TrainOptions) -> Features:
    """The features that `options` ask for: imported, from a file, random, or torchvision's (downloaded once).

    Raises:
        FramekitError: The file is no such VGG19, the download failed, or there is nothing to import.
    """
    if options.features:
        return ImportedFeatures(options.features, seed=options.seed)
    if options.untrained_features:
        return VGGFeatures(None, seed=options.seed)
    path = options.vgg_weights or _torchvision_file()
    try:
        return VGGFeatures(_read(path))
    except FramekitError as error:
        raise type(error)(error.what, where=path, advice=_ADVICE) from error


def features_at_hand(options: TrainOptions) -> Features | None:
    """As `load_features`; None where it would download them."""
    given = options.features or options.untrained_features or options.vgg_weights
    return load_features(options) if given or _is_torchvisions(_cached_file()) else None


def check_features(options: TrainOptions) -> str:
    """Say in words where features will come from; a file is read and checked, nothing is downloaded.

    Raises:
        FramekitError: The file is no such VGG19.
    """
    if options.features:
        load_features(options)
        return options.features
    if options.untrained_features:
        return "VGG19 with random weights: content is compared roughly, results look worse"
    if options.vgg_weights is None and not _is_torchvisions(_cached_file()):
        return f"VGG19, to be downloaded from {VGG19_URL} (548 MB)"
    load_features(options)
    return f"VGG19 from {printable(options.vgg_weights or _cached_file())}"


def _vgg19_to_conv4_4() -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in _LAYERS:
        if isinstance(outputs, str):
            layers.append(nn.MaxPool2d(2))
        else:
            # skip_init: weights are filled in next, and the global random state is nobody's to touch.
            convolution = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, padding=1)
            layers += [convolution, nn.ReLU(inplace=True)]
            inputs = outputs
    return nn.Sequential(*layers[:-1])


def _imported(place: str, seed: int) -> nn.Module:
    """The module at `place`; what is not one is called, and must give one.

    What is random in it follows from `seed`: each process of a run, and a run that goes on, has the same.
    """
    module, attribute = place.split(":")
    here = str(Path.cwd())
    if here not in sys.path:  # at the end: it adds modules and hides none
        sys.path.append(here)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found = operator.attrgetter(attribute)(importlib.import_module(module))
            network = found if isinstance(found, nn.Module) else found()
    except (Exception, SystemExit) as error:  # somebody's code can fail in any way
        reason = printable(f"{type(error).__name__}: {error}")
        raise CommandError(
            f"cannot be imported ({reason:.200})", where=place, advice="see --features"
        ) from error
    if not isinstance(network, nn.Module):
        raise CommandError(f"no torch module but {type(network).__name__}", where=place)
    return network


def _fitting(weights: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of `weights` that `wanted` names, as float32."""
    fitting = {}
    for name, place in wanted.items():
        value = weights.get(name)
        if not isinstance(value, Tensor):
            raise FramekitError(f"not a VGG19: {name} is missing")
        if value.shape != place.shape:
            raise FramekitError(f"not a VGG19: {name} is {_shape(value)}, not {_shape(place)}")
        if not value.isfinite().all():
            raise FramekitError(f"damaged: {name} holds values that are no finite numbers")
        fitting[name] = value.float()
    return fitting


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape))


def _read(path: Path) -> Mapping[str, Any]:
    """The tensors in a .safetensors, .pth or .pt file; no code in it is ever run."""
    if not path.is_file():
        raise CommandError("no such file")
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise FramekitError("not a .safetensors, .pth or .pt file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        weights = load_tensors(path)
    except Exception as error:  # a stranger's file can fail in any way
        raise FramekitError(f"cannot be read as weights ({type(error).__name__})") from error
    if not isinstance(weights, Mapping):
        raise FramekitError("not a VGG19: no table of weights")
    return weights


def _torchvision_file() -> Path:
    path = _cached_file()
    if _is_torchvisions(path):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(VGG19_URL, str(path), hash_prefix=_hash_prefix())
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        reason = printable(getattr(error, "reason", error))
        raise FramekitError(
            f"VGG19 could not be downloaded ({reason})", where=VGG19_URL, advice=_ADVICE
        ) from error
    return path


def _cached_file() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / VGG19_URL.rsplit("/", 1)[-1]


def _is_torchvisions(path: Path) -> bool:
    return path.is_file() and sha256_of(path).startswith(_hash_prefix())


def _hash_prefix() -> str:
    found = re.search(r"-([0-9a-f]{8})\.pth$", VGG19_URL)
    assert found, VGG19_URL
    return found[1]
