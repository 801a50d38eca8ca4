//! Positions of a kernel along an axis.

/// The taps along one axis. Those of destination position `at` are `count` source positions, from
/// `at * step + first`, at distance `spacing`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    pub first: isize,
    pub count: usize,
    pub step: usize,
    pub spacing: usize,
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
