internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// C of an envelope, and whether a subject is in it: an envelope's kind says whether one must be.
package struct ContextHash: Equatable, Sendable {
  package let digest: Digest
  package let bindsSubject: Bool
}

/// What a context hash and a record hash bind, as 32 bytes that go into derivation and AAD.
package enum BindingHash {
  /// `C = SHA-256("chatelaine/v1/context" ‖ 0x00 ‖ u16 tenant ‖ u16 subject ‖ u16 pairs ‖ (u16 key ‖ u16 value)…)`.
  package static func context(
    tenant: TenantID, subject: [UInt8] = [], _ context: EncryptionContext = .empty
  ) -> ContextHash {
    var input = HashInput()
    input.append(contextLabel)
    input.appendPrefixed(tenant.bytes)
    input.appendPrefixed(subject)
    input.appendCount(context.pairs.count)
    for pair in context.pairs {
      input.appendPrefixed(pair.key)
      input.appendPrefixed(pair.value)
    }
    return ContextHash(digest: input.hash(), bindsSubject: !subject.isEmpty)
  }

  private static let contextLabel = Array("chatelaine/v1/context".utf8) + [0]

  /// What a stored key is, for ever: bound into its wrapping. Limits, states and dates that change
  /// live in the row.
  package struct Record: Sendable {
    package var tenant: TenantID?
    package var keyName: KeyName?
    package var subject: [UInt8] = []
    package var purpose: Purpose?
    package var suite: Suite?
    package var created: WallTime

    package init(
      tenant: TenantID? = nil, keyName: KeyName? = nil, subject: [UInt8] = [], purpose: Purpose? = nil,
      suite: Suite? = nil, created: WallTime
    ) {
      self.tenant = tenant
      self.keyName = keyName
      self.subject = subject
      self.purpose = purpose
      self.suite = suite
      self.created = created
    }
  }

  /// `R = SHA-256("chatelaine/v1/record" ‖ 0x00 ‖ u16 tenant ‖ u16 key name ‖ u16 subject ‖ purpose ‖ suite ‖ created-ns)`.
  package static func record(_ record: Record) -> Digest {
    var writer = ByteWriter(capacity: 256)
    writer.raw("chatelaine/v1/record")
    writer.u8(0)
    writer.u16Prefixed(record.tenant?.bytes ?? [])
    writer.u16Prefixed(record.keyName?.bytes ?? [])
    writer.u16Prefixed(record.subject)
    writer.u8(record.purpose?.rawValue ?? 0)
    writer.u8(record.suite?.rawValue ?? 0)
    writer.u64(record.created.nanoseconds)
    return SHA256.hash(writer.bytes)
  }
}

/// Gathers short fields on the stack, so that a small input is hashed in one call.
private struct HashInput {
  private static let capacity = 256
  private var buffer = InlineArray<256, UInt8>(repeating: 0)
  private var count = 0
  private var hasher: SHA256?

  mutating func append(_ byte: UInt8) {
    if count == Self.capacity { flush() }
    buffer[count] = byte
    count += 1
  }

  mutating func append(_ bytes: [UInt8]) {
    guard bytes.count <= Self.capacity - count else {
      for byte in bytes { append(byte) }
      return
    }
    var target = buffer.mutableSpan
    target.put(copying: bytes.span, at: count)
    count += bytes.count
  }

  mutating func appendCount(_ value: Int) {
    append(UInt8(truncatingIfNeeded: value >> 8))
    append(UInt8(truncatingIfNeeded: value))
  }

  mutating func appendPrefixed(_ bytes: [UInt8]) {
    appendCount(bytes.count)
    append(bytes)
  }

  private mutating func flush() {
    if hasher == nil { hasher = SHA256() }
    hasher?.update(buffer.span.extracting(0..<count))
    count = 0
  }

  mutating func hash() -> Digest {
    guard var hasher else { return SHA256.hash(buffer.span.extracting(0..<count)) }
    hasher.update(buffer.span.extracting(0..<count))
    return hasher.finish()
  }
}
