//! Lets macOS link the extension module without a Python library.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
