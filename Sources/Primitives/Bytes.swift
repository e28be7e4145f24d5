internal import CPrimitives
internal import CLinux
package import ChatelaineSecretMemory
package import ChatelaineVocabulary

extension SecretBytes {
  package static func zeros(count: Int) -> SecretBytes {
    SecretBytes(count: count) { unsafe $0.append(repeating: 0, count: count, as: UInt8.self) }
  }

  /// Fresh random bytes from the kernel.
  package static func random(count: Int, keeping: Keeping = .slab) -> SecretBytes {
    SecretBytes(count: count, keeping: keeping) { output in
      unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
        unsafe fillRandomly(buffer)
        initializedCount = buffer.count
      }
    }
  }
}

/// The one source of randomness: getrandom(2). No generator in user space, whose state a VM clone
/// or a fork could repeat.
package enum SecureRandom {
  /// Public random bytes: salts, ids, blinds.
  package static func bytes(_ count: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      unsafe fillRandomly(UnsafeMutableRawBufferPointer(buffer))
      initializedCount = count
    }
  }

  /// Puts so many fresh public random bytes into the place of others.
  package static func fill(_ bytes: inout [UInt8], count: Int) {
    if bytes.count > count { bytes.removeLast(bytes.count - count) }
    bytes.append(contentsOf: repeatElement(0, count: count - bytes.count))
    unsafe bytes.withUnsafeMutableBytes { unsafe fillRandomly($0) }
  }
}

@unsafe private func fillRandomly(_ buffer: UnsafeMutableRawBufferPointer) {
  precondition(unsafe ch_random(buffer.baseAddress, buffer.count) == 0, "getrandom(2) failed")
}

/// Compares in a time that depends on the length only.
package func constantTimeEqual(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
  guard a.count == b.count else { return false }
  var difference: UInt8 = 0
  for index in a.indices { difference |= a[index] ^ b[index] }
  return difference == 0
}

/// Erases public buffers that held plaintext.
package func erase(_ bytes: inout MutableRawSpan) {
  unsafe bytes.withUnsafeMutableBytes { unsafe ch_erase($0.baseAddress, $0.count) }
}

extension [UInt8] {
  /// An array of public bytes filled through an output span of exactly `rawCapacity` bytes' room.
  @inlinable package init<Failure: Error>(
    rawCapacity: Int, initializingWith fill: (inout OutputRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    var failure: Failure?
    unsafe self.init(unsafeUninitializedCapacity: rawCapacity) { buffer, initializedCount in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      var output = unsafe OutputRawSpan(buffer: raw, initializedCount: 0)
      do throws(Failure) {
        try fill(&output)
        initializedCount = unsafe output.finalize(for: raw)
      } catch {
        failure = error
        initializedCount = 0
      }
    }
    if let failure { throw failure }
  }
}

extension SecureRandom {
  /// A fresh id.
  package static func identifier() -> Identifier {
    var cursor = ByteCursor()
    guard let id = try? cursor.identifier(bytes(Identifier.byteCount).span) else { preconditionFailure("16 bytes") }
    return id
  }
}

extension Span<UInt8> {
  /// Lends the same bytes as a raw span, the form that ciphers take.
  @inlinable package func withRawSpan<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(unsafe bytes)
  }
}
