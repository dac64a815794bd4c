"""Every term of the losses by its name: CartoonGAN's (Chen et al., CVPR 2018, equations 2 to 4) and others'.

The whole is L(G, D) = L_adv(G, D) + ω · L_con(G, D) (equation 2), and what else is given a weight. Means over
patches and features, not sums, make the terms independent of batch and crop size. All are computed in
float32, whatever the networks are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_YUV = ((0.299, 0.587, 0.114), (-0.14714119, -0.28886916, 0.43601035), (0.61497538, -0.51496512, -0.10001026))
"""Rows give Y, U and V of RGB in [0, 1]: BT.601, as in TensorFlow's `rgb_to_yuv`."""


@dataclass(frozen=True)
class Adversarial:
    """One way to judge logits.

    Attributes:
        real: Loss of the discriminator for each logit of what is real.
        fake: The same for what is fake.
        fooled: Loss of the generator for each logit of its pictures.
        middle: Above it, a logit says real.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    fooled: Callable[[Tensor], Tensor]
    middle: float = 0.0


ADVERSARIAL = {
    # -log σ(x) = softplus(-x) and -log(1 - σ(x)) = softplus(x). For the generator not log(1 - σ(x)): it has
    # the same fixed point, but fades where the discriminator is sure (Goodfellow et al., 2014, section 3).
    "bce": Adversarial(lambda x: F.softplus(-x), F.softplus, lambda x: F.softplus(-x)),
    # Mao et al., ICCV 2017: real is 1, fake is 0.
    "lsgan": Adversarial(lambda x: (x - 1) ** 2, lambda x: x**2, lambda x: (x - 1) ** 2, middle=0.5),
    # Lim and Ye, 2017; Miyato et al., ICLR 2018.
    "hinge": Adversarial(lambda x: F.relu(1 - x), lambda x: F.relu(1 + x), lambda x: -x),
}
"""By the names of `TrainOptions.adversarial`."""


def discriminator_losses(
    kind: str, *, cartoons: Tensor, smoothed: Tensor, generated: Tensor
) -> dict[str, Tensor]:
    """Equation 3 as the discriminator sees it; with bce -log D(c), -log(1 - D(e)) and -log(1 - D(G(p))).

    Cartoons whose edges were smoothed (e) count as fake: else clear edges, a small part of a picture, would
    not be missed.

    Args:
        kind: One of `ADVERSARIAL`.
        cartoons: (N, 1, h, w) logits of cartoons.
        smoothed: The same of cartoons with smoothed edges.
        generated: The same of generated pictures.

    Returns:
        Three terms by name, to be minimised.
    """
    judge = ADVERSARIAL[kind]
    return {
        "cartoons": judge.real(cartoons.float()).mean(),
        "smoothed": judge.fake(smoothed.float()).mean(),
        "generated": judge.fake(generated.float()).mean(),
    }


def adversarial_loss(kind: str, generated: Tensor) -> Tensor:
    """Equation 3 as the generator sees it; with bce -log D(G(p)).

    Args:
        kind: One of `ADVERSARIAL`.
        generated: (N, 1, h, w) logits of generated pictures.
    """
    return ADVERSARIAL[kind].fooled(generated.float()).mean()


def accuracies(kind: str, *, cartoons: Tensor, smoothed: Tensor, generated: Tensor) -> dict[str, Tensor]:
    """Shares of patches that the discriminator judges rightly. Arguments as for `discriminator_losses`."""
    middle = ADVERSARIAL[kind].middle
    return {
        "cartoons": (cartoons > middle).float().mean(),
        "smoothed": (smoothed <= middle).float().mean(),
        "generated": (generated <= middle).float().mean(),
    }


def content_loss(generated: Tensor, photos: Tensor) -> Tensor:
    """Equation 4: how far contents moved, the mean of |VGG(G(p)) - VGG(p)| over all features.

    Args:
        generated: (N, C, h, w) features of the generated pictures.
        photos: (N, C, h, w) features of the photos they were made from.
    """
    return F.l1_loss(generated.float(), photos.float())


def gram_loss(generated: Tensor, grey_cartoons: Tensor) -> Tensor:
    """AnimeGANv2's style loss: the mean of |Gram(VGG(G(p))) - Gram(VGG(grey c))|.

    Textures without colours: the cartoons are grey, and a Gram matrix forgets where features are.

    Args:
        generated: (N, C, h, w) features of the generated pictures.
        grey_cartoons: (N, C, h, w) features of cartoons after `grey`.
    """
    return F.l1_loss(_gram(generated.float()), _gram(grey_cartoons.float()))


def colour_loss(generated: Tensor, photos: Tensor) -> Tensor:
    """AnimeGANv2's colour reconstruction: L1 in Y and Huber's loss in U and V, summed.

    Args:
        generated: (N, 3, H, W) RGB in [-1, 1].
        photos: The same of the photos they were made from.
    """
    ours, theirs = _yuv(generated), _yuv(photos)
    tints = F.huber_loss(ours[:, 1], theirs[:, 1]) + F.huber_loss(ours[:, 2], theirs[:, 2])
    return F.l1_loss(ours[:, 0], theirs[:, 0]) + tints


def total_variation_loss(pictures: Tensor) -> Tensor:
    """Half the mean square of differences between neighbours below, and the same of those to the right.

    Args:
        pictures: (N, 3, H, W) RGB in [-1, 1].
    """
    pictures = pictures.float()
    down, right = pictures.diff(dim=2), pictures.diff(dim=3)
    return (down.square().mean() + right.square().mean()) / 2


def gradient_penalty(logits: Tensor, cartoons: Tensor) -> Tensor:
    """R1 (Mescheder et al., ICML 2018): half the squared length of the gradient, a mean over pictures.

    It keeps the discriminator from answering ever more steeply around what is real.

    Args:
        logits: (N, 1, h, w) of `cartoons`; those of a picture are summed.
        cartoons: (N, 3, H, W), asking for a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.float().sum(), cartoons, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2


def grey(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [-1, 1] → their luma (BT.601) in all three channels."""
    return torch.tensordot(pictures, pictures.new_tensor(_YUV[0]), ([1], [0]))[:, None].expand_as(pictures)


def _gram(features: Tensor) -> Tensor:
    """(N, C, h, w) → (N, C, C), divided by C · h · w."""
    maps = features.flatten(2)
    return maps @ maps.transpose(1, 2) / (maps.shape[1] * maps.shape[2])


def _yuv(pictures: Tensor) -> Tensor:
    rgb = (pictures.float() + 1) / 2
    return torch.einsum("kc,nchw->nkhw", rgb.new_tensor(_YUV), rgb)
