package import ChatelaineVocabulary

/// A keyring as far as it opens: one version's bad file takes none of the others away.
package struct KeyringContents: Sendable {
  package let keys: MasterKeySet
  /// Of the versions that opened, ascending.
  package let headers: [KeyringFile.Header]
  /// Why the files of other versions are refused.
  package let refused: [UInt32: KeyringError]
  /// Everything that opened, whatever keyring it says to be of.
  private let opened: [Opened]

  fileprivate struct Opened {
    let header: KeyringFile.Header
    let key: MasterKey
    let path: String
  }

  /// `opened` has a file of that keyring.
  fileprivate init(_ opened: [Opened], of id: Identifier, refused: [UInt32: KeyringError]) {
    let (ours, others) = (opened.filter { $0.header.key.id == id }, opened.filter { $0.header.key.id != id })
    self.opened = opened
    keys = MasterKeySet(ours.map(\.key))
    headers = ours.map(\.header)
    let strange = others.map { ($0.header.key.version, KeyringError.twoKeyrings(path: $0.path, other: ours[0].path)) }
    self.refused = refused.merging(strange) { $1 }
  }

  /// The same files as the keyring of this id, for who knows which one is meant; nil where none of them is of it.
  package func taken(as id: Identifier) -> KeyringContents? {
    guard opened.contains(where: { $0.header.key.id == id }) else { return nil }
    let others = Set(opened.map(\.header.key.version))
    return KeyringContents(opened, of: id, refused: refused.filter { !others.contains($0.key) })
  }
}

extension Keyring {
  /// What each file says of itself, or why it is refused. What needs no passphrase is opened, too.
  package borrowing func examine() -> [UInt32: Result<KeyringFile.Header, KeyringError>] {
    var found: [UInt32: Result<KeyringFile.Header, KeyringError>] = [:]
    for version in versions {
      do throws(KeyringError) { found[version] = .success(try examine(version)) } catch {
        found[version] = .failure(error)
      }
    }
    return found
  }

  private borrowing func examine(_ version: UInt32) throws(KeyringError) -> KeyringFile.Header {
    let header = try header(version)
    // why: a header is the file's own word for the key in it.
    if header.seal == .file { _ = try open(version, passphrase: nil) }
    return header
  }

  /// Opens what can be opened, for who knows which versions are needed. Refuses a keyring of which nothing opens. Of two
  /// keyrings it takes the one with more files, or the newest: a store knows which one is its own.
  package borrowing func openEach(passphrase: Passphrase?) throws(KeyringError) -> KeyringContents {
    guard let first = versions.first else { throw .empty(path: path) }
    var (opened, refused) = ([KeyringContents.Opened](), [UInt32: KeyringError]())
    for version in versions {
      do throws(KeyringError) {
        let header = try header(version)
        let key = try open(version, passphrase: passphrase)
        opened.append(.init(header: header, key: key, path: filePath(version)))
      } catch { refused[version] = error }
    }
    let counts = Dictionary(grouping: opened) { $0.header.key.id }.mapValues { ($0.count, $0.last?.header.key.version ?? 0) }
    guard let id = counts.max(by: { $0.value < $1.value })?.key else { throw refused[first] ?? .empty(path: path) }
    return KeyringContents(opened, of: id, refused: refused)
  }
}

extension KeyringError {
  /// What is wrong with a version's file, in a word or two that go with "file".
  package var fileState: String {
    switch self {
    case .fileMissing: "missing"
    case .fileMode: "mode"
    case .fileOwner: "owner"
    case .fileIsSymlink, .notARegularFile, .hardLinked: "link"
    case .content: "damaged"
    case .versionDiffersFromName, .twoKeyrings: "other-key"
    default: "unreadable"
    }
  }
}
