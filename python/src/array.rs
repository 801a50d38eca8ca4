//! Numpy arrays over memory of Rust, and memory of Python for Rust.
