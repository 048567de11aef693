//! A plan in a file, to be carried out later exactly as it was previewed.
//!
//! Beside the plan stands what each step was decided from, as keyed hashes: what its probes
//! answered, and what the registry of its host held of it. Before it is carried out, the same is
//! read again. A step is refused where that has moved since, with all that waits for it; one that
//! has been done since, by an earlier run of the same file, is not done again.
//!
//! The file holds no secret. Its first line has the format and a keyed hash of the rest, so a
//! plan that was altered, or made with other credentials, is refused.
//!
//! Limits: where a site did not answer because it was still to be made, nothing is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::atomic::{self, FileError};
use super::ground::{Ground, is_registry};
use super::proof::{Fate, Image, Proof};
use super::snapshot::FormatError;
use crate::effect::Action;
use crate::ident::{Digest, StackName};
use crate::plan::{Plan, Step, StepId, StuckBy};
use crate::probe::{Observation, Probe, Query, Registry, Seen};
use crate::resource::{Group, Op};
use crate::secret::{KeyedHash, Vault};

/// Only the operator reads it.
const PRIVATE: u32 = 0o600;
/// The version of the format.
const SCHEMA: u32 = 1;

/// Why a saved plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SavedPlanError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no such file.
    #[error("there is no file {0}")]
    Missing(String),
    /// Not a plan, or one of a later format.
    #[error("the plan in {file} {why}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong.
        why: FormatError,
    },
    /// Not what was written, or written with another key.
    #[error("the plan in {file} was altered, or was made with other credentials")]
    Altered {
        /// The file.
        file: String,
    },
    /// A plan for something else.
    #[error("the plan in {file} is for {found}, not for {wanted}")]
    Other {
        /// The file.
        file: String,
        /// What it is for.
        found: String,
        /// What is worked on.
        wanted: String,
    },
}

/// A plan with what is needed to carry it out later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    stack: StackName,
    environment: String,
    /// What is done.
    pub plan: Plan,
    /// The groups that its order was proved for, and is proved for again.
    pub groups: Vec<Group>,
    expected: BTreeMap<StepId, Expected>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    #[serde(rename = "kbz-plan")]
    schema: u32,
    hash: KeyedHash,
}

/// What a step was decided from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Expected {
    readings: Vec<(Probe, KeyedHash)>,
    /// What its host's registry held of its object.
    marked: Option<KeyedHash>,
}

/// What has become of the steps of a saved plan since it was made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Since {
    /// The steps that must not be done, and why.
    pub refused: BTreeMap<StepId, StuckBy>,
    /// The steps that have been done.
    pub done: BTreeSet<StepId>,
}

impl SavedPlan {
    /// A plan that was made from `observation`; `probes` says what a step was decided from.
    pub fn new(
        environment: &str,
        plan: Plan,
        groups: &[Group],
        probes: &dyn Fn(&Step) -> Vec<Probe>,
        observation: &Observation,
        vault: &Vault,
    ) -> Self {
        let mut expected = BTreeMap::new();
        let ground = Ground::of(&plan, observation, vault);
        for step in &plan.steps {
            let asked: BTreeSet<Probe> = probes(step)
                .into_iter()
                .chain(proofs(step, vault).into_iter().map(|proof| proof.probe))
                // Who leads is proved anew, whatever else the cluster says.
                .filter(|probe| !is_registry(probe) && step.op != Op::Switchover)
                .collect();
            let readings = asked.into_iter().filter_map(|probe| {
                let hash = ground.hash(&probe)?;
                Some((probe, hash))
            });
            let expected_of_step = Expected {
                readings: readings.collect(),
                marked: ground.marked(&step.urn),
            };
            expected.insert(step.id, expected_of_step);
        }
        Self {
            stack: plan.stack.clone(),
            environment: environment.to_owned(),
            plan,
            groups: groups.to_vec(),
            expected,
        }
    }

    /// Writes it to a file, as a whole, for the operator's eyes alone.
    pub fn write(&self, path: &Path, vault: &Vault) -> Result<(), SavedPlanError> {
        let broken = |error: serde_json::Error| SavedPlanError::Format {
            file: path.display().to_string(),
            why: damaged(&error),
        };
        let body = serde_json::to_string_pretty(self).map_err(broken)?;
        let head = serde_json::to_string(&Head {
            schema: SCHEMA,
            hash: vault.keyed(&Digest::of(&body)),
        })
        .map_err(broken)?;
        let text = format!("{head}\n{body}\n");
        Ok(atomic::write_atomically(path, text.as_bytes(), PRIVATE)?)
    }

    /// Reads one that is for this stack and this environment.
    pub fn read(
        path: &Path,
        stack: &StackName,
        environment: &str,
        vault: &Vault,
    ) -> Result<Self, SavedPlanError> {
        let file = path.display().to_string();
        let bytes = atomic::read(path)?.ok_or_else(|| SavedPlanError::Missing(file.clone()))?;
        let (head, body) = parts(&bytes).map_err(|why| SavedPlanError::Format {
            file: file.clone(),
            why,
        })?;
        let altered = || SavedPlanError::Altered { file: file.clone() };
        let saved: Self = serde_json::from_str(body).map_err(|_| altered())?;
        if saved.stack != *stack || saved.environment != environment {
            return Err(SavedPlanError::Other {
                file,
                found: described(&saved.stack, &saved.environment),
                wanted: described(stack, environment),
            });
        }
        if vault.keyed(&Digest::of(body)) != head.hash {
            return Err(altered());
        }
        Ok(saved)
    }

    /// What has to be read to tell what has moved since.
    pub fn probes(&self, vault: &Vault) -> BTreeSet<Probe> {
        let expected = self.expected.values();
        let readings = expected.flat_map(|expected| &expected.readings);
        let steps = self.plan.steps.iter();
        let traces = steps.flat_map(|step| proofs(step, vault));
        let hosts = self.plan.steps.iter().filter_map(|step| step.urn.host());
        readings
            .map(|(probe, _)| probe.clone())
            .chain(traces.map(|proof| proof.probe))
            .chain(hosts.map(|host| Probe::host(host, Registry {})))
            .chain(self.groups.iter().flat_map(Group::probes))
            .collect()
    }

    /// What has become of each step, as far as `observation` tells.
    pub fn since(&self, observation: &Observation, vault: &Vault) -> Since {
        let mut since = Since::default();
        let ground = Ground::of(&self.plan, observation, vault);
        for step in &self.plan.steps {
            match self.moved(step, &ground) {
                Err(why) => drop(since.refused.insert(step.id, why)),
                Ok(moved) if is_done(step, &moved, &ground) => {
                    since.done.insert(step.id);
                }
                Ok(moved) if moved.is_nothing() => {}
                Ok(Moved { what, .. }) => {
                    since.refused.insert(step.id, StuckBy::Moved(what));
                }
            }
        }
        since
    }

    fn moved(&self, step: &Step, ground: &Ground<'_>) -> Result<Moved, StuckBy> {
        let nothing = Expected::default();
        let expected = self.expected.get(&step.id).unwrap_or(&nothing);
        let mut moved = Moved::default();
        for (probe, before) in &expected.readings {
            if let Some(Seen::Unreachable(outage)) = ground.observation.get(probe) {
                return Err(StuckBy::Unreachable(outage.clone()));
            }
            if ground.hash(probe).as_ref() != Some(before) {
                moved.what.push(probe.to_string());
                moved.stamp |= matches!(probe.query, Query::Stamp(_));
            }
        }
        if ground.marked(&step.urn) != expected.marked {
            moved.what.push("its mark".to_owned());
            moved.mark = true;
        }
        Ok(moved)
    }
}

/// What of a step's ground has moved.
#[derive(Default)]
struct Moved {
    what: Vec<String>,
    /// Whether the mark of its object is another, or came or went.
    mark: bool,
    /// Whether its service was started with something else.
    stamp: bool,
}

impl Moved {
    fn is_nothing(&self) -> bool {
        self.what.is_empty()
    }
}

/// Whether a step has been done since. Only a mark or a stamp that was not there before tells, or
/// an object that was not there before and is known by its content; and of a switchover, that
/// somebody else leads.
fn is_done(step: &Step, moved: &Moved, ground: &Ground<'_>) -> bool {
    let mut actions = step.effects.iter().map(|effect| &effect.action);
    let told = actions.any(|action| match action {
        Action::Mark(_) | Action::Unmark(_) => moved.mark,
        Action::Stamp { .. } => moved.stamp,
        _ => false,
    });
    let proofs = proofs(step, ground.vault);
    let appeared = |proof: &Proof| proof.before == Some(Image::Absent);
    let made = proofs.len() == step.effects.len() && proofs.iter().all(appeared);
    let telling = step.op == Op::Switchover || told || made && !moved.is_nothing();
    let happened = |proof: &Proof| proof.judge(ground.observation, ground.vault) == Fate::Happened;
    telling && proofs.iter().all(happened)
}

fn proofs(step: &Step, vault: &Vault) -> Vec<Proof> {
    let effects = step.effects.iter();
    effects
        .filter_map(|effect| Proof::of(effect, vault))
        .collect()
}

fn described(stack: &StackName, environment: &str) -> String {
    format!("the stack {stack} in the environment `{environment}`")
}

fn damaged(what: &dyn std::fmt::Display) -> FormatError {
    FormatError::Damaged {
        what: what.to_string(),
    }
}

fn parts(bytes: &[u8]) -> Result<(Head, &str), FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(&error))?;
    let no_plan = || damaged(&"it is not a plan that `preview --out` has written");
    let (head, body) = text.split_once('\n').ok_or_else(no_plan)?;
    let head: Head = serde_json::from_str(head).map_err(|_| no_plan())?;
    if head.schema > SCHEMA {
        return Err(FormatError::newer(head.schema, SCHEMA));
    }
    Ok((head, body.strip_suffix('\n').unwrap_or(body)))
}
