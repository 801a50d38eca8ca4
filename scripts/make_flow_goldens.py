#!/usr/bin/env python3
"""Makes the goldens of clip-flow: image pairs with their true motion and OpenCV's flow.

    scripts/make_flow_goldens.py [--out opticalflow/tests/goldens]

Needs numpy and OpenCV. The files in the repository were made with these versions:

    python3 -m venv env && env/bin/pip install numpy opencv-contrib-python-headless==5.0.0.93
    env/bin/python scripts/make_flow_goldens.py

A file NAME_WIDTHxHEIGHT.bin holds these arrays [height, width], little-endian:

    u8   first image, second image
    f32  true motion in x, in y
    f32  flow of OpenCV's DualTVL1 in x, in y
    f32  flow of OpenCV's DIS (PRESET_MEDIUM) in x, in y

The images are synthetic: a few waves, many waves, and a soft checkerboard. The second image is
computed with the inverse motion from the same formula, so the motion is exact.
"""

import argparse
import pathlib

import cv2
import numpy


def waves(x, y):
    return (
        128
        + 40 * numpy.sin(0.31 * x + 0.1 * y)
        + 35 * numpy.cos(0.23 * y - 0.17 * x)
        + 30 * numpy.sin(0.11 * x * 1.7 + 0.47 * y)
    )


def noise(x, y):
    """Returns the grey values of many waves of all directions and lengths."""
    random = numpy.random.default_rng(7)
    value = numpy.full_like(x, 128.0)
    for _ in range(60):
        angle, length, phase = (
            random.uniform(0, 2 * numpy.pi),
            random.uniform(0.08, 0.9),
            random.uniform(0, 2 * numpy.pi),
        )
        value += 9 * numpy.sin(length * (numpy.cos(angle) * x + numpy.sin(angle) * y) + phase)
    return value


def checks(x, y):
    soft = lambda t: numpy.tanh(4 * numpy.sin(t))
    return 128 + 90 * soft(0.35 * x) * soft(0.3 * y + 0.05 * x)


def affine(matrix, shift, size):
    """Returns the motion `p -> centre + matrix (p - centre) + shift` and its inverse, as functions."""
    width, height = size
    centre = numpy.array([(width - 1) / 2, (height - 1) / 2])
    matrix, shift = numpy.array(matrix, float), numpy.array(shift, float)
    inverse = numpy.linalg.inv(matrix)
    forward = lambda p: (p - centre) @ matrix.T + centre + shift
    backward = lambda p: (p - centre - shift) @ inverse.T + centre
    return forward, backward


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("opticalflow/tests/goldens"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    turn = numpy.deg2rad(3)
    rotation = [[numpy.cos(turn), -numpy.sin(turn)], [numpy.sin(turn), numpy.cos(turn)]]
    cases = [
        ("shift", waves, numpy.eye(2), (1.7, -0.8), (61, 44)),
        ("turn", noise, rotation, (0, 0), (56, 47)),
        ("zoom", checks, 1.05 * numpy.eye(2), (0.4, 0.3), (57, 40)),
    ]
    for name, texture, matrix, shift, (width, height) in cases:
        forward, backward = affine(matrix, shift, (width, height))
        y, x = numpy.mgrid[:height, :width].astype(float)
        points = numpy.stack([x, y], -1)
        grey = lambda p: numpy.clip(numpy.rint(texture(p[..., 0], p[..., 1])), 0, 255).astype(numpy.uint8)
        first, second = grey(points), grey(backward(points))
        truth = (forward(points) - points).astype("<f4")
        flow = cv2.optflow.DualTVL1OpticalFlow_create().calc(first, second, None).astype("<f4")
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, None).astype("<f4")
        errors = [numpy.linalg.norm(found - truth, axis=-1).mean() for found in (flow, dis)]
        path = out / f"{name}_{width}x{height}.bin"
        parts = [first, second, truth[..., 0], truth[..., 1], flow[..., 0], flow[..., 1], dis[..., 0], dis[..., 1]]
        path.write_bytes(b"".join(part.tobytes() for part in parts))
        print(
            f"{path}: OpenCV {cv2.__version__} has mean end-point errors of {errors[0]:.4f} pixels (TV-L1) "
            f"and {errors[1]:.4f} pixels (DIS)"
        )


if __name__ == "__main__":
    main()
