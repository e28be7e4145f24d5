/// Secret bytes in guarded, locked memory, erased when the value goes away.
///
/// Noncopyable: there is one owner, and it cannot be printed, boxed, encoded or stored in a
/// collection. To share a key, a `final class` owns it.
@safe package struct SecretBytes: ~Copyable, @unchecked Sendable {
  /// Where the bytes live.
  package enum Keeping: Sendable {
    /// A slot of a shared locked slab, readable and writable: for the many keys of tenants.
    case slab
    /// Pages of its own between guard pages, read-only once filled: for the few keys at the top.
    case sealed
  }

  package let count: Int
  @usableFromInline let allocation: SecretArena.Allocation

  /// Fills `count` bytes of secret memory; leaving some unwritten is a bug of the caller.
  ///
  /// If `fill` throws, what was written is erased.
  package init<Failure: Error>(
    count: Int,
    keeping: Keeping = .slab,
    initializingWith fill: (inout OutputRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(count > 0, "a secret has at least one byte")
    self.count = count
    allocation = SecretArena.allocate(count, keeping: keeping)
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: allocation.base, count: count)
    var output = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
    try fill(&output)
    let written = unsafe output.finalize(for: buffer)
    precondition(written == count, "secret is only partly initialized")
    if keeping == .sealed { SecretArena.seal(allocation) }
  }

  /// Lends the bytes for the duration of a synchronous call.
  @inlinable package borrowing func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(unsafe RawSpan(_unsafeStart: allocation.base, byteCount: count))
  }

  /// Lends the bytes for writing; a sealed secret must not be written (the process would die).
  @inlinable package mutating func withMutableBytes<Result: ~Copyable, Failure: Error>(
    _ body: (inout MutableRawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var span = unsafe MutableRawSpan(_unsafeStart: allocation.base, byteCount: count)
    return try body(&span)
  }

  /// A second secret with the same bytes, for a second owner.
  package borrowing func duplicate(keeping: Keeping = .slab) -> SecretBytes {
    withBytes { source in
      SecretBytes(count: source.byteCount, keeping: keeping) { output in
        output.append(contentsOf: source)
      }
    }
  }

  deinit { SecretArena.release(allocation) }
}

extension OutputRawSpan {
  /// Appends a copy of `source`; more than fits is a bug of the caller.
  package mutating func append(contentsOf source: RawSpan) {
    precondition(source.byteCount <= freeCapacity, "output is too small")
    unsafe withUnsafeMutableBytes { buffer, initializedCount in
      unsafe source.withUnsafeBytes { bytes in
        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[initializedCount...]).copyMemory(from: bytes)
      }
      initializedCount += source.byteCount
    }
  }

  /// Appends a copy of public bytes.
  package mutating func append(contentsOf source: Span<UInt8>) {
    unsafe append(contentsOf: source.bytes)
  }
}
