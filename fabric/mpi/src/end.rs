//! A rank's end of the private communicator: what is on its way out and in.
//!
//! **Invariant**: every buffer that MPI may still read or write is owned here and not moved or freed
//! before its request is complete; never, when the peer has died. Messages of one rank are handed
//! over in the order in which they were sent. Nothing here blocks but [`End::barrier`]. Where user code was taken
//! out of MPI, nothing goes this way any more: the lifelines are left.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::mem::{self, MaybeUninit};

use fabric::abi::Arrival;
use mpi::ffi;

use crate::call::check;
use crate::layer;

/// The one tag in use: the packets themselves say what they are.
const TAG: c_int = 0;

/// See the module.
pub(crate) struct End {
    comm: ffi::MPI_Comm,
    sends: Vec<Transfer>,
    receives: VecDeque<Transfer>,
    /// What [`End::probe`] announced and [`End::take`] hands over.
    arrived: Option<Vec<u8>>,
    lost: Vec<u32>,
    /// The barrier of [`End::say_leaving`].
    leaving: Option<ffi::MPI_Request>,
}

/// A message that MPI reads from or writes to.
struct Transfer {
    peer: u32,
    request: ffi::MPI_Request,
    bytes: Vec<u8>,
    complete: bool,
}

impl End {
    pub(crate) fn new(comm: ffi::MPI_Comm) -> End {
        End {
            comm,
            sends: Vec::new(),
            receives: VecDeque::new(),
            arrived: None,
            lost: Vec::new(),
            leaving: None,
        }
    }

    /// The private communicator, on which nothing but tag 0 is ever sent.
    pub(crate) fn comm(&self) -> ffi::MPI_Comm {
        self.comm
    }

    /// MPI 4.1, 6.3 `MPI_Barrier`.
    pub(crate) fn barrier(&mut self) -> Result<(), String> {
        // SAFETY: the communicator is valid until `free`.
        check("MPI_Barrier", unsafe { ffi::PMPI_Barrier(self.comm) })
    }

    /// MPI 4.1, 3.7.2 `MPI_Isend`, of a copy. The caller has checked rank and length.
    pub(crate) fn send(&mut self, to: u32, bytes: &[u8]) -> Result<(), String> {
        in_order()?;
        if self.lost.contains(&to) {
            return Ok(());
        }
        let too_much = |_| format!("{} bytes to rank {to}: more than one MPI message holds", bytes.len());
        let count = c_int::try_from(bytes.len()).map_err(too_much)?;
        let peer = c_int::try_from(to).map_err(too_much)?;
        let mut send = Transfer::with(to, bytes.to_vec());
        // SAFETY: the buffer is on the heap, is owned by `send` and stays until the request is
        // complete; the communicator is valid.
        let code = unsafe {
            let buffer = send.bytes.as_ptr().cast();
            ffi::PMPI_Isend(buffer, count, ffi::RSMPI_UINT8_T, peer, TAG, self.comm, &mut send.request)
        };
        check("MPI_Isend", code)?;
        // Most packets are short, and complete at once.
        let tested = send.test();
        if !send.complete {
            self.sends.push(send);
        }
        tested
    }

    /// Starts to receive every message that is there; the next one that is complete, if any.
    pub(crate) fn probe(&mut self) -> Result<Option<Arrival>, String> {
        in_order()?;
        // A probe that finds nothing moves MPI along and may return before it looks again, so one
        // miss says little.
        while self.receive()? || self.receive()? {}
        let mut waiting: Vec<u32> = Vec::new();
        for index in 0..self.receives.len() {
            let receive = &mut self.receives[index];
            receive.test()?;
            if receive.complete && !waiting.contains(&receive.peer) {
                let from = receive.peer;
                self.arrived = self.receives.remove(index).map(|receive| receive.bytes);
                let length = self.arrived.as_ref().map_or(0, Vec::len);
                return Ok(Some(Arrival { from, length }));
            }
            waiting.push(receive.peer);
        }
        Ok(None)
    }

    /// The message that `probe` announced.
    pub(crate) fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        match self.arrived.take() {
            Some(message) if message.len() == length => Ok(message),
            _ => Err(format!("no message of {length} bytes was announced")),
        }
    }

    /// Completes sends; how many remain.
    pub(crate) fn progress(&mut self) -> Result<usize, String> {
        in_order()?;
        for send in &mut self.sends {
            send.test()?;
        }
        self.sends.retain(|send| !send.complete);
        Ok(self.sends.len())
    }

    /// Gives up every transfer with a dead rank.
    pub(crate) fn lose(&mut self, rank: u32) {
        self.lost.push(rank);
        let (dead, sends) = mem::take(&mut self.sends).into_iter().partition(|send| send.peer == rank);
        self.sends = sends;
        give_up(dead);
        let (dead, receives): (Vec<_>, _) =
            mem::take(&mut self.receives).into_iter().partition(|one| one.peer == rank && !one.complete);
        self.receives = receives.into();
        give_up(dead);
    }

    /// MPI 4.1, 6.12.1 `MPI_Ibarrier`: this rank sends nothing more.
    pub(crate) fn say_leaving(&mut self) -> Result<(), String> {
        // SAFETY: the communicator is valid; the request is kept until it is complete.
        unsafe {
            let mut request = ffi::RSMPI_REQUEST_NULL;
            check("MPI_Ibarrier", ffi::PMPI_Ibarrier(self.comm, &mut request))?;
            self.leaving = Some(request);
        }
        Ok(())
    }

    /// Whether every rank is leaving and nothing is under way. What still arrives is dropped.
    pub(crate) fn all_leave(&mut self) -> Result<bool, String> {
        while self.probe()?.is_some() {
            self.arrived = None;
        }
        let pending = self.progress()?;
        if let Some(request) = &mut self.leaving
            && test(request)?
        {
            self.leaving = None;
        }
        Ok(self.leaving.is_none() && pending == 0 && self.receives.is_empty())
    }

    /// MPI 4.1, 7.4.3 `MPI_Comm_free`.
    pub(crate) fn free(mut self) -> Result<(), String> {
        // SAFETY: nothing is under way on the communicator, and it is not used again.
        check("MPI_Comm_free", unsafe { ffi::PMPI_Comm_free(&mut self.comm) })
    }

    /// Leaves everything under way to the end of the process.
    pub(crate) fn abandon(mut self) {
        give_up(mem::take(&mut self.sends));
        give_up(mem::take(&mut self.receives).into());
    }

    /// MPI 4.1, 3.8.2 `MPI_Improbe`, 3.8.3 `MPI_Imrecv`: whether another message was there.
    fn receive(&mut self) -> Result<bool, String> {
        let mut status = MaybeUninit::<ffi::MPI_Status>::zeroed();
        let (mut found, mut count) = (0, 0);
        // SAFETY: the communicator is valid and the out-pointers live. `status` is plain data, valid
        // when zeroed, and filled when a message was found. The receive's buffer has `count` bytes,
        // is on the heap and stays until its request is complete.
        unsafe {
            let mut message = ffi::RSMPI_MESSAGE_NULL;
            let (source, tag) = (ffi::RSMPI_ANY_SOURCE, ffi::RSMPI_ANY_TAG);
            let code =
                ffi::PMPI_Improbe(source, tag, self.comm, &mut found, &mut message, status.as_mut_ptr());
            check("MPI_Improbe", code)?;
            if found == 0 {
                return Ok(false);
            }
            let byte = ffi::RSMPI_UINT8_T;
            check("MPI_Get_count", ffi::PMPI_Get_count(status.as_ptr(), byte, &mut count))?;
            let from = status.assume_init_ref().MPI_SOURCE;
            let odd = |_| format!("MPI_Improbe found {count} bytes of rank {from}");
            let length = usize::try_from(count).map_err(odd)?;
            let mut receive = Transfer::with(u32::try_from(from).map_err(odd)?, vec![0; length]);
            let buffer = receive.bytes.as_mut_ptr().cast();
            let code = ffi::PMPI_Imrecv(buffer, count, byte, &mut message, &mut receive.request);
            check("MPI_Imrecv", code)?;
            self.receives.push_back(receive);
        }
        Ok(true)
    }
}

/// Fails when MPI is not to be called any more.
fn in_order() -> Result<(), String> {
    if layer::has_left() { Err("a call was left in which a rank had died".to_owned()) } else { Ok(()) }
}

impl Transfer {
    fn with(peer: u32, bytes: Vec<u8>) -> Transfer {
        // SAFETY: a constant.
        Transfer { peer, request: unsafe { ffi::RSMPI_REQUEST_NULL }, bytes, complete: false }
    }

    fn test(&mut self) -> Result<(), String> {
        if !self.complete {
            self.complete = test(&mut self.request)?;
        }
        Ok(())
    }
}

/// MPI 4.1, 3.7.3 `MPI_Test`.
fn test(request: &mut ffi::MPI_Request) -> Result<bool, String> {
    let mut complete = 0;
    // SAFETY: the request is valid, and becomes null when it is complete.
    let code = unsafe { ffi::PMPI_Test(request, &mut complete, ffi::RSMPI_STATUS_IGNORE) };
    check("MPI_Test", code)?;
    Ok(complete != 0)
}

/// MPI may touch these buffers as long as the process lives, so they stay.
fn give_up(transfers: Vec<Transfer>) {
    mem::forget(transfers);
}
