//! Plans in files: `preview --out` and `up --plan`.

use std::path::Path;

use super::Call;
use crate::cli::error::Failed;
use crate::cli::looked::Looked;
use crate::plan::Step;
use crate::probe::Probe;
use crate::state::{SavedPlan, SavedPlanError};

impl Call<'_> {
    /// Keeps a plan in a file.
    pub(super) fn save(&self, looked: &Looked, file: &Path) -> Result<(), Failed> {
        let session = &self.session;
        let records = session.recall()?.records;
        let probes = |step: &Step| -> Vec<Probe> {
            let declared = session.graph.node(&step.urn);
            let declared = declared.map(|node| node.resource.probes());
            let recorded = records.get(&step.urn);
            declared
                .or_else(|| recorded.map(|record| record.removal.probes.clone()))
                .unwrap_or_default()
        };
        let saved = SavedPlan::new(
            &session.environment.name,
            looked.plan.clone(),
            session.graph.groups(),
            &probes,
            &looked.observation,
            &session.program.vault,
        );
        saved.write(file, &session.program.vault)?;
        let file = file.display();
        self.screen.say(&format!(
            "kept in {file}; `up --plan {file}` carries it out"
        ));
        Ok(())
    }

    /// A plan that was kept, if it is for this stack here.
    pub(super) fn saved(&self, file: &Path) -> Result<SavedPlan, Failed> {
        let session = &self.session;
        let (stack, vault) = (session.graph.stack(), &session.program.vault);
        let saved = SavedPlan::read(file, stack, &session.environment.name, vault);
        Ok(saved?)
    }
}

impl From<SavedPlanError> for Failed {
    fn from(error: SavedPlanError) -> Self {
        let help = match &error {
            SavedPlanError::File(_) => None,
            SavedPlanError::Missing(_) => Some("`preview --out FILE` makes one"),
            SavedPlanError::Other { .. } => {
                Some("name its environment with --env, or preview again with --out")
            }
            SavedPlanError::Format { .. } | SavedPlanError::Altered { .. } => {
                Some("preview again: `preview --out FILE`")
            }
        };
        let what = crate::diag::error_chain(&error);
        match help {
            Some(help) => Self::with_help("kbz::plan::saved", what, help),
            None => Self::new("kbz::plan::saved", what),
        }
    }
}
