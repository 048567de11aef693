//! Commands that read the world and change nothing: `preview`, `why`, `doctor`.

use std::mem::ManuallyDrop;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::{Call, Head, as_json};
use crate::cli::args::{Chosen, FAILED, PENDING, View};
use crate::cli::error::Failed;
use crate::cli::looked::Looked;
use crate::cli::screen::Screen;
use crate::cli::way::{Purpose, Way};
use crate::cli::{doctor, why};
use crate::diag::Finding;
use crate::plan::{Forecast, Plan, Request, Selection};
use crate::state::Holder;

/// A plan as JSON.
#[derive(Serialize)]
struct Previewed<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    plan: &'a Plan,
    forecast: &'a Forecast,
    warnings: Vec<&'a Finding>,
    /// Who holds the state and is not known to be dead.
    held_by: Option<&'a Holder>,
}

impl Call<'_> {
    /// `preview`.
    pub(in crate::cli) async fn preview(
        &self,
        view: View,
        chosen: &Chosen,
        detailed: bool,
        out: Option<&Path>,
    ) -> Result<ExitCode, Failed> {
        let (way, looked) = self.look(chosen).await?;
        // Nor is what was read: see `look`.
        let looked = ManuallyDrop::new(looked);
        if self.screen.json {
            Screen::result(&as_json(&Previewed {
                head: self.head("previewed", &way),
                plan: &looked.plan,
                forecast: &looked.forecast,
                warnings: self.warnings(&looked),
                held_by: looked.held_by.as_ref(),
            })?);
        } else {
            Screen::result(&self.drawn(&looked, &way, "preview", view));
        }
        let odd = looked.proved()?;
        if !self.screen.json {
            self.screen.findings(odd);
        }
        if let Some(file) = out {
            self.save(&looked, file)?;
        }
        Ok(
            match (looked.plan.is_empty(), looked.plan.stuck.is_empty()) {
                (true, _) => ExitCode::SUCCESS,
                (_, false) => ExitCode::from(FAILED),
                _ if detailed => ExitCode::from(PENDING),
                _ => ExitCode::SUCCESS,
            },
        )
    }

    /// `why`.
    pub(in crate::cli) async fn why(&self, resource: &str) -> Result<ExitCode, Failed> {
        let urn = why::declared(&self.session.graph, resource)?;
        let (way, looked) = self.look(&Chosen::default()).await?;
        way.tell_remark();
        let answer = why::Answer::of(&urn, &self.session.graph, &looked.plan);
        Screen::result(&if self.screen.json {
            as_json(&answer)?
        } else {
            answer.draw(self.screen.result_style)
        });
        Ok(ExitCode::SUCCESS)
    }

    /// Reads and plans everything; where no plan is, it is known what was seen.
    async fn examine(&self) -> Result<(Way, Looked), Failed> {
        let recalled = self.recall()?;
        // Nor is this: see `look`.
        let remembered = ManuallyDrop::new(recalled.records);
        let way = self.way(Purpose::Look).await?;
        let all = Selection::default();
        let looked = self
            .session
            .examine(&way.interpreter, &remembered, None, Request::Up, &all)
            .await;
        Ok((way, looked))
    }

    /// `doctor`.
    pub(in crate::cli) async fn doctor(&self) -> Result<ExitCode, Failed> {
        let (way, looked) = self.examine().await?;
        way.tell_remark();
        let checks = doctor::checks(&self.session, &looked);
        Screen::result(&doctor::draw(&checks, self.screen));
        let well = checks.iter().all(|check| check.fault.is_none());
        Ok(if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        })
    }
}
