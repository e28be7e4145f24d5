internal import ArgumentParser
internal import ChatelaineClient
internal import ChatelaineEnvelopes
internal import ChatelaineExits
internal import ChatelaineVocabulary
internal import Foundation

/// What `encrypt`, `decrypt` and `rewrap` take besides their names.
struct DataOptions: ParsableArguments {
  @Option(name: .customLong("in"), help: "Read this file. Without it: standard input.")
  var input: String?

  @Option(
    name: .customLong("out"),
    help:
      "Write this file, whole or not at all: written beside its place, then renamed. Without it: standard output."
  )
  var output: String?

  @OptionGroup var context: ContextOptions
  @OptionGroup var data: DataSocketOptions
  @OptionGroup var tags: TagOptions

  @Flag(help: "One value a line: a line of text on the one side, one envelope in text form on the other.")
  var lines = false

  @Flag(help: "With --lines: tell progress and rate also where standard error is no terminal.")
  var progress = false

  @Flag(help: "Print one line of JSON; with --lines, one for each line, and go on behind one that fails.")
  var json = false

  /// All of the input; a sentence where it is more than one request carries.
  func readWhole(atMost limit: Int) throws -> [UInt8] {
    guard let bytes = try InputFile(input).readAll(atMost: limit) else {
      throw Failure(
        .data,
        "LIMIT_EXCEEDED: one request carries at most \(Limits.plaintextBytesMax) bytes of plaintext, and nothing was written: for more, issue a data key (chatelaine data-key issue) and encrypt under it"
      )
    }
    return bytes
  }

  /// Writes a result to its place; then prints what `--json` asks for, with the value where it went nowhere else.
  func deliver(
    _ bytes: [UInt8], to place: OutputFile, _ receipt: Receipt, json value: () -> (String, JSON)
  ) throws {
    if json, output == nil {
      print(JSON.object([value(), ("receipt", receipt.json)]).text)
      return
    }
    try place.write(bytes)
    try place.finish()
    if json { print(JSON.object([("out", .string(output ?? "")), ("receipt", receipt.json)]).text) }
  }
}

/// The encryption context, `--context k=v` for each pair.
struct ContextOptions: ParsableArguments {
  @Option(
    name: .customLong("context"),
    help:
      "A pair k=v of the encryption context; give the option once for each. Not secret; the same pairs decrypt."
  )
  var given: [String] = []

  func validate() throws {
    let keys = try given.map { try Self.pair($0).key }
    guard Set(keys.map { Array($0.utf8) }).count == keys.count else {
      throw ValidationError("--context has a key twice.")
    }
  }

  var pairs: [String: String] {
    get throws { Dictionary(try given.map { try Self.pair($0) }) { first, _ in first } }
  }

  private static func pair(_ text: String) throws -> (key: String, value: String) {
    guard let sign = text.utf8.firstIndex(of: UInt8(ascii: "=")), sign != text.startIndex else {
      throw ValidationError("'\(text)' is not a pair k=v")
    }
    return (String(text[..<sign]), String(text[text.utf8.index(after: sign)...]))
  }
}

/// Largest inputs: a plaintext, and an envelope of one in either form, with a new line at its end.
enum InputLimit {
  static let plaintext = Limits.plaintextBytesMax
  static let envelope = (plaintext + Envelope.overheadByteCount) * 4 / 3 + 8
}

/// Envelopes and wrapped data keys as files and lines hold them.
enum StoredForm {
  /// The binary form of either form. A text may end with one new line, as files of text do.
  static func decode(_ input: [UInt8]) throws(ClientError) -> [UInt8] {
    guard input.starts(with: TextForm.prefix.utf8) else { return input }
    return try decodeText(input.last == UInt8(ascii: "\n") ? Array(input.dropLast()) : input)
  }

  static func decodeText(_ text: [UInt8]) throws(ClientError) -> [UInt8] {
    do throws(TextForm.Malformed) { return try TextForm.decode(text.span) } catch {
      throw ClientError(.decryptionFailed, "This is not the text form of an envelope (\(error)).")
    }
  }

  static func encode(_ bytes: [UInt8]) -> String {
    String(decoding: TextForm.encode(bytes.span), as: UTF8.self)
  }

  static func line(_ bytes: [UInt8]) -> [UInt8] { TextForm.encode(bytes.span) + [UInt8(ascii: "\n")] }

  /// A wrapped data key, by its first bytes and its length.
  static func isWrappedDataKey(_ bytes: [UInt8]) -> Bool {
    bytes.count == WrappedKey.byteCount && bytes.starts(with: "CW".utf8)
  }
}

extension Receipt {
  var json: JSON {
    .object([
      ("logId", .string(logID)), ("epoch", .number(UInt64(epoch))), ("sequence", .number(sequence)),
      ("leafHash", .string(leafHash)),
    ])
  }
}

func base64(_ bytes: [UInt8]) -> JSON { .string(Data(bytes).base64EncodedString()) }
