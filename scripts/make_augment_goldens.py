#!/usr/bin/env python3
"""Makes loader/tests/goldens/trivial_augment.txt with torchvision and PIL, for the tests of clip-loader.

    scripts/make_augment_goldens.py [--out loader/tests/goldens]

Needs numpy, Pillow, torch and torchvision. The file in the repository was made with Pillow 13.0.0
and torchvision 0.29.2:

    PYTHONPATH=$(scripts/pytest_env.sh --all | tr '\\n' ':') scripts/make_augment_goldens.py

A line is IMAGE OP SIGN CRC...: the CRC-32 of the pixels that TrivialAugmentWide makes of the image,
for each of its 31 magnitudes. An op without magnitudes has one CRC. The operations run on PIL images,
as in torchvision's training scripts. The images are square, and `image` below computes them; the
tests in loader/src/pixels/trivial_augment use the same formulas.
"""

import argparse
import pathlib
import zlib

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide

BINS = 31
# Name and side.
IMAGES = [("noise", 24), ("mixed", 112), ("ramp", 33), ("flat", 16), ("noise", 2), ("noise", 1)]


def mix(z):
    """Returns the output of SplitMix64 for each state."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def image(name, side):
    """Returns an array [side, side, 3] of uint8."""
    y, x, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    with np.errstate(over="ignore"):
        noise = mix(((y * side + x) * 3 + c).astype(np.uint64)) >> np.uint64(56)
    values = {
        "noise": noise,
        # A ramp with some noise, as in photographs.
        "mixed": 20 + x + y // 2 + 13 * c + noise.astype(np.int64) // 8,
        # Values from 60 to 145, which autocontrast stretches.
        "ramp": 60 + (x * 5 + y * 3 + 20 * c) % 86,
        # One value in the first channel, two in the second, three in the third.
        "flat": 77 + 50 * c * ((x + y) % (c + 1)),
    }[name]
    return values.astype(np.uint8)


def lines():
    augment = TrivialAugmentWide(num_magnitude_bins=BINS, interpolation=InterpolationMode.NEAREST)
    for name, side in IMAGES:
        pil = Image.fromarray(image(name, side))
        for op, (magnitudes_of, is_signed) in augment._AUGMENTATION_SPACE.items():
            magnitudes = magnitudes_of(BINS, side, side)
            magnitudes = [0.0] if magnitudes is None else [float(magnitude) for magnitude in magnitudes]
            for sign in (1, -1) if is_signed else (1,):
                out = [
                    augment._apply_image_or_video_transform(
                        pil, op, sign * magnitude, interpolation=augment.interpolation, fill=augment._fill
                    )
                    for magnitude in magnitudes
                ]
                crcs = [f"{zlib.crc32(np.asarray(made).tobytes()):08x}" for made in out]
                yield " ".join([f"{name}{side}", op, "+" if sign > 0 else "-", *crcs])


def main():
    parser = argparse.ArgumentParser(description="Makes the goldens of TrivialAugment.")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("loader/tests/goldens"))
    options = parser.parse_args()
    path = options.out / "trivial_augment.txt"
    path.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
