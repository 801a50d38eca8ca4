//! The defaults of each recipe.

use super::recipe::Recipe;
use super::values::Settings;
use crate::base::best_by::BestBy;
use crate::schedule::Schedule;
use crate::stream::Stream;
use crate::view::View;
use std::path::PathBuf;

impl Recipe {
    /// Returns all settings; those without a default are empty.
    pub fn defaults(self, stream: Stream) -> Settings {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (batch_size, lr) = match stream {
            Stream::Spatial => (25, 5e-4),
            Stream::Temporal | Stream::Difference => (32, 1e-2),
        };
        let seed = Settings {
            stream,
            recipe: self,
            data: PathBuf::new(),
            split: "1".into(),
            val_groups: Vec::new(),
            val_share: 0.0,
            arch: "resnet18".into(),
            weights: "none".into(),
            epochs: 500,
            repeat: 1,
            best_by: BestBy::Top1,
            batch_size,
            accumulate: 1,
            lr,
            schedule: Schedule::Plateau,
            warm_up: 0.0,
            milestones: Vec::new(),
            conv1_lr: 1.0,
            clip_grad: 0.0,
            dropout: 0.0,
            stochastic_depth: 0.0,
            ema: 0.0,
            swa: 0,
            weight_decay: 0.0,
            label_smoothing: 0.0,
            view: View::seed(stream),
            color_jitter: 0.0,
            trivial_augment: false,
            frame_dropout: 0.0,
            mixup: 0.0,
            cutmix: 0.0,
            partial_bn: false,
            sync_bn: false,
            input_size: 224,
            precise_bn: 0,
            seed: 0,
            device: "auto".into(),
            precision: None,
            deterministic: false,
            threads: cores,
            skip_damaged: false,
            checkpoint_minutes: 10.0,
            keep_epochs: 0,
        };
        match (self, stream) {
            (Self::Seed, _) => seed,
            (Self::Tsn, Stream::Spatial) => Settings { epochs: 40, lr: 2e-3, ..seed.tsn() },
            (Self::Tsn, Stream::Temporal | Stream::Difference) => Settings { epochs: 80, lr: 5e-3, ..seed.tsn() },
            (Self::Strong, Stream::Spatial) => Settings { epochs: 40, lr: 5e-3, ..seed.strong() },
            (Self::Strong, Stream::Temporal | Stream::Difference) => Settings { epochs: 80, lr: 1e-2, ..seed.strong() },
        }
    }
}

impl Settings {
    fn tsn(self) -> Self {
        Self {
            view: View::tsn(),
            schedule: Schedule::Cosine,
            warm_up: 1.0,
            clip_grad: 20.0,
            weight_decay: 5e-4,
            precise_bn: 1000,
            ..self
        }
    }

    /// Returns settings with as many images per epoch as those of `tsn`, in three times the steps.
    fn strong(self) -> Self {
        Self { view: View::strong(), repeat: View::tsn().segments, ..self.tsn() }
    }
}
