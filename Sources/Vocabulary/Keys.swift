/// The AEAD of an envelope.
package enum Suite: UInt8, Sendable, CaseIterable {
  case aes256GCM = 1
  case xchacha20Poly1305 = 2
}

/// What one tenant key may be used for; it never changes and is never two things.
package enum Purpose: UInt8, Sendable, CaseIterable {
  case seal = 1
  case mac = 2
  case index = 3
}

/// Which kind of key an envelope was sealed under.
package enum EnvelopeKind: UInt8, Sendable, CaseIterable {
  case tenantKey = 0
  case subjectKey = 1
  case dataKey = 2
}

/// Which kind of key a wrapped key holds.
package enum WrappedKeyKind: UInt8, Sendable, CaseIterable {
  case storeKey = 1
  case tenantRoot = 2
  case tenantKey = 3
  case subjectKey = 4
  case dataKey = 5
}

/// A key's id and version: what an envelope or a wrapped key says of the key that opens it.
package struct KeyReference: Hashable, Sendable {
  package let id: Identifier
  package let version: UInt32

  package init(id: Identifier, version: UInt32) {
    self.id = id
    self.version = version
  }
}
