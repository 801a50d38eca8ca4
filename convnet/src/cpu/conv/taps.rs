//! Positions of a kernel along an axis.

/// The taps along one axis. Those of destination position `at` are `count` source positions, from
/// `at * step + first`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    pub first: isize,
    pub count: usize,
    pub step: usize,
}

impl Taps {
    /// Returns how many source positions are needed before 0, and how many from `size` on, for
    /// `destinations` positions.
    pub(crate) fn missing(self, size: usize, destinations: usize) -> (usize, usize) {
        if self.count == 0 || destinations == 0 {
            return (0, 0);
        }
        let end = ((destinations - 1) * self.step + self.count) as isize + self.first;
        ((-self.first).max(0) as usize, (end - size as isize).max(0) as usize)
    }
}
