/// What a door takes from its callers, so that none of them can take the others' share.
package struct DoorLimits: Sendable {
  /// Of one door, all callers together.
  package var connectionsMax = 20_000
  package var connectionsPerCallerMax = 5_000
  /// Requests of one connection that wait for the log.
  package var inFlightMax = 1024
  /// Bytes of replies that wait for a reader before nothing more is read from it.
  package var unreadBytesMax = 256 << 10
  package var frameDeadlineMilliseconds: Int64 = 5_000
  package var slowReaderDeadlineMilliseconds: Int64 = 10_000
  package var stopDeadlineMilliseconds: Int64 = 5_000

  package init() {}
}
