use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringfence_model::address::IpFamily;
use socket2::{Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{any, domain};
use crate::dns::Names;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::on_link::AtInterface;

/// Nobody keeps a listener busy for longer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn listen(
    namespace: &Namespace,
    family: IpFamily,
    port: u16,
) -> Result<TcpListener, LabError> {
    let refused = |error| LabError::kernel(namespace.name(), format!("TCP port {port}"), error);
    let socket = namespace.socket(domain(family), Type::STREAM, 0)?;
    if family == IpFamily::V6 {
        socket.set_only_v6(true).map_err(refused)?;
    }
    let address = SocketAddr::new(any(family), port);
    started(&socket, address).map_err(refused)?;
    TcpListener::from_std(socket.into()).map_err(refused)
}

/// Listens at one interface only.
pub(super) fn listen_at(at: &AtInterface) -> Result<TcpListener, LabError> {
    let what = format!("{} at {}", at.address, at.interface);
    let refused = |error| LabError::kernel(at.namespace.name(), &what, error);
    let socket = at.namespace.socket(domain(IpFamily::V6), Type::STREAM, 0)?;
    // An address of a link is none without the link.
    let bound = socket.bind_device(Some(at.interface.as_bytes()));
    bound.map_err(refused)?;
    socket.set_only_v6(true).map_err(refused)?;
    started(&socket, SocketAddr::new(at.address.into(), at.port)).map_err(refused)?;
    TcpListener::from_std(socket.into()).map_err(refused)
}

fn started(socket: &Socket, address: SocketAddr) -> std::io::Result<()> {
    socket.set_reuse_address(true)?;
    // A host-networked pod may listen on the port that its node has on the links of pods.
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)
}

/// Answers web requests with a page, names where it is asked for them, and sends
/// everything else back.
pub(super) async fn serve(listener: TcpListener, name: String, zone: Option<Arc<Names>>) {
    let name: Arc<str> = name.into();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (name, zone) = (Arc::clone(&name), zone.clone());
                tokio::spawn(async move {
                    // A client that leaves early is its own affair.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, &name, zone)).await;
                });
            }
            // Out of files, for a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    name: &str,
    zone: Option<Arc<Names>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 2048];
    let mut length = 0;
    loop {
        let free = buffer.get_mut(length..).unwrap_or_default();
        if free.is_empty() {
            return Ok(());
        }
        let read = stream.read(free).await?;
        if read == 0 {
            return Ok(());
        }
        length += read;
        let so_far = buffer.get(..length).unwrap_or_default();
        if is_web_request(so_far) {
            if so_far.windows(4).any(|four| four == b"\r\n\r\n") {
                stream.write_all(page(name).as_bytes()).await?;
                return stream.shutdown().await;
            }
            continue;
        }
        if let Some(zone) = &zone {
            let question = so_far.get(2..).unwrap_or_default();
            let wanted = so_far.first().zip(so_far.get(1));
            let wanted = wanted.map_or(0, |(a, b)| usize::from(u16::from_be_bytes([*a, *b])));
            // No question is as long as that.
            if wanted <= 1024 && question.len() < wanted {
                continue;
            }
            if let Some(answer) = zone.answer(question) {
                let size = u16::try_from(answer.len()).unwrap_or(u16::MAX);
                stream.write_all(&size.to_be_bytes()).await?;
                stream.write_all(&answer).await?;
                length = 0;
                continue;
            }
        }
        stream.write_all(so_far).await?;
        length = 0;
    }
}

fn is_web_request(bytes: &[u8]) -> bool {
    [&b"GET "[..], b"HEAD ", b"POST "]
        .iter()
        .any(|method| bytes.starts_with(method))
}

fn page(name: &str) -> String {
    let body = format!("Answered by {name} in the Ringfence lab.\n");
    format!(
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}
