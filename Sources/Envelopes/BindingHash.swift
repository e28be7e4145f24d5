internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What a context hash and a record hash bind, as 32 bytes that go into derivation and AAD.
package enum BindingHash {
  /// `C = SHA-256("chatelaine/v1/context" ‖ 0x00 ‖ u16 tenant ‖ u16 subject ‖ u16 pairs ‖ (u16 key ‖ u16 value)…)`.
  package static func context(
    tenant: TenantID, subject: [UInt8] = [], _ context: EncryptionContext = .empty
  ) -> Digest {
    var writer = ByteWriter(capacity: 256)
    writer.raw("chatelaine/v1/context".utf8)
    writer.u8(0)
    writer.u16Prefixed(Array(tenant.rawValue.utf8))
    writer.u16Prefixed(subject)
    writer.u16(UInt16(context.pairs.count))
    for pair in context.pairs {
      writer.u16Prefixed(pair.key)
      writer.u16Prefixed(pair.value)
    }
    return SHA256.hash(writer.bytes)
  }

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
    writer.raw("chatelaine/v1/record".utf8)
    writer.u8(0)
    writer.u16Prefixed(Array((record.tenant?.rawValue ?? "").utf8))
    writer.u16Prefixed(Array((record.keyName?.rawValue ?? "").utf8))
    writer.u16Prefixed(record.subject)
    writer.u8(record.purpose?.rawValue ?? 0)
    writer.u8(record.suite?.rawValue ?? 0)
    writer.u64(record.created.nanoseconds)
    return SHA256.hash(writer.bytes)
  }
}
