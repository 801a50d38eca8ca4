#!/usr/bin/env python3
"""Checks links of all Markdown files, and runs the commands of docs/ and of each README.md on synthetic data.

    scripts/check_docs.py --bin target/debug [PAGE...]      links, contents, commands
    scripts/check_docs.py --links                           links and contents only

Each page runs in a new folder with `ucfpack`, `ucftrain` and `scripts/` in reach. Its blocks run in order:

* ```sh runs with bash. ```sh no-run is shown only: it needs a network, hours, or a cluster.
* ```text directly after ```sh is the output. Every line must appear, in this order. Numbers and blanks may differ. Each
  line of standard output must be shown, unless the block has a line `...`.
* ```python runs with the Python of scripts/python_env.sh, or with $CLIPSHARD_PYTHON. The packages of
  scripts/pytest_env.sh can be imported, and `clipshard`, whose wheel is built when a block first imports it.
* ```text with `error:` elsewhere in docs/ quotes a message. A snapshot in tests/snapshots must have it; `...` stands
  for any text. ```text no-check is not compared.
* <!-- setup ... --> holds commands that prepare stand-ins and are not shown. They may use scripts/docs_setup.sh.

`--write` replaces shown output that differs, in blocks without `...`. Blocks in other languages are not run; the
package in tests/ compiles ```rust blocks. Exits with 1 if something is wrong.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=ticks)[ \t]*$", re.DOTALL | re.MULTILINE)
SETUP = re.compile(r"^<!-- setup\n.*?-->\n?", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(FENCE.pattern + r"|^<!-- setup\n(?P<setup>.*?)-->", FENCE.flags)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")


def tracked_pages():
    command = ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "*.md"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in sorted(set(names)) if (ROOT / name).exists()]


def anchors(text):
    """The anchors of a page's headings, as forges and mdBook make them."""
    found, seen = set(), {}
    for heading in re.findall(r"^#+ +(.+?)\s*#*$", FENCE.sub("", text), re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        found.add(f"{anchor}-{count}" if count else anchor)
    found.update(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    return found


def link_faults(pages):
    texts = {}

    def text_of(path):
        if path not in texts:
            texts[path] = path.read_text()
        return texts[path]

    for page in pages:
        text = text_of(page)
        prose = re.sub(r"`[^`\n]*`", "", FENCE.sub(lambda match: "\n" * match[0].count("\n"), text))
        for match in LINK.finditer(prose):
            target, line = match[1], prose.count("\n", 0, match.start()) + 1
            if re.match(r"[a-z]+:", target):
                if not re.match(r"https?://[\w.-]+(/\S*)?$|mailto:", target):
                    yield f"{page.relative_to(ROOT)}:{line}: {target} is no address"
                continue
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve() if name else page
            if not path.exists():
                yield f"{page.relative_to(ROOT)}:{line}: {target} does not exist"
            elif not path.is_relative_to(ROOT):
                yield f"{page.relative_to(ROOT)}:{line}: {target} is outside of the repository"
            elif anchor and path.suffix == ".md" and anchor not in anchors(text_of(path)):
                yield f"{page.relative_to(ROOT)}:{line}: {name or page.name} has no heading #{anchor}"


def contents_faults(pages):
    """Pages of docs/ that docs/SUMMARY.md does not name."""
    summary = ROOT / "docs/SUMMARY.md"
    named = {(summary.parent / link).resolve() for link in LINK.findall(summary.read_text())}
    for page in pages:
        if page.is_relative_to(summary.parent) and page != summary and page not in named:
            yield f"docs/SUMMARY.md: {page.relative_to(ROOT)} is missing"


def quote_faults(pages):
    """Error messages in docs/ that no entry of tests/snapshots has. `...` in a quote stands for any text."""
    snapshots = sorted((ROOT / "tests/snapshots").glob("*.txt"))
    lines = {line.strip() for snapshot in snapshots for line in snapshot.read_text().splitlines()}
    for page in pages:
        if not page.is_relative_to(ROOT / "docs"):
            continue
        for block in blocks(page.read_text()):
            if block.kind != "text" or "no-check" in block.info or not block.body.startswith("error:"):
                continue
            for line in block.body.strip().splitlines():
                parts = [re.escape(normal(part)) for part in line.split("...")]
                pattern = re.compile(r"\s*.*\s*".join(parts))
                if not any(pattern.fullmatch(normal(known)) for known in lines):
                    yield f"{page.relative_to(ROOT)}:{block.line}: no snapshot has the line: {line.strip()}"


class Block:
    """A fenced block or a setup comment: where its body is in the page, and the block that shows its output."""

    def __init__(self, kind, info, line, text, span):
        self.kind, self.info, self.line = kind, info, line
        self.body, self.span, self.output = text[slice(*span)], span, None


def blocks(text):
    """The blocks of a page in order; a block of output belongs to the block that it follows."""
    found, end = [], 0
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["setup"] is not None:
            found.append(Block("setup", "", line, text, match.span("setup")))
        else:
            kind, _, info = match["info"].strip().partition(" ")
            block = Block(kind, info, line, text, match.span("body"))
            if kind == "text" and found and found[-1].kind == "sh" and not text[end : match.start()].strip():
                found[-1].output = block
            else:
                found.append(block)
        end = match.end()
    return found


def normal(line):
    """A line without what differs from run to run: numbers, blanks, the mark of the best row."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"\s+best$", "", line.rstrip())
    line = re.sub(r"\d[\d,.]*", "N", line)
    line = re.sub(r"\b[kKMGT]i?B\b|\bB\b", "B", line)
    return re.sub(r"-{2,}", "--", re.sub(r"\s+", " ", line)).strip()


def output_fault(shown, stdout, merged):
    """The first difference between the lines of a page and the output of its command, or None."""
    elided = any(line.strip() == "..." for line in shown)
    wanted = [normal(line) for line in shown if line.strip() and line.strip() != "..."]
    lines = [normal(line) for line in merged if line.strip()]
    at = 0
    for line in wanted:
        try:
            at = lines.index(line, at) + 1
        except ValueError:
            return f'the output has no line like "{line}"'
    if not elided:
        for line in stdout:
            if line.strip() and normal(line) not in wanted:
                return f'the page does not show the line "{line.strip()}"'
    return None


class Runner:
    def __init__(self, programs, python, write):
        self.programs, self.python, self.write = programs, python, write
        self.packages = None

    def python_path(self):
        """Returns the folders of Python packages for a block that imports the package `clipshard`."""
        if self.packages is None:
            self.packages = tempfile.TemporaryDirectory(prefix="docs-python-")
            folder = Path(self.packages.name)
            subprocess.run([ROOT / "scripts/python_wheel.sh", "--dev", folder], check=True)
            [wheel] = folder.glob("*.whl")
            install = [self.python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
            subprocess.run([*install, folder / "site", wheel], check=True)
            tests = subprocess.run([ROOT / "scripts/pytest_env.sh"], check=True, capture_output=True, text=True)
            self.folders = [str(folder / "site"), *tests.stdout.split()]
        return self.folders

    def page(self, path):
        """Runs a page; returns its faults."""
        faults, text = [], path.read_text()
        shown, replaced = path.relative_to(ROOT), []
        with tempfile.TemporaryDirectory(prefix="docs-") as name:
            folder = Path(name)
            (folder / "scripts").symlink_to(ROOT / "scripts")
            (folder / ".bin").mkdir()
            for block in blocks(text):
                if block.kind not in ("sh", "setup", "python") or "no-run" in block.info.split():
                    continue
                status, stdout, merged = self.run(block, folder)
                if status:
                    tail = "\n    ".join(merged[-15:])
                    faults.append(f"{shown}:{block.line}: exit status {status}\n    {tail}")
                    break
                if block.output:
                    lines = block.output.body.splitlines()
                    fault = output_fault(lines, stdout, merged)
                    if fault and self.write and "..." not in lines:
                        replaced.append((block.output.span, "\n".join(stdout).rstrip() + "\n"))
                    elif fault:
                        actual = "\n    ".join(merged)
                        faults.append(f"{shown}:{block.output.line}: {fault}; the output was\n    {actual}")
        for (start, end), new in reversed(replaced):
            text = text[:start] + new + text[end:]
        if replaced:
            path.write_text(text)
        return faults

    def run(self, block, folder):
        """Runs a block: its exit status, the lines of its standard output, and all lines in order."""
        path = f"{folder}/.bin:{self.programs}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "UCF_BIN": str(self.programs), "COLUMNS": "100", "NO_COLOR": "1"}
        if block.kind == "python":
            command = [self.python, "-c", block.body]
            imports = re.search(r"^\s*(import|from) clipshard\b", block.body, re.MULTILINE)
            environment["PYTHONPATH"] = ":".join([str(ROOT / "scripts"), *(self.python_path() if imports else [])])
        else:
            begin = f"source {ROOT}/scripts/docs_setup.sh\n" if block.kind == "setup" else ""
            command = ["bash", "-c", f"set -euo pipefail\n{begin}{block.body}"]
        stdout = []
        with tempfile.TemporaryFile("w+") as merged:
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": merged}
            with subprocess.Popen(command, cwd=folder, env=environment, text=True, **streams) as process:
                # Lines of standard output join those of standard error, where the process writes at the end, too.
                for line in process.stdout:
                    stdout.append(line.rstrip("\n"))
                    os.lseek(merged.fileno(), 0, os.SEEK_END)
                    os.write(merged.fileno(), line.encode())
            merged.seek(0)
            return process.returncode, stdout, merged.read().replace("\r", "\n").splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pages", nargs="*", type=Path, help="pages to run; the default is all of docs/ and every README.md"
    )
    parser.add_argument("--bin", type=Path, help="folder with the programs ucfpack and ucftrain")
    parser.add_argument("--links", action="store_true", help="check links and contents only")
    parser.add_argument("--write", action="store_true", help="replace shown output that differs")
    options = parser.parse_args()
    everything = tracked_pages()
    faults = [*link_faults(everything), *contents_faults(everything), *quote_faults(everything)]
    if not options.links:
        programs = options.bin and options.bin.resolve()
        if not programs or not all((programs / name).is_file() for name in ("ucfpack", "ucftrain")):
            parser.error("--bin must be a folder with ucfpack and ucftrain")
        python = os.environ.get("CLIPSHARD_PYTHON") or python_environment()
        runner = Runner(programs, python, options.write)
        chosen = [page.resolve() for page in options.pages]
        docs = ROOT / "docs"
        guide = [page for page in everything if page.is_relative_to(docs) or page.name == "README.md"]
        for page in chosen or guide:
            start = time.monotonic()
            found = runner.page(page)
            seconds = time.monotonic() - start
            if found or seconds > 1:
                print(f"{'FAILED' if found else 'passed'} {page.relative_to(ROOT)} ({seconds:.0f} s)", flush=True)
            faults += found
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults in {len(everything)} pages")
    sys.exit(1 if faults else 0)


def python_environment():
    command = [ROOT / "scripts/python_env.sh"]
    # The path is relative to the repository if the target folder is.
    return ROOT / subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
