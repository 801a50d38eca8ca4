//! Turns errors of the crates into Python exceptions.
