//! Generates a function for each name in `functions.txt`, which jumps to the address in its slot.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Name of a library, the value that its functions return until it is loaded, and their names.
type Library<'a> = (&'a str, &'a str, Vec<&'a str>);

fn main() {
    println!("cargo::rerun-if-changed=functions.txt");
    println!("cargo::rustc-check-cfg=cfg(delayed)");
    let list = fs::read_to_string("functions.txt").expect("cannot read functions.txt");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // On other systems nothing is delayed: programs are linked to the libraries.
    let architecture = target("ARCH");
    if target("OS") != "linux" || !["x86_64", "aarch64"].contains(&architecture.as_str()) {
        return;
    }
    println!("cargo::rustc-cfg=delayed");
    let libraries = libraries(&list);
    let out = env::var("OUT_DIR").expect("OUT_DIR is not set");
    fs::write(Path::new(&out).join("functions.rs"), names(&libraries)).expect("cannot write to OUT_DIR");
    let source = Path::new(&out).join("functions.S");
    fs::write(&source, assembly(&libraries, architecture == "x86_64")).expect("cannot write to OUT_DIR");
    empty_libraries(&libraries, Path::new(&out));
    // The whole archive is linked, including functions that no object before it uses. The linker
    // then resolves all these names here, and the program does not depend on NVIDIA's libraries.
    cc::Build::new().file(source).link_lib_modifier("+whole-archive").compile("cuda_delayload_functions");
}

/// Parses `functions.txt`.
fn libraries(list: &str) -> Vec<Library<'_>> {
    let mut libraries: Vec<Library> = Vec::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        if let Some((library, code)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            libraries.push((library, code, Vec::new()));
        } else if let Some((_, _, functions)) = libraries.last_mut() {
            functions.extend(line.split_whitespace());
        }
    }
    libraries
}

/// Creates empty libraries for the linker, which must find all libraries that candle names. So a
/// build needs none of NVIDIA's libraries.
fn empty_libraries(libraries: &[Library], out: &Path) {
    let source = out.join("empty.c");
    fs::write(&source, "").expect("cannot write to OUT_DIR");
    for (library, _, _) in libraries {
        let mut command = cc::Build::new().get_compiler().to_command();
        let made = command.args(["-shared", "-o"]).arg(out.join(format!("lib{library}.so"))).arg(&source).status();
        assert!(made.is_ok_and(|status| status.success()), "the C compiler cannot link a library");
    }
    println!("cargo::rustc-link-search=native={}", out.display());
}

/// Returns Rust code with the names of the functions, in the order of the slots.
fn names(libraries: &[Library]) -> String {
    let all: usize = libraries.iter().map(|(_, _, functions)| functions.len()).sum();
    let mut rust = format!("const ALL: usize = {all};\nconst FUNCTIONS: &[(&str, &[&str])] = &[\n");
    for (library, _, functions) in libraries {
        writeln!(rust, "    ({library:?}, &{functions:?}),").expect("writing to a string");
    }
    rust + "];\n"
}

/// Returns assembly code with the functions and their slots.
fn assembly(libraries: &[Library], is_x86: bool) -> String {
    let mut code = ".text\n".to_owned();
    // All symbols are hidden, so that NVIDIA's libraries call each other instead of these
    // functions.
    let mut slots =
        ".data\n.balign 8\n.globl cuda_delayload_slots\n.hidden cuda_delayload_slots\ncuda_delayload_slots:\n"
            .to_owned();
    let kind = if is_x86 { "@function" } else { "%function" };
    for (library, missing, functions) in libraries {
        let load = if is_x86 { format!("mov ${missing}, %eax") } else { format!("mov w0, #{missing}") };
        write!(code, "missing_{library}:\n    {load}\n    ret\n").expect("writing to a string");
        for function in functions {
            let jump = if is_x86 {
                // The jump does not change the arguments in registers and on the stack.
                format!("    endbr64\n    jmp *slot_{function}(%rip)\n")
            } else {
                // The calling convention reserves x16 for such jumps.
                format!(
                    "    hint #34\n    adrp x16, slot_{function}\n    \
                     ldr x16, [x16, :lo12:slot_{function}]\n    br x16\n"
                )
            };
            write!(
                code,
                ".globl {function}\n.hidden {function}\n.type {function}, {kind}\n.balign 16\n{function}:\n{jump}"
            )
            .expect("writing to a string");
            writeln!(slots, "slot_{function}: .quad missing_{library}").expect("writing to a string");
        }
    }
    format!("{code}{slots}.section .note.GNU-stack,\"\",{}\n", if is_x86 { "@progbits" } else { "%progbits" })
}
