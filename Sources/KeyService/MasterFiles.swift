package import ChatelaineCustody
internal import ChatelaineKeyStore
package import ChatelaineVocabulary

/// What is wrong with the file of a version of the master key.
package struct MasterFileFault: Error, Equatable, Sendable {
  package enum Kind: Equatable, Sendable {
    case refused(KeyringError)
    /// It holds another key than the store knows under this number; `store` is nil where its key check value is not told.
    case otherKey(path: String, file: Digest, store: Digest?)
  }

  package let version: UInt32
  package let kind: Kind

  /// For a list: `missing`, `damaged`, `mode` …
  package var word: String {
    switch kind {
    case .refused(let error): error.fileState
    case .otherKey: "other-key"
    }
  }

  package var path: String {
    switch kind {
    case .refused(let error): error.path
    case .otherKey(let path, _, _): path
    }
  }

  package var sentence: String {
    switch kind {
    case .refused(let error): error.sentence
    case .otherKey(let path, let file, let store):
      "\(path): the file holds another key (key check value \(file.hex)) than master key version \(version)\(store.map { " (\($0.hex))" } ?? "") of the key store: put the right file back, or take this one away; a number is never used twice"
    }
  }
}

/// What the keyring has of a version.
struct MasterFile {
  var header: KeyringFile.Header?
  var fault: MasterFileFault?
}

extension KeyService {
  /// The files of versions in use that the service could not start with now: it has their keys in memory, and nowhere else
  /// perhaps.
  package func neededFileFaults() -> [MasterFileFault] {
    guard let rows = try? masterRows() else { return [] }
    let files = masterFiles(rows)
    return rows.filter { $0.state == .inUse }.compactMap { files[$0.version]?.fault }
  }

  /// What the keyring has now, of versions that the store knows and of others.
  func masterFiles(_ rows: [MasterVersionRow]) -> [UInt32: MasterFile] {
    guard let keyring else { return [:] }
    var files: [UInt32: MasterFile] = [:]
    do throws(KeyringError) {
      let ring = try keyring.place.keyring()
      for (version, found) in ring.examine() { files[version] = masterFile(version, found) }
    } catch {
      for row in rows { files[row.version] = MasterFile(fault: MasterFileFault(version: row.version, kind: .refused(error))) }
      return files
    }
    for row in rows {
      let version = row.version
      if let header = files[version]?.header {
        files[version]?.fault = Self.otherKey(row, header.keyCheckValue, path: keyringFile(version))
      } else if files[version] == nil, row.state != .retired {
        let missing = KeyringError.fileMissing(path: keyringFile(version))
        files[version] = MasterFile(fault: MasterFileFault(version: version, kind: .refused(missing)))
      }
    }
    return files
  }

  private func masterFile(_ version: UInt32, _ found: Result<KeyringFile.Header, KeyringError>) -> MasterFile {
    switch found {
    case .failure(let error): return MasterFile(fault: MasterFileFault(version: version, kind: .refused(error)))
    case .success(let header):
      guard header.key.id != masterKeys.keyringID else { return MasterFile(header: header) }
      let other = keyringFile(store.storeRow.primaryMasterVersion)
      let error = KeyringError.twoKeyrings(path: keyringFile(version), other: other)
      return MasterFile(fault: MasterFileFault(version: version, kind: .refused(error)))
    }
  }

  /// nil where the file holds the row's key. What a version waits for is not told.
  static func otherKey(_ row: MasterVersionRow, _ file: Digest, path: String) -> MasterFileFault? {
    guard file != row.keyCheckValue else { return nil }
    let store = row.state == .pending ? nil : row.keyCheckValue
    return MasterFileFault(version: row.version, kind: .otherKey(path: path, file: file, store: store))
  }

  /// Refuses a known number under which the keyring has another key.
  func refuseOtherKeys(_ files: [UInt32: MasterFile]) throws(Refusal) {
    for (_, file) in files.sorted(by: { $0.key < $1.key }) {
      guard let fault = file.fault, case .otherKey = fault.kind else { continue }
      throw Refusal(.master(.otherFile(fault)))
    }
  }
}
