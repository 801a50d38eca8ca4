//! Tests of batch norms whose statistics come from several processes. Threads act as processes.

use crate::values::{assert_close, error, flat, scaled};
use candle_convnet::{Arch, Classifier, ClassifierConfig, Depth, Model, NormSync, cross_entropy};
use candle_core::{DType, Device, Result, Tensor};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

/// The place where the threads exchange their values.
#[derive(Debug)]
struct Meeting {
    values: Mutex<Vec<Vec<f64>>>,
    barrier: Barrier,
}

/// A thread of the group.
#[derive(Debug)]
struct Member {
    number: usize,
    counts: bool,
    meeting: Arc<Meeting>,
}

impl NormSync for Member {
    fn gather(&self, own: &[f64]) -> Result<Vec<Vec<f64>>> {
        self.meeting.values.lock().unwrap()[self.number] = own.to_vec();
        self.meeting.barrier.wait();
        let all = self.meeting.values.lock().unwrap().clone();
        self.meeting.barrier.wait();
        Ok(all)
    }

    fn counts(&self) -> bool {
        self.counts
    }
}

const SIDE: usize = 40;
const CLASSES: usize = 5;
const LABELS: [u32; 4] = [3, 0, 4, 1];

fn new_model(arch: Arch) -> Model<Classifier> {
    Model::random(&ClassifierConfig::new(arch, 3, CLASSES), 4, &Device::Cpu).unwrap()
}

/// Values by name.
type Named = Vec<(String, Vec<f64>)>;

/// Returns the logits, gradients and running statistics of images. The loss is their mean loss times `share`.
fn step(model: &Model<Classifier>, net: &Classifier, images: &Tensor, labels: &[u32], share: f64) -> Named {
    let logits = net.forward_t(images, true).unwrap();
    let loss = cross_entropy(&logits, &Tensor::new(labels, &Device::Cpu).unwrap(), 0.).unwrap();
    let gradients = (loss * share).unwrap().backward().unwrap();
    let mut all = vec![("logits".to_owned(), flat(&logits))];
    all.extend(model.trainable().into_iter().map(|(name, var)| (name, flat(gradients.get(&var).unwrap()))));
    all.extend(model.running_statistics().into_iter().map(|(name, var)| (name, flat(&var))));
    all
}

/// Returns the results of each thread: the images from `cuts[i]` to `cuts[i + 1]` are those of thread i.
fn on_threads(arch: Arch, images: &Tensor, cuts: &[usize]) -> Vec<Named> {
    let (n, threads) = (images.dim(0).unwrap(), cuts.len() - 1);
    let meeting = Arc::new(Meeting { values: Mutex::new(vec![Vec::new(); threads]), barrier: Barrier::new(threads) });
    thread::scope(|scope| {
        let start = |number: usize| {
            let own = cuts[number + 1] - cuts[number];
            let member = Member { number, counts: own > 0, meeting: meeting.clone() };
            scope.spawn(move || {
                let model = new_model(arch);
                let net = model.net.clone().with_synchronised_norms(Arc::new(member));
                // A thread without images computes with one that does not count.
                // Candle omits the backward pass of a loss that is multiplied by 0.
                let share = if own > 0 { own as f64 / n as f64 } else { f64::MIN_POSITIVE };
                let (first, count) = (cuts[number].min(n - 1), own.max(1));
                let own_images = images.narrow(0, first, count).unwrap().contiguous().unwrap();
                step(&model, &net, &own_images, &LABELS[first..first + count], share)
            })
        };
        let running: Vec<_> = (0..threads).map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn several_processes_compute_what_one_computes_with_all_images() {
    for (arch, cuts, dtype, bound) in [
        (Arch::ResNet(Depth::R18), &[0, 2, 4][..], DType::F32, 2e-4),
        (Arch::ResNet(Depth::R18), &[0, 3, 4, 4], DType::F32, 2e-4),
        (Arch::ResNet(Depth::R18), &[0, 1, 4], DType::F32, 2e-4),
        (Arch::MobileNetV3Small, &[0, 1, 4], DType::F32, 2e-4),
        (Arch::ResNet(Depth::R18), &[0, 4], DType::BF16, 0.),
    ] {
        let images = scaled("sync/x", (4, SIDE, SIDE, 3), 2., 0.).to_dtype(dtype).unwrap();
        let of_threads = on_threads(arch, &images, cuts);
        let model = new_model(arch);
        let whole = step(&model, &model.net, &images, &LABELS, 1.);
        // A deep random network magnifies rounding. Images that differ by a millionth show by how much.
        let moved = (images.to_dtype(DType::F32).unwrap() * (1. + 1e-6)).unwrap().to_dtype(dtype).unwrap();
        let other = new_model(arch);
        let changed = step(&other, &other.net, &moved, &LABELS, 1.);
        let size = |values: &[f64]| values.iter().fold(0_f64, |size, value| size.max(value.abs()));
        let gradients = whole.iter().filter(|(name, _)| name != "logits" && !name.contains("running"));
        let largest = gradients.map(|(_, values)| size(values)).fold(0., f64::max);
        for (at, (name, expected)) in whole.iter().enumerate() {
            let parts: Vec<&Vec<f64>> = of_threads.iter().map(|named| &named[at].1).collect();
            // One process has the bits of the plain pass.
            let bound = if bound == 0. { 0. } else { 20_f64.mul_add(error(&changed[at].1, expected), bound) };
            let context = format!("{arch:?} {cuts:?} {dtype:?}: {name}");
            if name == "logits" {
                let joined: Vec<f64> = (parts.iter().zip(cuts.windows(2)))
                    .flat_map(|(part, cut)| part[..(cut[1] - cut[0]) * CLASSES].to_vec())
                    .collect();
                assert_close(&context, &joined, expected, bound);
            } else if name.contains("running") {
                for part in parts {
                    // The mean of a linear layer after a batch norm is 0 except for rounding.
                    if size(expected) > 1e-5 || size(part) > 1e-5 {
                        assert_close(&context, part, expected, bound);
                    }
                }
            } else {
                let counting = || parts.iter().zip(cuts.windows(2)).filter(|(_, cut)| cut[0] < cut[1]);
                let sum: Vec<f64> = (0..expected.len()).map(|i| counting().map(|(part, _)| part[i]).sum()).collect();
                // A shift before the next batch norm has no effect, so its gradient is 0 except for rounding.
                let is_zero = size(expected) < 1e-4 * largest;
                assert!(!is_zero || size(&sum) < 1e-4 * largest, "{context}");
                if !is_zero {
                    assert_close(&context, &sum, expected, bound);
                }
            }
        }
    }
}

#[test]
fn processes_that_are_not_synchronised_compute_something_else() {
    let arch = Arch::ResNet(Depth::R18);
    let images = scaled("sync/x", (4, SIDE, SIDE, 3), 2., 0.);
    let gradient = |first: usize, count: usize| {
        let (model, own) = (new_model(arch), images.narrow(0, first, count).unwrap().contiguous().unwrap());
        let named = step(&model, &model.net, &own, &LABELS[first..first + count], count as f64 / 4.);
        named.into_iter().find(|(name, _)| name == "bn1.bias").unwrap().1
    };
    let sum: Vec<f64> = gradient(0, 2).iter().zip(gradient(2, 2)).map(|(one, other)| one + other).collect();
    assert!(error(&sum, &gradient(0, 4)) > 0.05);
}

#[test]
fn a_lost_process_is_an_error_of_the_pass() {
    #[derive(Debug)]
    struct Lost;
    impl NormSync for Lost {
        fn gather(&self, _: &[f64]) -> Result<Vec<Vec<f64>>> {
            candle_core::bail!("the other process is lost")
        }
    }
    let net = new_model(Arch::ResNet(Depth::R18)).net.with_synchronised_norms(Arc::new(Lost));
    let error = net.forward_t(&scaled("lost/x", (2, SIDE, SIDE, 3), 2., 0.), true).unwrap_err().to_string();
    assert!(error.contains("the other process is lost"), "{error}");
}
