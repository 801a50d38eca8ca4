#!/usr/bin/env python3
"""Lets torch run on the CPU without NVIDIA's libraries, which need 3 GB of disk.

    scripts/torch_cpu.py SITE_PACKAGES

torch on PyPI is built for CUDA, and the dynamic linker wants all libraries of CUDA even if a program
never uses a GPU. This script compiles a stand-in for each missing library: its functions only
abort. The stand-ins are written to SITE_PACKAGES/torch/lib, where torch's own libraries are.

Needs a C compiler with nm and readelf. Does nothing if torch is built without CUDA.
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

CUDA = re.compile(r"lib(cu|nv|nccl)\w*\.so[.\d]*")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(library):
    """Returns the names of the libraries that a library needs."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "--dynamic", "--wide", library))


def version_files(library):
    """Returns the name of the library for each version of symbols that a library needs."""
    found, file = {}, None
    for line in output("readelf", "--version-info", "--wide", library).splitlines():
        if match := re.search(r"File: (\S+)", line):
            file = match[1]
        elif file and (match := re.search(r"Name: (\S+)", line)):
            found[match[1]] = file
    return found


def missing_symbols(libraries, missing):
    """Returns the symbols of each missing library as pairs of name and version. The version may be empty."""
    symbols = {name: set() for name in missing}
    for library in libraries:
        files = version_files(library)
        for line in output("nm", "--dynamic", "--undefined-only", library).splitlines():
            name, _, version = line.split()[-1].partition("@")
            if version:
                if files.get(version) in symbols:
                    symbols[files[version]].add((name, version))
                continue
            for other in missing:
                # Symbols without a version start with the name of their library: ncclSend in libnccl.so.2.
                stem = re.match(r"lib([a-zA-Z]+)", other)[1]
                if name.lower().startswith(stem.lower()):
                    symbols[other].add((name, ""))
    return symbols


def compile_stand_in(path, symbols):
    versions = defaultdict(set)
    for name, version in symbols:
        versions[version].add(name)
    with tempfile.TemporaryDirectory() as folder:
        source, script = Path(folder, "stand_in.c"), Path(folder, "versions")
        lines = [f"int {name}(void) {{ abort(); }}" for name in sorted({name for name, _ in symbols})]
        source.write_text("\n".join(["void abort(void);", *lines, ""]))
        script.write_text("".join(
            f"{version} {{ {' '.join(f'{name};' for name in sorted(names))} }};\n"
            for version, names in sorted(versions.items()) if version
        ))
        command = ["cc", "-shared", "-fPIC", "-fno-builtin", "-w", "-o", path, f"-Wl,-soname,{path.name}", source]
        subprocess.run(command + [f"-Wl,--version-script,{script}"] * any(versions), check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    site = Path(sys.argv[1])
    folder = site / "torch/lib"
    libraries = [*folder.glob("*.so*"), *site.glob("torch/_C*.so")]
    if not libraries:
        sys.exit(f"error: there is no torch in {site}")
    installed = {path.name for path in [*folder.iterdir(), *site.glob("nvidia/**/*.so*")]}
    # The driver is loaded on demand.
    missing = {name for library in libraries for name in needed(library) if CUDA.fullmatch(name)}
    missing -= installed | {"libcuda.so.1"}
    for name, symbols in sorted(missing_symbols(libraries, missing).items()):
        compile_stand_in(folder / name, symbols)
        print(f"{name}: {len(symbols)} functions")


if __name__ == "__main__":
    main()
