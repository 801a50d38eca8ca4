//! Scores of a network: for each clip the sum of its samples' logits.
