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
