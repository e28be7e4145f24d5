internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary
internal import Glibc

/// Where a keyring is: for who opens it again and again, and holds no descriptor meanwhile.
package struct KeyringPlace: Sendable {
  package let path: String
  package let rules: Keyring.Rules

  package init(path: String, rules: Keyring.Rules = Keyring.Rules()) {
    self.path = path
    self.rules = rules
  }

  package func keyring() throws(KeyringError) -> Keyring { try Keyring(at: path, rules) }
}

/// A keyring: a directory of its own that holds one immutable file for each version of the master key.
///
/// Every door checks before it reads, and refuses without changing anything on disk. Files of other
/// names are listed in `unknownNames` and left alone.
package struct Keyring: ~Copyable {
  /// What the caller asks of a keyring.
  package struct Rules: Sendable {
    /// Accepts the example keyring, and no other: its files may then have the mode git gave them.
    package var insecureExampleKeys: Bool
    /// The store's directory, from which the keyring must lie apart.
    package var storePath: String?

    package init(insecureExampleKeys: Bool = false, storePath: String? = nil) {
      self.insecureExampleKeys = insecureExampleKeys
      self.storePath = storePath
    }
  }

  /// What a version to be made is like.
  package struct NewVersion: Sendable {
    package var seal: KeyringFile.Seal
    package var cost: Argon2Cost
    package var created: WallTime

    package init(seal: KeyringFile.Seal, cost: Argon2Cost = .standard, created: WallTime) {
      self.seal = seal
      self.cost = cost
      self.created = created
    }
  }

  package let path: String
  /// Ascending.
  package let versions: [UInt32]
  package let unknownNames: [String]

  let directory: Descriptor
  let rules: Rules

  /// Checks the directory and lists it; reads no file.
  package init(at path: String, _ rules: Rules = Rules()) throws(KeyringError) {
    let path = withoutTrailingSlashes(path)
    guard TestBuild.leavesOut.isEmpty || rules.insecureExampleKeys else { throw .testBuild(path: path) }
    if let store = rules.storePath { try checkApart(keyring: path, store: store) }
    let directory = try openDirectory(at: path, isExample: rules.insecureExampleKeys)
    let names = try listNames(directory, path: path)
    self.directory = directory
    self.path = path
    self.rules = rules
    versions = names.compactMap(Self.version(inName:)).sorted()
    unknownNames = names.filter { Self.version(inName: $0) == nil }.sorted()
  }

  /// What each file says of itself; needs no passphrase. All files are of one keyring.
  package borrowing func headers() throws(KeyringError) -> [KeyringFile.Header] {
    guard !versions.isEmpty else { throw .empty(path: path) }
    var headers: [KeyringFile.Header] = []
    for version in versions { headers.append(try header(version)) }
    for header in headers where header.key.id != headers[0].key.id {
      throw .twoKeyrings(path: filePath(header.key.version), other: filePath(headers[0].key.version))
    }
    return headers
  }

  package borrowing func header(_ version: UInt32) throws(KeyringError) -> KeyringFile.Header {
    try readFile(version).header
  }

  /// Opens every version: all open, or none.
  package borrowing func open(passphrase: Passphrase?) throws(KeyringError) -> MasterKeySet {
    let headers = try headers()
    var keys: [MasterKey] = []
    for header in headers { keys.append(try open(header.key.version, passphrase: passphrase)) }
    return MasterKeySet(keys)
  }

  package borrowing func open(_ version: UInt32, passphrase: Passphrase?) throws(KeyringError) -> MasterKey {
    let file = try readFile(version)
    do throws(KeyringFile.Refusal) {
      return try file.bytes.withBytes { bytes throws(KeyringFile.Refusal) in
        try KeyringFile.open(bytes, passphrase: passphrase)
      }
    } catch {
      throw .content(path: filePath(version), error)
    }
  }

  /// The id that says of a keyring that everybody knows its keys: ASCII "EXAMPLE-INSECURE".
  package static let exampleID = Identifier(high: 0x4558_414d_504c_452d, low: 0x494e_5345_4355_5245)

  package static let exampleWarning =
    "WARNING: these are the EXAMPLE KEYS, known to everybody: whatever is sealed under them is open to the world. Never use them for data that matters."
}

// MARK: Making

extension Keyring {
  /// Refuses a path where no keyring can be made: worth asking before anybody types a passphrase.
  ///
  /// Returns whether there is a directory, an empty one, already.
  @discardableResult
  package static func checkAbsent(at path: String, _ rules: Rules) throws(KeyringError) -> Bool {
    let path = withoutTrailingSlashes(path)
    guard !rules.insecureExampleKeys else { throw .exampleKeysAreFixed(path: path) }
    guard TestBuild.leavesOut.isEmpty else { throw .testBuild(path: path) }
    if let store = rules.storePath { try checkApart(keyring: path, store: store) }
    guard try directoryExists(at: path) else { return false }
    let keyring = try Keyring(at: path, rules)
    guard keyring.versions.isEmpty, keyring.unknownNames.isEmpty else { throw .notEmpty(path: path) }
    return true
  }

  /// Makes the directory if there is none and version 1 in it; an existing directory is empty.
  package static func create(
    at path: String, _ rules: Rules, _ new: NewVersion, passphrase: Passphrase?
  ) throws(KeyringError) -> MasterKey {
    let path = withoutTrailingSlashes(path)
    let exists = try checkAbsent(at: path, rules)
    let key = MasterKey.random(as: KeyReference(id: freshID(), version: 1), created: new.created)
    let file = try encode(key, new, passphrase: passphrase, path: path)
    if !exists { try makeDirectory(at: path) }
    do throws(KeyringError) {
      try Keyring(at: path, rules).write(file, as: key)
      return key
    } catch {
      if !exists { unsafe rmdir(path) }
      throw error
    }
  }

  /// Adds the version after the highest one. The keyring is opened first: a passphrase seals every
  /// version that one seals at all.
  package borrowing func add(_ new: NewVersion, passphrase: Passphrase?) throws(KeyringError) -> MasterKey {
    guard !rules.insecureExampleKeys else { throw .exampleKeysAreFixed(path: path) }
    let newest = try open(passphrase: passphrase).newest.reference
    guard newest.version < .max else { throw .versionsExhausted(path: path) }
    let key = MasterKey.random(
      as: KeyReference(id: newest.id, version: newest.version + 1), created: new.created)
    try write(try Self.encode(key, new, passphrase: passphrase, path: path), as: key)
    return key
  }

  /// Adds a version whose key was made before, for who notes it elsewhere first. Its seal is the file's permissions.
  package borrowing func add(_ key: MasterKey) throws(KeyringError) {
    guard !rules.insecureExampleKeys else { throw .exampleKeysAreFixed(path: path) }
    try write(KeyringFile.encode(key), as: key)
  }

  private static func freshID() -> Identifier {
    var cursor = ByteCursor()
    guard let id = try? cursor.identifier(SecureRandom.bytes(Identifier.byteCount).span) else {
      preconditionFailure("an identifier is 16 bytes")
    }
    return id
  }

  private static func encode(
    _ key: MasterKey, _ new: NewVersion, passphrase: Passphrase?, path: String
  ) throws(KeyringError) -> SecretBytes {
    guard new.seal == .passphrase else { return KeyringFile.encode(key) }
    guard let passphrase else { throw .content(path: path, .passphraseNeeded) }
    guard passphrase.byteCount >= Passphrase.newByteCountMin else {
      throw .passphraseTooShort(path: path, minimum: Passphrase.newByteCountMin)
    }
    do throws(KeyringFile.Refusal) {
      return try KeyringFile.encode(key, passphrase: passphrase, cost: new.cost)
    } catch {
      throw .content(path: path, error)
    }
  }
}

// MARK: Names

extension Keyring {
  /// `master-%06u.key`
  package static func fileName(_ version: UInt32) -> String {
    let digits = String(version)
    return "master-" + String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits + ".key"
  }

  /// The version whose file has exactly this name, or nil.
  static func version(inName name: String) -> UInt32? {
    guard name.utf8.starts(with: "master-".utf8), let version = UInt32(name.dropFirst(7).dropLast(4)),
      version >= 1,
      name.utf8.elementsEqual(fileName(version).utf8)
    else { return nil }
    return version
  }

  package borrowing func filePath(_ version: UInt32) -> String { path + "/" + Self.fileName(version) }
}
