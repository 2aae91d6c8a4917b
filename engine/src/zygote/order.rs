//! What a rank has ordered, once it has been received and found possible.

use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use fabric::environment::{Changes, Environment, Variable};
use fabric::frame::Frames;
use fabric::message::zygote::Order;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};
use serde_bytes::ByteBuf;

use crate::ffi;

/// The most descriptors that one message carries (`SCM_MAX_FD`, unix(7)).
const DESCRIPTORS: usize = 253;

/// How long a rank that has connected may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Ordered {
    pub(super) environment: Vec<Variable>,
    pub(super) supervisor: Vec<ByteBuf>,
    pub(super) faults: OwnedFd,
    log: OwnedFd,
    /// What the launcher has changed.
    changes: Changes,
    /// What the rank has inherited, and its number there.
    inherited: Vec<(RawFd, OwnedFd)>,
}

impl Ordered {
    /// Receives what a rank wants, whose environment is `own` but for what launchers change.
    ///
    /// # Errors
    /// When it is of another user, says nothing or nonsense, or wants what a copy cannot have.
    pub(super) fn receive(
        rank: &UnixStream,
        listener: &UnixListener,
        own: &Environment,
    ) -> anyhow::Result<Ordered> {
        let peer = sockopt::socket_peercred(rank)?;
        ensure!(peer.uid == rustix::process::getuid(), "a process of another user");
        rank.set_read_timeout(Some(PATIENCE))?;
        let others = crate::descriptors::open();
        let received = descriptors(rank)?;
        let order: Order = Frames::default().read(&mut &*rank)?.context("no order")?;
        ensure!(received.len() == order.descriptors.len() + 2, "descriptors are missing");
        let is_other = |number| number > 2 && number != listener.as_raw_fd() && number != rank.as_raw_fd();
        let taken = order.descriptors.iter().find(|number| is_other(**number) && others.contains(number));
        if let Some(taken) = taken {
            let file = fs::read_link(format!("/proc/self/fd/{taken}")).unwrap_or_default();
            bail!("descriptor {taken} is taken here, by `{}`", file.display());
        }
        let directory = std::env::current_dir()?;
        ensure!(*order.directory == *directory.as_os_str().as_bytes(), "it works in another directory");
        let changes = own.changes(&order.environment);
        let changes = changes.map_err(|name| anyhow!("`{name}` differs in its environment"))?;
        let mut received = received.into_iter();
        let (log, faults) = (received.next().context("no log")?, received.next().context("no file")?);
        Ok(Ordered {
            environment: order.environment,
            supervisor: order.supervisor,
            faults,
            log,
            changes,
            inherited: order.descriptors.into_iter().zip(received).collect(),
        })
    }

    /// Gives this process the rank's standard streams.
    pub(super) fn take_streams(&self) -> std::io::Result<()> {
        let mut streams = self.inherited.iter().filter(|(number, _)| *number <= 2);
        streams.try_for_each(|(number, stream)| ffi::inherit_descriptor(stream.as_raw_fd(), *number))
    }

    /// Gives this process, the worker, what else the rank has, and the log to write to. Returns what is to be
    /// changed in the environment, and the descriptor for faults.
    pub(super) fn take(self) -> anyhow::Result<(Changes, RawFd)> {
        let null = fs::File::options().read(true).open("/dev/null")?;
        ffi::inherit_descriptor(null.as_raw_fd(), 0)?;
        for output in [1, 2] {
            ffi::inherit_descriptor(self.log.as_raw_fd(), output)?;
        }
        // Above all that are to be, so that none takes the place of one that is still needed.
        let above =
            self.inherited.iter().map(|(number, _)| number.saturating_add(1)).max().unwrap_or(3).max(3);
        let lift = |descriptor: OwnedFd| rustix::io::fcntl_dupfd_cloexec(descriptor, above);
        let faults = lift(self.faults)?;
        drop((null, self.log));
        let inherited = self.inherited.into_iter().filter(|(number, _)| *number > 2);
        let lifted: Vec<(RawFd, OwnedFd)> = inherited
            .map(|(number, descriptor)| Ok((number, lift(descriptor)?)))
            .collect::<rustix::io::Result<_>>()?;
        for (number, descriptor) in lifted {
            ffi::inherit_descriptor(descriptor.as_raw_fd(), number)?;
        }
        Ok((self.changes, faults.into_raw_fd()))
    }
}

/// The descriptors that come with a rank's first byte.
fn descriptors(rank: &UnixStream) -> anyhow::Result<Vec<OwnedFd>> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let (mut byte, mut beside) = ([0], RecvAncillaryBuffer::new(&mut space));
    let received = recvmsg(rank, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    ensure!(received.bytes == 1, "no order");
    let rights = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(rights.flatten().collect())
}
