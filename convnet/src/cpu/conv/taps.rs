//! Positions of a kernel along an axis.

use std::ops::Range;

/// The taps along one axis. Those of destination position `at` are `count` source positions, from
/// `at * step + first`, at distance `spacing`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    pub first: isize,
    pub count: usize,
    pub step: usize,
    pub spacing: usize,
}

/// Destination positions that have the same taps inside the source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    pub positions: Range<usize>,
    pub taps: Range<usize>,
}

impl Taps {
    /// Returns how many source positions are needed before 0, and how many from `size` on, for
    /// `destinations` positions.
    pub(crate) fn missing(self, size: usize, destinations: usize) -> (usize, usize) {
        if self.count == 0 || destinations == 0 {
            return (0, 0);
        }
        let last = (destinations - 1) * self.step + (self.count - 1) * self.spacing;
        let end = (last + 1) as isize + self.first;
        ((-self.first).max(0) as usize, (end - size as isize).max(0) as usize)
    }

    /// Returns the taps of destination position `at` that are inside `size` source positions.
    pub(crate) fn inside(self, at: usize, size: usize) -> Range<usize> {
        let first = (at * self.step) as isize + self.first;
        let reached = |position: isize| ((position - first).max(0) as usize).div_ceil(self.spacing).min(self.count);
        let (start, end) = (reached(0), reached(size as isize));
        start..end.max(start)
    }

    /// Splits `destinations` positions into those with the same taps inside `size` source positions.
    pub(crate) fn segments(self, destinations: usize, size: usize) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for at in 0..destinations {
            let taps = self.inside(at, size);
            match segments.last_mut() {
                Some(last) if last.taps == taps => last.positions.end = at + 1,
                _ => segments.push(Segment { positions: at..at + 1, taps }),
            }
        }
        segments
    }

    /// Returns the source positions of all taps of some destination positions. They can be outside of the
    /// source.
    pub(crate) fn reach(self, destinations: Range<usize>) -> Range<isize> {
        if self.count == 0 || destinations.is_empty() {
            return 0..0;
        }
        let first = (destinations.start * self.step) as isize + self.first;
        first..first + ((destinations.len() - 1) * self.step + (self.count - 1) * self.spacing) as isize + 1
    }

    /// Returns the distances of all taps from the first one, in source positions.
    pub(crate) fn distances(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |tap| tap * self.spacing)
    }
}

/// The sizes of a convolution along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
}

impl Axis {
    /// Returns the taps of the forward pass: all kernel positions.
    pub(super) fn taps(self) -> Taps {
        Taps { first: -(self.padding as isize), count: self.kernel, step: self.stride, spacing: self.dilation }
    }

    /// Returns the taps of the data gradient for the input positions `offset + i·stride`, and their
    /// kernel positions.
    ///
    /// Kernel position k connects such an input with output `i + (offset + padding - k·dilation) /
    /// stride`, if the division leaves no rest. The positions are in the order of these outputs.
    pub(super) fn class_taps(self, offset: usize) -> (Taps, Vec<usize>) {
        let Self { kernel, stride, padding, dilation } = self;
        let positions: Vec<usize> =
            (0..kernel).rev().filter(|k| (offset + padding) % stride == k * dilation % stride).collect();
        let output = |k: usize| ((offset + padding) as isize - (k * dilation) as isize) / stride as isize;
        let first = positions.first().map_or(0, |&k| output(k));
        let spacing = positions.get(1).map_or(1, |&k| (output(k) - first) as usize);
        (Taps { first, count: positions.len(), step: 1, spacing }, positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position_of(taps: Taps, at: usize, tap: usize) -> isize {
        (at * taps.step + tap * taps.spacing) as isize + taps.first
    }

    #[test]
    fn taps_inside_are_those_whose_positions_exist() {
        for (first, count, step, spacing) in [(-1, 3, 1, 1), (-2, 3, 2, 2), (-5, 4, 3, 1), (2, 2, 1, 3), (-9, 2, 1, 1)]
        {
            let taps = Taps { first, count, step, spacing };
            for size in 0..9 {
                for at in 0..7 {
                    let position = |tap: usize| position_of(taps, at, tap);
                    let expected: Vec<usize> =
                        (0..count).filter(|&tap| (0..size as isize).contains(&position(tap))).collect();
                    let found: Vec<usize> = taps.inside(at, size).collect();
                    assert_eq!(found, expected, "{taps:?} at {at} of {size}");
                }
                for end in 1..7 {
                    let reached = (0..end).flat_map(|at| [0, count - 1].map(|tap| position_of(taps, at, tap)));
                    let (first, last) = (reached.clone().min().unwrap(), reached.max().unwrap());
                    assert_eq!(taps.reach(0..end), first..last + 1);
                }
                let segments = taps.segments(7, size);
                assert!(segments.windows(2).all(|pair| pair[0].taps != pair[1].taps));
                let each = |Segment { positions, taps }: Segment| positions.map(move |_| taps.clone());
                let found: Vec<_> = segments.into_iter().flat_map(each).collect();
                assert_eq!(found, (0..7).map(|at| taps.inside(at, size)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn taps_of_the_data_gradient_are_those_of_the_forward_pass() {
        for (kernel, stride, padding, dilation) in
            [(3, 1, 1, 1), (3, 2, 1, 1), (5, 2, 4, 3), (4, 4, 0, 2), (3, 6, 2, 4), (7, 3, 3, 1), (1, 2, 0, 1)]
        {
            let axis = Axis { kernel, stride, padding, dilation };
            let (taps, size) = (axis.taps(), 30);
            let mut forward = Vec::new();
            for output in 0..20 {
                for (position, distance) in taps.distances().enumerate() {
                    let input = (output * taps.step + distance) as isize + taps.first;
                    if (0..size as isize).contains(&input) {
                        forward.push((input as usize, output, position));
                    }
                }
            }
            let mut backward = Vec::new();
            for input in 0..size {
                let (taps, positions) = axis.class_taps(input % stride);
                for (position, distance) in positions.iter().zip(taps.distances()) {
                    let output = (input / stride * taps.step + distance) as isize + taps.first;
                    if (0..20).contains(&output) {
                        backward.push((input, output as usize, *position));
                    }
                }
            }
            forward.sort_unstable();
            backward.sort_unstable();
            assert_eq!(forward, backward, "{axis:?}");
        }
    }
}
