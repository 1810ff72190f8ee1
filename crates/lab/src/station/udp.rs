use std::net::SocketAddr;
use std::sync::Arc;

use ringfence_model::address::IpFamily;
use socket2::Type;

use super::datagram::Datagrams;
use super::{any, domain};
use crate::dns::Names;
use crate::error::LabError;
use crate::namespace::Namespace;

pub(super) fn listen(
    namespace: &Namespace,
    family: IpFamily,
    port: u16,
) -> Result<Datagrams, LabError> {
    let refused = |error| LabError::kernel(namespace.name(), format!("UDP port {port}"), error);
    let socket = namespace.socket(domain(family), Type::DGRAM, 0)?;
    if family == IpFamily::V6 {
        socket.set_only_v6(true).map_err(refused)?;
    }
    let address = SocketAddr::new(any(family), port);
    socket.bind(&address.into()).map_err(refused)?;
    Datagrams::new(namespace, family, socket)
}

/// Answers names where it is asked for them, and sends everything else back.
pub(super) async fn serve(socket: Datagrams, zone: Option<Arc<Names>>) {
    loop {
        let Ok(received) = socket.receive().await else {
            // What an earlier answer met is told here, and is no reason to stop.
            tokio::task::yield_now().await;
            continue;
        };
        let answer = zone.as_ref().and_then(|zone| zone.answer(&received.bytes));
        let bytes = answer.unwrap_or(received.bytes);
        // Who asked waits no longer than it wants to.
        let _ = socket.send(&bytes, received.from, received.to).await;
    }
}
