/// What a door takes from its callers, so that none of them can take the others' share.
package struct DoorLimits: Sendable {
  /// Of one door, all callers together.
  package var connectionsMax = 1024
  /// Of one door, of one user: what is left is for the others.
  package var connectionsPerCallerMax = 512
  /// Requests of one connection that wait for the log.
  package var inFlightMax = 1024
  /// Bytes held for them: one more request is taken below it, of at most 4 MiB and with a reply of at most 2 MiB.
  package var inFlightBytesMax = 8 << 20
  /// Bytes of replies that wait for a reader before nothing more is read from it.
  package var unreadBytesMax = 256 << 10
  package var frameDeadlineMilliseconds: Int64 = 5_000
  package var slowReaderDeadlineMilliseconds: Int64 = 10_000
  package var stopDeadlineMilliseconds: Int64 = 5_000

  package init() {}
}

/// How many connections each door may have, by what the process may open beside its log, its store and its threads.
///
/// Two users can take all of the data door's: what is left to the log, the store and the admin door is not theirs.
package struct DescriptorBudget: Equatable, Sendable {
  /// Descriptors that connections never get: store (12), log (8), sockets, keyring, policy, standard streams, and a
  /// burst of connections on their way out.
  private static let reserve = 64
  private static let reservePerLoop = 8
  /// Of each door, at least.
  private static let connectionsMin = 8

  package let data: Int
  package let admin: Int
  /// 0 where there can be no such door.
  package let http: Int

  /// The fewest descriptors that a service can be run with.
  ///
  /// Doors on TCP, `tcp` of them, have as many again for handshakes under way.
  package static func descriptorsMin(eventLoops: Int, hasHTTP: Bool = false, tcp: Int = 0) -> Int {
    reserve + reservePerLoop * eventLoops + ((hasHTTP ? 3 : 2) + tcp) * connectionsMin + tcp * TLSGate.handshakesMax
  }

  /// `wanted` for each door where that fits, else less, of which an eighth is the admin door's; the others share alike.
  /// `data` and `http` are for each door of the kind, on TCP too. nil: there are too few descriptors.
  package init?(descriptors: Int, connectionsMax wanted: Int, eventLoops: Int, hasHTTP: Bool = false, tcp: Int = 0) {
    guard descriptors >= Self.descriptorsMin(eventLoops: eventLoops, hasHTTP: hasHTTP, tcp: tcp) else { return nil }
    let left = descriptors - Self.reserve - Self.reservePerLoop * eventLoops - tcp * TLSGate.handshakesMax
    let adminShare = max(Self.connectionsMin, left / 8)
    let callers = max(left - wanted, left - adminShare)
    let doors = (hasHTTP ? 2 : 1) + tcp
    data = min(wanted, callers / doors)
    http = hasHTTP || tcp > 0 ? data : 0
    admin = min(wanted, left - data * doors)
  }
}
