//! How a container that is there differs from the declared one: field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use super::LABEL_USES;
use crate::model::{ContainerSpec, Mount};
use crate::probe::ImageReading;
use crate::resource::{Context, Reason};

/// Every field that differs, in the order of the declaration, less those that are ignored.
pub(super) fn fields(
    context: &Context<'_>,
    found: &ContainerSpec,
    goal: &ContainerSpec,
) -> Vec<Reason> {
    let mut drift = Drift {
        context,
        reasons: Vec::new(),
    };
    drift.text("image", &found.image, &goal.image);
    drift.text("command", &found.command.join(" "), &goal.command.join(" "));
    drift.text("user", &found.user, &goal.user);
    drift.map("env", &found.env, &goal.env, Clone::clone);
    drift.map("mounts", &found.mounts, &goal.mounts, mount);
    drift.map("tmpfs", &found.tmpfs, &goal.tmpfs, Clone::clone);
    drift.number("shm_size", found.shm_size, goal.shm_size);
    let ulimit = |limit: &crate::model::Ulimit| format!("{}:{}", limit.soft, limit.hard);
    drift.map("ulimits", &found.ulimits, &goal.ulimits, ulimit);
    drift.number("oom_score_adj", found.oom_score_adj, goal.oom_score_adj);
    drift.number("memory", found.memory, goal.memory);
    drift.set("cap_add", &found.cap_add, &goal.cap_add);
    drift.set("cap_drop", &found.cap_drop, &goal.cap_drop);
    let policy = |spec: &ContainerSpec| format!("{:?}", spec.restart);
    drift.text("restart", &policy(found), &policy(goal));
    drift.number("stop_grace", found.stop_grace, goal.stop_grace);
    drift.text("stop_signal", &found.stop_signal, &goal.stop_signal);
    let logs = |spec: &ContainerSpec| format!("{} x {}", spec.logs.max_file, spec.logs.max_size);
    drift.text("logs", &logs(found), &logs(goal));
    drift.labels(&found.labels, &goal.labels);
    drift.reasons
}

/// A tag that means another image than the one that the container was made from.
pub(super) fn retagged(
    context: &Context<'_>,
    found: &ContainerSpec,
    goal: &ContainerSpec,
    made_from: &str,
    image: &ImageReading,
) -> Option<Reason> {
    let ImageReading::Present { id } = image else {
        return None;
    };
    let same_tag = found.image == goal.image;
    (same_tag && id != made_from && !context.ignores("image"))
        .then(|| Reason::field("image id", short(made_from), short(id)))
}

struct Drift<'a> {
    context: &'a Context<'a>,
    reasons: Vec<Reason>,
}

impl Drift<'_> {
    fn number<N: Copy + ToString>(&mut self, name: &str, old: N, new: N) {
        self.text(name, &old.to_string(), &new.to_string());
    }

    fn text(&mut self, name: &str, old: &str, new: &str) {
        if old != new && !self.context.ignores(name) {
            self.reasons
                .push(Reason::field(name, or_none(old), or_none(new)));
        }
    }

    /// Sets of words; their order means nothing, and neither does a `CAP_` before them.
    fn set(&mut self, name: &str, old: &[String], new: &[String]) {
        let plain = |words: &[String]| -> BTreeSet<String> {
            let upper = words.iter().map(|word| word.to_uppercase());
            upper
                .map(|word| word.strip_prefix("CAP_").unwrap_or(&word).to_owned())
                .collect()
        };
        let text = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join(" ");
        self.text(name, &text(plain(old)), &text(plain(new)));
    }

    /// Maps by key: each entry that differs is a reason of its own, `env.PGDATA`.
    fn map<V: PartialEq + Debug>(
        &mut self,
        name: &str,
        old: &BTreeMap<String, V>,
        new: &BTreeMap<String, V>,
        show: impl Fn(&V) -> String,
    ) {
        if self.context.ignores(name) {
            return;
        }
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let (before, after) = (old.get(key), new.get(key));
            if before != after {
                let shown = |value: Option<&V>| value.map_or("none".to_owned(), &show);
                let field = format!("{name}.{key}");
                self.text(&field, &shown(before), &shown(after));
            }
        }
    }

    /// All labels: the reading leaves out those of the image and the owner's mark, and has one
    /// for what no declaration can say. What it was made with has a reason of its own.
    fn labels(&mut self, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        let others = |labels: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            labels
                .iter()
                .filter(|(name, _)| *name != LABEL_USES)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        if let Some(uses) = new.get(LABEL_USES)
            && old.get(LABEL_USES) != Some(uses)
            && !self.context.ignores("uses")
        {
            self.reasons.push(Reason::Stale {
                uses: "what it was made with".to_owned(),
            });
        }
        self.map("labels", &others(old), &others(new), Clone::clone);
    }
}

fn mount(mount: &Mount) -> String {
    let how = if mount.read_only { "ro" } else { "rw" };
    format!("{} ({how})", mount.source)
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

/// An image's id as people read it: 12 characters, as `docker images` shows.
fn short(id: &str) -> &str {
    let digest = id.strip_prefix("sha256:").unwrap_or(id);
    digest.get(..12).unwrap_or(digest)
}
