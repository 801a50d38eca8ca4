# Commands for daily work. `just` lists them. Each recipe is a single command that you can also run
# without just.

_list:
    @just --list --unsorted

# Builds the optimised programs target/release/ucfpack and target/release/ucftrain
build:
    cargo build --release --bins --locked

# Runs all tests and prints a table (arguments go to cargo test)
test *ARGUMENTS:
    scripts/test.sh {{ARGUMENTS}}

# Tests the Python package in a new environment (arguments go to pytest)
test-python *ARGUMENTS:
    scripts/test_python.sh {{ARGUMENTS}}

# Builds the wheel of the Python package (with `--programs`, also those of ucfpack and ucftrain)
wheel *ARGUMENTS:
    scripts/python_wheel.sh {{ARGUMENTS}}

# Formats the code
fmt:
    cargo fmt --all

# Runs clippy on all code (warnings are errors)
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Runs all checks that must pass before a change is merged
ci:
    .ci/run

# Packs a synthetic dataset, trains both networks and fuses their scores
demo:
    scripts/demo.sh

# Builds and opens the documentation of all crates
doc:
    cargo doc --workspace --no-deps --locked --open

# Builds the guide as a book of web pages and opens it
book:
    scripts/book.py --open

# Checks links of the guide and runs its commands on synthetic data
docs:
    scripts/check_docs.py --bin target/debug

# Checks the language and the spelling
words:
    scripts/lint_words.sh

# Compiles, lints and tests the CUDA code on a machine without a GPU
cuda:
    scripts/check_cuda.sh

# Fuzzes the readers of untrusted files (arguments: seconds per target, targets)
fuzz *ARGUMENTS:
    scripts/fuzz.sh {{ARGUMENTS}}

# Checks licences and sources of dependencies (with `advisories`, also known vulnerabilities)
deny *ARGUMENTS:
    scripts/deny.sh {{ARGUMENTS}}
