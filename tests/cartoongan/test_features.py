"""VGG19 up to conv4_4: its shape, its weights from files and from the network, its errors."""

from __future__ import annotations

import hashlib
import sys
import urllib.error
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cartoongan import features
from cartoongan.features import VGGFeatures, check_features, load_features
from cartoongan.networks import to_signed
from cartoongan.options import TrainOptions
from framekit.errors import FramekitError


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random weights with torchvision's names."""
    return dict(VGGFeatures(None, seed=1).state_dict())


def asking_for(path: Path) -> TrainOptions:
    return TrainOptions(vgg_weights=path)


def test_layers_are_torchvisions_up_to_conv4_4_without_its_relu(weights: dict[str, torch.Tensor]) -> None:
    convolutions = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25]
    assert set(weights) == {f"features.{i}.{part}" for i in convolutions for part in ("weight", "bias")}
    # 9 · (3·64 + 64·64 + 64·128 + 128·128 + 128·256 + 3·256·256 + 256·512 + 3·512·512), and the biases
    assert (
        sum(value.numel() for value in weights.values()) == 10_581_696 + 2 * 64 + 2 * 128 + 4 * 256 + 4 * 512
    )
    found = VGGFeatures(weights)(torch.rand(1, 3, 40, 48) * 2 - 1)
    assert found.shape == (1, 512, 5, 6)
    assert found.min() < 0


def test_pictures_are_normalised_as_imagenet_was(weights: dict[str, torch.Tensor]) -> None:
    """The mean colour of ImageNet is zero to the network: all features come from biases, here none."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    extractor = VGGFeatures(weights)
    assert extractor((mean * 2 - 1).expand(1, 3, 16, 16)).abs().max() < 1e-4
    seen: list[torch.Tensor] = []
    extractor.features[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    extractor(torch.ones(1, 3, 16, 16))
    white = torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    torch.testing.assert_close(seen[0][0, :, 3, 3], white)


def test_nothing_in_it_learns_while_pictures_get_gradients() -> None:
    extractor = VGGFeatures(None)
    picture = torch.zeros(1, 3, 16, 16, requires_grad=True)
    extractor(picture).abs().mean().backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0
    assert not any(value.requires_grad for value in extractor.parameters())


def test_random_weights_follow_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = VGGFeatures(None, seed=3), VGGFeatures(None, seed=3), VGGFeatures(None, seed=4)
    assert one.digest == same.digest != other.digest
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_files_of_each_kind_give_the_same_features(
    suffix: str, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / f"vgg{suffix}"
    more = weights | {"classifier.0.weight": torch.zeros(2, 2)}
    save_file(more, path) if suffix == ".safetensors" else torch.save(more, path)
    assert load_features(asking_for(path)).digest == VGGFeatures(weights).digest
    assert str(path) in check_features(asking_for(path))


def _without_a_key(weights: dict[str, Any]) -> Any:
    return {name: value for name, value in weights.items() if name != "features.25.bias"}


def _with_a_wrong_shape(weights: dict[str, Any]) -> Any:
    return weights | {"features.0.weight": torch.zeros(64, 1, 3, 3)}


def _with_nan(weights: dict[str, Any]) -> Any:
    return weights | {"features.2.bias": torch.full((64,), torch.nan)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_a_key, "features.25.bias is missing"),
        (_with_a_wrong_shape, "features.0.weight is 64×1×3×3, not 64×3×3×3"),
        (_with_nan, "features.2.bias holds values that are no finite numbers"),
        (lambda _: [1, 2], "no table of weights"),
        (lambda _: {"features.0.weight": Path("code")}, "cannot be read as weights"),
    ],
)
def test_what_is_no_vgg19_is_refused_in_one_line(
    spoil: Any, words: str, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "vgg.pth"
    torch.save(spoil(weights), path)
    with pytest.raises(FramekitError) as error:
        load_features(asking_for(path))
    assert words in str(error.value) and str(path) in str(error.value) and "--vgg-weights" in str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.pth", "no such file"),
        ("vgg.onnx", "not a .safetensors"),
        ("vgg.safetensors", "cannot be read as weights"),
        ("vgg.pth", "cannot be read as weights"),
    ],
)
def test_bad_files_are_refused_in_one_line(name: str, words: str, tmp_path: Path) -> None:
    if not name.startswith("gone"):
        (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(FramekitError, match=words):
        load_features(asking_for(tmp_path / name))


@pytest.fixture
def server(weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose URL stands in for torchvision's, and an empty cache."""
    torch.save(weights, tmp_path / "vgg.pth")
    prefix = hashlib.sha256((tmp_path / "vgg.pth").read_bytes()).hexdigest()[:8]
    served = (tmp_path / "vgg.pth").rename(tmp_path / f"vgg19-{prefix}.pth")
    monkeypatch.setattr(features, "VGG19_URL", served.as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return served


def test_weights_are_downloaded_once(server: Path, weights: dict[str, torch.Tensor]) -> None:
    assert "to be downloaded" in check_features(TrainOptions())
    assert load_features(TrainOptions()).digest == VGGFeatures(weights).digest
    server.unlink()
    assert load_features(TrainOptions()).digest == VGGFeatures(weights).digest


def test_a_damaged_download_leaves_nothing(server: Path, tmp_path: Path) -> None:
    server.write_bytes(b"something else")
    with pytest.raises(FramekitError, match="could not be downloaded"):
        load_features(TrainOptions())
    assert list((tmp_path / "home" / "hub" / "checkpoints").iterdir()) == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(
    server: Path, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    cached = tmp_path / "home" / "hub" / "checkpoints" / server.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a file")
    assert load_features(TrainOptions()).digest == VGGFeatures(weights).digest


def test_without_a_network_one_line_says_what_to_do(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(FramekitError) as error:
        load_features(TrainOptions())
    for words in ("Name or service not known", "--vgg-weights FILE", "--untrained-features"):
        assert words in str(error.value)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is given from, where somebody's own modules lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


OWN = """
import torch
from torch import nn
network = nn.Conv2d(3, 2, 1)
make = lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout())
Kind = nn.Identity
class inner:
    network = nn.AvgPool2d(4)
flat = nn.Flatten()
number = 7
def broken():
    raise KeyError("no such thing")
"""


@pytest.mark.parametrize("place", ["own:network", "own:make", "own:Kind", "own:inner.network"])
def test_any_torch_module_serves_by_its_import_path(place: str, modules: Path) -> None:
    (modules / "own.py").write_text(OWN)
    sys.modules.pop("own", None)
    found = load_features(TrainOptions(features=place))
    assert check_features(TrainOptions(features=place)) == place
    pictures = torch.rand(2, 3, 16, 16)
    assert torch.equal(found(pictures), found(pictures)), "it is in evaluation mode"
    assert not any(value.requires_grad for value in found.parameters())
    assert len(found.digest) == 64


def test_networks_without_weights_are_told_apart_by_their_places(modules: Path) -> None:
    (modules / "own.py").write_text(OWN)
    sys.modules.pop("own", None)
    one, other = (load_features(TrainOptions(features=f"own:{name}")) for name in ("Kind", "inner.network"))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere_at_all:x", "cannot be imported.*nowhere_at_all"),
        ("own:gone", "cannot be imported.*gone"),
        ("own:broken", "cannot be imported.*KeyError"),
        ("own:number", "cannot be imported.*not callable"),
        ("builtins:dict", "no torch module but dict"),
        ("own:flat", "no .N, C, h, w. features but 1×12288"),
    ],
)
def test_what_cannot_be_imported_is_one_line(place: str, words: str, modules: Path) -> None:
    (modules / "own.py").write_text(OWN)
    sys.modules.pop("own", None)
    with pytest.raises(FramekitError, match=words) as error:
        load_features(TrainOptions(features=place))
    assert place in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("place", ["os", "os.system", ":x", "x:", "a b:c", "../x:y", "x:y()"])
def test_what_is_no_import_path_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="features"):
        TrainOptions(features=place)


def test_normalised_features_have_a_mean_size_of_one(weights: dict[str, torch.Tensor]) -> None:
    """So the content loss, and with it omega, means the same when weights are scaled differently."""
    photos = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    scaled = weights | {
        f"features.25.{part}": 37 * weights[f"features.25.{part}"] for part in ("weight", "bias")
    }
    plain, other = VGGFeatures(weights), VGGFeatures(scaled)
    digest, before = plain.digest, plain(to_signed(photos))
    assert before.abs().mean() != pytest.approx(1, rel=0.1)
    for extractor in (plain, other):
        extractor.normalise(photos)
        assert extractor(to_signed(photos)).abs().mean() == pytest.approx(1, rel=1e-5)
    assert torch.allclose(plain(to_signed(photos)), other(to_signed(photos)), rtol=1e-4, atol=1e-4)
    assert torch.allclose(plain(to_signed(photos)) * plain.scale, before, rtol=1e-4, atol=1e-6)
    assert plain.digest == digest, "it is of the weights alone"
    plain.normalise(photos)
    assert plain(to_signed(photos)).abs().mean() == pytest.approx(1, rel=1e-5), "and once more is no change"


def test_features_that_are_zero_cannot_be_normalised(weights: dict[str, torch.Tensor]) -> None:
    nothing = VGGFeatures({name: torch.zeros_like(value) for name, value in weights.items()})
    with pytest.raises(FramekitError, match="mean size on photos is 0"):
        nothing.normalise(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


@pytest.mark.real
def test_the_real_file_sees_photos_at_a_scale_of_one(vgg_file: Path) -> None:
    extractor = load_features(asking_for(vgg_file))
    names = sorted((vgg_file.parents[1] / "data" / "photos").rglob("*.jpg"))[::24]
    if not names:
        pytest.skip("no photos beside the weights")
    means = []
    for name in names:
        photo = cv2.cvtColor(cv2.imread(str(name)), cv2.COLOR_BGR2RGB)[:256, :256]
        pictures = to_signed(torch.from_numpy(photo.copy()).permute(2, 0, 1)[None])
        means.append(extractor(pictures).abs().mean().item())
    assert 0.8 < np.mean(means) < 1.25
