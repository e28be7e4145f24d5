package import ChatelaineVocabulary

/// The bodies of replies, as Vault writes them.
package enum TransitReply {
  /// Of a reply without what it holds: head, tail, names of members.
  package static let frameBytesMax = 512
  /// Of an item of a batch, less its text and its mark.
  package static let itemBytesMax = 160
  /// `vault:v4294967295:`
  private static let prefixBytesMax = 18

  /// What a batch's items and a single result need at most.
  package static func room(_ items: [TransitItem], _ bodyCount: (Int) -> Int) -> Int {
    items.reduce(frameBytesMax) { room, item in
      room + itemBytesMax + prefixBytesMax + Base64.characterCount(bodyCount(item.body.count)) + (item.reference?.count ?? 0)
    }
  }

  /// Wraps what `data` writes, an object or `null`, in what Vault's replies have around it.
  package static func append(
    _ requestID: Identifier, warning: String? = nil, to output: inout OutputRawSpan,
    data: (inout OutputRawSpan) -> Void
  ) {
    output.append(text: "{\"request_id\":\"")
    output.append(text: requestID.hex)
    output.append(text: "\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":")
    data(&output)
    output.append(text: ",\"wrap_info\":null,\"warnings\":")
    if let warning {
      output.append(text: "[")
      append(string: warning, to: &output)
      output.append(text: "]")
    } else {
      output.append(text: "null")
    }
    output.append(text: ",\"auth\":null}\n")
  }

  /// `"ciphertext":"vault:v3:…","key_version":3`
  package static func append(ciphertext: Span<UInt8>, keyVersion: UInt32, to output: inout OutputRawSpan) {
    output.append(text: "\"ciphertext\":\"vault:v\(keyVersion):")
    Base64.append(ciphertext, to: &output)
    output.append(text: "\",\"key_version\":\(keyVersion)")
  }

  /// `"plaintext":"…"`
  package static func append(plaintext: Span<UInt8>, to output: inout OutputRawSpan) {
    output.append(text: "\"plaintext\":\"")
    Base64.append(plaintext, to: &output)
    output.append(text: "\"")
  }

  /// An item that failed says why, by its code.
  package static func append(itemError code: ErrorCode, to output: inout OutputRawSpan) {
    output.append(text: "\"error\":\"")
    output.append(text: code.rawValue)
    output.append(text: "\"")
  }

  /// An item's mark, as its caller wrote it.
  package static func append(reference: Span<UInt8>, to output: inout OutputRawSpan) {
    output.append(text: ",\"reference\":\"")
    output.append(copying: reference)
    output.append(text: "\"")
  }

  /// Vault's shape of an error, and beside it the code, which stays the same, and the id that the log has.
  package static func appendRefusal(
    _ code: ErrorCode, _ sentence: String, _ requestID: Identifier, to output: inout OutputRawSpan
  ) {
    output.append(text: "{\"errors\":[")
    append(string: sentence, to: &output)
    output.append(text: "],\"code\":\"\(code.rawValue)\",\"request_id\":\"")
    output.append(text: requestID.hex)
    output.append(text: "\"}\n")
  }

  /// Bytes that a refusal of this sentence needs at most.
  package static func refusalRoom(_ sentence: String) -> Int { 256 + 6 * sentence.utf8.count }

  /// A text in quotes, with what must not stand there escaped.
  package static func append(string: String, to output: inout OutputRawSpan) {
    output.append(text: "\"")
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        output.append(UInt8(ascii: "\\"))
        output.append(byte)
      case 0..<0x20:
        output.append(text: byte < 16 ? "\\u000" : "\\u00")
        output.append(text: String(byte, radix: 16))
      default: output.append(byte)
      }
    }
    output.append(text: "\"")
  }
}
