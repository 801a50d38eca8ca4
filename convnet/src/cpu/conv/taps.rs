//! Steps of a kernel over images.

/// The taps of a destination pixel along one axis: source positions `at * step + first ..` (`count` neighbours).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    pub first: isize,
    pub count: usize,
    pub step: usize,
}

impl Taps {
    /// Source positions missing before 0 and from `size` on, for `destinations` positions.
    pub(crate) fn missing(self, size: usize, destinations: usize) -> (usize, usize) {
        if self.count == 0 || destinations == 0 {
            return (0, 0);
        }
        let end = ((destinations - 1) * self.step + self.count) as isize + self.first;
        ((-self.first).max(0) as usize, (end - size as isize).max(0) as usize)
    }
}
