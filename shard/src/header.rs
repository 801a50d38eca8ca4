//! Translates between the header of a shard and the description of its stream.

use crate::layout::{Header, MAGIC, VERSION_MAJOR, VERSION_MINOR};
use crate::manifest::StreamSpec;
use crate::samples::SampleType;
use crate::shape::MAX_RANK;
use zerocopy::little_endian::U32;

impl Header {
    /// Returns the header of a stream, without its checksum. `spec` keeps the rules of the format.
    #[cfg(feature = "write")]
    pub(crate) fn of(spec: &StreamSpec) -> Self {
        let mut stream = [0; 16];
        stream[..spec.name.len()].copy_from_slice(spec.name.as_bytes());
        let inner = spec.array.as_deref().unwrap_or_default();
        let mut dims = [U32::ZERO; 3];
        for (field, &dim) in dims.iter_mut().zip(inner) {
            *field = dim.into();
        }
        Self {
            magic: MAGIC,
            major: VERSION_MAJOR.into(),
            minor: VERSION_MINOR.into(),
            required_features: 0.into(),
            optional_features: 0.into(),
            stream,
            planes: spec.planes,
            channels: spec.channels,
            samples: spec.samples as u8,
            rank: spec.array.as_ref().map_or(0, |inner| inner.len() as u8 + 1),
            dims,
            reserved: [0; 8],
            crc32: 0.into(),
        }
    }

    /// Returns the description of the stream `name`, or the fault in words.
    pub(crate) fn spec(&self, name: &str) -> Result<StreamSpec, String> {
        let samples =
            SampleType::from_byte(self.samples).ok_or_else(|| format!("unknown sample type {}", self.samples))?;
        let dims = self.dims.map(U32::get);
        let rank = usize::from(self.rank);
        let inner = match rank {
            0 => None,
            1..=MAX_RANK => Some(dims[..rank - 1].to_vec()),
            _ => return Err(format!("its arrays have {rank} dimensions, but at most {MAX_RANK} fit")),
        };
        if dims[inner.as_ref().map_or(0, Vec::len)..].iter().any(|&dim| dim != 0) {
            return Err("it states sizes of dimensions that its records lack".into());
        }
        let mut spec = StreamSpec::new(name, self.planes, self.channels).with_samples(samples);
        spec.array = inner;
        spec.check()?;
        Ok(spec)
    }
}
