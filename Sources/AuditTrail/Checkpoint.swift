package import ChatelaineVocabulary

/// What a head of the log says: of which log, how many entries, and the root over them (C2SP tlog-checkpoint).
package struct Checkpoint: Equatable, Sendable {
  package struct Malformed: Error, Equatable {}

  /// `<name>/<log id>/<epoch>`
  package let origin: String
  package let size: UInt64
  package let root: Digest
  /// Lines that others may put behind the root; this service writes none.
  package let extensions: [String]

  package init(origin: String, size: UInt64, root: Digest) {
    self.origin = origin
    self.size = size
    self.root = root
    extensions = []
  }

  package init(parsing text: [UInt8]) throws(Malformed) {
    guard text.last == UInt8(ascii: "\n"), String(validating: text, as: UTF8.self) != nil else { throw Malformed() }
    let lines = text.dropLast().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    guard lines.count >= 3, lines.allSatisfy({ !$0.isEmpty }), let size = Self.number(lines[1]),
      let root = Base64.digest(lines[2])
    else { throw Malformed() }
    origin = String(decoding: lines[0], as: UTF8.self)
    self.size = size
    self.root = root
    extensions = lines.dropFirst(3).map { String(decoding: $0, as: UTF8.self) }
  }

  package var text: [UInt8] {
    let lines = [origin, "\(size)", Base64.encode(root.bytes)] + extensions
    return Array(lines.map { $0 + "\n" }.joined().utf8)
  }

  /// Decimal without leading zeros.
  static func number(_ digits: [UInt8]) -> UInt64? {
    let text = String(decoding: digits, as: UTF8.self)
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = UInt64(text),
      String(number) == text
    else { return nil }
    return number
  }
}

extension EpochDescriptor {
  /// What heads of this epoch begin with, and the name of the key that signs them.
  package var origin: String { origin(ofEpoch: epoch) }

  /// Of another epoch of the same log.
  package func origin(ofEpoch number: UInt32) -> String { "\(name)/\(logID.hex)/\(number)" }

  /// The epoch of this log that an origin names; nil where it is another log's.
  package func epochNumber(ofOrigin origin: String) -> UInt32? {
    guard let slash = origin.lastIndex(of: "/"), let number = UInt32(origin[origin.index(after: slash)...]), number >= 1,
      self.origin(ofEpoch: number).utf8.elementsEqual(origin.utf8)
    else { return nil }
    return number
  }
}

/// A signed checkpoint.
package struct SignedHead: Equatable, Sendable {
  package enum Malformed: Error, Equatable {
    case note(SignedNote.Malformed)
    case checkpoint

    package var words: String {
      switch self {
      case .note(let error): error.words
      case .checkpoint: "its text is not that of a head: origin, size, root"
      }
    }
  }

  package let note: SignedNote
  package let checkpoint: Checkpoint

  package init(_ checkpoint: Checkpoint, signedBy signer: NoteSigner) {
    self.checkpoint = checkpoint
    note = SignedNote(text: checkpoint.text, signedBy: signer)
  }

  /// The same head with other signatures under it.
  init(_ checkpoint: Checkpoint, note: SignedNote) {
    self.checkpoint = checkpoint
    self.note = note
  }

  package init(parsing bytes: Span<UInt8>) throws(Malformed) {
    do throws(SignedNote.Malformed) { note = try SignedNote(parsing: bytes) } catch { throw .note(error) }
    do throws(Checkpoint.Malformed) { checkpoint = try Checkpoint(parsing: note.text) } catch { throw .checkpoint }
  }

  /// A head counts only under the key of its own origin.
  package func verdict(of key: NoteKey) -> SignedNote.Verdict {
    guard checkpoint.origin.utf8.elementsEqual(key.name.utf8) else { return .otherKey }
    return note.verdict(of: key)
  }
}
