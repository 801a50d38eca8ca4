//! Encodes pixels and checks records on all cores.

use super::clip::Images;
use crate::budget::DecodingBudget;
use crate::codec::{Decoder, EncodeOptions, EncodedRecord, Encoder};
use crate::error::{Error, Result};
use crate::parallel::map_init;
#[cfg(feature = "rayon")]
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Mutex, PoisonError};

/// Threads with their decoders.
pub(super) struct Workers {
    /// `None` for rayon's global pool.
    #[cfg(feature = "rayon")]
    pool: Option<ThreadPool>,
    decoders: Spare<(Decoder, Vec<u8>)>,
    budget: DecodingBudget,
}

/// The encoders of a stream.
pub(super) struct Encoders {
    pub(super) options: EncodeOptions,
    spare: Spare<Encoder>,
}

/// Objects that are costly to create, and that no thread is using now.
struct Spare<T>(Mutex<Vec<T>>);

impl<T> Spare<T> {
    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, object: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(object);
    }
}

impl Encoders {
    /// Checks the options by creating the first encoder.
    pub(super) fn new(options: EncodeOptions) -> Result<Self> {
        Ok(Self { options, spare: Spare(Mutex::new(vec![Encoder::new(options)?])) })
    }
}

impl Workers {
    /// Creates threads. 0 stands for rayon's global pool. Without the Cargo feature `rayon`, there
    /// is only the thread of the caller.
    #[cfg_attr(not(feature = "rayon"), allow(unused_variables, reason = "there are no threads"))]
    pub(super) fn new(threads: usize) -> Result<Self> {
        #[cfg(feature = "rayon")]
        let pool = (threads > 0).then(|| ThreadPoolBuilder::new().num_threads(threads).build()).transpose();
        Ok(Self {
            #[cfg(feature = "rayon")]
            pool: pool.map_err(|error| Error::Usage(format!("cannot start {threads} threads: {error}")))?,
            decoders: Spare(Mutex::default()),
            budget: DecodingBudget::default(),
        })
    }

    /// Maps items in parallel. Returns the results in the order of the items, or the first error
    /// with the number of its item.
    fn map<T: Send, R: Send, E: Send>(
        &self,
        items: Vec<T>,
        each: impl Fn(T) -> Result<R, E> + Sync + Send,
    ) -> Result<Vec<R>, (usize, E)> {
        let map = || map_init(items, || (), |(), item| each(item));
        #[cfg(feature = "rayon")]
        let results = match &self.pool {
            Some(pool) => pool.install(map),
            None => map(),
        };
        #[cfg(not(feature = "rayon"))]
        let results = map();
        results.into_iter().enumerate().map(|(number, result)| result.map_err(|error| (number, error))).collect()
    }

    /// Encodes images in parallel. The result does not depend on the threads.
    ///
    /// Returns the number and the fault of the first image that cannot be encoded.
    pub(super) fn encode(
        &self,
        encoders: &Encoders,
        images: &Images<'_>,
    ) -> Result<Vec<EncodedRecord>, (usize, Box<Error>)> {
        self.map(images.records.iter().collect(), |(shape, pixels)| {
            let mut encoder = encoders.spare.take().map_or_else(|| Encoder::new(encoders.options), Ok)?;
            let record = encoder.encode(pixels, *shape);
            encoders.spare.give_back(encoder);
            Ok(record?)
        })
    }

    /// Decodes the records that another program encoded.
    ///
    /// Returns the number and the fault of the first record that is not what it says.
    pub(super) fn check(&self, records: &[EncodedRecord]) -> Result<(), (usize, String)> {
        let check = |record: &EncodedRecord| if record.is_trusted() { Ok(()) } else { self.check_record(record) };
        self.map(records.iter().collect(), check).map(drop)
    }

    fn check_record(&self, record: &EncodedRecord) -> Result<(), String> {
        let shape = record.shape();
        let reserved = self.budget.reserve(shape, record.codec());
        let spare = self.decoders.take();
        let (mut decoder, mut pixels) = match spare {
            Some(spare) => spare,
            None => (Decoder::new().map_err(|error| error.to_string())?, Vec::new()),
        };
        pixels.resize(shape.bytes(), 0);
        let parts = (record.codec(), record.filter());
        let checked = decoder.decode(record.bytes(), shape, parts, None, &mut pixels);
        #[cfg(feature = "jpeg")]
        let checked = checked.and_then(|()| {
            use crate::codec::{Codec, jpeg};
            if record.codec() != Codec::Jpeg {
                return Ok(());
            }
            // A decoder fills in the rest of a file that ends early.
            jpeg::check_scans(record.bytes()).map(drop).map_err(|fault| fault.to_string())
        });
        if reserved.is_large() {
            // Buffer and decoder have grown with the image. Freeing them keeps the threads within
            // the budget.
            drop((decoder, pixels));
        } else {
            self.decoders.give_back((decoder, pixels));
        }
        checked
    }
}
