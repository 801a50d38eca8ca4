//! Names of the library's settings in this program: its options.

use ucfpack::Setting;

/// Returns the option for a setting, such as `--resume`.
pub fn option(setting: Setting) -> String {
    let name = match setting {
        Setting::Attributes => "--attributes",
        Setting::Check => "--check",
        Setting::Classes => "--classes",
        Setting::Clip => "--clip",
        Setting::Clips => "--clips",
        Setting::Codec => "--codec",
        Setting::Dataset => "--dataset",
        Setting::Device => "--device",
        Setting::Filter => "--filter",
        Setting::Flow => "--flow",
        Setting::FlowCodec => "--flow-codec",
        Setting::FlowMethod => "--flow-method",
        Setting::FlowSize => "--flow-size",
        Setting::Images => "--images",
        Setting::Jobs => "--jobs",
        Setting::KeepGoing => "--keep-going",
        Setting::Layout => "--layout",
        Setting::Level => "--level",
        Setting::Lists => "--lists",
        Setting::OtherVersions => "--other-versions",
        Setting::Overwrite => "--overwrite",
        Setting::Part => "--part",
        Setting::Quality => "--quality",
        Setting::Resume => "--resume",
        Setting::Rgb => "--rgb",
        Setting::RgbCodec => "--rgb-codec",
        Setting::RgbQuality => "--rgb-quality",
        Setting::ShardSize => "--shard-size",
        Setting::ShortSide => "--rgb-short-side",
        Setting::Size => "--size",
        Setting::SkipExisting => "--skip-existing",
        Setting::Split => "--split",
        Setting::Stream => "--stream",
        Setting::Streams => "--streams",
        Setting::Subset => "--subset",
        Setting::Tree => "--tree",
        other => return other.to_string(),
    };
    name.to_owned()
}
