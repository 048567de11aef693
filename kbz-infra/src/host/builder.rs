//! Builds an image on the operator's machine from a context that is data.

use std::collections::{HashMap, VecDeque};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures::TryStreamExt as _;

use super::read;
use crate::diag::error_chain;
use crate::effect::RunContext;
use crate::model::BuildContext;

/// How many lines of a failing build are told.
const TAIL: usize = 20;

/// How long a build may take.
const DEADLINE: std::time::Duration = std::time::Duration::from_hours(1);

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// The context cannot be packed.
    #[error("the context cannot be packed")]
    Context(#[from] std::io::Error),
    /// The engine does not answer.
    #[error("the Docker engine does not answer: {0}")]
    Engine(String),
    /// A step failed.
    #[error("{step}\n{tail}\n{why}")]
    Step {
        /// The step, as the builder counts them.
        step: String,
        /// The last lines that it printed.
        tail: String,
        /// What the builder said.
        why: String,
    },
}

/// Builds the image, unless the engine has one with its tag.
pub(super) async fn build(
    docker: &Docker,
    context: &BuildContext,
    run: &RunContext,
) -> Result<(), BuildError> {
    let reference = context.reference();
    let known = read::image_id(docker, &reference).await;
    if known.map_err(BuildError::Engine)?.is_some() {
        return Ok(());
    }
    let args: HashMap<&str, &str> = context
        .args
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let options = BuildImageOptionsBuilder::new()
        .t(&reference)
        .dockerfile("Dockerfile")
        .buildargs(&args)
        .rm(true)
        .forcerm(true)
        .build();
    let docker = docker.clone().with_timeout(DEADLINE);
    let body = bollard::body_full(archive(context)?.into());
    let mut told = Told::new(&reference, run);
    let mut lines = docker.build_image(options, None, Some(body));
    loop {
        match lines.try_next().await {
            Ok(Some(info)) => told.hear(&info)?,
            Ok(None) => return Ok(()),
            Err(Error::DockerStreamError { error }) => return Err(told.failed(error)),
            Err(Error::DockerResponseServerError { message, .. }) => {
                return Err(told.failed(message));
            }
            Err(error) => return Err(BuildError::Engine(error_chain(&error))),
        }
    }
}

/// The context as a tar archive: the same files give the same bytes.
fn archive(context: &BuildContext) -> Result<Vec<u8>, std::io::Error> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, file) in &context.files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(file.content.len()).unwrap_or(u64::MAX));
        header.set_mode(if file.executable { 0o755 } else { 0o644 });
        header.set_mtime(0);
        archive.append_data(&mut header, path, file.content.as_bytes())?;
    }
    archive.into_inner()
}

/// What the builder has told so far.
struct Told<'a> {
    reference: &'a str,
    run: &'a RunContext,
    step: String,
    tail: VecDeque<String>,
}

impl<'a> Told<'a> {
    fn new(reference: &'a str, run: &'a RunContext) -> Self {
        Self {
            reference,
            run,
            step: String::new(),
            tail: VecDeque::new(),
        }
    }

    fn hear(&mut self, info: &BuildInfo) -> Result<(), BuildError> {
        for line in info.stream.iter().flat_map(|text| text.lines()) {
            let line = line.trim_end();
            if line.starts_with("Step ") {
                line.clone_into(&mut self.step);
                self.tail.clear();
                let (reference, step) = (self.reference, self.step.as_str());
                self.run
                    .progress
                    .say(&format!("builds {reference}: {step}"));
            } else if !line.is_empty() {
                self.tail.push_back(line.to_owned());
                if self.tail.len() > TAIL {
                    self.tail.pop_front();
                }
            }
        }
        let error = info
            .error_detail
            .as_ref()
            .and_then(|detail| detail.message.clone());
        match error {
            Some(error) => Err(self.failed(error)),
            None => Ok(()),
        }
    }

    fn failed(&self, why: String) -> BuildError {
        let tail: Vec<&str> = self.tail.iter().map(String::as_str).collect();
        BuildError::Step {
            step: self.step.clone(),
            tail: tail.join("\n"),
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::ContextFile;

    #[test]
    fn the_same_context_packs_into_the_same_bytes() {
        let file = |content: &str, executable| ContextFile {
            content: content.to_owned(),
            executable,
        };
        let context = BuildContext {
            repository: "kbz/patroni".to_owned(),
            version: "17".to_owned(),
            files: BTreeMap::from([
                ("Dockerfile".to_owned(), file("FROM x\n", false)),
                ("bin/run".to_owned(), file("#!/bin/sh\n", true)),
            ]),
            args: BTreeMap::new(),
        };
        let packed = archive(&context).unwrap();
        assert_eq!(packed, archive(&context).unwrap());
        let mut archive = tar::Archive::new(packed.as_slice());
        let modes = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, entry.header().mode().unwrap())
        });
        let expected = [
            ("Dockerfile".to_owned(), 0o644),
            ("bin/run".to_owned(), 0o755),
        ];
        assert_eq!(modes.collect::<Vec<_>>(), expected);
    }
}
