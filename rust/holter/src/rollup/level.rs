//! The grid of the buckets.

use std::ops::RangeInclusive;

use holter_journal::Step;

/// The number of buckets of a level per bucket of the next, as a power of two.
pub(super) const FAN_OUT_BITS: u32 = 3;
/// The width of the finest buckets as a power of two.
const FINEST_BITS: u32 = 6;

/// A grid of buckets. Level 0 is the finest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub(super) u32);

impl Level {
    /// Buckets of 64 steps.
    pub const FINEST: Self = Self(0);
    /// Buckets of 2^60 steps: the largest whose block size fits in a step.
    pub const COARSEST: Self = Self(18);

    /// All levels, the finest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::COARSEST.0).map(Self)
    }

    /// The level with this width of buckets.
    pub fn of_width(width: i64) -> Option<Self> {
        Self::all().find(|level| level.width() == width)
    }

    /// The finest level at which `max_buckets` buckets cover `span` steps, or the coarsest.
    pub fn for_span(span: u128, max_buckets: usize) -> Self {
        let fits = |level: &Self| span <= (level.width() as u128).saturating_mul(max_buckets as u128);
        Self::all().find(fits).unwrap_or(Self::COARSEST)
    }

    /// The number of the level.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The number of steps in a bucket.
    pub fn width(self) -> i64 {
        1 << self.bits()
    }

    /// The next finer level.
    pub fn finer(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// The next coarser level.
    pub fn coarser(self) -> Option<Self> {
        (self < Self::COARSEST).then_some(Self(self.0 + 1))
    }

    /// The first step of the bucket that covers `step`.
    ///
    /// Widths are powers of two, so that clearing bits divides downwards, below zero as well, and no
    /// bucket reaches beyond the smallest or the largest step.
    pub fn bucket_start(self, step: Step) -> Step {
        step >> self.bits() << self.bits()
    }

    /// The last step of the bucket that covers `step`.
    pub fn bucket_end(self, step: Step) -> Step {
        step | (self.width() - 1)
    }

    /// The first step of the block that covers `step`.
    pub fn block_start(self, step: Step) -> Step {
        let bits = self.bits() + FAN_OUT_BITS;
        step >> bits << bits
    }

    /// The last step of the block that covers `step`.
    pub fn block_end(self, step: Step) -> Step {
        step | (Step::MAX >> (Step::BITS - 1 - self.bits() - FAN_OUT_BITS))
    }

    /// The first steps of the blocks that `steps` lie in, ascending.
    pub fn blocks(self, steps: &RangeInclusive<Step>) -> impl Iterator<Item = Step> + use<> {
        let last = *steps.end();
        let next = move |&start: &Step| self.block_end(start).checked_add(1).filter(|&next| next <= last);
        std::iter::successors((!steps.is_empty()).then(|| self.block_start(*steps.start())), next)
    }

    /// The number of blocks that overlap `steps`.
    pub fn num_blocks(self, steps: &RangeInclusive<Step>) -> u64 {
        let bits = self.bits() + FAN_OUT_BITS;
        (steps.end() >> bits).abs_diff(steps.start() >> bits).saturating_add(1)
    }

    /// The index, in its block, of the bucket that covers `step`.
    pub(super) fn slot(self, step: Step) -> u32 {
        (step >> self.bits()) as u32 & ((1 << FAN_OUT_BITS) - 1)
    }

    fn bits(self) -> u32 {
        FINEST_BITS + FAN_OUT_BITS * self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn buckets_and_blocks_are_on_the_grid_at_every_step() {
        for level in Level::all() {
            assert_eq!(Level::of_width(level.width()), Some(level));
            for step in [i64::MIN, i64::MIN + 1, -513, -512, -1, 0, 63, 64, 511, 512, i64::MAX - 1, i64::MAX] {
                let (width, block) = (i128::from(level.width()), i128::from(level.width()) * 8);
                let first = i128::from(step).div_euclid(width) * width;
                let block_first = i128::from(step).div_euclid(block) * block;
                assert_eq!(i128::from(level.bucket_start(step)), first);
                assert_eq!(i128::from(level.bucket_end(step)), first + width - 1);
                assert_eq!(i128::from(level.block_start(step)), block_first);
                assert_eq!(i128::from(level.block_end(step)), block_first + block - 1);
                assert_eq!(i128::from(level.slot(step)), (first - block_first) / width);
            }
        }
        assert_eq!(Level::of_width(1), None);
        assert_eq!(Level::of_width(128), None);
    }

    #[test]
    fn finest_level_that_fits_is_selected() {
        assert_eq!(Level::for_span(64_000, 1000).width(), 64);
        assert_eq!(Level::for_span(64_001, 1000).width(), 512);
        assert_eq!(Level::for_span(1 << 64, 1), Level::COARSEST);
        assert_eq!(Level::for_span(1 << 64, usize::MAX), Level::FINEST);
    }
}
