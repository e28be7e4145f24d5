internal import ChatelainePrimitives
package import ChatelaineTokens
package import ChatelaineVocabulary

/// The tokens that a service takes, as operators write them: who issues JWTs, and which static tokens there are.
///
/// The file says where each issuer's keys are (a JSON Web Key Set), and they are read with it.
package struct TokensFile: Sendable {
  package let rules: TokenRules
  /// Of the key sets, beside the file itself.
  package let keySets: [String]

  /// Reads the file and all that it names. `file` is its path.
  package init(reading file: String, of owner: ConfigurationFile.Owner = .own) throws(ConfigurationError) {
    let bytes = try ConfigurationFile.read(file, of: owner)
    try self.init(bytes, file: file) { (path) throws(ConfigurationError) in
      var content = try ConfigurationFile.read(path, of: owner, bytesMax: Limits.keySetBytesMax)
      let hash = SHA256.hash(content.span)
      let keys: TokenKeySet
      do throws(TokenKeySetFault) { keys = try TokenKeySet(parsing: &content) } catch {
        throw Fault(nil, .keySet(error)).error(in: path)
      }
      if keys.holdsSecret, try !ConfigurationFile.isOwnersAlone(path) {
        throw Fault(nil, .secretReadable).error(in: path)
      }
      return (keys, hash)
    }
  }

  /// `keySet` reads one of the files that it names, and gives its hash.
  package init(
    _ bytes: [UInt8], file: String, keySet: (String) throws(ConfigurationError) -> (TokenKeySet, Digest)
  ) throws(ConfigurationError) {
    let parts: Parts
    do throws(Fault) { parts = try Parts(bytes, file) } catch { throw error.error(in: file) }
    var hash = SHA256()
    hash.update(SHA256.hash(bytes).bytes)
    var issuers: [TokenIssuer] = []
    for issuer in parts.issuers {
      let (keys, keysHash) = try keySet(issuer.keys)
      hash.update(keysHash.bytes)
      issuers.append(
        TokenIssuer(
          name: issuer.name, issuer: Array(issuer.issuer.utf8), audiences: issuer.audiences.map { Array($0.utf8) },
          tenantClaim: issuer.tenantClaim, leewaySeconds: issuer.leewaySeconds, keys: keys))
    }
    rules = TokenRules(issuers: issuers, statics: parts.statics, filesHash: hash.finish())
    keySets = parts.issuers.map(\.keys)
  }
}

/// What stands in the file itself.
private struct Parts {
  struct Issuer {
    let name: KeyName
    let issuer: String
    let audiences: [String]
    let keys: String
    let tenantClaim: String
    let leewaySeconds: UInt64
  }

  private(set) var issuers: [Issuer] = []
  private(set) var statics: [StaticToken] = []
  private var seen: Set<String> = []

  init(_ bytes: [UInt8], _ file: String) throws(Fault) {
    let root = try YAMLFile.parse(bytes)
    try Fields.checkVersion(root)
    let fields = try Fields(root, known: ["version", "issuers", "static"])
    for value in try Self.list(fields, "issuers", max: Limits.tokenIssuersMax) {
      let issuer = try Self.issuer(value, file)
      try once("the name '\(issuer.name.rawValue)'", value)
      for audience in issuer.audiences { try once("the audience '\(audience)' of \(issuer.issuer)", value) }
      issuers.append(issuer)
    }
    for value in try Self.list(fields, "static", max: Limits.staticTokensMax) {
      let token = try Self.staticToken(value)
      try once("the name '\(token.name.rawValue)'", value)
      try once("the hash \(token.hash.hex)", value)
      statics.append(token)
    }
  }

  private mutating func once(_ what: String, _ value: Value) throws(Fault) {
    guard seen.insert(what).inserted else { throw Fault(value.line, .tokensTwice(what)) }
  }

  private static func list(_ fields: Fields, _ key: String, max: Int) throws(Fault) -> [Value] {
    guard let value = fields.optional(key) else { return [] }
    guard case .list(let values) = value.content else { throw Fault(value.line, .type(key: key, wanted: .list)) }
    guard values.count <= max else { throw Fault(value.line, .tooMany(key: key, limit: max)) }
    return values
  }

  private static func issuer(_ value: Value, _ file: String) throws(Fault) -> Issuer {
    let fields = try Fields(
      value, of: "issuer", known: ["name", "issuer", "audience", "jwks", "tenant-claim", "leeway-seconds"])
    let path = try fields.text("jwks")
    guard path.utf8.count <= Limits.pathBytesMax else {
      throw Fault(try fields.required("jwks").line, .path(key: fields.name("jwks")))
    }
    return Issuer(
      name: try name(fields), issuer: try fields.text("issuer"),
      audiences: try texts(fields, "audience", max: Limits.tokenAudiencesMax).map(\.text),
      keys: ConfigurationFile.resolve(path, besides: file), tenantClaim: try claim(fields),
      leewaySeconds: try fields.number("leeway-seconds", in: Limits.tokenLeewaySecondsRange, default: 30))
  }

  private static func staticToken(_ value: Value) throws(Fault) -> StaticToken {
    let fields = try Fields(value, of: "static", known: ["name", "tenant", "sha256", "expires"])
    var tenants: [TenantID] = []
    for (text, line) in try texts(fields, "tenant", max: Limits.tokenTenantsMax) {
      guard let tenant = try? TenantID(text) else { throw Fault(line, .tenant(text)) }
      tenants.append(tenant)
    }
    guard let hash = Digest(hex: try fields.text("sha256").lowercased()) else {
      throw Fault(try fields.required("sha256").line, .hash)
    }
    var expires: WallTime?
    if let text = try fields.optionalText("expires") {
      guard let time = WallTime(rfc3339: text) else { throw Fault(try fields.required("expires").line, .time(text)) }
      expires = time
    }
    return StaticToken(name: try name(fields), tenants: tenants, hash: hash, expires: expires)
  }

  private static func name(_ fields: Fields) throws(Fault) -> KeyName {
    let text = try fields.text("name")
    guard let name = try? KeyName(text) else { throw Fault(try fields.required("name").line, .tokenName(text)) }
    return name
  }

  private static func texts(_ fields: Fields, _ key: String, max: Int) throws(Fault) -> [(text: String, line: Int)] {
    let value = try fields.required(key)
    let texts = try fields.texts(key) ?? []
    guard (1...max).contains(texts.count) else { throw Fault(value.line, .tooMany(key: fields.name(key), limit: max)) }
    return texts
  }

  /// Claims that mean something else already (RFC 7519 §4.1).
  private static let registered = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]

  private static func claim(_ fields: Fields) throws(Fault) -> String {
    guard let text = try fields.optionalText("tenant-claim") else { return "tenant" }
    guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
      !registered.contains(text)
    else { throw Fault(try fields.required("tenant-claim").line, .claim(text)) }
    return text
  }
}
