#!/usr/bin/env python3
"""Writes the JPEG files in this folder: a synthetic image in each coding that the format supports.

OpenCV encodes the files and PIL decodes them, both with libjpeg-turbo. NAME.png has the pixels of NAME.jpg, and
NAME.luma.png has its luma.

    pip install numpy opencv-python-headless pillow
    shard/tests/jpeg/make.py
"""
import os
import cv2, numpy as np
from PIL import Image

y, x = np.mgrid[0:37, 0:53].astype(np.float64)
waves = [128 + 90 * np.sin(x * a + y * b) * np.cos(y * a - x * b * .5)
         for a, b in ((.31, .17), (.23, .41), (.57, .11))]
noise = (x * x * 7 + y * y * 13 + x * y * 5) % 23
colour = np.clip(np.stack(waves, -1) + noise[..., None], 0, 255).astype(np.uint8)
grey = colour[..., 1]
edges = np.where(colour > 128, 255, 0).astype(np.uint8)
Q, P, R = cv2.IMWRITE_JPEG_QUALITY, cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL
S = cv2.IMWRITE_JPEG_SAMPLING_FACTOR
S444, S422, S420, S440, S411 = (getattr(cv2, f'IMWRITE_JPEG_SAMPLING_FACTOR_{s}') for s in (444, 422, 420, 440, 411))
files = {
    'grey': (grey, [Q, 90]), 'grey-progressive': (grey, [Q, 90, P, 1]), 'grey-restarts': (grey, [Q, 75, R, 3]),
    '444': (colour, [Q, 90, S, S444]), '422': (colour, [Q, 75, S, S422]), '420': (colour, [Q, 75, S, S420]),
    '440': (colour, [Q, 75, S, S440]), '411': (colour, [Q, 75, S, S411]),
    '420-restarts': (colour, [Q, 75, S, S420, R, 2]), '420-progressive': (colour, [Q, 95, P, 1, S, S420]),
    '444-progressive-restarts': (colour, [Q, 40, P, 1, S, S444, R, 4]),
    '420-optimised': (colour, [Q, 60, S, S420, cv2.IMWRITE_JPEG_OPTIMIZE, 1]),
    '420-coarse': (edges, [Q, 8, S, S420]), '420-fine': (edges, [Q, 100, S, S420]),
}
for name, (image, options) in files.items():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f'{name}.jpg')
    assert cv2.imwrite(path, image, options)
    Image.open(path).convert('L' if image.ndim == 2 else 'RGB').save(path[:-4] + '.png', optimize=True)
    if image.ndim == 3:
        luma = Image.open(path)
        luma.draft('L', luma.size)  # Decodes the luma of the file instead of computing luma from RGB.
        luma.save(path[:-4] + '.luma.png', optimize=True)
