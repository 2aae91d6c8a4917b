//! The connection file, as Jupyter writes it for a kernel
//! ([kernels, "Connection files"](https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files)).

use std::path::Path;

use anyhow::{Context, ensure};
use fabric::message::local::Channel;
use serde::Deserialize;

/// Where the five sockets are to be and what signs their messages.
#[derive(Debug, Clone, Deserialize)]
pub struct ConnectionFile {
    #[serde(default = "tcp")]
    transport: String,
    ip: String,
    shell_port: u16,
    control_port: u16,
    stdin_port: u16,
    iopub_port: u16,
    hb_port: u16,
    /// The key of HMAC-SHA256; empty for none.
    #[serde(default)]
    pub key: String,
    #[serde(default)]
    signature_scheme: String,
}

fn tcp() -> String {
    "tcp".to_owned()
}

impl ConnectionFile {
    /// Reads a connection file.
    ///
    /// # Errors
    /// When it cannot be read, is not one, or asks for what this kernel does not have.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("no connection file `{}`", path.display()))?;
        let file: Self = serde_json::from_slice(&text)
            .with_context(|| format!("`{}` is not a Jupyter connection file", path.display()))?;
        ensure!(
            matches!(file.signature_scheme.as_str(), "" | "hmac-sha256"),
            "the connection file asks for the signature scheme `{}`: this kernel has hmac-sha256",
            file.signature_scheme
        );
        ensure!(
            matches!(file.transport.as_str(), "tcp" | "ipc"),
            "the connection file asks for the transport `{}`: this kernel has tcp and ipc",
            file.transport
        );
        Ok(file)
    }

    /// The ZeroMQ endpoint of a channel.
    #[must_use]
    pub fn endpoint(&self, channel: Channel) -> String {
        self.at(match channel {
            Channel::Shell => self.shell_port,
            Channel::Control => self.control_port,
            Channel::Stdin => self.stdin_port,
            Channel::Iopub => self.iopub_port,
        })
    }

    /// The ZeroMQ endpoint of the heartbeat.
    #[must_use]
    pub fn heartbeat(&self) -> String {
        self.at(self.hb_port)
    }

    /// The zeromq crate resolves names, so the wildcard must be spelt as an address.
    fn at(&self, port: u16) -> String {
        match (self.transport.as_str(), self.ip.as_str()) {
            ("ipc", path) => format!("ipc://{path}-{port}"),
            (_, "*" | "") => format!("tcp://0.0.0.0:{port}"),
            (_, ip) => format!("tcp://{ip}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_follow_the_transport() {
        for (transport, ip, expected) in [
            ("tcp", "127.0.0.1", "tcp://127.0.0.1:1"),
            ("tcp", "*", "tcp://0.0.0.0:1"),
            ("ipc", "/run/kernel-1", "ipc:///run/kernel-1-1"),
        ] {
            let text = format!(
                r#"{{"transport":"{transport}","ip":"{ip}","shell_port":1,"control_port":2,"stdin_port":3,
                    "iopub_port":4,"hb_port":5,"key":"k","signature_scheme":"hmac-sha256"}}"#
            );
            let file: ConnectionFile = serde_json::from_str(&text).unwrap();
            assert_eq!(file.endpoint(Channel::Shell), expected);
        }
    }
}
