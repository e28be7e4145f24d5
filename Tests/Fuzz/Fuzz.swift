internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineTokens
internal import ChatelaineTransit
internal import ChatelaineVocabulary
internal import Glibc

// One libFuzzer program for all parsers of bytes from outside; CHATELAINE_FUZZ_TARGET names which.
// Each target also checks that what was accepted has one encoding only.

/// A parser under test: takes any bytes, must never trap.
private let target: @Sendable (Span<UInt8>) -> Void = {
  let name = unsafe getenv("CHATELAINE_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
  switch name {
  case "envelope": return fuzzEnvelope
  case "wrapped-key": return fuzzWrappedKey
  case "entry": return fuzzEntry
  case "frame": return fuzzFrame
  case "keyring": return fuzzKeyring
  case "configuration": return fuzzConfiguration
  case "proof": return fuzzProof
  case "http": return fuzzHTTP
  case "token": return fuzzToken
  case "planted": return fuzzPlanted
  default:
    fatalError(
      "set CHATELAINE_FUZZ_TARGET to envelope, wrapped-key, entry, frame, keyring, configuration, proof, http, token or planted")
  }
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe UnsafeBufferPointer(start: start, count: count)
  target(unsafe Span(_unsafeElements: bytes))
  return 0
}

private func fuzzEnvelope(_ bytes: Span<UInt8>) {
  if let header = try? Envelope.parseHeader(bytes) {
    precondition(header.plaintextByteCount == bytes.count - Envelope.overheadByteCount)
    precondition((header.key.version == 0) == (header.kind == .dataKey))
  }
  if let decoded = try? TextForm.decode(bytes) {
    precondition(bytes.equals(TextForm.encode(decoded.span)), "two texts for the same bytes")
  }
}

private func fuzzWrappedKey(_ bytes: Span<UInt8>) {
  if let wrapped = try? WrappedKey(bytes) {
    precondition(bytes.equals(wrapped.bytes))
    precondition(wrapped.wrappingKey.version >= 1)
  }
}

private func fuzzEntry(_ bytes: Span<UInt8>) {
  let isValid = (try? AuditEntry.validate(bytes)) != nil
  let entry = try? AuditEntry(parsing: bytes)
  precondition(isValid == (entry != nil), "the two readers of entries disagree")
  if let entry { precondition(bytes.equals(entry.encoded()), "two encodings of the same entry") }
}

/// The first byte picks which of the log's other parsers; the rest is its input.
private func fuzzFrame(_ bytes: Span<UInt8>) {
  guard bytes.count > 0 else { return }
  let rest = bytes.extracting(1...)
  switch bytes[0] % 3 {
  case 0:
    if let header = Frame.selfContained(rest, alignment: 512, frameBytesMax: 131_072) {
      precondition(header.paddedByteCount(alignment: 512) <= 131_584)
    }
  case 1:
    if let header = try? SegmentHeader(parsing: rest) { precondition(rest.equals(header.encoded())) }
  default:
    if let epoch = try? EpochDescriptor(parsing: rest) { precondition(rest.equals(epoch.encoded())) }
  }
}

private func fuzzKeyring(_ bytes: Span<UInt8>) {
  bytes.withRawSpan { bytes in _ = try? KeyringFile.parse(bytes) }
}

/// Signed heads and proofs, and public keys.
private func fuzzProof(_ bytes: Span<UInt8>) {
  if let head = try? SignedHead(parsing: bytes) {
    precondition(bytes.equals(head.note.encoded) && head.checkpoint.text == head.note.text, "two texts of one head")
  }
  switch try? Proof(parsing: bytes.copied()) {
  case .entry(let proof): precondition(bytes.equals(proof.encoded), "two texts of one proof")
  case .consistency(let proof): precondition(bytes.equals(proof.encoded), "two texts of one proof")
  case nil: break
  }
  if let text = String(validating: bytes.copied(), as: UTF8.self), let key = try? NoteKey(parsing: text) {
    precondition((try? NoteKey(parsing: key.text)) == key)
  }
}

private func fuzzConfiguration(_ bytes: Span<UInt8>) {
  let bytes = bytes.copied()
  let accounts = AccountNames(passwd: bytes, group: bytes)
  if let settings = try? ServiceConfiguration(bytes, file: "/etc/c.yaml", accounts: accounts) {
    precondition(settings.sockets.allSatisfy { $0.path.utf8.count <= 107 })
    precondition(!settings.store.isEmpty && settings.dataSocket.mode & 0o600 == 0o600)
  }
  do throws(ConfigurationError) {
    let policy = try PolicyFile.parse(bytes, file: "p.yaml", accounts: accounts)
    for rule in policy.rules { precondition(rule.permissions.isSubset(of: rule.role.permissions)) }
  } catch {
    // What the look before the parser lets pass, the parser takes for neither.
    guard case .syntax(let problem) = error.problem else { return }
    precondition(!problem.contains("alias") && !problem.contains("anchor"), "hidden from the first look")
  }
}

/// The first line is a target, a byte before it the method; the rest is a body, as it is and in chunks.
private func fuzzHTTP(_ bytes: Span<UInt8>) {
  let methods: [TransitMethod] = [.post, .get, .list, .head, .delete, .other]
  guard bytes.count > 1, let end = bytes.indices.first(where: { bytes[$0] == 10 }), end > 0 else { return }
  let target = String(decoding: bytes.extracting(1..<end).copied(), as: UTF8.self)
  fuzzChunks(bytes.extracting((end + 1)...))
  guard let route = try? TransitRoute(methods[Int(bytes[0]) % methods.count], target: target, namespace: nil) else { return }
  var body = bytes.extracting((end + 1)...).copied()
  let count = body.count
  var span = body.mutableSpan
  guard let call = try? TransitCall(route, &span) else { return }
  precondition(call.items.count <= Limits.batchItemsMax && (1...TransitCall.randomBytesMax).contains(call.randomByteCount))
  var last = 0
  for item in call.items {
    precondition(item.body.upperBound <= count && item.context.pairs.count <= Limits.contextPairsMax)
    precondition(item.body.isEmpty || item.body.lowerBound >= last, "items do not overlap")
    last = max(last, item.body.upperBound)
    if let reference = item.reference { precondition(reference.upperBound <= count) }
  }
}

/// Whole or byte by byte: the same body.
private func fuzzChunks(_ bytes: Span<UInt8>) {
  var (whole, piecewise) = (ChunkedBody(countMax: 4096), ChunkedBody(countMax: 4096))
  var all = bytes.copied()
  var span = all.mutableSpan
  let progress = whole.advance(&span)
  var (kept, last) = ([UInt8](), ChunkedBody.Progress.more(kept: 0))
  for index in bytes.indices {
    kept.append(bytes[index])
    var span = kept.mutableSpan
    last = piecewise.advance(&span)
    guard case .more(let count) = last else { break }
    kept.removeLast(kept.count - count)
  }
  switch (progress, last) {
  case (.done(let a, _), .done(let b, _)): precondition(a == b && all.prefix(a) == kept.prefix(b), "two bodies of one text")
  case (.more, .more), (.malformed, .malformed), (.tooLong, .tooLong): break
  default: preconditionFailure("the same bytes are a body in one way and none in another")
  }
}

/// A set of keys, and any bytes as a token of an issuer who has no key that anybody knows: none is ever taken.
private func fuzzToken(_ bytes: Span<UInt8>) {
  var file = bytes.copied()
  if let set = try? TokenKeySet(parsing: &file) {
    precondition((1...Limits.tokenKeysMax).contains(set.keys.count) && file.allSatisfy { $0 == 0 })
  }
  let hash = SHA256.hash(bytes)
  precondition((try? tokenRules.verify(bytes, hash: hash, now: 1_700_000_100)) == nil, "a token that nobody signed")
}

private let tokenRules: TokenRules = {
  let key = #"{"kty":"OKP","kid":"d","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
  var file = Array(#"{"keys":[\#(key)]}"#.utf8)
  guard let set = try? TokenKeySet(parsing: &file), let name = try? KeyName("platform") else { fatalError("a set of keys") }
  let issuer = TokenIssuer(
    name: name, issuer: Array("i".utf8), audiences: [Array("a".utf8)], tenantClaim: "t", leewaySeconds: 30, keys: set)
  return TokenRules(issuers: [issuer], statics: [])
}()

/// The control: a parser with a bug that the fuzzer must find.
private func fuzzPlanted(_ bytes: Span<UInt8>) {
  if bytes.count > 3, bytes[0] == 0x43, bytes[1] == 0x48, bytes[2] == 0x01 {
    precondition(bytes[3] != 0xff, "planted")
  }
}
