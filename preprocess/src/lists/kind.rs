//! The kinds of lists.

/// A kind of dataset, which decides how split lists are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatasetKind {
    /// The kind that the files have. It is recognised by their names and content.
    Auto,
    /// UCF101: `classInd.txt`, `trainlist0N.txt` and `testlist0N.txt`.
    Ucf101,
    /// HMDB51: `<class>_test_splitN.txt`.
    Hmdb51,
    /// JHMDB: `<class>_test_splitN.txt`.
    Jhmdb,
    /// Kinetics: CSV files with `youtube_id`, `time_start` and `time_end`.
    Kinetics,
    /// Something-Something-v1: CSV files `id;label`.
    SomethingV1,
    /// Something-Something-v2: JSON files with `template` and `placeholders`.
    SomethingV2,
    /// Jester: CSV files `id;label`.
    Jester,
    /// Moments in Time: CSV files `path,label,4,0`.
    Moments,
    /// Diving48: JSON files with `vid_name`.
    Diving48,
    /// Text lists of mmaction2, TSN and others: `path frames label` or `path label`.
    Mmaction2,
    /// Your own dataset: a CSV file `path,label,split[,group]`, JSON lines, or one folder per class.
    Custom,
}

impl DatasetKind {
    /// All kinds that lists can have.
    pub(super) const ALL: [Self; 11] = [
        Self::Ucf101,
        Self::Hmdb51,
        Self::Jhmdb,
        Self::Kinetics,
        Self::SomethingV1,
        Self::SomethingV2,
        Self::Jester,
        Self::Moments,
        Self::Diving48,
        Self::Mmaction2,
        Self::Custom,
    ];

    /// Returns the name of the kind, as in options and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ucf101 => "ucf101",
            Self::Hmdb51 => "hmdb51",
            Self::Jhmdb => "jhmdb",
            Self::Kinetics => "kinetics",
            Self::SomethingV1 => "something-v1",
            Self::SomethingV2 => "something-v2",
            Self::Jester => "jester",
            Self::Moments => "moments",
            Self::Diving48 => "diving48",
            Self::Mmaction2 => "mmaction2",
            Self::Custom => "custom",
        }
    }

    /// Returns the kind of this name, such as `kinetics`.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
