#!/usr/bin/env python3
"""Builds docs/ as a book of web pages with mdBook.

    scripts/book.py [--out DIR] [--open]      DIR is target/book if omitted

docs/SUMMARY.md also names pages outside of docs/, such as the format. The script copies all pages into one folder.
Links between pages become links within the book; links to other files of the repository become plain text. It
installs mdBook with cargo if it is not on the PATH, which takes some minutes once.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import webbrowser
from pathlib import Path

from check_docs import FENCE, LINK, ROOT, SETUP

MDBOOK = "0.5.4"


def mdbook():
    """The path of mdBook; installs it if it is missing."""
    found = shutil.which("mdbook")
    if found:
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ucf-two-stream/mdbook"
    program = cache / "bin/mdbook"
    if not program.exists():
        print(f"Installing mdBook {MDBOOK} into {cache}", file=sys.stderr)
        command = ["cargo", "install", "mdbook", "--version", MDBOOK, "--locked", "--root", cache]
        subprocess.run([*command, "--no-default-features", "--features", "search"], check=True)
    return program


def pages():
    """Each page of the book: its file, and its path in the book."""
    docs = ROOT / "docs"
    summary = docs / "SUMMARY.md"
    found = {}
    for link in LINK.findall(summary.read_text()):
        path = (docs / link).resolve()
        found[path] = path.relative_to(docs) if path.is_relative_to(docs) else Path(path.name.lower())
    # The README of the repository is the first page. mdBook makes an index.html of each README.md.
    found[ROOT / "README.md"] = Path("README.md")
    return summary, found


def relative(target, page):
    return Path(os.path.relpath(target, page.parent)).as_posix()


def page_text(path, places):
    """The text of a page with the links of the book."""
    text = SETUP.sub("", path.read_text())
    here = places[path]

    def link(match):
        target = match[1]
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            return match[0]
        name, mark, anchor = target.partition("#")
        file = (path.parent / name).resolve()
        if file in places:
            return match[0].replace(f"({target}", f"({relative(places[file], here)}{mark}{anchor}")
        if file.is_relative_to(ROOT / "docs") and file.is_file():
            return match[0].replace(f"({target}", f"({relative(file.relative_to(ROOT / 'docs'), here)}")
        label = match[0][match[0].index("[") + 1 : match[0].rindex("](")]
        return label if label.startswith("`") else f"{label} (`{file.relative_to(ROOT)}`)"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        shown = re.sub(r"^(`+\w+) no-(run|check)$", r"\1", fence[0], count=1, flags=re.MULTILINE)
        parts += [LINK.sub(link, text[end : fence.start()]), shown]
        end = fence.end()
    return "".join([*parts, LINK.sub(link, text[end:])])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "target/book", help="folder for the pages")
    parser.add_argument("--open", action="store_true", help="open the book in a browser")
    options = parser.parse_args()
    out = options.out.resolve()
    source = out.with_name(f"{out.name}-source")
    shutil.rmtree(source, ignore_errors=True)
    summary, places = pages()
    for path, place in places.items():
        target = source / "src" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page_text(path, places))
    places[summary] = Path("SUMMARY.md")
    (source / "src/SUMMARY.md").write_text(page_text(summary, places))
    for picture in (ROOT / "docs").rglob("*"):
        if picture.suffix in (".png", ".svg"):
            target = source / "src" / picture.relative_to(ROOT / "docs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, target)
    for name in ("book.toml", "book.css"):
        shutil.copyfile(ROOT / "docs" / name, source / name)
    subprocess.run([mdbook(), "build", source, "--dest-dir", out], check=True)
    print(out / "index.html")
    if options.open:
        webbrowser.open((out / "index.html").as_uri())


if __name__ == "__main__":
    main()
