package import ChatelaineVocabulary

/// That a tenant's entries up to a size are all there are: the tenant's place in the tree over all tenants, the way to
/// its root, and the proof that the log has the entry which commits to that root.
package struct HistoryProof: Equatable, Sendable {
  static let title = "chatelaine/tenant-history@v1"
  package static let byteCountMax = EntryProof.byteCountMax + 8192

  /// A tenant id, or `_service`.
  package let tenant: [UInt8]
  /// The tenant's place in the tree.
  package let index: UInt64
  /// From the tenant's leaf up.
  package let hashes: [Digest]
  /// Of the tenant heads, with their entry.
  package let commitment: EntryProof

  package init(tenant: [UInt8], index: UInt64, hashes: [Digest], commitment: EntryProof) {
    (self.tenant, self.index, self.hashes, self.commitment) = (tenant, index, hashes, commitment)
  }

  package init(parsing file: [UInt8]) throws(ProofMalformed) {
    var lines = try ProofLines(file, title: Self.title, byteCountMax: Self.byteCountMax)
    guard let tenant = lines.next(after: "tenant ") else { throw lines.missing }
    guard isName(tenant.span) || tenant.elementsEqual(AuditEntry.serviceTenant.utf8) else { throw .line(lines.number) }
    guard let digits = lines.next(after: "index ") else { throw lines.missing }
    guard let index = Checkpoint.number(digits) else { throw .line(lines.number) }
    hashes = try lines.hashes()
    (self.tenant, self.index) = (tenant, index)
    do throws(ProofMalformed) { commitment = try EntryProof(parsing: lines.rest) } catch {
      switch error {
      case .empty: throw .truncated
      case .line(let number): throw .line(lines.number + number)
      case .tooLong, .version, .truncated, .head: throw error
      }
    }
  }

  package var encoded: [UInt8] {
    let lines = [Self.title, "tenant " + EntryText.escaped(tenant), "index \(index)"]
      + hashes.map { Base64.encode($0.bytes) } + ["", ""]
    return Array(lines.joined(separator: "\n").utf8) + commitment.encoded
  }
}

/// One line of an export: `{"sequence":N,"entry":"base64"}`, of which only the entry counts.
package enum HistoryLine {
  private static let start = Array("{\"sequence\":".utf8)
  private static let middle = Array(",\"entry\":\"".utf8)
  private static let end = Array("\"}".utf8)
  /// Without its newline.
  package static let byteCountMax = 64 + (Limits.entryBytesMax + 2) / 3 * 4

  /// With its newline.
  package static func encode(_ entry: Span<UInt8>) -> [UInt8] {
    var cursor = ByteCursor(at: 8)
    let sequence = (try? cursor.u64(entry)) ?? 0
    return start + Array("\(sequence)".utf8) + middle + Array(Base64.encode(entry).utf8) + end + Array("\n".utf8)
  }

  /// The entry's bytes; nil for any other line than the one that is written for them.
  package static func decode(_ line: [UInt8]) -> [UInt8]? {
    guard line.starts(with: start), line.count <= byteCountMax else { return nil }
    let digits = line[start.count...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    let text = line[digits.endIndex...].dropFirst(middle.count).dropLast(end.count)
    let encoded = Array(text)
    guard let entry = Base64.decode(encoded.span), entry.count >= 16 else { return nil }
    return encode(entry.span) == line + [UInt8(ascii: "\n")] ? entry : nil
  }
}

/// Checks an export while its lines are read: with the public key and nothing else.
package struct HistoryCheck {
  /// What a valid export covers.
  package struct Cover: Equatable, Sendable {
    package let tenant: [UInt8]
    package let entries: UInt64
    package let lastSequence: UInt64
    /// All of the tenant's entries below this number are there.
    package let size: UInt64
    /// Of the entry that commits to them, and its number.
    package let committed: WallTime
    package let commitment: UInt64
    package let head: Checkpoint
  }

  private let proof: HistoryProof
  private let heads: TenantHeads
  private let committed: WallTime
  private var history: TenantHistory
  private var fault: EvidenceVerdict?

  /// Judges the proof by itself; throws what is wrong with it.
  package init(_ proof: HistoryProof, key: NoteKey) throws(HistoryFault) {
    let verdict = proof.commitment.verdict(of: key, leaf: nil)
    guard verdict == .valid, let bytes = proof.commitment.entry else { throw HistoryFault(verdict) }
    guard let entry = try? AuditEntry(parsing: bytes.span), let heads = TenantHeads(entry) else {
      throw HistoryFault(.tampered("the entry in the proof commits to no tenants' histories"))
    }
    self.proof = proof
    self.heads = heads
    committed = entry.wall
    history = TenantHistory(of: proof.tenant.span)
  }

  /// Takes the next line, without its newline.
  package mutating func take(_ line: [UInt8], number: Int) {
    guard fault == nil else { return }
    guard let entry = HistoryLine.decode(line), let parsed = try? AuditEntry(parsing: entry.span) else {
      return fault = .tampered("line \(number) of the entries is not one that is written")
    }
    guard parsed.tenantText.utf8.elementsEqual(proof.tenant) else {
      return fault = .tampered("line \(number): entry \(parsed.sequence) is of another tenant")
    }
    guard history.count == 0 || parsed.sequence > history.lastSequence else {
      return fault = .tampered("line \(number): entry \(parsed.sequence) is not behind the one before it")
    }
    guard parsed.sequence < heads.size else {
      return fault = .tampered("line \(number): entry \(parsed.sequence) is beyond what the proof covers")
    }
    history.take(parsed.sequence, leaf: AuditEntry.leafHash(entry.span))
  }

  /// Whatever follows, it does not hold.
  package var isBroken: Bool { fault != nil }

  /// Once all lines were taken; `isWhole` where the last one ends in a newline.
  package func verdict(isWhole: Bool) -> EvidenceVerdict {
    if let fault { return fault }
    guard isWhole, history.count > 0 else { return .truncated("the entries end before they are whole") }
    let leaf = history.leafHash(of: proof.tenant.span)
    let holds = TreeProof.isIncluded(
      leaf: leaf, index: proof.index, size: heads.tenants, root: heads.root, proof: proof.hashes)
    return holds
      ? .valid
      : .tampered(
        "these \(history.count) entries are not the tenant's history that the log commits to: one was left out, put in or changed")
  }

  package var cover: Cover {
    Cover(
      tenant: proof.tenant, entries: history.count, lastSequence: history.lastSequence, size: heads.size,
      committed: committed, commitment: proof.commitment.index, head: proof.commitment.head.checkpoint)
  }
}

/// Why a proof is worth nothing, whatever the entries are.
package struct HistoryFault: Error, Equatable {
  package let verdict: EvidenceVerdict

  init(_ verdict: EvidenceVerdict) { self.verdict = verdict }
}
