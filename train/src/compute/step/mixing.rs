//! Mixed training samples: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019).
//!
//! Each sample gets a partner in its batch. The network sees a mix of the images of both, and the
//! loss is the same mix of their losses. All views of a sample have the same partner and weights.

use super::beta::symmetric_beta;
use candle_convnet::cross_entropy;
use candle_core::{Device, Result, Tensor};
use clipshard::order::Draws;
use std::ops::Range;

/// The rules that mix samples. Both parameters are those of the beta distribution of the share of a
/// sample in its mix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MixRule {
    /// Parameter of mixup, which mixes the values of all pixels; 0 for no mixup.
    pub mixup: f64,
    /// Parameter of CutMix, which replaces a box by that of the partner; 0 for no CutMix.
    pub cutmix: f64,
}

/// The random choices of a step.
#[derive(Clone, Debug, PartialEq)]
struct Mix {
    /// The partner of each sample.
    partners: Vec<u32>,
    /// Share of a sample in the loss.
    share: f64,
    /// Rows and columns that show the partner; none if all pixels are mixed.
    cut: Option<[Range<usize>; 2]>,
}

impl MixRule {
    /// Draws the mix of a step's `n` samples with images of `side` pixels. Returns none if samples
    /// are not mixed.
    fn draw(self, n: usize, side: usize, mut draws: Draws) -> Option<Mix> {
        let is_cut = match (self.mixup > 0.0, self.cutmix > 0.0) {
            (false, false) => return None,
            (true, true) => draws.coin(),
            (_, is_cut) => is_cut,
        };
        let share = symmetric_beta(if is_cut { self.cutmix } else { self.mixup }, &mut draws);
        let partners = partners(n, &mut draws);
        if !is_cut {
            return Some(Mix { partners, share, cut: None });
        }
        let [rows, columns] = [(); 2].map(|()| centred(draws.below(side as u64) as usize, share, side));
        // The box ends at the edge of the image, so its area may differ from the drawn share.
        let area = (rows.len() * columns.len()) as f64 / (side * side) as f64;
        Some(Mix { partners, share: 1.0 - area, cut: Some([rows, columns]) })
    }

    /// Draws the inputs of a step with `n` samples of `side` pixels. Returns none if samples are
    /// not mixed.
    pub(super) fn inputs(self, n: usize, side: usize, draws: Draws, device: &Device) -> Result<Option<MixInputs>> {
        let Some(Mix { partners, share, cut }) = self.draw(n, side, draws) else { return Ok(None) };
        // The product of a row's and a column's weight is the weight of the partner's pixel.
        let weights = match &cut {
            None => [vec![(1.0 - share) as f32; side], vec![1.0; side]],
            Some(cut) => cut.clone().map(|cut| (0..side).map(|i| f32::from(u8::from(cut.contains(&i)))).collect()),
        };
        Ok(Some(MixInputs {
            partners: Tensor::from_vec(partners, n, device)?,
            weights: Tensor::from_vec(weights.concat(), (2, side), device)?,
            share: Tensor::new(share as f32, device)?,
        }))
    }
}

/// Returns the rows (or columns) of a box around `centre` that covers 1 - `share` of an image of
/// `side` pixels, if it does not end at its edge.
fn centred(centre: usize, share: f64, side: usize) -> Range<usize> {
    let half = (0.5 * (1.0 - share).sqrt() * side as f64) as usize;
    centre.saturating_sub(half)..(centre + half).min(side)
}

/// Draws the partner of each sample: a random permutation in which no sample keeps its place
/// (Sattolo 1986). A single sample is its own partner.
fn partners(n: usize, draws: &mut Draws) -> Vec<u32> {
    let mut partners: Vec<u32> = (0..n as u32).collect();
    for i in (1..n).rev() {
        partners.swap(i, draws.below(i as u64) as usize);
    }
    partners
}

/// The tensors of a step's mix.
#[derive(Clone, Debug)]
pub(super) struct MixInputs {
    /// The partner of each sample, `[n]`, u32.
    pub(super) partners: Tensor,
    /// Weights of the partners' rows and columns, `[2, side]`, f32. The weight of a pixel is their
    /// product. A sample's own pixels have the rest up to 1.
    pub(super) weights: Tensor,
    /// Weight of a sample in the loss, a scalar.
    pub(super) share: Tensor,
}

impl MixInputs {
    /// Mixes images `[n, side, side, channels]` with those of their partners.
    pub(super) fn images(&self, images: &Tensor) -> Result<Tensor> {
        let side = self.weights.dims2()?.1;
        let [rows, columns] = [0, 1].map(|axis| self.weights.get(axis));
        let of_partners = rows?.reshape((side, 1))?.broadcast_mul(&columns?.reshape((1, side))?)?;
        let weights = |weights: Tensor| weights.reshape((1, side, side, 1))?.to_dtype(images.dtype());
        let own = images.broadcast_mul(&weights(of_partners.affine(-1.0, 1.0)?)?)?;
        own + images.index_select(&self.partners, 0)?.broadcast_mul(&weights(of_partners)?)?
    }

    /// Returns the mixed loss of logits `[n, classes]`.
    pub(super) fn loss(&self, logits: &Tensor, labels: &Tensor, label_smoothing: f64) -> Result<Tensor> {
        let own = cross_entropy(logits, labels, label_smoothing)?;
        let of_partners = cross_entropy(logits, &labels.index_select(&self.partners, 0)?, label_smoothing)?;
        (own * &self.share)? + (of_partners * self.share.affine(-1.0, 1.0)?)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    const CPU: Device = Device::Cpu;

    fn inputs(partners: &[u32], weights: &[[f32; 4]; 2], share: f32) -> MixInputs {
        MixInputs {
            partners: Tensor::new(partners, &CPU).unwrap(),
            weights: Tensor::new(weights, &CPU).unwrap(),
            share: Tensor::new(share, &CPU).unwrap(),
        }
    }

    #[test]
    fn images_are_mixed_with_those_of_their_partners() {
        // Pixel (row, column) of sample i has the values 100 i + 10 row + column and its negative.
        let pixel = |i: usize, at: usize| (100 * i + 10 * (at / 4) + at % 4) as f32;
        let all = (0..3).flat_map(|i| (0..16).flat_map(move |at| [pixel(i, at), -pixel(i, at)]));
        let images = Tensor::from_vec(all.collect::<Vec<f32>>(), (3, 4, 4, 2), &CPU).unwrap();
        let partners = [2, 0, 1];
        let mixed = |mix: &MixInputs| mix.images(&images).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();

        let values = mixed(&inputs(&partners, &[[0.25; 4], [1.0; 4]], 0.75));
        let cut = mixed(&inputs(&partners, &[[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]], 0.875));
        for (at, (value, cut)) in values.into_iter().zip(cut).enumerate() {
            let (i, at, sign) = (at / 32, at / 2 % 16, if at % 2 == 0 { 1.0 } else { -1.0 });
            let (own, partner) = (pixel(i, at), pixel(partners[i] as usize, at));
            assert!((value - sign * (0.75 * own + 0.25 * partner)).abs() < 1e-4, "{i} {at}: {value}");
            // Rows 1 and 2 of column 3 show the partner, with exactly its values.
            let expected = if [7, 11].contains(&at) { partner } else { own };
            assert!((cut - sign * expected).abs() == 0.0, "{i} {at}: {cut}");
        }
    }

    #[test]
    fn the_loss_and_its_gradient_are_mixed() {
        let rows = [[1.5_f32, -0.5, 0.25], [0.0, 2.0, -1.0], [-0.75, 0.5, 1.0]];
        let (labels, partners, share, smoothing) = ([0_u32, 2, 1], [1_u32, 2, 0], 0.7_f64, 0.1_f64);
        let logits = candle_core::Var::from_tensor(&Tensor::new(&rows, &CPU).unwrap()).unwrap();
        let mix = inputs(&partners, &[[0.0; 4]; 2], share as f32);
        let loss = mix.loss(&logits, &Tensor::new(&labels, &CPU).unwrap(), smoothing).unwrap();

        let mut expected = 0.0;
        let mut gradient = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let row = row.map(f64::from);
            let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
            for (class, logit) in row.iter().enumerate() {
                let is = |label: u32| f64::from(u8::from(label as usize == class));
                let label = share * is(labels[i]) + (1.0 - share) * is(labels[partners[i] as usize]);
                let target = (1.0 - smoothing) * label + smoothing / 3.0;
                expected -= target * (logit - sum.ln()) / 3.0;
                gradient.push((logit.exp() / sum - target) / 3.0);
            }
        }
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - expected).abs() < 1e-6);
        let grads = loss.backward().unwrap();
        let found = grads.get(&logits).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (found, expected) in found.into_iter().zip(gradient) {
            assert!((f64::from(found) - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn boxes_have_the_drawn_area_and_end_at_the_edge() {
        // A share of 0.75 leaves a quarter of the image: a box of half its side.
        assert_eq!(centred(8, 0.75, 16), 4..12);
        assert_eq!(centred(1, 0.75, 16), 0..5);
        assert_eq!(centred(15, 0.75, 16), 11..16);
        assert_eq!(centred(3, 1.0, 16), 3..3);
        assert_eq!(centred(8, 0.0, 16), 0..16);
        let rule = MixRule { mixup: 0.0, cutmix: 1.0 };
        let mut corrected = 0;
        for step in 0..200 {
            let Mix { share, cut, .. } = rule.draw(4, 32, Draws::new(1, 2, step)).unwrap();
            let [rows, columns] = cut.unwrap();
            assert!((share - 1.0 + (rows.len() * columns.len()) as f64 / 1024.0).abs() < 1e-12);
            assert!(rows.end <= 32 && columns.end <= 32);
            corrected += u32::from(rows.len() != columns.len());
        }
        assert!(corrected > 20, "{corrected} boxes are cut off at an edge");
    }

    #[test]
    fn the_inputs_are_the_drawn_mix() {
        let draws = || Draws::new(5, 6, 7);
        for rule in [MixRule { mixup: 0.4, cutmix: 0.0 }, MixRule { mixup: 0.0, cutmix: 1.0 }] {
            let Mix { partners, share, cut } = rule.draw(6, 16, draws()).unwrap();
            let found = rule.inputs(6, 16, draws(), &CPU).unwrap().unwrap();
            assert_eq!(found.partners.to_vec1::<u32>().unwrap(), partners);
            assert!((f64::from(found.share.to_scalar::<f32>().unwrap()) - share).abs() < 1e-7);
            // White images whose partners are black show the weights.
            let images = Tensor::ones((6, 16, 16, 1), DType::F32, &CPU).unwrap();
            let own = images.narrow(0, 0, 1).unwrap().pad_with_zeros(0, 0, 5).unwrap();
            let white = found.images(&own).unwrap().get(0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (at, value) in white.into_iter().enumerate() {
                let expected = match &cut {
                    None => share,
                    Some([rows, columns]) if rows.contains(&(at / 16)) && columns.contains(&(at % 16)) => 0.0,
                    Some(_) => 1.0,
                };
                assert!((f64::from(value) - expected).abs() < 1e-6, "{rule:?} {at}: {value}");
            }
        }
    }

    #[test]
    fn each_sample_has_another_as_partner_and_both_kinds_of_mixes_are_drawn() {
        let mut seen = [[0_u32; 4]; 4];
        for step in 0..3000 {
            let partners = partners(4, &mut Draws::new(1, 0, step));
            let mut sorted = partners.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            partners.iter().enumerate().for_each(|(i, &partner)| seen[i][partner as usize] += 1);
        }
        for (i, row) in seen.iter().enumerate() {
            let is_fair = |(j, &count): (usize, &u32)| if i == j { count == 0 } else { (900..1100).contains(&count) };
            assert!(row.iter().enumerate().all(is_fair), "{seen:?}");
        }
        assert_eq!(partners(1, &mut Draws::new(1, 0, 0)), [0]);

        let draw = |rule: MixRule, step| rule.draw(4, 32, Draws::new(1, 0, step));
        let both = MixRule { mixup: 0.2, cutmix: 1.0 };
        let cuts = (0..1000).filter(|&step| draw(both, step).unwrap().cut.is_some()).count();
        assert!((437..563).contains(&cuts), "{cuts} of 1000 steps");
        assert!((0..20).all(|step| draw(MixRule { cutmix: 0.0, ..both }, step).unwrap().cut.is_none()));
        assert!((0..20).all(|step| draw(MixRule { mixup: 0.0, ..both }, step).unwrap().cut.is_some()));
        assert_eq!(draw(MixRule::default(), 0), None);
        assert_eq!(draw(both, 5), draw(both, 5));
    }
}
