//! Makes a credentials file, and completes an older one.

use rand::CryptoRng;
use rand::distr::{Alphanumeric, SampleString as _};
use zeroize::Zeroizing;

use super::super::InputErrors;
use super::super::input::name_of;
use super::place::Place;
use super::variables::{Holds, Variable};
use super::{Credentials, file};
use crate::diag::{Finding, SourceLocation, listed};

/// 40 letters and digits carry 238 bits, and need quotes in no file, command or URL.
const PASSWORD_LENGTH: usize = 40;

const HEADER: &str = "\
# Credentials of this stack: mode 600, never in Git.
# Their only copy is this file: keep it in your password store too.
";

/// Reads a file that holds all of `variables`, or makes or completes it.
pub(super) fn load_or_generate(
    place: Place<'_>,
    variables: &[Variable],
    random: &mut impl CryptoRng,
) -> Result<Credentials, InputErrors> {
    let _lock = file::locked_folder(place.path)?;
    let name = name_of(place.path);
    let (text, made) = if let Some(text) = place.read()? {
        (text, None)
    } else {
        let every: Vec<_> = variables.iter().collect();
        let text = Zeroizing::new(HEADER.to_owned() + &lines(&every, random));
        place.replace(&text)?;
        (text, Some(generated(&name)))
    };
    let (mut credentials, lacking) = Credentials::parse_with_gaps(name.as_str(), &text, variables)?;
    if !lacking.is_empty() {
        let text = completed(&text, &lacking, random);
        // Nothing is written that could not be read back.
        credentials = Credentials::parse_whole(name.as_str(), &text, variables)?;
        place.replace(&text)?;
        credentials.notices.push(added(&name, &lacking));
    }
    credentials.notices.extend(made);
    Ok(credentials)
}

fn lines(variables: &[&Variable], random: &mut impl CryptoRng) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for variable in variables {
        text.push_str(variable.name);
        text.push('=');
        match variable.holds {
            Holds::Password => {
                text.push_str(&Zeroizing::new(
                    Alphanumeric.sample_string(random, PASSWORD_LENGTH),
                ));
            }
            Holds::Role | Holds::Database | Holds::Cluster | Holds::User => {
                text.push_str(variable.initial);
            }
        }
        text.push('\n');
    }
    text
}

/// The text as it is, and behind it the variables that it lacks.
fn completed(text: &str, lacking: &[&Variable], random: &mut impl CryptoRng) -> Zeroizing<String> {
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let added = lines(lacking, random);
    let comment = "# Added when they were first needed:";
    Zeroizing::new(format!("{text}{end}\n{comment}\n{}", *added))
}

fn generated(name: &str) -> Finding {
    Finding::advice(
        "kbz::credentials::generated",
        format!("{name} was made with random passwords"),
    )
    .label(SourceLocation::new(name, 1, 1, 1).withhold(), "")
    .help("keep a copy in your password store: it is the only place that holds them")
}

fn added(name: &str, lacking: &[&Variable]) -> Finding {
    let names = listed(lacking.iter().map(|variable| variable.name));
    Finding::advice(
        "kbz::credentials::added",
        format!("{names} were added to {name}"),
    )
    .label(SourceLocation::new(name, 1, 1, 1).withhold(), "")
    .help("update the copy in your password store")
}
