package import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import Synchronization

/// Tenants whose places in the tree over all tenants somebody asks for, and these places under the newest tenant heads
/// that were made since: a place of older ones cannot be told any more.
final class WantedHistories: Sendable {
  /// Where a tenant stands under some tenant heads.
  struct Place: Sendable {
    let heads: TenantHeads
    /// Of the entry that commits to them.
    let commitment: UInt64
    /// nil where it has no history.
    let path: Path?
  }

  struct Path: Sendable {
    let index: UInt64
    let hashes: [Digest]
  }

  private struct State {
    /// The least recently asked for first.
    var names: [[UInt8]] = []
    var places: [[UInt8]: Place] = [:]
  }

  private static let namesMax = 64

  private let state = Mutex(State())

  /// The tenant's place; nil where it is not known yet.
  func place(of tenant: [UInt8]) -> Place? {
    state.withLock { state in
      state.names.removeAll { $0 == tenant }
      state.names.append(tenant)
      if state.names.count > Self.namesMax { state.places[state.names.removeFirst()] = nil }
      return state.places[tenant]
    }
  }

  /// Whether somebody waits for tenant heads.
  var isAnyMissing: Bool { state.withLock { state in state.names.contains { state.places[$0] == nil } } }

  var names: [[UInt8]] { state.withLock { $0.names } }

  /// Tenant heads are in the log, with these places under them.
  func take(_ places: [[UInt8]: Place]) {
    state.withLock { state in for name in state.names { state.places[name] = places[name] ?? state.places[name] } }
  }
}

/// A tenant's history as it can be exported: the proof, and how far it goes.
package struct ProvenHistory: Equatable, Sendable {
  package let proof: HistoryProof
  /// All of the tenant's entries below this number.
  package let size: UInt64
}

extension HeadKeeper {
  /// The newest tenant heads that a tenant's place is known under, proven under the newest published head; nil where the
  /// tenant has no history. Blocks, for a short while.
  ///
  /// Where none are known, the thread that signs makes new ones as soon as it may and there is anything new in the log.
  package func history(of tenant: [UInt8]) throws(ProofFault) -> ProvenHistory? {
    guard !now.areHistoriesBroken else { throw .unmade }
    guard let place = wanted.place(of: tenant) else {
      stirForHistories()
      throw .notCovered(size: now.published?.checkpoint.size ?? 0, milliseconds: millisecondsToNext)
    }
    guard let path = place.path else { return nil }
    let commitment = try proof(of: place.commitment, withEntry: true)
    guard let bytes = commitment.entry, let entry = try? AuditEntry(parsing: bytes.span), TenantHeads(entry) == place.heads
    else { throw .unmade }
    let proof = HistoryProof(tenant: tenant, index: path.index, hashes: path.hashes, commitment: commitment)
    return ProvenHistory(proof: proof, size: place.heads.size)
  }
}
