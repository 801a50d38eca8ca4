# Commands for daily work. Each recipe is one command that works without just, too. `just` lists them.

_list:
    @just --list --unsorted

# Builds both programs, optimised: target/release/ucfpack and target/release/ucftrain
build:
    cargo build --release --bins --locked

# Runs all tests and counts them (arguments go to cargo test)
test *ARGUMENTS:
    scripts/test.sh {{ARGUMENTS}}

# Formats the code
fmt:
    cargo fmt --all

# Runs clippy on all code; a warning is an error
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Runs everything that must pass before a change lands
ci:
    .ci/run

# Makes a data set, packs it, trains both streams and fuses them
demo:
    scripts/demo.sh

# Builds the documentation of all crates and opens it
doc:
    cargo doc --workspace --no-deps --locked --open

# Compiles, lints and tests the CUDA code on a machine without a GPU
cuda:
    scripts/check_cuda.sh

# Fuzzes the readers of untrusted files (arguments: seconds a target, targets)
fuzz *ARGUMENTS:
    scripts/fuzz.sh {{ARGUMENTS}}

# Checks licences and sources of dependencies (`just deny advisories`: also known vulnerabilities)
deny *ARGUMENTS:
    scripts/deny.sh {{ARGUMENTS}}
