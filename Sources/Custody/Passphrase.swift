internal import ChatelainePrimitives
package import ChatelaineSecretMemory
internal import ChatelaineVocabulary
internal import Glibc

/// A passphrase in secret memory, 1 to 1,024 bytes.
package final class Passphrase: Sendable {
  /// What one for a new key has at least.
  package static let newByteCountMin = 12

  private let secret: SecretBytes

  package init(_ secret: consuming SecretBytes) throws(PassphraseError) {
    guard secret.count <= Limits.passphraseBytesMax else { throw .tooLong }
    self.secret = secret
  }

  var byteCount: Int { secret.count }

  func deriveKey(salt: Span<UInt8>, cost: Argon2Cost) throws(KeyringFile.Refusal) -> DerivationKey {
    do throws(Argon2id.OutOfMemory) {
      let key = try secret.withBytes { passphrase throws(Argon2id.OutOfMemory) in
        try Argon2id.deriveKey(
          passphrase: passphrase, salt: salt, memoryKiB: cost.memoryKiB, passes: cost.passes)
      }
      return key.withBytes { DerivationKey($0) }
    } catch {
      throw .outOfMemory
    }
  }

  func equals(_ other: Passphrase) -> Bool {
    secret.withBytes { a in
      other.secret.withBytes { b in constantTimeEqual(Span(_bytes: a), Span(_bytes: b)) }
    }
  }
}

/// Where a passphrase comes from. Never an argument or an environment variable: others can read both.
package enum PassphraseSource: Equatable, Sendable {
  /// All bytes of an open file descriptor.
  case descriptor(Int32)
  /// The file of this name in $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential=).
  case credential(String)
  /// A prompt with echo off, twice for a new passphrase.
  case terminal(isNew: Bool)
}

/// Why there is no passphrase.
package enum PassphraseError: Error, Equatable {
  case empty
  case tooLong
  case descriptorIsTerminal(Int32)
  case noCredentialsDirectory
  case credentialName
  case credentialUnreadable(path: String, errno: Int32)
  case noTerminal
  case differs
  case unreadable(errno: Int32)

  /// What is wrong and how to mend it, in one sentence.
  package var sentence: String {
    switch self {
    case .empty: "the passphrase is empty: give 1 to \(Limits.passphraseBytesMax) bytes"
    case .tooLong: "the passphrase is longer than \(Limits.passphraseBytesMax) bytes: give a shorter one"
    case .descriptorIsTerminal(let descriptor):
      "file descriptor \(descriptor) is a terminal and would show the passphrase: leave --passphrase-fd away to be asked"
    case .noCredentialsDirectory: "CREDENTIALS_DIRECTORY is not set: start from a unit with LoadCredential="
    case .credentialName: "a credential is named by 1 to 255 bytes without a slash: mend the name"
    case .credentialUnreadable(let path, let errno):
      "\(printable(path)): the credential cannot be read (\(systemText(errno))): mend LoadCredential= in the unit"
    case .noTerminal: "there is no terminal to ask at: use --passphrase-fd or --passphrase-credential"
    case .differs: "the two passphrases differ: try again"
    case .unreadable(let errno):
      "the passphrase cannot be read (\(systemText(errno))): mend that and try again"
    }
  }
}

extension Passphrase {
  package static func read(from source: PassphraseSource) throws(PassphraseError) -> Passphrase {
    switch source {
    case .descriptor(let descriptor):
      guard isatty(descriptor) == 0 else { throw .descriptorIsTerminal(descriptor) }
      return try readAll(descriptor)
    case .credential(let name):
      return try readCredential(name)
    case .terminal(let isNew):
      let terminal = try Terminal()
      let passphrase = try terminal.ask("Passphrase: ")
      if isNew {
        guard passphrase.equals(try terminal.ask("The same again: ")) else { throw .differs }
      }
      return passphrase
    }
  }

  private static func readCredential(_ name: String) throws(PassphraseError) -> Passphrase {
    guard let directory = unsafe getenv("CREDENTIALS_DIRECTORY") else { throw .noCredentialsDirectory }
    guard (1...255).contains(name.utf8.count), !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0),
      name != ".", name != ".."
    else { throw .credentialName }
    let path = unsafe String(cString: directory) + "/" + name
    let file = unsafe Descriptor(open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK))
    guard file.isOpen else { throw .credentialUnreadable(path: path, errno: errno) }
    do throws(PassphraseError) {
      return try readAll(file.number)
    } catch {
      guard case .unreadable(let number) = error else { throw error }
      throw .credentialUnreadable(path: path, errno: number)
    }
  }

  /// Reads to the end, or to the first new line that ends a read; one new line at the end is left out.
  static func readAll(_ descriptor: Int32, isLine: Bool = false) throws(PassphraseError) -> Passphrase {
    // Room for one byte and a new line too many, so that too long can be told.
    var buffer = SecretBytes.zeros(count: Limits.passphraseBytesMax + 2)
    var count = 0
    var endsInNewline = false
    while count < buffer.count, !(isLine && endsInNewline) {
      let got = buffer.read(from: descriptor, at: count)
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw .unreadable(errno: errno) }
      if got == 0 { break }
      count += got
      endsInNewline = buffer.withBytes { Span<UInt8>(_bytes: $0)[count - 1] == UInt8(ascii: "\n") }
    }
    if endsInNewline { count -= 1 }
    guard count > 0 else { throw .empty }
    return try Passphrase(
      buffer.withBytes { bytes in
        SecretBytes(count: count) { $0.append(contentsOf: bytes.extracting(0..<count)) }
      })
  }
}
