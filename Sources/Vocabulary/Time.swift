/// Nanoseconds since 1970-01-01T00:00:00Z, as formats carry it.
package struct WallTime: Hashable, Sendable, Comparable {
  package let nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static func < (a: WallTime, b: WallTime) -> Bool { a.nanoseconds < b.nanoseconds }
}
