internal import ChatelaineVocabulary

/// Entries for people and for tools. Nothing outside printable ASCII leaves this file unescaped: text in
/// an entry comes from callers.
package enum EntryText {
  /// Printable ASCII as it is; backslash and every other byte as `\xNN`.
  package static func escaped(_ bytes: [UInt8]) -> String {
    var text = ""
    for byte in bytes {
      if (0x20...0x7e).contains(byte), byte != UInt8(ascii: "\\") {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "\\x" + Hex.encode([byte].span)
      }
    }
    return text
  }
}

extension AuditEntry.Detail {
  /// The value as its tag says: a number, a text, else hexadecimal.
  package var valueText: String {
    switch tag {
    case .intentSequence, .segment, .offset, .length, .count, .version, .state:
      String(value.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    case .softwareVersion, .note: EntryText.escaped(value)
    default: Hex.encode(value.span)
    }
  }
}
