//! The lab by itself, without a program that describes what runs in it.

use std::process::ExitCode;

use clap::Parser;
use kbz_lab::cli::{LabCommand, LabProgram};
use miette::IntoDiagnostic;

/// Production on one machine: hosts, bastion and load balancer as containers.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: LabCommand,
}

#[tokio::main]
async fn main() -> miette::Result<ExitCode> {
    let program = LabProgram::current(&[]).into_diagnostic()?;
    Arguments::parse().command.run(&program).await
}
