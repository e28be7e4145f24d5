internal import ChatelaineAuditLog
internal import ChatelaineVocabulary
package import ChatelaineTLS
internal import Synchronization

/// What stands before a door on TCP: its TLS as it is now, and who is being asked for a certificate.
///
/// Who has shown none yet takes no place from those who are in: there are bounds of their own for them.
package final class TLSGate: Sendable {
  /// Handshakes under way: in all, and from one address.
  package static let handshakesMax = 128
  static let handshakesPerAddressMax = 64

  /// Who is being asked.
  final class Place {
    let gate: TLSGate
    let context: TLSContext
    private let address: String
    private var isHeld = true

    fileprivate init(_ gate: TLSGate, _ context: TLSContext, _ address: String) {
      self.gate = gate
      self.context = context
      self.address = address
    }

    deinit { leave() }

    /// For others to take, once.
    func leave() {
      if isHeld { gate.leave(address) }
      isHeld = false
    }
  }

  private struct State {
    var context: TLSContext
    var handshakes = 0
    var byAddress: [String: Int] = [:]
    var refusals: UInt64 = 0
    var lastRefusal = ""
  }

  /// As the configuration has it: `data-tcp`.
  package let name: String
  private let state: Mutex<State>

  package init(_ name: String, _ context: TLSContext) {
    self.name = name
    state = Mutex(State(context: context))
  }

  /// Those who come from now on are asked by this one; those who are in stay, but for the revoked.
  func replace(_ context: TLSContext) { state.withLock { $0.context = context } }

  var context: TLSContext { state.withLock { $0.context } }

  /// nil: too many are being asked.
  func enter(from address: String) -> Place? {
    state.withLock { state in
      let here = state.byAddress[address, default: 0]
      guard state.handshakes < Self.handshakesMax, here < Self.handshakesPerAddressMax else { return nil }
      state.handshakes += 1
      state.byAddress[address] = here + 1
      return Place(self, state.context, address)
    }
  }

  private func leave(_ address: String) {
    state.withLock { state in
      state.handshakes -= 1
      state.byAddress[address] = state.byAddress[address].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
  }

  func refused(from source: String, because why: String) {
    let last = "at \(LogClock.system.wall().rfc3339) \(source): \(why)"
    state.withLock { state in
      state.refusals += 1
      state.lastRefusal = last
    }
  }

  /// For status.
  var warnings: [String] {
    let now = state.withLock { $0 }
    var warnings: [String] = []
    if now.refusals > 0 {
      let times = now.refusals == 1 ? "One client was" : "\(now.refusals) clients were"
      warnings.append("\(times) refused by TLS at \(name), last \(now.lastRefusal).")
    }
    let days = now.context.secondsLeft / 86_400
    if now.context.secondsLeft < 0 {
      warnings.append("The certificate of \(name) has ended, so no client believes it: install a new one, then reload.")
    } else if days < Self.daysToWarn {
      warnings.append("The certificate of \(name) ends in \(days) days: install a new one, then reload.")
    }
    return warnings
  }

  private static let daysToWarn: Int64 = 14
}
