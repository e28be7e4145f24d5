import ChatelaineAccessPolicy
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// Every act under every permission: the one that is granted runs, the others look as if nothing were there.
@Suite struct PolicyMatrixTests {
  /// One thing that somebody may try.
  enum Act: CaseIterable {
    case encrypt, encryptBatch, decrypt, decryptBatch, issue, unwrap, rewrapEnvelope, rewrapDataKey
    case status, tenantCreate, tenantList, tenantFreeze, tenantUnfreeze, keyCreate, keyList, keyRotate, keyEnable, keyDisable
    case masterRotate, masterCommit, masterStatus, masterRetire, logRead

    var permission: Permission {
      switch self {
      case .encrypt, .encryptBatch: .encrypt
      case .decrypt, .decryptBatch: .decrypt
      case .issue: .issueDataKey
      case .unwrap: .unwrapDataKey
      case .rewrapEnvelope, .rewrapDataKey: .rewrap
      case .status: .status
      case .tenantCreate: .tenantCreate
      case .tenantList: .tenantList
      case .tenantFreeze: .tenantFreeze
      case .tenantUnfreeze: .tenantUnfreeze
      case .keyCreate: .keyCreate
      case .keyList: .keyList
      case .keyRotate: .keyRotate
      case .keyEnable: .keyEnable
      case .keyDisable: .keyDisable
      case .masterRotate: .masterRotate
      case .masterCommit: .masterCommit
      case .masterStatus: .masterStatus
      case .masterRetire: .masterRetire
      case .logRead: .logRead
      }
    }

    var operation: ChatelaineAuditTrail.Operation {
      switch self {
      case .encrypt, .encryptBatch: .encrypt
      case .decrypt, .decryptBatch: .decrypt
      case .issue: .issueDataKey
      case .unwrap: .unwrapDataKey
      case .rewrapEnvelope, .rewrapDataKey: .rewrap
      case .status: .readStatus
      case .tenantCreate: .tenantCreate
      case .tenantList: .readTenants
      case .tenantFreeze: .tenantFreeze
      case .tenantUnfreeze: .tenantUnfreeze
      case .keyCreate: .keyCreate
      case .keyList: .readKeys
      case .keyRotate: .keyRotate
      case .keyEnable: .keyEnable
      case .keyDisable: .keyDisable
      case .masterRotate: .masterAdd
      case .masterCommit: .masterCommit
      case .masterStatus: .readMaster
      case .masterRetire: .masterRetire
      case .logRead: .readLog
      }
    }

    /// What both "not yours" and "does not exist" look like.
    var refusal: ServiceError {
      switch self {
      case .decrypt, .decryptBatch, .unwrap, .rewrapEnvelope, .rewrapDataKey: .decryptionFailed
      case .status, .tenantList, .masterRotate, .masterCommit, .masterStatus, .masterRetire: .notAllowed
      default: .notFound
      }
    }

    /// Whether the tenant, and whether the key, is part of what is asked.
    var namesTenant: Bool {
      ![.status, .tenantList, .masterRotate, .masterCommit, .masterStatus, .masterRetire].contains(self)
    }
    var namesKey: Bool {
      namesTenant && ![.tenantCreate, .tenantFreeze, .tenantUnfreeze, .keyList, .logRead].contains(self)
    }
  }

  /// Of each tenant's key: an envelope and a wrapped data key.
  struct Sealed {
    let envelope: [UInt8]
    let dataKey: [UInt8]
  }

  let shop: Workshop
  private let counter = Counter()

  init() throws {
    shop = try Workshop.withKeyring()
    try shop.initialize()
  }

  private func fill(_ service: KeyService) throws -> [String: Sealed] {
    let calls = try Calls(service, by: shop.caller)
    var sealed: [String: Sealed] = [:]
    for owner in ["acme", "globex"] {
      _ = try service.createTenant(tenant(owner), by: shop.caller, tags)
      for name in ["a", "b"] {
        _ = try service.createKey(key(name), of: tenant(owner), by: shop.caller, tags)
        sealed["\(owner)/\(name)"] = Sealed(
          envelope: try calls.encrypt([1], under: name, of: owner).get(),
          dataKey: try calls.issue(under: name, of: owner).get().wrapped)
      }
    }
    return sealed
  }

  /// The failure of an act, nil where it ran.
  private func attempt(
    _ act: Act, _ owner: String, _ name: String, _ sealed: Sealed, _ calls: Calls
  ) throws -> ServiceError? {
    func failure<Value>(_ result: Result<Value, ServiceError>) -> ServiceError? {
      guard case .failure(let error) = result else { return nil }
      return error
    }
    func admin(_ body: () throws(ServiceError) -> Void) -> ServiceError? {
      do throws(ServiceError) { try body() } catch { return error }
      return nil
    }
    let (service, caller) = (calls.service, calls.caller)
    let (owning, named) = (tenant(owner), key(name))
    switch act {
    case .encrypt: return failure(try calls.encrypt([1], under: name, of: owner))
    case .encryptBatch: return failure(try calls.encryptBatch([[1], [2]], under: name, of: owner)[1])
    case .decrypt: return failure(try calls.decrypt(sealed.envelope, of: owner))
    case .decryptBatch: return failure(try calls.decryptBatch([sealed.envelope], of: owner)[0])
    case .issue: return failure(try calls.issue(under: name, of: owner))
    case .unwrap: return failure(try calls.unwrap(sealed.dataKey, of: owner))
    case .rewrapEnvelope: return failure(try calls.rewrap(envelope: sealed.envelope, of: owner))
    case .rewrapDataKey: return failure(try calls.rewrap(dataKey: sealed.dataKey, of: owner))
    case .status: return admin { () throws(ServiceError) in _ = try service.status(by: caller, tags) }
    case .tenantCreate:
      let new = owner == "acme" ? tenant("acme-\(counter.next())") : owning
      return admin { () throws(ServiceError) in _ = try service.createTenant(new, by: caller, tags) }
    case .tenantList:
      return admin { () throws(ServiceError) in _ = try service.tenants(limit: 9, by: caller, tags) }
    case .keyCreate:
      let new = name == "a" ? key("a-\(counter.next())") : named
      return admin { () throws(ServiceError) in _ = try service.createKey(new, of: owning, by: caller, tags) }
    case .keyList:
      return admin { () throws(ServiceError) in _ = try service.keys(of: owning, by: caller, tags) }
    case .keyRotate:
      return admin { () throws(ServiceError) in _ = try service.rotateKey(named, of: owning, by: caller, tags)
      }
    case .masterRotate:
      return admin { () throws(ServiceError) in
        _ = try service.rotateMaster(singleCopy: false, by: caller, tags)
      }
    case .masterCommit:
      let pending = try service.store.masterVersions().first { $0.state == .pending }
      return admin { () throws(ServiceError) in
        _ = try service.commitMaster(pending?.keyCheckValue ?? .zero, by: caller, tags)
      }
    case .masterStatus: return admin { () throws(ServiceError) in _ = try service.masterStatus(by: caller, tags) }
    case .logRead:
      var query = LogQuery()
      query.scope = .tenant(owning)
      return admin { () throws(ServiceError) in _ = try service.entries(query, by: caller, tags) }
    case .masterRetire:
      try service.waitForRewrapping()
      return admin { () throws(ServiceError) in _ = try service.retireMaster(1, by: caller, tags) }
    case .tenantFreeze, .tenantUnfreeze:
      return admin { () throws(ServiceError) in
        _ = try service.setTenantState(isFrozen: act == .tenantFreeze, owning, by: caller, tags)
        if act == .tenantFreeze {
          _ = try service.setTenantState(isFrozen: false, owning, by: shop.caller, tags)
        }
      }
    case .keyEnable, .keyDisable:
      let state: TenantKeyRow.State = act == .keyEnable ? .enabled : .disabled
      return admin { () throws(ServiceError) in
        _ = try service.setKeyState(state, named, of: owning, by: caller, tags)
        if state == .disabled {
          _ = try service.setKeyState(.enabled, named, of: owning, by: shop.caller, tags)
        }
      }
    }
  }

  private static func grants(_ permission: Permission, _ tenants: [String], _ keys: [String]) -> Grants {
    let role = Role.allCases.first { $0.permissions.contains(permission) } ?? .application
    // Of a tenant as a whole says who may do so to all its keys.
    let keys = [.tenantFreeze, .tenantUnfreeze].contains(permission) ? ["*"] : keys
    return .allowing([.init(role: role, tenants: tenants, keys: keys, permissions: [permission])])
  }

  @Test func `each permission lets its own acts run and no other`() throws {
    var expected: [(act: Act, isAllowed: Bool)] = []
    let start = try shop.running { service in
      let sealed = try #require(try fill(service)["acme/a"])
      var calls = try Calls(service, by: shop.caller)
      let start = try shop.entries().count
      for permission in Permission.allCases {
        calls.caller.grants = Self.grants(permission, ["acme*"], ["a*"])
        for act in Act.allCases {
          let isAllowed = act.permission == permission
          let failure = try attempt(act, "acme", "a", sealed, calls)
          #expect(failure == (isAllowed ? nil : act.refusal), "\(act) with \(permission)")
          expected.append((act, isAllowed))
          if act == .keyDisable, isAllowed { expected.append((.keyEnable, true)) }
          if act == .tenantFreeze, isAllowed { expected.append((.tenantUnfreeze, true)) }
        }
      }
      return start
    }
    let entries = try shop.entries().dropFirst(start).map(\.entry).filter {
      $0.entryClass != .intent && $0.operation != .serviceStop && $0.operation != .masterRewrap
    }
    try #require(entries.map(\.operation.word) == expected.map(\.act.operation.word))
    for (entry, expected) in zip(entries, expected) {
      #expect((entry.entryClass == .refusal) == !expected.isAllowed)
      #expect(entry.outcome == (expected.isAllowed ? .ok : .denied))
      #expect(entry.reason == (expected.isAllowed ? .none : .policy))
      #expect(entry.rule.isEmpty == !expected.isAllowed && entry.role.isEmpty == !expected.isAllowed)
      #expect(entry.requestID == tags.requestID && entry.principal == shop.caller.principal)
      #expect((entry.tenant != nil) == expected.act.namesTenant)
    }
  }

  @Test func `another's and nobody's look the same, and the log knows which was which`() throws {
    try shop.running { service in
      let sealed = try fill(service)
      let other = try #require(sealed["globex/a"])
      let otherKey = try #require(sealed["acme/b"])
      var calls = try Calls(service, by: shop.caller)
      for act in Act.allCases where act.namesTenant {
        // Their own is there; another tenant's and nobody's are not.
        calls.caller.grants = Self.grants(act.permission, ["acme*", "nobody"], ["a*", "none"])
        #expect(try attempt(act, "globex", "a", other, calls) == act.refusal, "\(act)")
        let notYours = try lastEntry(act)
        #expect(notYours.reason == .policy && notYours.entryClass == .refusal)
        guard act != .tenantCreate else { continue }
        #expect(try attempt(act, "nobody", "a", other, calls) == act.refusal, "\(act)")
        #expect([.noSuchTenant, .noSuchKey].contains(try lastEntry(act).reason))
        guard act.namesKey else { continue }
        #expect(try attempt(act, "acme", "b", otherKey, calls) == act.refusal, "\(act)")
        let notThisOne = try lastEntry(act)
        #expect(notThisOne.reason == .policy && notThisOne.rule.isEmpty && notThisOne.role.isEmpty, "\(act)")
        guard act != .keyCreate, act.refusal == .notFound else { continue }
        #expect(try attempt(act, "acme", "none", otherKey, calls) == act.refusal, "\(act)")
        #expect(try lastEntry(act).reason == .noSuchKey)
      }
    }
  }

  private func lastEntry(_ act: Act) throws -> AuditEntry {
    let entry = try #require(try shop.entries().last?.entry)
    #expect(entry.operation == act.operation)
    return entry
  }
}
