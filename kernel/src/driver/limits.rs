//! What the system allows a process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many descriptors as a process may have mappings (`vm.max_map_count`): each large value is one of both.
const ENOUGH: u64 = 65_536;

/// Allows this process, and those that it will start, as many descriptors as the system lets it have. Large values
/// are memory files, and the usual 1,024 are fewer than the results that somebody may hold.
pub(super) fn allow_many_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::warn!("no more than {} files can be open: {error}", current.unwrap_or_default());
    }
}

/// So many descriptors are never taken by what somebody holds.
const LEFT_TO_OTHERS: u64 = 64;

/// Up to which descriptor files may be held for others.
pub(super) fn most_held() -> u32 {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH);
    u32::try_from(most.saturating_sub(LEFT_TO_OTHERS)).unwrap_or(u32::MAX)
}
