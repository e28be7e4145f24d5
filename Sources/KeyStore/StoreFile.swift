internal import ChatelaineVocabulary
internal import Foundation
internal import GRDB

extension Schema {
  /// Refuses a file that is not a store of this version or an older one.
  ///
  /// why: before SQLite opens it for writing, which already changes the journal mode of somebody else's
  /// database.
  static func checkFile(_ path: String) throws(KeyStoreError) {
    guard let marks = try FileMarks(path: path), marks.application == applicationID else {
      throw .notAStore(path: path)
    }
    guard marks.version <= version else { throw .newerSchema(found: marks.version, known: version) }
  }
}

/// What the header of a database says of its kind (SQLite file format, 1.3).
private struct FileMarks {
  var application: Int
  var version: Int

  /// nil where the file is no SQLite database.
  init?(path: String) throws(KeyStoreError) {
    guard let file = FileHandle(forReadingAtPath: path) else { throw .database(code: 14, doing: "opening the store") }
    let header = [UInt8]((try? file.read(upToCount: 100)) ?? Data())
    guard header.count == 100, header.starts(with: "SQLite format 3\0".utf8) else { return nil }
    application = Self.number(header, at: 68)
    version = Self.number(header, at: 60)
    // why: after a crash the newest header is still in the journal, and nobody's database is changed by reading.
    if StoreFiles.hasJournal(path) { try readThroughJournal(path) }
  }

  private mutating func readThroughJournal(_ path: String) throws(KeyStoreError) {
    let untouched = Untouched(path)
    (application, version) = try translating("opening the store") {
      try DatabaseQueue(path: untouched.path, configuration: untouched.configuration).read { database in
        (
          try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0,
          try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        )
      }
    }
  }

  private static func number(_ header: [UInt8], at offset: Int) -> Int {
    header[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
  }
}
