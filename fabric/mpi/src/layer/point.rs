//! Receives, probes and sends (MPI 4.1, 3.2, 3.8).
//!
//! **Invariant**: a receive that ends early was cancelled and is complete, so nothing more arrives in the caller's
//! buffer. A send that ends early was of a copy, which stays for good; one that is too large for a copy is MPI's
//! alone, and does not end early.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::time::{Duration, Instant};

use mpi::ffi;

use super::escape;
use super::vigil::{On, Stop, Vigil, too_late};
use super::within::within;

/// The most that is sent as a copy, in bytes. Copying it takes less than a message does.
const COPIED: usize = 32 << 10;

/// How long a message that a dead rank had begun may keep a receive.
const FROM_THE_DEAD: Duration = Duration::from_secs(1);

const SUCCESS: c_int = ffi::MPI_SUCCESS as c_int;

thread_local! {
    /// A buffer for copies, while none is under way.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Receives by what `post` starts.
fn receive(
    comm: ffi::MPI_Comm,
    source: c_int,
    status: *mut ffi::MPI_Status,
    post: impl FnOnce(&mut ffi::MPI_Request) -> c_int,
) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(source)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    // SAFETY: a constant.
    let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
    let code = post(&mut request);
    if code != SUCCESS {
        return code;
    }
    loop {
        let mut flag = 0;
        // SAFETY: the request is active; the status is the caller's.
        let code = unsafe { ffi::PMPI_Test(&mut request, &mut flag, status) };
        if code != SUCCESS || flag != 0 {
            return code;
        }
        if let Some(stop) = vigil.pause(true) {
            return cancel(&mut request, status, stop).unwrap_or_else(|| stop.raise(comm));
        }
    }
}

/// Takes back a receive; the code of one that was complete before.
fn cancel(request: &mut ffi::MPI_Request, status: *mut ffi::MPI_Status, stop: Stop) -> Option<c_int> {
    let since = Instant::now();
    let (mut own, mut flag, mut cancelled) = (MaybeUninit::<ffi::MPI_Status>::zeroed(), 0, 0);
    // SAFETY: the request is an active receive, which MPI lets complete after it was cancelled (4.1, 3.8.4); plain
    // data is valid when zeroed; the status is the caller's, or MPI's word for none.
    unsafe {
        ffi::PMPI_Cancel(request);
        loop {
            let code = ffi::PMPI_Test(request, &mut flag, own.as_mut_ptr());
            if flag != 0 || code != SUCCESS {
                ffi::PMPI_Test_cancelled(own.as_ptr(), &mut cancelled);
                if cancelled != 0 {
                    return None;
                }
                if status != ffi::RSMPI_STATUS_IGNORE {
                    *status = own.assume_init();
                }
                if stop == Stop::Interrupted {
                    too_late();
                }
                return Some(code);
            }
            // A message has begun to arrive. A dead rank does not go on with it.
            if stop == Stop::Lost && since.elapsed() > FROM_THE_DEAD {
                return None;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// Sends a copy by what `post` starts, if it is small enough to be one, else as `whole` does.
fn send(
    buffer: *const c_void,
    count: i64,
    datatype: ffi::MPI_Datatype,
    to: c_int,
    comm: ffi::MPI_Comm,
    post: impl FnOnce(*const c_void, &mut ffi::MPI_Request) -> c_int,
    whole: impl Fn() -> c_int + Copy,
) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(to)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    let Some(copy) = copy_of(buffer, count, datatype) else { return escape::enter(comm, whole) };
    // SAFETY: a constant.
    let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
    let code = post(copy.as_ptr().cast(), &mut request);
    let code = if code == SUCCESS { sent(&mut request, &mut vigil) } else { Ok(code) };
    match code {
        Ok(code) => {
            SPARE.set(copy);
            code
        }
        Err(stop) => {
            // MPI may read it for as long as the process lives.
            mem::forget(copy);
            stop.raise(comm)
        }
    }
}

/// A copy of what is to be sent, if it is small enough.
fn copy_of(buffer: *const c_void, count: i64, datatype: ffi::MPI_Datatype) -> Option<Vec<u8>> {
    let length = length(count, datatype).filter(|length| *length <= COPIED)?;
    let mut copy = SPARE.take();
    copy.clear();
    if length > 0 {
        // SAFETY: the caller's buffer holds so many bytes, one after the other, by `length`.
        copy.extend_from_slice(unsafe { std::slice::from_raw_parts(buffer.cast(), length) });
    }
    Some(copy)
}

/// Waits for a send whose buffer is ours.
fn sent(request: &mut ffi::MPI_Request, vigil: &mut Vigil) -> Result<c_int, Stop> {
    loop {
        let mut flag = 0;
        // SAFETY: the request is active.
        let code = unsafe { ffi::PMPI_Test(request, &mut flag, ffi::RSMPI_STATUS_IGNORE) };
        if code != SUCCESS || flag != 0 {
            return Ok(code);
        }
        if let Some(stop) = vigil.pause(true) {
            return Err(stop);
        }
    }
}

/// How many bytes a buffer has, if they follow each other without gaps.
fn length(count: i64, datatype: ffi::MPI_Datatype) -> Option<usize> {
    let (mut size, mut lower, mut extent) = (0, 0, 0);
    // SAFETY: the datatype is the caller's; out-pointers live.
    unsafe {
        if ffi::PMPI_Type_size(datatype, &mut size) != SUCCESS
            || ffi::PMPI_Type_get_extent(datatype, &mut lower, &mut extent) != SUCCESS
        {
            return None;
        }
    }
    let compact = size > 0 && lower == 0 && i128::from(size) == extent as i128;
    let total = i64::from(size).checked_mul(count)?;
    // A type may be made of a gap and an overlap; only named types are sure to have neither.
    (compact && is_named(datatype)).then(|| usize::try_from(total).ok()).flatten()
}

fn is_named(datatype: ffi::MPI_Datatype) -> bool {
    let (mut integers, mut addresses, mut types, mut combiner) = (0, 0, 0, 0);
    // SAFETY: the datatype is the caller's; out-pointers live.
    let code = unsafe {
        ffi::PMPI_Type_get_envelope(datatype, &mut integers, &mut addresses, &mut types, &mut combiner)
    };
    // MPI 4.1, 5.1.13: a named type is made of nothing.
    code == SUCCESS && integers == 0 && addresses == 0 && types == 0
}

/// MPI 4.1, 3.2.4.
#[unsafe(no_mangle)]
extern "C" fn MPI_Recv(
    buffer: *mut c_void,
    count: c_int,
    datatype: ffi::MPI_Datatype,
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Recv);
    receive(comm, source, status, |request| {
        // SAFETY: the caller's arguments.
        unsafe { ffi::PMPI_Irecv(buffer, count, datatype, source, tag, comm, request) }
    })
}

/// MPI 4.1, 3.8.1.
#[unsafe(no_mangle)]
extern "C" fn MPI_Probe(
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Probe);
    let mut flag = 0;
    probe(comm, source, || {
        // SAFETY: the caller's arguments.
        let code = unsafe { ffi::PMPI_Iprobe(source, tag, comm, &mut flag, status) };
        (code, flag != 0)
    })
}

/// MPI 4.1, 3.8.2.
#[unsafe(no_mangle)]
extern "C" fn MPI_Mprobe(
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    message: *mut ffi::MPI_Message,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Mprobe);
    let mut flag = 0;
    probe(comm, source, || {
        // SAFETY: the caller's arguments.
        let code = unsafe { ffi::PMPI_Improbe(source, tag, comm, &mut flag, message, status) };
        (code, flag != 0)
    })
}

fn probe(comm: ffi::MPI_Comm, source: c_int, mut look: impl FnMut() -> (c_int, bool)) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(source)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    loop {
        let (code, found) = look();
        if code != SUCCESS || found {
            return code;
        }
        if let Some(stop) = vigil.pause(true) {
            return stop.raise(comm);
        }
    }
}

/// MPI 4.1, 3.10. The two halves are started at once, so that ranks that exchange do not wait for each other.
#[unsafe(no_mangle)]
extern "C" fn MPI_Sendrecv(
    input: *const c_void,
    count: c_int,
    datatype: ffi::MPI_Datatype,
    to: c_int,
    tag: c_int,
    output: *mut c_void,
    room: c_int,
    received: ffi::MPI_Datatype,
    source: c_int,
    expected: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Sendrecv);
    // SAFETY: the caller's arguments.
    let post = |buffer: *const c_void, request: &mut ffi::MPI_Request| unsafe {
        ffi::PMPI_Isend(buffer, count, datatype, to, tag, comm, request)
    };
    exchange(input, count.into(), datatype, comm, source, status, post, |request| {
        // SAFETY: the caller's arguments.
        unsafe { ffi::PMPI_Irecv(output, room, received, source, expected, comm, request) }
    })
}

/// Starts a receive and a send and waits for both.
#[expect(clippy::too_many_arguments, reason = "they are MPI's")]
fn exchange(
    input: *const c_void,
    count: i64,
    datatype: ffi::MPI_Datatype,
    comm: ffi::MPI_Comm,
    source: c_int,
    status: *mut ffi::MPI_Status,
    post: impl FnOnce(*const c_void, &mut ffi::MPI_Request) -> c_int,
    take: impl FnOnce(&mut ffi::MPI_Request) -> c_int,
) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(source)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    // SAFETY: a constant.
    let [mut sending, mut receiving] = unsafe { [ffi::RSMPI_REQUEST_NULL; 2] };
    let code = take(&mut receiving);
    if code != SUCCESS {
        return code;
    }
    let copy = copy_of(input, count, datatype);
    let buffer = copy.as_ref().map_or(input, |copy| copy.as_ptr().cast());
    let code = post(buffer, &mut sending);
    if code != SUCCESS {
        let _ = cancel(&mut receiving, status, Stop::Lost);
        return code;
    }
    let (mut sent, mut arrived) = (0, 0);
    loop {
        // SAFETY: the requests are active, or null when they are complete and not looked at again.
        let code = unsafe {
            let code = match arrived {
                0 => ffi::PMPI_Test(&mut receiving, &mut arrived, status),
                _ => SUCCESS,
            };
            match (code, sent) {
                (SUCCESS, 0) => ffi::PMPI_Test(&mut sending, &mut sent, ffi::RSMPI_STATUS_IGNORE),
                _ => code,
            }
        };
        if code != SUCCESS || (sent != 0 && arrived != 0) {
            SPARE.set(copy.unwrap_or_default());
            return code;
        }
        let Some(stop) = vigil.pause(sent != 0 || copy.is_some()) else { continue };
        if arrived == 0
            && let Some(code) = cancel(&mut receiving, status, stop)
            && (sent != 0 || code != SUCCESS)
        {
            return code;
        }
        if sent == 0 {
            mem::forget(copy);
        }
        return stop.raise(comm);
    }
}

macro_rules! sends {
    ($($name:ident $whole:ident $start:ident $large:ident $whole_large:literal;)*) => {$(
        /// MPI 4.1, 3.2.1 and 3.4.
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            buffer: *const c_void,
            count: c_int,
            datatype: ffi::MPI_Datatype,
            to: c_int,
            tag: c_int,
            comm: ffi::MPI_Comm,
        ) -> c_int {
            within!($name);
            // SAFETY: the caller's arguments.
            let post = |copy: *const c_void, request: &mut ffi::MPI_Request| unsafe {
                ffi::$start(copy, count, datatype, to, tag, comm, request)
            };
            // SAFETY: the caller's arguments.
            let whole = || unsafe { ffi::$whole(buffer, count, datatype, to, tag, comm) };
            send(buffer, count.into(), datatype, to, comm, post, whole)
        }

        /// MPI 4.1, 3.2.1, 3.4 and 19.2.
        #[cfg(mpich)]
        #[unsafe(no_mangle)]
        extern "C" fn $large(
            buffer: *const c_void,
            count: ffi::MPI_Count,
            datatype: ffi::MPI_Datatype,
            to: c_int,
            tag: c_int,
            comm: ffi::MPI_Comm,
        ) -> c_int {
            type Whole = unsafe extern "C" fn(
                *const c_void, ffi::MPI_Count, ffi::MPI_Datatype, c_int, c_int, ffi::MPI_Comm) -> c_int;
            static WHOLE: super::large::Symbol = super::large::Symbol::new($whole_large);
            within!($name);
            if let Ok(count) = c_int::try_from(count) {
                return $name(buffer, count, datatype, to, tag, comm);
            }
            let Some(found) = WHOLE.get() else { return ffi::MPI_ERR_COUNT as c_int };
            // SAFETY: the function of this name has this type.
            let whole = unsafe { mem::transmute::<*const (), Whole>(found) };
            // SAFETY: the caller's arguments.
            escape::enter(comm, || unsafe { whole(buffer, count, datatype, to, tag, comm) })
        }
    )*};
}

sends! {
    MPI_Send PMPI_Send PMPI_Isend MPI_Send_c "PMPI_Send_c\0";
    MPI_Ssend PMPI_Ssend PMPI_Issend MPI_Ssend_c "PMPI_Ssend_c\0";
}

/// MPI 4.1, 3.2.4 and 19.2.
#[cfg(mpich)]
#[unsafe(no_mangle)]
extern "C" fn MPI_Recv_c(
    buffer: *mut c_void,
    count: ffi::MPI_Count,
    datatype: ffi::MPI_Datatype,
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    if let Ok(count) = c_int::try_from(count) {
        return MPI_Recv(buffer, count, datatype, source, tag, comm, status);
    }
    within!(MPI_Recv);
    let Some(start) = super::large::irecv() else { return ffi::MPI_ERR_COUNT as c_int };
    receive(comm, source, status, |request| {
        // SAFETY: the caller's arguments.
        unsafe { start(buffer, count, datatype, source, tag, comm, request) }
    })
}

/// MPI 4.1, 3.10 and 19.2.
#[cfg(mpich)]
#[unsafe(no_mangle)]
extern "C" fn MPI_Sendrecv_c(
    input: *const c_void,
    count: ffi::MPI_Count,
    datatype: ffi::MPI_Datatype,
    to: c_int,
    tag: c_int,
    output: *mut c_void,
    room: ffi::MPI_Count,
    received: ffi::MPI_Datatype,
    source: c_int,
    expected: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    type Whole = unsafe extern "C" fn(
        *const c_void,
        ffi::MPI_Count,
        ffi::MPI_Datatype,
        c_int,
        c_int,
        *mut c_void,
        ffi::MPI_Count,
        ffi::MPI_Datatype,
        c_int,
        c_int,
        ffi::MPI_Comm,
        *mut ffi::MPI_Status,
    ) -> c_int;
    static WHOLE: super::large::Symbol = super::large::Symbol::new("PMPI_Sendrecv_c\0");
    if let (Ok(count), Ok(room)) = (c_int::try_from(count), c_int::try_from(room)) {
        return MPI_Sendrecv(
            input, count, datatype, to, tag, output, room, received, source, expected, comm, status,
        );
    }
    within!(MPI_Sendrecv);
    let Some(found) = WHOLE.get() else { return ffi::MPI_ERR_COUNT as c_int };
    // SAFETY: the function of this name has this type; the caller's arguments.
    unsafe {
        mem::transmute::<*const (), Whole>(found)(
            input, count, datatype, to, tag, output, room, received, source, expected, comm, status,
        )
    }
}
