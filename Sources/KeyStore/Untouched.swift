internal import GRDB
internal import GRDBSQLite

/// Reading a database without changing anything on its disk. Only with the store's lock held: SQLite takes none.
struct Untouched {
  /// As a URI.
  let path: String
  let configuration: Configuration

  init(_ path: String) {
    let hasJournal = StoreFiles.hasJournal(path)
    // why: to read a journal SQLite makes an index of it in a file beside it, unless it is alone: then in memory. Being
    // alone takes a lock that needs a file open for writing, unless there are no locks.
    let how = hasJournal ? "vfs=unix-none" : "immutable=1"
    self.path = "\(Self.uri(path))?mode=ro&\(how)"
    var configuration = Configuration()
    configuration.readonly = true
    configuration.maximumReaderCount = 1
    if hasJournal { configuration.prepareDatabase { try Self.keepJournal($0) } }
    self.configuration = configuration
  }

  /// why: who closes a journal that SQLite takes for empty unlinks it, reading or not, whatever lies in it.
  private static func keepJournal(_ database: Database) throws {
    var keeps: CInt = 1
    let code = unsafe sqlite3_file_control(database.sqliteConnection, nil, SQLITE_FCNTL_PERSIST_WAL, &keeps)
    guard code == SQLITE_OK, keeps == 1 else { throw KeyStoreError.database(code: code, doing: "keeping the journal") }
    try database.execute(sql: "PRAGMA journal_size_limit = -1; PRAGMA locking_mode = EXCLUSIVE")
  }

  private static func uri(_ path: String) -> String {
    var uri = path.utf8.first == UInt8(ascii: "/") ? "file://" : "file:"
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-")...UInt8(ascii: "9"):
        uri.unicodeScalars.append(Unicode.Scalar(byte))
      default: uri += (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
      }
    }
    return uri
  }
}
