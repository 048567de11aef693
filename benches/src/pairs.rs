//! Pairs of trivial resources, as Terraform's own `terraform_data` are made in pairs.

use kbz_infra::ident::{StackName, Urn};
use kbz_infra::primitive::File;
use kbz_infra::program::{DeclareExt as _, Program, ProgramError, Settings, Stack};

use crate::generated::hosts;

/// A program of `count` pairs: two small files on one of five hosts, the second after the first.
pub fn paired(count: usize) -> Result<Program, ProgramError> {
    let mut stack = Stack::new(StackName::new("paired")?, Settings::new("."));
    let hosts = hosts()?;
    for number in 0..count {
        let (host, _) = &hosts[number % hosts.len()];
        let first = format!("/etc/first-{number}");
        let before = Urn::on(File::KIND, host, &first);
        let content = format!("{number}\n");
        drop(stack.add(File::on(host, first).content(content.clone())));
        let second = File::on(host, format!("/etc/second-{number}")).content(content);
        drop(stack.add(second.after([before])));
    }
    stack.finish()
}

/// The same for Terraform: the second takes its input from the first.
pub fn terraform(count: usize) -> String {
    let pair = |number| {
        format!(
            "resource \"terraform_data\" \"first_{number}\" {{\n  input = \"{number}\"\n}}\n\
             resource \"terraform_data\" \"second_{number}\" {{\n  \
             input = terraform_data.first_{number}.output\n}}\n"
        )
    };
    (0..count).map(pair).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_sides_have_as_many_resources() {
        let ours = super::paired(3).map(|program| program.declarations.resources.len());
        assert_eq!(ours.ok(), Some(6));
        let theirs = super::terraform(3);
        assert_eq!(theirs.matches("resource ").count(), 6);
        assert_eq!(theirs.matches(".output").count(), 3);
    }
}
