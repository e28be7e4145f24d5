internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelaineKeyService
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineSocketBuffers
internal import ChatelaineTokens
internal import ChatelaineTransit
internal import ChatelaineVocabulary
internal import NIOCore

/// The HTTP door's side of one connection: has the hall do what the data door has it do, by the same calls, and lets the
/// reply wait for its entries.
final class TransitDesk {
  let loop: DataLoop
  private let acts: KeyActs
  private unowned let connection: HTTPConnection
  private let peer: Peer
  private var visitor: Visitor
  var caller: Caller { visitor.caller }
  /// How often the call under way has waited for keys: others may push them out again before it has all.
  private var loads = 0
  private static let loadsMax = 16

  init(_ loop: DataLoop, _ acts: KeyActs, _ connection: HTTPConnection, _ peer: Peer, _ caller: Caller) {
    self.loop = loop
    self.acts = acts
    self.connection = connection
    self.peer = peer
    visitor = Visitor(caller, peer.principal)
  }

  /// What a use of keys comes to.
  enum Made {
    case done(HTTPReply, [EntryDraft])
    case needs(KeyRequest)
  }

  func closed() { loop.worked() }
  func turnEnded() { loop.worked() }
  func drawIdentifier() -> Identifier { loop.path.drawIdentifier() }

  func take(_ request: HTTPRequest, _ bytes: Span<UInt8>) -> Taken {
    visitor.show(loop.judge(request.credential), to: loop.service)
    switch request.call.route.endpoint {
    case .encrypt, .decrypt, .rewrap, .dataKey: return useKeys(request, bytes)
    case .createKey, .readKey, .listKeys, .rotateKey, .configureKey: act(request)
    case .random: connection.answer(random(request))
    case .health: connection.answer(health(request))
    case .lookUpSelf: connection.answer(lookUpSelf(request))
    }
    return .taken
  }

  /// Refuses without an entry of its own.
  func refuse(_ fault: TransitFault) {
    var (status, allowed) = (Int?.none, String?.none)
    if case .method(let methods) = fault { (status, allowed) = (405, methods) }
    connection.answer(
      HTTPReply(
        fault.code, fault.sentence, drawIdentifier(), status: status, isLast: connection.isLast, allowed: allowed))
    connection.noteRefusal(UnnotedRefusal(fault))
  }

  private func refuse(_ code: ErrorCode, _ sentence: String, _ kind: UnnotedRefusal) {
    connection.answer(HTTPReply(code, sentence, drawIdentifier(), isLast: connection.isLast))
    connection.noteRefusal(kind)
  }

  // MARK: Uses of keys

  private func useKeys(_ request: HTTPRequest, _ bytes: Span<UInt8>) -> Taken {
    guard loads < Self.loadsMax else {
      loads = 0
      refuse(.busy, "The keys of this call do not stay at hand: send fewer keys at once.", .busy)
      return .taken
    }
    loads += 1
    if request.call.isBatch, let count = loadMissing(request, bytes) { return .later(count) }
    switch make(request, bytes) {
    case .needs(let key):
      loop.load(key, for: connection)
      return .later(1)
    case .done(let reply, let drafts):
      loads = 0
      loop.submit(
        HTTPTurn(connection, request.tags.requestID, entryCount: drafts.count, Withheld(reply)), drafts)
      return .taken
    }
  }

  private func make(_ request: HTTPRequest, _ bytes: Span<UInt8>) -> Made {
    guard let tenant = request.call.route.tenant, let key = request.call.route.key else {
      preconditionFailure("the path names a tenant and a key")
    }
    let use = TransitUse(loop: loop, caller: caller, tenant: tenant, key: key, request: request, isLast: connection.isLast)
    switch request.call.route.endpoint {
    case .encrypt: return request.call.isBatch ? use.encryptBatch(bytes) : use.encrypt(bytes)
    case .decrypt: return request.call.isBatch ? use.decryptBatch(bytes) : use.decrypt(bytes)
    case .rewrap: return request.call.isBatch ? use.oneByOne(bytes) : use.rewrap(bytes)
    case .dataKey(let wrappedOnly): return use.issueDataKey(wrappedOnly: wrappedOnly)
    default: preconditionFailure("answered elsewhere")
    }
  }

  /// Asks for all keys of a batch's envelopes that are not at hand, at once; nil where none is missing.
  private func loadMissing(_ request: HTTPRequest, _ bytes: Span<UInt8>) -> Int? {
    let route = request.call.route
    guard let tenant = route.tenant, route.endpoint != .encrypt else { return nil }
    let permission: Permission = route.endpoint == .decrypt ? .decrypt : .rewrap
    var (named, last): (Set<KeyRequest>, KeyRequest?) = ([], nil)
    // why: what the batch names beyond its bound is refused, and loading it would push out what it needs.
    for item in request.call.items where named.count < loop.path.batchKeysMax {
      let envelope = bytes.extracting(item.body)
      let key = loop.path.neededKey(for: envelope, of: tenant, to: permission, by: caller)
      guard let key, key != last else { continue }
      named.insert(key)
      last = key
    }
    let missing = named.filter { !loop.path.isAtHand($0) }
    for key in missing { loop.load(key, for: connection) }
    return missing.isEmpty ? nil : missing.count
  }

  // MARK: What uses no key

  private func reply(_ request: HTTPRequest, room: Int, secret: Bool = false, status: Int = 200,
    _ data: (inout OutputRawSpan) -> Void
  ) -> HTTPReply {
    HTTPReply(roomFor: TransitReply.frameBytesMax + room, secret: secret) { output in
      TransitReply.append(request.tags.requestID, to: &output, data: data)
      var head = ReplyHead(status: status)
      head.isLast = connection.isLast
      return head
    }
  }

  private func random(_ request: HTTPRequest) -> HTTPReply {
    let bytes = SecretBytes.random(count: request.call.randomByteCount)
    return reply(request, room: 2 * bytes.count + 64, secret: true) { output in
      output.append(text: "{\"random_bytes\":\"")
      bytes.withBytes { bytes in
        let bytes = Span<UInt8>(_bytes: bytes)
        if request.call.isHexadecimal { output.append(hexadecimal: bytes) } else { Base64.append(bytes, to: &output) }
      }
      output.append(text: "\"}")
    }
  }

  /// As Vault's health, whose status is what its callers look at.
  private func health(_ request: HTTPRequest) -> HTTPReply {
    let accepts = loop.service.acceptsCalls
    return HTTPReply(roomFor: TransitReply.frameBytesMax) { output in
      output.append(text: "{\"initialized\":true,\"sealed\":false,\"standby\":false,\"performance_standby\":false,")
      output.append(text: "\"replication_performance_mode\":\"disabled\",\"replication_dr_mode\":\"disabled\",")
      output.append(text: "\"accepting\":\(accepts),\"version\":\"chatelaine \(acts.softwareVersion)\"}\n")
      var head = ReplyHead(status: accepts ? 200 : 503)
      head.isLast = connection.isLast
      return head
    }
  }

  /// Whom the kernel says the caller is, or the name that a token has here, its tenants, and for how many seconds it is good. The token
  /// itself is never shown. One that is none is answered like everything that it is shown for.
  private func lookUpSelf(_ request: HTTPRequest) -> HTTPReply {
    guard let shown = ShownToken.Facts(caller, now: loop.service.tokenSeconds()) else {
      let refusal = ServiceError.notFound
      return HTTPReply(refusal.code, refusal.publicSentence, request.tags.requestID, isLast: connection.isLast)
    }
    return reply(request, room: 2048 + Limits.tokenTenantsMax * (Limits.nameLengthMax + 1)) { output in
      output.append(text: "{\"accessor\":\"\",\"creation_time\":0,\"creation_ttl\":0,\"display_name\":")
      TransitReply.append(string: shown.name, to: &output)
      output.append(text: ",\"entity_id\":\"\",\"expire_time\":null,\"explicit_max_ttl\":0,\"id\":\"\",\"meta\":")
      if shown.tenants.isEmpty { output.append(text: "null") } else {
        output.append(text: "{\"tenants\":")
        TransitReply.append(string: shown.tenants, to: &output)
        output.append(text: "}")
      }
      output.append(text: ",\"num_uses\":0,\"orphan\":true,\"path\":\"\(shown.path)\",\"policies\":[],\"renewable\":false,")
      output.append(text: "\"ttl\":\(shown.seconds),\"type\":\"service\"}")
    }
  }

  // MARK: Acts on keys

  /// On a thread that may block: the connection takes nothing more until it is answered.
  private func act(_ request: HTTPRequest) {
    guard let eventLoop = connection.eventLoop else { return }
    // why: strong, until the act is done: it may outlive its connection.
    let bound = NIOLoopBound((connection: connection, request: request), eventLoop: eventLoop)
    acts.run(request.call, request.tags, by: caller, peer.principal, on: eventLoop) { answer in
      let (connection, request) = (bound.value.connection, bound.value.request)
      connection.answer(answer.reply(to: request, isLast: connection.isLast))
      connection.flush()
    }
  }
}

extension UnnotedRefusal {
  fileprivate init(_ fault: TransitFault) {
    switch fault {
    case .noSuchPath, .method, .notHere: self = .noSuchMethod
    default: self = fault.code == .limitExceeded ? .limit : .malformed
    }
  }
}

extension OutputRawSpan {
  fileprivate mutating func append(hexadecimal bytes: Span<UInt8>) {
    let digits = Array("0123456789abcdef".utf8)
    for index in bytes.indices {
      append(digits[Int(bytes[index] >> 4)])
      append(digits[Int(bytes[index] & 15)])
    }
  }
}

extension ShownToken {
  /// What of a caller and its token is told to it.
  fileprivate struct Facts {
    let name: String
    /// With commas between them; empty without a token.
    let tenants: String
    let path: String
    /// 0: it does not end, or there is none.
    let seconds: UInt64

    /// nil where the token is none.
    init?(_ caller: Caller, now: UInt64) {
      switch caller.token {
      case .bad: return nil
      case .none:
        (name, tenants, seconds) = (String(decoding: caller.principal, as: UTF8.self), "", 0)
        path = caller.principalKind == .certificate ? "auth/cert" : "auth/unix"
      case .good(let token):
        name = String(decoding: token.bearer.text, as: UTF8.self)
        tenants = token.bearer.tenants.map(\.rawValue).joined(separator: ",")
        path = "auth/token"
        seconds = token.end == .max ? 0 : token.end - min(now, token.end)
      }
    }
  }
}
