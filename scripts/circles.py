#!/usr/bin/env python3
"""Finds circles of imports among the files of each crate, and measures the layout: files a folder, longest functions.

    scripts/circles.py [FOLDER...] [--functions N] [--edges]

FOLDER is a package or a folder of packages; the default is this repository. A file imports another one if it names an item that
the other defines: in a `use`, in a path such as `crate::index::Entry` or `super::open`, or in a macro call. Re-exports are
followed to the file that defines the item, and a `pub use` whose name the file's own code does not need is no import. Code under
`#[cfg(test)]` and `#[test]` is left out. Types that are only reached through a method call or a field are not seen.

Prints every circle of more than two files with the imports that make it. Exits with 1 if there is one, with 2 on wrong usage.
"""
import argparse
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

LARGEST = 2  # files of a circle that is allowed
SKIPPED = {"target", "tests", "benches", "examples", "fuzz", "node_modules"}
TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<comment>/\*)
      | (?P<raw>(?:b|c)?r(?P<hashes>\#*)")
      | (?P<string>(?:b|c)?"(?:\\.|[^"\\])*")
      | (?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'\n])')
      | (?P<lifetime>'\w+)
      | (?P<word>(?:r\#)?[A-Za-z_]\w*)
      | (?P<number>\d[\w]*(?:\.\d[\w]*)?)
      | (?P<mark>::|=>|->|.)""",
    re.VERBOSE | re.DOTALL,
)
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
ITEMS = {"struct", "enum", "union", "trait", "type", "fn", "const", "static"}
# What an item may start with; anything else that has an attribute is a field, an arm or an expression.
STARTS = ITEMS | {"pub", "use", "mod", "impl", "unsafe", "async", "extern", "macro_rules"}


class Token:
    __slots__ = ("kind", "text", "line")

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line


def tokens(text):
    """The words, literals and marks of Rust source, without comments."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        kind, end = match.lastgroup, match.end()
        if match["hashes"] is not None:
            kind = "raw"
            close = text.find('"' + match["hashes"], end)
            end = len(text) if close < 0 else close + 1 + len(match["hashes"])
        elif kind == "comment":
            depth = 1
            while depth and end < len(text):
                step = re.compile(r"/\*|\*/").search(text, end)
                if not step:
                    end = len(text)
                    break
                depth += 1 if step.group() == "/*" else -1
                end = step.end()
        if kind not in ("space", "comment"):
            found.append(Token(kind, text[at:end].removeprefix("r#") if kind == "word" else text[at:end], line))
        line += text.count("\n", at, end)
        at = end
    return found


def closing(found, at):
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(found)):
        text = found[i].text
        if found[i].kind == "mark":
            depth += (text in OPEN) - (text in CLOSE)
            if depth == 0:
                return i
    return len(found) - 1


def end_of_item(found, at):
    """The index behind the item that starts at `at`: behind its `;` or its first block, behind the comma of a field or an arm."""
    ends = {";"} if at < len(found) and found[at].text in STARTS else {";", ","}
    while at < len(found):
        text = found[at].text if found[at].kind == "mark" else ""
        if text in ends:
            return at + 1
        if text in OPEN:
            at = closing(found, at)
            if text == "{":
                return at + 1
        elif text in CLOSE:
            return at
        at += 1
    return at


def is_test(attribute):
    """Whether an attribute, as its words and marks, keeps an item for tests."""
    text = "".join(attribute)
    if text == "test" or text.endswith("::test"):
        return True
    condition = re.fullmatch(r"cfg\((.*)\)", text)
    if not condition:
        return False
    condition = condition[1]
    return condition == "test" or bool(re.match(r"all\((?:.*,)?test\b", condition) and "not(test" not in condition)


class Module:
    def __init__(self, crate, path, file):
        self.crate, self.path, self.file = crate, path, file
        self.items = {}  # name -> file that defines it
        self.modules = {}  # name -> Module
        self.bindings = defaultdict(list)  # name -> paths that `use` gave it
        self.imports = []  # (name, path, whether it is a re-export) of every `use`
        self.globs = []  # (path, whether it is a re-export)
        self.paths = []  # paths of two and more words in the code
        self.words = set()  # other words of the code
        self.macros = set()  # names of the macros that are called


class Crate:
    """The modules of one target: a library or a program."""

    def __init__(self, root, library=None, name=None):
        self.library, self.name = library, name
        self.root = Module(self, (), root)
        self.all, self.functions, self.files = [self.root], [], {root}
        self.macros = {}  # name -> file
        self.load(self.root, root, root.parent)

    def load(self, module, file, folder):
        self.parse(module, tokens(file.read_text(encoding="utf-8")), file, folder)

    def child(self, module, name, attributes, folder):
        """The file of `mod name;` and the folder of its own children."""
        for attribute in attributes:
            if attribute[:2] == ["path", "="]:
                file = module.file.parent / attribute[2].strip('"')
                return (file, file.parent) if file.is_file() else None
        for file in folder / f"{name}.rs", folder / name / "mod.rs":
            if file.is_file():
                return file, folder / name
        return None

    def parse(self, module, found, file, folder):
        at, attributes = 0, []
        while at < len(found):
            token = found[at]
            if token.text == "#" and token.kind == "mark":
                start = at + 1 + (found[at + 1].text == "!")
                if start < len(found) and found[start].text == "[":
                    end = closing(found, start)
                    attribute = [t.text for t in found[start + 1:end]]
                    at = end + 1
                    if found[start - 1].text == "!":
                        continue
                    attributes.append(attribute)
                    if is_test(attribute):
                        at = self.skip(found, at)
                        attributes = []
                    continue
            step = self.item(module, found, at, file, folder, attributes)
            if token.text != "pub" and not (token.text == "(" and at and found[at - 1].text == "pub"):
                attributes = []
            at = step

    @staticmethod
    def skip(found, at):
        """Behind the item whose attribute ended at `at`."""
        while at + 1 < len(found) and found[at].text == "#" and found[at + 1].text == "[":
            at = closing(found, at + 1) + 1
        return end_of_item(found, at)

    def item(self, module, found, at, file, folder, attributes):
        """Reads what starts at `at`; returns where the next thing starts."""
        token, following = found[at], found[at + 1] if at + 1 < len(found) else None
        if token.kind != "word" or following is None:
            return at + 1
        if token.text == "pub" and following.text == "(":
            return closing(found, at + 1) + 1
        if token.text == "use":
            end = next((i for i in range(at, len(found)) if found[i].text == ";"), len(found))
            self.use(module, found[at + 1:end], (), is_public(found, at))
            return end + 1
        if token.text == "mod" and following.kind == "word" and at + 2 < len(found):
            return self.inner(module, found, at, file, folder, attributes)
        if token.text == "macro_rules" and following.text == "!":
            name = found[at + 2].text
            module.items.setdefault(name, file)
            self.macros.setdefault(name, file)
            if ["macro_export"] in attributes:
                self.root.items.setdefault(name, file)
            return at + 3
        if token.text == "fn" and following.kind == "word":
            self.function(found, at, file)
        if token.text in ITEMS and following.kind == "word":
            if following.text in ("fn", "unsafe", "extern", "async"):
                return at + 1
            name = found[at + 2].text if following.text == "mut" else following.text
            if at in outside(found):
                module.items.setdefault(name, file)
            return at + 2
        return self.path(module, found, at)

    def inner(self, module, found, at, file, folder, attributes):
        name, mark = found[at + 1].text, found[at + 2].text
        if mark == "{":
            end = closing(found, at + 2)
            child = module.modules.get(name) or Module(self, (*module.path, name), file)
            module.modules[name] = child
            self.all.append(child)
            self.parse(child, found[at + 3:end], file, folder / name)
            return end + 1
        place = self.child(module, name, attributes, folder)
        if mark == ";" and place:
            child = Module(self, (*module.path, name), place[0])
            module.modules[name] = child
            self.all.append(child)
            self.files.add(place[0])
            self.load(child, *place)
        return at + 3

    def use(self, module, tree, before, public):
        """Reads one tree of a `use`, split at its commas."""
        path, at = list(before), 0
        while at < len(tree):
            token = tree[at]
            if token.text == "{":
                for part in parts(tree[at + 1:closing(tree, at)]):
                    self.use(module, part, tuple(path), public)
                return
            if token.text == "*":
                module.globs.append((tuple(path), public))
                return
            if token.text == "as":
                self.bind(module, tree[at + 1].text, tuple(path), public)
                return
            if token.kind == "word" and token.text == "self" and path:
                pass  # `a::{self}` is `a`.
            elif token.kind == "word":
                path.append(token.text)
            elif token.text == "::" and at == 0 and not before:
                path.append("::")
            at += 1
        if path:
            self.bind(module, path[-1], tuple(path), public)

    @staticmethod
    def bind(module, name, path, public):
        if name != "_":
            module.bindings[name].append(path)
        module.imports.append((name, path, public))

    def function(self, found, at, file):
        name, line = found[at + 1].text, found[at].line
        while at < len(found) and found[at].text not in ("{", ";"):
            at = closing(found, at) + 1 if found[at].text in OPEN else at + 1
        if at < len(found) and found[at].text == "{":
            self.functions.append((found[closing(found, at)].line - line + 1, name, file, line))

    @staticmethod
    def path(module, found, at):
        """Reads a path in code, such as `crate::a::b`, or a macro's call."""
        if at and (found[at - 1].text == "." or found[at - 1].text == "::" and found[at - 2].kind == "word"):
            return at + 1
        path = [found[at].text]
        if at and found[at - 1].text == "$" and path[0] != "crate":
            return at + 1
        at += 1
        while at + 1 < len(found) and found[at].text == "::" and found[at + 1].kind == "word":
            path.append(found[at + 1].text)
            at += 2
        if at < len(found) and found[at].text == "!" and len(path) == 1:
            module.macros.add(path[0])
        if len(path) > 1:
            module.paths.append(tuple(path))
        else:
            module.words.add(path[0])
        return at

    # Names

    def start(self, module, path):
        """The module where a path starts, and the rest of it; None if it leads out of the crate."""
        path = list(path)
        if path[0] == "crate":
            return self.root, path[1:]
        if path[0] == "self":
            return module, path[1:]
        if path[0] == "super":
            steps = module.path
            while path and path[0] == "super":
                steps, path = steps[:-1], path[1:]
            return self.at(steps), path
        if path[0] == "::":
            return None
        if self.library and path[0] == self.name:
            return self.library.root, path[1:]
        return module, path

    def at(self, steps):
        module = self.root
        for step in steps:
            module = module.modules[step]
        return module

    def resolve(self, module, path, seen=frozenset()):
        """What `path` names in `module`: (file that defines it, its name) or a Module, several where code is conditional; none
        for what is not of this package."""
        start = self.start(module, path)
        if start is None or (module, tuple(path)) in seen:
            return []
        seen = seen | {(module, tuple(path))}
        places = [start[0]]
        for name in start[1]:
            answers = [answer for place in places for answer in place.crate.lookup(place, name, seen)]
            items = [answer for answer in answers if not isinstance(answer, Module)]
            if items or not answers:
                return items
            places = answers
        return places

    def lookup(self, module, name, seen=frozenset()):
        if name in module.modules:
            return [module.modules[name]]
        if name in module.items:
            return [(module.items[name], name)]
        answers = [answer for path in module.bindings.get(name, ()) for answer in self.resolve(module, path, seen)]
        if answers:
            return answers
        for path, _ in module.globs:
            for place in self.resolve(module, path, seen):
                if isinstance(place, Module) and (place, name) not in seen:
                    answers += place.crate.lookup(place, name, seen | {(place, name)})
        return answers

    def edges(self):
        """(file, file) -> the names that the first takes from the second."""
        edges = defaultdict(Counter)
        for module in self.all:
            for answer in self.taken(module):
                file, name = (answer.file, answer.path[-1]) if isinstance(answer, Module) else answer
                if file != module.file:
                    edges[module.file, file][name] += 1
        return edges

    def taken(self, module):
        """All that the code of a module names of others."""
        first = {path[0] for path in module.paths}
        words = module.words | first | module.macros
        for path in module.paths:
            yield from self.resolve(module, path)
        for name, path, public in module.imports:
            if public and name not in words:
                continue
            for answer in self.resolve(module, path):
                # What is taken through a module's name is found with its own path.
                if not isinstance(answer, Module) or name not in first:
                    yield answer
        for path, public in module.globs:
            for place in self.resolve(module, path):
                if not isinstance(place, Module):
                    yield place
                    continue
                for word in words - {*module.items, *module.modules, *module.bindings}:
                    answers = place.crate.lookup(place, word, frozenset({(module, (word,))}))
                    yield from (answer for answer in answers if not isinstance(answer, Module))
        for name in module.macros:
            if name in self.macros and not self.lookup(module, name):
                yield self.macros[name], f"{name}!"


def is_public(found, at):
    """Whether `pub` or `pub(...)` stands before the word at `at`."""
    if at and found[at - 1].text == ")":
        start = next((i for i in range(at - 1, -1, -1) if found[i].text == "("), 0)
        return start > 0 and found[start - 1].text == "pub"
    return at > 0 and found[at - 1].text == "pub"


def parts(tree):
    """What the commas outside all brackets part."""
    depth, part = 0, []
    for token in tree:
        depth += (token.text in OPEN) - (token.text in CLOSE)
        if token.text == "," and depth == 0:
            if part:
                yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


_OUTSIDE = {}


def outside(found):
    """The indices of tokens that stand outside all brackets."""
    key = id(found)
    if key not in _OUTSIDE or _OUTSIDE[key][0] is not found:
        depth, flat = 0, set()
        for i, token in enumerate(found):
            if token.kind == "mark" and token.text in OPEN:
                depth += 1
            elif token.kind == "mark" and token.text in CLOSE:
                depth -= 1
            elif depth == 0:
                flat.add(i)
        _OUTSIDE[key] = found, flat
    return _OUTSIDE[key][1]


def circles(edges):
    """The strongly connected parts of more than one file, largest first (Tarjan 1972, without recursion)."""
    after = defaultdict(list)
    for first, second in edges:
        after[first].append(second)
    index, low, on, stack, found = {}, {}, set(), [], []
    for root in sorted({file for edge in edges for file in edge}):
        if root in index:
            continue
        work = [(root, iter(sorted(after[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on.add(other)
                    work.append((other, iter(sorted(after[other]))))
                    break
                if other in on:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = []
                    while not part or part[-1] != node:
                        part.append(stack.pop())
                        on.discard(part[-1])
                    if len(part) > 1:
                        found.append(sorted(part))
    return sorted(found, key=lambda part: (-len(part), part))


class Package:
    """What is measured of a package."""

    def __init__(self, manifest):
        text = manifest.read_text(encoding="utf-8")
        self.folder = manifest.parent
        self.name = re.search(r'^\s*name\s*=\s*"([^"]+)"', text.split("[package]", 1)[1], re.M)[1]
        src = self.folder / "src"
        section = re.search(r"^\[lib\](.*?)(?=^\[|\Z)", text, re.M | re.S)
        settings = dict(re.findall(r'^\s*(name|path)\s*=\s*"([^"]+)"', section[1], re.M)) if section else {}
        library = self.folder / settings.get("path", "src/lib.rs")
        name = settings.get("name", self.name).replace("-", "_")
        self.targets = [Crate(library, name=name)] if library.is_file() else []
        lib = self.targets[0] if self.targets else None
        declared = re.findall(r"^\[\[bin\]\](.*?)(?=^\[|\Z)", text, re.M | re.S)
        paths = {self.folder / path for part in declared for path in re.findall(r'^\s*path\s*=\s*"([^"]+)"', part, re.M)}
        paths |= {src / "main.rs", *src.glob("bin/*.rs"), *src.glob("bin/*/main.rs")}
        self.targets += [Crate(path, lib, name) for path in sorted(paths) if path.is_file()]
        self.edges, self.functions, self.files = defaultdict(Counter), {}, set()
        for target in self.targets:
            for edge, names in target.edges().items():
                self.edges[edge] += names
            self.functions.update({function[1:]: function for function in target.functions})
            self.files |= target.files

    def shown(self, path):
        return path.relative_to(self.folder).as_posix()


def packages(folders):
    found = []
    for folder in folders:
        manifests = [folder / "Cargo.toml"] if (folder / "src").is_dir() else sorted(folder.rglob("Cargo.toml"))
        for manifest in manifests:
            inner = manifest.relative_to(folder).parts[:-1]
            if manifest.is_file() and not SKIPPED & {*inner} and "[package]" in manifest.read_text(encoding="utf-8"):
                if (manifest.parent / "src").is_dir():
                    found.append(Package(manifest))
    return found


def report(package, functions, all_edges):
    """Prints what is measured of a package; returns whether it has a circle that is too large."""
    found = circles(package.edges)
    large = [circle for circle in found if len(circle) > LARGEST]
    folders = Counter(package.shown(file.parent) for file in package.files)
    sizes = ", ".join(f"{folder}/ {count}" for folder, count in sorted(folders.items()))
    print(f"{package.name}: {len(package.files)} files, {len(package.edges)} imports, "
          f"{len(large)} circles of more than {LARGEST} files, {len(found) - len(large)} of {LARGEST}")
    print(f"  files a folder: {sizes}")
    longest = sorted(package.functions.values(), key=lambda f: (-f[0], f[1]))[:functions]
    if longest:
        texts = (f"{name} {lines} ({package.shown(file)}:{line})" for lines, name, file, line in longest)
        print(f"  longest functions, in lines: {', '.join(texts)}")
    for circle in found:
        is_large = len(circle) > LARGEST
        print(f"  {'CIRCLE' if is_large else 'circle'} of {len(circle)} files: {', '.join(map(package.shown, circle))}")
        if is_large or all_edges:
            for (first, second), names in sorted(package.edges.items()):
                if first in circle and second in circle:
                    print(f"    {package.shown(first)} -> {package.shown(second)}: {', '.join(sorted(names))}")
    return bool(large)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="packages, or folders of packages")
    parser.add_argument("--functions", type=int, default=3, metavar="N", help="longest functions to name [default: 3]")
    parser.add_argument("--edges", action="store_true", help="print the imports of circles of two files too")
    options = parser.parse_args(arguments)
    folders = options.folders or [Path(__file__).resolve().parent.parent]
    found = packages(folders)
    if not found:
        parser.error(f"no package below {', '.join(map(str, folders))}")
    large = [report(package, options.functions, options.edges) for package in found]
    return int(any(large))


if __name__ == "__main__":
    sys.exit(main())
