#!/usr/bin/env python3
"""Writes goldens/pil_bilinear.bin: synthetic images that Pillow resized.

Each case has its width, height, new width, new height and number of channels (five u16, little-endian),
and then the resized pixels. The committed file was made with Pillow 13.0.
"""
import os, struct
import numpy as np
from PIL import Image

CASES = [(61, 47, 32, 24, 1), (40, 30, 56, 56, 1), (33, 20, 33, 9, 1), (50, 40, 13, 40, 1),
         (340, 256, 28, 28, 1), (240, 3, 160, 2, 1), (90, 64, 60, 56, 1), (45, 34, 20, 15, 3),
         (17, 23, 30, 40, 3), (100, 60, 67, 41, 3), (1, 1, 5, 4, 3), (62, 127, 34, 57, 1)]

def pixels(width, height, channels):
    """Returns ramps with some noise, by the same formula as the test."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels].astype(np.uint64)
    noise = (x * 2654435761 + y * 40503 + c * 97) * 2246822519 % 2**32 >> np.uint64(24)
    return ((x * 7 + y * 13 + c * 50 + noise // 2) % 256).astype(np.uint8)

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'goldens', 'pil_bilinear.bin'), 'wb') as out:
    for width, height, new_width, new_height, channels in CASES:
        image = pixels(width, height, channels)
        image = Image.fromarray(image[..., 0] if channels == 1 else image)
        out.write(struct.pack('<5H', width, height, new_width, new_height, channels))
        out.write(np.asarray(image.resize((new_width, new_height), Image.BILINEAR)).tobytes())
