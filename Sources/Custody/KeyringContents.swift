internal import ChatelaineVocabulary

/// A keyring as far as it opens: one version's bad file takes none of the others away.
package struct KeyringContents: Sendable {
  package let keys: MasterKeySet
  /// Of the versions that opened, ascending.
  package let headers: [KeyringFile.Header]
  /// Why the files of other versions are refused.
  package let refused: [UInt32: KeyringError]
}

extension Keyring {
  /// What each file says of itself, or why it is refused.
  package borrowing func examine() -> [UInt32: Result<KeyringFile.Header, KeyringError>] {
    var found: [UInt32: Result<KeyringFile.Header, KeyringError>] = [:]
    for version in versions {
      do throws(KeyringError) { found[version] = .success(try header(version)) } catch { found[version] = .failure(error) }
    }
    return found
  }

  /// Opens what can be opened, for who knows which versions are needed. Refuses a keyring of which nothing opens, and
  /// files of two keyrings.
  package borrowing func openEach(passphrase: Passphrase?) throws(KeyringError) -> KeyringContents {
    guard let first = versions.first else { throw .empty(path: path) }
    var (keys, headers, refused) = ([MasterKey](), [KeyringFile.Header](), [UInt32: KeyringError]())
    for version in versions {
      do throws(KeyringError) {
        let header = try header(version)
        keys.append(try open(version, passphrase: passphrase))
        headers.append(header)
      } catch { refused[version] = error }
    }
    guard let one = headers.first else { throw refused[first] ?? .empty(path: path) }
    for header in headers where header.key.id != one.key.id {
      throw .twoKeyrings(path: filePath(header.key.version), other: filePath(one.key.version))
    }
    return KeyringContents(keys: MasterKeySet(keys), headers: headers, refused: refused)
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
