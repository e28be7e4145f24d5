internal import ChatelaineVocabulary
internal import ChatelaineWire

extension ChatelaineConnection {
  /// Encrypts under the current version of a key: an envelope, 96 bytes longer than the plaintext.
  ///
  /// - Parameters:
  ///   - plaintext: At most 1 MiB; for more, encrypt it yourself under a data key.
  ///   - context: Not secret; the same pairs are needed to decrypt.
  public func encrypt(
    _ plaintext: [UInt8], tenant: String, key: String, context: [String: String] = [:],
    options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[UInt8]> {
    let request = try DataRequest(.encrypt, tenant, key, [BatchItem(plaintext, context: context)], options)
    return try await send(request) { reply, bytes throws(MalformedBytes) in try reply.copy(reply.first, bytes)
    }
  }

  /// Decrypts an envelope of a tenant. Whatever does not fit, the answer is ``ClientError/Code/decryptionFailed``.
  ///
  /// - Parameters:
  ///   - envelope: In binary form; see ``EnvelopeText`` for the text form.
  ///   - context: As it was encrypted with, byte for byte.
  public func decrypt(
    _ envelope: [UInt8], tenant: String, context: [String: String] = [:], options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[UInt8]> {
    let request = try DataRequest(.decrypt, tenant, nil, [BatchItem(envelope, context: context)], options)
    return try await send(request) { reply, bytes throws(MalformedBytes) in
      reply.copyOrEmpty(reply.first, bytes)
    }
  }

  /// Makes a fresh data key under the current version of a key.
  public func issueDataKey(
    tenant: String, key: String, context: [String: String] = [:], options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<DataKey> {
    let request = try DataRequest(.issueDataKey, tenant, key, [BatchItem([], context: context)], options)
    return try await send(request) { reply, bytes throws(MalformedBytes) in
      DataKey(wrapped: try reply.copy(reply.first, bytes), key: try reply.copy(reply.second, bytes))
    }
  }

  /// Makes a fresh data key for somebody else to unwrap: only the wrapped form, 148 bytes, leaves the service.
  public func issueWrappedDataKey(
    tenant: String, key: String, context: [String: String] = [:], options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[UInt8]> {
    let items = [BatchItem([], context: context)]
    let request = try DataRequest(.issueDataKey, tenant, key, items, options, wrappedOnly: true)
    return try await send(request) { reply, bytes throws(MalformedBytes) in try reply.copy(reply.first, bytes)
    }
  }

  /// Unwraps a data key that was issued to the tenant with this context: 32 bytes, secret.
  public func unwrapDataKey(
    _ wrapped: [UInt8], tenant: String, context: [String: String] = [:], options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[UInt8]> {
    let request = try DataRequest(
      .unwrapDataKey, tenant, nil, [BatchItem(wrapped, context: context)], options)
    return try await send(request) { reply, bytes throws(MalformedBytes) in try reply.copy(reply.first, bytes)
    }
  }

  /// Moves an envelope to the current version of its key. The same bytes where it is there already.
  public func rewrap(
    envelope: [UInt8], tenant: String, context: [String: String] = [:], options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[UInt8]> {
    let request = try DataRequest(.rewrap, tenant, nil, [BatchItem(envelope, context: context)], options)
    return try await send(request) { reply, bytes throws(MalformedBytes) in try reply.copy(reply.first, bytes)
    }
  }

  /// Moves a wrapped data key to the current version of its key. What it encrypted need not be touched.
  public func rewrap(
    wrappedDataKey wrapped: [UInt8], tenant: String, context: [String: String] = [:],
    options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[UInt8]> {
    let items = [BatchItem(wrapped, context: context)]
    let request = try DataRequest(.rewrap, tenant, nil, items, options, isWrappedDataKey: true)
    return try await send(request) { reply, bytes throws(MalformedBytes) in
      try reply.copy(reply.second, bytes)
    }
  }

  // MARK: Batches

  /// Encrypts up to 1,024 plaintexts, together at most 1 MiB, with one entry in the log: a result an item, in order.
  public func encryptBatch(
    _ items: [BatchItem], tenant: String, key: String, options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[Result<[UInt8], ClientError>]> {
    let request = try DataRequest(.encryptBatch, tenant, key, items, options)
    return try await sendBatch(request, items.count)
  }

  /// Decrypts up to 1,024 envelopes of one tenant, together at most 1 MiB of plaintext, with one entry in the log: a
  /// result an item, in order.
  public func decryptBatch(
    _ items: [BatchItem], tenant: String, options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<[Result<[UInt8], ClientError>]> {
    let request = try DataRequest(.decryptBatch, tenant, nil, items, options)
    return try await sendBatch(request, items.count)
  }

  private func sendBatch(
    _ request: DataRequest, _ count: Int
  ) async throws(ClientError) -> Reply<[Result<[UInt8], ClientError>]> {
    let id = request.outgoing.requestID
    return try await send(request) { reply, bytes throws(MalformedBytes) in
      try reply.answers(count, of: id, bytes)
    }
  }

  private func send<Value: Sendable>(
    _ request: DataRequest,
    read: @escaping @Sendable (KeyReply, Span<UInt8>) throws(MalformedBytes) -> Value
  ) async throws(ClientError) -> Reply<Value> {
    let method = request.method
    return try await perform(request.outgoing, timeout: request.timeout, token: request.token) {
      bytes, range throws(MalformedBytes) in
      let reply = try KeyReply(method, bytes, in: range)
      guard let receipt = reply.receipt else { throw MalformedBytes() }
      return Reply(value: try read(reply, bytes), receipt: Receipt(receipt))
    }
  }
}

extension KeyReply {
  fileprivate func copy(_ range: Range<Int>?, _ bytes: Span<UInt8>) throws(MalformedBytes) -> [UInt8] {
    guard let range, !range.isEmpty else { throw MalformedBytes() }
    return bytes.extracting(range).copied()
  }

  /// An empty value may be left out.
  fileprivate func copyOrEmpty(_ range: Range<Int>?, _ bytes: Span<UInt8>) -> [UInt8] {
    range.map { bytes.extracting($0).copied() } ?? []
  }

  fileprivate func answers(
    _ count: Int, of call: RequestID?, _ bytes: Span<UInt8>
  ) throws(MalformedBytes) -> [Swift.Result<[UInt8], ClientError>] {
    guard results.count == count else { throw MalformedBytes() }
    var answers: [Swift.Result<[UInt8], ClientError>] = []
    answers.reserveCapacity(count)
    for result in results {
      if let code = result.code, !code.isEmpty {
        answers.append(.failure(ClientError(item: code, of: call)))
      } else {
        answers.append(.success(bytes.extracting(result.body).copied()))
      }
    }
    return answers
  }
}

extension ClientError {
  /// An item's refusal has a code and no more; its entry is the batch's.
  fileprivate init(item code: String, of call: RequestID?) {
    let code = Code(rawValue: code)
    let sentence =
      switch code {
      case .decryptionFailed: "The ciphertext does not open for this tenant and context."
      case .notFound: "There is no such tenant or key."
      case .keyDisabled: "The key is disabled: ask the operator to enable it."
      case .tenantFrozen: "The tenant is frozen: none of its keys is used until the operator unfreezes it."
      case .limitExceeded:
        "The batch names more different keys than one may (512, or half of the service's keys-at-hand): split the batch."
      default: "The service refuses this item."
      }
    self.init(code, sentence, requestID: call)
  }
}
