internal import ArgumentParser
internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary

/// `chatelaine envelope inspect`: what an envelope says of itself; needs no key and opens nothing.
struct EnvelopeInspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Shows what an envelope says of itself. Needs no key.")

  @Argument(help: "A file with an envelope in binary or text form, or - for standard input.")
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

/// An envelope, or a local one: a wrapped data key and the envelope sealed under it.
struct InspectedEnvelope {
  let isText: Bool
  let byteCount: Int
  let wrappedKey: WrappedKey?
  let header: Envelope.Header

  /// Takes either form. A text may end with one new line, as files of text do.
  init(_ input: [UInt8]) throws(InspectError) {
    isText = input.starts(with: TextForm.prefix.utf8)
    let bytes = isText ? try Self.decode(input) : input
    byteCount = bytes.count
    if bytes.starts(with: "CW".utf8) {
      let local = try Self.parseLocal(bytes.span)
      (wrappedKey, header) = (local.wrappedKey, local.header)
    } else {
      wrappedKey = nil
      header = try Self.parseHeader(bytes.span)
    }
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
      ("suite", .string(header.suite.name)), ("kind", .string(header.kind.name)),
      ("keyId", .string(header.key.id.hex)), ("keyVersion", .number(UInt64(header.key.version))),
      ("salt", .string(Hex.encode(header.salt.span))), ("commitment", .string(header.commitment.hex)),
      ("plaintextBytes", .number(UInt64(header.plaintextByteCount))),
    ]
    if let wrappedKey {
      fields += [
        ("wrappingKeyId", .string(wrappedKey.wrappingKey.id.hex)),
        ("wrappingKeyVersion", .number(UInt64(wrappedKey.wrappingKey.version))),
        ("wrappedKeySalt", .string(Hex.encode(wrappedKey.salt.span))),
        ("wrappedKeyCommitment", .string(wrappedKey.commitment.hex)),
      ]
    }
    return fields
  }

  var lines: String {
    var rows = [
      ("form", "\(isText ? "text" : "binary"), \(byteCount) bytes\(wrappedKey == nil ? "" : ", local")"),
      ("suite", header.suite.name), ("kind", header.kind.name), ("key", header.key.id.hex),
      ("version", String(header.key.version)), ("salt", Hex.encode(header.salt.span)),
      ("commitment", header.commitment.hex), ("plaintext", "\(header.plaintextByteCount) bytes"),
    ]
    if let wrappedKey {
      rows.append(
        ("wrapped by", "\(wrappedKey.wrappingKey.id.hex) version \(wrappedKey.wrappingKey.version)"))
    }
    return rows.map { $0 + String(repeating: " ", count: 12 - $0.utf8.count) + $1 }.joined(separator: "\n")
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
