//! Groups of frames, between which a network shifts channels (TSM, Lin et al. 2019). The frames of a
//! group follow each other in a batch.

use candle_core::{Result, Tensor};

/// Joins the views `[n, ..]` of training samples to groups `[n * views, ..]`.
pub fn of_views(views: &[Tensor]) -> Result<Tensor> {
    Tensor::stack(views, 1)?.flatten(0, 1)
}

/// Joins the test samples of whole clips to groups of `segments` samples.
///
/// The input `[clips * samples, ..]` has the samples of each clip in the order of time. With
/// k = samples / segments, group g of a clip has its samples g, g + k, g + 2k and so on, so that each
/// group spans the clip. The output has the same shape.
pub fn of_samples(images: &Tensor, samples: usize, segments: usize) -> Result<Tensor> {
    swapped(images, samples, segments)
}

/// Returns the rows of groups in the order of the samples that [`of_samples`] joined.
pub fn to_samples(rows: &Tensor, samples: usize, segments: usize) -> Result<Tensor> {
    swapped(rows, samples, samples / segments)
}

/// Reads the first axis as `[clips, first, second]` with `first * second = samples`, and swaps the
/// last two of these axes.
fn swapped(rows: &Tensor, samples: usize, first: usize) -> Result<Tensor> {
    let (clips, rest) = (rows.dim(0)? / samples, rows.elem_count() / rows.dim(0)?.max(1));
    rows.reshape((clips, first, samples / first, rest))?.transpose(1, 2)?.reshape(rows.shape())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn views_of_a_sample_follow_each_other() {
        // The value of sample i in view v is 10 i + v.
        let view = |v: f32| Tensor::new(&[[v, -v], [10.0 + v, -10.0 - v]], &Device::Cpu).unwrap();
        let groups = of_views(&[view(0.0), view(1.0), view(2.0)]).unwrap();
        let expected = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0].map(|value| [value, -value]);
        assert_eq!(groups.to_vec2::<f32>().unwrap(), expected);
    }

    #[test]
    fn each_group_spans_its_clip() {
        // Two clips of six samples, in groups of three.
        let rows = Tensor::arange(0_u32, 12, &Device::Cpu).unwrap().reshape((12, 1, 1)).unwrap();
        let groups = of_samples(&rows, 6, 3).unwrap();
        assert_eq!(groups.dims(), [12, 1, 1]);
        let numbers = |rows: &Tensor| rows.flatten_all().unwrap().to_vec1::<u32>().unwrap();
        assert_eq!(numbers(&groups), [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
        assert_eq!(numbers(&to_samples(&groups, 6, 3).unwrap()), numbers(&rows));
    }
}
