"""Packs a folder of videos, with one folder per class: VIDEOS/CLASS/NAME.mp4.

    python pack_videos.py --videos VIDEOS --out videos.shards

It decodes with torchcodec, PyAV or OpenCV, whichever is installed. A folder of images counts as a
video, too, and needs only Pillow. `ucfpack build --videos` does the same without Python, and makes
optical flow. Run the program again to continue after an interruption.
"""

import argparse
import pathlib

import numpy as np

import clipshard

VIDEOS = {".avi", ".mkv", ".mov", ".mp4", ".webm"}
IMAGES = {".jpeg", ".jpg", ".png"}


def frames_of_images(folder):
    """Yields the images of a folder: JPEG files as they are, others as arrays [H, W, 3]."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    if all(path.suffix.lower() != ".png" for path in paths):
        yield from (path.read_bytes() for path in paths)
        return
    from PIL import Image

    for path in paths:
        with Image.open(path) as image:
            yield np.asarray(image.convert("RGB"))


def frames_of_torchcodec(path):
    """Yields the frames of a video as arrays [H, W, 3]."""
    from torchcodec.decoders import VideoDecoder

    for frame in VideoDecoder(str(path), dimension_order="NHWC"):
        yield frame.numpy()


def frames_of_av(path):
    """Yields the frames of a video as arrays [H, W, 3]."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def frames_of_opencv(path):
    """Yields the frames of a video as arrays [H, W, 3]."""
    import cv2

    video = cv2.VideoCapture(str(path))
    try:
        while True:
            is_frame, frame = video.read()
            if not is_frame:
                return
            yield np.ascontiguousarray(frame[..., ::-1])  # OpenCV has the order blue, green, red
    finally:
        video.release()


def frames_of(path):
    """Yields the frames of a video or of a folder of images."""
    if path.is_dir():
        yield from frames_of_images(path)
        return
    for decode in (frames_of_torchcodec, frames_of_av, frames_of_opencv):
        try:
            yield from decode(path)
            return
        except ImportError:
            continue
    raise SystemExit(f"{path}: no decoder is installed; run: pip install av")


def videos_in(root):
    """Yields the class and the path of each video, in a fixed order."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        for path in sorted(folder.iterdir()):
            if path.is_dir() or path.suffix.lower() in VIDEOS:
                yield folder.name, path


def pack(root, out, decode=frames_of, quality=90, test_every=5):
    """Packs the videos of a folder. `decode` yields the frames of a path."""
    videos = list(videos_in(root))
    classes = sorted({label for label, _ in videos})
    with clipshard.Writer(out, {"rgb": clipshard.Jpeg(quality)}, classes, mode="resume") as writer:
        for number, (label, path) in enumerate(videos):
            name = f"{label}/{path.stem}"
            if name not in writer:
                subset = "test" if number % test_every == test_every - 1 else "train"
                # All frames of a clip are in memory at once. Divide long videos into clips.
                writer.add(name, rgb=list(decode(path)), label=label, subset=subset, attrs={"source": path.name})
        return len(writer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--videos", required=True, type=pathlib.Path, metavar="DIR", help="folder of class folders")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the new dataset")
    parser.add_argument("--quality", type=int, default=90, help="quality of the JPEG records (default: %(default)s)")
    options = parser.parse_args()
    count = pack(options.videos, options.out, quality=options.quality)
    print(f"{options.out}: {count} clips")


if __name__ == "__main__":
    main()
