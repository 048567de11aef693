//! What decides how long nobody leads a group: settings as data, with the times in milliseconds.
//!
//! Declarations state them; a forecast adds them up ([`crate::plan::Forecast`]).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::options::GroupName;
use crate::probe::{Observation, Probe, Reading, Seen};

/// What decides how long a group is without a leader. As declared; [`LeaderTiming::in_force`]
/// has what the cluster itself says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderTiming {
    /// How long the leader's lease lasts.
    pub ttl: u64,
    /// Between two rounds of a member.
    pub loop_wait: u64,
    /// How long a leader that starts again may take before another one is elected.
    pub start_timeout: u64,
    /// Whether a commit waits for a standby.
    pub synchronous: bool,
    /// What tells the settings in force.
    pub settings: Probe,
}

impl LeaderTiming {
    /// The settings in force, as far as they were read; the declared ones otherwise.
    pub fn in_force(&self, observation: &Observation) -> Self {
        let mut timing = self.clone();
        let Some(Seen::Read(Reading::Dcs(dcs))) = observation.get(&self.settings) else {
            return timing;
        };
        let Some(found) = &dcs.0 else {
            return timing;
        };
        let milliseconds = |key: &str| found.get(key).and_then(seconds).map(|s| s * 1000);
        timing.ttl = milliseconds("ttl").unwrap_or(timing.ttl);
        timing.loop_wait = milliseconds("loop_wait").unwrap_or(timing.loop_wait);
        timing.start_timeout =
            milliseconds("primary_start_timeout").unwrap_or(timing.start_timeout);
        let synchronous = found.get("synchronous_mode").and_then(Value::as_bool);
        timing.synchronous = synchronous.unwrap_or(timing.synchronous);
        timing
    }
}

/// Whole seconds; a number may stand as a text.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// How a way in finds the leader of a group once there is a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderSearch {
    /// The group whose leader it leads to.
    pub group: GroupName,
    /// Between two checks of a server that is down.
    pub downinter: u64,
    /// Between two checks of a server that is coming up.
    pub fastinter: u64,
    /// Good checks until a server is up.
    pub rise: u64,
    /// How long a pooler behind it waits before it connects again; none where there is none.
    pub retry: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ident::HostName;
    use crate::probe::{Dcs, DcsReading};

    #[test]
    fn what_the_cluster_says_counts_and_what_it_does_not_say_is_as_declared() {
        let settings = Probe::host(&HostName::new("db-1").unwrap(), Dcs {});
        let declared = LeaderTiming {
            ttl: 20_000,
            loop_wait: 5_000,
            start_timeout: 25_000,
            synchronous: true,
            settings: settings.clone(),
        };
        let read = |found| {
            let seen = Seen::Read(Reading::Dcs(DcsReading(found)));
            let observation = [(settings.clone(), seen)].into_iter().collect();
            declared.in_force(&observation)
        };
        assert_eq!(read(None), declared);
        assert_eq!(declared.in_force(&Observation::default()), declared);
        let found = read(Some(
            json!({"ttl": 30, "loop_wait": "10", "synchronous_mode": false}),
        ));
        let expected = LeaderTiming {
            ttl: 30_000,
            loop_wait: 10_000,
            synchronous: false,
            ..declared.clone()
        };
        assert_eq!(found, expected);
    }
}
