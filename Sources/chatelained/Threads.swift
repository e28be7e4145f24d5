internal import CLinux
internal import ChatelaineConfiguration
internal import ChatelaineExits

/// Of the log, the store, what loads keys, the admin door, acts on keys, looks at the log and what watches, besides an
/// event loop each.
private let threadsBesideLoops = 18

/// Starts as many threads as a service has, and ends them, before anything relies on one: where one cannot be started
/// later, its libraries trap.
func checkThreads(_ settings: ServiceConfiguration) throws(Failure) {
  let count = settings.eventLoops + threadsBesideLoops
  guard ch_can_start_threads(Int32(count)) != 0 else { return }
  throw Failure(
    .configuration,
    "The process may not start the \(count) threads that it needs: raise RLIMIT_NPROC (LimitNPROC=, ulimit -u), TasksMax= or the memory that it may have.")
}
