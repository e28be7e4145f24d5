internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire

/// A request of the data door: checked here, so that a mistake is told without a round trip.
struct DataRequest: Sendable {
  let method: KeyMethod
  let outgoing: Outgoing
  let timeout: Duration?
  let token: AccessToken?

  init(
    _ method: KeyMethod, _ tenant: String, _ key: String?, _ items: [BatchItem], _ options: CallOptions,
    wrappedOnly: Bool = false, isWrappedDataKey: Bool = false
  ) throws(ClientError) {
    try Self.checkSizes(method, items)
    let options = options.named
    let writer = KeyRequestWriter(
      method, tenant: try Self.parsed(.tenant) { () throws(InvalidName) in try TenantID(tenant) },
      key: try Self.parsed(.key) { () throws(InvalidName) in
        try key.map { (key) throws(InvalidName) in try KeyName(key) }
      },
      contexts: try items.map { (item) throws(ClientError) in try EncryptionContext(item.context) },
      attribution: try WireAttribution(options), wrappedOnly: wrappedOnly, isWrappedDataKey: isWrappedDataKey)
    self.method = method
    timeout = options.timeout
    token = options.token
    outgoing = Outgoing(
      service: KeyMethod.service, method: method.bytes,
      payloadByteCount: writer.byteCount(bodies: items.map(\.bytes.count)), requestID: options.requestID
    ) { output in
      writer.appendHead(to: &output)
      for (index, item) in items.enumerated() {
        writer.appendItem(index, body: item.bytes.count, to: &output)
        output.append(item.bytes)
      }
    }
  }

  private static func checkSizes(_ method: KeyMethod, _ items: [BatchItem]) throws(ClientError) {
    guard (1...Limits.batchItemsMax).contains(items.count) else { throw ClientError(.batchSize) }
    var total = 0
    for item in items { total += item.bytes.count }
    let overhead =
      method == .encrypt || method == .encryptBatch ? 0 : EnvelopeDescription.overheadByteCount * items.count
    guard total <= Limits.plaintextBytesMax + overhead else { throw ClientError(.plaintextTooLong) }
  }

  private static func parsed<Name>(
    _ fault: CallFault, _ parse: () throws(InvalidName) -> Name
  ) throws(ClientError) -> Name {
    do throws(InvalidName) { return try parse() } catch { throw ClientError(fault) }
  }
}

extension EncryptionContext {
  fileprivate init(_ pairs: [String: String]) throws(ClientError) {
    guard !pairs.isEmpty else {
      self = .empty
      return
    }
    do throws(Invalid) {
      try self.init(pairs.map { Pair(key: Array($0.key.utf8), value: Array($0.value.utf8)) })
    } catch { throw ClientError(.context(error)) }
  }
}

extension WireAttribution {
  init(_ options: CallOptions) throws(ClientError) {
    self.init()
    requestID = options.requestID?.identifier
    actor = Array(options.actor.utf8)
    purpose = Array(options.purpose.utf8)
    guard max(actor.count, purpose.count) <= Limits.callerTextBytesMax else {
      throw ClientError(.callerTextTooLong)
    }
  }
}

extension ClientError {
  /// As the service would have answered.
  fileprivate init(_ fault: CallFault) { self.init(Code(rawValue: fault.code.rawValue), fault.sentence) }
}
