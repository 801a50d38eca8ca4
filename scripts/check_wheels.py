#!/usr/bin/env python3
"""Checks the content of wheels and source distributions, and prints their sizes and platforms.

    scripts/check_wheels.py FILE...

FILE is a wheel or source distribution of clipshard, ucfpack or ucftrain, as scripts/python_wheel.sh builds
them. Needs only Python. Exits with 1 if something is missing or should not be there.
"""

import email
import re
import sys
import tarfile
import zipfile
from pathlib import Path

LICENCES = {"LICENSE-APACHE", "LICENSE-MIT"}
# PyPI accepts wheels of Linux with a manylinux platform only: it states the oldest glibc.
PLATFORM = re.compile(r"manylinux\w+|macosx_\w+|win\w+")


def wheel_faults(path):
    """Yields what is wrong with a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        text = {name: wheel.read(name).decode() for name in names if re.search(r"\.dist-info/(METADATA|WHEEL)$", name)}
    info = next(name for name in text if name.endswith("METADATA")).rpartition("/")[0]
    metadata, tags = (email.message_from_string(text[f"{info}/{name}"]) for name in ("METADATA", "WHEEL"))
    package = metadata["Name"]
    yield from metadata_faults(metadata)
    for tag in tags.get_all("Tag"):
        interpreter, abi, platform = tag.split("-")
        if not PLATFORM.fullmatch(platform):
            yield f"the platform {platform} is not accepted by PyPI"
        expected = ("cp310", "abi3") if package == "clipshard" else ("py3", "none")
        if (interpreter, abi) != expected and not abi.endswith("t"):
            yield f"it is for {interpreter}-{abi}, but should be for {'-'.join(expected)}"
    licences = {Path(name).name for name in names if name.startswith(f"{info}/licenses/")}
    yield from (f"{name} is missing" for name in sorted(LICENCES - licences))
    if package == "clipshard":
        libraries = [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]
        if len(libraries) != 1 or not libraries[0].startswith("clipshard/_native."):
            yield f"it should have one library, clipshard/_native, but has {libraries}"
        for name in "clipshard/__init__.py", "clipshard/py.typed", "clipshard/_native.pyi":
            if name not in names:
                yield f"{name} is missing"
        outside = [name for name in names if not name.startswith(("clipshard/", f"{info}/"))]
    else:
        programs = [name for name in names if re.fullmatch(r"[^/]+\.data/scripts/" + package + r"(\.exe)?", name)]
        if len(programs) != 1:
            yield f"it has {len(programs)} programs {package}"
        outside = [name for name in names if name not in programs and not name.startswith(f"{info}/")]
    if outside:
        yield f"it has files that do not belong there: {', '.join(outside)}"


def metadata_faults(metadata):
    """Yields what is missing in the description of a package."""
    if len(metadata.get_payload().strip()) < 200:
        yield "the README is missing"
    if not metadata["License-Expression"]:
        yield "the licence is not stated"
    if not metadata["Summary"] or not metadata["Requires-Python"]:
        yield "the summary or the oldest Python is not stated"


def source_faults(path):
    """Yields what is wrong with a source distribution."""
    with tarfile.open(path) as source:
        root = source.getnames()[0].split("/")[0]
        names = {name.removeprefix(f"{root}/") for name in source.getnames()}
        metadata = email.message_from_string(source.extractfile(f"{root}/PKG-INFO").read().decode())
    yield from metadata_faults(metadata)
    for name in ("pyproject.toml", "Cargo.lock", "PKG-INFO", *sorted(LICENCES)):
        # maturin keeps the folders of the workspace.
        if not any(known == name or known.endswith(f"/{name}") for known in names):
            yield f"{name} is missing"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    is_wrong = False
    for path in map(Path, sys.argv[1:]):
        faults = list((wheel_faults if path.suffix == ".whl" else source_faults)(path))
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
        for fault in faults:
            print(f"error: {path.name}: {fault}", file=sys.stderr)
        is_wrong |= bool(faults)
    sys.exit(is_wrong)


if __name__ == "__main__":
    main()
