package import ChatelaineVocabulary

/// Why the store refuses.
package enum KeyStoreError: Error, Equatable, Sendable {
  /// No database at the path.
  case missing(path: String)
  /// Another process serves from it; 0 where it is not known which.
  case inUse(path: String, holder: Int32)
  /// A process that read the store while its service was killed keeps SQLite's index of then: what SQLite shows by it is
  /// not what the journal has.
  case heldOpen(path: String, holder: Int32)
  /// What is at the path, or beside it, is not this user's file alone.
  case place(path: String, Place)
  /// There is a database already.
  case exists(path: String)
  /// The file is a database of something else.
  case notAStore(path: String)
  /// The store was written by a newer version of the product.
  case newerSchema(found: Int, known: Int)
  /// A check changes nothing, and can read only what this version writes.
  case olderSchema(found: Int, known: Int)
  /// A pragma did not take: durability or erasure would not be what is promised.
  case pragma(name: String, wanted: String, found: String)
  /// SQLite failed; its primary result code, and what was being done.
  case database(code: Int32, doing: String)
  /// SQLite could not open a file, for the process has too many open.
  case noDescriptor(doing: String)
  /// Another process held the write lock for too long: nothing was written.
  case busy
  /// The disk had no room for a change, which was taken back, or for the journal of a store that is opened: the store is
  /// as it was.
  case full
  /// A record is not as this service wrote it: edited, swapped, revived or deleted.
  case tampered(record: String)
  /// The records do not add up to the root that the store names.
  case rootMismatch(generation: UInt64)
  /// SQLite would leave committed changes out.
  case damagedJournal(path: String)
  /// A journal of a kind that no store has; SQLite would write what it holds over the database.
  case rollbackJournal(path: String)
  /// The keyring does not hold the master key that the store needs.
  case masterKey(MasterKeyMismatch)
  /// A tenant or key of that name is there already, or was once.
  case taken(record: String)
  /// The cryptographic library failed to start.
  case cipherUnavailable

  package enum Place: Equatable, Sendable {
    case symlink
    case notAFile
    case owner(UInt32, ours: UInt32)
    case mode(UInt32)
    case unreadable(ours: UInt32)
  }

  package enum MasterKeyMismatch: Equatable, Sendable {
    case otherKeyring(store: Identifier, keyring: Identifier)
    case missingVersion(UInt32)
    /// `store` is what the store has on record, where it has.
    case otherKey(version: UInt32, store: Digest?)
  }

  /// One sentence that an operator can act on.
  package var sentence: String {
    switch self {
    case .missing(let path): "No key store at \(path): create one with `chatelaine init`."
    case .inUse(let path, let holder):
      "Another service\(holder > 0 ? " (process \(holder))" : "") is using the key store (\(path)): stop it first."
    case .heldOpen(let path, let holder):
      "Process \(holder) has had the key store (\(path)) open since before its service ended, and keeps it as it was then: end that process, then start again."
    case .place(let path, .symlink): "\(path) is a symbolic link: put the key store's file itself there."
    case .place(let path, .notAFile): "\(path) is no regular file: put the key store's file itself there."
    case .place(let path, .owner(let owner, let ours)):
      "\(path) belongs to uid \(owner), and this process is uid \(ours): chown it, or run as its owner."
    case .place(let path, .mode(let mode)):
      "\(path) has mode 0\(String(mode, radix: 8)) and lets others in: chmod 0600."
    case .place(let path, .unreadable(let ours)):
      "\(path) may not be read by this process, uid \(ours) (Permission denied): check its permissions and those of its directories."
    case .exists(let path): "There is a key store at \(path) already: nothing was changed."
    case .notAStore(let path): "\(path) is not a key store of Chatelaine: name another path."
    case .newerSchema(let found, let known):
      "The key store has schema \(found), this version knows \(known): install the newer version."
    case .olderSchema(let found, let known):
      "The key store has schema \(found), and a start makes it \(known): check it after the next start."
    case .pragma(let name, let wanted, let found):
      "SQLite keeps \(name) at \(found) instead of \(wanted): check the filesystem of the store."
    case .database(let code, let doing):
      "SQLite failed with code \(code) while \(doing): check the disk and the store's permissions."
    case .noDescriptor(let doing):
      "The process had no descriptor left while \(doing): raise RLIMIT_NOFILE (LimitNOFILE=, ulimit -n)."
    case .busy: "Another process holds the key store's lock, so nothing was changed: find it and end it."
    case .full: "The key store's disk is full, and nothing was changed: make room, then try again."
    case .tampered(let record):
      "The record of \(record) in the key store was changed outside Chatelaine: restore a backup."
    case .rootMismatch(let generation):
      "The records of the key store do not match its root at generation \(generation): restore a backup."
    case .damagedJournal(let path):
      "\(path), the key store's journal, is damaged and may hold committed changes: keep it, and restore store and log of one time."
    case .rollbackJournal(let path):
      "\(path) is a rollback journal, which the key store never leaves; SQLite would overwrite the database with it. Nothing was changed: find out who made it, and move it elsewhere."
    case .masterKey(.otherKeyring(let store, let keyring)):
      "The key store belongs to keyring \(store.hex), not \(keyring.hex): name the right keyring."
    case .masterKey(.missingVersion(let version)):
      "The key store needs master key version \(version), which the keyring lacks: restore its file."
    case .masterKey(.otherKey(let version, _)):
      "Master key version \(version) does not match the key store (its key check value differs): restore the right file."
    case .taken(let record): "\(record) exists or has existed: names are never used again, choose another."
    case .cipherUnavailable: "libcrypto has no AES-256-GCM: install OpenSSL 3."
    }
  }
}
