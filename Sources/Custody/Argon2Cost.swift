internal import ChatelaineVocabulary

/// What guessing a passphrase costs: memory and passes of Argon2id, within the bounds of the format.
package struct Argon2Cost: Equatable, Sendable {
  package let memoryKiB: UInt32
  package let passes: UInt32

  /// 256 MiB and three passes: about a second on one core.
  package static let standard = Argon2Cost(unchecked: 262_144, 3)

  package init?(memoryKiB: UInt32, passes: UInt32) {
    guard Limits.argonMemoryKiBRange.contains(memoryKiB), Limits.argonPassesRange.contains(passes) else {
      return nil
    }
    self.init(unchecked: memoryKiB, passes)
  }

  private init(unchecked memoryKiB: UInt32, _ passes: UInt32) {
    self.memoryKiB = memoryKiB
    self.passes = passes
  }
}
