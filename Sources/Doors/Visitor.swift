internal import ChatelaineAccessPolicy
internal import ChatelaineKeyService
internal import ChatelaineTokens
internal import ChatelaineVocabulary

/// Who is at a connection, and what they may do with the request at hand: the same for all its requests, but for what a token says
/// and what the policy has come to say.
struct Visitor {
  private(set) var caller: Caller
  private let principal: Principal
  /// Without a token.
  private var grants = Grants.none
  /// Of the grants; 0 has them asked for at the first request.
  private var policyEpoch: UInt64 = 0

  init(_ caller: Caller, _ principal: Principal) {
    self.caller = caller
    self.principal = principal
  }

  /// Call before each request is answered.
  mutating func show(_ token: ShownToken, to service: KeyService) {
    let epoch = service.policyEpoch
    if epoch != policyEpoch {
      policyEpoch = epoch
      grants = service.grants(to: principal)
    } else if token == .none, caller.token == .none {
      return
    }
    caller.show(token, own: grants, epoch: epoch)
  }
}

/// The token that a request carries, as its head has it.
enum Credential {
  case none
  /// The value of `Authorization`.
  case authorization([UInt8])
  /// The value of `X-Vault-Token`.
  case token([UInt8])
  /// More than one: nobody knows which is meant.
  case several
}
