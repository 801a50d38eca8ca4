#!/usr/bin/env python3
"""Checks the language of documents, comments, docstrings and messages.

    scripts/prose.py [FILE|FOLDER...] [--summary]

Without arguments, checks every tracked file of the repository. Reports, with file and line:

* a sentence of more than 40 words in a Markdown file, a comment or a docstring;
* a line of more than 120 columns outside a Markdown table;
* a word that scripts/prose.txt lists, in Markdown, comments, docstrings and Rust string literals;
* a docstring that starts with "What";
* a docstring of a Rust function that does not start with a verb such as "Returns".

The median sentence of all Markdown files together must have at most 18 words. The dated files CHANGELOG.md and
docs/notes do not count for the median. A line that ends in `prose: ignore` and the line after it are not checked.

Exits with 1 if something was reported, with 2 on wrong usage.
"""
import argparse
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEDIAN, LONGEST, COLUMNS = 18, 40, 120
UNCHECKED = {"scripts/prose.txt", "scripts/prose.py", "scripts/test_prose.py"}
SUFFIXES = {".md", ".rs", ".py", ".sh", ".toml", ".yml", ".cu", ".cuh", ".c", ".css", ".js"}
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|etc|vs|cf|al|approx|no|Fig|Eq|Dr)\.$")
MARKERS = {".rs": r"(///|//!|//)", ".cu": r"(//)", ".cuh": r"(//)", ".c": r"(//)", ".js": r"(//)"}
FUNCTION = re.compile(r'\s*(pub(\([\w ]+\))? )?(const )?(async )?(unsafe )?(extern "C" )?fn ')
NO_FUNCTION = re.compile(r"\s*#\[(getter|pymodule)\b")
STRING = re.compile(r'b?"((?:\\.|[^"\\])*)"|r(#*)".*?"\2', re.DOTALL)
VERB = re.compile(r"(?!(This|Its|Always|Pixels|Bytes|Frames|Clips)\b)[A-Z][a-z-]*s\b")
WORD = re.compile(r"[\w'’+%./:-]*\w[\w'’+%./:-]*")


class Fault:
    def __init__(self, path, line, text):
        self.path, self.line, self.text = path, line, text

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


def banned_words(path=ROOT / "scripts/prose.txt"):
    """The expressions of prose.txt, each with what to write instead."""
    words = []
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            expression, advice = re.split(r"\t| {2,}", line, maxsplit=1)
            words.append((re.compile(expression, re.IGNORECASE), advice.strip()))
    return words


class Paragraph:
    """Lines of running text: `text` and the line number of every character's line."""

    def __init__(self, kind):
        self.kind, self.lines = kind, []

    def add(self, number, text):
        self.lines.append((number, text))

    @property
    def text(self):
        return "\n".join(text for _, text in self.lines)

    def line_at(self, index):
        return self.lines[min(self.text.count("\n", 0, index), len(self.lines) - 1)][0]


def plain(text):
    """The text without markup; each removed piece of code counts as one word. Keeps the number of lines."""

    def keep_lines(word):
        return lambda match: word + "\n" * match[0].count("\n")

    def link_text(match):
        return match[1] + "\n" * (match[0].count("\n") - match[1].count("\n"))

    text = re.sub(r"<!--.*?-->", keep_lines(""), text, flags=re.DOTALL)
    text = re.sub(r"(`+)(?:(?!\1).)+?\1", keep_lines("`code`"), text, flags=re.DOTALL)
    text = re.sub(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)", link_text, text)
    text = re.sub(r"\[([^\[\]]*)\]\[[^\]]*\]", lambda m: m[1], text)
    text = re.sub(r"https?://\S+", "link", text)
    return text


def sentences(text):
    """Each sentence with its index in the text."""
    start = 0
    for match in re.finditer(r"[.!?:][\"')*_]*(?=\s|$)|\n\n", text):
        piece = text[start : match.end()]
        mark = match[0][0]
        if mark == ":" and "\n" not in text[match.start() : match.end() + 1]:
            continue  # A colon ends a sentence only at the end of a line or paragraph.
        following = text[match.end() : match.end() + 3]
        if mark == "." and (ABBREVIATIONS.search(piece) or re.match(r"\s+[a-z0-9]", following)):
            continue
        yield start + len(piece) - len(piece.lstrip()), piece.strip()
        start = match.end()
    if text[start:].strip():
        piece = text[start:]
        yield start + len(piece) - len(piece.lstrip()), piece.strip()


def count_words(sentence):
    return len(WORD.findall(sentence))


def markdown_paragraphs(lines):
    """Paragraphs, list items and table cells of a Markdown text, without code."""
    found, current, fence = [], None, None
    for number, line in lines:
        stripped = line.strip()
        if fence:
            if stripped.startswith(fence) and not stripped.strip("`~"):
                fence = None
            continue
        opening = re.match(r"(`{3,}|~{3,})", stripped)
        if opening:
            fence, current = opening[1], None
            continue
        if not stripped or re.fullmatch(r"[-=*|: ]+", stripped):
            current = None
            continue
        if stripped.startswith("|"):
            for cell in stripped.strip("|").split("|"):
                row = Paragraph("cell")
                row.add(number, cell.strip())
                found.append(row)
            current = None
            continue
        if stripped.startswith("#"):
            heading = Paragraph("heading")
            heading.add(number, stripped.lstrip("# "))
            found.append(heading)
            current = None
            continue
        item = re.match(r"([-*+]|\d+[.)])\s+(.*)", stripped)
        if item or stripped.startswith(">") or current is None:
            current = Paragraph("text")
            found.append(current)
        current.add(number, item[2] if item else stripped.lstrip("> "))
    return found


def comment_blocks(text, suffix):
    """Runs of comment lines of the same kind: (kind, [(line number, text)]), kind is "doc" or "comment"."""
    blocks, current = [], None
    marker = MARKERS.get(suffix, r"(#)(?!!)")
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*" + marker + r"(.*)", line)
        if not match or match[1] == "//" and match[2].startswith("/"):
            current = None
            continue
        kind = "doc" if match[1] in ("///", "//!") else "comment"
        if current is None or current[0] != match[1]:
            current = (match[1], kind, [])
            blocks.append(current)
        body = match[2]
        current[2].append((number, body[1:] if body.startswith(" ") else body))
    return [(kind, lines) for _, kind, lines in blocks]


def python_docstrings(text):
    for match in re.finditer(r'(?:\A(?:#.*\n)*|:\n)\s*r?"""(.*?)"""', text, re.DOTALL):
        first = text.count("\n", 0, match.start(1)) + 1
        yield [(first + i, line) for i, line in enumerate(match[1].splitlines())]


def string_literals(text):
    """String literals of Rust source that hold a sentence: (line, text). Tests are left aside."""
    cut = re.search(r"#\[cfg\(test\)\]\s*mod \w+ \{", text)
    text = text[: cut.start()] if cut else text
    text = "\n".join("" if line.lstrip().startswith("//") else line for line in text.split("\n"))
    for match in STRING.finditer(text):
        if match[1] and match[1].count(" ") >= 2:
            yield text.count("\n", 0, match.start()) + 1, re.sub(r"\\\n\s*", "", match[1])


class Checker:
    def __init__(self, words):
        self.words, self.faults, self.lengths = words, [], []

    def paragraph(self, path, paragraph, counted=False):
        text = plain(paragraph.text)
        for expression, advice in self.words:
            for match in expression.finditer(text.replace("\n", " ")):
                self.faults.append(Fault(path, paragraph.line_at(match.start()), f'"{match[0]}": write {advice}'))
        if paragraph.kind in ("text", "comment"):
            for at, sentence in sentences(text):
                length = count_words(sentence)
                if length > LONGEST:
                    start = " ".join(sentence.split()[:8])
                    line = paragraph.line_at(at)
                    self.faults.append(Fault(path, line, f'a sentence of {length} words: "{start} ..."'))
                if counted and length > 2:
                    self.lengths.append(length)

    def markdown(self, path, text):
        dated = path.name == "CHANGELOG.md" or "notes" in path.parts
        lines = list(enumerate(text.splitlines(), 1))
        for number, line in lines:
            if len(line) > COLUMNS and not line.lstrip().startswith("|"):
                self.faults.append(Fault(path, number, f"{len(line)} columns"))
        for paragraph in markdown_paragraphs(lines):
            self.paragraph(path, paragraph, counted=not dated)

    def source(self, path, text):
        suffix = path.suffix
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS and suffix in (".rs", ".py", ".sh", ".toml"):
                self.faults.append(Fault(path, number, f"{len(line)} columns"))
        blocks = [lines for _, lines in comment_blocks(text, suffix)]
        if suffix == ".py":
            blocks += python_docstrings(text)
        for lines in blocks:
            for paragraph in markdown_paragraphs(lines):
                self.paragraph(path, paragraph)
        if suffix == ".rs":
            self.docstrings(path, text)
            if "tests" not in path.parts and path.name != "tests.rs":
                for number, literal in string_literals(text):
                    message = Paragraph("message")
                    message.add(number, literal)
                    self.paragraph(path, message)

    def docstrings(self, path, text):
        """The first words of docstrings."""
        lines = text.splitlines()
        tests = next((i for i, line in enumerate(lines) if re.match(r"\s*#\[cfg\(test\)\]", line)), len(lines))
        for i, line in enumerate(lines[:tests]):
            doc = re.match(r"\s*//(?:/|!) ?(\S.*)", line)
            if not doc or i > 0 and re.match(r"\s*//[/!]", lines[i - 1]):
                continue
            if re.match(r"What\b", doc[1]):
                self.faults.append(Fault(path, i + 1, 'a docstring that starts with "What": name the thing'))
            j = i
            while j < len(lines) and re.match(r"\s*(///|#\[|//)", lines[j]):
                j += 1
            item = lines[j] if j < len(lines) else ""
            # Python shows the docstring of a getter as that of an attribute, and of `pymodule` as that of a module.
            is_function = FUNCTION.match(item) and not any(NO_FUNCTION.match(lines[k]) for k in range(i, j))
            if line.lstrip().startswith("///") and is_function:
                if not VERB.match(doc[1]):
                    text = f'start the docstring of a function with a verb, such as "Returns": "{doc[1][:40]}"'
                    self.faults.append(Fault(path, i + 1, text))

    def file(self, path, shown):
        text = path.read_text(errors="replace")
        if path.suffix == ".md":
            self.markdown(shown, text)
        else:
            self.source(shown, text)
        ignored = set()
        for number, line in enumerate(text.splitlines(), 1):
            if line.rstrip(" ->*/").endswith("prose: ignore"):
                ignored |= {number, number + 1}
        self.faults = [fault for fault in self.faults if fault.path != shown or fault.line not in ignored]


def tracked(arguments):
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *arguments]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sorted({Path(name).resolve() for name in listed.splitlines()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files or folders; the default is the repository")
    parser.add_argument("--summary", action="store_true", help="print the number of faults per file only")
    options = parser.parse_args()
    for path in options.paths:
        if not Path(path).exists():
            parser.error(f"{path} does not exist")
    checker = Checker(banned_words())
    for path in tracked(options.paths or [str(ROOT)]):
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        checked = path.suffix in SUFFIXES and path.is_file() and "goldens" not in path.parts
        if checked and str(shown) not in UNCHECKED:
            checker.file(path, shown)
    checker.faults.sort(key=lambda fault: (str(fault.path), fault.line))
    if options.summary:
        counts = {}
        for fault in checker.faults:
            counts[fault.path] = counts.get(fault.path, 0) + 1
        for path, count in sorted(counts.items(), key=lambda entry: -entry[1]):
            print(f"{count:6} {path}")
    else:
        for fault in checker.faults:
            print(fault)
    median = statistics.median(checker.lengths) if checker.lengths else 0
    measured = f"{len(checker.lengths)} sentences, median {median:g} words"
    print(f"{len(checker.faults)} faults; Markdown: {measured}", file=sys.stderr)
    if median > MEDIAN:
        print(f"error: the median sentence has {median:g} words; at most {MEDIAN} are allowed", file=sys.stderr)
    sys.exit(1 if checker.faults or median > MEDIAN else 0)


if __name__ == "__main__":
    main()
