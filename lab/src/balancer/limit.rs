//! The request limit: a bucket that refills evenly over an hour.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Limit {
    capacity: u32,
    left: f64,
    seen: Instant,
}

/// What the headers of an answer say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// When the bucket is full again, in seconds since the epoch.
    pub(super) reset: i64,
    pub(super) exceeded: bool,
}

impl Limit {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            capacity,
            left: f64::from(capacity),
            seen: Instant::now(),
        }
    }

    /// Counts one request.
    pub(super) fn take(&mut self) -> Quota {
        let capacity = f64::from(self.capacity);
        let per_second = capacity / 3600.0;
        let passed = self.seen.elapsed();
        self.seen += passed;
        self.left = (self.left + passed.as_secs_f64() * per_second).min(capacity);
        let exceeded = self.left < 1.0;
        if !exceeded {
            self.left -= 1.0;
        }
        let wait = Duration::from_secs_f64((capacity - self.left) / per_second.max(f64::EPSILON));
        Quota {
            limit: self.capacity,
            remaining: whole(self.left),
            reset: epoch_seconds(wait),
            exceeded,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the bucket's content lies between 0 and its u32 capacity"
)]
fn whole(left: f64) -> u32 {
    left as u32
}

/// The moment `ahead` of now, rounded up.
pub(super) fn epoch_seconds(ahead: Duration) -> i64 {
    let ahead = i64::try_from(ahead.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    jiff::Timestamp::now().as_second().saturating_add(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_runs_dry() {
        let mut limit = Limit::new(2);
        let first = limit.take();
        assert_eq!((first.remaining, first.exceeded), (1, false));
        assert!(!limit.take().exceeded);
        let third = limit.take();
        assert!(third.exceeded);
        let full_in = third.reset - jiff::Timestamp::now().as_second();
        assert!((3590..=3601).contains(&full_in), "{full_in}");
    }
}
