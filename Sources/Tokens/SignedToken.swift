internal import ChatelaineVocabulary

/// A JWT in compact serialization (RFC 7515 §3.1, RFC 7519), taken apart and not yet believed.
struct SignedToken {
  let algorithm: TokenAlgorithm
  let keyID: [UInt8]?
  let claims: TokenClaims
  /// Of the token: what is signed.
  let signed: Range<Int>
  let signature: [UInt8]

  /// Whether a token looks like one: three parts. A static one has no dot.
  static func isOne(_ token: Span<UInt8>) -> Bool { dots(token).count == 2 }

  private static func dots(_ token: Span<UInt8>) -> [Int] { token.indices.filter { token[$0] == UInt8(ascii: ".") } }

  /// `tenantClaims`: those that name tenants, for some issuer.
  init(_ token: Span<UInt8>, tenantClaims: [String]) throws(TokenFault) {
    let dots = Self.dots(token)
    guard dots.count == 2 else { throw .malformed }
    signed = 0..<dots[1]
    guard var head = Base64.decodeURL(token.extracting(0..<dots[0])),
      var body = Base64.decodeURL(token.extracting(dots[0] + 1..<dots[1])),
      let signature = Base64.decodeURL(token.extracting((dots[1] + 1)...))
    else { throw .malformed }
    defer {
      Self.erase(&head)
      Self.erase(&body)
    }
    let header = try TokenHeader(&head)
    (algorithm, keyID) = (header.algorithm, header.keyID)
    claims = try TokenClaims(&body, tenantClaims)
    self.signature = signature
  }

  private static func erase(_ bytes: inout [UInt8]) { for index in bytes.indices { bytes[index] = 0 } }
}

/// The header (RFC 7515 §4): it says which key is meant, and nothing in it brings one along (RFC 8725 §3.10).
private struct TokenHeader {
  let algorithm: TokenAlgorithm
  let keyID: [UInt8]?

  /// What changes how a token is to be read, or brings a key along.
  private static let refused = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "cty"]
  /// RFC 7519 §5.1, RFC 9068 §2.1; `application/` may stand before each.
  private static let types = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"]

  init(_ bytes: inout [UInt8]) throws(TokenFault) {
    var (alg, id, type): ([UInt8]?, [UInt8]?, [UInt8]?)
    var isForeign = false
    do throws(JSONFault) {
      var span = bytes.mutableSpan
      var reader = JSONReader(in: 0..<span.count, depthMax: 4)
      try reader.object(&span, membersMax: Limits.tokenMembersMax) { (reader, bytes, name) throws(JSONFault) in
        if reader.matches("alg", bytes, name) {
          alg = try reader.copiedText(&bytes, countMax: 32)
        } else if reader.matches("kid", bytes, name) {
          id = try reader.copiedText(&bytes, countMax: Limits.tokenKeyIDBytesMax)
        } else if reader.matches("typ", bytes, name) {
          type = try reader.copiedText(&bytes, countMax: 64)
        } else {
          for word in Self.refused where reader.matches(word, bytes, name) { isForeign = true }
          return false
        }
        return true
      }
      try reader.finish(span)
    } catch { throw .malformed }
    guard !isForeign else { throw .header }
    if let type, !Self.types.contains(String(decoding: type, as: UTF8.self).lowercased()) { throw .header }
    guard let alg, let algorithm = TokenAlgorithm(rawValue: String(decoding: alg, as: UTF8.self)) else {
      throw .algorithm
    }
    (self.algorithm, keyID) = (algorithm, id)
  }
}

/// The claims that are looked at (RFC 7519 §4.1), and the tenants.
struct TokenClaims {
  private(set) var issuer: [UInt8] = []
  private(set) var audiences: [[UInt8]] = []
  private(set) var subject: [UInt8] = []
  /// Seconds since 1970, rounded to where the token is good for less.
  private(set) var expires: UInt64?
  private(set) var notBefore: UInt64 = 0
  private(set) var issued: UInt64 = 0
  /// Of each claim that names tenants for some issuer, its texts; nil where it holds something else.
  private(set) var tenants: [String: [[UInt8]]] = [:]

  init(_ bytes: inout [UInt8], _ tenantClaims: [String]) throws(TokenFault) {
    var claims = Self()
    do throws(JSONFault) {
      var span = bytes.mutableSpan
      var reader = JSONReader(in: 0..<span.count, depthMax: 8)
      try reader.object(&span, membersMax: Limits.tokenMembersMax) { (reader, bytes, name) throws(JSONFault) in
        try claims.read(&reader, &bytes, name, tenantClaims)
      }
      try reader.finish(span)
    } catch { throw .malformed }
    self = claims
  }

  private init() {}

  /// False for a claim that nobody here looks at.
  private mutating func read(
    _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>, _ name: Range<Int>, _ tenantClaims: [String]
  ) throws(JSONFault) -> Bool {
    let textMax = Limits.tokenBytesMax
    if reader.matches("iss", bytes, name) {
      issuer = try reader.copiedText(&bytes, countMax: textMax)
    } else if reader.matches("sub", bytes, name) {
      subject = try reader.copiedText(&bytes, countMax: Limits.tokenSubjectBytesMax)
      guard String(validating: subject, as: UTF8.self) != nil else { throw .notUnicode }
    } else if reader.matches("aud", bytes, name) {
      audiences = try reader.copiedTexts(&bytes, max: Limits.tokenMembersMax, countMax: textMax)
    } else if reader.matches("exp", bytes, name) {
      expires = try reader.numericDate(bytes).seconds
    } else if reader.matches("nbf", bytes, name) {
      notBefore = try Self.roundedUp(reader.numericDate(bytes))
    } else if reader.matches("iat", bytes, name) {
      issued = try Self.roundedUp(reader.numericDate(bytes))
    } else {
      for claim in tenantClaims where reader.matches(claim, bytes, name) {
        let kind = try reader.kind(bytes)
        guard kind == .string || kind == .array else { return false }
        tenants[claim] = try reader.copiedTexts(&bytes, max: Limits.tokenTenantsMax, countMax: textMax)
        return true
      }
      return false
    }
    return true
  }

  private static func roundedUp(_ date: (seconds: UInt64, hasFraction: Bool)) -> UInt64 {
    date.seconds + (date.hasFraction ? 1 : 0)
  }
}
