internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary
internal import Dispatch
internal import Foundation
internal import Glibc
internal import Synchronization

/// The one thread that rewraps tenants' roots, while there is something to rewrap.
final class Rewrapping: Sendable {
  private struct State {
    var isRunning = false
    var isStopping = false
    /// Asked for while the thread was running.
    var isWanted = false
    var stalledBy: ServiceError?
  }

  private let state = Mutex(State())
  private let stopping = DispatchSemaphore(value: 0)
  private let ended = DispatchGroup()

  /// Why it does not go on; it tries again.
  var stalledBy: ServiceError? { state.withLock { $0.stalledBy } }

  func note(_ error: ServiceError?) { state.withLock { $0.stalledBy = error } }

  /// Has `work` done on a thread of its own, and again where it is asked for meanwhile.
  func start(_ work: @escaping @Sendable () -> Void) {
    let isNew = state.withLock { state in
      guard !state.isStopping else { return false }
      defer { (state.isRunning, state.isWanted) = (true, state.isRunning) }
      return !state.isRunning
    }
    guard isNew else { return }
    ended.enter()
    let thread = Thread { [self] in
      // why: Foundation's name stays inside of Foundation, and the system's is the one of whoever started the thread.
      nameThisThread("rewrap")
      repeat { work() } while goesOn()
      ended.leave()
    }
    thread.start()
  }

  private func goesOn() -> Bool {
    state.withLock { state in
      let isWanted = state.isWanted && !state.isStopping
      (state.isWanted, state.isRunning) = (false, isWanted)
      return isWanted
    }
  }

  /// Waits; false where it is to stop.
  func pause(nanoseconds: UInt64) -> Bool {
    guard !state.withLock({ $0.isStopping }) else { return false }
    return stopping.wait(timeout: .now() + .nanoseconds(Int(nanoseconds))) == .timedOut
  }

  /// Returns when the batch under way is done.
  func stop() {
    state.withLock { $0.isStopping = true }
    stopping.signal()
    ended.wait()
  }
}

extension KeyService {
  /// Goes on with a rotation where rows may be left: at a start, and when a version has become the primary one.
  func resumeRewrapping() {
    do throws(Refusal) { guard try unfinishedRotation() != nil else { return } } catch {
      // why: the thread meets it again, tells of it, and goes on once it can.
    }
    rewrapping.start { [self] in rewrapAll() }
  }

  private func rewrapAll() {
    yieldToCallers()
    var batches = 0
    var last: UInt64 = 0
    var next: MadeAhead<RewrapBatch>?
    // why: nothing reads the store once this thread has ended.
    defer { _ = next?.value() }
    while true {
      let start = DispatchTime.now().uptimeNanoseconds
      var isAlone = false
      do throws(ServiceError) {
        guard let outcome = try rewrapBatch(&next) else { return rewrapping.note(nil) }
        // why: a batch has two entries; where the log has no other since the batch before, nobody is kept waiting.
        isAlone = outcome == last + 2
        last = outcome
        rewrapping.note(nil)
        batches += 1
        if batches % Limits.rewrapBatchesPerCheckpoint == 0 { try? store.checkpoint() }
      } catch {
        rewrapping.note(error)
        if case .mustRestart = error { return }
        guard rewrapping.pause(nanoseconds: 2_000_000_000) else { return }
      }
      let took = DispatchTime.now().uptimeNanoseconds - start
      guard rest(after: isAlone ? 0 : took) else { return }
    }
  }

  /// Leaves the disk and the turn to others for a part of the time that a batch took; a millisecond at least.
  private func rest(after took: UInt64) -> Bool {
    repeat {
      guard rewrapping.pause(nanoseconds: max(1_000_000, took * Limits.rewrapRestPercent / 100)) else { return false }
    } while isChangeWaiting
    return true
  }

  /// One batch, a state change like any other: intent, transaction, outcome, whose sequence it returns. nil where
  /// nothing is left. While it is written, the next one is made.
  private func rewrapBatch(_ next: inout MadeAhead<RewrapBatch>?) throws(ServiceError) -> UInt64? {
    let found: RotationRow?
    do throws(Refusal) { found = try unfinishedRotation() } catch { throw self.found(error.error) }
    guard let rotation = found else { return nil }
    let version = rotation.version
    // why: one that could not be made is made again below, where its fault is told.
    let batch = next.take()?.value() ?? (try? self.batch(to: version, from: Int(rotation.cursor)))
    if let batch, !batch.isLast {
      next = MadeAhead("rewrap-ahead") { [self] in
        yieldToCallers()
        return try? self.batch(to: version, from: batch.end)
      }
    }
    var subject = Subject(operation: .masterRewrap)
    subject.leavesKeysAtHand = true
    subject.details = [.init(.offset, ByteWriter.u64Bytes(UInt64(rotation.cursor)))] + masterDetails(version, nil)
    let outcome = try change(subject, by: .service, RequestTags()) { (intent) throws(Refusal) in
      // why: only this thread moves the cursor, so the rotation is as the intent says.
      let done = try self.write(batch, rotation, intent)
      return [.init(.count, ByteWriter.u64Bytes(UInt64(done.count)))]
    }
    return outcome.sequence
  }

  private func write(
    _ batch: RewrapBatch?, _ rotation: RotationRow, _ intent: AppendedEntry
  ) throws(Refusal) -> KeyStore.Rewrapped {
    var refusal: Refusal?
    do throws(KeyStoreError) {
      return try store.rewrapTenants(
        rotation, ahead: batch, now: clock.wall(), intentSequence: place(of: intent).stored,
        intentLeafHash: intent.leafHash
      ) { (start) throws(KeyStoreError) in
        do throws(Refusal) { return try self.batch(to: rotation.version, from: start) } catch {
          refusal = error
          throw KeyStoreError.taken(record: "")
        }
      }
    } catch { throw refusal ?? failedCommit(error) }
  }

  private func batch(to version: UInt32, from start: Int) throws(Refusal) -> RewrapBatch {
    var refusal: Refusal?
    do throws(KeyStoreError) {
      return try store.rewrapBatch(to: version, from: start, rowsMax: Limits.rewrapRowsMax) {
        (rows) throws(KeyStoreError) in
        do throws(Refusal) { return try self.rewrap(rows, to: version) } catch {
          refusal = error
          throw KeyStoreError.taken(record: "")
        }
      }
    } catch { throw refusal ?? failedCommit(error) }
  }

  /// why: whoever asks for something comes first. Of this thread, on Linux.
  private func yieldToCallers() {
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Limits.rewrapNiceness)
  }

  private func rewrap(_ rows: [TenantRow], to version: UInt32) throws(Refusal) -> [WrappedKey] {
    guard !rows.isEmpty else { return [] }
    let keys = masterKeys
    guard let master = keys[version] else { throw Refusal(.keyMaterial(.missingMasterVersion(version))) }
    let wrapper = try wrapper()
    let saltBytes = CommittingAEAD.saltByteCount
    let salts = SecureRandom.bytes(rows.count * saltBytes)
    var wrapped: [WrappedKey] = []
    wrapped.reserveCapacity(rows.count)
    for (index, row) in rows.enumerated() {
      let binding = row.binding
      let root = try opened(row, binding, by: wrapper, keys)
      wrapped.append(
        wrapper.wrap(
          root, kind: .tenantRoot, as: row.root, under: master.derivationKey, wrappingKeyReference: master.reference,
          binding: binding, salt: Array(salts[index * saltBytes..<(index + 1) * saltBytes])))
    }
    return wrapped
  }

  private func opened(
    _ row: TenantRow, _ binding: Digest, by wrapper: KeyWrapper, _ keys: MasterKeySet
  ) throws(Refusal) -> SecretBytes {
    guard let wrapped = row.wrappedRoot else { throw Refusal(.keyMaterial(.unwrap(record: row.description))) }
    guard let master = keys[wrapped.wrappingKey.version] else {
      throw Refusal(.keyMaterial(.missingMasterVersion(wrapped.wrappingKey.version)))
    }
    do throws(CommittingAEAD.Refusal) {
      return try wrapper.unwrap(
        wrapped, kind: .tenantRoot, as: row.root, under: master.derivationKey, wrappingKeyReference: master.reference,
        binding: binding)
    } catch { throw Refusal(.keyMaterial(.unwrap(record: row.description))) }
  }
}
