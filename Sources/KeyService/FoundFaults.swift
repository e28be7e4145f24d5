internal import ChatelaineAuditLog
package import ChatelaineVocabulary
internal import Synchronization

/// Something that the service cannot do, or that is not as it was written: callers learn no more than that, so the
/// operator must.
package struct FoundFault: Sendable {
  /// What was found last.
  package var sentence: String
  package var last: WallTime
  /// Since the start, of any kind.
  package var times: UInt64
}

/// Keeps the last fault, and tells of it: at once when it is another, else once a minute.
final class FoundFaults: Sendable {
  private struct State {
    var found: FoundFault?
    var toldSentence = ""
    var toldAt: UInt64 = 0
  }

  private static let pauseNanoseconds: UInt64 = 1_000_000_000
  private static let repeatNanoseconds = 60 * pauseNanoseconds

  private let state = Mutex(State())
  private let tell: @Sendable (FoundFault) -> Void

  init(_ tell: @escaping @Sendable (FoundFault) -> Void) { self.tell = tell }

  var last: FoundFault? { state.withLock { $0.found } }

  /// Passes over what is no fault of the service.
  func note(_ error: ServiceError, at wall: WallTime, bootNanoseconds now: UInt64) {
    guard error.code == .corrupt || error.code == .internal else { return }
    let sentence = error.sentence
    let told = state.withLock { state -> FoundFault? in
      let found = FoundFault(sentence: sentence, last: wall, times: (state.found?.times ?? 0) + 1)
      state.found = found
      let isOther = sentence != state.toldSentence
      let pause = isOther ? Self.pauseNanoseconds : Self.repeatNanoseconds
      guard found.times == 1 || now >= state.toldAt + pause else { return nil }
      (state.toldSentence, state.toldAt) = (sentence, now)
      return found
    }
    if let told { tell(told) }
  }
}

extension KeyService {
  /// Keeps what only the operator may know of an error, and gives it back.
  @discardableResult
  func found(_ error: ServiceError) -> ServiceError {
    faults.note(error, at: clock.wall(), bootNanoseconds: clock.bootNanoseconds())
    return error
  }
}
