#!/usr/bin/env python3
"""Tests circles.py on small synthetic packages: python3 scripts/test_circles.py"""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import circles  # noqa: E402


class Circles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def package(self, manifest="", **files):
        """Writes a package and measures it. The argument `a__b` is the content of the file a/b.rs."""
        (self.folder / "src").mkdir()
        (self.folder / "Cargo.toml").write_text(f'[package]\nname = "test-package"\n{manifest}')
        for name, text in files.items():
            path = self.folder / "src" / f"{name.replace('__', '/')}.rs"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return circles.Package(self.folder / "Cargo.toml")

    def edges(self, *arguments, **files):
        package = self.package(*arguments, **files)
        name = lambda path: package.shown(path).removeprefix("src/").removesuffix(".rs")  # noqa: E731
        return {(name(first), name(second)): set(names) for (first, second), names in package.edges.items()}

    def run_on_package(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = circles.main([str(self.folder)])
        return code, out.getvalue()

    def test_a_cycle_of_three_files_fails_and_lists_its_imports(self):
        self.package(
            lib="mod a; mod b; mod c;",
            a="use crate::b::B; pub struct A(B);",
            b="use crate::c; pub struct B(c::C);",
            c="pub struct C; impl C { fn a(&self) -> super::a::A { todo!() } }",
        )
        code, out = self.run_on_package()
        self.assertEqual(code, 1)
        self.assertIn("CYCLE of 3 files: src/a.rs, src/b.rs, src/c.rs", out)
        for line in "src/a.rs -> src/b.rs: B", "src/b.rs -> src/c.rs: C", "src/c.rs -> src/a.rs: A":
            self.assertIn(line, out)

    def test_a_cycle_of_two_files_passes(self):
        self.package(lib="mod a; mod b;", a="use crate::b::B; pub struct A;", b="use crate::a::A; pub struct B;")
        code, out = self.run_on_package()
        self.assertEqual(code, 0)
        self.assertIn("cycle of 2 files: src/a.rs, src/b.rs", out)

    def test_imports_in_nested_trees_reach_each_file(self):
        found = self.edges(
            lib="mod a; mod b; mod user;",
            a="pub struct A; pub mod inner { pub const N: u8 = 1; }",
            b="pub fn b() {} pub enum E { X }",
            user="use crate::{a::{self, inner::N, A as First}, b::{b, E::*}}; fn f() { a::A; }",
        )
        self.assertEqual(found, {("user", "a"): {"A", "N"}, ("user", "b"): {"b", "E"}})

    def test_re_exports_are_followed_to_the_file_that_defines(self):
        found = self.edges(
            lib="mod ops; pub use ops::conv; mod net;",
            ops__mod="mod conv; mod pool; pub use conv::{conv, Conv as Convolution}; pub use pool::*;",
            ops__conv="pub fn conv() {} pub struct Conv;",
            ops__pool="pub fn pool() {}",
            net="use crate::ops::Convolution; fn f() { crate::conv(); crate::ops::pool(); }",
        )
        self.assertEqual(found, {("net", "ops/conv"): {"conv", "Conv"}, ("net", "ops/pool"): {"pool"}})

    def test_a_folder_imports_the_items_that_it_exports_and_uses(self):
        found = self.edges(
            lib="mod a;",
            a__mod="mod b; mod c; pub use b::B; pub(crate) use c::C; pub struct Own; fn f() -> B { todo!() }",
            a__b="use super::Own; pub struct B;",
            a__c="use super::Own; pub struct C;",
        )
        self.assertEqual(found, {("a/mod", "a/b"): {"B"}, ("a/b", "a/mod"): {"Own"}, ("a/c", "a/mod"): {"Own"}})

    def test_code_for_tests_is_skipped(self):
        found = self.edges(
            lib="mod a; mod b;",
            a="""
                #[cfg(test)] use crate::b::B;
                #[cfg(all(test, unix))] impl<X, Y> T<X, Y> { fn f() { crate::b::f(); } }
                #[test] fn t() { crate::b::f(); }
                #[cfg(test)] mod tests { use crate::b::B; }
                #[cfg(test)] mod more;
                pub fn g() {}
            """,
            a__more="use crate::b::B;",
            b="pub struct B; pub fn f() { crate::a::g(); }",
        )
        self.assertEqual(found, {("b", "a"): {"g"}})

    def test_code_for_a_system_or_a_feature_is_not_skipped(self):
        found = self.edges(
            lib="mod a; mod b; #[cfg(not(test))] use a::f; #[cfg(not(test))] fn g() { f() }",
            a="pub fn f() {}",
            b='#[cfg(feature = "test")] pub fn f() { crate::a::f(); }',
        )
        self.assertEqual(found, {("lib", "a"): {"f"}, ("b", "a"): {"f"}})

    def test_comments_strings_and_lifetimes_are_no_imports(self):
        found = self.edges(
            lib="mod a; mod b;",
            a="""
                // crate::b::f();  /* crate::b::f(); /* nested */ crate::b::f(); */
                /// [`crate::b::f`]
                fn s<'a>(x: &'a str) -> char { let _ = "crate::b::f()"; let _ = r#"crate::b::f" "#; '"' }
            """,
            b="pub fn f() {}",
        )
        self.assertEqual(found, {})

    def test_macros_and_globs_are_resolved_to_their_files(self):
        found = self.edges(
            lib="#[macro_use] mod macros; mod square; mod a; mod b;",
            macros="macro_rules! say { () => { $crate::b::b() } } #[macro_export] macro_rules! shout { () => {} }",
            square="macro_rules! square { () => {} } pub(crate) use square;",
            a="use crate::b::*; fn f() { say!(); crate::shout!(); crate::square::square!(); b(); }",
            b="pub fn b() {} pub fn not_used() {}",
        )
        self.assertEqual(
            found,
            {
                ("macros", "b"): {"b"},
                ("a", "macros"): {"say!", "shout"},
                ("a", "square"): {"square"},
                ("a", "b"): {"b"},
            },
        )

    def test_paths_of_files_and_inline_modules_are_followed(self):
        found = self.edges(
            lib='mod outer { pub mod inner; pub use super::side::S; } #[path = "elsewhere.rs"] mod side;',
            outer__inner="use super::super::side; fn f() { side::g(); let _: super::S; }",
            elsewhere="pub fn g() {} pub struct S;",
        )
        self.assertEqual(found, {("outer/inner", "elsewhere"): {"g", "S"}})

    def test_programs_import_their_library(self):
        found = self.edges(
            lib="pub mod a;",
            a="pub fn f() {}",
            main="mod cli; fn main() { cli::run() }",
            cli="use test_package::a; pub fn run() { a::f() }",
        )
        self.assertEqual(found, {("main", "cli"): {"run"}, ("cli", "a"): {"f"}})

    def test_folders_and_longest_functions_are_measured(self):
        self.package(lib="mod a;\nfn short() {}\nfn long() {\n    loop {\n    }\n}\n", a__mod="mod b;", a__b="")
        out = self.run_on_package()[1]
        self.assertIn("test-package: 3 files, 0 imports, 0 cycles", out)
        self.assertIn("files per folder: src/ 1, src/a/ 2", out)
        self.assertIn("longest functions, in lines: long 4 (src/lib.rs:3), short 1 (src/lib.rs:2)", out)

    def test_a_folder_without_a_package_is_wrong_usage(self):
        with self.assertRaises(SystemExit) as exit, contextlib.redirect_stderr(io.StringIO()):
            circles.main([str(self.folder)])
        self.assertEqual(exit.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
