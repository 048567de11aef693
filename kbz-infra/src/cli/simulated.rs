//! The hosts of an environment without hosts: a model that is kept between runs.
//!
//! It is read from the state folder, and written there after each effect, as real hosts keep what
//! was done to them however a run ends. What was resolved from secrets stands in the file as
//! references, so that no secret is in it; a secret that has changed since reads as what it no
//! longer is, so that its change is seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::error::Failed;
use super::session::Session;
use crate::effect::{Effect, EffectError, Interpreter, RunContext, SiteReadings};
use crate::ident::Digest;
use crate::probe::{Probe, Site};
use crate::secret::{KeyedHash, SecretRef, Segment, Text, Vault};
use crate::sim::World;
use crate::state::WorldFile;

/// Bytes of a data disk of a modelled host.
const DATA_DISK: u64 = 40 << 30;
/// The key of an object that stands for a text with secrets in it.
const TEXT: &str = "kbz-text";

/// A world as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// What each secret was, as far as that may be told.
    secrets: BTreeMap<String, KeyedHash>,
    world: Value,
}

/// Hosts as the program needs them: those that were kept, and for the rest empty ones, each with
/// its data directories on XFS.
pub(super) fn hosts(session: &Session, kept: Option<Value>) -> Result<World, Failed> {
    let hosts = session.rehearsed().hosts;
    let world = match kept {
        None => World::empty(session.graph.stack().clone(), []),
        Some(kept) => read(kept, &session.program.vault).map_err(|error| {
            let what = format!("the world that was kept cannot be used: {error}");
            let file = session.store().directory().join("world.json");
            let help = format!("move {} aside: it begins with empty hosts", file.display());
            Failed::with_help("kbz::cli::world", what, help)
        })?,
    };
    Ok(world
        .with(|universe| {
            for host in &hosts {
                universe.add_host(&host.name, host.address);
                for directory in &host.data {
                    if !universe.is_mounted(&host.name, directory) {
                        universe.mount(&host.name, directory, "xfs", DATA_DISK);
                    }
                }
            }
        })
        .paced(session.environment.pace))
}

fn read(kept: Value, vault: &Vault) -> Result<World, serde_json::Error> {
    let kept: Kept = serde_json::from_value(kept)?;
    let now = known(vault);
    let stale = |name: &str| kept.secrets.get(name) != now.get(name);
    World::from_value(shown(kept.world, vault, &stale))
}

fn written(world: &World, vault: &Vault) -> Result<Kept, serde_json::Error> {
    Ok(Kept {
        secrets: known(vault),
        world: hidden(world.to_value()?, vault),
    })
}

/// A hash of each secret, which tells whether it is still the same, and nothing else.
fn known(vault: &Vault) -> BTreeMap<String, KeyedHash> {
    let names = vault.names().filter(|name| *name != Vault::STATE_KEY);
    names
        .filter_map(|name| {
            let value = vault.resolve(&SecretRef::new(name)).ok()?;
            Some((name.to_owned(), vault.keyed(&Digest::of(value.as_bytes()))))
        })
        .collect()
}

/// The same value with references in the place of secrets.
fn hidden(value: Value, vault: &Vault) -> Value {
    each_text(value, &|text| {
        let hidden = Text::hiding(&text, vault);
        if !hidden.is_secret() {
            return Value::String(text);
        }
        let segments = serde_json::to_value(hidden).unwrap_or_default();
        Value::Object(Map::from_iter([(TEXT.to_owned(), segments)]))
    })
}

/// The same value with secrets in the place of references.
fn shown(value: Value, vault: &Vault, stale: &dyn Fn(&str) -> bool) -> Value {
    match value {
        Value::Object(object) if object.len() == 1 && object.contains_key(TEXT) => {
            let segments = object.into_iter().next().map(|(_, segments)| segments);
            let text: Text = segments
                .and_then(|segments| serde_json::from_value(segments).ok())
                .unwrap_or_default();
            let whole = text.segments().iter().map(|segment| match segment {
                Segment::Plain(text) => text.clone(),
                Segment::Secret(secret) if stale(&secret.name) => format!("an earlier {secret}"),
                Segment::Secret(secret) => vault
                    .resolve(secret)
                    .map_or_else(|_| secret.to_string(), |value| value.to_string()),
            });
            Value::String(whole.collect())
        }
        Value::Object(object) => object
            .into_iter()
            .map(|(key, value)| (key, shown(value, vault, stale)))
            .collect(),
        Value::Array(values) => values
            .into_iter()
            .map(|value| shown(value, vault, stale))
            .collect(),
        other => other,
    }
}

fn each_text(value: Value, change: &dyn Fn(String) -> Value) -> Value {
    match value {
        Value::String(text) => change(text),
        Value::Array(values) => values
            .into_iter()
            .map(|value| each_text(value, change))
            .collect(),
        Value::Object(object) => object
            .into_iter()
            .map(|(key, value)| (key, each_text(value, change)))
            .collect(),
        other => other,
    }
}

/// A modelled world that is written down after each effect, before the effect counts as done.
pub(super) struct KeptWorld {
    world: World,
    file: WorldFile,
    effects: AtomicU64,
    /// Up to which effect the file goes. Effects that wait for it together share one write.
    kept: Mutex<u64>,
}

impl KeptWorld {
    /// A world that is kept in `file` from now on.
    pub(super) fn new(world: World, file: WorldFile) -> Self {
        Self {
            world,
            file,
            effects: AtomicU64::new(0),
            kept: Mutex::new(0),
        }
    }

    async fn keep(&self, vault: &Vault) -> Result<(), EffectError> {
        let mine = self.effects.fetch_add(1, Ordering::SeqCst) + 1;
        let mut kept = self.kept.lock().await;
        if *kept >= mine {
            return Ok(());
        }
        let newest = self.effects.load(Ordering::SeqCst);
        let failed = |said: String| EffectError::Failed {
            what: "keeping the modelled hosts".to_owned(),
            said,
        };
        let world = written(&self.world, vault).map_err(|error| failed(error.to_string()))?;
        self.file
            .write(&world)
            .map_err(|error| failed(crate::diag::error_chain(&error)))?;
        *kept = newest;
        Ok(())
    }
}

#[async_trait]
impl Interpreter for KeptWorld {
    async fn read(&self, site: &Site, probes: &[Probe]) -> SiteReadings {
        self.world.read(site, probes).await
    }

    async fn run(&self, effect: &Effect, run: &RunContext) -> Result<(), EffectError> {
        let outcome = self.world.run(effect, run).await;
        // What an effect left half done is there, too.
        self.keep(&run.vault).await.and(outcome)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;

    fn vault(password: &str) -> Vault {
        let mut vault = Vault::new();
        let value = |text: &str| SecretString::from(text.to_owned());
        vault.insert(Vault::STATE_KEY, value("the key of all hashes"));
        vault.insert("PASS", value(password));
        vault
    }

    fn again(value: &Value, before: &Vault, now: &Vault) -> Value {
        let kept = hidden(value.clone(), before);
        assert!(!kept.to_string().contains("canary-one"), "{kept}");
        let (then, now_known) = (known(before), known(now));
        shown(kept, now, &|name| then.get(name) != now_known.get(name))
    }

    #[test]
    fn a_world_is_kept_without_secrets_and_comes_back_with_them() {
        let vault = vault("canary-one");
        let world = json!({"files": {"/a": ["user app\npassword \"canary-one\"\n", 7, null]}});
        assert_eq!(again(&world, &vault, &vault), world);
    }

    #[test]
    fn a_secret_that_has_changed_since_is_not_taken_for_the_new_one() {
        let world = json!(["password canary-one", "nothing secret"]);
        let found = again(&world, &vault("canary-one"), &vault("canary-two"));
        assert_eq!(
            found,
            json!(["password an earlier (secret PASS)", "nothing secret"])
        );
    }
}
