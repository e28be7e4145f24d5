internal import ChatelaineVocabulary

/// Why a file is no set of keys. Keys are counted from 1.
package enum TokenKeySetFault: Error, Equatable, Sendable {
  /// Not a JSON object with a list `keys` of objects; or a name that stands twice.
  case malformed(atByte: Int)
  case tooManyKeys
  /// A member is missing or no base64url of its kind, the key is too weak, or is no point of its curve.
  case key(number: Int)
  /// A private key: whoever holds it makes tokens.
  case privateKey(number: Int)
  /// Two keys of one algorithm with the same `kid`, or both without one.
  case twins(number: Int)
  /// None that verifies anything here.
  case noKey

  package var sentence: String {
    switch self {
    case .malformed(let place): "this is no JSON Web Key Set, at its byte \(place): it is {\"keys\":[…]} (RFC 7517)"
    case .tooManyKeys: "it has more than \(Limits.tokenKeysMax) keys: leave out those that sign nothing any more"
    case .key(let number):
      "key \(number) is not whole or too weak: RSA has 2048 to 8192 bits, EC is P-256, OKP is Ed25519, oct has 32 to 1024 bytes"
    case .privateKey(let number): "key \(number) is a private key, which belongs to who signs: take out its 'd'"
    case .twins(let number): "key \(number) has the algorithm and the 'kid' of another: give each a 'kid' of its own"
    case .noKey: "it has no key of RS256, ES256 on P-256, EdDSA on Ed25519 or HS256 that verifies signatures"
    }
  }
}

/// The keys of one issuer: a JSON Web Key Set (RFC 7517 §5). Keys for other purposes and of other algorithms are left out.
package struct TokenKeySet: Sendable {
  package let keys: [TokenKey]

  /// Whether the file is a secret: whoever can read it makes tokens.
  package var holdsSecret: Bool { keys.contains { $0.algorithm == .hs256 } }

  /// Parses a file; what it holds of a secret is erased in `bytes`.
  package init(parsing bytes: inout [UInt8]) throws(TokenKeySetFault) {
    defer { for index in bytes.indices { bytes[index] = 0 } }
    var span = bytes.mutableSpan
    var reader = JSONReader(in: 0..<span.count, depthMax: 8)
    var fault: TokenKeySetFault?
    var keys: [TokenKey] = []
    do throws(JSONFault) { fault = try Self.read(&reader, &span, &keys) } catch {
      throw .malformed(atByte: reader.at)
    }
    if let fault { throw fault }
    guard !keys.isEmpty else { throw .noKey }
    self.keys = keys
  }

  private static func read(
    _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>, _ keys: inout [TokenKey]
  ) throws(JSONFault) -> TokenKeySetFault? {
    var fault: TokenKeySetFault?
    var hasKeys = false
    var found: [TokenKey] = []
    try reader.object(&bytes, membersMax: Limits.tokenMembersMax) { (reader, bytes, name) throws(JSONFault) in
      guard reader.matches("keys", bytes, name) else { return false }
      hasKeys = true
      try reader.openArray(bytes)
      var number = 0
      while try reader.nextElement(bytes) {
        number += 1
        guard number <= Limits.tokenKeysMax else {
          fault = fault ?? .tooManyKeys
          try reader.skip(bytes)
          continue
        }
        var key = JSONWebKey()
        try key.read(&reader, &bytes)
        do throws(JSONWebKey.Fault) {
          guard let made = try key.tokenKey() else { continue }
          guard !found.contains(where: { $0.algorithm == made.algorithm && $0.id == made.id }) else { throw .twin }
          found.append(made)
        } catch { fault = fault ?? error.fault(number) }
      }
      return true
    }
    try reader.finish(bytes)
    guard hasKeys else { throw .malformed }
    keys = found
    return fault
  }
}

/// One key of a set, as it is written.
private struct JSONWebKey {
  enum Fault: Error {
    case notWhole
    case isPrivate
    case twin

    func fault(_ number: Int) -> TokenKeySetFault {
      switch self {
      case .notWhole: .key(number: number)
      case .isPrivate: .privateKey(number: number)
      case .twin: .twins(number: number)
      }
    }
  }

  /// Members that are texts (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2), and are looked at.
  private static let names = ["kty", "use", "alg", "kid", "crv", "n", "e", "x", "y", "k", "d"]
  private var texts: [String: [UInt8]] = [:]
  private var operations: [[UInt8]]?

  mutating func read(_ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>) throws(JSONFault) {
    var (texts, operations) = (self.texts, self.operations)
    try reader.object(&bytes, membersMax: Limits.tokenMembersMax) { (reader, bytes, name) throws(JSONFault) in
      if reader.matches("key_ops", bytes, name) {
        operations = try reader.copiedTexts(&bytes, max: 16, countMax: 64)
        return true
      }
      for known in Self.names where reader.matches(known, bytes, name) {
        texts[known] = try reader.copiedText(&bytes, countMax: 4096)
        return true
      }
      return false
    }
    (self.texts, self.operations) = (texts, operations)
  }

  /// nil for a key that verifies no signatures, or of an algorithm that is not one of ours (RFC 7517 §5: such are ignored).
  func tokenKey() throws(Fault) -> TokenKey? {
    let type = word("kty")
    guard let algorithm = algorithm(type), isForVerifying(algorithm) else { return nil }
    guard algorithm == .hs256 || texts["d"] == nil else { throw .isPrivate }
    let id = texts["kid"]
    guard id?.count ?? 0 <= Limits.tokenKeyIDBytesMax else { throw .notWhole }
    let key: TokenKey?
    switch algorithm {
    case .rs256: key = TokenKey(id: id, rsaModulus: try bytes("n"), exponent: try bytes("e"))
    case .es256: key = TokenKey(id: id, p256X: try bytes("x"), y: try bytes("y"))
    case .edDSA: key = TokenKey(id: id, ed25519: try bytes("x"))
    case .hs256:
      var secret = try bytes("k")
      key = TokenKey(id: id, secret: &secret)
    }
    guard let key else { throw .notWhole }
    return key
  }

  private func word(_ name: String) -> String? { texts[name].map { String(decoding: $0, as: UTF8.self) } }

  private func bytes(_ name: String) throws(Fault) -> [UInt8] {
    guard let text = texts[name], let bytes = Base64.decodeURL(text.span) else { throw .notWhole }
    return bytes
  }

  /// The one algorithm that the key's type has here; another one that it names is not ours.
  private func algorithm(_ type: String?) -> TokenAlgorithm? {
    let algorithm: TokenAlgorithm
    switch (type, word("crv")) {
    case ("RSA", _): algorithm = .rs256
    case ("EC", "P-256"): algorithm = .es256
    case ("OKP", "Ed25519"): algorithm = .edDSA
    case ("oct", _): algorithm = .hs256
    default: return nil
    }
    guard let named = word("alg") else { return algorithm }
    return named == algorithm.rawValue ? algorithm : nil
  }

  private func isForVerifying(_ algorithm: TokenAlgorithm) -> Bool {
    guard word("use") ?? "sig" == "sig" else { return false }
    return operations?.contains(Array("verify".utf8)) ?? true
  }
}
