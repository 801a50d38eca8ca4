//! Items for the tests of this workspace. Not a public interface: it changes without notice.

pub use crate::base::best_by::BestBy;
pub use crate::base::meters::{Mean, Scored};
pub use crate::compute::device::Precision;
pub use crate::formats::network::Network;
pub use crate::formats::network_file::{load as load_network, save as save_network};
pub use crate::formats::safetensors_file::read_metadata;
pub use crate::input::{Choices, split, test_options, test_samples, training_samples};
pub use crate::run::checkpoint::{Parts, load as load_checkpoint, save as save_checkpoint};
pub use crate::run::lock::LOCK_FILE;
pub use crate::run::state::{Cursor, EpochResult, Evaluated, Seconds, State, TrainMeters};
pub use crate::schedule::plateau::Plateau;
pub use crate::scores::Scores;
pub use crate::settings::{Deciding, Difference};
pub use crate::stream::Stream;
pub use crate::view::{Consensus, FlowRange, View};
