//! The files of torchvision with ImageNet weights.

use candle_convnet::{Arch, Depth};

/// Where torchvision's files are.
pub const BASE_URL: &str = "https://download.pytorch.org/models";

/// A file to download. Its name ends with the start of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Name of the file, for example `resnet18-f37072fd.pth`.
    pub name: &'static str,
    /// Size of the file in megabytes, for messages.
    pub megabytes: u32,
}

/// The files `IMAGENET1K_V1` of torchvision.
const FILES: [(Arch, RemoteFile); 6] = [
    (Arch::ResNet(Depth::R18), RemoteFile { name: "resnet18-f37072fd.pth", megabytes: 47 }),
    (Arch::ResNet(Depth::R34), RemoteFile { name: "resnet34-b627a593.pth", megabytes: 87 }),
    (Arch::ResNet(Depth::R50), RemoteFile { name: "resnet50-0676ba61.pth", megabytes: 103 }),
    (Arch::ResNet(Depth::R101), RemoteFile { name: "resnet101-63fe2227.pth", megabytes: 179 }),
    (Arch::ResNet(Depth::R152), RemoteFile { name: "resnet152-394f9c45.pth", megabytes: 242 }),
    (Arch::MobileNetV3Small, RemoteFile { name: "mobilenet_v3_small-047dcff4.pth", megabytes: 10 }),
];

/// Returns the file of a network: `IMAGENET1K_V1` of torchvision.
///
/// ResNet-50, 101 and 152 also have `IMAGENET1K_V2`, which classifies ImageNet better. It was trained
/// with label smoothing, mixup and CutMix, and such features transfer worse to other datasets
/// (Kornblith et al. 2021, "Why Do Better Loss Functions Lead to Less Transferable Features?").
/// ResNet-18 and 34 have V1 only.
pub fn of(arch: Arch) -> Option<RemoteFile> {
    FILES.into_iter().find(|(other, _)| *other == arch).map(|(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::digest;

    #[test]
    fn each_network_has_a_file_with_a_digest() {
        for arch in Arch::ALL {
            let name = of(arch).unwrap().name;
            assert!(name.starts_with(&format!("{arch}-")) && digest::of_name(name).unwrap().len() == 8, "{name}");
        }
    }
}
