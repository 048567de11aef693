//! Small graphs for tests: resources that state claims and do nothing.

use std::sync::Arc;

use super::{ComponentNode, Declarations, Graph, Node};
use crate::effect::Removal;
use crate::ident::{Place, StackName, Urn};
use crate::probe::Probe;
use crate::resource::{Claim, Context, Options, PlanError, Planned, Resource};

/// A resource that is always as declared, and states claims.
#[derive(Debug, Clone)]
pub(crate) struct Stated {
    urn: Urn,
    claims: Vec<Claim>,
}

impl Resource for Stated {
    fn urn(&self) -> Urn {
        self.urn.clone()
    }

    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        Ok(Planned {
            goal: context.keyed(&crate::ident::Digest::of(self.urn.to_string())),
            change: None,
        })
    }

    fn removal(&self) -> Removal {
        Removal::default()
    }

    fn summary(&self) -> String {
        String::new()
    }

    fn claims(&self) -> Vec<Claim> {
        self.claims.clone()
    }
}

/// A program as text, and what its declarations state; each stands where a piece of the text
/// stands.
#[derive(Debug)]
pub(crate) struct Program {
    text: &'static str,
    declarations: Declarations,
}

impl Program {
    /// The file that its declarations are in.
    pub(crate) const FILE: &'static str = "stacks/example.rs";

    pub(crate) fn new(text: &'static str) -> Self {
        Self {
            text,
            declarations: Declarations {
                stack: StackName::new("example").unwrap(),
                resources: Vec::new(),
                components: Vec::new(),
                groups: Vec::new(),
                statements: Vec::new(),
            },
        }
    }

    /// The place of the first `piece` of the text.
    fn place(&self, piece: &str) -> Place {
        let at = self
            .text
            .find(piece)
            .unwrap_or_else(|| panic!("no `{piece}`"));
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.lines().last().unwrap_or_default().chars().count() + 1;
        let column = if before.ends_with('\n') { 1 } else { column };
        Place {
            file: Self::FILE.into(),
            line: u32::try_from(line).unwrap(),
            column: u32::try_from(column).unwrap(),
        }
    }

    /// Declares a resource at `piece`.
    pub(crate) fn states(
        self,
        piece: &str,
        urn: &str,
        claims: impl IntoIterator<Item = Claim>,
    ) -> Self {
        self.resource(piece, urn, None, &[], claims)
    }

    /// Declares a resource as part of a component, after others.
    pub(crate) fn resource(
        mut self,
        piece: &str,
        urn: &str,
        parent: Option<&str>,
        after: &[&str],
        claims: impl IntoIterator<Item = Claim>,
    ) -> Self {
        let urn: Urn = urn.parse().unwrap();
        let node = Node {
            resource: Arc::new(Stated {
                urn: urn.clone(),
                claims: claims.into_iter().collect(),
            }),
            options: Arc::new(Options {
                depends_on: after.iter().map(|urn| urn.parse().unwrap()).collect(),
                ..Options::default()
            }),
            parent: parent.map(|urn| urn.parse().unwrap()),
            declared: self.place(piece),
        };
        self.declarations.resources.push((urn, node));
        self
    }

    /// Declares a component at `piece`.
    pub(crate) fn component(mut self, piece: &str, urn: &str, parent: Option<&str>) -> Self {
        let node = ComponentNode {
            parent: parent.map(|urn| urn.parse().unwrap()),
            declared: self.place(piece),
            claims: Vec::new(),
            summary: String::new(),
        };
        self.declarations
            .components
            .push((urn.parse().unwrap(), node));
        self
    }

    pub(crate) fn graph(&self) -> Graph {
        Graph::new(self.declarations.clone()).unwrap()
    }
}

impl crate::diag::SourceReader for Program {
    fn read(&self, file: &str) -> Option<String> {
        (file == Self::FILE).then(|| self.text.to_owned())
    }
}
