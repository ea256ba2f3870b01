//! A port that stays one's own while nothing listens there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// A port of 127.0.0.1. While nobody listens, connections are refused, and the system gives the port to nobody else: a
/// stand-in that is away for a while comes back where it was.
#[derive(Debug)]
pub struct ReservedPort {
    /// Bound and never listening. On Linux it shares the address with the one that listens, as both allow it
    /// (`SO_REUSEADDR`); other systems refuse that, and there the port is free meanwhile.
    _bound: Option<TcpSocket>,
    address: SocketAddr,
}

impl ReservedPort {
    /// That port, or a free one for 0.
    ///
    /// # Errors
    /// When somebody listens there.
    pub fn reserve(port: u16) -> io::Result<Self> {
        let bound = TcpSocket::new_v4()?;
        bound.set_reuseaddr(true)?;
        bound.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let address = bound.local_addr()?;
        Ok(Self { _bound: cfg!(target_os = "linux").then_some(bound), address })
    }

    /// Its address, whether somebody listens there or not.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there.
    ///
    /// # Errors
    /// When somebody does already.
    pub async fn listen(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.address).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_port_refuses_and_is_nobody_elses_while_nothing_listens() {
        let port = ReservedPort::reserve(0).unwrap();
        let others: Vec<_> = (0..200).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let theirs: BTreeSet<_> = others.iter().map(|other| other.local_addr().unwrap()).collect();
        assert!(!theirs.contains(&port.address()));
        for _ in 0..2 {
            let refused = TcpStream::connect(port.address()).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            let listener = port.listen().await.unwrap();
            assert!(port.listen().await.is_err(), "there is one already");
            let (ours, _) = tokio::join!(TcpStream::connect(port.address()), listener.accept());
            assert_eq!(ours.unwrap().peer_addr().unwrap(), port.address());
        }
    }
}
