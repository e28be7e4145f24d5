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

  /// What a caller gave, as the value of a field in a line of fields: in quotes where it has a space, `=`, a quote or
  /// nothing at all. A quote inside is `\"`, and `=` is `\x3d`: no text of a caller's looks like a field, to `grep` neither.
  package static func fieldValue(_ bytes: [UInt8]) -> String {
    let plain = escaped(bytes)
    guard plain.isEmpty || plain.contains(where: { " =\"".contains($0) }) else { return plain }
    var text = "\""
    for character in plain {
      switch character {
      case "\"": text += "\\\""
      case "=": text += "\\x3d"
      default: text.append(character)
      }
    }
    return text + "\""
  }
}

extension AuditEntry {
  /// Ids of the keys that the items of a batch named, where they are not all one.
  var itemKeys: [Identifier] {
    guard let bytes = detail(.itemKeys) else { return [] }
    var cursor = ByteCursor()
    guard let count = try? cursor.u16(bytes.span) else { return [] }
    var ids: [Identifier] = []
    for _ in 0..<count {
      guard let id = try? cursor.identifier(bytes.span), (try? cursor.u32(bytes.span)) != nil else { return ids }
      ids.append(id)
    }
    return ids
  }
}

extension AuditEntry.Detail {
  /// The value as its tag says: a number, a text, else hexadecimal.
  package var valueText: String {
    switch tag {
    case .intentSequence, .segment, .offset, .length, .count, .version, .state, .coveredSize, .previousSize:
      String(value.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    case .softwareVersion, .note, .lost, .head: EntryText.escaped(value)
    case .itemKeys: itemKeysText ?? Hex.encode(value.span)
    default: Hex.encode(value.span)
    }
  }

  /// `id/version` of each item's key, or `-`; nil where the value is no list of them.
  private var itemKeysText: String? {
    var cursor = ByteCursor()
    let bytes = value.span
    guard let count = try? cursor.u16(bytes) else { return nil }
    var keys: [String] = []
    for _ in 0..<count {
      guard let id = try? cursor.identifier(bytes), let version = try? cursor.u32(bytes) else { return nil }
      keys.append("\(id.hex)/\(version)")
    }
    var items: [String] = []
    while cursor.offset < bytes.count {
      guard let index = try? cursor.u16(bytes) else { return nil }
      guard index != 0xffff else {
        items.append("-")
        continue
      }
      guard index < count else { return nil }
      items.append(keys[Int(index)])
    }
    return items.joined(separator: " ")
  }
}
