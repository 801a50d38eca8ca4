//! How a body moves: the half of a class that shows in the flow only.

use clipshard::order::Draws;

/// The kinds of motion. None changes its kind when a clip is mirrored left to right, because training mirrors clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Upwards.
    Up,
    /// Downwards.
    Down,
    /// To the left or to the right.
    Sideways,
    /// Turning on the spot, either way.
    Spin,
    /// Growing.
    Grow,
    /// Shrinking.
    Shrink,
    /// Up and to either side.
    UpAslant,
    /// Down and to either side.
    DownAslant,
    /// Turning while it moves up.
    UpSpinning,
    /// Turning while it moves down.
    DownSpinning,
    /// Turning while it moves to either side.
    SidewaysSpinning,
    /// Not at all.
    Still,
}

/// Position, turn and size of a body as functions of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// Center at frame 0, in pixels.
    pub start: (f32, f32),
    /// Pixels a frame.
    pub velocity: (f32, f32),
    /// Radians at frame 0.
    pub angle: f32,
    /// Radians a frame.
    pub spin: f32,
    /// Logarithm of the size at frame 0.
    pub log_scale: f32,
    /// Its change a frame.
    pub growth: f32,
}

/// Where a body is at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Center, in pixels; may lie outside the image, which is a torus.
    pub center: (f32, f32),
    /// Radians.
    pub angle: f32,
    /// Size relative to the body's own.
    pub scale: f32,
}

impl Motion {
    /// All kinds, those that are told apart most easily first.
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

    /// As it stands in class names.
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

    /// A path of this kind. Where a body is, how it is turned and how large it is in a frame taken by chance is
    /// distributed alike for all kinds: positions are uniform on a torus, turns uniform, and sizes spread as far by
    /// chance as growing spreads them in time.
    pub fn path(self, size: (u16, u16), frames: usize, draws: &mut Draws) -> Path {
        let mut within = |low: f32, high: f32| low + (high - low) * draws.unit() as f32;
        let (width, height) = (f32::from(size.0), f32::from(size.1));
        // Pixels a frame, of an image 96 wide; stored flow ends at 20.
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
    /// The pose at a frame.
    pub fn pose(&self, frame: usize) -> Pose {
        let t = frame as f32;
        Pose {
            center: (self.start.0 + self.velocity.0 * t, self.start.1 + self.velocity.1 * t),
            angle: self.angle + self.spin * t,
            scale: (self.log_scale + self.growth * t).exp(),
        }
    }
}
