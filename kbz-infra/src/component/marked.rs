//! Files in which secrets are references: from serde structs and from templates.

use serde::{Serialize, Serializer};

use crate::secret::Text;
use crate::secret::{Form, InvalidSecretRef, SecretRef};

/// Why a file cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The YAML writer refused a value.
    #[error("the configuration cannot be written as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
    /// The template does not fit its data.
    #[error("the template `{name}` cannot be rendered")]
    Template {
        /// The template.
        name: &'static str,
        /// What is wrong.
        #[source]
        source: Box<tera::Error>,
    },
    /// A value holds the characters that mark a secret.
    #[error("a value holds the characters ⟦ or ⟧, which mark secrets")]
    Marker(#[from] InvalidSecretRef),
}

/// A secret as a YAML scalar of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct YamlSecret<'a>(pub(crate) &'a SecretRef);

impl Serialize for YamlSecret<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.form(Form::Yaml).marker())
    }
}

/// A struct as YAML, with the secrets in it as references.
///
/// The writer may put quotes around a marker; the secret brings its own, so they go.
pub(crate) fn yaml(value: &impl Serialize) -> Result<Text, RenderError> {
    let mut options = serde_saphyr::SerializerOptions::default();
    options.prefer_block_scalars = false;
    let rendered =
        serde_saphyr::to_string_with_options(value, options).map_err(RenderError::Yaml)?;
    let unquoted = rendered
        .replace("\"⟦", "⟦")
        .replace("⟧\"", "⟧")
        .replace("'⟦", "⟦")
        .replace("⟧'", "⟧");
    Ok(Text::from_marked(&unquoted)?)
}

/// A Tera template filled in, where [`SecretRef::marker`]s in the values become references to
/// secrets. `name` stands in errors; `{{ x | json_encode }}` is not for secrets, whose form says
/// how they are quoted.
pub fn template(
    name: &'static str,
    source: &str,
    context: &impl Serialize,
) -> Result<Text, RenderError> {
    let failed = |source: tera::Error| RenderError::Template {
        name,
        source: Box::new(source),
    };
    let context = tera::Context::from_serialize(context).map_err(failed)?;
    let rendered = tera::Tera::one_off(source, &context, false).map_err(failed)?;
    Ok(Text::from_marked(&rendered)?)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::secret::Vault;

    #[test]
    fn a_secret_in_yaml_is_quoted_once() {
        #[derive(Serialize)]
        struct File<'a> {
            password: YamlSecret<'a>,
            flag: &'a str,
        }
        let secret = SecretRef::new("PASS");
        let text = yaml(&File {
            password: YamlSecret(&secret),
            flag: "no",
        })
        .unwrap();
        let mut vault = Vault::new();
        vault.insert("PASS", SecretString::from("o'n: \"x\" # y".to_owned()));
        let resolved = text.resolve(&vault).unwrap();
        assert_eq!(
            resolved.as_str(),
            "password: \"o'n: \\\"x\\\" # y\"\nflag: \"no\"\n"
        );
    }

    #[test]
    fn a_template_that_lacks_a_value_is_an_error() {
        #[derive(Serialize)]
        struct Nothing {}
        assert!(template("t", "{{ missing }}", &Nothing {}).is_err());
    }
}
