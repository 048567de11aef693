//! From a recipe to an image in the engine.

use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use bollard::query_parameters::{
    CreateImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures::{StreamExt, TryStreamExt};
use rustix::process::{Pid, Signal};
use tempfile::NamedTempFile;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio_util::io::ReaderStream;

use super::{Recipe, ToolError, ensure_mmdebstrap};
use crate::engine::{Engine, EngineError, FileEntry, is_status, pack, request};
use crate::event::{Events, LabEvent};
use crate::filelock::{FileLock, LockError};

/// Documentation and translations are a third of an image and serve nobody in a lab.
const LEFT_OUT: [&str; 4] = [
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
];
const BUFFER: usize = 256 * 1024;

/// An image could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RootfsError {
    /// The tool is missing.
    #[error("images are made with mmdebstrap")]
    Tool(#[from] ToolError),
    /// The engine refused.
    #[error("could not make image {image}")]
    Engine {
        /// The image.
        image: String,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// Another run's lock could not be waited for.
    #[error("could not wait for another run that makes the same image")]
    Lock(#[from] LockError),
    /// The recipe's files could not be handed over, or the tool could not be run.
    #[error("could not run mmdebstrap for image {image}")]
    Io {
        /// The image.
        image: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The tool failed.
    #[error("mmdebstrap failed for image {image} ({status}): {output}")]
    Failed {
        /// The image.
        image: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
}

/// Makes the image of a recipe unless the engine has it, and returns its name and tag.
pub async fn ensure(
    engine: &Engine,
    recipe: &Recipe,
    events: &Events,
) -> Result<String, RootfsError> {
    let image = recipe.image();
    if exists(engine, &image).await? {
        events.send(LabEvent::ImageCached {
            image: image.clone(),
        });
        return Ok(image);
    }
    let lock = format!("image-{}-{}", recipe.name, recipe.digest());
    let _lock = FileLock::acquire(&lock, events).await?;
    if exists(engine, &image).await? {
        events.send(LabEvent::ImageCached {
            image: image.clone(),
        });
        return Ok(image);
    }
    let started = Instant::now();
    let packages = recipe.packages.len();
    events.send(LabEvent::ImageBuilding {
        image: image.clone(),
        packages,
    });
    build(engine, recipe, &image, events).await?;
    events.send(LabEvent::ImageBuilt {
        image: image.clone(),
        took: started.elapsed(),
    });
    Ok(image)
}

async fn exists(engine: &Engine, image: &str) -> Result<bool, RootfsError> {
    match engine.docker().inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(error) if is_status(&error, 404) => Ok(false),
        Err(error) => Err(RootfsError::Engine {
            image: image.to_owned(),
            source: request(format!("look for image {image}"))(error),
        }),
    }
}

/// The image gets its tag only after the tool has succeeded: a half one is never found.
async fn build(
    engine: &Engine,
    recipe: &Recipe,
    image: &str,
    events: &Events,
) -> Result<(), RootfsError> {
    let tool = ensure_mmdebstrap(events).await?;
    let io = |source| RootfsError::Io {
        image: image.to_owned(),
        source,
    };
    let overlay = write_overlay(recipe).map_err(io)?;
    let mut child = command(&tool, recipe, &overlay).spawn().map_err(io)?;
    let mut group = ToolGroup::of(&child);
    let (stdout, stderr) = pipes(&mut child).map_err(io)?;
    let (imported, output) = futures::join!(
        import(engine, recipe, stdout),
        follow(stderr, image, events)
    );
    let status = child.wait().await.map_err(io)?;
    group.ended();
    // An engine that refuses closes the stream, of which the tool then dies: its word first.
    let id = imported.map_err(of(image))?;
    if !status.success() {
        remove(engine, &id).await.map_err(of(image))?;
        return Err(RootfsError::Failed {
            image: image.to_owned(),
            status,
            output,
        });
    }
    tag(engine, &id, recipe).await.map_err(of(image))
}

/// Tells a tool that is not needed any more to stop. It then removes its half-made file
/// system, which a hard kill would leave behind.
struct ToolGroup(Option<Pid>);

impl ToolGroup {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for ToolGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One that has ended by itself cannot be told any more.
            let _ = rustix::process::kill_process_group(group, Signal::TERM);
        }
    }
}

fn of(image: &str) -> impl FnOnce(EngineError) -> RootfsError {
    let image = image.to_owned();
    move |source| RootfsError::Engine { image, source }
}

fn write_overlay(recipe: &Recipe) -> std::io::Result<NamedTempFile> {
    let files: Vec<FileEntry> = recipe
        .files
        .iter()
        .map(|file| FileEntry::new(&file.path, file.mode, file.content.clone()))
        .collect();
    let overlay = NamedTempFile::with_prefix("kbz-lab-overlay-")?;
    std::fs::write(overlay.path(), pack(&files)?)?;
    Ok(overlay)
}

fn command(tool: &std::path::Path, recipe: &Recipe, overlay: &NamedTempFile) -> Command {
    let mut command = Command::new(tool);
    command
        .arg("--variant=minbase")
        .arg(format!("--include={}", recipe.packages.join(",")))
        .args(LEFT_OUT.map(|option| format!("--dpkgopt={option}")))
        .arg(format!(
            "--customize-hook=tar-in {} /",
            overlay.path().display()
        ))
        .args(recipe.customize.iter().map(|script| {
            format!(
                "--customize-hook=chroot \"$1\" sh -e -c {}",
                shell_quote(script)
            )
        }))
        .args([recipe.suite.as_str(), "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // The tool signals its whole process group when it fails.
        .process_group(0);
    command
}

fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn pipes(child: &mut Child) -> std::io::Result<(ChildStdout, ChildStderr)> {
    let missing = || std::io::Error::other("the tool's output is not connected");
    Ok((
        child.stdout.take().ok_or_else(missing)?,
        child.stderr.take().ok_or_else(missing)?,
    ))
}

/// Streams a file system into the engine and returns the id of the nameless image.
async fn import(
    engine: &Engine,
    recipe: &Recipe,
    stdout: ChildStdout,
) -> Result<String, EngineError> {
    let mut changes = vec![format!("LABEL {}={}", crate::IMAGE_LABEL, recipe.name)];
    changes.extend(recipe.instructions.iter().cloned());
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .changes(changes)
        .build();
    let body = bollard::body_try_stream(ReaderStream::with_capacity(stdout, BUFFER));
    let said: Vec<_> = engine
        .docker()
        .create_image(Some(options), Some(body), None)
        .try_collect()
        .await
        .map_err(request(format!("import {}", recipe.image())))?;
    let id = said.into_iter().rev().find_map(|line| line.status);
    id.ok_or_else(|| EngineError::Request {
        doing: format!("import {}", recipe.image()),
        source: Box::new(bollard::errors::Error::IOError {
            err: std::io::Error::other("the engine named no image"),
        }),
    })
}

/// Reports the tool's progress and keeps its last lines for an error.
async fn follow(stderr: ChildStderr, image: &str, events: &Events) -> String {
    let mut lines = tokio_stream_lines(stderr);
    let mut last = std::collections::VecDeque::new();
    while let Some(line) = lines.next().await {
        events.send(LabEvent::ImageProgress {
            image: image.to_owned(),
            line: line.clone(),
        });
        if last.len() == 8 {
            last.pop_front();
        }
        last.push_back(line);
    }
    last.make_contiguous().join("; ")
}

fn tokio_stream_lines(stderr: ChildStderr) -> impl futures::Stream<Item = String> + Unpin {
    let lines = BufReader::new(stderr).lines();
    Box::pin(futures::stream::unfold(lines, |mut lines| async {
        // A line that is no text ends the progress, never the build.
        lines
            .next_line()
            .await
            .ok()
            .flatten()
            .map(|line| (line, lines))
    }))
}

async fn tag(engine: &Engine, id: &str, recipe: &Recipe) -> Result<(), EngineError> {
    let repository = format!("{}/{}", super::REPOSITORY, recipe.name);
    let options = TagImageOptionsBuilder::new()
        .repo(&repository)
        .tag(&recipe.digest())
        .build();
    let tagged = engine.docker().tag_image(id, Some(options)).await;
    tagged.map_err(request(format!("tag {}", recipe.image())))
}

async fn remove(engine: &Engine, id: &str) -> Result<(), EngineError> {
    let options = RemoveImageOptionsBuilder::new().force(true).build();
    let removed = engine.docker().remove_image(id, Some(options), None).await;
    removed
        .map(drop)
        .map_err(request(format!("remove the half image {id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_survives_quoting() {
        assert_eq!(shell_quote("echo 'a b'"), r"'echo '\''a b'\'''");
    }
}
