//! What a site said, made fit to be shown.

use crate::diag::cleaned;
use crate::effect::{Action, EffectError, RunContext};
use crate::probe::Site;

/// How much of what a site said is shown: the end, where the reason stands.
const LINES: usize = 24;
const BYTES: usize = 4000;

/// `text` without secrets, without what a terminal would obey, and short.
pub(in crate::host) fn tidy(run: &RunContext, text: &str) -> String {
    let text = cleaned(&run.vault.redact(text));
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let first = lines.len().saturating_sub(LINES);
    let text = lines[first..].join("\n");
    let cut = text.len().saturating_sub(BYTES);
    let start = (cut..text.len()).find(|index| text.is_char_boundary(*index));
    text[start.unwrap_or(0)..].trim().to_owned()
}

/// A site said no.
pub(in crate::host) fn failed(what: impl Into<String>, said: impl Into<String>) -> EffectError {
    EffectError::Failed {
        what: what.into(),
        said: said.into(),
    }
}

/// An action at a site that cannot do it: a defect of the kind that planned it.
pub(in crate::host) fn misplaced(site: &Site, action: &Action) -> EffectError {
    let action = format!("{action:?}");
    let name = action.split([' ', '(', '{']).next().unwrap_or_default();
    failed(name, format!("{site} is no place for it"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretString;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::effect::Progress;
    use crate::ident::StackName;
    use crate::secret::Vault;

    #[test]
    fn what_is_shown_is_clean_and_short() {
        let mut vault = Vault::new();
        vault.insert("PASS", SecretString::from("hunter2hunter2".to_owned()));
        let run = RunContext {
            stack: StackName::new("keybuzz").unwrap(),
            run: 1,
            vault: Arc::new(vault),
            progress: Progress::none(),
            cancel: CancellationToken::new(),
        };
        let text = format!(
            "{}\u{1b}[31mbad password hunter2hunter2\n",
            "é\n".repeat(9000)
        );
        let shown = tidy(&run, &text);
        assert!(shown.ends_with("bad password (secret PASS)"), "{shown}");
        assert!(shown.lines().count() <= LINES);
        assert!(tidy(&run, &"é".repeat(9000)).len() <= BYTES);
        assert_eq!(tidy(&run, ""), "");
    }
}
