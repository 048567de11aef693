//! Ports on the machine's loopback.
//!
//! A lab keeps the ports that its containers have; a new container gets the preferred
//! port where it is free, and any free one otherwise.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};

use bollard::models::ContainerInspectResponse;
use thiserror::Error;

use crate::container::Port;
use crate::spec::Publish;

/// No port could be had.
#[derive(Debug, Error)]
#[error("could not find a free port on 127.0.0.1")]
pub struct PortError(#[from] std::io::Error);

/// Ports chosen in one run. Chosen ones stay bound until all are chosen, so that none is
/// chosen twice.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    held: Vec<TcpListener>,
}

impl Ports {
    /// A port on the machine for each wanted one; `kept` are those of the container that
    /// is there already.
    pub(crate) fn choose(
        &mut self,
        wanted: &[Publish],
        kept: &HashMap<u16, u16>,
    ) -> Result<Vec<Port>, PortError> {
        wanted
            .iter()
            .map(|publish| match kept.get(&publish.port) {
                Some(port) => Ok((publish.port, *port)),
                None => Ok((publish.port, self.free(publish.preferred)?)),
            })
            .collect()
    }

    fn free(&mut self, preferred: u16) -> Result<u16, PortError> {
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = bind(preferred).or_else(|_| bind(0))?;
        let port = listener.local_addr()?.port();
        self.held.push(listener);
        Ok(port)
    }
}

/// The 127.0.0.1 ports that a container has, by its own port.
pub(crate) fn published(container: &ContainerInspectResponse) -> HashMap<u16, u16> {
    let bindings = container
        .host_config
        .as_ref()
        .and_then(|host| host.port_bindings.as_ref());
    bindings
        .into_iter()
        .flatten()
        .filter_map(|(inside, outside)| {
            let inside = inside.split('/').next()?.parse().ok()?;
            let outside = outside
                .as_ref()?
                .first()?
                .host_port
                .as_ref()?
                .parse()
                .ok()?;
            Some((inside, outside))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_and_a_kept_one_stays() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let preferred = taken.local_addr().unwrap().port();
        let wanted = [
            Publish { port: 1, preferred },
            Publish { port: 2, preferred },
        ];
        let kept = HashMap::from([(2, preferred)]);
        let chosen = Ports::default().choose(&wanted, &kept).unwrap();
        assert_ne!(chosen[0].1, preferred);
        assert_eq!(chosen[1], (2, preferred));
    }

    #[test]
    fn one_free_port_is_not_chosen_twice() {
        let wanted = [
            Publish {
                port: 1,
                preferred: 0,
            },
            Publish {
                port: 2,
                preferred: 0,
            },
        ];
        let chosen = Ports::default().choose(&wanted, &HashMap::new()).unwrap();
        assert_ne!(chosen[0].1, chosen[1].1);
    }
}
