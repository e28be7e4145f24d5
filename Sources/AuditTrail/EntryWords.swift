/// The numbers of the log's entries and their words. Classes are closed; the others are open: a
/// verifier that is older than the writer prints the number and goes on.

package enum EntryClass: UInt8, Sendable, CaseIterable {
  case keyUse = 1
  case refusal
  case intent
  case outcome
  case service
  case aggregate
  case tenantHeads
  case recovered
  case purge

  package var word: String {
    switch self {
    case .keyUse: "key-use"
    case .refusal: "refusal"
    case .intent: "intent"
    case .outcome: "outcome"
    case .service: "service"
    case .aggregate: "aggregate"
    case .tenantHeads: "tenant-heads"
    case .recovered: "recovered"
    case .purge: "purge"
    }
  }
}

/// A number with a word, such as an operation or a reason.
package protocol LogWord: RawRepresentable, Hashable, Sendable where RawValue: FixedWidthInteger & Sendable {
  static var kind: String { get }
  static var words: [RawValue: String] { get }
  init(rawValue: RawValue)
}

extension LogWord {
  package var word: String { Self.words[rawValue] ?? "\(Self.kind)-\(rawValue)" }

  /// The value of a word, such as `decrypt`, or of a number without one, as `operation-77`; nil for anything else.
  package init?(word: String) {
    let number = word.hasPrefix(Self.kind + "-") ? RawValue(word.dropFirst(Self.kind.count + 1)) : nil
    guard let value = Self.words.first(where: { $0.value == word })?.key ?? number else { return nil }
    self.init(rawValue: value)
    guard self.word == word else { return nil }
  }
}

package struct Operation: LogWord {
  package static let kind = "operation"
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  package static let encrypt = Operation(rawValue: 1)
  package static let decrypt = Operation(rawValue: 2)
  package static let issueDataKey = Operation(rawValue: 3)
  package static let unwrapDataKey = Operation(rawValue: 4)
  package static let rewrap = Operation(rawValue: 5)
  package static let tenantCreate = Operation(rawValue: 32)
  package static let tenantFreeze = Operation(rawValue: 33)
  package static let tenantUnfreeze = Operation(rawValue: 34)
  package static let keyCreate = Operation(rawValue: 48)
  package static let keyRotate = Operation(rawValue: 49)
  package static let keyEnable = Operation(rawValue: 50)
  package static let keyDisable = Operation(rawValue: 51)
  package static let masterAdd = Operation(rawValue: 64)
  package static let masterCommit = Operation(rawValue: 65)
  package static let masterRewrap = Operation(rawValue: 66)
  package static let masterRetire = Operation(rawValue: 67)
  package static let storeCreate = Operation(rawValue: 80)
  package static let serviceStart = Operation(rawValue: 96)
  package static let serviceStop = Operation(rawValue: 97)
  package static let policyReload = Operation(rawValue: 98)
  package static let storeState = Operation(rawValue: 101)
  package static let rollbackAcknowledge = Operation(rawValue: 102)
  package static let logRecovered = Operation(rawValue: 112)
  package static let tenantHeads = Operation(rawValue: 114)
  package static let refusals = Operation(rawValue: 115)
  package static let readStatus = Operation(rawValue: 128)
  package static let readTenants = Operation(rawValue: 129)
  package static let readKeys = Operation(rawValue: 130)
  package static let readLog = Operation(rawValue: 131)
  package static let readMaster = Operation(rawValue: 132)

  package static let words: [UInt16: String] = [
    1: "encrypt", 2: "decrypt", 3: "issue-data-key", 4: "unwrap-data-key", 5: "rewrap", 6: "compute-mac",
    7: "verify-mac", 8: "blind-index", 32: "tenant-create", 33: "tenant-freeze", 34: "tenant-unfreeze",
    35: "tenant-erase", 48: "key-create", 49: "key-rotate", 50: "key-enable", 51: "key-disable",
    52: "key-destroy", 53: "key-destroy-cancel", 64: "master-add", 65: "master-commit", 66: "master-rewrap",
    67: "master-retire", 80: "store-create", 96: "service-start", 97: "service-stop", 98: "policy-reload",
    99: "clock-jump", 100: "unseal", 101: "store-state", 102: "rollback-acknowledge", 112: "log-recovered", 113: "purge",
    114: "tenant-heads", 115: "refusals", 128: "read-status", 129: "read-tenants", 130: "read-keys", 131: "read-log", 132: "read-master",
  ]
}

package struct Outcome: LogWord {
  package static let kind = "outcome"
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  package static let none = Outcome(rawValue: 0)
  package static let ok = Outcome(rawValue: 1)
  package static let denied = Outcome(rawValue: 2)
  package static let failed = Outcome(rawValue: 3)
  package static let unknown = Outcome(rawValue: 4)

  package static let words: [UInt16: String] = [0: "none", 1: "ok", 2: "denied", 3: "failed", 4: "unknown"]
}

package struct Reason: LogWord {
  package static let kind = "reason"
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  package static let none = Reason(rawValue: 0)
  package static let policy = Reason(rawValue: 1)
  package static let noSuchTenant = Reason(rawValue: 2)
  package static let noSuchKey = Reason(rawValue: 3)
  package static let keyDisabled = Reason(rawValue: 4)
  package static let keyDestroyed = Reason(rawValue: 5)
  package static let header = Reason(rawValue: 6)
  package static let keyOrContext = Reason(rawValue: 7)
  package static let body = Reason(rawValue: 8)
  package static let belowFloor = Reason(rawValue: 9)
  package static let malformed = Reason(rawValue: 10)
  package static let limit = Reason(rawValue: 11)
  package static let busy = Reason(rawValue: 12)
  package static let conflict = Reason(rawValue: 14)
  package static let tenantFrozen = Reason(rawValue: 15)
  package static let tenantErased = Reason(rawValue: 16)
  package static let deadline = Reason(rawValue: 17)
  package static let store = Reason(rawValue: 18)
  package static let purpose = Reason(rawValue: 19)
  package static let noSuchMethod = Reason(rawValue: 22)

  package static let words: [UInt16: String] = [
    0: "none", 1: "policy", 2: "no-such-tenant", 3: "no-such-key", 4: "key-disabled", 5: "key-destroyed",
    6: "header", 7: "key-or-context", 8: "body", 9: "below-floor", 10: "malformed", 11: "limit", 12: "busy",
    13: "unauthenticated", 14: "conflict", 15: "tenant-frozen", 16: "tenant-erased", 17: "deadline",
    18: "store", 19: "purpose", 20: "internal", 21: "sealed", 22: "no-such-method",
  ]
}

package struct Door: LogWord {
  package static let kind = "door"
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let none = Door(rawValue: 0)
  package static let data = Door(rawValue: 1)
  package static let admin = Door(rawValue: 2)
  package static let http = Door(rawValue: 3)
  package static let command = Door(rawValue: 5)

  package static let words: [UInt8: String] = [
    0: "none", 1: "data", 2: "admin", 3: "http", 4: "grpc", 5: "command",
  ]
}

package struct PrincipalKind: LogWord {
  package static let kind = "principal-kind"
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let service = PrincipalKind(rawValue: 0)
  package static let uid = PrincipalKind(rawValue: 1)
  package static let certificate = PrincipalKind(rawValue: 2)

  package static let words: [UInt8: String] = [0: "service", 1: "uid", 2: "certificate", 3: "token"]
}

/// What a value in an entry's detail list is.
package struct DetailTag: LogWord, Comparable {
  package static let kind = "detail"
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let storeRoot = DetailTag(rawValue: 1)
  package static let intentSequence = DetailTag(rawValue: 2)
  package static let intentLeafHash = DetailTag(rawValue: 3)
  package static let keyCheckValue = DetailTag(rawValue: 4)
  package static let segment = DetailTag(rawValue: 5)
  package static let offset = DetailTag(rawValue: 6)
  package static let length = DetailTag(rawValue: 7)
  package static let count = DetailTag(rawValue: 8)
  package static let softwareVersion = DetailTag(rawValue: 9)
  package static let note = DetailTag(rawValue: 10)
  package static let version = DetailTag(rawValue: 11)
  package static let state = DetailTag(rawValue: 12)
  package static let itemKeys = DetailTag(rawValue: 13)
  package static let policyHash = DetailTag(rawValue: 14)
  package static let coveredSize = DetailTag(rawValue: 20)
  package static let tenantsRoot = DetailTag(rawValue: 21)
  package static let previousSize = DetailTag(rawValue: 24)
  package static let previousRoot = DetailTag(rawValue: 25)
  package static let lost = DetailTag(rawValue: 26)
  package static let head = DetailTag(rawValue: 27)

  package static let words: [UInt8: String] = [
    1: "store-root", 2: "intent-sequence", 3: "intent-leaf-hash", 4: "key-check-value", 5: "segment",
    6: "offset", 7: "length", 8: "count", 9: "software-version", 10: "note", 11: "version", 12: "state",
    13: "item-keys", 14: "policy-hash", 20: "covered-size", 21: "tenants-root", 24: "previous-size",
    25: "previous-root", 26: "lost", 27: "head",
  ]

  /// Bytes of a value; nil where any count is right or the tag is not known.
  package var valueByteCount: Int? {
    switch self {
    case .storeRoot, .intentLeafHash, .keyCheckValue, .policyHash, .tenantsRoot, .previousRoot: 32
    case .intentSequence, .segment, .offset, .length, .count, .coveredSize, .previousSize: 8
    case .version: 4
    case .state: 1
    default: nil
    }
  }

  package static func < (a: DetailTag, b: DetailTag) -> Bool { a.rawValue < b.rawValue }
}
