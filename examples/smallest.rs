//! The smallest stack: one file on one host.

#![expect(clippy::disallowed_macros, reason = "an example shows what it did")]

use std::process::ExitCode;

use examples::{AnyError, rehearse};
use kbz_infra::prelude::*;

fn smallest(stack: &mut Stack) -> Result<()> {
    let host = HostName::new("haproxy-01")?;
    stack.add(
        File::on(&host, "/etc/motd")
            .content("managed by kbz-infra\n")
            .mode(0o644),
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<ExitCode, AnyError> {
    let rehearsal = rehearse(smallest).await?;
    for step in &rehearsal.first.steps {
        println!("{} {}", step.op.mark(), step.urn);
    }
    Ok(if rehearsal.second.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_file_is_made_once() {
        let rehearsal = rehearse(smallest).await.unwrap();
        let steps: Vec<String> = rehearsal
            .first
            .steps
            .iter()
            .map(|step| step.urn.to_string())
            .collect();
        assert_eq!(steps, ["file@haproxy-01:/etc/motd"]);
        assert!(rehearsal.second.is_empty(), "{:?}", rehearsal.second.steps);
    }
}
