package import ChatelaineAuditTrail
package import ChatelaineVocabulary

/// Who asks, as the log names them.
package struct Caller: Sendable {
  package var door: Door
  package var principalKind: PrincipalKind
  /// For instance `uid:1000`.
  package var principal: [UInt8]
  package var peerPID: UInt32 = 0
  package var peerUID: UInt32 = 0
  package var connection: UInt64 = 0
  package var requestID: Identifier
  package var role: [UInt8] = []
  package var source: [UInt8] = []
  /// On whose behalf, and why: given by the caller.
  package var actor: [UInt8] = []
  package var purpose: [UInt8] = []

  package init(door: Door, principalKind: PrincipalKind, principal: [UInt8], requestID: Identifier) {
    self.door = door
    self.principalKind = principalKind
    self.principal = principal
    self.requestID = requestID
  }

  /// The operator at a command line on this machine.
  package static func command(uid: UInt32, pid: UInt32, requestID: Identifier) -> Caller {
    var caller = Caller(
      door: .command, principalKind: .uid, principal: Array("uid:\(uid)".utf8), requestID: requestID)
    caller.peerUID = uid
    caller.peerPID = pid
    return caller
  }

  /// The fields of an entry that name the caller.
  func fill(_ entry: inout AuditEntry) {
    entry.door = door
    entry.principalKind = principalKind
    entry.principal = principal
    entry.peerPID = peerPID
    entry.peerUID = peerUID
    entry.connection = connection
    entry.requestID = requestID
    entry.role = role
    entry.source = source
    entry.actor = actor
    entry.purpose = purpose
  }
}
