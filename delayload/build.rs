//! Makes a function of each name in `functions.txt`: a jump to the address in its slot.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// A library's name, what its functions return until it is loaded, and their names.
type Library<'a> = (&'a str, &'a str, Vec<&'a str>);

fn main() {
    println!("cargo::rerun-if-changed=functions.txt");
    println!("cargo::rustc-check-cfg=cfg(delayed)");
    let list = fs::read_to_string("functions.txt").expect("functions.txt lies beside build.rs");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // Elsewhere nothing is delayed: programs are linked as candle asks for.
    let architecture = target("ARCH");
    if target("OS") != "linux" || !["x86_64", "aarch64"].contains(&architecture.as_str()) {
        return;
    }
    println!("cargo::rustc-cfg=delayed");
    let libraries = libraries(&list);
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("functions.rs"), names(&libraries)).expect("OUT_DIR can be written");
    let source = Path::new(&out).join("functions.S");
    fs::write(&source, assembly(&libraries, architecture == "x86_64")).expect("OUT_DIR can be written");
    stand_ins(&libraries, Path::new(&out));
    // All of it, also what nothing has asked for when the linker comes here: then it asks no later library for these names,
    // and the program needs none of those.
    cc::Build::new().file(source).link_lib_modifier("+whole-archive").compile("cuda_delayload_functions");
}

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

/// Empty libraries for the linker, which is told to look for all of them: a machine that only builds needs none of NVIDIA's.
fn stand_ins(libraries: &[Library], out: &Path) {
    let source = out.join("empty.c");
    fs::write(&source, "").expect("OUT_DIR can be written");
    for (library, _, _) in libraries {
        let mut command = cc::Build::new().get_compiler().to_command();
        let made = command.args(["-shared", "-o"]).arg(out.join(format!("lib{library}.so"))).arg(&source).status();
        assert!(made.is_ok_and(|status| status.success()), "a C compiler that links");
    }
    println!("cargo::rustc-link-search=native={}", out.display());
}

/// The names for Rust, in the order of the slots.
fn names(libraries: &[Library]) -> String {
    let all: usize = libraries.iter().map(|(_, _, functions)| functions.len()).sum();
    let mut rust = format!("const ALL: usize = {all};\nconst FUNCTIONS: &[(&str, &[&str])] = &[\n");
    for (library, _, functions) in libraries {
        writeln!(rust, "    ({library:?}, &{functions:?}),").expect("writing to a string");
    }
    rust + "];\n"
}

fn assembly(libraries: &[Library], is_x86: bool) -> String {
    let mut code = ".text\n".to_owned();
    // Hidden: NVIDIA's libraries call each other, not the program.
    let mut slots =
        ".data\n.balign 8\n.globl cuda_delayload_slots\n.hidden cuda_delayload_slots\ncuda_delayload_slots:\n"
            .to_owned();
    let kind = if is_x86 { "@function" } else { "%function" };
    for (library, missing, functions) in libraries {
        let load = if is_x86 { format!("mov ${missing}, %eax") } else { format!("mov w0, #{missing}") };
        write!(code, "missing_{library}:\n    {load}\n    ret\n").expect("writing to a string");
        for function in functions {
            let jump = if is_x86 {
                // Arguments stay where they are, in registers and on the stack.
                format!("    endbr64\n    jmp *slot_{function}(%rip)\n")
            } else {
                // x16 is there for such veneers.
                format!(
                    "    hint #34\n    adrp x16, slot_{function}\n    ldr x16, [x16, :lo12:slot_{function}]\n    br x16\n"
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
