internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import ChatelaineWire

extension ChatelaineConnection {
  /// Turns a receipt into evidence: the file of a C2SP tlog-proof, which shows whoever has the log's public key and the
  /// receipt's leaf hash, and neither log nor service, that the call's entry is in the log. Keep it beside the data.
  ///
  /// ```swift
  /// let sealed = try await connection.encrypt(card, tenant: "acme", key: "payments")
  /// let proof = try await connection.evidence(for: sealed.receipt, options: .init(timeout: .seconds(90)))
  /// // chatelaine audit check-proof FILE --key PUB --leaf HASH      (sealed.receipt.leafHash)
  /// ```
  ///
  /// It is checked under the connection's key before it is returned. An entry is covered by a published head within a
  /// second or so where there is much to do, else within a minute: the call waits for it where its timeout allows, and
  /// else fails with ``ClientError/Code/busy`` and the time of the next head. It takes no entry of its own.
  ///
  /// Where the log has another entry in that place, ``LogWatch/onAlarm`` is told, and the call fails with
  /// ``ClientError/Code/logAlarm`` whatever it says: there is no evidence.
  public func evidence(
    for receipt: Receipt, options: CallOptions = CallOptions()
  ) async throws(ClientError) -> [UInt8] {
    guard let watch else {
      throw ClientError(.invalidLogKey, "Evidence is checked under the log's public key: connect with it.")
    }
    guard watch.key.isOf(receipt), let leaf = Digest(hex: receipt.leafHash) else {
      throw ClientError(.invalidLogKey, "The receipt is of another log or epoch than the key: \(receipt).")
    }
    let file = try await ask(.entry(sequence: receipt.sequence), options).bytes
    if Self.isEvidence(file, of: receipt.sequence, leaf, under: watch.key.key) { return file }
    let isOfKey = HeadJudgement.origin(ofProof: file)?.utf8.elementsEqual(watch.key.key.name.utf8) ?? true
    let alarm = LogAlarm(isOfKey ? .receipt : .otherEpoch, nil, file)
    _ = await watch.onAlarm(alarm)
    throw ClientError(alarm)
  }

  static func isEvidence(_ file: [UInt8], of sequence: UInt64, _ leaf: Digest, under key: NoteKey) -> Bool {
    guard let proof = try? Proof(parsing: file), case .entry(let entry) = proof, entry.index == sequence else {
      return false
    }
    return proof.verdict(of: key, leaf: leaf) == .valid
  }
}
