internal import ArgumentParser
internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary

/// `chatelaine envelope inspect`: what an envelope or a wrapped key says of itself; needs no key and opens nothing.
struct EnvelopeInspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Shows what an envelope, a local one or a wrapped key says of itself. Needs no key.")

  @Argument(help: "A file with an envelope or a wrapped key, in binary or text form, or - for standard input.")
  var file: String?

  @Option(name: .customLong("in"), help: "The same, as other commands have it.")
  var input: String?

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
    guard file == nil || input == nil else { throw ValidationError("Name the file once: with --in or without.") }
  }

  func run() throws {
    let inspected = try InspectedEnvelope(try readInput(input ?? file ?? "-"))
    print(json ? JSON.object(inspected.fields).text : inspected.lines)
  }
}

/// An envelope, a wrapped key, or both: a wrapped data key and the envelope sealed under it.
struct InspectedEnvelope {
  let isText: Bool
  let byteCount: Int
  let wrappedKey: WrappedKey?
  let header: Envelope.Header?

  /// Takes either form. A text may end with one new line, as files of text do.
  init(_ input: [UInt8]) throws(InspectError) {
    isText = input.starts(with: TextForm.prefix.utf8)
    let bytes = isText ? try Self.decode(input) : input
    byteCount = bytes.count
    guard bytes.starts(with: "CW".utf8) else {
      (wrappedKey, header) = (nil, try Self.parseHeader(bytes.span))
      return
    }
    guard bytes.count > WrappedKey.byteCount else {
      (wrappedKey, header) = (try Self.parseWrappedKey(bytes.span), nil)
      return
    }
    let local = try Self.parseLocal(bytes.span)
    (wrappedKey, header) = (local.wrappedKey, local.header)
  }

  private static func decode(_ text: [UInt8]) throws(InspectError) -> [UInt8] {
    let end = text.last == UInt8(ascii: "\n") ? text.count - 1 : text.count
    do throws(TextForm.Malformed) {
      return try TextForm.decode(text.span.extracting(0..<end))
    } catch {
      throw .text(error)
    }
  }

  private static func parseLocal(_ bytes: Span<UInt8>) throws(InspectError) -> LocalEnvelope {
    do throws(LocalEnvelope.Malformed) {
      return try LocalEnvelope(bytes)
    } catch {
      throw .local(error)
    }
  }

  private static func parseWrappedKey(_ bytes: Span<UInt8>) throws(InspectError) -> WrappedKey {
    do throws(WrappedKey.Malformed) {
      return try WrappedKey(bytes)
    } catch {
      throw .wrappedKey(error)
    }
  }

  private static func parseHeader(_ bytes: Span<UInt8>) throws(InspectError) -> Envelope.Header {
    do throws(Envelope.Malformed) {
      return try Envelope.parseHeader(bytes)
    } catch {
      throw .envelope(error)
    }
  }
}

// MARK: Printing

extension InspectedEnvelope {
  var fields: [(String, JSON)] {
    var fields: [(String, JSON)] = [
      ("form", .string(isText ? "text" : "binary")), ("bytes", .number(UInt64(byteCount))),
    ]
    if let header { fields += header.fields } else if let wrappedKey { fields += wrappedKey.fields }
    guard let wrappedKey else { return fields }
    return fields + [
      ("wrappingKeyId", .string(wrappedKey.wrappingKey.id.hex)),
      ("wrappingKeyVersion", .number(UInt64(wrappedKey.wrappingKey.version))),
      ("wrappedKeySalt", .string(Hex.encode(wrappedKey.salt.span))),
      ("wrappedKeyCommitment", .string(wrappedKey.commitment.hex)),
    ]
  }

  var lines: String {
    let isLocal = wrappedKey != nil && header != nil
    var rows = [("form", "\(isText ? "text" : "binary"), \(byteCount) bytes\(isLocal ? ", local" : "")")]
    if let header { rows += header.rows } else if let wrappedKey { rows += wrappedKey.rows }
    if let wrappedKey {
      rows.append(
        ("wrapped by", "\(wrappedKey.wrappingKey.id.hex) version \(wrappedKey.wrappingKey.version)"))
    }
    return rows.map { $0 + String(repeating: " ", count: 12 - $0.utf8.count) + $1 }.joined(separator: "\n")
  }
}

extension Envelope.Header {
  fileprivate var fields: [(String, JSON)] {
    [
      ("suite", .string(suite.name)), ("kind", .string(kind.name)),
      ("keyId", .string(key.id.hex)), ("keyVersion", .number(UInt64(key.version))),
      ("salt", .string(Hex.encode(salt.span))), ("commitment", .string(commitment.hex)),
      ("plaintextBytes", .number(UInt64(plaintextByteCount))),
    ]
  }

  fileprivate var rows: [(String, String)] {
    [
      ("suite", suite.name), ("kind", kind.name), ("key", key.id.hex), ("version", String(key.version)),
      ("salt", Hex.encode(salt.span)), ("commitment", commitment.hex), ("plaintext", "\(plaintextByteCount) bytes"),
    ]
  }
}

extension WrappedKey {
  fileprivate var fields: [(String, JSON)] {
    [
      ("kind", .string("wrapped-" + kind.name)), ("keyId", .string(key.id.hex)),
      ("keyVersion", .number(UInt64(key.version))),
    ]
  }

  fileprivate var rows: [(String, String)] {
    [
      ("kind", "wrapped-" + kind.name), ("key", key.id.hex), ("version", String(key.version)),
      ("salt", Hex.encode(salt.span)), ("commitment", commitment.hex),
    ]
  }
}

extension WrappedKeyKind {
  fileprivate var name: String {
    switch self {
    case .storeKey: "store-key"
    case .tenantRoot: "tenant-root"
    case .tenantKey: "tenant-key"
    case .subjectKey: "subject-key"
    case .dataKey: "data-key"
    }
  }
}

extension Suite {
  fileprivate var name: String {
    switch self {
    case .aes256GCM: "AES-256-GCM"
    case .xchacha20Poly1305: "XChaCha20-Poly1305"
    }
  }
}

extension EnvelopeKind {
  fileprivate var name: String {
    switch self {
    case .tenantKey: "tenant-key"
    case .subjectKey: "subject-key"
    case .dataKey: "data-key"
    }
  }
}
