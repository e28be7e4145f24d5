import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService
@testable import ChatelaineKeyStore

/// Parts that are each genuine, in places or at times that are not theirs.
@Suite struct SwapTests {
  let vault: Vault

  init() throws { vault = try Vault() }

  /// Swaps columns of two rows, as with a shell.
  private func swap(_ columns: [String], of table: String, _ a: String, _ b: String) throws -> Workshop {
    let copy = try vault.storeCopy()
    let list = columns.joined(separator: ", ")
    let from = columns.map { "\($0) = kept.\($0)" }.joined(separator: ", ")
    try copy.sql(
      "CREATE TABLE kept AS SELECT 1 AS place, \(list) FROM \(table) WHERE \(a) "
        + "UNION ALL SELECT 2, \(list) FROM \(table) WHERE \(b)",
      "UPDATE \(table) SET \(from) FROM kept WHERE place = 2 AND \(a)",
      "UPDATE \(table) SET \(from) FROM kept WHERE place = 1 AND \(b)", "DROP TABLE kept")
    return copy
  }

  private func refuses(_ edited: Workshop, keys expected: Int, naming records: String...) throws {
    let verdict = vault.judge(edited)
    #expect(verdict.start == nil && verdict.wrong == 0)
    #expect(verdict.records.count == expected && verdict.right == 18 - expected)
    for record in records {
      #expect(verdict.records.contains(.store(.tampered(record: record))), "\(verdict.records)")
    }
    #expect(verdict.records.allSatisfy(TamperMatrixTests.namesWhatIsWrong))
    #expect(verdict.check != nil)
  }

  // MUST: STORE-2
  @Test(arguments: [["wrapped"], ["wrapped", "root_id"], ["wrapped", "root_id", "row_mac"], ["row_mac"]])
  func `two tenants' roots swapped are refused`(columns: [String]) throws {
    let copy = try swap(columns, of: "tenants", "id = 'acme'", "id = 'globex'")
    try refuses(copy, keys: 12, naming: "tenant acme", "tenant globex")
  }

  // MUST: STORE-2
  @Test(arguments: [["wrapped"], ["wrapped", "created"], ["wrapped", "created", "row_mac"], ["row_mac"]])
  func `two tenants' keys swapped are refused`(columns: [String]) throws {
    let a = "key_versions.tenant = 'acme' AND key_versions.name = 'aes' AND key_versions.version = 2"
    let b = "key_versions.tenant = 'globex' AND key_versions.name = 'aes' AND key_versions.version = 2"
    try refuses(
      try swap(columns, of: "key_versions", a, b), keys: 2, naming: "key acme/aes version 2",
      "key globex/aes version 2")
  }

  @Test(arguments: [["wrapped"], ["wrapped", "row_mac"], ["wrapped", "created", "bucket", "row_mac"]])
  func `two keys' wrapped bytes swapped are refused`(columns: [String]) throws {
    let a = "key_versions.tenant = 'acme' AND key_versions.name = 'aes' AND key_versions.version = 1"
    let b = "key_versions.tenant = 'acme' AND key_versions.name = 'xchacha' AND key_versions.version = 1"
    try refuses(
      try swap(columns, of: "key_versions", a, b), keys: 2, naming: "key acme/aes version 1",
      "key acme/xchacha version 1")
  }

  @Test(arguments: [["wrapped"], ["wrapped", "row_mac"], ["version"], ["version", "bucket"]])
  func `two versions swapped are refused`(columns: [String]) throws {
    let place = "key_versions.tenant = 'initech' AND key_versions.name = 'xchacha' AND key_versions.version"
    let copy = try vault.storeCopy()
    if columns[0] == "version" {
      try copy.sql(
        "UPDATE key_versions SET version = 9 WHERE \(place) = 1",
        "UPDATE key_versions SET version = 1 WHERE \(place) = 3",
        "UPDATE key_versions SET version = 3 WHERE \(place) = 9")
      try refuses(copy, keys: 2, naming: "key initech/xchacha version 1", "key initech/xchacha version 3")
    } else {
      try refuses(
        try swap(columns, of: "key_versions", "\(place) = 1", "\(place) = 3"), keys: 2,
        naming: "key initech/xchacha version 1", "key initech/xchacha version 3")
    }
  }

  // MUST: STORE-1
  @Test func `the wrapped bytes alone, with the rows' MACs made anew, still open under nothing else`() throws
  {
    // Somebody who has the store key too: the wrapping binds tenant, name, purpose, suite and time.
    let shop = vault.shop
    for (edit, refused) in [("tenant", 2), ("name", 2), ("version", 2)] {
      let copy = try vault.storeCopy()
      let store = try KeyService.examineStore(copy.storePath, shop.masterKeys).open()
      let a = try #require(try store.keyVersion(tenant("acme"), key("aes"), 1))
      let (owner, name, number): (TenantID, KeyName, UInt32) =
        switch edit {
        case "tenant": (tenant("globex"), key("aes"), 1)
        case "name": (tenant("acme"), key("xchacha"), 1)
        default: (tenant("acme"), key("aes"), 2)
        }
      let b = try #require(try store.keyVersion(owner, name, number))
      func changed(_ row: KeyVersionRow, _ other: KeyVersionRow) -> KeyVersionRow {
        var row = row
        row.wrapped = other.wrapped
        return row
      }
      _ = try store.change(intentSequence: 1, intentLeafHash: .zero) { change in
        change.put(changed(a, b))
        change.put(changed(b, a))
      }
      try store.close()
      let verdict = vault.judge(copy)
      #expect(verdict.wrong == 0 && verdict.records.count == refused, "\(edit): \(verdict)")
    }
  }

  // MUST: STORE-7
  @Test(arguments: ["disabled", "rotated"]) func `an old row put back is refused`(change: String) throws {
    let shop = vault.shop
    let old = try shop.copy()
    try shop.running { service in
      if change == "disabled" {
        _ = try service.setKeyState(.disabled, key("aes"), of: tenant("acme"), by: shop.caller, tags)
      } else {
        _ = try service.rotateKey(key("aes"), of: tenant("acme"), by: shop.caller, tags)
      }
    }
    try shop.sql("ATTACH '\(old.storePath)' AS old", "REPLACE INTO tenant_keys SELECT * FROM old.tenant_keys")
    try refuses(try vault.storeCopy(), keys: 3, naming: "key acme/aes")
    let service = try shop.open().0
    defer { service.close() }
    #expect(throws: ServiceError.store(.tampered(record: "key acme/aes"))) {
      try service.openKey(key("aes"), of: tenant("acme"))
    }
    #expect(throws: ServiceError.store(.tampered(record: "key acme/aes"))) {
      try service.setKeyState(.disabled, key("aes"), of: tenant("acme"), by: shop.caller, tags)
    }
  }

  // MUST: STORE-3
  @Test(arguments: [
    "tenants WHERE id = 'acme'", "tenant_keys WHERE tenant = 'acme'", "key_versions WHERE tenant = 'acme'",
  ])
  func `rows that are gone are refused by name`(rows: String) throws {
    let copy = try vault.storeCopy()
    try copy.sql("DELETE FROM \(rows)")
    let verdict = vault.judge(copy)
    #expect(verdict.right == 12 && verdict.wrong == 0)
    #expect(verdict.records.allSatisfy(TamperMatrixTests.namesWhatIsWrong))
    #expect(verdict.check.map { $0.sentence.contains("acme") } == true)
  }

  @Test func `an untouched store opens all of its envelopes`() throws {
    // The control: the matrix refuses because of the edits.
    let verdict = vault.judge(try vault.storeCopy())
    #expect(verdict.right == 18 && verdict.wrong == 0 && verdict.records.isEmpty && !verdict.isNoticed)
  }
}
