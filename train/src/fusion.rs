//! Combines the scores of several streams.
