/// One thing that a principal may be allowed to do. The raw values are the words of the policy file.
package enum Permission: String, CaseIterable, Sendable {
  case encrypt
  case decrypt
  case issueDataKey = "issue-data-key"
  case unwrapDataKey = "unwrap-data-key"
  case rewrap

  case status
  case tenantCreate = "tenant-create"
  case tenantList = "tenant-list"
  case tenantFreeze = "tenant-freeze"
  case tenantUnfreeze = "tenant-unfreeze"
  case keyCreate = "key-create"
  case keyList = "key-list"
  case keyRotate = "key-rotate"
  case keyEnable = "key-enable"
  case keyDisable = "key-disable"
  case masterRotate = "master-rotate"
  case masterCommit = "master-commit"
  case masterStatus = "master-status"
  case masterRetire = "master-retire"
  case logRead = "log-read"

  /// A place of its own in a mask: asking for it costs neither a hash nor a search.
  var bit: UInt32 {
    switch self {
    case .encrypt: 1 << 0
    case .decrypt: 1 << 1
    case .issueDataKey: 1 << 2
    case .unwrapDataKey: 1 << 3
    case .rewrap: 1 << 4
    case .status: 1 << 5
    case .tenantCreate: 1 << 6
    case .tenantList: 1 << 7
    case .keyCreate: 1 << 8
    case .keyList: 1 << 9
    case .keyRotate: 1 << 10
    case .keyEnable: 1 << 11
    case .keyDisable: 1 << 12
    case .masterRotate: 1 << 13
    case .masterCommit: 1 << 14
    case .masterStatus: 1 << 15
    case .masterRetire: 1 << 16
    case .logRead: 1 << 17
    case .tenantFreeze: 1 << 18
    case .tenantUnfreeze: 1 << 19
    }
  }
}

/// What somebody is to the service. Roles are kept apart: an application cannot administer, an operator
/// cannot decrypt, a reviewer can only read.
package enum Role: String, CaseIterable, Sendable {
  case application
  case `operator`
  case reviewer

  /// The most that a rule of this role can grant.
  package var permissions: Set<Permission> {
    switch self {
    case .application: [.encrypt, .decrypt, .issueDataKey, .unwrapDataKey, .rewrap]
    case .operator:
      [
        .status, .tenantCreate, .tenantList, .tenantFreeze, .tenantUnfreeze, .keyCreate, .keyList, .keyRotate,
        .keyEnable, .keyDisable, .masterRotate, .masterCommit, .masterStatus, .masterRetire,
      ]
    case .reviewer: [.status, .logRead]
    }
  }
}
