//! The attributes, read and checked; all mistakes at once, each at its place.

use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Error, Fields, Generics, Ident, LitStr, Result};

/// A struct as a resource.
pub(crate) struct Description {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) kind: LitStr,
    pub(crate) host: Option<Ident>,
    pub(crate) name: Ident,
    pub(crate) fields: Vec<Field>,
}

/// One field that is part of the description.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) secret: bool,
    pub(crate) change: Change,
}

/// What a change of a field does.
pub(crate) enum Change {
    /// The object is made anew.
    Replace,
    /// The object is updated; the variant of `Impact`.
    Update(&'static str),
}

/// The words for impacts and the variants that they stand for.
const IMPACTS: [(&str, &str); 6] = [
    ("none", "None"),
    ("reload", "Reload"),
    ("restart", "Restart"),
    ("switchover", "Switchover"),
    ("recreate", "Recreate"),
    ("data-loss", "DataLoss"),
];

impl Description {
    /// Reads the attributes of a struct.
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let named = named_fields(input)?;
        let mut errors = Errors::default();
        let head = errors.take(Head::of(input));
        let mut fields = Vec::new();
        for field in named {
            let read = errors.take(FieldOptions::of(field));
            if let (Some(ident), Some(options)) = (&field.ident, read) {
                fields.push((ident.clone(), options));
            }
        }
        let known: Vec<&Ident> = named
            .iter()
            .filter_map(|field| field.ident.as_ref())
            .collect();
        let mut find = |given: &LitStr| errors.take(find_field(given, &known));
        let host = head
            .as_ref()
            .and_then(|head| head.host.as_ref())
            .map(&mut find);
        let name = head.as_ref().and_then(|head| find(&head.name));
        errors.finish()?;
        let (Some(head), Some(name)) = (head, name) else {
            return Err(Error::new(
                input.ident.span(),
                "the attributes cannot be read",
            ));
        };
        let host = host.flatten();
        let described = fields.into_iter().filter(|(ident, options)| {
            !options.skip && Some(ident) != host.as_ref() && *ident != name
        });
        Ok(Self {
            ident: input.ident.clone(),
            generics: input.generics.clone(),
            kind: head.kind,
            fields: described
                .map(|(ident, options)| options.into_field(ident))
                .collect(),
            host,
            name,
        })
    }
}

fn named_fields(
    input: &DeriveInput,
) -> Result<&syn::punctuated::Punctuated<syn::Field, syn::Token![,]>> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(&fields.named),
            Fields::Unnamed(_) | Fields::Unit => Err(Error::new(
                input.ident.span(),
                "a resource is a struct with named fields: their names are shown to people",
            )),
        },
        Data::Enum(_) | Data::Union(_) => Err(Error::new(
            input.ident.span(),
            "only a struct can be a resource",
        )),
    }
}

fn find_field(given: &LitStr, known: &[&Ident]) -> Result<Ident> {
    let wanted = given.value();
    known
        .iter()
        .find(|ident| ident.to_string() == wanted)
        .map(|ident| (*ident).clone())
        .ok_or_else(|| Error::new(given.span(), format!("there is no field `{wanted}`")))
}

/// `#[resource(kind = "...", host = "...", name = "...")]` on the struct.
struct Head {
    kind: LitStr,
    host: Option<LitStr>,
    name: LitStr,
}

impl Head {
    fn of(input: &DeriveInput) -> Result<Self> {
        let (mut kind, mut host, mut name) = (None, None, None);
        read(&input.attrs, |meta| {
            let slot = match word(meta).as_str() {
                "kind" => &mut kind,
                "host" => &mut host,
                "name" => &mut name,
                _ => return Err(meta.error("expected `kind`, `host` or `name`")),
            };
            set(slot, meta)
        })?;
        let missing = |what: &str| {
            let example = "#[resource(kind = \"motd\", host = \"host\", name = \"path\")]";
            Error::new(
                input.ident.span(),
                format!("the resource has no {what}: write {example}"),
            )
        };
        let kind = kind.ok_or_else(|| missing("`kind`"))?;
        check_kind(&kind)?;
        Ok(Self {
            kind,
            host,
            name: name.ok_or_else(|| missing("`name`"))?,
        })
    }
}

/// A kind is a DNS label, as `kbz_infra::ident::Kind` checks when the program runs.
fn check_kind(kind: &LitStr) -> Result<()> {
    let text = kind.value();
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edges = text.starts_with('-') || text.ends_with('-');
    if text.is_empty() || text.len() > 63 || edges || !text.chars().all(inner) {
        return Err(Error::new(
            kind.span(),
            "a kind has 1 to 63 lower-case letters, digits and inner hyphens",
        ));
    }
    Ok(())
}

/// What is said of one field.
#[derive(Default)]
struct FieldOptions {
    secret: bool,
    replace: bool,
    skip: bool,
    impact: Option<LitStr>,
}

impl FieldOptions {
    fn of(field: &syn::Field) -> Result<Self> {
        let mut options = Self::default();
        read(&field.attrs, |meta| match word(meta).as_str() {
            "secret" => flag(&mut options.secret, meta),
            "replace" => flag(&mut options.replace, meta),
            "skip" => flag(&mut options.skip, meta),
            "impact" => set(&mut options.impact, meta),
            _ => Err(meta.error("expected `secret`, `replace`, `impact = \"...\"` or `skip`")),
        })?;
        options.check(field)?;
        Ok(options)
    }

    fn check(&self, field: &syn::Field) -> Result<()> {
        let said = self.secret || self.replace || self.impact.is_some();
        if self.skip && said {
            let why = "a field that is skipped is no part of the description: nothing else can \
                       be said of it";
            let place = field.ident.as_ref().map_or(field.span(), Ident::span);
            return Err(Error::new(place, why));
        }
        if let Some(impact) = &self.impact {
            if self.replace {
                let why = "a field that replaces the object has no impact of its own: it is \
                           `recreate`";
                return Err(Error::new(impact.span(), why));
            }
            variant(impact)?;
        }
        Ok(())
    }

    fn into_field(self, ident: Ident) -> Field {
        let impact = self.impact.as_ref().and_then(|impact| variant(impact).ok());
        let change = if self.replace {
            Change::Replace
        } else {
            Change::Update(impact.unwrap_or("None"))
        };
        Field {
            ident,
            secret: self.secret,
            change,
        }
    }
}

fn variant(impact: &LitStr) -> Result<&'static str> {
    let given = impact.value();
    let known = IMPACTS.iter().find(|(word, _)| *word == given);
    known.map(|(_, variant)| *variant).ok_or_else(|| {
        let words: Vec<String> = IMPACTS
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        let why = format!("`{given}` is no impact: there are {}", words.join(", "));
        Error::new(impact.span(), why)
    })
}

/// Hands every entry of every `#[resource(...)]` to `entry`.
fn read(
    attributes: &[syn::Attribute],
    mut entry: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    for attribute in attributes {
        if attribute.path().is_ident("resource") {
            attribute.parse_nested_meta(|meta| entry(&meta))?;
        }
    }
    Ok(())
}

fn word(meta: &ParseNestedMeta<'_>) -> String {
    meta.path
        .get_ident()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn set(slot: &mut Option<LitStr>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if slot.is_some() {
        return Err(meta.error("this is said twice"));
    }
    *slot = Some(meta.value()?.parse()?);
    Ok(())
}

fn flag(slot: &mut bool, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if *slot {
        return Err(meta.error("this is said twice"));
    }
    *slot = true;
    Ok(())
}

/// Gathers errors, so that all are shown at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                match &mut self.0 {
                    Some(all) => all.combine(error),
                    None => self.0 = Some(error),
                }
                None
            }
        }
    }

    fn finish(&mut self) -> Result<()> {
        match self.0.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
