internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
package import ChatelaineKeyStore
package import ChatelaineVocabulary

/// What the hall knows of itself; a daemon adds what it knows of the process and the disk.
package struct ServiceStatus: Sendable {
  package let storeHead: KeyStore.Head
  package let primaryMasterVersion: UInt32
  /// nil where the store cannot tell.
  package let master: MasterStatus?
  package let logHead: AuditLog.Head
  package let isLogPoisoned: Bool
  /// Why the log cannot be written now, and nothing that needs an entry is answered; nil where it can.
  package let logRefusedBy: StorageFailure?
  /// Why no state change is taken until a restart; nil where all is well.
  package let changesHaltedBy: ServiceError?
  /// What was last found that is not as it should be; nil where all is well.
  package let fault: FoundFault?
  package let policyEpoch: UInt64
  package let policyRules: Int
}

/// Looking is noted too, and the note is durable before the answer.
extension KeyService {
  package func status(by caller: Caller, _ tags: RequestTags) throws(ServiceError) -> ServiceStatus {
    var subject = Subject(operation: .readStatus)
    try permit(&subject, caller.grants.grant(.status), by: caller, tags)
    // why: where the log cannot be written, status is what says so.
    _ = try? noteRead(subject, by: caller, tags)
    return ServiceStatus(
      storeHead: storeHead, primaryMasterVersion: store.storeRow.primaryMasterVersion, master: try? masterStatus(),
      logHead: logHead,
      isLogPoisoned: log.isPoisoned, logRefusedBy: log.refusingBy,
      changesHaltedBy: store.lostFile.map(Self.halt) ?? changesHaltedBy, fault: faults.last,
      policyEpoch: policyEpoch,
      policyRules: policy.rules.count)
  }

  private static func halt(_ lost: KeyStore.LostFile) -> ServiceError {
    switch lost {
    case .database:
      .mustRestart(reason: "the key store's file was removed or replaced while it was open: put it back first")
    case .journal:
      .mustRestart(
        reason: "the key store's journal (-wal, -shm) was removed or replaced while it was open: stop it with SIGTERM, which saves all that is in it, and start it")
    }
  }

  /// Tenants that the caller may know of, in order of their ids, a page of at most `limit`; and behind which of them the
  /// next page begins, nil at the end.
  package func tenants(
    after: TenantID? = nil, limit: Int, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> (rows: [TenantRow], next: TenantID?) {
    var subject = Subject(operation: .readTenants)
    try permit(&subject, caller.grants.grant(.tenantList), by: caller, tags)
    let page = try noting(subject, by: caller, tags) { () throws(Refusal) in
      try self.page(after: after, limit: limit, for: caller)
    }
    try noteRead(subject, by: caller, tags)
    return page
  }

  private func page(
    after: TenantID?, limit: Int, for caller: Caller
  ) throws(Refusal) -> (rows: [TenantRow], next: TenantID?) {
    let (ids, next) = try permittedNames(after: after, limit: limit) { (after, limit) throws(KeyStoreError) in
      try store.tenantIDs(after: after, limit: limit)
    } where: { caller.grants.grant(.tenantList, someKeyOf: $0) != nil }
    var rows: [TenantRow] = []
    for id in ids {
      guard let row = try lookUp({ () throws(KeyStoreError) in try store.tenant(id) }) else {
        // why: nothing removes a tenant's row; this one lies under another name than it was written under.
        throw Refusal(.store(.tampered(record: "tenant \(id.rawValue)")))
      }
      rows.append(row)
    }
    return (rows, next)
  }

  /// A tenant's keys that the caller may know of, in order of their names, a page of at most `limit`; and behind which of
  /// them the next page begins, nil at the end.
  package func keys(
    of tenant: TenantID, after: KeyName? = nil, limit: Int = Limits.listPageMax, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> (rows: [TenantKeyRow], next: KeyName?) {
    var subject = Subject(operation: .readKeys, tenant: tenant)
    try permit(&subject, caller.grants.grant(.keyList, someKeyOf: tenant), by: caller, tags)
    let page = try noting(subject, by: caller, tags) { () throws(Refusal) in
      _ = try knownTenant(tenant)
      return try keyPage(of: tenant, after: after, limit: limit, for: caller)
    }
    try noteRead(subject, by: caller, tags)
    return page
  }

  /// A key that the caller may know of, and its newest versions, a page of a list at most, the newest first.
  package func key(
    _ name: KeyName, of tenant: TenantID, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> (row: TenantKeyRow, versions: [KeyVersionRow]) {
    var subject = Subject(operation: .readKeys, tenant: tenant, keyName: name)
    try permit(&subject, caller.grants.grant(.keyList, tenant: tenant, key: name), by: caller, tags)
    let found = try noting(subject, by: caller, tags) { () throws(Refusal) in
      _ = try knownTenant(tenant)
      let row = try existingKey(name, of: tenant)
      var versions: [KeyVersionRow] = []
      for version in (1...row.currentVersion).reversed().prefix(Limits.listPageMax) {
        let stored = try lookUp { () throws(KeyStoreError) in try store.keyVersion(tenant, name, version) }
        if let stored { versions.append(stored) }
      }
      return (row, versions)
    }
    try noteRead(subject, by: caller, tags)
    return found
  }

  /// Whether calls that need an entry can be answered now.
  package var acceptsCalls: Bool { !log.isPoisoned && log.refusingBy == nil }

  private func keyPage(
    of tenant: TenantID, after: KeyName?, limit: Int, for caller: Caller
  ) throws(Refusal) -> (rows: [TenantKeyRow], next: KeyName?) {
    let (names, next) = try permittedNames(after: after, limit: limit) { (after, limit) throws(KeyStoreError) in
      try store.keyNames(of: tenant, after: after, limit: limit)
    } where: { caller.grants.grant(.keyList, tenant: tenant, key: $0) != nil }
    var rows: [TenantKeyRow] = []
    for name in names { rows.append(try existingKey(name, of: tenant)) }
    return (rows, next)
  }

  /// The first `limit` names of a list, behind `after`, that the caller may know of; and the last of them where more may
  /// follow. Others are passed over, so that neither a name nor the end of a page tells of them.
  ///
  /// A call reads each name of the list once at most, a page at a time, and no row.
  private func permittedNames<Name>(
    after: Name?, limit: Int, _ read: (Name?, Int) throws(KeyStoreError) -> [Name], where isPermitted: (Name) -> Bool
  ) throws(Refusal) -> (names: [Name], next: Name?) {
    var (names, last, size) = ([Name](), after, max(1, limit))
    while true {
      let page = try lookUp { () throws(KeyStoreError) in try read(last, size) }
      for name in page where isPermitted(name) {
        names.append(name)
        if names.count >= limit { return (names, name) }
      }
      guard page.count == size else { return (names, nil) }
      (last, size) = (page.last, Limits.listPageMax)
    }
  }

  func noting<Value>(
    _ subject: Subject, by caller: Caller, _ tags: RequestTags, _ body: () throws(Refusal) -> Value
  ) throws(ServiceError) -> Value {
    do throws(Refusal) { return try body() } catch { throw try note(error, subject, by: caller, tags) }
  }

  @discardableResult
  func noteRead(_ subject: Subject, by caller: Caller, _ tags: RequestTags) throws(ServiceError) -> AppendedEntry {
    var entry = entry(.service, subject, caller, tags)
    entry.outcome = .ok
    let noted = try append(entry)
    tags.noted?.note(noted)
    return noted
  }
}
