#!/usr/bin/env python3
"""Finds import cycles among the files of each crate, and measures the layout of the crate.

    scripts/circles.py [FOLDER...] [--functions N] [--edges]

Needs only Python. FOLDER is a package or a folder of packages; the default is this repository.

A file imports another one if it names an item that the other file defines: in a `use`, in a path
such as `crate::index::Entry` or `super::open`, or in a macro call. The script follows re-exports to
the file that defines the item. A `pub use` is no import if the code of the file does not use its
name. Code under `#[cfg(test)]` and `#[test]` is skipped. The script does not see types that are
only used through a method call or a field.

Prints the number of files per folder, the longest functions, and each cycle. For a cycle of more
than two files, it also prints the imports. Exits with 1 if there is such a cycle, and with 2 on
wrong usage.
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

LARGEST = 2  # Number of files of the largest cycle that is allowed.
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
# The words that an item may start with. Anything else with an attribute is a field, an arm or an
# expression.
STARTS = ITEMS | {"pub", "use", "mod", "impl", "unsafe", "async", "extern", "macro_rules"}


class Token:
    __slots__ = ("kind", "text", "line")

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line


def tokens(text):
    """Returns the words, literals and marks of Rust source, without comments."""
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
    """Returns the index of the bracket that closes the bracket at `at`."""
    depth = 0
    for i in range(at, len(found)):
        text = found[i].text
        if found[i].kind == "mark":
            depth += (text in OPEN) - (text in CLOSE)
            if depth == 0:
                return i
    return len(found) - 1


def end_of_item(found, at):
    """Returns the index after the item that starts at `at`.

    An item ends with `;` or its first block. A field or an arm ends with a comma.
    """
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
    """Returns whether an attribute makes an item part of tests only. `attribute` is a list of words and marks."""
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
        self.bindings = defaultdict(list)  # name -> paths that `use` binds to it
        self.imports = []  # (name, path, whether it is a re-export) of each `use`
        self.globs = []  # (path, whether it is a re-export)
        self.paths = []  # paths of two or more words in the code
        self.words = set()  # other words of the code
        self.macros = set()  # names of called macros


class Crate:
    """The modules of a target: a library or a program."""

    def __init__(self, root, library=None, name=None):
        self.library, self.name = library, name
        self.root = Module(self, (), root)
        self.all, self.functions, self.files = [self.root], [], {root}
        self.macros = {}  # name -> file
        self.load(self.root, root, root.parent)

    def load(self, module, file, folder):
        self.parse(module, tokens(file.read_text(encoding="utf-8")), file, folder)

    def child(self, module, name, attributes, folder):
        """Returns the file of `mod name;` and the folder of its children."""
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
                    attribute = [t.text for t in found[start + 1 : end]]
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
        """Returns the index after an item. `at` is the index after its first attribute."""
        while at + 1 < len(found) and found[at].text == "#" and found[at + 1].text == "[":
            at = closing(found, at + 1) + 1
        return end_of_item(found, at)

    def item(self, module, found, at, file, folder, attributes):
        """Reads the item or expression that starts at `at`. Returns the index of the next one."""
        token, following = found[at], found[at + 1] if at + 1 < len(found) else None
        if token.kind != "word" or following is None:
            return at + 1
        if token.text == "pub" and following.text == "(":
            return closing(found, at + 1) + 1
        if token.text == "use":
            end = next((i for i in range(at, len(found)) if found[i].text == ";"), len(found))
            self.use(module, found[at + 1 : end], (), is_public(found, at))
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
            self.parse(child, found[at + 3 : end], file, folder / name)
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
        """Reads one tree of a `use`. Splits groups at their commas."""
        path, at = list(before), 0
        while at < len(tree):
            token = tree[at]
            if token.text == "{":
                for part in parts(tree[at + 1 : closing(tree, at)]):
                    self.use(module, part, tuple(path), public)
                return
            if token.text == "*":
                module.globs.append((tuple(path), public))
                return
            if token.text == "as":
                self.bind(module, tree[at + 1].text, tuple(path), public)
                return
            if token.kind == "word" and token.text == "self" and path:
                pass  # `a::{self}` is the same as `a`.
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
        """Reads a path in code, such as `crate::a::b`, or the call of a macro."""
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

    # Name resolution

    def start(self, module, path):
        """Returns the module where a path starts, and the rest of the path. Returns None if it leaves the package."""
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
        """Returns the items that `path` names in `module`: each a Module, or a file and the name that it defines.

        There are several if code is conditional, and none if the item belongs to another package.
        """
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
        """Returns {(file, file): names that the first file imports from the second}."""
        edges = defaultdict(Counter)
        for module in self.all:
            for answer in self.taken(module):
                file, name = (answer.file, answer.path[-1]) if isinstance(answer, Module) else answer
                if file != module.file:
                    edges[module.file, file][name] += 1
        return edges

    def taken(self, module):
        """Yields the items of other modules that the code of a module names."""
        first = {path[0] for path in module.paths}
        words = module.words | first | module.macros
        for path in module.paths:
            yield from self.resolve(module, path)
        for name, path, public in module.imports:
            if public and name not in words:
                continue
            for answer in self.resolve(module, path):
                # Items that are used through the name of a module are found through their own
                # paths.
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
    """Returns whether `pub` or `pub(...)` precedes the word at `at`."""
    if at and found[at - 1].text == ")":
        start = next((i for i in range(at - 1, -1, -1) if found[i].text == "("), 0)
        return start > 0 and found[start - 1].text == "pub"
    return at > 0 and found[at - 1].text == "pub"


def parts(tree):
    """Yields the parts of a tree between commas outside of brackets."""
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
    """Returns the indices of tokens outside of brackets."""
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


def cycles(edges):
    """Returns the strongly connected components of more than one file, the largest first.

    The algorithm is that of Tarjan (1972), without recursion.
    """
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
    """The imports, functions and files of a package."""

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
        paths = {
            self.folder / path for part in declared for path in re.findall(r'^\s*path\s*=\s*"([^"]+)"', part, re.M)
        }
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
    """Prints the measurements of a package. Returns whether it has a cycle that is too large."""
    found = cycles(package.edges)
    large = [cycle for cycle in found if len(cycle) > LARGEST]
    folders = Counter(package.shown(file.parent) for file in package.files)
    sizes = ", ".join(f"{folder}/ {count}" for folder, count in sorted(folders.items()))
    print(
        f"{package.name}: {len(package.files)} files, {len(package.edges)} imports, "
        f"{len(large)} cycles of more than {LARGEST} files, {len(found) - len(large)} of {LARGEST}"
    )
    print(f"  files per folder: {sizes}")
    longest = sorted(package.functions.values(), key=lambda f: (-f[0], f[1]))[:functions]
    if longest:
        texts = (f"{name} {lines} ({package.shown(file)}:{line})" for lines, name, file, line in longest)
        print(f"  longest functions, in lines: {', '.join(texts)}")
    for cycle in found:
        is_large = len(cycle) > LARGEST
        print(f"  {'CYCLE' if is_large else 'cycle'} of {len(cycle)} files: {', '.join(map(package.shown, cycle))}")
        if is_large or all_edges:
            for (first, second), names in sorted(package.edges.items()):
                if first in cycle and second in cycle:
                    print(f"    {package.shown(first)} -> {package.shown(second)}: {', '.join(sorted(names))}")
    return bool(large)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="packages, or folders of packages")
    parser.add_argument(
        "--functions", type=int, default=3, metavar="N", help="number of longest functions to list [default: 3]"
    )
    parser.add_argument("--edges", action="store_true", help="print the imports of cycles of two files, too")
    options = parser.parse_args(arguments)
    folders = options.folders or [Path(__file__).resolve().parent.parent]
    found = packages(folders)
    if not found:
        parser.error(f"no package in {', '.join(map(str, folders))}")
    large = [report(package, options.functions, options.edges) for package in found]
    return int(any(large))


if __name__ == "__main__":
    sys.exit(main())
