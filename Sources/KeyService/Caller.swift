package import ChatelaineAccessPolicy
package import ChatelaineAuditLog
package import ChatelaineAuditTrail
internal import ChatelainePrimitives
package import ChatelaineTokens
package import ChatelaineVocabulary
internal import Synchronization

/// Who asks, as the log names them, and what the policy lets them do: the same for a whole connection.
package struct Caller: Sendable {
  package var door: Door
  package var principalKind: PrincipalKind
  /// For instance `uid:1000`.
  package var principal: [UInt8]
  package var peerPID: UInt32 = 0
  package var peerUID: UInt32 = 0
  package var connection: UInt64 = 0
  /// Address or unit.
  package var source: [UInt8] = []
  /// A door asks the policy again when `KeyService.policyEpoch` has changed, and for each request with a token.
  package var grants: Grants
  /// What came of the token of the request.
  package private(set) var token = ShownToken.none
  /// `KeyService.policyEpoch` when it was judged.
  private(set) var tokenEpoch: UInt64 = 0

  package init(door: Door, principalKind: PrincipalKind, principal: [UInt8], grants: Grants = .none) {
    self.door = door
    self.principalKind = principalKind
    self.principal = principal
    self.grants = grants
  }

  /// Takes what came of a request's token into account: `own` is what the caller may do without one. With a token that is none it may do
  /// nothing at all.
  package mutating func show(_ token: ShownToken, own: Grants, epoch: UInt64) {
    self.token = token
    tokenEpoch = epoch
    switch token {
    case .none: grants = own
    case .good(let token): grants = own.shown(token.bearer)
    case .bad: grants = .none
    }
  }

  /// The operator at a command line on this machine, whom no policy binds: what they do goes to no door.
  package static func command(uid: UInt32, pid: UInt32, grants: Grants = .none) -> Caller {
    var caller = Caller(
      door: .command, principalKind: .uid, principal: Array("uid:\(uid)".utf8), grants: grants)
    caller.peerUID = uid
    caller.peerPID = pid
    return caller
  }

  /// The service itself, for instance when a signal tells it to read its policy again.
  package static let service = Caller(door: .none, principalKind: .service, principal: [])

  /// The fields of an entry that name the caller.
  func fill(_ entry: inout AuditEntry) {
    entry.door = door
    entry.principalKind = principalKind
    entry.principal = principal
    entry.peerPID = peerPID
    entry.peerUID = peerUID
    entry.connection = connection
    entry.source = source
    switch token {
    case .none: break
    case .good(let token): entry.details = [.init(.note, token.note)]
    case .bad(let fault): entry.details = [.init(.note, Array("token-refused=\(fault.rawValue)".utf8))]
    }
  }
}

/// What a request says of itself, for the log alone.
package struct RequestTags: Sendable {
  package var requestID: Identifier
  /// On whose behalf, and why.
  package var actor: [UInt8]
  package var purpose: [UInt8]
  /// Told of the entry that an act comes to.
  package var noted: NotedEntry?

  /// A request id is drawn where the caller gave none; on an event loop `DataPath.drawIdentifier()` is
  /// quicker.
  package init(requestID: Identifier? = nil, actor: [UInt8] = [], purpose: [UInt8] = []) {
    self.requestID = requestID ?? SecureRandom.identifier()
    self.actor = actor
    self.purpose = purpose
  }

  func fill(_ entry: inout AuditEntry) {
    entry.requestID = requestID
    entry.actor = actor
    entry.purpose = purpose
  }
}

/// The entry of an act, be it a refusal: where a door finds the receipt, for which a thrown error has no room.
package final class NotedEntry: Sendable {
  private let entry = Mutex<AppendedEntry?>(nil)

  package init() {}

  /// nil where none was made durable.
  package var last: AppendedEntry? { entry.withLock { $0 } }

  func note(_ appended: AppendedEntry) { entry.withLock { $0 = appended } }
}

extension AuditEntry {
  /// Adds details in the order that the format has; a second note is put behind the first.
  mutating func add(_ more: [Detail]) {
    for detail in more {
      if detail.tag == .note, let place = details.firstIndex(where: { $0.tag == .note }) {
        details[place].value += [UInt8(ascii: " ")] + detail.value
      } else {
        details.append(detail)
      }
    }
    details.sort { $0.tag < $1.tag }
  }

  /// The rule that decided, and the role it gave.
  mutating func note(_ grant: Grants.Grant) {
    rule = grant.rule
    role = grant.role
  }
}
