"""Tests of scripts/prose.py."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import prose


def faults(name, text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(text)
        checker = prose.Checker(prose.banned_words())
        checker.file(path, path)
        return [(fault.line, fault.text) for fault in checker.faults]


class Markdown(unittest.TestCase):
    def test_a_banned_word_is_found_on_its_line_with_advice(self):
        self.assertEqual(faults("a.md", "Fine.\n\nIt runs on a\ncard now.\n"), [(4, '"card": write GPU')])

    def test_code_and_links_are_not_prose(self):
        self.assertEqual(faults("a.md", "Run `card` or see [it](card.md).\n\n```sh\ncard\n```\n"), [])

    def test_a_long_sentence_is_found_and_two_short_ones_are_not(self):
        def lines(words):
            return "\n".join(" ".join(["Word"] * min(20, words - i)) for i in range(0, words, 20))

        self.assertEqual(faults("a.md", f"{lines(40)}.\n"), [])
        [(line, text)] = faults("a.md", f"First one.\n{lines(41)}.\n")
        self.assertEqual(line, 2)
        self.assertIn("41 words", text)
        self.assertEqual(faults("a.md", f"{lines(30)}.\n{lines(30)}.\n"), [])

    def test_list_items_end_sentences(self):
        item = "* " + " ".join(["word"] * 22)
        self.assertEqual(faults("a.md", f"{item}\n{item}\n"), [])

    def test_long_lines_are_found_outside_tables(self):
        line = "a" * 121
        self.assertEqual(faults("a.md", f"{line}\n\n| {line} |\n"), [(1, "121 columns")])

    def test_per_is_asked_for(self):
        [(_, text)] = faults("a.md", "It writes a line an epoch.\n")
        self.assertEqual(text, '"a line an epoch": write "per"')

    def test_an_exempt_line(self):
        self.assertEqual(faults("a.md", "<!-- prose: ignore -->\nThe word hence.\n"), [])


class Rust(unittest.TestCase):
    def test_comments_and_messages_are_read_and_code_is_not(self):
        text = 'fn card() {\n    // The card.\n    bail!("no card of this name");\n    card();\n}\n'
        self.assertEqual([line for line, _ in faults("a.rs", text)], [2, 3])

    def test_messages_of_unit_tests_are_not_read(self):
        text = '#[cfg(test)]\nmod tests {\n    fn a() {\n        let text = "some card is here";\n    }\n}\n'
        self.assertEqual(faults("a.rs", text), [])

    def test_docstrings_of_functions_start_with_a_verb(self):
        self.assertEqual(faults("a.rs", "/// Returns the length.\nfn len() {}\n"), [])
        [(line, text)] = faults("a.rs", "/// The length.\n#[inline]\npub(crate) fn len() {}\n")
        self.assertEqual(line, 1)
        self.assertIn("verb", text)
        self.assertEqual(faults("a.rs", "/// The length.\nstruct Length;\n"), [])
        # Attributes of a Python class.
        self.assertEqual(faults("a.rs", "/// The length.\n#[getter]\nfn length() {}\n"), [])
        self.assertEqual(faults("a.rs", "/// The length.\n#[getter(length)]\nfn get() {}\n"), [])

    def test_no_docstring_starts_with_what(self):
        [(line, text)] = faults("a.rs", "/// What a clip is.\nstruct Clip;\n")
        self.assertEqual(line, 1)
        self.assertIn("What", text)


class Program(unittest.TestCase):
    def test_exit_status(self):
        program = Path(prose.__file__)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q", folder], check=True)
            page = Path(folder, "a.md")
            for text, status in [("Fine words.\n", 0), ("A card.\n", 1)]:
                page.write_text(text)
                run = subprocess.run([sys.executable, program, page], cwd=folder, capture_output=True)
                self.assertEqual(run.returncode, status, run)
            page.write_text((" ".join(["word"] * 19) + ".\n\n") * 3)
            run = subprocess.run([sys.executable, program, page], cwd=folder, capture_output=True, text=True)
            self.assertEqual(run.returncode, 1)
            self.assertIn("median", run.stderr)
            run = subprocess.run([sys.executable, program, "nowhere"], cwd=folder, capture_output=True)
            self.assertEqual(run.returncode, 2)


if __name__ == "__main__":
    unittest.main()
