package import ChatelaineVocabulary

/// A request's method, as far as paths tell them apart.
package enum TransitMethod: Sendable, Equatable {
  case get, head, list, post, delete
  /// None that any path takes.
  case other
}

/// What a path asks for.
package enum Endpoint: Sendable, Equatable {
  case encrypt, decrypt, rewrap
  case dataKey(wrappedOnly: Bool)
  case createKey, readKey, listKeys, rotateKey, configureKey
  /// So many bytes, where the path says it.
  case random(byteCount: Int?)
  case health
  case lookUpSelf

  /// Takes no body.
  var isQuestion: Bool {
    switch self {
    case .readKey, .listKeys, .health, .lookUpSelf: true
    default: false
    }
  }
}

/// Where a request goes: `/v1/TENANT/encrypt/KEY`, or `/v1/transit/encrypt/KEY` with the tenant as the namespace.
package struct TransitRoute: Sendable, Equatable {
  package let endpoint: Endpoint
  /// nil for paths that are no tenant's.
  package let tenant: TenantID?
  package let key: KeyName?

  /// Parses a request's target (RFC 9112 §3.2.1: its path, and perhaps a query).
  package init(_ method: TransitMethod, target: String, namespace: String?) throws(TransitFault) {
    let bytes = target.utf8
    guard bytes.count <= 512 else { throw .noSuchPath }
    let parts = bytes.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let path = parts.first else { throw .noSuchPath }
    let isList = method == .list || (method == .get && parts.count > 1 && Self.asksForList(parts[1]))
    var segments = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Array($0) }
    guard segments.count >= 3, segments[0].isEmpty, segments[1] == Self.version else { throw .noSuchPath }
    segments.removeFirst(2)
    if segments.count > 1, segments.last == [] { segments.removeLast() }
    try self.init(isList ? .list : method, segments, namespace)
  }

  private static let version = Array("v1".utf8)

  private static func asksForList(_ query: Substring.UTF8View) -> Bool {
    query.split(separator: UInt8(ascii: "&")).contains { $0.elementsEqual("list=true".utf8) }
  }

  private init(_ method: TransitMethod, _ segments: [[UInt8]], _ namespace: String?) throws(TransitFault) {
    let words = segments.map { String(decoding: $0, as: UTF8.self) }
    switch words {
    case ["sys", "health"]:
      guard method == .get || method == .head else { throw .method(allowed: "GET, HEAD") }
      (endpoint, tenant, key) = (.health, nil, nil)
      return
    case ["auth", "token", "lookup-self"]:
      try Self.require(.get, method, "GET")
      (endpoint, tenant, key) = (.lookUpSelf, nil, nil)
      return
    default: break
    }
    tenant = try Self.tenant(mount: words[0], namespace)
    (endpoint, key) = try Self.endpoint(method, Array(words.dropFirst()))
  }

  private static func tenant(mount: String, _ namespace: String?) throws(TransitFault) -> TenantID {
    var name = mount
    if let namespace, !namespace.isEmpty {
      guard mount == "transit" else { throw .namespace }
      name = namespace
      // As Vault's own clients write it.
      if name.utf8.last == UInt8(ascii: "/") { name.removeLast() }
    }
    do throws(InvalidName) { return try TenantID(name) } catch { throw .tenant }
  }

  private static func endpoint(
    _ method: TransitMethod, _ words: [String]
  ) throws(TransitFault) -> (Endpoint, KeyName?) {
    guard let first = words.first else { throw .noSuchPath }
    switch (first, words.count) {
    case ("encrypt", 2): return (try post(.encrypt, method), try name(words[1]))
    case ("decrypt", 2): return (try post(.decrypt, method), try name(words[1]))
    case ("rewrap", 2): return (try post(.rewrap, method), try name(words[1]))
    case ("datakey", 3):
      guard words[1] == "plaintext" || words[1] == "wrapped" else { throw .noSuchPath }
      return (try post(.dataKey(wrappedOnly: words[1] == "wrapped"), method), try name(words[2]))
    case ("keys", _): return try keys(method, Array(words.dropFirst()))
    case ("random", 1...3): return (try post(try random(Array(words.dropFirst())), method), nil)
    default:
      guard let absent = Absent(rawValue: first), absent.isPath else { throw .noSuchPath }
      throw .notHere(absent)
    }
  }

  private static func keys(_ method: TransitMethod, _ words: [String]) throws(TransitFault) -> (Endpoint, KeyName?) {
    guard let first = words.first else {
      try require(.list, method, "LIST")
      return (.listKeys, nil)
    }
    guard words.count > 1 else {
      switch method {
      case .get: return (.readKey, try name(first))
      case .post: return (.createKey, try name(first))
      case .delete: throw .notHere(.delete)
      case .list, .head, .other: throw .method(allowed: "GET, POST")
      }
    }
    guard words.count == 2 else { throw .noSuchPath }
    switch words[1] {
    case "rotate": return (try post(.rotateKey, method), try name(first))
    case "config": return (try post(.configureKey, method), try name(first))
    default:
      guard let absent = Absent(rawValue: words[1]), absent.isPathOfKey else { throw .noSuchPath }
      throw .notHere(absent)
    }
  }

  /// `random`, `random/32`, `random/platform/32`.
  private static func random(_ words: [String]) throws(TransitFault) -> Endpoint {
    if words.count == 2, words[0] != "platform", words[0] != "all" { throw .notHere(.source) }
    guard let last = words.last, words.count == 2 || last != "platform" && last != "all" else {
      return .random(byteCount: nil)
    }
    guard let count = Int(last), String(count) == last else { throw .noSuchPath }
    return .random(byteCount: count)
  }

  private static func post(_ endpoint: Endpoint, _ method: TransitMethod) throws(TransitFault) -> Endpoint {
    try require(.post, method, "POST, PUT")
    return endpoint
  }

  private static func require(
    _ wanted: TransitMethod, _ method: TransitMethod, _ allowed: String
  ) throws(TransitFault) {
    guard method == wanted else { throw .method(allowed: allowed) }
  }

  private static func name(_ text: String) throws(TransitFault) -> KeyName {
    do throws(InvalidName) { return try KeyName(text) } catch { throw .key }
  }
}

extension Absent {
  /// Whether it is the first word behind the mount.
  fileprivate var isPath: Bool {
    switch self {
    case .export, .sign, .verify, .hmac, .cmac, .hash, .backup, .restore, .config, .byokExport, .wrappingKey,
      .cacheConfig:
      true
    default: false
    }
  }

  /// Whether it is the word behind `keys/NAME`.
  fileprivate var isPathOfKey: Bool {
    switch self {
    case .trim, .importing, .importingVersion, .csr, .setCertificate, .softDelete: true
    default: false
    }
  }
}
