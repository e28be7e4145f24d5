internal import ChatelaineAuditTrail

/// Entries that wait for the writer, with what to do when they are durable.
struct Submission: Sendable {
  let drafts: [EntryDraft]
  let completion: AuditLog.Completion
}

/// What waits for the writer. Posting signals only where the writer sleeps.
@safe final class Mailbox: @unchecked Sendable {
  private let monitor = Monitor()
  private var waiting: [Submission] = []
  private var isClosed = false
  private var writerSleeps = false

  /// False where the mailbox is closed.
  func post(_ submission: Submission) -> Bool {
    monitor.lock()
    let (isOpen, wakes) = (!isClosed, writerSleeps)
    if isOpen { waiting.append(submission) }
    monitor.unlock()
    // why: behind the lock, which the writer needs as soon as it wakes.
    if isOpen, wakes { monitor.signal() }
    return isOpen
  }

  /// Everything that waits; sleeps until there is something. Nil once closed and empty.
  func takeAll() -> [Submission]? {
    monitor.lock()
    defer { monitor.unlock() }
    while waiting.isEmpty, !isClosed {
      writerSleeps = true
      monitor.wait()
      writerSleeps = false
    }
    guard !waiting.isEmpty else { return nil }
    var batch: [Submission] = []
    swap(&batch, &waiting)
    return batch
  }

  /// Whether the writer's thread sleeps.
  var isIdle: Bool {
    monitor.lock()
    defer { monitor.unlock() }
    return writerSleeps && waiting.isEmpty && !isClosed
  }

  func close() {
    monitor.lock()
    isClosed = true
    monitor.signal()
    monitor.unlock()
  }
}
