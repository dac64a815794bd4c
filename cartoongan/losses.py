"""The losses of CartoonGAN (Chen et al., CVPR 2018, equations 2 to 4), each term by its name.

The whole is L(G, D) = L_adv(G, D) + ω · L_con(G, D) (equation 2). Means over patches and features, not
sums, make the terms independent of batch and crop size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def content_loss(generated: Tensor, photos: Tensor) -> Tensor:
    """Equation 4: how far contents moved, the mean of |VGG(G(p)) - VGG(p)| over all features.

    Args:
        generated: (N, C, h, w) features of the generated pictures.
        photos: (N, C, h, w) features of the photos they were made from.
    """
    return F.l1_loss(generated, photos)


def discriminator_losses(*, cartoons: Tensor, smoothed: Tensor, generated: Tensor) -> dict[str, Tensor]:
    """Equation 3 as the discriminator sees it: -log D(c), -log(1 - D(e)) and -log(1 - D(G(p))), by name.

    Cartoons whose edges were smoothed (e) count as fake: else clear edges, a small part of a picture, would
    not be missed.

    Args:
        cartoons: (N, 1, h, w) logits of cartoons.
        smoothed: The same of cartoons with smoothed edges.
        generated: The same of generated pictures.
    """
    return {
        "cartoons": _cross_entropy(cartoons, real=True),
        "smoothed": _cross_entropy(smoothed, real=False),
        "generated": _cross_entropy(generated, real=False),
    }


def adversarial_loss(generated: Tensor) -> Tensor:
    """Equation 3 as the generator sees it: -log D(G(p)).

    It has the fixed point of log(1 - D(G(p))), which fades where the discriminator is sure (Goodfellow et
    al., 2014, section 3).

    Args:
        generated: (N, 1, h, w) logits of generated pictures.
    """
    return _cross_entropy(generated, real=True)


def _cross_entropy(logits: Tensor, *, real: bool) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
