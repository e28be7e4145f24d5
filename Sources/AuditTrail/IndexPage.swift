internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// A page of an index: 508 numbers, then `SHA-256(page so far ‖ u64 part ‖ u64 page)`, so that what is damaged, or stands
/// in another's place, is noticed before it is believed.
package enum IndexPage {
  package static let byteCount = 4096
  package static let valuesMax = (byteCount - Digest.byteCount) / 8

  /// Behind the values the rest is all ones.
  package static func encode(_ values: some Collection<UInt64>, part: UInt64, number: UInt64) -> [UInt8] {
    precondition(values.count <= valuesMax, "more than a page of values")
    var writer = ByteWriter(capacity: byteCount)
    for value in values { writer.u64(value) }
    for _ in values.count..<valuesMax { writer.u64(.max) }
    writer.digest(seal(writer.bytes.span, part, number))
    return writer.bytes
  }

  /// nil where it is not the page that was written there.
  package static func parse(_ bytes: Span<UInt8>, part: UInt64, number: UInt64) -> [UInt64]? {
    guard bytes.count == byteCount else { return nil }
    let body = bytes.extracting(0..<valuesMax * 8)
    guard Digest(bytes.extracting((valuesMax * 8)...)) == seal(body, part, number) else { return nil }
    return (0..<valuesMax).map { body.bigEndian(at: 8 * $0, as: UInt64.self) }
  }

  private static func seal(_ body: Span<UInt8>, _ part: UInt64, _ number: UInt64) -> Digest {
    var hash = SHA256()
    hash.update(body)
    hash.update(ByteWriter.u64Bytes(part) + ByteWriter.u64Bytes(number))
    return hash.finish()
  }
}
