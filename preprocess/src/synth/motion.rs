//! Motions of a body: the part of a class that only flow shows.

use clipshard::order::Draws;

/// A kind of motion. Mirroring a clip left to right keeps the kind, because training mirrors clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Left or right.
    Sideways,
    /// Rotation in place, in either direction.
    Spin,
    /// Growth.
    Grow,
    /// Shrinkage.
    Shrink,
    /// Diagonally up, to either side.
    UpAslant,
    /// Diagonally down, to either side.
    DownAslant,
    /// Up, with rotation.
    UpSpinning,
    /// Down, with rotation.
    DownSpinning,
    /// Left or right, with rotation.
    SidewaysSpinning,
    /// No motion.
    Still,
}

/// Position, angle and size of a body as functions of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// Centre at frame 0, in pixels.
    pub start: (f32, f32),
    /// Pixels per frame.
    pub velocity: (f32, f32),
    /// Angle at frame 0, in radians.
    pub angle: f32,
    /// Radians per frame.
    pub spin: f32,
    /// Logarithm of the size at frame 0.
    pub log_scale: f32,
    /// Change of the logarithm per frame.
    pub growth: f32,
}

/// Position, angle and size of a body in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Centre in pixels. It may be outside the image, which wraps around at its edges.
    pub center: (f32, f32),
    /// Angle in radians.
    pub angle: f32,
    /// Size relative to the body's radius.
    pub scale: f32,
}

impl Motion {
    /// All kinds, the most distinct ones first.
    pub const ALL: [Self; 12] = [
        Self::Up,
        Self::Down,
        Self::Sideways,
        Self::Spin,
        Self::Grow,
        Self::Shrink,
        Self::UpAslant,
        Self::DownAslant,
        Self::UpSpinning,
        Self::DownSpinning,
        Self::SidewaysSpinning,
        Self::Still,
    ];

    /// Returns the name, as in class names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "Up",
            Self::Down => "Down",
            Self::Sideways => "Sideways",
            Self::Spin => "Spin",
            Self::Grow => "Grow",
            Self::Shrink => "Shrink",
            Self::UpAslant => "UpAslant",
            Self::DownAslant => "DownAslant",
            Self::UpSpinning => "UpSpinning",
            Self::DownSpinning => "DownSpinning",
            Self::SidewaysSpinning => "SidewaysSpinning",
            Self::Still => "Still",
        }
    }

    /// Draws a random path of this kind.
    ///
    /// A single frame reveals nothing about the kind: positions (on an image that wraps around) and
    /// angles are uniform for all kinds, and sizes vary as much by chance as growth varies them
    /// over time.
    pub fn path(self, size: (u16, u16), frames: usize, draws: &mut Draws) -> Path {
        let mut within = |low: f32, high: f32| low + (high - low) * draws.unit() as f32;
        let (width, height) = (f32::from(size.0), f32::from(size.1));
        // Pixels per frame for images of 96x72. Stored flow is limited to 20.
        let speed = (within(2.0, 3.4) * width.min(height) / 72.0).min(18.0);
        let turn = within(0.11, 0.17);
        let growth = within(0.032, 0.044);
        let start = (within(0.0, width), within(0.0, height));
        let angle = within(0.0, std::f32::consts::TAU);
        let spread = within(-0.5, 0.5) * growth * frames as f32;
        let side = if within(0.0, 1.0) < 0.5 { -1.0 } else { 1.0 };
        let way = if within(0.0, 1.0) < 0.5 { -1.0 } else { 1.0 };
        let aslant = speed * std::f32::consts::FRAC_1_SQRT_2;
        let velocity = match self {
            Self::Up | Self::UpSpinning => (0.0, -speed),
            Self::Down | Self::DownSpinning => (0.0, speed),
            Self::Sideways | Self::SidewaysSpinning => (side * speed, 0.0),
            Self::UpAslant => (side * aslant, -aslant),
            Self::DownAslant => (side * aslant, aslant),
            Self::Spin | Self::Grow | Self::Shrink | Self::Still => (0.0, 0.0),
        };
        let spin = match self {
            Self::Spin | Self::UpSpinning | Self::DownSpinning | Self::SidewaysSpinning => way * turn,
            _ => 0.0,
        };
        let (log_scale, growth) = match self {
            Self::Grow => (-0.5 * growth * frames as f32, growth),
            Self::Shrink => (0.5 * growth * frames as f32, -growth),
            _ => (spread, 0.0),
        };
        Path { start, velocity, angle, spin, log_scale, growth }
    }
}

impl Path {
    /// Returns the pose at a frame.
    pub fn pose(&self, frame: usize) -> Pose {
        let t = frame as f32;
        Pose {
            center: (self.start.0 + self.velocity.0 * t, self.start.1 + self.velocity.1 * t),
            angle: self.angle + self.spin * t,
            scale: (self.log_scale + self.growth * t).exp(),
        }
    }
}
