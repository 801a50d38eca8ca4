"""Tests of scripts/check_docs.py."""
import os
import tempfile
import textwrap
import unittest
from pathlib import Path
from unittest import mock

import check_docs


def page(text):
    return textwrap.dedent(text).lstrip()


class Repository(unittest.TestCase):
    """A folder that stands in for the repository."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name).resolve()
        (self.root / "docs").mkdir()
        (self.root / "scripts").mkdir()
        (self.root / "scripts/docs_setup.sh").write_text("stand_in() { echo data >\"$1\"; }\n")
        patch = mock.patch.object(check_docs, "ROOT", self.root)
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, name, text):
        path = self.root / name
        path.write_text(page(text))
        return path


class Links(Repository):
    def test_missing_files_and_headings_are_named_with_their_line(self):
        a = self.write("a.md", """
            # A title, with `code`

            [fine](docs/b.md#two-words), [self](#a-title-with-code), [web](https://example.org/x)
            [lost](docs/c.md) and
            [no heading](docs/b.md#three)
            `[code](is-no-link.md)`
            """)
        b = self.write("docs/b.md", "# Two words\n")
        found = list(check_docs.link_faults([a, b]))
        self.assertEqual(found, ["a.md:4: docs/c.md does not exist", "a.md:5: docs/b.md has no heading #three"])

    def test_pages_that_the_contents_lack(self):
        pages = [self.write("docs/a.md", "A\n"), self.write("docs/b.md", "B\n")]
        self.write("docs/SUMMARY.md", "- [A](a.md)\n")
        self.assertEqual(list(check_docs.contents_faults(pages)), ["docs/SUMMARY.md: docs/b.md is missing"])


class Quotes(Repository):
    def test_quoted_errors_are_those_of_the_snapshots(self):
        (self.root / "tests/snapshots").mkdir(parents=True)
        self.write("tests/snapshots/errors.txt", "== Case\nerror: the file a.txt has 3 lines; remove one\n")
        text = "```text\nerror: ... has 12 lines; ...\n```\n\n```text\nerror: old words\n```\n"
        pages = [self.write("docs/a.md", text), self.write("docs/b.md", "```text no-check\nerror: of cargo\n```\n")]
        found = list(check_docs.quote_faults(pages))
        self.assertEqual(found, ["docs/a.md:5: no snapshot has the line: error: old words"])


class Commands(Repository):
    def faults(self, text, write=False):
        self.path = self.write("docs/page.md", text)
        runner = check_docs.Runner(self.root, "python3", write)
        return runner.page(self.path)

    def test_blocks_run_in_one_folder_after_their_setup(self):
        text = """
            <!-- setup
            stand_in file
            -->
            ```sh
            cat file
            ```
            ```text
            data
            ```

            ```python
            assert open("file").read() == "data\\n"
            ```

            ```sh no-run
            false
            ```
            """
        self.assertEqual(self.faults(text), [])

    def test_a_failed_command_is_named_with_its_output(self):
        [fault] = self.faults("""
            Text

            ```sh
            echo words >&2
            exit 3
            ```
            """)
        self.assertIn("docs/page.md:3: exit status 3", fault)
        self.assertIn("words", fault)
        [fault] = self.faults("```sh\nfalse\ntrue\n```\n")
        self.assertIn("exit status 1", fault)

    def test_numbers_and_blanks_of_output_may_differ(self):
        self.assertEqual(self.faults("```sh\necho 'a  12.5 x'\n```\n```text\na 7 x\n```\n"), [])

    def test_other_output_is_a_fault(self):
        [fault] = self.faults("```sh\necho new words\n```\n\n```text\nold words\n```\n")
        self.assertIn('the output has no line like "old words"', fault)

    def test_output_that_is_not_shown_is_a_fault_unless_dots_stand_for_it(self):
        [fault] = self.faults("```sh\necho one; echo two\n```\n```text\none\n```\n")
        self.assertIn('does not show the line "two"', fault)
        self.assertEqual(self.faults("```sh\necho one; echo two\n```\n```text\none\n...\n```\n"), [])
        self.assertEqual(self.faults("```sh\necho one; echo progress >&2\n```\n```text\none\n```\n"), [])

    def test_lines_of_output_keep_their_order(self):
        [fault] = self.faults("```sh\necho one; echo two\n```\n```text\ntwo\none\n```\n")
        self.assertIn("no line like", fault)

    def test_write_replaces_output(self):
        self.assertEqual(self.faults("```sh\necho new\n```\n```text\nold\n```\n\nEnd\n", write=True), [])
        self.assertEqual(self.path.read_text(), "```sh\necho new\n```\n```text\nnew\n```\n\nEnd\n")

    def test_pages_do_not_see_each_others_files(self):
        self.assertEqual(self.faults("```sh\ntouch file\n```\n"), [])
        self.assertEqual(self.faults("```sh\ntest ! -e file\n```\n"), [])

    def test_programs_are_on_the_path(self):
        program = self.root / "ucfpack"
        program.write_text("#!/bin/sh\necho packed\n")
        os.chmod(program, 0o755)
        self.assertEqual(self.faults("```sh\nucfpack\n```\n```text\npacked\n```\n"), [])


if __name__ == "__main__":
    unittest.main()
