internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// Why bytes are not an entry.
package enum EntryFault: Error, Equatable {
  /// Shorter than its fields say, or longer.
  case length
  case version
  case entryClass
  case itemCount
  case tenant
  case keyName
  case principal
  case subjectDigest
  case detail
}

extension AuditEntry {
  package func encoded() -> [UInt8] {
    precondition(items.count <= Limits.batchItemsMax, "too many items")
    precondition(principal.count <= Limits.principalBytesMax, "principal is too long")
    let details = encodedDetails()
    return [UInt8](rawCapacity: byteCount(details: details.count)) { output in
      appendFixed(to: &output)
      output.appendU8Prefixed(tenant?.bytes ?? serviceTenantBytes)
      output.appendU8Prefixed(keyName?.bytes ?? [])
      output.appendU16Prefixed(principal)
      for item in items { item.append(to: &output) }
      output.appendU8Prefixed(role)
      output.appendU8Prefixed(rule)
      output.appendU8Prefixed(source)
      output.append(subjectDigest == nil ? 0 : UInt8(Identifier.byteCount))
      if let subjectDigest { output.append(subjectDigest) }
      output.appendU16Prefixed(actor)
      output.appendU16Prefixed(purpose)
      output.appendU16Prefixed(details)
    }
  }

  private func byteCount(details: Int) -> Int {
    let names = 1 + (tenant?.bytes ?? serviceTenantBytes).count + 1 + (keyName?.bytes.count ?? 0) + 2 + principal.count
    let texts = 3 + role.count + rule.count + source.count + 1 + (subjectDigest == nil ? 0 : Identifier.byteCount)
    return Self.fixedByteCount + names + items.count * Item.byteCount + texts + 6 + actor.count + purpose.count + details
  }

  private func appendFixed(to output: inout OutputRawSpan) {
    output.append(1)
    output.append(entryClass.rawValue)
    output.append(bigEndian: operation.rawValue)
    output.append(bigEndian: outcome.rawValue)
    output.append(bigEndian: reason.rawValue)
    output.append(bigEndian: sequence)
    output.append(previous)
    output.append(blind)
    output.append(bigEndian: wall.nanoseconds)
    output.append(bigEndian: bootNanoseconds)
    output.append(bigEndian: incarnation)
    output.append(bigEndian: peerPID)
    output.append(bigEndian: peerUID)
    output.append(bigEndian: connection)
    output.append(requestID)
    output.append(keyID)
    output.append(bigEndian: keyVersion)
    output.append(bigEndian: masterVersion)
    output.append(bigEndian: storeGeneration)
    output.append(door.rawValue)
    output.append(principalKind.rawValue)
    output.append(bigEndian: UInt16(items.count))
  }

  private func encodedDetails() -> [UInt8] {
    guard !details.isEmpty else { return [] }
    var writer = ByteWriter()
    for (index, detail) in details.enumerated() {
      precondition(index == 0 || details[index - 1].tag < detail.tag, "details are in ascending order")
      writer.u8(detail.tag.rawValue)
      writer.u16Prefixed(detail.value)
    }
    precondition(writer.bytes.count <= Limits.entryDetailBytesMax, "detail is too long")
    return writer.bytes
  }

  /// Parses a whole entry; exactly one encoding is accepted for each value.
  package init(parsing bytes: Span<UInt8>) throws(EntryFault) {
    try Self.validate(bytes)
    guard let entryClass = EntryClass(rawValue: bytes[1]) else { throw .entryClass }
    var cursor = ByteCursor(at: 2)
    do throws(MalformedBytes) {
      self.init(entryClass, Operation(rawValue: try cursor.u16(bytes)))
      let itemCount = try parseFixed(bytes, &cursor)
      try parseNames(bytes, &cursor)
      for _ in 0..<itemCount { items.append(try Self.parseItem(bytes, &cursor)) }
      try parseTail(bytes, &cursor)
    } catch { throw .length }
  }

  /// Checks a whole entry against every rule of the format without taking it apart: what a verifier
  /// does a million times a second.
  package static func validate(_ bytes: Span<UInt8>) throws(EntryFault) {
    guard bytes.count >= fixedByteCount, bytes.count <= Limits.entryBytesMax else { throw .length }
    guard bytes[0] == 1 else { throw .version }
    guard EntryClass(rawValue: bytes[1]) != nil else { throw .entryClass }
    let count = Int(bytes[150]) << 8 | Int(bytes[151])
    guard count <= Limits.batchItemsMax else { throw .itemCount }
    var cursor = ByteCursor(at: fixedByteCount)
    let fault: EntryFault?
    do throws(MalformedBytes) { fault = try variableFault(bytes, itemCount: count, &cursor) } catch { throw .length }
    if let fault { throw fault }
  }

  /// The rule that the fields behind the fixed ones break, nil for none; throws where they do not fit.
  private static func variableFault(
    _ bytes: Span<UInt8>, itemCount: Int, _ cursor: inout ByteCursor
  ) throws(MalformedBytes) -> EntryFault? {
    let tenant = bytes.extracting(try cursor.u8Prefixed(bytes))
    guard isName(tenant) || tenant.equals(serviceTenantBytes) else { return .tenant }
    let name = bytes.extracting(try cursor.u8Prefixed(bytes))
    guard name.isEmpty || isName(name) else { return .keyName }
    guard try cursor.u16Prefixed(bytes).count <= Limits.principalBytesMax else { return .principal }
    _ = try cursor.range(itemCount * Item.byteCount, bytes)
    for _ in 0..<3 { _ = try cursor.u8Prefixed(bytes) }
    let subject = try cursor.u8Prefixed(bytes)
    guard subject.isEmpty || subject.count == Identifier.byteCount else { return .subjectDigest }
    for _ in 0..<2 { _ = try cursor.u16Prefixed(bytes) }
    let details = try cursor.u16Prefixed(bytes)
    guard details.count <= Limits.entryDetailBytesMax else { return .detail }
    try cursor.finish(bytes)
    return areDetails(bytes.extracting(details)) ? nil : .detail
  }

  private static func areDetails(_ bytes: Span<UInt8>) -> Bool {
    var cursor = ByteCursor()
    var last = -1
    while cursor.offset < bytes.count {
      guard let tag = try? cursor.u8(bytes), let value = try? cursor.u16Prefixed(bytes), Int(tag) > last else {
        return false
      }
      if let count = DetailTag(rawValue: tag).valueByteCount, count != value.count { return false }
      last = Int(tag)
    }
    return true
  }

  private mutating func parseFixed(_ bytes: Span<UInt8>, _ cursor: inout ByteCursor) throws(MalformedBytes) -> Int {
    outcome = Outcome(rawValue: try cursor.u16(bytes))
    reason = Reason(rawValue: try cursor.u16(bytes))
    sequence = try cursor.u64(bytes)
    previous = try cursor.digest(bytes)
    blind = try cursor.identifier(bytes)
    wall = WallTime(nanoseconds: try cursor.u64(bytes))
    bootNanoseconds = try cursor.u64(bytes)
    incarnation = try cursor.u32(bytes)
    peerPID = try cursor.u32(bytes)
    peerUID = try cursor.u32(bytes)
    connection = try cursor.u64(bytes)
    requestID = try cursor.identifier(bytes)
    keyID = try cursor.identifier(bytes)
    keyVersion = try cursor.u32(bytes)
    masterVersion = try cursor.u32(bytes)
    storeGeneration = try cursor.u64(bytes)
    door = Door(rawValue: try cursor.u8(bytes))
    principalKind = PrincipalKind(rawValue: try cursor.u8(bytes))
    return Int(try cursor.u16(bytes))
  }

  private mutating func parseNames(_ bytes: Span<UInt8>, _ cursor: inout ByteCursor) throws(MalformedBytes) {
    let tenantBytes = bytes.extracting(try cursor.u8Prefixed(bytes))
    tenant = tenantBytes.equals(serviceTenantBytes) ? nil : try? TenantID(tenantBytes)
    let nameBytes = bytes.extracting(try cursor.u8Prefixed(bytes))
    keyName = nameBytes.isEmpty ? nil : try? KeyName(nameBytes)
    principal = bytes.extracting(try cursor.u16Prefixed(bytes)).copied()
  }

  private static func parseItem(_ bytes: Span<UInt8>, _ cursor: inout ByteCursor) throws(MalformedBytes) -> Item {
    let outcome = Outcome(rawValue: try cursor.u16(bytes))
    let reason = Reason(rawValue: try cursor.u16(bytes))
    let byteCount = try cursor.u32(bytes)
    return Item(outcome: outcome, reason: reason, byteCount: byteCount, contextDigest: try cursor.digest(bytes))
  }

  private mutating func parseTail(_ bytes: Span<UInt8>, _ cursor: inout ByteCursor) throws(MalformedBytes) {
    role = bytes.extracting(try cursor.u8Prefixed(bytes)).copied()
    rule = bytes.extracting(try cursor.u8Prefixed(bytes)).copied()
    source = bytes.extracting(try cursor.u8Prefixed(bytes)).copied()
    let subject = try cursor.u8Prefixed(bytes)
    if !subject.isEmpty {
      var at = ByteCursor(at: subject.lowerBound)
      subjectDigest = try at.identifier(bytes)
    }
    actor = bytes.extracting(try cursor.u16Prefixed(bytes)).copied()
    purpose = bytes.extracting(try cursor.u16Prefixed(bytes)).copied()
    let list = try cursor.u16Prefixed(bytes)
    var at = ByteCursor(at: list.lowerBound)
    while at.offset < list.upperBound {
      let tag = DetailTag(rawValue: try at.u8(bytes))
      details.append(Detail(tag, bytes.extracting(try at.u16Prefixed(bytes)).copied()))
    }
  }
}

private let serviceTenantBytes = Array(AuditEntry.serviceTenant.utf8)

extension AuditEntry.Item {
  fileprivate func append(to output: inout OutputRawSpan) {
    output.append(bigEndian: outcome.rawValue)
    output.append(bigEndian: reason.rawValue)
    output.append(bigEndian: byteCount)
    output.append(contextDigest)
  }
}

extension OutputRawSpan {
  /// One length byte, then the value; longer than 255 is a bug of the caller.
  fileprivate mutating func appendU8Prefixed(_ value: [UInt8]) {
    append(UInt8(value.count))
    append(copying: value.span)
  }

  /// Two length bytes, then the value; longer than 65,535 is a bug of the caller.
  fileprivate mutating func appendU16Prefixed(_ value: [UInt8]) {
    append(bigEndian: UInt16(value.count))
    append(copying: value.span)
  }
}
