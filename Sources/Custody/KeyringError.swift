internal import ChatelaineSecretMemory

/// Why a keyring is refused. Nothing on disk has changed.
package enum KeyringError: Error, Equatable {
  case directoryMissing(path: String)
  case directoryIsSymlink(path: String)
  case notADirectory(path: String)
  case directoryOwner(path: String, owner: UInt32, ours: UInt32)
  case directoryOpenToOthers(path: String, mode: UInt32)
  case insideStore(path: String, store: String)
  case storeInside(path: String, store: String)
  case empty(path: String)
  case notEmpty(path: String)
  case parentMissing(path: String)

  case fileMissing(path: String)
  case fileIsSymlink(path: String)
  case notARegularFile(path: String)
  case hardLinked(path: String, count: UInt64)
  case fileOwner(path: String, owner: UInt32, ours: UInt32)
  case fileMode(path: String, mode: UInt32)
  case content(path: String, KeyringFile.Refusal)
  case versionDiffersFromName(path: String, version: UInt32)
  case twoKeyrings(path: String, other: String)

  case exampleKeys(path: String)
  case notExampleKeys(path: String)
  case exampleKeysAreFixed(path: String)
  /// This program was built to be weak.
  case testBuild(path: String)

  case passphraseTooShort(path: String, minimum: Int)
  case versionTaken(path: String)
  case versionsExhausted(path: String)
  /// A call of the system failed while reading.
  case unreadable(path: String, errno: Int32)
  /// A call of the system failed while writing; what was begun has been removed.
  case unwritable(path: String, errno: Int32)
}

extension KeyringError {
  /// What is wrong, where, and how to mend it, in one sentence.
  package var sentence: String { "\(printable(path)): \(problem)" }

  /// The directory or file that is refused.
  package var path: String {
    switch self {
    case .directoryMissing(let path), .directoryIsSymlink(let path), .notADirectory(let path),
      .directoryOwner(let path, _, _), .directoryOpenToOthers(let path, _), .insideStore(let path, _),
      .storeInside(let path, _), .empty(let path), .notEmpty(let path), .parentMissing(let path),
      .fileMissing(let path), .fileIsSymlink(let path), .notARegularFile(let path), .hardLinked(let path, _),
      .fileOwner(let path, _, _), .fileMode(let path, _), .content(let path, _),
      .versionDiffersFromName(let path, _),
      .twoKeyrings(let path, _), .exampleKeys(let path), .notExampleKeys(let path),
      .exampleKeysAreFixed(let path), .testBuild(let path),
      .passphraseTooShort(let path, _), .versionTaken(let path), .versionsExhausted(let path),
      .unreadable(let path, _), .unwritable(let path, _):
      path
    }
  }

  private var problem: String {
    switch self {
    case .directoryMissing:
      "there is no such directory: mount it, or make a keyring with 'chatelaine keyring init'"
    case .directoryIsSymlink:
      "the keyring is a symbolic link: name the directory itself"
    case .notADirectory:
      "a keyring is a directory and this is not one: name the directory that holds master-000001.key"
    case .directoryOwner(_, let owner, let ours):
      "the directory belongs to uid \(owner), and this process is uid \(ours): chown it, or run as its owner"
    case .directoryOpenToOthers(_, let mode):
      "the directory has mode \(octal(mode)) and lets others in: chmod 0700"
    case .insideStore(_, let store):
      "the keyring lies in the store's directory \(printable(store)), and a copy of the store would carry its keys: move the keyring to a directory of its own"
    case .storeInside(_, let store):
      "the store's directory \(printable(store)) lies in the keyring: move the store to a directory of its own"
    case .empty:
      "the keyring holds no master key: restore its files, or make them with 'chatelaine keyring init'"
    case .notEmpty:
      "the directory is not empty: choose a new one, or add a version with 'chatelaine keyring add'"
    case .parentMissing:
      "the directory above does not exist: make it first"
    case .fileMissing:
      "there is no such master key: restore the file from its second copy"
    case .fileIsSymlink:
      "the master key is a symbolic link: put the file itself here"
    case .notARegularFile:
      "the master key is not a regular file: put the file itself here"
    case .hardLinked(_, let count):
      "the file has \(count) names (hard links): remove the others"
    case .fileOwner(_, let owner, let ours):
      "the file belongs to uid \(owner), and this process is uid \(ours): chown it, or run as its owner"
    case .fileMode(_, let mode):
      "the file has mode \(octal(mode)) and was not read: chmod 0400, and replace the key if others could read it"
    case .content(_, let refusal):
      refusal.sentence
    case .versionDiffersFromName(_, let version):
      "the file holds version \(version): give it back its name \(Keyring.fileName(version))"
    case .twoKeyrings(_, let other):
      "the file is of another keyring than \(printable(other)): keep each keyring in a directory of its own"
    case .exampleKeys:
      "these are the example keys, which everybody knows: make your own with 'chatelaine keyring init', or say --insecure-example-keys to try things out"
    case .notExampleKeys:
      "these are not the example keys: leave --insecure-example-keys away"
    case .exampleKeysAreFixed:
      "--insecure-example-keys only opens the example keyring: leave it away to make keys"
    case .testBuild:
      "this program is a test build (\(TestBuild.leavesOut)), which opens only the example keyring, with --insecure-example-keys: build it without CHATELAINE_TEST_BUILD"
    case .passphraseTooShort(_, let minimum):
      "a passphrase for a new key has at least \(minimum) bytes: choose a longer one"
    case .versionTaken:
      "another process has just added this version: run the command again"
    case .versionsExhausted:
      "the keyring has used the last version number: make a new keyring"
    case .unreadable(_, let errno):
      "it cannot be read (\(systemText(errno))): mend that and try again"
    case .unwritable(_, let errno):
      "it cannot be written (\(systemText(errno))): mend that and try again; nothing was kept"
    }
  }
}

extension KeyringFile.Refusal {
  fileprivate var sentence: String {
    switch self {
    case .size: "the file is too short or too long for a master key: restore it from its second copy"
    case .magic, .seal, .keyVersion, .cost: "the file is not a master key: restore it from its second copy"
    case .formatVersion: "the file is of a later format: use the version of chatelaine that wrote it"
    case .damaged: "the file is damaged (its checksum differs): restore it from its second copy"
    case .passphraseNeeded:
      "the master key is sealed by a passphrase: give one (--passphrase-fd, --passphrase-credential)"
    case .wrongPassphrase: "wrong passphrase: try again with the one the keyring was made with"
    case .wrongKey: "the master key does not match its key check value: restore the file from its second copy"
    case .outOfMemory: "the memory for Argon2id cannot be had: free some, or raise the limit of this process"
    }
  }
}
