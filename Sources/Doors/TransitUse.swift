internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelaineKeyService
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineSocketBuffers
internal import ChatelaineTransit
internal import ChatelaineVocabulary

/// One use of keys through the HTTP door: the hall's call, and its result in Vault's shape.
struct TransitUse {
  typealias Made = TransitDesk.Made

  let loop: DataLoop
  let caller: Caller
  let tenant: TenantID
  let key: KeyName
  let request: HTTPRequest
  let isLast: Bool

  private static let envelopeOverhead = 96
  private static let dataKeyByteCount = 32

  // MARK: One text

  func encrypt(_ bytes: Span<UInt8>) -> Made {
    let item = request.call.items[0]
    return loop.scratch.use(roomFor: item.body.count + Self.envelopeOverhead) { output in
      bytes.extracting(item.body).withRawSpan { plaintext in
        loop.path.encrypt(
          plaintext, under: key, of: tenant, context: item.context, by: caller, request.tags, appendingTo: &output)
      }
    } read: { turn, envelope in
      made(turn) { TransitReply.append(ciphertext: envelope, keyVersion: version(of: envelope), to: &$0) }
    }
  }

  func decrypt(_ bytes: Span<UInt8>) -> Made {
    open(request.call.items[0], bytes) { turn, plaintext in
      made(turn, secret: true) { TransitReply.append(plaintext: plaintext, to: &$0) }
    }
  }

  func rewrap(_ bytes: Span<UInt8>) -> Made {
    move(request.call.items[0], bytes) { turn, ciphertext in
      made(turn) { TransitReply.append(ciphertext: ciphertext, keyVersion: version(of: ciphertext), to: &$0) }
    }
  }

  func issueDataKey(wrappedOnly: Bool) -> Made {
    let turn = loop.path.issueDataKey(
      under: key, of: tenant, context: request.call.items[0].context, wrappedOnly: wrappedOnly, by: caller, request.tags)
    switch consume turn {
    case .needs(let request): return .needs(request)
    case .done(let issued):
      return made(.done(issued.attempt), secret: true) { output in
        if issued.key != nil {
          issued.key?.withBytes { TransitReply.append(plaintext: Span<UInt8>(_bytes: $0), to: &output) }
          output.append(text: ",")
        }
        let wrapped = issued.wrapped
        TransitReply.append(ciphertext: wrapped.span, keyVersion: version(of: wrapped.span), to: &output)
      }
    }
  }

  /// The reply to one use: `{…}` of what `data` writes, or the refusal, which has an entry too.
  private func made(_ turn: DataPath.Turn, secret: Bool = false, _ data: (inout OutputRawSpan) -> Void) -> Made {
    switch turn {
    case .needs(let request): return .needs(request)
    case .done(let attempt):
      if let failure = attempt.failure { return .done(refusal(failure), [attempt.draft]) }
      let room = TransitReply.room(request.call.items) { $0 + 148 }
      let reply = HTTPReply(roomFor: room, secret: secret) { output in
        TransitReply.append(request.tags.requestID, to: &output) { output in
          output.append(text: "{")
          data(&output)
          output.append(text: "}")
        }
        return head(200)
      }
      return .done(reply, [attempt.draft])
    }
  }

  private func refusal(_ failure: ServiceError) -> HTTPReply {
    HTTPReply(
      failure.code, failure.publicSentence, request.tags.requestID, isLast: isLast, isNoted: true,
      retryMilliseconds: failure.retryMilliseconds)
  }

  private func head(_ status: Int) -> ReplyHead {
    var head = ReplyHead(status: status)
    head.isLast = isLast
    head.hasReceipt = true
    return head
  }

  // MARK: Envelopes and wrapped data keys, which Vault has one word for

  /// Opens what an item names, and lends its plaintext.
  private func open<Result>(
    _ item: TransitItem, _ bytes: Span<UInt8>, _ read: (DataPath.Turn, Span<UInt8>) -> Result
  ) -> Result {
    let body = bytes.extracting(place(item, bytes))
    guard isWrapped(body) else {
      return loop.scratch.use(roomFor: max(0, body.count - Self.envelopeOverhead)) { output in
        loop.path.decrypt(
          body, of: tenant, meaning: key, context: item.context, by: caller, request.tags, appendingTo: &output)
      } read: { read($0, $1) }
    }
    return loop.scratch.use(roomFor: Self.dataKeyByteCount) { output in
      let turn = loop.path.unwrapDataKey(
        body, of: tenant, meaning: key, context: item.context, by: caller, request.tags)
      switch consume turn {
      case .needs(let request): return DataPath.Turn.needs(request)
      case .done(let unwrapped):
        unwrapped.key?.withBytes { output.append(copying: Span<UInt8>(_bytes: $0)) }
        return .done(unwrapped.attempt)
      }
    } read: { read($0, $1) }
  }

  /// Moves what an item names to the key's current version, and lends it.
  private func move<Result>(
    _ item: TransitItem, _ bytes: Span<UInt8>, _ read: (DataPath.Turn, Span<UInt8>) -> Result
  ) -> Result {
    let body = bytes.extracting(place(item, bytes))
    return loop.scratch.use(roomFor: max(body.count, Self.envelopeOverhead)) { output in
      if isWrapped(body) {
        loop.path.rewrap(
          wrappedDataKey: body, of: tenant, meaning: key, context: item.context, by: caller, request.tags,
          appendingTo: &output)
      } else {
        loop.path.rewrap(
          envelope: body, of: tenant, meaning: key, context: item.context, by: caller, request.tags,
          appendingTo: &output)
      }
    } read: { read($0, $1) }
  }

  /// An item's bytes; none where the text says another version than they do, for one ciphertext has one text.
  private func place(_ item: TransitItem, _ bytes: Span<UInt8>) -> Range<Int> {
    version(of: bytes.extracting(item.body)) == item.keyVersion
      ? item.body : item.body.lowerBound..<item.body.lowerBound
  }

  private func isWrapped(_ bytes: Span<UInt8>) -> Bool {
    bytes.count == WrappedKey.byteCount && bytes[0] == UInt8(ascii: "C") && bytes[1] == UInt8(ascii: "W")
  }

  /// Of the tenant key that an envelope or a wrapped data key is under; 0 for what is neither.
  private func version(of bytes: Span<UInt8>) -> UInt32 {
    if isWrapped(bytes) { return (try? WrappedKey(bytes))?.wrappingKey.version ?? 0 }
    return (try? Envelope.parseSelector(bytes))?.key.version ?? 0
  }

  // MARK: Batches

  func encryptBatch(_ bytes: Span<UInt8>) -> Made {
    switch loop.path.beginEncryptBatch(under: key, of: tenant, by: caller, request.tags) {
    case .needs(let request): return .needs(request)
    case .batch(let batch):
      let reply = batchReply(bytes, secret: false, { $0 + Self.envelopeOverhead }) { item, output in
        loop.scratch.use(roomFor: item.body.count + Self.envelopeOverhead) { envelope in
          bytes.extracting(item.body).withRawSpan { batch.add($0, context: item.context, appendingTo: &envelope) }
        } read: { failure, envelope in
          if let failure { return failure.code }
          TransitReply.append(ciphertext: envelope, keyVersion: version(of: envelope), to: &output)
          return nil
        }
      }
      return .done(reply, [batch.finish()])
    }
  }

  /// One entry for all; but where a wrapped data key is among them, one for each.
  func decryptBatch(_ bytes: Span<UInt8>) -> Made {
    guard !request.call.items.contains(where: { isWrapped(bytes.extracting($0.body)) }) else { return oneByOne(bytes) }
    let batch = loop.path.beginDecryptBatch(of: tenant, meaning: key, by: caller, request.tags)
    var missing: KeyRequest?
    let reply = batchReply(bytes, secret: true, { $0 }) { item, output in
      guard missing == nil else { return .notFound }
      let body = bytes.extracting(place(item, bytes))
      return loop.scratch.use(roomFor: max(0, body.count - Self.envelopeOverhead)) { plaintext in
        batch.add(body, context: item.context, appendingTo: &plaintext)
      } read: { added, plaintext in
        switch added {
        case .ok:
          TransitReply.append(plaintext: plaintext, to: &output)
          return nil
        case .failure(let error): return error.code
        case .needs(let request):
          missing = request
          return .notFound
        }
      }
    }
    guard let missing else { return .done(reply, [batch.finish()]) }
    reply.erase()
    return .needs(missing)
  }

  /// A batch of which each item is a call with an entry of its own.
  func oneByOne(_ bytes: Span<UInt8>) -> Made {
    var (missing, drafts) = (KeyRequest?.none, [EntryDraft]())
    let opens = request.call.route.endpoint == .decrypt
    let refused = loop.path.refusal(
      ofBatch: opens ? .decrypt : .rewrap, needing: opens ? [.decrypt, .unwrapDataKey] : [.rewrap],
      count: request.call.items.count, of: tenant, by: caller, request.tags)
    if let refused { return .done(batchReply(bytes, secret: false, { _ in 0 }) { _, _ in refused.error.code }, [refused.draft]) }
    func code(_ turn: DataPath.Turn) -> ErrorCode? {
      switch turn {
      case .needs(let request): missing = missing ?? request
      case .done(let attempt):
        drafts.append(attempt.draft)
        return attempt.failure?.code
      }
      return .notFound
    }
    let reply = batchReply(bytes, secret: opens, { $0 + 148 }) { item, output in
      guard missing == nil else { return .notFound }
      guard opens else {
        return move(item, bytes) { turn, ciphertext in
          if let code = code(turn) { return code }
          TransitReply.append(ciphertext: ciphertext, keyVersion: version(of: ciphertext), to: &output)
          return nil
        }
      }
      return open(item, bytes) { turn, plaintext in
        if let code = code(turn) { return code }
        TransitReply.append(plaintext: plaintext, to: &output)
        return nil
      }
    }
    guard let missing else { return .done(reply, drafts) }
    reply.erase()
    return .needs(missing)
  }

  /// `{"batch_results":[…]}`: each item writes its members, or gives the code of what is wrong with it. Where one failed
  /// the status is 400, or what the caller wants for a batch of which a part went well.
  private func batchReply(
    _ bytes: Span<UInt8>, secret: Bool, _ bodyCount: (Int) -> Int, _ write: (TransitItem, inout OutputRawSpan) -> ErrorCode?
  ) -> HTTPReply {
    HTTPReply(roomFor: TransitReply.room(request.call.items, bodyCount), secret: secret) { output in
      var failures = 0
      TransitReply.append(request.tags.requestID, to: &output) { output in
        output.append(text: "{\"batch_results\":[")
        for (index, item) in request.call.items.enumerated() {
          output.append(text: index == 0 ? "{" : ",{")
          if let code = write(item, &output) {
            failures += 1
            TransitReply.append(itemError: code, to: &output)
          }
          if let place = item.reference { TransitReply.append(reference: bytes.extracting(place), to: &output) }
          output.append(text: "}")
        }
        output.append(text: "]}")
      }
      let isPartial = failures < request.call.items.count
      return head(failures == 0 ? 200 : isPartial ? request.call.partialFailureStatus ?? 400 : 400)
    }
  }
}
