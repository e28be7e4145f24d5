internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// Somebody who signs tokens, and what of them is taken here.
package struct TokenIssuer: Sendable {
  /// As the policy names it.
  package let name: KeyName
  /// `iss`, compared byte by byte (RFC 8725 §3.8).
  package let issuer: [UInt8]
  /// One of them is in `aud` (RFC 8725 §3.9).
  package let audiences: [[UInt8]]
  /// The claim that names tenants: one, or a list.
  package let tenantClaim: String
  /// How far clocks may be apart.
  package let leewaySeconds: UInt64
  package let keys: TokenKeySet

  package init(
    name: KeyName, issuer: [UInt8], audiences: [[UInt8]], tenantClaim: String, leewaySeconds: UInt64, keys: TokenKeySet
  ) {
    self.name = name
    self.issuer = issuer
    self.audiences = audiences
    self.tenantClaim = tenantClaim
    self.leewaySeconds = leewaySeconds
    self.keys = keys
  }
}

/// A token that is no JWT: random bytes that `chatelaine token create` drew, of which only the hash is known here.
///
/// why: SHA-256 and no slow hash: 256 random bits cannot be guessed, however fast each guess is. A slow one is for passwords, which
/// nobody chooses here.
package struct StaticToken: Sendable, Equatable {
  package static let prefix = Array("cht_".utf8)
  package static let byteCount = 47

  package let name: KeyName
  package let tenants: [TenantID]
  /// SHA-256 of its characters.
  package let hash: Digest
  /// nil: until it is taken out of the file.
  package let expires: WallTime?

  package init(name: KeyName, tenants: [TenantID], hash: Digest, expires: WallTime?) {
    self.name = name
    self.tenants = tenants
    self.hash = hash
    self.expires = expires
  }
}

/// A token that was verified, and until when it is good: seconds since 1970.
package struct VerifiedToken: Sendable, Equatable {
  package let bearer: Bearer
  /// From this second on it is none.
  package let end: UInt64
  /// What an entry of the log says of it: `token=platform/alice`.
  package let note: [UInt8]

  package init(bearer: Bearer, end: UInt64) {
    self.bearer = bearer
    self.end = end
    note = Array("token=".utf8) + bearer.text
  }
}

/// Which tokens are taken: never changed, only replaced as a whole.
package struct TokenRules: Sendable {
  package let issuers: [TokenIssuer]
  package let statics: [StaticToken]
  /// Of the files that they were read from, for the log.
  package let filesHash: Digest
  private let tenantClaims: [String]

  package init(issuers: [TokenIssuer], statics: [StaticToken], filesHash: Digest = .zero) {
    self.issuers = issuers
    self.statics = statics
    self.filesHash = filesHash
    tenantClaims = Array(Set(issuers.map(\.tenantClaim))).sorted()
  }

  /// No token is looked at.
  package static let none = TokenRules(issuers: [], statics: [])

  package var areNone: Bool { issuers.isEmpty && statics.isEmpty }

  /// What a policy may name.
  package var names: Set<KeyName> { Set(issuers.map(\.name) + statics.map(\.name)) }

  /// Verifies a token. `hash` is its SHA-256, `now` in seconds since 1970.
  package func verify(_ token: Span<UInt8>, hash: Digest, now: UInt64) throws(TokenFault) -> VerifiedToken {
    guard token.count <= Limits.tokenBytesMax else { throw .tooLong }
    guard SignedToken.isOne(token) else { return try verifyStatic(token, hash, now) }
    let signed = try SignedToken(token, tenantClaims: tenantClaims)
    let issuer = try issuer(of: signed.claims)
    let key = try key(of: issuer, for: signed)
    guard key.isValid(signature: signed.signature.span, of: token.extracting(signed.signed)) else { throw .signature }
    return try issuer.accept(signed.claims, now: now)
  }

  /// RFC 7519 §4.1.1, §4.1.3. Nothing that it says is believed before the signature is verified under this issuer's key.
  private func issuer(of claims: TokenClaims) throws(TokenFault) -> TokenIssuer {
    let found = issuers.first { issuer in
      issuer.issuer == claims.issuer && issuer.audiences.contains { claims.audiences.contains($0) }
    }
    guard let found else { throw .issuer }
    return found
  }

  /// The key that the token means among those of its algorithm; one that names none means the only one.
  private func key(of issuer: TokenIssuer, for token: SignedToken) throws(TokenFault) -> TokenKey {
    let meant = issuer.keys.keys.filter { key in
      key.algorithm == token.algorithm && (token.keyID == nil || key.id == token.keyID)
    }
    guard meant.count == 1 else { throw .key }
    return meant[0]
  }

  /// Every hash is compared, each in a time of its own that does not depend on the bytes.
  private func verifyStatic(_ token: Span<UInt8>, _ hash: Digest, _ now: UInt64) throws(TokenFault) -> VerifiedToken {
    guard token.count == StaticToken.byteCount else { throw .malformed }
    let given = hash.inlineBytes
    var found: StaticToken?
    for one in statics {
      let known = one.hash.inlineBytes
      if constantTimeEqual(given.span, known.span) { found = one }
    }
    guard let found else { throw .unknown }
    let end = found.expires.map { $0.nanoseconds / 1_000_000_000 } ?? .max
    guard now < end else { throw .expired }
    return VerifiedToken(bearer: Bearer(name: found.name, tenants: found.tenants), end: end)
  }
}

extension TokenIssuer {
  /// Times and tenants of claims whose signature holds. `exp` must be there (RFC 7519 §4.1.4), and a token that says it was issued
  /// in the future is none.
  fileprivate func accept(_ claims: TokenClaims, now: UInt64) throws(TokenFault) -> VerifiedToken {
    guard let expires = claims.expires else { throw .expired }
    let end = expires + leewaySeconds
    guard now < end else { throw .expired }
    guard now + leewaySeconds >= max(claims.notBefore, claims.issued) else { throw .notYet }
    var tenants: [TenantID] = []
    for name in claims.tenants[tenantClaim] ?? [] {
      // why: no pattern, no service's own name: a claim names tenants, one by one.
      guard let tenant = try? TenantID(name.span) else { throw .tenant }
      tenants.append(tenant)
    }
    guard !tenants.isEmpty else { throw .tenant }
    return VerifiedToken(bearer: Bearer(name: name, tenants: tenants, subject: claims.subject), end: end)
  }
}
