"""cartoongan: photos in, cartoons out. Trains the generator of Chen et al. (CVPR 2018) on framekit datasets.

import cartoongan.stylize, cartoongan.trainer
cartoongan.trainer.train("cartoons", "photos", "run")
cartoongan.stylize.load("run")(photo)  # (H, W, 3) uint8 RGB, as it went in
"""
