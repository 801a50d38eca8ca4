//! Matrix products of slices: a bounds-checked interface to the `gemm` crate.
//!
//! `gemm` chooses its SIMD kernel (AVX-512, AVX2 + FMA, NEON, ...) when the program runs. Each call
//! here is single-threaded, so that sums do not depend on the number of threads.
#![allow(unsafe_code)]

/// A read-only matrix view: element (row, col) is `data[row * row_stride + col * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// Returns a row-major view of `rows` x `cols` elements, with `row_stride` elements from one
    /// row to the next.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        let mat = Self { data, rows, cols, row_stride, col_stride: 1 };
        mat.check();
        mat
    }

    /// Returns the transposed view.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            data: self.data,
        }
    }

    fn check(&self) {
        if self.rows > 0 && self.cols > 0 {
            let last = (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride;
            assert!(last < self.data.len(), "matrix view of {} elements ends at {last}", self.data.len());
        }
    }
}

/// Computes `dst = lhs · rhs`, or `dst += lhs · rhs` if `accumulate`. `dst` is row-major and dense,
/// `lhs.rows` x `rhs.cols`.
pub(crate) fn matmul(dst: &mut [f32], lhs: Mat<'_>, rhs: Mat<'_>, accumulate: bool) {
    assert_eq!(lhs.cols, rhs.rows, "inner dimensions of a matrix product differ");
    assert_eq!(dst.len(), lhs.rows * rhs.cols, "destination of a matrix product has the wrong size");
    lhs.check();
    rhs.check();
    if dst.is_empty() {
        return;
    }
    // SAFETY: `Mat::check` shows that the last element of each operand is inside its slice. `dst`
    // has exactly rows x cols elements, and as a unique borrow it does not overlap the operands.
    // gemm reads and writes only these elements.
    unsafe {
        gemm::gemm(
            lhs.rows,
            rhs.cols,
            lhs.cols,
            dst.as_mut_ptr(),
            1,
            rhs.cols as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            1f32,
            1f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_for_odd_sizes_and_transposes() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (17, 33, 9), (64, 1, 130), (1, 64, 31)] {
            let a: Vec<f32> = (0..m * k).map(|i| ((i * 7) % 11) as f32 - 5.).collect();
            let b: Vec<f32> = (0..n * k).map(|i| ((i * 5) % 13) as f32 - 6.).collect();
            let mut dst = vec![1f32; m * n];
            matmul(&mut dst, Mat::new(&a, m, k, k), Mat::new(&b, n, k, k).t(), true);
            for i in 0..m {
                for j in 0..n {
                    let expected: f32 = 1. + (0..k).map(|l| a[i * k + l] * b[j * k + l]).sum::<f32>();
                    // Sums of small whole numbers are exact in any order.
                    assert!((dst[i * n + j] - expected).abs() < 1e-6, "{m}x{n}x{k} at ({i}, {j})");
                }
            }
        }
    }

    #[test]
    fn an_empty_inner_dimension_gives_zeros() {
        let mut dst = vec![3f32; 4];
        matmul(&mut dst, Mat::new(&[], 2, 0, 0), Mat::new(&[], 0, 2, 2), false);
        assert!(dst.iter().all(|&x| x == 0.));
    }

    #[test]
    #[should_panic(expected = "ends at")]
    fn a_view_past_the_end_panics() {
        let _ = Mat::new(&[0.; 5], 2, 3, 3);
    }
}
