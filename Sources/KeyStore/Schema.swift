internal import ChatelaineVocabulary
internal import GRDB

/// The tables, and what SQLite must be told.
enum Schema {
  /// "CHAT": marks the file as a store of Chatelaine.
  static let applicationID = 0x4348_4154
  static let version = 2
  /// At most so much of the database in memory for each of its few connections.
  static let readerCacheKiB = 16_384

  /// In the caller's transaction.
  static func migrate(_ database: Database, to version: Int = version) throws {
    let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    guard found <= version else { throw KeyStoreError.newerSchema(found: found, known: version) }
    for (number, sql) in migrations where number > found && number <= version {
      try database.execute(sql: sql)
      try database.execute(sql: "PRAGMA user_version = \(number)")
    }
  }

  /// Refuses tables, indexes, triggers and views that are not exactly those of a version.
  ///
  /// why: no MAC covers them; a trigger can undo a change while it is made, a view can hide a row.
  static func check(_ database: Database, version: Int = version) throws {
    let expected = try DatabaseQueue().writeWithoutTransaction {
      try migrate($0, to: version)
      return try objects($0)
    }
    let found = try objects(database)
    for name in Set(expected.keys).union(found.keys).sorted() where expected[name] != found[name] {
      throw KeyStoreError.tampered(record: "the schema (\(name))")
    }
  }

  private static func objects(_ database: Database) throws -> [String: String] {
    var objects: [String: String] = [:]
    let rows = try Row.fetchCursor(database, sql: "SELECT type, name, tbl_name, sql FROM sqlite_schema")
    while let row = try rows.next() { objects["\(text(row[0])) \(text(row[1]))"] = row.description }
    return objects
  }

  /// As it is: how it goes to a terminal is settled where it is printed.
  private static func text(_ value: DatabaseValue) -> String { String.fromDatabaseValue(value) ?? "NULL" }

  // why: the indexes lead to rows and hold no MAC: a bucket is checked by what the rows themselves hold.
  private static let migrations: [(Int, String)] = [
    (
      1,
      """
      PRAGMA application_id = \(applicationID);
      CREATE TABLE store (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        store_id BLOB NOT NULL, log_id BLOB NOT NULL, created INTEGER NOT NULL, generation INTEGER NOT NULL,
        root BLOB NOT NULL, log_sequence INTEGER NOT NULL, log_leaf_hash BLOB NOT NULL, keyring_id BLOB NOT NULL,
        primary_master_version INTEGER NOT NULL, wrapped BLOB NOT NULL, row_mac BLOB NOT NULL
      ) STRICT;
      CREATE TABLE master_versions (
        version INTEGER PRIMARY KEY, key_check_value BLOB NOT NULL, state INTEGER NOT NULL,
        created INTEGER NOT NULL, bucket INTEGER NOT NULL, row_mac BLOB NOT NULL
      ) STRICT;
      CREATE TABLE tenants (
        id TEXT NOT NULL PRIMARY KEY, root_id BLOB NOT NULL, root_version INTEGER NOT NULL, state INTEGER NOT NULL,
        created INTEGER NOT NULL, wrapped BLOB NOT NULL, bucket INTEGER NOT NULL, row_mac BLOB NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE tenant_keys (
        tenant TEXT NOT NULL, name TEXT NOT NULL, id BLOB NOT NULL UNIQUE, purpose INTEGER NOT NULL,
        suite INTEGER NOT NULL, state INTEGER NOT NULL, created INTEGER NOT NULL, current_version INTEGER NOT NULL,
        floor_version INTEGER NOT NULL, budget_messages INTEGER NOT NULL, budget_bytes INTEGER NOT NULL,
        bucket INTEGER NOT NULL, row_mac BLOB NOT NULL, PRIMARY KEY (tenant, name)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE key_versions (
        tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, state INTEGER NOT NULL,
        created INTEGER NOT NULL, wrapped BLOB NOT NULL, bucket INTEGER NOT NULL, row_mac BLOB NOT NULL,
        PRIMARY KEY (tenant, name, version)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE buckets (number INTEGER PRIMARY KEY, digest BLOB NOT NULL) STRICT;
      CREATE INDEX master_versions_bucket ON master_versions (bucket);
      CREATE INDEX tenants_bucket ON tenants (bucket);
      CREATE INDEX tenant_keys_bucket ON tenant_keys (bucket);
      CREATE INDEX key_versions_bucket ON key_versions (bucket);
      """
    ),
    // why: a bucket's rows lie together, for every load reads all of them, and a rotation goes from bucket to bucket.
    (
      2,
      """
      CREATE TABLE tenants_2 (
        id TEXT NOT NULL UNIQUE, root_id BLOB NOT NULL, root_version INTEGER NOT NULL, state INTEGER NOT NULL,
        created INTEGER NOT NULL, wrapped BLOB NOT NULL, bucket INTEGER NOT NULL, row_mac BLOB NOT NULL,
        PRIMARY KEY (bucket, id)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO tenants_2 (id, root_id, root_version, state, created, wrapped, bucket, row_mac)
        SELECT id, root_id, root_version, state, created, wrapped, bucket, row_mac FROM tenants ORDER BY bucket, id;
      DROP TABLE tenants;
      ALTER TABLE tenants_2 RENAME TO tenants;
      CREATE TABLE tenant_keys_2 (
        tenant TEXT NOT NULL, name TEXT NOT NULL, id BLOB NOT NULL UNIQUE, purpose INTEGER NOT NULL,
        suite INTEGER NOT NULL, state INTEGER NOT NULL, created INTEGER NOT NULL, current_version INTEGER NOT NULL,
        floor_version INTEGER NOT NULL, budget_messages INTEGER NOT NULL, budget_bytes INTEGER NOT NULL,
        bucket INTEGER NOT NULL, row_mac BLOB NOT NULL, PRIMARY KEY (bucket, tenant, name), UNIQUE (tenant, name)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO tenant_keys_2 (tenant, name, id, purpose, suite, state, created, current_version, floor_version,
          budget_messages, budget_bytes, bucket, row_mac)
        SELECT tenant, name, id, purpose, suite, state, created, current_version, floor_version, budget_messages,
          budget_bytes, bucket, row_mac FROM tenant_keys ORDER BY bucket, tenant, name;
      DROP TABLE tenant_keys;
      ALTER TABLE tenant_keys_2 RENAME TO tenant_keys;
      CREATE TABLE key_versions_2 (
        tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, state INTEGER NOT NULL,
        created INTEGER NOT NULL, wrapped BLOB NOT NULL, bucket INTEGER NOT NULL, row_mac BLOB NOT NULL,
        PRIMARY KEY (bucket, tenant, name, version)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO key_versions_2 (tenant, name, version, state, created, wrapped, bucket, row_mac)
        SELECT tenant, name, version, state, created, wrapped, bucket, row_mac FROM key_versions
        ORDER BY bucket, tenant, name, version;
      DROP TABLE key_versions;
      ALTER TABLE key_versions_2 RENAME TO key_versions;
      CREATE TABLE rotations (
        version INTEGER PRIMARY KEY, started INTEGER NOT NULL, cursor INTEGER NOT NULL, rewrapped INTEGER NOT NULL,
        finished INTEGER NOT NULL, bucket INTEGER NOT NULL, row_mac BLOB NOT NULL
      ) STRICT;
      CREATE INDEX rotations_bucket ON rotations (bucket);
      """
    ),
  ]

  /// Set after opening: GRDB's own WAL set-up puts `synchronous` to NORMAL, which loses commits.
  static let writerPragmas: [(name: String, set: String, readBack: String)] = [
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    ("secure_delete", "ON", "1"),
    ("wal_autocheckpoint", "1000", "1000"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
  ]

  static func configureWriter(_ database: Database) throws {
    for pragma in writerPragmas {
      try database.execute(sql: "PRAGMA \(pragma.name) = \(pragma.set)")
      let found = try String.fetchOne(database, sql: "PRAGMA \(pragma.name)") ?? "nothing"
      guard found == pragma.readBack else {
        throw KeyStoreError.pragma(name: pragma.name, wanted: pragma.set, found: found)
      }
    }
  }
}
