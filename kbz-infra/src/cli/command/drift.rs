//! `drift`: what others have changed since it was done, put right or kept as it is found.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde::Serialize;

use super::wish::Wish;
use super::{Call, Head, as_json};
use crate::cli::args::{Chosen, DriftOptions, FAILED, PENDING};
use crate::cli::drift::{Adopted, Told, adopted as drawn_adoption, drift as drawn_drift};
use crate::cli::error::Failed;
use crate::cli::looked::Looked;
use crate::cli::preview::counted;
use crate::cli::screen::Screen;
use crate::cli::way::{Purpose, Way};
use crate::diag::Finding;
use crate::effect::Record;
use crate::graph::Graph;
use crate::ident::Urn;
use crate::plan::{Forecast, NeededBy, Pattern, Plan, Request, Selection, is_meant, remembered};
use crate::program::Overrides;
use crate::resource::{Reason, found};
use crate::state::{Holder, write_atomically};

/// How many ways an override file is readable: it holds no secret, and is kept with the program.
const READABLE: u32 = 0o644;

/// Fields with the values that they are found with.
type Fields = BTreeMap<String, String>;

/// What has drifted.
pub(super) struct Drift {
    /// What puts it right, and nothing else.
    pub(super) looked: Looked,
    /// What has drifted, of what was chosen.
    pub(super) drifted: BTreeSet<Urn>,
    /// Of that, what does not only follow from the rest.
    itself: BTreeSet<Urn>,
    /// What the program wants otherwise than it was done last.
    pub(super) pending: BTreeSet<Urn>,
}

impl Drift {
    /// What has drifted and can be put right only after a change that the program wants.
    pub(super) fn waiting(&self) -> Vec<&Urn> {
        let steps = &self.looked.plan.steps;
        let now: BTreeSet<&Urn> = steps.iter().map(|step| &step.urn).collect();
        let waiting = self.itself.iter();
        waiting.filter(|urn| !now.contains(urn)).collect()
    }
}

/// Drift as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    drifted: &'a BTreeSet<Urn>,
    pending: &'a BTreeSet<Urn>,
    plan: &'a Plan,
    forecast: &'a Forecast,
    warnings: &'a [Finding],
    /// Who holds the state and is not known to be dead.
    held_by: Option<&'a Holder>,
}

/// What was adopted, as JSON.
#[derive(Serialize)]
struct Kept<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    adopted: &'a BTreeMap<Urn, Fields>,
    refused: BTreeMap<&'a Urn, Vec<&'a Reason>>,
    /// What of it could stay but for who needs it.
    needed: &'a BTreeMap<Urn, NeededBy>,
    /// The file that was written.
    file: Option<String>,
    warnings: &'a [Finding],
    /// Who holds the state and is not known to be dead.
    held_by: Option<&'a Holder>,
}

/// What of an object's fields its kind can leave alone: what the overrides may name.
fn left_alone(graph: &Graph, urn: &Urn, mut fields: Fields) -> Fields {
    let names = graph.node(urn).and_then(|node| node.resource.field_names());
    if let Some(names) = names {
        fields.retain(|name, _| names.has(name));
    }
    fields
}

impl Call<'_> {
    /// `drift`.
    pub(in crate::cli) async fn drift(&self, options: &DriftOptions) -> Result<ExitCode, Failed> {
        let recalled = self.recall()?;
        let snapshot = recalled.records;
        let meant = Chosen {
            target: options.target.clone(),
            ..Chosen::default()
        };
        self.selection(&meant, &snapshot)?;
        if options.revert {
            return self.change(&Wish::revert(options)).await;
        }
        let way = self.way(Purpose::Look).await?;
        let looked = self.everything(&way, &snapshot).await?;
        let looked = looked.held_by(recalled.held_by);
        if options.adopt {
            return self.adopt(&way, &snapshot, &looked, options);
        }
        let drift = self.drift_of(looked, &snapshot, &options.target)?;
        if self.screen.json {
            Screen::result(&as_json(&Shown {
                head: self.head("drifted", &way),
                drifted: &drift.itself,
                pending: &drift.pending,
                plan: &drift.looked.plan,
                forecast: &drift.looked.forecast,
                warnings: &self.session.program.warnings,
                held_by: drift.looked.held_by.as_ref(),
            })?);
        } else {
            let heading = self.heading(&drift.looked, &way, "drift");
            let told = Told {
                drifted: drift.itself.len(),
                waiting: drift.waiting(),
                pending: drift.pending.len(),
            };
            let (graph, style) = (&self.session.graph, self.screen.result_style);
            let detail = options.view.detail();
            let plan = &drift.looked.plan;
            Screen::result(&drawn_drift(plan, graph, &heading, detail, &told, style));
        }
        Ok(if !drift.looked.plan.stuck.is_empty() {
            ExitCode::from(FAILED)
        } else if options.detailed_exitcode && !drift.drifted.is_empty() {
            ExitCode::from(PENDING)
        } else {
            ExitCode::SUCCESS
        })
    }

    /// Reads and plans everything.
    async fn everything(
        &self,
        way: &Way,
        snapshot: &BTreeMap<Urn, Record>,
    ) -> Result<Looked, Failed> {
        let all = Selection::default();
        let session = &self.session;
        session
            .look(&way.interpreter, snapshot, None, Request::Up, &all)
            .await
    }

    /// What of a plan for everything is drift of what is meant, with the plan that puts it right:
    /// no change that the program wants is in it, and nothing that has to wait for one.
    pub(super) fn drift_of(
        &self,
        looked: Looked,
        snapshot: &BTreeMap<Urn, Record>,
        meant: &[String],
    ) -> Result<Drift, Failed> {
        let graph = &self.session.graph;
        let drifted = self.drifted(&looked, snapshot, meant);
        let known = remembered(snapshot, &looked.observation);
        let pending = looked.plan.pending(&known);
        let itself = looked.plan.drifted_itself(&drifted, &pending);
        let selection = Selection {
            targets: drifted.iter().map(Pattern::of).collect(),
            excludes: if drifted.is_empty() {
                vec![Pattern::new("*")]
            } else {
                pending.iter().map(Pattern::of).collect()
            },
            adopted: Vec::new(),
        };
        let stuck = looked.plan.stuck.clone();
        let elapsed = looked.elapsed;
        let (observation, held_by) = (looked.observation, looked.held_by);
        let planned = self
            .session
            .planned(graph, observation, snapshot, Request::Up, &selection);
        let mut looked = planned?.taking(elapsed).held_by(held_by);
        // What does not answer may have drifted: nobody knows.
        looked.plan.stuck = stuck;
        Ok(Drift {
            looked,
            drifted,
            itself,
            pending,
        })
    }

    /// What has drifted, of what is meant.
    fn drifted(
        &self,
        looked: &Looked,
        snapshot: &BTreeMap<Urn, Record>,
        meant: &[String],
    ) -> BTreeSet<Urn> {
        let graph = &self.session.graph;
        let meant: Vec<Pattern> = meant.iter().map(Pattern::new).collect();
        let known = remembered(snapshot, &looked.observation);
        let mut drifted = looked.plan.drifted(&known);
        drifted.retain(|urn| meant.is_empty() || is_meant(&meant, graph, urn));
        drifted
    }

    /// `drift --adopt`: writes what is found into the overrides, where the kind can leave it so.
    fn adopt(
        &self,
        way: &Way,
        snapshot: &BTreeMap<Urn, Record>,
        looked: &Looked,
        options: &DriftOptions,
    ) -> Result<ExitCode, Failed> {
        let session = &self.session;
        let drifted = self.drifted(looked, snapshot, &options.target);
        let plan = &looked.plan;
        let steps = plan.steps.iter().filter(|step| drifted.contains(&step.urn));
        let mut adopted: BTreeMap<Urn, Fields> = steps
            .clone()
            .map(|step| {
                let found = found(&step.reasons, &step.details);
                (
                    step.urn.clone(),
                    left_alone(&session.graph, &step.urn, found),
                )
            })
            .filter(|(_, fields)| !fields.is_empty())
            .collect();
        // What the kinds cannot leave alone drifts still, and so does what others need.
        let graph = session.graph.clone().adopting(adopted.clone());
        let observation = looked.observation.clone();
        let all = Selection::default();
        let kept = session.planned(&graph, observation, snapshot, Request::Up, &all)?;
        let still = self.drifted(&kept, snapshot, &[]);
        let mut needed = plan.needed(&kept.plan, graph.groups());
        needed.retain(|urn, _| drifted.contains(urn) && !still.contains(urn));
        adopted.retain(|urn, _| !still.contains(urn) && !needed.contains_key(urn));
        // What only follows from what was adopted is over with it.
        let refused: BTreeMap<&Urn, Vec<&Reason>> = steps
            .filter(|step| still.contains(&step.urn) || needed.contains_key(&step.urn))
            .map(|step| (&step.urn, step.reasons.iter().collect()))
            .collect();
        let file = if options.print || adopted.is_empty() {
            None
        } else {
            Some(self.override_with(&adopted)?)
        };
        let code = if refused.is_empty() && plan.stuck.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        };
        if self.screen.json {
            Screen::result(&as_json(&Kept {
                head: self.head("adopted", way),
                adopted: &adopted,
                refused,
                needed: &needed,
                file,
                warnings: &session.program.warnings,
                held_by: looked.held_by.as_ref(),
            })?);
            return Ok(code);
        }
        let told = Adopted {
            title: format!("drift · {} · {}", session.graph.stack(), session.label()),
            fields: &adopted,
            refused: &refused,
            needed: &needed,
            file: file.as_deref(),
        };
        Screen::result(&drawn_adoption(plan, &told, self.screen.result_style));
        Ok(code)
    }

    /// Writes the overrides with what is adopted besides; the file's name.
    fn override_with(&self, adopted: &BTreeMap<Urn, Fields>) -> Result<String, Failed> {
        let session = &self.session;
        let mut overrides = session.overrides.clone();
        for (urn, fields) in adopted {
            overrides.adopt(&session.environment.name, urn, fields.clone());
        }
        let file = session.folder.join(Overrides::FILE);
        write_atomically(&file, overrides.to_toml().as_bytes(), READABLE)
            .map_err(|error| Failed::new("kbz::overrides", crate::diag::error_chain(&error)))?;
        Ok(file.display().to_string())
    }

    /// Says that nothing has drifted.
    pub(super) fn tell_no_drift(&self, pending: usize) {
        let session = &self.session;
        let pending = match pending {
            0 => String::new(),
            some => format!(
                " · {} of the program to carry out: `preview`",
                counted(some, "change")
            ),
        };
        let title = format!(
            "✓ no drift · {} · {}",
            session.graph.stack(),
            session.label()
        );
        self.screen.say(&format!("{title}{pending}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{HostName, StackName};
    use crate::primitive::{File, SwapOff};
    use crate::program::{Settings, Stack};
    use crate::resource::Resource as _;

    #[test]
    fn only_what_the_overrides_may_name_is_adopted() {
        let host = HostName::new("app-1").unwrap();
        let file = File::on(&host, "/etc/notes").content("x");
        let swap = SwapOff::on(&host);
        let (file_urn, swap_urn) = (file.urn(), swap.urn());
        let mut stack = Stack::new(StackName::new("shop").unwrap(), Settings::new("."));
        stack.add(file);
        stack.add(swap);
        let graph = Graph::new(stack.finish().unwrap().declarations).unwrap();
        let kept = |urn: &Urn, names: &[&str]| {
            let fields = names
                .iter()
                .map(|name| ((*name).to_owned(), "x".to_owned()));
            let kept = left_alone(&graph, urn, fields.collect());
            kept.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(kept(&file_urn, &["mode", "type"]), ["mode"]);
        assert!(kept(&swap_urn, &["in use"]).is_empty());
    }
}
