//! What checks say of a target, over time.

/// What is known of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Health {
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

impl Health {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The way of a health over time: how many checks in a row said otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Verdict {
    pub(super) health: Health,
    against: u32,
}

impl Verdict {
    /// What one more check makes of it.
    pub(super) fn after(self, well: bool, retries: u32) -> Self {
        let opposite = if well {
            Health::Healthy
        } else {
            Health::Unhealthy
        };
        if self.health == opposite {
            return Self {
                health: opposite,
                against: 0,
            };
        }
        let against = self.against + 1;
        let turned = against >= retries || (self.health == Health::Unknown && well);
        if turned {
            Self {
                health: opposite,
                against: 0,
            }
        } else {
            Self { against, ..self }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_turns_after_retries() {
        let run = |checks: &[bool]| {
            checks
                .iter()
                .fold(Verdict::default(), |v, well| v.after(*well, 3))
                .health
        };
        assert_eq!(run(&[]), Health::Unknown);
        assert_eq!(run(&[true]), Health::Healthy);
        assert_eq!(run(&[false, false]), Health::Unknown);
        assert_eq!(run(&[false, false, false]), Health::Unhealthy);
        assert_eq!(
            run(&[true, false, false, true, false, false]),
            Health::Healthy
        );
        assert_eq!(run(&[true, false, false, false]), Health::Unhealthy);
        assert_eq!(
            run(&[true, false, false, false, true, true]),
            Health::Unhealthy
        );
        assert_eq!(
            run(&[true, false, false, false, true, true, true]),
            Health::Healthy
        );
    }
}
