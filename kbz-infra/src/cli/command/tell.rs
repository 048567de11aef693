//! Commands that need no look at the hosts: `outputs`, `graph`, `state`; and `render`, which
//! takes only their facts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use super::index::not_remembered;
use super::{Call, as_json};
use crate::cli::args::{Picture, StateCommand};
use crate::cli::error::Failed;
use crate::cli::preview::counted;
use crate::cli::screen::Screen;
use crate::cli::way::{self, Purpose};
use crate::diag::{cleaned, did_you_mean, listed};
use crate::graph::picture;
use crate::ident::Urn;
use crate::secret::Text;
use crate::state::{make_directory, write_atomically};

impl Call<'_> {
    /// `outputs`.
    pub(in crate::cli) fn outputs(
        &self,
        name: Option<&str>,
        show_secrets: bool,
    ) -> Result<ExitCode, Failed> {
        self.remark_on_model();
        let exports = &self.session.program.exports;
        let mut all = BTreeMap::new();
        for export in exports {
            all.insert(
                export.name.as_str(),
                self.shown(&export.value, show_secrets)?,
            );
        }
        let Some(name) = name else {
            if self.screen.json {
                Screen::result(&as_json(&all)?);
                return Ok(ExitCode::SUCCESS);
            }
            let width = all.keys().map(|name| name.len()).max().unwrap_or_default();
            for (name, value) in all {
                Screen::result(&format!("{name:width$}  {value}\n"));
            }
            return Ok(ExitCode::SUCCESS);
        };
        let value = all.get(name).ok_or_else(|| {
            let known = || all.keys().copied();
            let help = match did_you_mean(name, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has {}", listed(known())),
            };
            let what = format!("the stack has no output `{name}`");
            Failed::with_help("kbz::cli::output", what, help)
        })?;
        Screen::result(&if self.screen.json {
            as_json(value)?
        } else {
            format!("{value}\n")
        });
        Ok(ExitCode::SUCCESS)
    }

    fn shown(&self, value: &Text, show_secrets: bool) -> Result<String, Failed> {
        if !show_secrets {
            return Ok(value.to_string());
        }
        let text = value.resolve(&self.session.program.vault);
        let text = text.map_err(|error| Failed::new("kbz::secret", error.to_string()))?;
        Ok(text.to_string())
    }

    /// `graph`.
    pub(in crate::cli) fn graph(&self, format: Picture) -> ExitCode {
        self.remark_on_model();
        let graph = &self.session.graph;
        Screen::result(&match format {
            Picture::Dot => picture::dot(graph),
            Picture::Mermaid => picture::mermaid(graph),
            Picture::Svg => picture::svg(graph),
        });
        ExitCode::SUCCESS
    }

    /// `render`.
    pub(in crate::cli) async fn render(&self, out: &Path) -> Result<ExitCode, Failed> {
        let way = self.way(Purpose::Look).await?;
        way.tell_remark();
        let files = self.session.generated(&way.interpreter).await?;
        let count = files.len();
        for (path, content) in files {
            let path = out.join(path);
            let folder = path.parent().unwrap_or(out);
            make_directory(folder)
                .and_then(|()| write_atomically(&path, content.as_bytes(), 0o644))
                .map_err(|error| Failed::new("kbz::render", crate::diag::error_chain(&error)))?;
        }
        self.screen
            .say(&format!("{} in {}", counted(count, "file"), out.display()));
        Ok(ExitCode::SUCCESS)
    }

    /// `state list` and `state show`.
    pub(super) fn remembered(&self, command: &StateCommand) -> Result<ExitCode, Failed> {
        self.remark_on_model();
        let records = self.session.recall()?.records;
        match command {
            StateCommand::List if self.screen.json => {
                Screen::result(&as_json(&records.keys().collect::<Vec<_>>())?);
            }
            StateCommand::List => {
                for urn in records.keys() {
                    Screen::result(&format!("{}\n", cleaned(&urn.to_string())));
                }
                if records.is_empty() {
                    self.screen
                        .say("nothing is remembered: `up` was not run here yet");
                }
            }
            StateCommand::Show { resource } => {
                let urn: Option<Urn> = resource.parse().ok();
                let record = urn.and_then(|urn| records.get(&urn));
                let record = record.ok_or_else(|| not_remembered(resource, &records))?;
                let shown = if self.screen.json {
                    serde_json::to_string(record)
                } else {
                    serde_json::to_string_pretty(record).map(|text| cleaned(&text))
                };
                let shown = shown.map_err(|error| Failed::new("kbz::cli::json", error.to_string()));
                Screen::result(&format!("{}\n", shown?));
            }
            // Those change what is remembered.
            StateCommand::Mv { .. }
            | StateCommand::Rm { .. }
            | StateCommand::Unlock
            | StateCommand::Rebuild => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Says that what is told is told of a model.
    fn remark_on_model(&self) {
        if let Some(remark) = way::remark(self.session.environment.kind) {
            Screen::remark(remark);
        }
    }
}
