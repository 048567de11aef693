//! Removes single objects of the engine; one that is gone is fine.

use bollard::query_parameters::{RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder};

use crate::engine::{Engine, EngineError, gone_is_fine, request};
use crate::event::{Events, LabEvent};

/// Removes a container, running or not.
pub(crate) async fn remove_container(
    engine: &Engine,
    id: &str,
    name: &str,
    events: &Events,
) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    let gone = gone_is_fine(engine.docker().remove_container(id, Some(options)).await)
        .map_err(request(format!("remove container {name}")))?;
    if gone {
        events.send(LabEvent::Removed {
            what: format!("container {name}"),
        });
    }
    Ok(())
}

/// Removes a volume that no container uses any more.
pub(crate) async fn remove_volume(
    engine: &Engine,
    name: &str,
    events: &Events,
) -> Result<(), EngineError> {
    let options = RemoveVolumeOptionsBuilder::new().build();
    let gone = gone_is_fine(engine.docker().remove_volume(name, Some(options)).await)
        .map_err(request(format!("remove volume {name}")))?;
    if gone {
        events.send(LabEvent::Removed {
            what: format!("volume {name}"),
        });
    }
    Ok(())
}
